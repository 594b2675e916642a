"""The combinations of a space that are tried: all of them, a random sample, or the proposals of a search."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Container, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vaelab.errors import InputError, require_int
from vaelab.seeds import derive_seed
from vaelab.storage import write_file
from vaelab.studies.sweep.space import Combination, Range, Space, name_of, words_of

__all__ = ["OptunaSearch", "Search", "drawn", "grid", "new_search"]

_REPEATS = 10  # proposals in a row that were made before, until a new one is drawn instead


class Search(Protocol):
    """Proposes combinations, and is told the bound of each, or None if it failed.

    ``known`` are combinations that are known beforehand, to be checked; ``kind`` is ``grid``, ``random`` or ``guided``.
    """

    kind: str
    count: int
    known: list[Combination]

    def __iter__(self) -> Iterator[Combination]: ...

    def tell(self, values: Combination, bound: float | None) -> None: ...


class Listed:
    """A list of combinations, known beforehand."""

    def __init__(self, kind: str, combinations: list[Combination]) -> None:
        self.kind, self.known, self.count = kind, combinations, len(combinations)

    def __iter__(self) -> Iterator[Combination]:
        return iter(self.known)

    def tell(self, values: Combination, bound: float | None) -> None:
        """Ignore the result: the list is fixed."""


def new_search(space: Space, out: Path, random: int | None, guided: int | None, seed: int) -> Search:
    """Return the search of a sweep: all combinations, ``random`` many that are drawn, or ``guided`` many proposals.

    Raises:
        InputError: both numbers, or one that the space does not have.
    """
    if random is not None and guided is not None:
        raise InputError(f"sweep: expected random or guided, one of the two; got {random} and {guided}")
    if guided is not None:
        return OptunaSearch(space, guided, seed, out)
    return Listed("grid", grid(space)) if random is None else Listed("random", drawn(space, random, seed))


def grid(space: Space) -> list[Combination]:
    """Return every combination, in the order of the command."""
    for key, part in space.varied.items():
        if isinstance(part, Range):
            raise InputError(f"{key}: a range has no finite grid; give a list of values, or --random N or --guided N")
    parts = [part for part in space.varied.values() if not isinstance(part, Range)]
    return [dict(zip(space.varied, values, strict=True)) for values in itertools.product(*parts)]


def drawn(space: Space, count: int, seed: int) -> list[Combination]:
    """Draw different combinations; a larger number begins with the same ones.

    >>> from vaelab.studies.sweep.space import read_space
    >>> space = read_space("gaussian-vae", {"latent_dim": "2..50"})
    >>> drawn(space, 2, seed=0) == drawn(space, 3, seed=0)[:2]
    True
    """
    _require_room("random", space, count)
    generator = np.random.default_rng(derive_seed(seed, "sweep"))
    combinations: dict[str, Combination] = {}
    while len(combinations) < count:
        values = _draw_new(space, generator, combinations)
        combinations[name_of(values)] = values
    return list(combinations.values())


def _draw_new(space: Space, generator: np.random.Generator, known: Container[str]) -> Combination:
    """Draw a combination that was not drawn before."""
    for _ in range(100_000):
        values: Combination = {
            key: part.draw(generator) if isinstance(part, Range) else part[generator.integers(len(part))]
            for key, part in space.varied.items()
        }
        if name_of(values) not in known:
            return values
    raise InputError("sweep: the ranges have fewer different combinations than requested; give a smaller number")


def corners(space: Space) -> list[Combination]:
    """Return every combination of the alternatives and of the ends of the ranges."""
    parts = [(part.low, part.high) if isinstance(part, Range) else part for part in space.varied.values()]
    return [dict(zip(space.varied, values, strict=True)) for values in itertools.product(*parts)]


def _require_room(option: str, space: Space, count: int) -> None:
    require_int(option, count, 1)
    if count > space.size:
        raise InputError(
            f"{option}: expected at most {space.size:.0f}, the number of different combinations; got {count}"
        )


class OptunaSearch:
    """Combinations proposed by optuna's tree-structured Parzen estimator, each from the bounds of the earlier ones.

    The journal ``folder/optuna.jsonl`` contains the proposals and their results. A search that is opened again first
    repeats these proposals in their order. The sampler of each proposal is seeded by its number, so that a search with
    one job at a time is reproducible. With several jobs it depends on which training ends first.

    Source: Bergstra et al. (2011), Algorithms for Hyper-Parameter Optimization; Akiba et al. (2019),
    https://arxiv.org/abs/1907.10902 (optuna).

    Raises:
        InputError: optuna is not installed, more combinations than there are, or a journal of another sweep.
    """

    kind = "guided"

    def __init__(self, space: Space, count: int, seed: int, folder: Path) -> None:
        if find_spec("optuna") is None:
            raise InputError("guided: expected optuna, which is not installed; pip install 'vaelab[sweep]' installs it")
        _require_room("guided", space, count)
        self.space, self.count, self.seed, self.folder = space, count, seed, folder
        self.known = corners(space)
        self.open: dict[str, int] = {}
        self.failed: dict[str, Any] = {}

    def __iter__(self) -> Iterator[Combination]:
        self.study = self._study()
        given: set[str] = set()
        trials = self.study.get_trials(deepcopy=False)
        states = self.optuna.trial.TrialState
        succeeded = {name_of(self._values(trial.params)) for trial in trials if trial.state == states.COMPLETE}
        for trial in trials:
            whole = set(trial.params) == set(self.space.varied)  # else the sweep was killed while it was proposed
            if whole and len(given) < self.count and (name := name_of(self._values(trial.params))) not in given:
                if trial.state == states.FAIL and name not in succeeded:
                    self.failed[name] = trial
                yield self._give(trial, given)
            elif trial.state == states.RUNNING:
                self._fail(trial.number)
        repeats = 0
        while len(given) < self.count:
            trial = self._ask(given, by_chance=repeats >= _REPEATS)
            if name_of(self._values(trial.params)) in given:
                self._fail(trial.number)
                repeats += 1
            else:
                repeats = 0
                yield self._give(trial, given)

    def _study(self) -> Any:
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna = optuna
        journal = (self.folder / "optuna.jsonl").resolve()  # absolute: optuna needs it to recognise a stale lock
        _mend(journal)
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name="sweep",
            direction="maximize",
            load_if_exists=True,
        )
        described = words_of(self.space.varied) + f" --seed {self.seed}"
        if (had := study.user_attrs.get("space", described)) != described:
            raise InputError(f"resume: {journal} holds a search over {had}; this command says {described}")
        study.set_user_attr("space", described)
        return study

    def tell(self, values: Combination, bound: float | None) -> None:
        """Tell the search the result of a proposal."""
        number, before = self.open.pop(name_of(values), None), self.failed.pop(name_of(values), None)
        if bound is None or not math.isfinite(bound):
            if number is not None:
                self._fail(number)
        elif number is not None:
            self.study.tell(number, bound)
        elif before is not None:  # optuna cannot change a failed trial, so a later success is another trial
            kept = {"params": before.params, "distributions": before.distributions}
            self.study.add_trial(self.optuna.trial.create_trial(**kept, value=bound))

    def _give(self, trial: Any, given: set[str]) -> Combination:
        values = self._values(trial.params)
        given.add(name_of(values))
        if not getattr(trial, "state", None) or not trial.state.is_finished():
            self.open[name_of(values)] = trial.number
        return values

    def _ask(self, given: Container[str], by_chance: bool) -> Any:
        seed = derive_seed(self.seed, "guided", len(self.study.get_trials(deepcopy=False)))
        if by_chance:
            values = _draw_new(self.space, np.random.default_rng(seed), given)
            self.study.enqueue_trial(
                {k: v if isinstance(self.space.varied[k], Range) else json.dumps(v) for k, v in values.items()}
            )
        starts = max(2, min(10, self.count // 3))  # at random, before there are results to learn from
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=starts)
        return self.study.ask({key: self._distribution(part) for key, part in self.space.varied.items()})

    def _distribution(self, part: tuple[Any, ...] | Range) -> Any:
        of = self.optuna.distributions
        if not isinstance(part, Range):
            return of.CategoricalDistribution([json.dumps(value) for value in part])
        if part.whole:
            return of.IntDistribution(int(part.low), int(part.high), log=part.log)
        return of.FloatDistribution(part.low, part.high, log=part.log)

    def _values(self, params: dict[str, Any]) -> Combination:
        return {
            key: part.rounded(params[key]) if isinstance(part, Range) else json.loads(params[key])
            for key, part in self.space.varied.items()
        }

    def _fail(self, number: int) -> None:
        self.study.tell(number, state=self.optuna.trial.TrialState.FAIL)


def _mend(journal: Path) -> None:
    """Remove what a killed sweep leaves behind: a lock, and an incomplete last line."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_file(journal, whole)

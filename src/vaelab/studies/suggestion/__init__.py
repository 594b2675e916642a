"""Which model for these data: simple and deep models tried within a budget of time, and one recommended."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from vaelab.data import Dataset, Streamed
from vaelab.errors import InputError, require_number, require_seed, shown
from vaelab.runs import Run, source_of
from vaelab.settings import Settings, resolve
from vaelab.storage import Schema, seal, unseal, write_file
from vaelab.studies.suggestion.advice import recommend
from vaelab.studies.suggestion.candidates import CANDIDATES, Candidate
from vaelab.studies.suggestion.result import Suggestion, Tried, compared
from vaelab.studies.suggestion.trial import Stopped, Trials, Watch, codes_for
from vaelab.training import choose_device
from vaelab.training.checks import training_rows

__all__ = ["CANDIDATES", "Candidate", "Suggestion", "Tried", "suggest"]

_FILE = "suggest.json"
_Values = dict[str, Tensor]


class SuggestFile(Schema):
    """The required content of ``suggest.json``."""

    data: str
    rows: list[dict[str, Any]]
    facts: dict[str, Any]


def suggest(
    data: Dataset | str | Path,
    *,
    seconds: float = 180.0,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    watch: Watch | None = None,
    ended: Callable[[Tried], None] | None = None,
    **reading: Any,
) -> Suggestion:
    """Train simple and deep models on a table within a budget of time, compare them, and recommend one.

    The models of :data:`CANDIDATES` are tried from simple to deep. Each gets a share of the time that is left; what it
    does not use goes to those after it. A deep model makes as many steps as fit into its share, at most its default.
    Models are compared by log p(x) of the validation rows, exact or a lower bound on it, paired row by row. The
    simplest model within two standard errors of the best is recommended. The numbers of the test split have no part in
    it. A model that does not suit the data is left out, and its row says why.

    Ctrl-C ends the trial: what is done by then is returned.

    Args:
        data: a data set, the name of one, or a file.
        seconds: the budget; how many steps a deep model makes, and so its number, depends on it and on the machine.
        out: where the models stay, each in its run directory, with ``suggest.json`` and ``suggest.md``; None keeps only
            the recommended model, in the result.
        seed: of everything random.
        device: where to train.
        resume: continue in ``out``: models that have a number are not tried again.
        watch: called with the name of a model and each row that its training logs.
        ended: called with the row of each model as soon as it is known.
        **reading: how a file is read and split, as in :func:`vaelab.load_data`.

    Raises:
        InputError: data that cannot be read, without rows to train and to validate on, or on the disk; a budget below
            one second; a directory that is not empty.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).integers(0, 2, (60, 1)).repeat(4, 1)
    >>> result = suggest(Dataset.from_arrays(rows, name="copies"), seconds=2)
    >>> result.recommended in [row.name for row in result.rows]
    True
    """
    require_number("seconds", seconds, 1)
    choose_device(device)
    given = {name: value for name, value in reading.items() if value is not None}
    layer = {"seed": require_seed(seed), "device": device}
    if isinstance(data, Dataset):
        if given:
            raise InputError(f"suggest: expected {', '.join(given)} for a file; got a data set, which is read already")
        source, loaded = None, data
    else:
        layer |= {"data": _name(data), **given}
        loaded = resolve(CANDIDATES[-1].model, layer).load_data()
        source = source_of(str(layer["data"]))
    _require_suitable(loaded)
    with _directory(out, resume) as folder:
        trials = Trials(loaded, source, layer, folder, codes_for(loaded, seconds), watch)
        known = _earlier(trials, seed) if resume else {}
        return _Session(trials, seconds, known, keep=out is not None, ended=ended).result()


class _Session:
    """The trial of all candidates, and its result.

    Args:
        trials: what all candidates have in common.
        seconds: the budget.
        known: rows of an earlier trial in the same directory, with the numbers of the validation rows.
        keep: whether to write the result into the directory.
        ended: called with each row as soon as it is known.
    """

    def __init__(
        self,
        trials: Trials,
        seconds: float,
        known: dict[str, tuple[Tried, Tensor]],
        *,
        keep: bool,
        ended: Callable[[Tried], None] | None,
    ) -> None:
        self.trials, self.seconds, self.keep, self.ended = trials, seconds, keep, ended
        self.rows: dict[str, Tried] = {name: row for name, (row, _) in known.items()}
        self.values: _Values = {name: values for name, (_, values) in known.items()}
        self.signal: int | None = None
        self.begun = time.monotonic()

    def result(self) -> Suggestion:
        """Try the candidates, and return the comparison."""
        try:
            waiting = self._suitable()
            self.begun = time.monotonic()
            while waiting:
                candidate, settings = waiting[0]
                share = candidate.share / sum(each.share for each, _ in waiting)
                self._try(candidate, settings, share)
                waiting = waiting[1:]
        except Stopped as stopped:
            self.signal = stopped.number
        except KeyboardInterrupt:
            self.signal = signal.SIGINT
        found = self._suggestion()
        if found.recommended is None:
            return found
        return Suggestion(**vars(found) | {"model": Run(self.trials.out / found.recommended).load_model()})

    def _suitable(self) -> list[tuple[Candidate, Settings]]:
        """Return the candidates that suit the data and have no number yet, with their settings.

        Of candidates with the same settings, such as likelihood=auto and what it stands for, the first is tried.
        """
        found: list[tuple[Candidate, Settings]] = []
        seen: list[Settings] = []
        for candidate in CANDIDATES:
            try:
                settings = self.trials.settings(candidate)
            except InputError as refusal:
                if candidate.name not in self.rows:
                    self._add(Tried.of(candidate, f"left out ({refusal})"))
                continue
            if candidate.name not in self.rows and settings not in seen:
                found.append((candidate, settings))
            seen.append(settings)
        return found

    def _try(self, candidate: Candidate, settings: Settings, share: float) -> None:
        """Train and evaluate a candidate in a share of the time that is left, if there is any."""
        left = self.seconds - (time.monotonic() - self.begun)
        if left <= 0:
            self._add(Tried.of(candidate, "no time was left for it"))
            return
        row, values = self.trials.run(candidate, settings, share * left)
        if "validation" in values:
            self.values[candidate.name] = values["validation"]
        self._add(row)

    def _add(self, row: Tried) -> None:
        """Keep a row."""
        self.rows[row.name] = row
        if self.keep:
            self._write(self._suggestion())
        if self.ended is not None:
            self.ended(row)

    def _suggestion(self) -> Suggestion:
        """Return the comparison of the rows that are known."""
        data = self.trials.data
        weights = data.validation.observations().weights
        rows = compared(list(self.rows.values()), self.values, weights)
        recommended, sentences = recommend(rows, [candidate.name for candidate in CANDIDATES])
        facts = {
            "sha256": data.sha256(),
            "splits": {name: len(split) for name, split in data.splits.items()},
            "columns": data.dim,
            "binarisation": data.binarisation,
            "seed": self.trials.layer["seed"],
            "seconds": self.seconds,
        }
        return Suggestion(data.name, rows, recommended, sentences, facts, signal=self.signal)

    def _write(self, found: Suggestion) -> None:
        write_file(self.trials.out / _FILE, seal(found.to_dict()))
        write_file(self.trials.out / "suggest.md", found.to_markdown())


def _name(data: object) -> str:
    if not isinstance(data, str | Path):
        raise InputError(
            f"data: expected a data set, its name or a file; got {shown(data)} (Dataset.from_arrays takes arrays)"
        )
    return str(data)


def _require_suitable(data: Dataset) -> None:
    """Refuse data without rows to train or to validate on, or on the disk, which no evaluation takes."""
    training_rows(data)
    if isinstance(data.split("validation").observations(), Streamed):
        raise InputError(
            f"data: expected rows in memory; those of {data.name!r} stay on the disk (take some rows of the file)"
        )


@contextmanager
def _directory(out: str | Path | None, resume: bool) -> Iterator[Path]:
    """Give the directory of the run directories; without ``out`` it is removed afterwards."""
    if out is None:
        if resume:
            raise InputError("resume: expected out, the directory of the trial to continue; got none")
        with TemporaryDirectory() as folder:
            yield Path(folder)
        return
    path = Path(out)
    if path.exists() and (not path.is_dir() or any(path.iterdir())) and not resume:
        raise InputError(f"out: expected a new or empty directory; {str(path)!r} is not empty (--resume continues it)")
    if path.exists() and any(path.iterdir()) and not (path / _FILE).exists():
        raise InputError(f"out: {str(path)!r} is not empty and not from suggest; it is kept")
    path.mkdir(parents=True, exist_ok=True)
    yield path


def _earlier(trials: Trials, seed: int) -> dict[str, tuple[Tried, Tensor]]:
    """Return the models of an earlier trial that have a number, with the numbers of the validation rows."""
    if not (trials.out / _FILE).exists():
        return {}
    content = unseal(trials.out / _FILE, SuggestFile)
    facts, present = content["facts"], {"sha256": trials.data.sha256(), "seed": seed}
    if {name: facts.get(name) for name in present} != present:
        raise InputError(f"resume: {str(trials.out)!r} is a trial of other data or another seed; choose another --out")
    found = {}
    for row in content["rows"]:
        tried = Tried(**row)
        values = None if tried.failure is not None else _stored(trials.out / tried.name, tried)
        if values is not None:
            found[tried.name] = (tried, values)
    return found


def _stored(path: Path, tried: Tried) -> Tensor | None:
    """Return the numbers of the validation rows that a run holds; None where it does not."""
    try:
        run = Run(path)
    except InputError:  # removed since
        return None
    records = [record for record in run.evaluations() if (record.name, record.split) == (tried.number, "validation")]
    return run.values(records[-1]) if records else None

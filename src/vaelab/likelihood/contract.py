"""The contract of a likelihood estimate: from a model and observations to a value for each observation.

Every estimate has the signature ``estimate(model, observed, samples, seed, callback) -> BoundEstimate``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from torch import Tensor

from vaelab.data import Split
from vaelab.data.observations import Observations, Resident
from vaelab.data.weights import weighted_mean
from vaelab.errors import InputError
from vaelab.inputs import Table
from vaelab.likelihood.annealing import Start
from vaelab.models import Model, require_model

__all__ = ["BoundEstimate", "Callback", "Effort", "Interrupted", "Observed", "as_split", "finished"]

T = TypeVar("T")
Observed = Observations | Split | Table  # a split, or observations (N, X) of any kind of number
Callback = Callable[[int, int], None]  # called with the finished and the total work


@dataclass(frozen=True)
class Effort:
    """How much work the estimates of one evaluation may take.

    Attributes:
        samples: K, the codes of an observation.
        chains: of annealed importance sampling, for each observation.
        temperatures: of annealed importance sampling.
        start: where its path begins, ``posterior`` for q(z|x) or ``prior`` for p(z).
    """

    samples: int = 100
    chains: int = 16
    temperatures: int = 1000
    start: Start = "posterior"


@dataclass(frozen=True)
class BoundEstimate:
    """A bound on, or an estimate of, log p(x) of each observation, in nats.

    Attributes:
        values: one for each observation, (N,).
        weights: weights of the observations, (N,), with which means are taken; None where all count the same.
        interrupted: whether it is of the first observations alone, because the user interrupted it.
        parts: terms that add up to it, which are reported with it.
        diagnostics: other numbers for each observation, (N,) each.
        details: numbers about the estimate as a whole, which are reported with it.
        note: how to read it.

    >>> import torch
    >>> estimate = BoundEstimate(torch.tensor([-90.0, -92.0]))
    >>> estimate.mean, estimate.standard_error
    (-91.0, 1.0)
    """

    values: Tensor
    parts: Mapping[str, BoundEstimate] = field(default_factory=dict)
    diagnostics: Mapping[str, Tensor] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    weights: Tensor | None = None
    interrupted: bool = False

    @property
    def mean(self) -> float:
        """Mean over the observations."""
        return float(weighted_mean(self.values.double(), self.weights))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over the observations (nan for a single one).

        Weights that are whole numbers count rows. Of others, the error is that of a weighted sample,
        `sqrt(n / (n - 1) sum_b w_b^2 (v_b - mean)^2) / sum_b w_b` (Cochran, 1977, Sampling techniques, section 2.11).
        """
        values = self.values.double()
        if self.weights is None:
            return math.nan if len(values) < 2 else float(values.std() / math.sqrt(len(values)))
        weights = self.weights.to(values)
        values, weights = values[weights > 0], weights[weights > 0]
        total, squares = float(weights.sum()), (values - self.mean).square()
        if self.weights_count_rows:
            return math.nan if total < 2 else math.sqrt(float(weights @ squares) / (total - 1) / total)
        count = len(values)
        return math.nan if count < 2 else math.sqrt(count / (count - 1) * float(weights.square() @ squares)) / total

    @property
    def weights_count_rows(self) -> bool:
        """Whether the weights are whole numbers, so that each row stands for so many rows."""
        return self.weights is not None and bool((self.weights == self.weights.trunc()).all())


def as_split(model: Model, observed: Observed) -> Observations:
    """Return a split, such as ``data.test``, or observations (N, X) of any kind of number, as a model reads them.

    Raises:
        InputError: observations that are no table of numbers in [0, 1] on the model's device, no rows, or a split whose
            columns have other names, another order or other levels than those of the model.
    """
    if isinstance(observed, Split):
        require_model(model).require_same_table(observed)
        observed = observed.observations()
    if not isinstance(observed, Observations):
        observed = Resident(require_model(model).observations(observed), 1, redraw=False)
    if len(observed) == 0:
        raise InputError("x: expected at least one row; got none")
    return observed


class Interrupted(KeyboardInterrupt):
    """The user interrupted an estimate; ``estimate`` is of the observations that were done."""

    def __init__(self, estimate: BoundEstimate) -> None:
        super().__init__()
        self.estimate = estimate


def finished(parts: Iterable[T], estimate: Callable[[list[T]], BoundEstimate]) -> BoundEstimate:
    """Return the estimate that is made of the parts of a long computation.

    Raises:
        Interrupted: the user interrupted it after some parts; the exception has the estimate of these.
        KeyboardInterrupt: the user interrupted the first part.
    """
    done: list[T] = []
    try:
        for part in parts:
            done.append(part)  # noqa: PERF402 - one by one, so that an interrupt keeps them
    except KeyboardInterrupt:
        if not done:
            raise
        partial = estimate(done)
        marked = {name: replace(each, interrupted=True) for name, each in partial.parts.items()}
        raise Interrupted(replace(partial, parts=marked, interrupted=True)) from None
    return estimate(done)

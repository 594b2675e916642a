"""Density models: one module that returns a distribution over x itself. No code, no q(z|x), no bound."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple, Self, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data import Dataset, DataSpec, Observations
from vaelab.data.variables import ColumnKind
from vaelab.data.weights import weighted_mean
from vaelab.distributed import ALONE, Ranks
from vaelab.distributions import as_vector
from vaelab.errors import InputError, require_choice, require_int, require_number, shown
from vaelab.inputs import Table
from vaelab.likelihoods import Measure
from vaelab.models.model import Model, SampleKind, statistic
from vaelab.objectives import Estimate, LogLikelihood, Objective
from vaelab.seeds import seeded

__all__ = ["Counted", "DensityModel", "Differentiable", "Pass", "require_smoothing"]

_ROWS, _ELEMENTS = 1000, 4_000_000  # rows at once, at most; and numbers: 16 MB in float32
_WORDS: dict[ColumnKind, str] = {
    "binary": "bits",
    "categorical": "levels",
    "unit": "real numbers in [0, 1]",
    "real": "real numbers",
    "count": "counts",
}


class DensityModel(Model):
    """p(x) itself: a module whose call returns a distribution over x, with a density that needs no code.

    A subclass has :meth:`distribution`, and says in ``kinds`` which columns it is for and in ``has_marginals`` whether
    some columns have a density without the others. It learns in one of two ways: it is :class:`Counted` or
    :class:`Differentiable`. Log-densities are in nats per observation.

    Attributes:
        kinds: kinds of columns that it is for.
        has_marginals: whether some columns have a density without the others, so that values may be missing.
        measure: what log p(x) is the logarithm of.
        is_exact: whether :meth:`log_prob` is exact; False where a constant in it is estimated.

    Args:
        data: the data set, its spec, or the number of columns X, which are bits.

    Raises:
        InputError: columns of another kind, or data with what a conditional model is given.

    >>> from vaelab.models import independent
    >>> model = independent(3)
    >>> model(), model.log_prob(torch.ones(2, 3)).detach()
    (Bernoulli(logits: (3,)), tensor([-2.0794, -2.0794]))
    """

    kinds: ClassVar[tuple[ColumnKind, ...]] = ("binary",)
    has_marginals: bool = True
    measure: Measure = "probability"
    is_exact: bool = True

    def __init__(self, data: Dataset | DataSpec | int) -> None:
        super().__init__()
        self.spec = spec = DataSpec.of(data)
        self._columns = spec.dim
        self._require_columns(spec)

    @abstractmethod
    def distribution(self) -> Distribution:
        """Return p(x): event shape (X,), batch shape ()."""

    def forward(self) -> Distribution:
        """Return p(x), checked: event shape (X,), batch shape ().

        Raises:
            InputError: no distribution over vectors, or several.
        """
        distribution = as_vector(self.distribution(), "model")
        if distribution.batch_shape:
            got = tuple(distribution.batch_shape)
            raise InputError(f"model: expected one distribution over x, of batch shape (); got batch shape {got}")
        return distribution

    def learn_from(self, data: Dataset) -> None:
        """Choose by the training rows what the training does not change; most models choose nothing."""

    @property
    def data_dim(self) -> int:
        """The columns X of a row."""
        return self._columns

    @property
    def rows_at_once(self) -> int:
        """The rows whose densities are computed at once: fewer in a class that needs much memory for a row."""
        return max(1, min(_ROWS, _ELEMENTS // self.data_dim))

    def log_prob(self, x: Table) -> Tensor:
        """Return log p(x), in nats, shape (B,), for rows x (B, X); of the observed values where some are missing (NaN).

        Without a gradient (``torch.no_grad``) it takes a few rows at once, and so little memory for any number of them.

        Raises:
            InputError: rows that do not fit, or NaN in a model that does not allow missing values.
        """
        rows, distribution = self.observations(x), self()
        parts = [rows] if torch.is_grad_enabled() else rows.split(self.rows_at_once)
        return torch.cat([self.log_density(distribution, part) for part in parts])

    def values_of(
        self,
        observed: Observations,
        score: Callable[[Tensor], Tensor] | None = None,
        callback: Callable[[int, int], None] | None = None,
        ranks: Ranks = ALONE,
        at_once: int | None = None,
    ) -> Tensor:
        """Return log p(x) of every row of a split, or another score, float64 of shape (N,), a few rows at once.

        Args:
            observed: the split.
            score: from rows (B, X) in the model's type to a number for each, (B,); by default log p(x).
            callback: called with the rows done and all rows.
            ranks: of several, each computes every n-th part and returns zeros for the others: their sum is the result.
            at_once: rows whose scores are computed at once; None for ``rows_at_once``.
        """
        values, size = torch.zeros(len(observed), dtype=torch.float64), at_once or self.rows_at_once
        with torch.no_grad():
            if score is None:
                distribution = self()
                score = lambda x: self.log_density(distribution, x)  # noqa: E731
            for number, start in enumerate(range(0, len(observed), size)):
                rows = slice(start, min(start + size, len(observed)))
                if number % ranks.count == ranks.rank:
                    values[rows] = score(observed.bits(rows).to(self.any_weight)).double().cpu()
                if callback is not None:
                    callback(rows.stop, len(observed))
        return values

    def mean_log_prob(self, observed: Observations) -> float:
        """Return the mean of log p(x) over a split, in nats a row; the weighted mean where its rows have weights."""
        weights = observed.weights
        return float(weighted_mean(self.values_of(observed), None if weights is None else weights.cpu()))

    def sample(self, n: int, kind: SampleKind = "draw", seed: int | None = None, given: object = None) -> Tensor:
        """Draw n observations from p(x), shape (n, X).

        ``kind`` is ``draw``, or ``mean`` or ``mode``: the mean and the most probable value of p(x) are one row each,
        which is repeated n times. A call with a seed leaves torch's global generator as it was.

        Raises:
            InputError: ``n`` is less than 1, an unknown ``kind``, or ``given``, as no density model is conditional.
        """
        require_int("n", n, 1)
        require_choice("kind", kind, get_args(SampleKind))
        if given is not None:
            raise InputError(f"given: expected None, as {self.name} is not conditional; got {given!r}")
        with torch.no_grad(), seeded(seed, "sample"):
            distribution = self()
            if kind == "draw":
                draws: Tensor = distribution.sample(torch.Size((n,)))
                return draws
            return statistic("model", distribution, kind).expand(n, -1).clone()

    def allow_missing(self) -> Self:
        """Let values of x be missing: NaN in x is left out, and log p(x) is that of the observed values.

        Raises:
            InputError: a model that has no density of some of the columns.

        >>> from vaelab.models import independent
        >>> independent(3).allow_missing().log_prob(torch.tensor([[1.0, torch.nan, torch.nan]])).detach()
        tensor([-0.6931])
        """
        if not self.has_marginals:
            raise InputError(
                f"model: expected one with a density of the observed columns alone, as values of x are missing; "
                f"{self.name} has no density of some of its columns (independent and gaussian-vae have)"
            )
        return super().allow_missing()

    def _require_columns(self, spec: DataSpec) -> None:
        """Refuse columns of other kinds or another number, and what a conditional model is given."""
        if spec.given:
            raise InputError(
                f"condition: expected None, as {self.name} is not conditional; the data have "
                f"{spec.condition.words if spec.condition else spec.given} (gaussian-vae takes a condition)"
            )
        if spec.dim != self._columns:
            raise InputError(f"data: expected {self._columns} columns, for which the model was built; got {spec.dim}")
        for kind, start, _ in spec.groups:
            if kind not in self.kinds:
                which = f"column {spec.columns[start]!r} has" if spec.columns is not None else "the data have"
                kinds = " or ".join(_WORDS[each] for each in self.kinds)
                raise InputError(
                    f"data: {self.name} is for {kinds}, and {which} {_WORDS[kind]}; independent and gaussian-vae "
                    "take columns of every kind"
                )


class Pass(NamedTuple):
    """The results of a pass over the training rows, in nats a row.

    Attributes:
        train: the mean log p(x) of the training rows.
        validation: that of the validation rows.
        of: how many passes there can be at most.
        score: by which passes are compared; None for the validation.
    """

    train: float
    validation: float
    of: int = 1
    score: float | None = None


class Counted(DensityModel):
    """A density model that learns from counts, in passes over all training rows.

    What it learns are parameters; nothing takes a gradient. There are no checkpoints between passes: a training that
    was stopped starts again.
    """

    @abstractmethod
    def learn(self, train: Observations, validation: Observations, seed: int) -> Iterator[Pass]:
        """Improve the model in place, and yield the results of each pass.

        It ends with the state of the best pass. It is called without gradients, and starts anew each time, so
        that the same rows and seed give the same model. A row of weight 2 counts as two rows; NaN is a missing value.
        """


def require_smoothing(value: object, beside: str = "") -> float:
    """Return a smoothing, checked: a finite number above zero. The error also names a word that it may be instead.

    Raises:
        InputError: another value.

    >>> require_smoothing(2)
    2.0
    """
    try:
        smoothing = require_number("smoothing", value, 0)
    except InputError:
        smoothing = 0.0
    if smoothing > 0:
        return smoothing
    way = ", as a value that never occurred is possible"
    if value == "auto":
        way = " (bernoulli-mixture and tree-mixture choose it by 'auto')"
    raise InputError(
        f"smoothing: expected a number above 0{f' or {beside!r}' if beside else ''}{way}; got {shown(value)}"
    )


class Differentiable(DensityModel):
    """A density model that learns by gradients, in the training loop of the models with codes.

    Patience, schedule, averaged weights, checkpoints, resumption, ``--compile`` and several processes are those of the
    loop. State that is no parameter, such as the chains of a sampler, is in buffers, so that checkpoints hold it.

    Attributes:
        objective: what is maximised; its ``metric`` is the name of :meth:`validation_score` in the log.
        trained_as: the row of the table of models whose training is the default of this class; empty for none.
    """

    objective: ClassVar[Objective] = LogLikelihood()
    trained_as: ClassVar[str] = ""

    def estimate(self, x: Tensor) -> Estimate:
        """Return log p(x) of rows x (B, X) in the model's type, and the surrogate whose gradient is taken."""
        return Estimate.of_log_density(self.log_density(self(), x))

    def validation_score(self, x: Tensor) -> Tensor:
        """Return what chooses the weights on validation rows, (B,): log p(x), unless a class has a cheaper score."""
        return self.log_density(self(), x)

"""The result of an evaluation: numbers with their standard errors, which print themselves as a table."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, overload

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from vaelab.errors import InputError, did_you_mean, shown
from vaelab.evaluation.advice import advice, has_quotable_limit
from vaelab.evaluation.protocol import in_short, what_is_drawn

if TYPE_CHECKING:
    import pandas

__all__ = ["CurvePoint", "Evaluation", "EvaluationRecord"]

_WIDTH = 100  # characters of a printed line, at most
_ALWAYS = ("name", "samples", "value", "standard_error", "observations")  # keys of every record, null or not


class CurvePoint(BaseModel):
    """A bound of fewer codes.

    Args:
        samples: k.
        value, standard_error: its mean over the observations, and the standard error of it; None for a single one.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    samples: int
    value: float
    standard_error: float | None = None


class EvaluationRecord(BaseModel):
    """One number of an evaluation, in nats per observation unless it is a count. A run keeps it in evaluation.json.

    Args:
        name: the bound and its K, such as ``elbo`` or ``iwae-100``.
        samples: K, the codes drawn for each observation; None for a number without draws.
        value: the mean over the observations.
        standard_error: standard error of that mean; None for a single observation, and for a count.
        observations: how many observations; None for a count of units.
        split, binarisation, data, seed: what was evaluated, under which protocol, from which seed.
        trained_binarisation: binarisation that the model was trained under, if it is another.
        ex_post_prior: how the prior was fitted after the training, if it was: the number is then of another p(x) than
            the one that was trained.
        data_sha256, binarisation_seed, row_weights: checksum of the data, the seed of bits that are drawn once, and
            the SHA-256 of the weights of the rows, or ``none``.
        likelihood, likelihood_measure, condition: the name of p(x|z), whether it is a probability or a density, and
            what a conditional model is given, or ``none``.
        weights, weights_step: SHA-256 of the weights that were evaluated, None where no file holds them, and the step
            of the training that they are of.
        precision, device, versions: of the matrix products, ``bfloat16`` or the type of the weights (sums are in
            float64); ``cpu`` or ``cuda``; of vaelab and torch. None in records of earlier
            versions, as the others above. :data:`vaelab.evaluation.PROTOCOL` lists all that a number depends on.
        note: how to read the number.
        sampled: whether a KL is an average over the codes drawn, because it has no closed form.
        rows_of_split: how many rows the split has, where only the first were evaluated.
        rows_of_model: whether it is of rows that the model drew, not of those of the split.
        interrupted: whether the user interrupted it, so that it is of the first observations alone.
        seconds: how long it took.
        temperatures, kernel, start, acceptance: of annealed importance sampling, whose K are chains.
        median_pareto_shape, heavy_tailed: of importance weights, the shape of their tail, and the share of the
            observations for which it is above 0.7.
        median_effective_samples: median over the observations of `(sum_k w_k)^2 / sum_k w_k^2`, between 1 and K.
        curve: of ``iwae-K``, the same bound of k = 1, 10, 100, ..., K codes, from the same weights.
        limit, limit_standard_error: where ``curve`` tends to as K grows, by extrapolation, and how far that can be from
            the mean log p(x) of these observations, because of the codes drawn and of the fit.
        exponent: a, of the gap `c K^-a` between ``curve`` and ``limit``: 1 for weights that have a variance.
        change: how much the last halving of the grid's step changed an integral, in nats.
        best_estimate: the estimate of log p(x) that is closest to it for this model: ``exact``, ``quadrature`` or
            ``ais``.
        error, points: of an integral over points spread over p(z), how far it can be from the mean log p(x), in nats,
            and how many points.
        units: how many units the code has.
        nats, nats_per_active_unit: information that the active units carry, together and each.
        measure: what ``nats`` measures, ``KL`` or ``mutual information``.
        average_bit_entropy: mean entropy of the average bits of the code.
        observed_cells, row_cells: where values are missing, how many of a row are not, on average, and of how many.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    name: str
    samples: int | None = None
    value: int | float
    standard_error: float | None = None
    observations: int | None = None
    split: str
    binarisation: str
    data: str
    seed: int
    trained_binarisation: str | None = None
    ex_post_prior: str | None = None
    data_sha256: str | None = None
    binarisation_seed: int | None = None
    row_weights: str | None = None
    likelihood: str | None = None
    likelihood_measure: str | None = None
    condition: str | None = None
    weights: str | None = None
    weights_step: int | None = None
    precision: str | None = None
    device: str | None = None
    versions: dict[str, str] | None = None
    note: str = ""
    sampled: bool = False
    rows_of_split: int | None = None
    rows_of_model: bool = False
    interrupted: bool = False
    seconds: float | None = None
    temperatures: int | None = None
    kernel: str | None = None
    start: str | None = None
    acceptance: float | None = None
    median_pareto_shape: float | None = None
    heavy_tailed: float | None = None
    median_effective_samples: float | None = None
    curve: list[CurvePoint] | None = None
    limit: float | None = None
    limit_standard_error: float | None = None
    exponent: float | None = None
    change: float | None = None
    best_estimate: str | None = None
    error: float | None = None
    points: int | None = None
    units: int | None = None
    nats: float | None = None
    nats_per_active_unit: float | None = None
    measure: str | None = None
    average_bit_entropy: float | None = None
    observed_cells: float | None = None
    row_cells: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values; fields that do not apply to this number are left out."""
        return {**dict.fromkeys(_ALWAYS), **self.model_dump(mode="json", exclude_defaults=True)}

    def cells(self, digits: int = 3) -> tuple[str, str]:
        """Return the name, and the value with its standard error, as they are printed."""
        value = f"{self.value:.{digits}f}" if isinstance(self.value, float) else str(self.value)
        if self.standard_error is not None:
            value += f" ± {self.standard_error:.{digits}f}"
        if self.units is not None:
            value += f" of {self.units}"
        if self.nats_per_active_unit is not None:
            value += f", {self.nats_per_active_unit:.2f} nat each ({self.measure})"
        return f"{self.name} (sampled)" if self.sampled else self.name, value

    def remarks(self) -> list[str]:
        """Return how to read the number, and what is known of other K, in words."""
        return [text for text in (self._other_samples(), self.note) if text]

    def _other_samples(self) -> str:
        """Return the bound of fewer codes, and its limit as their number grows."""
        points = ", ".join(f"{point.value:.2f} ({point.samples:,})" for point in (self.curve or [])[:-1])
        if not points:
            return ""
        words = f"with fewer codes: {points}"
        if self.limit is None or self.limit_standard_error is None:
            return words
        so = "extrapolated" if has_quotable_limit(self) else "extrapolated, not to be quoted"
        return f"{words}; as K grows, to {self.limit:.2f} ± {self.limit_standard_error:.2f}, {so}"


@dataclass(frozen=True, repr=False)
class Evaluation(Sequence[EvaluationRecord]):
    """The records of one evaluation, in order: a sequence that is printed as a table.

    Args:
        records: the numbers.
        values: for the name of each mean, the values of all observations, shape (N,). Where values are missing,
            ``observed`` is how many of each observation are not.

    >>> elbo = EvaluationRecord(
    ...     name="elbo", value=-109.8, standard_error=0.3, observations=100,
    ...     split="test", binarisation="dynamic", data="mnist", seed=0,
    ... )
    >>> result = Evaluation((elbo,))
    >>> print(str(result).splitlines()[0])
    elbo  -109.800 ± 0.300
    >>> result["elbo"].value, result.to_dict()["elbo"]["standard_error"]
    (-109.8, 0.3)
    """

    records: tuple[EvaluationRecord, ...]
    values: Mapping[str, Tensor] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EvaluationRecord]:
        return iter(self.records)

    @overload
    def __getitem__(self, key: int | str) -> EvaluationRecord: ...
    @overload
    def __getitem__(self, key: slice) -> Evaluation: ...
    def __getitem__(self, key: int | str | slice) -> EvaluationRecord | Evaluation:
        """Return a record by its name or place; a bound's name without its K gives the one with the largest K."""
        if isinstance(key, slice):
            return Evaluation(self.records[key], self.values)
        if not isinstance(key, str):
            return self.records[key]
        found = [
            record
            for record in self.records
            if record.name in (key, f"{key}-{record.samples}", f"{key}-{record.temperatures}")
        ]
        if not found:
            names = [record.name for record in self.records]
            raise InputError(f"name: expected one of {', '.join(names)}; got {shown(key)}{did_you_mean(key, names)}")
        return max(found, key=lambda record: record.samples or 0)

    def of_weights(self, weights: str, step: int | None = None) -> Evaluation:
        """Return the same evaluation with the SHA-256 and the step of the evaluated weights in every record."""
        return self._with(weights=weights, weights_step=step)

    def trained_under(self, binarisation: str) -> Evaluation:
        """Return the same evaluation; its records name the binarisation of the training if it is another."""
        other = any(record.binarisation != binarisation for record in self.records)
        return self._with(trained_binarisation=binarisation) if other else self

    def _with(self, **fields: Any) -> Evaluation:
        return Evaluation(tuple(record.model_copy(update=fields) for record in self.records), self.values)

    def protocol(self) -> str:
        """Return what was evaluated, in one line; empty where there is no record."""
        if not self.records:
            return ""
        of_split = [record for record in self.records if not record.rows_of_model] or self.records
        first = next((record for record in of_split if what_is_drawn(record)), of_split[0])
        return f"(nats per observation; {in_short(first)})"

    def advice(self) -> list[str]:
        """Return sentences on the numbers that should not be quoted, and on what to quote instead."""
        return advice(self.records)

    def _texts(self) -> list[str]:
        """Return what is printed below the table: the protocol, what is not of the split, and the advice."""
        drawn = (record.note for record in self.records if record.rows_of_model)
        return [text for text in (self.protocol(), *drawn, *self.advice()) if text]

    def __str__(self) -> str:
        cells = [record.cells() for record in self.records]
        width = max((len(name) for name, _ in cells), default=0)
        if not cells:
            return ""
        columns = min(_WIDTH, shutil.get_terminal_size().columns)
        texts = [line for text in self._texts() for line in _wrapped(text, columns)]
        fits = all(width + 2 + len(value) <= columns for _, value in cells)
        table = [f"{name:{width}}  {value}" if fits else f"{name}\n  {value}" for name, value in cells]
        return "\n".join([*table, *texts])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in (record.cells() for record in self.records)
        )
        below = "".join(f"<p>{escape(text)}</p>" for text in self._texts())
        return f"<table>{rows}</table>{below}"

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return each record as JSON values, under its name."""
        return {record.name: record.to_dict() for record in self.records}

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas data frame with one row for each record.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise InputError(
                "to_frame: expected pandas to be installed (pip install pandas); to_dict() works without it"
            ) from None
        return pandas.DataFrame([record.to_dict() for record in self.records]).set_index("name")


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text between words; the further lines are indented."""
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)

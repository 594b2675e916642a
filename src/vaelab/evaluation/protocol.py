"""The protocol of a number: all that it depends on, stored and printed with it, and compared before two share a table.

The list :data:`PROTOCOL` is the one place that says which fields of a record these are, and what a difference means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch

from vaelab.data import Dataset, Observations
from vaelab.data.condition import Condition
from vaelab.likelihoods import columns_of
from vaelab.models import DensityModel, LatentVariableModel, Model
from vaelab.seeds import DATA_SEED
from vaelab.storage import versions

if TYPE_CHECKING:
    from vaelab.evaluation.result import EvaluationRecord

__all__ = [
    "PROTOCOL",
    "Fact",
    "Role",
    "compared_in_words",
    "differences",
    "in_short",
    "in_words",
    "key_of",
    "protocol_of",
    "replaces",
    "sha256_of_weights",
    "shared_facts",
    "what_is_drawn",
]

Role = Literal["rows", "compared", "identifies", "shown"]
Fields = Mapping[str, Any]
NOT_RECORDED = "not recorded"
_SHORT = 8  # characters of a SHA-256 in a line of text
_ANY_NUMBER_OF_CODES = ("elbo", "reconstruction", "kl")  # more codes only reduce the noise of these
_LOG_LIKELIHOOD = ("exact", "quadrature")  # log p(x) itself


@dataclass(frozen=True)
class Fact:
    """Something that a number depends on: a field of :class:`~vaelab.evaluation.EvaluationRecord`.

    Attributes:
        name: the field. None in it means that the fact is not recorded, or has no meaning for the number; such numbers
            are taken to agree with all others.
        title: its name in texts.
        role: ``rows``: numbers that differ in it are of other rows, and do not compare. ``compared``: they are of the
            same rows, and do not compare either. ``identifies``: they do, and a run keeps both.
            ``shown``: they do, and a run keeps the newer one.
        words: from a value to a text.
        absent: the text for None; empty where the fact is then left out.
        value: from all fields to what is compared; None for the field itself.
    """

    name: str
    title: str
    role: Role = "shown"
    words: Callable[[Any], str] = str
    absent: str = ""
    value: Callable[[Fields], Any] | None = None

    def compared(self, fields: Fields) -> Any:
        """Return what is compared of a number."""
        return fields.get(self.name) if self.value is None else self.value(fields)

    def text(self, value: Any) -> str:
        """Return a value in words."""
        return self.absent if value is None else self.words(value)


def _bound(fields: Fields) -> Any:
    """Return the name of a number, which has its K; two ways to log p(x) itself have one."""
    name = fields.get("name")
    return "log p(x)" if name in _LOG_LIKELIHOOD else name


def _codes(fields: Fields) -> Any:
    return None if fields.get("name") in _ANY_NUMBER_OF_CODES else fields.get("samples")


def _count(value: int) -> str:
    return f"{value:,}"


def _digest(value: str) -> str:
    return value if value == "none" else value[:_SHORT]


def _named_versions(value: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in value.items())


PROTOCOL: tuple[Fact, ...] = (
    Fact("name", "bound", "compared", value=_bound),
    Fact("samples", "codes of a row", "compared", _count, value=_codes),
    Fact("temperatures", "temperatures", "compared", _count),
    Fact("start", "start of the chains", "compared"),
    Fact("kernel", "kernel of the chains", "identifies"),
    Fact("data", "data"),
    Fact("data_sha256", "SHA-256 of the data", "rows", _digest, NOT_RECORDED),
    Fact("split", "split", "rows"),
    Fact("observations", "rows", "rows", _count),
    Fact("rows_of_split", "rows of the whole split", "rows", _count),
    Fact("rows_of_model", "rows that the model drew", "rows", lambda value: "yes" if value else ""),
    Fact("row_weights", "weights of the rows", "rows", _digest, NOT_RECORDED),
    Fact("observed_cells", "values observed of a row", "rows", lambda value: f"{value:.4g}"),
    Fact("binarisation", "binarisation", "rows"),
    Fact("binarisation_seed", "seed of bits drawn once", "rows"),
    Fact("trained_binarisation", "binarisation of the training"),
    Fact("ex_post_prior", "prior fitted after the training"),
    Fact("likelihood", "likelihood", absent=NOT_RECORDED),
    Fact("likelihood_measure", "measure of the likelihood", "compared", absent=NOT_RECORDED),
    Fact("condition", "condition", "compared", absent=NOT_RECORDED),
    Fact("seed", "seed of the codes", "identifies"),
    Fact("weights", "SHA-256 of the weights", "identifies", _digest, "in no file"),
    Fact("weights_step", "step of the weights", "shown", _count, NOT_RECORDED),
    Fact("precision", "precision", "identifies", absent=NOT_RECORDED),
    Fact("device", "device", absent=NOT_RECORDED),
    Fact("versions", "versions", "shown", _named_versions, NOT_RECORDED),
    Fact("seconds", "seconds", "shown", lambda value: f"{value:,.1f}", NOT_RECORDED),
)
# Files of all versions name the values of a number by these.
_KEY = ("name", "samples", "split", "binarisation", "data", "seed", "weights", "rows_of_split", "observations")
_FURTHER = [fact.name for fact in PROTOCOL if fact.role != "shown" and fact.name not in _KEY]


def protocol_of(
    model: Model, data: Dataset, split: str, observed: Observations, seed: int, precision: str
) -> dict[str, Any]:
    """Return the facts that all numbers of an evaluation share, under the names of the fields."""
    bit_rule = data.split(split).bit_rule
    drawn_once = bit_rule is not None and bit_rule.how == "draw once"
    return {
        "split": split,
        "data": data.name,
        "row_weights": sha256_of_weights(observed.weights),
        "binarisation_seed": DATA_SEED if drawn_once else None,
        "ex_post_prior": model.ex_post_prior or None,
        **shared_facts(model, data.sha256(), data.binarisation, data.condition),
        "seed": seed,
        "precision": "bfloat16" if precision == "bfloat16" else str(model.any_weight.dtype).removeprefix("torch."),
        "device": model.any_weight.device.type,
        "versions": {name: version for name, version in versions().items() if name in ("vaelab", "torch")},
    }


def shared_facts(model: Model, data_sha256: str, binarisation: str, condition: Condition | None) -> dict[str, Any]:
    """Return the facts that every number of a model on its data has, under the names of the fields."""
    name, measure = _likelihood_of(model)
    words = "none" if condition is None else condition.words
    return {
        "data_sha256": data_sha256,
        "binarisation": binarisation,
        "likelihood": name,
        "likelihood_measure": measure,
        "condition": words if isinstance(words, str) else ", ".join(words),
    }


def _likelihood_of(model: Model) -> tuple[str | None, str | None]:
    """Return the name of p(x|z), and what log p(x) is the logarithm of, as far as they are known."""
    if isinstance(model, DensityModel):
        return None, model.measure
    likelihood = cast(LatentVariableModel, model).likelihood
    columns = columns_of(likelihood)
    return (type(likelihood).__name__, None) if columns is None else (columns.name, columns.measure)


def differences(numbers: Mapping[str, Fields], roles: Collection[Role] = ("rows", "compared")) -> list[str]:
    """Return why numbers do not compare, a text for each fact in which they differ; empty if they do.

    ``numbers`` has the fields of each number, or what is known of them, under the title of its run. A fact that is not
    recorded is taken to agree.

    >>> one = {"name": "iwae-5", "samples": 5, "observations": 100}
    >>> differences({"a": one, "b": one | {"observations": 20}, "c": one | {"seed": 3}})
    ['rows (a: 100; b: 20; c: 100)']
    """
    return [text for fact in PROTOCOL if fact.role in roles and (text := _difference(fact, numbers))]


def _difference(fact: Fact, numbers: Mapping[str, Fields]) -> str:
    found = {title: fact.compared(fields) for title, fields in numbers.items()}
    known = [value for value in found.values() if value is not None]
    if all(value == known[0] for value in known):
        return ""
    texts = [f"{title}: {fact.text(value) or NOT_RECORDED}" for title, value in found.items()]
    return f"{fact.title} ({'; '.join(texts)})"


def key_of(fields: Fields) -> str:
    """Return the text under which a run keeps the values of the observations of a number."""
    key: list[Any] = [fields.get(name) for name in _KEY]
    known = {name: fields[name] for name in _FURTHER if fields.get(name) is not None}
    return json.dumps([*key, known] if fields.get("versions") else key)


def replaces(new: Fields, old: Fields) -> bool:
    """Return whether a number takes the place of an older one in a run: they agree in all that identifies them."""
    if any(new.get(name) != old.get(name) for name in _KEY):
        return False
    pairs = [(new.get(name), old.get(name)) for name in _FURTHER]
    return all(one == other for one, other in pairs if one is not None and other is not None)


def compared_in_words(fields: Fields) -> list[tuple[str, str]]:
    """Return what has to be the same for numbers to compare, as pairs of a name and a text, as far as it is known."""
    values = [(fact, fact.compared(fields)) for fact in PROTOCOL if fact.role in ("rows", "compared")]
    return [(fact.title, fact.text(value)) for fact, value in values if value is not None]


def in_words(record: EvaluationRecord) -> list[tuple[str, str]]:
    """Return the protocol of a number as pairs of a name and a text; old records have facts that are not recorded."""
    fields, drawn = dict(record), what_is_drawn(record)
    titles = {fact.name: fact.title for fact in PROTOCOL} | {"seed": drawn and f"seed of the {drawn}"}
    pairs = [(titles[fact.name], fact.text(fields.get(fact.name))) for fact in PROTOCOL]
    return [(title, text) for title, text in pairs if title and text]


def in_short(record: EvaluationRecord) -> str:
    """Return the protocol of the numbers of an evaluation in a line, without what is not recorded."""
    rows = "" if record.observations is None else f"{record.observations:,} observations"
    if record.rows_of_split is not None:
        rows = f"the first {record.observations:,} of {record.rows_of_split:,} observations"
    parts = [
        ", ".join(part for part in (rows, f"{record.split} split of {record.data}", _data_in_short(record)) if part)
    ]
    if record.observed_cells is not None:
        parts.append(f"{record.observed_cells:.3g} of {record.row_cells} values observed, on average")
    if record.trained_binarisation:
        parts.append(f"trained under {record.trained_binarisation}")
    if record.ex_post_prior:
        parts.append(f"prior fitted after the training ({record.ex_post_prior})")
    if record.likelihood:
        given = "" if record.condition in (None, "none") else f" given {record.condition}"
        parts.append(f"{record.likelihood} likelihood{given}")
    if record.versions:
        step = "" if record.weights_step is None else f" of step {record.weights_step:,}"
        weights = "" if record.weights is None else f"weights {record.weights[:_SHORT]}{step}, "
        drawn = what_is_drawn(record)
        drawn = drawn and f"{drawn} from seed {record.seed}, "
        where = f"matrix products in {record.precision} on {record.device}"
        parts.append(f"{weights}{drawn}{where}, {_named_versions(record.versions)}")
    return "; ".join(parts)


def what_is_drawn(record: EvaluationRecord) -> str:
    """Return what is drawn from the seed of a number, in a word; nothing for an exact number."""
    if record.name == "exact":
        return ""
    return "walks" if "log_partition" in dict(record) else "codes"


def _data_in_short(record: EvaluationRecord) -> str:
    sha256 = "" if record.data_sha256 is None else f"SHA-256 {record.data_sha256[:_SHORT]}, "
    seed = "" if record.binarisation_seed is None else f" with seed {record.binarisation_seed}"
    return f"{sha256}binarisation {record.binarisation}{seed}"


def sha256_of_weights(weights: torch.Tensor | None) -> str:
    """Return the SHA-256 of the weights of rows; ``none`` where all count the same."""
    if weights is None:
        return "none"
    return hashlib.sha256(np.ascontiguousarray(weights.cpu().numpy(), dtype="<f4").data).hexdigest()

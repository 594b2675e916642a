"""The model card: what a saved model is, how it was trained, its numbers, its use and its limits, as README.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from vaelab.storage import versions

if TYPE_CHECKING:
    from vaelab.models.latent import LatentVariableModel
    from vaelab.models.model import Model

__all__ = ["CARD_FILE", "CARD_MARK", "Number", "write_card"]

CARD_FILE, CARD_MARK = "README.md", "library_name: vaelab"
_TAGS = ("latent-variable-model", "variational-autoencoder")
_CODES = {"real": "{D} real numbers", "bits": "{D} bits", "point": "{D} real numbers, without noise"}
_COLUMNS = 20  # names of columns in a card


class Number(Protocol):
    """One number of an evaluation, as :class:`vaelab.evaluation.EvaluationRecord` is."""

    @property
    def name(self) -> str: ...
    @property
    def samples(self) -> int | None: ...
    @property
    def value(self) -> float: ...
    @property
    def standard_error(self) -> float | None: ...
    @property
    def observations(self) -> int | None: ...
    @property
    def split(self) -> str: ...
    @property
    def binarisation(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def note(self) -> str: ...
    def cells(self) -> tuple[str, str]:
        """Return the name, and the value with its standard error, as they are printed."""


def write_card(
    model: Model, title: str, numbers: Iterable[Number] = (), training: Mapping[str, str] | None = None
) -> str:
    """Return the text of a model card, in Markdown with metadata for a hub.

    Args:
        model: the model.
        title: its name.
        numbers: of an evaluation of these weights, each with its protocol.
        training: how the model was trained, in words.

    Source: Mitchell et al. (2019), Model cards for model reporting, https://arxiv.org/abs/1810.03993.

    >>> from vaelab.models import gaussian_vae
    >>> print(write_card(gaussian_vae(6, latent_dim=2), "digits")[:110])
    ---
    library_name: vaelab
    tags:
    - latent-variable-model
    - variational-autoencoder
    - gaussian-vae
    ---
    <BLANKLINE>
    # digits
    """
    numbers = list(numbers)
    sections = {
        "": _model(model),
        "Data": _data(model),
        "Training": _table(("setting", "value"), list((training or {}).items()))
        or "How this model was trained was not recorded with it.",
        "Numbers": _numbers(numbers),
        "Use": _USE if _latent(model) is not None else _USE.replace(*_OF_CODES),
        "Intended use": _INTENDED,
        "Limits": _limits(model, numbers),
    }
    body = "\n\n".join(f"## {name}\n\n{text}" if name else f"# {title}\n\n{text}" for name, text in sections.items())
    return f"---\n{yaml.safe_dump(_metadata(model, title, numbers), sort_keys=False)}---\n\n{body}\n"


def _metadata(model: Model, title: str, numbers: list[Number]) -> dict[str, Any]:
    """Return what a hub reads: the library, tags, and the numbers that are means."""
    kind = [model.built_with.name] if model.built_with else []
    metadata: dict[str, Any] = {
        CARD_MARK.partition(":")[0]: CARD_MARK.partition(": ")[2],
        "tags": [*(("density-model",) if _latent(model) is None else _TAGS), *kind],
    }
    results = [
        {
            "task": {"type": "density-estimation"},
            "dataset": {"type": number.data, "name": number.data, "split": number.split},
            "metrics": [{"type": number.name, "name": f"{number.name}, nats per observation", "value": number.value}],
        }
        for number in numbers
        if number.standard_error is not None
    ]
    return metadata | ({"model-index": [{"name": title, "results": results}]} if results else {})


def _latent(model: Model) -> LatentVariableModel | None:
    """Return the model if it has codes."""
    from vaelab.models.latent import LatentVariableModel  # here: a model is written by what this file says of it

    return model if isinstance(model, LatentVariableModel) else None


def _model(model: Model) -> str:
    name = f"`{model.built_with.name}`" if model.built_with else f"`{type(model).__name__}`"
    weights = sum(weight.numel() for weight in model.parameters())
    options = model.built_with.options if model.built_with else {}
    table = f"\n\n{_table(('option', 'value'), list(options.items()))}" if options else ""
    latent = _latent(model)
    if latent is None:
        return (
            f"A density model p(x) without codes, made by vaelab: {name}, for observations x of {model.data_dim} "
            f"columns. It has {weights:,} parameters.{table}"
        )
    code = _CODES[latent.code].format(D=latent.latent_dim)
    layers = f" in layers of {', '.join(map(str, latent.layers))}" if latent.layers else ""
    text = (
        f"A deep latent-variable model p(x, z) = p(z) p(x|z) with an approximate posterior q(z|x), made by vaelab: "
        f"{name}, with a code z of {code}{layers}, for observations x of {model.data_dim - model.given} columns. "
        f"It has {weights:,} parameters."
    )
    if model.ex_post_prior:
        text += f" Its prior was fitted after the training to the codes of the training rows: {model.ex_post_prior}."
    return text + table


def _data(model: Model) -> str:
    spec = model.spec
    if spec is None:
        return "The form of the data was not recorded with the model."
    facts: dict[str, Any] = {
        "shape of an observation": " x ".join(map(str, spec.event_shape)),
        "kind of values": spec.kind,
    }
    facts |= {"binarisation": spec.binarisation} if spec.binarisation else {}
    facts |= {"given beside an observation": spec.condition.words} if spec.condition else {}
    facts["missing values"] = "the model accepts them" if spec.may_be_missing else "the model was not trained with any"
    columns = spec.columns or ()
    if spec.variables is not None:
        columns = tuple(f"{column.name} ({column.kind})" for column in spec.variables)
    if columns:
        more = f" and {len(columns) - _COLUMNS:,} more" if len(columns) > _COLUMNS else ""
        facts["columns"] = ", ".join(columns[:_COLUMNS]) + more
    return _table(("property", "value"), list(facts.items()))


def _numbers(numbers: list[Number]) -> str:
    """Return the numbers as a table, each with its protocol."""
    if not numbers:
        return "No evaluation of these weights was recorded (`vaelab evaluate` makes one)."
    header = ("number", "value", "K", "observations", "split", "data", "binarisation")
    rows = [
        (*number.cells(), number.samples, number.observations, number.split, number.data, number.binarisation)
        for number in numbers
    ]
    notes = dict.fromkeys(f"- {number.name}: {number.note}" for number in numbers if number.note)
    text = (
        "Values are means in nats per observation, ± one standard error over the observations, unless they are counts. "
        "K is the number of codes drawn for each observation. `elbo` and `iwae-K` are lower bounds on log p(x)."
    )
    seeds = ", ".join(sorted({str(number.seed) for number in numbers}))
    text += f" The codes are drawn from seed {seeds}."
    return "\n\n".join([text, _table(header, rows), *(["\n".join(notes)] if notes else [])])


_USE = """\
```python
import vaelab

model = vaelab.load("DIRECTORY")  # this directory; or vaelab.from_pretrained("OWNER/NAME", download=True)
codes = model.encode(x)           # posterior means, for observations x of the columns above
rows = model.sample(64)           # draws from p(x)
```

The files are safetensors and JSON. Nothing in them is executed when they are loaded."""

_OF_CODES = (
    "codes = model.encode(x)           # posterior means, for",
    "values = model.log_prob(x)        # log p(x), for",
)

_INTENDED = """\
Codes, reconstructions, samples and densities of observations that come from the source of the training data, have the
same columns in the same coding, and went through the same binarisation. Teaching and research on latent-variable
models."""


def _limits(model: Model, numbers: list[Number]) -> str:
    latent = _latent(model)
    limits = [
        f"The model gives {'a density' if latent is None else 'a code and a density'} to any row of the right form, "
        "also to one of another source. Whether such numbers mean anything was not tested.",
        "A low density does not prove that a row is wrong, and a high one does not prove that it is right.",
        "Samples and reconstructions are made up by the model. They are not records, and they may resemble "
        "training rows.",
        "The weights can reveal facts about the training data, and names and levels of columns are in the files. "
        "No method for privacy was used.",
        "Relations between columns are associations in the training data, also unfair ones; they are not causes. Do "
        "not base decisions about people on this model alone.",
    ]
    if numbers:
        limits.append(
            "The numbers above hold for their data, split and binarisation only; do not compare them with numbers of "
            "other protocols."
        )
    if latent is not None and latent.code == "point":
        limits.append("A deterministic auto-encoder has no likelihood of x, so no bound on log p(x) exists for it.")
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    return "\n".join(f"- {limit}" for limit in limits) + f"\n\nWritten by {made_by}."


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    """Return a table in Markdown; empty without rows."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) if rows else ""


def _cell(value: object) -> str:
    """Return a value for one cell of a table: no line breaks, no borders, no tags."""
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

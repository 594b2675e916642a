"""The tables of docs/settings.md, generated from the code: `python docs/settings_table.py` prints them.

Names, types and defaults come from vaelab, and so do meanings that are in the Args of a docstring. The other meanings
are here. An option without a meaning, or a meaning without an option, is an error, so the build fails until a new
option is explained.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from vaelab.estimators import ESTIMATORS
from vaelab.models import MODELS
from vaelab.objectives import OBJECTIVES
from vaelab.settings import Settings, TrainingSettings, options_of, resolve

MEANINGS = {
    "model": "the model; the first argument of `vaelab train`",
    "data": "a named data set or the path of a file; also `--data`",
    "seed": "seed of everything random; also `--seed`",
    "device": "`auto` (an NVIDIA GPU if there is one, else the CPU), `cpu` or `cuda`; also `--device`",
    "objective": "the function that is maximised: `objective.name` and its options below",
    "estimator": "the estimator of its gradient: `estimator.name` and its options below",
    "training": "length and optimiser of the training: below",
    "training.batch_size": "observations per step; at most as many as the training split has",
    "training.learning_rate": "Adam's learning rate, before warm-up and decay; if unset, that of the model, reduced "
    "for wide data",
    "autoencoder.latent_dim": "code size D; two can be drawn as a map",
    "network": "`mlp`: fully connected layers; `gated-mlp`: the same with gates; for images `conv`: convolutions "
    "before the fully connected layers, or `resnet`: residual blocks too; see [networks](models.md#networks)",
    "likelihood": "the distribution of x given z; `auto` chooses it by the kinds of the columns: "
    "[likelihoods](models.md#likelihoods)",
    "gaussian-vae.prior": "`normal`: N(0, I)",
    "bernoulli-vae.prior": "every bit is 1 with probability 1/2 (`uniform`), or the logits of the prior are trained "
    "(`learned`)",
    "autoencoder.components": "number of components of the mixture of codes; of several numbers, the one with the "
    "lowest BIC, and the search continues beyond the largest or smallest if that wins",
}


def type_name(kind: Any) -> str:
    """Write a type in plain words."""
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if origin is Union or type(kind).__name__ == "UnionType":
        return " or ".join("unset" if part is type(None) else type_name(part) for part in get_args(kind))
    if origin is not None and get_args(kind) and origin is not dict:
        head, *rest = type_name(get_args(kind)[0]).partition(" ")
        return f"list of {head}s{''.join(rest)}"
    return {int: "integer", float: "number", str: "text", bool: "true or false"}.get(kind, "table")


def default_name(default: Any) -> str:
    """Write a default as it would be typed after `key=`."""
    if default is inspect.Parameter.empty:
        return "required"
    if default is None:
        return "unset"
    if isinstance(default, bool | tuple):
        return f"`{json.dumps(default)}`"
    return f"`{default:.3g}`" if isinstance(default, float) else f"`{default}`"


def documented(build: object, option: str) -> str | None:
    """Return what the Args of a function's docstring, or of a class's or a base's, say of an option."""
    for kind in getattr(build, "__mro__", (build,)):
        arguments = (inspect.getdoc(kind) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
        if found := re.search(rf"^    {option}: (.*(?:\n     .*)*)", arguments, re.MULTILINE):
            text = " ".join(found[1].split()).replace("``", "`").rstrip(".")
            return text
    return None


class _Meanings:
    def __init__(self) -> None:
        self.used: set[str] = set()

    def of(self, *keys: str, build: object = None) -> str:
        """Return the meaning under the first known key, or in the docstring of ``build``, or fail."""
        for key in keys:
            if key in MEANINGS:
                self.used.add(key)
                return MEANINGS[key]
        if found := documented(build, keys[0].rsplit(".", 1)[-1]):
            return found
        raise SystemExit(f"docs/settings_table.py: {keys[0]} has no meaning; add it to MEANINGS")


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join(lines + [f"| `{key}` | {kind} | {default} | {what} |" for key, kind, default, what in rows])


def _chosen(chosen: dict[str, Any]) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in chosen.items())


def markdown() -> str:
    """Return every table, as Markdown."""
    meanings = _Meanings()
    parts = ["## Every model", ""]
    rows = []
    for name, field in Settings.model_fields.items():
        default = "by model, below" if name in ("objective", "estimator") else default_name(field.default)
        default = {"model": "required", "training": "for the data, above"}.get(name, default)
        rows.append((name, type_name(field.annotation), default, field.description or meanings.of(name)))
    parts += [_table(rows), "", "## Training", ""]
    training = resolve(next(iter(MODELS))).training
    rows = []
    for name, field in TrainingSettings.model_fields.items():
        what = field.description or meanings.of(f"training.{name}")
        rows.append((f"training.{name}", type_name(field.annotation), default_name(getattr(training, name)), what))
    parts += [_table(rows), ""]
    for model, row in MODELS.items():
        settings = resolve(model)
        rows = [
            (key, type_name(kind), default_name(default), meanings.of(f"{model}.{key}", key, build=row.build))
            for key, (kind, default) in options_of(row.build).items()
        ]
        parts += [f"## `{model}`", "", _table(rows), ""]
        if settings.objective is None or settings.estimator is None:
            steps = " It learns in passes over all rows, so it has no settings of the training." * (
                "training" in row.absent
            )
            parts += [f"A density model: it has no objective and no estimator.{steps}", ""]
        else:
            objective, estimator = _chosen(settings.objective), _chosen(settings.estimator)
            parts += [f"Default objective: {objective}. Default estimator: {estimator}.", ""]
    for key, table in (("objective", OBJECTIVES), ("estimator", ESTIMATORS)):
        rows = []
        for name, build in table.items():
            for option, (kind, default) in options_of(build).items():
                what = meanings.of(f"{key}.{name}.{option}", f"{key}.{option}", build=build)
                rows.append((f"{key}.{option}", type_name(kind), default_name(default), f"`{name}`: {what}"))
        names = ", ".join(f"`{name}`" for name in table)
        parts += [f"## The {key}", "", f"`{key}.name` is one of {names}. Options:", "", _table(rows), ""]
    if unused := set(MEANINGS) - meanings.used:
        raise SystemExit(f"docs/settings_table.py: no such setting: {', '.join(sorted(unused))}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(markdown())

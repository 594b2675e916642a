"""The tables of docs/settings.md, read off the code: `python docs/settings_table.py` prints them.

Names, types and defaults come from vaelab itself, and so do meanings where a class has them in the Args of its
docstring. The others stand here. An option without a meaning, or a meaning without an option, is an error, so a new
option fails the build until it is explained.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from vaelab.estimators import ESTIMATORS
from vaelab.models import MODELS
from vaelab.objectives import OBJECTIVES
from vaelab.settings import Settings, TrainingSettings, options_of, resolve

MEANINGS = {
    "model": "which model; the first word after `vaelab train`",
    "data": "a named data set or the path of a file; `--data` sets it too",
    "binarisation": "how grey levels become bits; ignored for data that are bits already",
    "seed": "seed of everything random; `--seed` sets it too",
    "device": "`auto` (an NVIDIA GPU if there is one, else the CPU), `cpu`, `cuda`; `--device` sets it too",
    "objective": "what is maximised: `objective.name` and its options below",
    "estimator": "how its gradient is estimated: `estimator.name` and its options below",
    "training": "length and steps of the optimisation: below",
    "training.batch_size": "observations a step; at most the rows of the training split are used",
    "training.learning_rate": "Adam's step size, before warm-up and decay; unset, the model's, lower for wide data",
    "gaussian-vae.latent_dim": "code size D; unset, half the number of columns, from 2 to 20",
    "bernoulli-vae.latent_dim": "code size D; unset, the number of columns, from 2 to 200",
    "autoencoder.latent_dim": "code size D; two, so that it can be drawn",
    "hidden_dims": "widths of the encoder's hidden layers; the decoder mirrors them; `[]` makes both linear",
    "activation": "non-linearity of the hidden layers",
    "bernoulli-vae.prior": "every bit has probability 1/2 (`uniform`), or the prior's logits are trained (`learned`)",
    "autoencoder.components": "components of the mixture of codes; of several numbers the lowest BIC chooses, and "
    "the search goes on while its edge wins",
    "autoencoder.covariance": "covariance matrices of the mixture's components",
    "sbn.hidden_dims": "widths of hidden layers between the layers of bits; `[]` makes them linear",
    "deep-gaussian-vae.hidden_dims": "for each layer, widths of the hidden layers between it and what lies below",
    "objective.kl": "the KL's part in the gradient: of the distributions (`closed-form`) or of the codes (`sampled`)",
    "objective.beta": "weight of the KL term while training; the reported bound always has 1",
}


def type_name(kind: Any) -> str:
    """Write a type in plain words."""
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if origin is Union or type(kind).__name__ == "UnionType":
        return " or ".join("unset" if part is type(None) else type_name(part) for part in get_args(kind))
    if origin is not None and get_args(kind) and origin is not dict:
        return f"list of {type_name(get_args(kind)[0])}s"
    return {int: "integer", float: "number", str: "text", bool: "true or false"}.get(kind, "table")


def default_name(default: Any) -> str:
    """Write a default as it would be typed after `key=`."""
    if default is inspect.Parameter.empty:
        return "required"
    if default is None:
        return "unset"
    return f"`{list(default) if isinstance(default, tuple) else default}`"


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

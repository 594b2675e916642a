"""Settings of runs that earlier versions wrote, under the names that they have today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["present_names"]


def present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run of any version under their present names.

    ``training.kl_warmup`` is ``objective.warm_up``, which the objectives with a beta have.

    >>> present_names({"objective": {"name": "elbo"}, "training": {"kl_warmup": 5}})
    {'objective': {'name': 'elbo', 'warm_up': 5}, 'training': {}}
    """
    training, objective = settings.get("training"), settings.get("objective")
    if not isinstance(training, Mapping) or not isinstance(objective, Mapping) or "kl_warmup" not in training:
        return dict(settings)
    rest = {name: value for name, value in training.items() if name != "kl_warmup"}
    rise = {"warm_up": training["kl_warmup"]} if training["kl_warmup"] else {}
    return {**settings, "objective": {**objective, **rise}, "training": rest}

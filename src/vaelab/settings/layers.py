"""Layers of settings, laid on one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["merge"]


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it, nested tables merged.

    A table that names another estimator or objective replaces the one below: its options are its own.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            renamed = "name" in value and value["name"] != below.get("name")
            merged[key] = dict(value) if renamed else merge(below, value)
        else:
            merged[key] = value
    return merged

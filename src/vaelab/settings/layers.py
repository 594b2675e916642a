"""Layers of settings: nested tables, of which a later one overrides an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vaelab.errors import InputError, shown

__all__ = ["merge", "nested"]

_BY_NAME = "columns"  # a table whose keys are names that a user gave, with dots perhaps
_NAMED = ("objective", "estimator")  # tables that a word chooses: objective=iwae is objective.name=iwae
_DEEPEST = 2  # dots in a path: no setting is nested more deeply; deeper values are checked as values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` overridden by ``over``; nested tables are merged.

    A table that names another estimator or objective replaces the earlier one, because it has different options.

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


def nested(settings: Iterable[tuple[object, Any]], prefix: str = "") -> dict[str, Any]:
    """Return settings as nested tables, whether keys are dotted or tables are written out.

    A word for ``objective`` or ``estimator`` is its name.

    Raises:
        InputError: a key that is not text or has an empty part; a setting with two different values.

    >>> nested([("training.steps", 5), ("training", {"clip": 1.0})])
    {'training': {'steps': 5, 'clip': 1.0}}
    >>> nested([("objective", "iwae")])
    {'objective': {'name': 'iwae'}}
    """
    tables: dict[str, Any] = {}
    for key, value in settings:
        parts = key.split(".") if isinstance(key, str) and not key.startswith(f"{_BY_NAME}.") else [shown(key)]
        if not isinstance(key, str) or not all(part.strip() for part in parts):
            raise InputError(f"settings: expected names as keys, such as training.steps; got {shown(key)}")
        head, dot, rest = key.partition(".")
        path = prefix + head
        inner: Any = {rest: value} if dot else value
        if isinstance(inner, Mapping) and path.count(".") < _DEEPEST and path != _BY_NAME:
            inner = nested(inner.items(), f"{path}.")
        if path in _NAMED and isinstance(inner, str):
            inner = {"name": inner}
        tables[head] = _joined(path, tables[head], inner) if head in tables else inner
    return tables


def _joined(path: str, one: Any, other: Any) -> Any:
    """Join the values that two keys give to one setting or one table."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        both = {key: _joined(f"{path}.{key}", one[key], other[key]) for key in one if key in other}
        return {**one, **other, **both}
    if type(one) is not type(other) or one != other:
        raise InputError(f"{path}: expected one value; got two, {shown(one)} and {shown(other)}")
    return one

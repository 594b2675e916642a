"""Observations and codes given to a model by a user: checked and converted to the model's type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data import DataSpec
from vaelab.data.variables import ColumnKind, Group
from vaelab.errors import InputError

__all__ = ["Table", "as_codes", "as_observations"]

Table = Tensor | npt.NDArray[Any]  # observations (B, X) or codes (..., D) of any kind of number


def as_observations(
    x: object, like: Tensor, where: str = "", may_be_missing: bool = False, spec: DataSpec | None = None
) -> Tensor:
    """Return a table of observations as a tensor (B, X), or (B, X + Y) with what is given, in the type of ``like``.

    Args:
        x: a tensor on the device of ``like``, or a NumPy array: booleans, whole numbers or real ones.
        like: any weight of the model.
        where: which cells are checked, if not all: words for the error.
        may_be_missing: whether NaN is allowed, which marks a missing value.
        spec: what is known of the columns; without it they are bits or numbers in [0, 1].

    Raises:
        InputError: no table of numbers, numbers that the columns cannot have, NaN where nothing may be missing, or a
            tensor on another device.

    >>> as_observations(np.array([[True, False]]), torch.zeros(1))
    tensor([[1., 0.]])
    """
    table = _tensor("x", x, like, "a tensor or an array of observations, shape (B, X)")
    if table.ndim != 2:
        raise InputError(f"x: expected a tensor or an array of observations, shape (B, X); got {_described(x)}")
    if not _can_be_checked(table):
        return table
    groups = None if spec is None or {kind for kind, *_ in spec.groups} <= {"binary", "unit"} else _groups(spec)
    if groups is None and bool(((table >= 0) & (table <= 1)).all()):
        return table
    if not may_be_missing and bool(table.isnan().any()):
        raise InputError(
            f"x: expected {_VALUES['binary'].words if groups is None else 'numbers'}{where}; got NaN, which marks a "
            "missing value; the model was built for complete data: model.allow_missing() lets it leave missing values "
            "out"
        )
    _require_values(table, groups or [("binary", 0, table.shape[1])], None if spec is None else spec.columns, where)
    return table


class _Values(NamedTuple):
    """The values that the columns of a kind can have, from low to high, and words for an error."""

    low: float
    high: float
    words: str


_LARGEST = float(np.finfo(np.float32).max)
_VALUES: dict[ColumnKind, _Values] = {
    "binary": _Values(0, 1, "bits or numbers in [0, 1]"),
    "unit": _Values(0, 1, "numbers in [0, 1]"),
    "categorical": _Values(0, 1, "a one and zeros"),
    "count": _Values(0, _LARGEST, "whole numbers from 0 on"),
    "real": _Values(-_LARGEST, _LARGEST, "finite numbers"),
}


def _groups(spec: DataSpec) -> list[Group]:
    """Return the groups of the columns, with those that are given, which are in [0, 1]."""
    given: list[Group] = [("binary", spec.dim, spec.dim + spec.given)] if spec.given else []
    return [*spec.groups, *given]


def _require_values(table: Tensor, groups: Sequence[Group], names: Sequence[str] | None, where: str) -> None:
    """Raise an InputError for values that the columns of a group cannot have; NaN is passed over."""
    width = groups[-1][2]
    if table.shape[1] != width:
        raise InputError(f"x: expected {width} columns, as the data of the model have; got {table.shape[1]}")
    sizes = torch.tensor([stop - start for _, start, stop in groups], device=table.device)
    of_group = torch.tensor([_VALUES[kind][:2] for kind, _, _ in groups], dtype=table.dtype, device=table.device)
    low, high = of_group.repeat_interleave(sizes, 0).unbind(-1)  # (X,) each
    wrong = (table < low) | (table > high)
    whole = torch.tensor([kind == "count" for kind, _, _ in groups], device=table.device).repeat_interleave(sizes)
    wrong |= whole & (table != table.trunc()) & ~table.isnan()
    place = torch.arange(len(groups), device=table.device).repeat_interleave(sizes)
    sums = table.new_zeros(len(table), len(groups)).index_add(1, place, table)
    levels = torch.tensor([kind == "categorical" for kind, _, _ in groups], device=table.device)
    wrong |= (levels & ((sums - 1).abs() > 1e-3)).index_select(1, place)
    if not bool(wrong.any()):
        return
    _refuse_values(table, int(wrong.any(0).nonzero()[0]), groups, names, where)


def _refuse_values(
    table: Tensor, column: int, groups: Sequence[Group], names: Sequence[str] | None, where: str
) -> NoReturn:
    """Raise an InputError that says which values a column cannot have."""
    kind, start, stop = next(group for group in groups if group[1] <= column < group[2])
    values = table[:, start:stop]
    values = values[~values.isnan()]
    low, high = float(values.min()), float(values.max())
    named = ""
    if len(groups) > 1 and names is not None and column < len(names):
        named = (
            f" in the columns from {names[start]!r} on" if kind == "categorical" else f" in column {names[column]!r}"
        )
    got = f"values in [{low:g}, {high:g}]"
    if kind == "categorical" and 0 <= low <= high <= 1:
        got = "a row with another sum"
    elif kind == "count" and low >= 0:
        got = "others"
    raise InputError(f"x: expected {_VALUES[kind].words}{named}{where}; got {got}")


def as_codes(z: object, like: Tensor) -> Tensor:
    """Return codes (..., D) as a tensor in the type of ``like``: finite numbers on its device.

    Raises:
        InputError: no numbers, numbers that are not finite, or a tensor on another device.

    >>> as_codes(np.array([[1, 0]]), torch.zeros(1))
    tensor([[1., 0.]])
    """
    codes = _tensor("z", z, like, "a tensor or an array of codes, shape (..., D)")
    if not codes.ndim:
        raise InputError("z: expected a tensor or an array of codes, shape (..., D); got a single number")
    if _can_be_checked(codes) and not bool(codes.detach().isfinite().all()):
        raise InputError("z: expected codes of finite numbers; got NaN or infinite ones")
    return codes


def _tensor(name: str, value: object, like: Tensor, expected: str) -> Tensor:
    """Return an array or a tensor in the type of ``like``, or refuse anything else."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "buif":
            raise InputError(f"{name}: expected {expected}; got {_described(value)}")
        dtype = np.float64 if value.dtype == np.float64 else np.float32  # a copy: torch may write where NumPy must not
        return torch.from_numpy(np.array(value, dtype, order="C")).to(like.device, like.dtype)
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_complex():
        way = f"; take {name}.toarray() of some rows" if hasattr(value, "toarray") else ""
        raise InputError(f"{name}: expected {expected}; got {_described(value)}{way}")
    if value.device != like.device:
        raise InputError(
            f"{name}: expected a tensor on {like.device}, where the model is; got one on {value.device} "
            f"({name}.to({str(like.device)!r}) moves it)"
        )
    return value.to(like.dtype)


def _can_be_checked(table: Tensor) -> bool:
    """Return whether the values can be read; in a compiled graph they cannot."""
    return table.numel() > 0 and not torch.compiler.is_compiling()


def _described(value: object) -> str:
    """Return the type of a value and, of an array, its shape and kind of numbers."""
    if isinstance(value, Tensor | np.ndarray):
        kind = str(value.dtype).removeprefix("torch.")
        sparse = "sparse " if isinstance(value, Tensor) and value.layout != torch.strided else ""
        return f"{sparse}{type(value).__name__} of shape {tuple(value.shape)}, {kind}"
    return type(value).__name__

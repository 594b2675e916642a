"""Observations and codes given to a model by a user: checked and converted to the model's type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.errors import InputError

__all__ = ["Table", "as_codes", "as_observations"]

Table = Tensor | npt.NDArray[Any]  # observations (B, X) or codes (..., D) of any kind of number


def as_observations(x: object, like: Tensor, where: str = "", may_be_missing: bool = False) -> Tensor:
    """Return a table of bits or of numbers in [0, 1] as a tensor (B, X) in the type of ``like``.

    Args:
        x: a tensor on the device of ``like``, or a NumPy array: booleans, whole numbers or real ones.
        like: any weight of the model.
        where: which cells are checked, if not all: words for the error.
        may_be_missing: whether NaN is allowed, which marks a missing value.

    Raises:
        InputError: no table of numbers, numbers outside [0, 1], NaN where nothing may be missing, or a tensor on
            another device.

    >>> as_observations(np.array([[True, False]]), torch.zeros(1))
    tensor([[1., 0.]])
    """
    table = _tensor("x", x, like, "a tensor or an array of observations, shape (B, X)")
    if table.ndim != 2:
        raise InputError(f"x: expected a tensor or an array of observations, shape (B, X); got {_described(x)}")
    if _can_be_checked(table) and not bool(((table >= 0) & (table <= 1)).all()):
        missing = table.isnan()
        if bool(missing.any()) and not may_be_missing:
            raise InputError(
                f"x: expected bits or numbers in [0, 1]{where}; got NaN, which marks a missing value; the model was "
                "built for complete data: model.allow_missing() lets it leave missing values out"
            )
        low, high = torch.where(missing, 0, table).min(), torch.where(missing, 0, table).max()
        if low < 0 or high > 1:
            raise InputError(f"x: expected bits or numbers in [0, 1]{where}; got values in [{low:g}, {high:g}]")
    return table


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
        raise InputError(f"{name}: expected {expected}; got {_described(value)}")
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

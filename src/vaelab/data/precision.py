"""Whether real numbers keep their differences when they are stored as float32."""

from __future__ import annotations

import numpy as np

from vaelab.data.values import Array, Summary
from vaelab.errors import InputError

__all__ = ["near_each_other", "require_precision"]

_SHARE = 0.01  # of the standard deviation that rounding may take


def near_each_other(summary: Summary) -> list[int]:
    """Return the columns whose range is small beside the size of their numbers, or below what float32 holds.

    In the others the rounding of float32 takes no more than a millionth of the range.
    """
    size = np.maximum(np.abs(summary.low), np.abs(summary.high))
    near = ((summary.high - summary.low) < 0.01 * size) | (size < 1e-30)
    return [int(column) for column in np.flatnonzero(near & (summary.high > summary.low))]


def require_precision(where: str, values: Array) -> None:
    """Raise an InputError for real numbers (N,) whose differences float32 does not hold, such as times in seconds.

    >>> require_precision("time", np.array([1.7e9, 1.7e9 + 60, 1.7e9 + 120]))
    Traceback (most recent call last):
    vaelab.errors.InputError: time: expected numbers that differ by more than the rounding of float32; these lie ...
    """
    if values.dtype != np.float64 and values.dtype.kind not in "iu":
        return
    observed = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    if not len(observed):
        return
    wide = observed.astype(np.float64)
    rounding = float(np.abs(wide.astype(np.float32) - wide).max())
    low, high = float(wide.min()), float(wide.max())
    if rounding > _SHARE * float(wide.std()) and high > low:
        raise InputError(
            f"{where}: expected numbers that differ by more than the rounding of float32; these lie in "
            f"[{low!r}, {high!r}], where it is up to {rounding:.2g}; subtract a constant, such as the smallest, or use "
            "other units"
        )

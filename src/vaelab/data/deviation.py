"""Standard deviations of columns that may be constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["deviation_of"]

_ROUNDING = 1e-9  # of a mean of equal values, relative to their size


def deviation_of(variance: npt.NDArray[Any], mean: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the roots of variances, and 1 for a column whose values differ by no more than the rounding of their mean.

    >>> deviation_of(np.array([4.0, 0.0, 1e-34]), np.array([1.0, 0.0, 0.1]))
    array([2., 1., 1.])
    """
    deviation = np.sqrt(variance)
    return np.where(deviation > _ROUNDING * np.abs(mean), deviation, 1.0)

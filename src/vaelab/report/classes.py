"""Whether labels can be shown as classes and predicted by neighbours; if not, the reason."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FOLDS", "NEIGHBOURS", "not_classes", "not_separable"]

Labels = npt.NDArray[np.int64]
FOLDS, NEIGHBOURS = 5, 15
_MOST = 30  # more classes cannot be distinguished by names and colours in one picture


def not_classes(labels: Labels) -> str:
    """Return why labels are not shown as classes, or an empty string if they are.

    >>> not_classes(np.array([0, 1, 1]))
    ''
    >>> not_classes(np.array([7, 7]))
    'every label is 7'
    """
    values = np.unique(labels)
    if len(values) == 1:
        return f"every label is {values[0]}"
    if len(values) > _MOST:
        return f"the labels take {len(values):,} values in {len(labels):,} rows; at most {_MOST} are shown as classes"
    return ""


def not_separable(labels: Labels) -> str:
    """Return why neighbours cannot predict the classes in cross-validation, or an empty string if they can."""
    if reason := not_classes(labels):
        return reason
    values, counts = np.unique(labels, return_counts=True)
    fewest, rarest = int(counts.min()), values[counts.argmin()]
    if fewest < FOLDS:
        return f"{FOLDS}-fold cross-validation needs {FOLDS} test rows of each class, class {rarest} has {fewest}"
    if len(labels) * (FOLDS - 1) // FOLDS < NEIGHBOURS:
        return f"{len(labels)} test rows are too few for {NEIGHBOURS} neighbours"
    return ""

"""The choice of a likelihood by the kinds of the columns, and for bits by the rows of the training; few rows."""

from __future__ import annotations

from vaelab.data import Dataset, DataSpec
from vaelab.likelihoods.product import OF_KIND

__all__ = ["has_few_rows", "has_rows_for_a_tree", "likelihood_for"]

# Chosen on validation splits: benchmarks/table_recipe.py.
_LEAST_ROWS = 1_000  # of the training
_ROWS_PER_COLUMN = 4
_MOST_COLUMNS = 500  # no table with more columns had enough rows
_FEW_ROWS_PER_COLUMN, _LEAST_COLUMNS = 10, 100  # narrower tables were not measured


def likelihood_for(spec: DataSpec) -> str:
    """Return the name of the likelihood that ``auto`` stands for, by the kinds of the columns.

    Columns of one kind have the likelihood of that kind, and columns of several a ``product``: bits and binarised grey
    levels ``bernoulli``, categorical columns ``categorical``, real numbers in [0, 1] ``continuous-bernoulli``, other
    real numbers ``gaussian``. Counts are ``multinomial`` if all columns are, there are several, and no value may be
    missing; otherwise ``gaussian``.

    >>> likelihood_for(DataSpec((784,))), likelihood_for(DataSpec((3,), kind="real"))
    ('bernoulli', 'gaussian')
    """
    kinds = {kind for kind, _, _ in spec.groups}
    if kinds == {"count"} and spec.dim > 1 and not spec.may_be_missing:
        return "multinomial"
    names = {OF_KIND[kind].name for kind in kinds}
    return names.pop() if len(names) == 1 else "product"


def has_rows_for_a_tree(data: Dataset) -> bool:
    """Return whether data are a table of bits with enough rows for the ``tree`` likelihood.

    A table of bits: 0 and 1 from the start, and no images. Enough rows: at least 1 000 in the training split, and four
    for each column. Above 500 columns the gain was not measured, and bits may be the pixels of an image.

    >>> import numpy as np
    >>> from vaelab.data import Split
    >>> answers = np.zeros((1_000, 3), np.uint8)
    >>> [has_rows_for_a_tree(Dataset("answers", {"train": Split(x)}, "binary", 1)) for x in (answers, answers[:999])]
    [True, False]
    """
    columns, rows = data.dim, len(data.splits.get("train", ()))
    has_rows = rows >= max(_LEAST_ROWS, _ROWS_PER_COLUMN * columns)
    return _is_table_of_bits(data.spec) and 1 < columns <= _MOST_COLUMNS and has_rows


def has_few_rows(data: Dataset) -> bool:
    """Return whether data are a table of bits with few rows for its columns, which a network learns by heart.

    At least 100 columns, and fewer than ten training rows for each.

    >>> import numpy as np
    >>> from vaelab.data import Split
    >>> answers = np.zeros((1_000, 100), np.uint8)
    >>> [has_few_rows(Dataset("answers", {"train": Split(x)}, "binary", 1)) for x in (answers, answers[:999])]
    [False, True]
    """
    columns, rows = data.dim, len(data.splits.get("train", ()))
    return _is_table_of_bits(data.spec) and columns >= _LEAST_COLUMNS and rows < _FEW_ROWS_PER_COLUMN * columns


def _is_table_of_bits(spec: DataSpec) -> bool:
    """Return whether data are 0 and 1 from the start, and no images."""
    is_bits = spec.kind != "grey" and {kind for kind, _, _ in spec.groups} == {"binary"}
    return is_bits and spec.image_shape is None

"""Loading data: a named data set or a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vaelab.data.binarisation import Binarisation
from vaelab.data.choices import columns_option
from vaelab.data.dataset import Dataset
from vaelab.data.formats.table import ENDINGS
from vaelab.data.mnist import mnist
from vaelab.data.readers import read_dataset
from vaelab.data.splitting import Splitting
from vaelab.data.values import ReadOptions, Values
from vaelab.data.variables import Column
from vaelab.errors import InputError, did_you_mean
from vaelab.seeds import DATA_SEED

__all__ = ["DATASETS", "load_data"]

DATASETS: dict[str, Callable[[], Dataset]] = {"mnist": mnist}


def load_data(
    name: str | Path,
    *,
    split: bool = True,
    values: Values | None = None,
    scale: float | None = None,
    label_column: str | None = None,
    weight_column: str | None = None,
    binarisation: Binarisation | None = None,
    condition: str | Sequence[str] | None = None,
    columns: Mapping[str, Any] | Sequence[Column] | Sequence[str] | None = None,
    drop: bool = False,
    validation: str | Path | None = None,
    test: str | Path | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    stratify: bool = False,
    split_seed: int = DATA_SEED,
) -> Dataset:
    """Return a named data set, or read a file ({formats}) or a directory of shards.

    The rows of a file of one array are split into 80 % train, 10 % validation and 10 % test with seed 777,
    unless the options say another way. Shards, and
    large files of plain rows, stay on the disk.

    Args:
        name: a named data set, a file or a directory.
        split: whether to split a file of one array; otherwise its rows keep their order, as the split ``all``.
        values: what the values are: ``bits`` (0 and 1), ``grey`` (grey levels 0...255), ``unit`` (real numbers in
            [0, 1]), ``real`` (any numbers) or ``count`` (whole ones from 0 on); None where the values show it.
        scale: S if the values are grey levels 0...S; they are divided by S.
        label_column: the column of the labels, where it is not called label, labels, class, target, targets or y.
        weight_column: the column of the weights of the rows: a row of weight 2 counts as two rows. In an .npz file the
            array of this name.
        binarisation: how grey levels become bits: ``dynamic`` (the default) draws training bits anew each time they
            are seen and the bits of the other splits once; ``static`` draws all bits once; ``threshold`` sets those
            whose grey level exceeds 1/2; under ``none`` they stay real numbers. Data that are no grey levels have
            ``none``.
        condition: what a conditional model is given: ``labels``, or names of columns.
        columns: what some columns of a table are, by their names: ``binary``, ``categorical``, ``unit``, ``real``,
            ``count`` or ``drop``, or a mapping with ``kind``, ``levels``, of two levels which ``one`` is 1, and the
            values that stand for a ``missing`` one; a ``*`` in a name stands for any characters. Or the columns of a
            model (``spec.variables``), which are found by their names and encoded by their levels; or names of columns
            of plain numbers, to read these alone.
        drop: whether to leave out constant and duplicated columns, and those like an ID.
        validation: a file whose rows are the validation split; those of ``name`` are for training then.
        test: a file whose rows are the test split, likewise. Without ``validation`` that is a tenth of the others.
        split_column: the column that says the split of each row: ``train``, ``validation`` or ``test``.
        group_column: the column of groups, such as persons: rows of one group are in one split.
        stratify: whether each class of the labels has the same share in each split.
        split_seed: seed of the split.

    Raises:
        InputError: neither a known name nor a readable file, or values that are no bits and no grey levels.

    >>> data = load_data("mnist")
    >>> data.dim, data.kind, data.image_shape, data.binarisation
    (784, 'grey', (28, 28), 'dynamic')
    """
    if not isinstance(name, str | os.PathLike):
        raise InputError(
            f"data: expected a name or a file; got {type(name).__name__}; Dataset.from_arrays(x) takes arrays"
        )
    splitting = Splitting(not split, split_column, group_column, stratify, split_seed)
    held_out = {name: Path(file) for name, file in (("validation", validation), ("test", test)) if file is not None}
    options = ReadOptions(values, scale, label_column, weight_column, drop=drop, **columns_option(columns))
    if str(name) in DATASETS:
        if options != ReadOptions() or held_out or splitting not in (Splitting(), Splitting(whole=True)):
            of_files = "columns, kinds of values and splits"
            raise InputError(f"data: expected {of_files} for a file; {str(name)!r} needs none")
        return DATASETS[str(name)]().with_binarisation(binarisation).with_condition(condition)
    path = Path(name)
    if name == "" or (not path.name.lower().endswith(ENDINGS) and not os.path.lexists(path)):
        hint = did_you_mean(str(name), DATASETS)
        raise InputError(f"data: expected {', '.join(DATASETS)} or a file; got {str(name)!r}{hint}")
    data = read_dataset(path, splitting, options, held_out)
    return data.with_binarisation(binarisation).with_condition(condition)


load_data.__doc__ = (load_data.__doc__ or "").replace("{formats}", ", ".join(ENDINGS))

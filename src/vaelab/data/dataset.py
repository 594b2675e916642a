"""A data set: named splits, what their values mean, how they become bits, and a checksum that identifies them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import Any, cast, get_args

import numpy as np
import torch
from torch import Tensor

from vaelab.data.binarisation import Binarisation, bit_rule, protocol_of
from vaelab.data.checksum import checksum
from vaelab.data.choices import columns_option
from vaelab.data.condition import Condition
from vaelab.data.from_arrays import assemble_arrays
from vaelab.data.sparse import SparseRows, columns_of
from vaelab.data.spec import DataSpec
from vaelab.data.splits import Split, checked_split
from vaelab.data.splitting import Splitting
from vaelab.data.streaming.rows import Rows, on_disk
from vaelab.data.values import Array, Kind, ReadOptions, Values
from vaelab.data.variables import Column, kind_of, names_for
from vaelab.errors import InputError, require_choice, require_number
from vaelab.seeds import DATA_SEED

__all__ = ["Dataset", "require_dataset"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Observations in named splits, usually ``train``, ``validation`` and ``test``.

    ``split.x / scale`` is in [0, 1]: for ``kind="binary"`` the values are 0 and 1 and ``scale`` is 1, for
    ``kind="grey"`` they are grey levels 0...``scale``. Of the other kinds (``real``, ``count``, ``mixed``) they are any
    numbers, and ``scale`` is 1. Values are stored as uint8 or float32, and copied where they come in another type or
    order. NaN marks a missing value. :meth:`from_arrays` finds kind and scale itself.

    Args:
        name: what to call the data.
        splits: the rows of each split.
        kind: ``binary``, ``grey``, ``real``, ``count``, or ``mixed`` for columns of several kinds.
        scale: the value that stands for 1.
        image_shape: (H, W) if rows are images.
        columns: names of the X columns.
        notes: sentences on what a reader left out or renamed.
        binarisation: how grey levels become bits: ``dynamic``, ``static`` or ``threshold``; None is ``dynamic``. Under
            ``none`` they stay real numbers in [0, 1], for a likelihood of these. Data of another kind have ``none``.
        variables: the columns of the user's table, of which the X columns are made; ``mixed`` data have them.
        classes: the names of the labels 0, 1, ..., where they were text.

    Raises:
        InputError: an unknown kind, values that are not in [0, scale], bits that are not 0 and 1, labels that are not
            whole numbers, shapes, names or a binarisation that do not fit, or nothing observed at all.

    >>> rows = np.array([[0, 255, 0], [255, 128, 0]])
    >>> data = Dataset("mine", {"train": Split(rows)}, kind="grey", scale=255)
    >>> data.binarisation, data.spec.mean
    ('dynamic', tensor([0.5000, 0.7510, 0.0000]))
    """

    name: str
    splits: Mapping[str, Split]
    kind: Kind
    scale: float
    image_shape: tuple[int, int] | None = None
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    binarisation: Binarisation = None  # type: ignore[assignment]  # None is replaced by the default of the kind
    condition: Condition | None = field(default=None, kw_only=True)  # set by with_condition
    variables: tuple[Column, ...] | None = field(default=None, kw_only=True)
    classes: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        where = f"data {self.name!r}"
        require_choice(f"{where}: kind", self.kind, get_args(Kind))
        scale = require_number(f"{where}: scale", self.scale, 0)
        if scale == 0 or (self.kind != "grey" and scale != 1):
            what = "bits" if self.kind == "binary" else f"of kind {self.kind}"
            expected = "a number above 0" if self.kind == "grey" else f"1, as the data are {what}"
            raise InputError(f"{where}: scale: expected {expected}; got {self.scale!r}")
        if not isinstance(self.splits, Mapping) or not self.splits:
            raise InputError(f"{where}: expected at least one split; got none")
        scale = int(scale) if scale == int(scale) else scale
        protocol = protocol_of(self.name, self.kind, self.binarisation)
        splits = {
            name: checked_split(f"{where}, split {name!r}", split, self.kind, scale)
            for name, split in self.splits.items()
        }
        widths = {split.x.shape[1] for split in splits.values()}
        if len(widths) != 1:
            raise InputError(f"{where}: expected splits of one width; got {sorted(widths)}")
        object.__setattr__(self, "scale", scale)  # frozen, and complete from here on
        self._check_names(where)
        self._set_binarisation(splits, protocol, any(split.has_missing for split in splits.values()))

    def _set_binarisation(self, splits: Mapping[str, Split], protocol: Binarisation, missing: bool) -> None:
        columns: dict[str, Any] = {"columns": self.columns, "variables": self.variables}
        bound = {
            name: replace(split, bit_rule=bit_rule(protocol, self.scale, name, missing), **columns)
            for name, split in splits.items()
        }
        object.__setattr__(self, "splits", bound)
        object.__setattr__(self, "binarisation", protocol)

    def _check_names(self, where: str) -> None:
        if self.image_shape is not None:
            shape = tuple(self.image_shape)
            if not all(isinstance(size, Integral) for size in shape) or len(shape) != 2 or math.prod(shape) != self.dim:
                raise InputError(
                    f"{where}: expected an image_shape (H, W) of {self.dim} pixels; got {self.image_shape!r}"
                )
            object.__setattr__(self, "image_shape", (int(shape[0]), int(shape[1])))
        object.__setattr__(self, "columns", names_for(self.variables, self.kind, self.columns, f"{where}: "))
        if self.columns is not None:
            names = tuple(self.columns)
            if len(names) != self.dim or len(set(names)) != self.dim:
                got = f"{len(names)} names, {len(set(names))} of them different"
                raise InputError(f"{where}: expected {self.dim} different names of columns; got {got}")

    @classmethod
    def from_arrays(
        cls,
        x: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        mask: Any = None,
        validation: Any = None,
        test: Any = None,
        split: Any = None,
        groups: Any = None,
        stratify: bool = False,
        split_seed: int = DATA_SEED,
        columns: Iterable[str] | Iterable[Column] | Mapping[str, Any] | None = None,
        drop: bool = False,
        image_shape: tuple[int, int] | None = None,
        values: Values | None = None,
        scale: float | None = None,
        binarisation: Binarisation | None = None,
        name: str = "arrays",
    ) -> Dataset:
        """Return a data set of rows (N, X) or images (N, H, W) of any provenance.

        That is: NumPy arrays, masked or not, torch tensors, nested lists, frames of pandas or polars, tables and record
        batches of pyarrow, matrices of scipy.sparse (which stay sparse), AnnData, and map-style data sets of torch,
        whose items are rows or pairs of a row and a label. NaN, None and NA mark missing values.

        Kind and scale are found by the rule of files: 0 and 1 are bits, real numbers in [0, 1] and uint8 values above
        127 are grey levels; for other values say what they are with ``values`` or ``scale``. The columns of a frame
        have roles and kinds as those of a file of it. Where no split is given the rows are shuffled and split 80 % /
        10 % / 10 %; ``notes`` say so.

        Args:
            x: the rows, or the training rows where other splits are given.
            y: labels of the rows (N,), whole numbers or text, or the name of a column of ``x``. No model sees them.
            sample_weight: how much each row counts, (N,), from 0 on, or the name of a column: a row of weight 2 is two
                rows.
            mask: 1 where a value of ``x`` is observed, 0 where not, in the shape of ``x``, dense or sparse.
            validation: rows, or (rows, labels) or (rows, labels, weights). If only ``test`` is given, it is a tenth of
                ``x``.
            test: rows, or (rows, labels) or (rows, labels, weights).
            split: the split of each row (N,), ``train``, ``validation`` or ``test``, or the name of a column.
            groups: the group of each row (N,), or the name of a column: rows of one group are in one split.
            stratify: whether each class of the labels has the same share in each split.
            split_seed: seed of the split.
            columns: names of the X columns; or what some columns of a frame, or all of an array, are, as in
                :func:`load_data`.
            drop: whether to leave out constant and duplicated columns, and those like an ID.
            image_shape: (H, W) if the rows (N, X) are images.
            values: ``bits``, ``grey`` (0...255), ``unit`` (in [0, 1]), ``real`` or ``count``.
            scale: S if the values are grey levels 0...S.
            binarisation: how grey levels become bits; None is ``dynamic``.
            name: what to call the data.

        Raises:
            InputError: arrays that are not numbers, or of shapes that do not fit, values that are neither bits nor grey
                levels, weights that are negative or all 0, fewer than ten rows to split.

        >>> rows = np.random.default_rng(0).integers(0, 2, (100, 6))
        >>> data = Dataset.from_arrays(rows, columns=list("abcdef"))
        >>> data.kind, len(data.train), data.notes
        ('binary', 80, ('split 80 % / 10 % / 10 % into train, validation and test, shuffled with seed 777',))
        """
        if columns is not None and not isinstance(columns, str | Mapping):
            columns = tuple(cast(Iterable[Any], columns))  # an index of pandas, an array, a generator
        kinds = isinstance(columns, Mapping) or any(isinstance(column, Column) for column in columns or ())
        said = columns_option(columns) if kinds else {}
        parts = assemble_arrays(
            x,
            {"labels": y, "weights": sample_weight, "splits": split, "groups": groups},
            {name: part for name, part in (("validation", validation), ("test", test)) if part is not None},
            mask=mask,
            names=None if said else cast(Sequence[str] | None, columns),
            image_shape=image_shape,
            splitting=Splitting(stratify=stratify, seed=split_seed),
            options=ReadOptions(values, scale, arrays=True, drop=drop, **said),
        )
        return cls(name, **vars(parts), binarisation=binarisation)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        """Return a line with name, rows, shape, kind and binarisation.

        >>> Dataset("mine", {"train": Split(np.eye(4, dtype=np.uint8))}, "binary", 1, image_shape=(2, 2))
        Dataset('mine': 4 train; 2 x 2, binary, binarisation none)
        """
        rows = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        size = " x ".join(map(str, self.image_shape)) if self.image_shape else f"{self.dim} columns"
        return f"Dataset({self.name!r}: {rows}; {size}, {self.kind}, binarisation {self.binarisation})"

    @property
    def dim(self) -> int:
        """Number of columns X of an observation."""
        return int(next(iter(self.splits.values())).x.shape[1])

    @cached_property
    def spec(self) -> DataSpec:
        """What a model is told of the data. Means are those of the training split, under the binarisation."""
        mean = deviation = None
        if "train" in self.splits:
            with torch.device("cpu"):  # also inside a block of another default device
                mean = self.train.observations().mean()
                deviation = self._deviation()
        return DataSpec(
            self.image_shape or (self.dim,),
            mean,
            self.columns,
            self.kind,
            self.has_missing,
            self.binarisation,
            self.condition,
            variables=self.variables,
            deviation=deviation,
        )

    def _deviation(self) -> Tensor | None:
        """Return the standard deviations of the columns of the training split; None for bits, and rows on the disk."""
        if self.kind == "binary" or (self.kind == "grey" and self.binarisation != "none"):
            return None
        stays = self.kind == "grey" and on_disk(self.train.x, self.scale) is not None
        return None if stays else self.train.deviation() / self.scale

    @property
    def has_missing(self) -> bool:
        """Whether some values are missing."""
        return any(split.bit_rule is not None and split.bit_rule.may_be_missing for split in self.splits.values())

    @property
    def train(self) -> Split:
        """The training split; an InputError if there is none, as for the other two."""
        return self.split("train")

    @property
    def validation(self) -> Split:
        """The validation split."""
        return self.split("validation")

    @property
    def test(self) -> Split:
        """The test split."""
        return self.split("test")

    def split(self, name: str) -> Split:
        """Return the split called ``name``, or raise an :class:`~vaelab.errors.InputError`."""
        require_choice("split", name, self.splits)
        return self.splits[name]

    def named_labels(self, split: str) -> Array | None:
        """Return the labels of a split as the user has them, text where they were text; None without labels."""
        labels = self.split(split).labels
        return labels if labels is None or self.classes is None else np.array(self.classes)[labels]

    def with_binarisation(self, protocol: Binarisation | None) -> Dataset:
        """Return the same data under another binarisation; None is the default.

        Raises:
            InputError: an unknown protocol, or one that does not suit the data.

        >>> from vaelab.data import load_data
        >>> load_data("mnist").with_binarisation("static").binarisation
        'static'
        """
        chosen = protocol_of(self.name, self.kind, protocol)
        if chosen == self.binarisation:
            return self
        changed = copy.copy(self)  # not dataclasses.replace, which would check every value again
        changed.__dict__.pop("spec", None)
        changed._set_binarisation(self.splits, chosen, self.has_missing)
        return changed

    def with_condition(self, on: Condition | str | Sequence[str] | None) -> Dataset:
        """Return the data for a conditional model p(x|z, y), with y the labels or some columns.

        Labels are given as one column for each class. Columns that are given are no longer part of x.

        Args:
            on: ``labels``, the name of a column, several names, or the condition of other data; None for none.

        Raises:
            InputError: data without labels or without such columns, or that have a condition already.

        >>> from vaelab.data import load_data
        >>> data = load_data("mnist").with_condition("labels")
        >>> data.dim, data.spec.given, data.test.batch(3).shape
        (784, 10, torch.Size([3, 794]))
        """
        if on is None or on == self.condition:
            return self
        if self.condition is not None:
            raise InputError(
                f"condition: expected data without one; these are given {', '.join(self.condition.names)} already"
            )
        condition = self._condition_on(on)
        changed = copy.copy(self) if condition.on == "labels" else self._without(self._places(condition))
        splits = {name: replace(split, given=self._given(condition, name)) for name, split in changed.splits.items()}
        changed.__dict__.pop("spec", None)
        object.__setattr__(changed, "splits", splits)
        object.__setattr__(changed, "condition", condition)
        return changed

    def _given(self, condition: Condition, name: str) -> Array:
        """Return what is given with each row of a split, (N, Y)."""
        split = self.splits[name]
        if condition.on == "labels" and split.labels is not None:
            return condition.one_hot(np.asarray(self.named_labels(name)), f"labels of {name}")
        columns = columns_of(split.x, self._places(condition))
        values: Array = (columns[:] if isinstance(columns, SparseRows) else columns) / self.scale
        if np.isnan(values).any():
            raise InputError(f"condition: expected values that are all observed; some are missing in {name}")
        return values.astype(np.float32)

    @property
    def _named(self) -> list[str]:
        """The names of the columns, or their numbers."""
        return [str(name) for name in self.columns or range(self.dim)]

    def _places(self, condition: Condition) -> list[int]:
        return [self._named.index(name) for name in condition.names]

    def _condition_on(self, on: Condition | str | Sequence[str]) -> Condition:
        if any(isinstance(split.x, Rows) for split in self.splits.values()):
            raise InputError("condition: expected data in memory; these are read from the disk")
        if isinstance(on, Condition):
            on = on if on.on == "labels" else on.names
        if on == "labels" or isinstance(on, Condition):
            found = Condition.on_labels([split.labels for split in self.splits.values()], self.classes)
            return on if isinstance(on, Condition) else found
        names = [on] if isinstance(on, str) else [str(name) for name in on]
        if self.variables is not None:
            return Condition.on_variables(names, self.variables)
        return Condition.on_columns(names, self._named)

    def _without(self, places: Sequence[int]) -> Dataset:
        """Return the data without some columns."""
        kept = sorted(set(range(self.dim)) - set(places))
        columns = None if self.columns is None else tuple(self.columns[place] for place in kept)
        variables, kind = self.variables, self.kind
        if variables is not None:
            variables = tuple(column for column in variables if set(column.names) <= set(columns or ()))
            kind = kind_of(variables)
        splits = {name: replace(split, x=columns_of(split.x, kept)) for name, split in self.splits.items()}
        return replace(self, splits=splits, columns=columns, image_shape=None, variables=variables, kind=kind)

    def to_table(self, x: Tensor | Array) -> dict[str, Array]:
        """Return rows (N, X) as the user's table, the values of each column by its name: :meth:`DataSpec.decode`."""
        return self.spec.decode(x)

    def sha256(self) -> str:
        """Checksum of the values, labels and weights of every split: data sets that share it hold the same data.

        Kinds and levels of the columns are part of it, the binarisation is not.
        """
        variables = None if self.variables is None else [column.to_json() for column in self.variables]
        return checksum(f"{self.kind}/{self.scale}", variables, self.splits, self.scale)


def require_dataset(data: object) -> None:
    """Raise an InputError for anything but a data set, such as the bare array that a user may give instead."""
    if not isinstance(data, Dataset):
        way = (
            "; Dataset.from_arrays(x) makes a data set of it"
            if hasattr(data, "shape") or isinstance(data, list)
            else ""
        )
        raise InputError(f"data: expected a data set; got {type(data).__name__}{way}")

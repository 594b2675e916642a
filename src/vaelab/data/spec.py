"""What a model is told of the data: shape and kind of an observation, mean and names of the columns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from numbers import Integral
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch import Tensor

from vaelab.data.binarisation import Binarisation, protocol_of
from vaelab.data.condition import Condition
from vaelab.data.tables import decode_rows
from vaelab.data.values import Array, Kind
from vaelab.data.variables import Column, ColumnKind, Group, groups_of, names_for
from vaelab.errors import InputError, require_choice, require_int, shown

if TYPE_CHECKING:
    from vaelab.data.dataset import Dataset

__all__ = ["DataSpec"]


@dataclass(frozen=True, eq=False)
class DataSpec:
    """What a model is told of the data, so that a data set of this form fits it.

    Observations are rows (B, X) everywhere; ``event_shape`` is the shape of one of them, (X,) for a row of a table and
    (H, W) for an image. X is the product of its sizes.

    Args:
        event_shape: (X,) or (H, W).
        mean: mean of each column of the training split, shape (X,); None if it is not known. It is in [0, 1] for bits
            and grey levels. It centres an encoder's input and starts a decoder's output bias.
        columns: names of the X columns, or None.
        kind: ``binary`` for 0 and 1, ``grey`` for grey levels in [0, 1], ``real`` for real numbers, ``count`` for whole
            ones from 0 on, ``mixed`` for columns of several kinds.
        may_be_missing: whether some values are not observed.
        binarisation: how grey levels become the bits that the model sees, or None if that is not known.
        condition: what a model is given beside an observation; None if it models all columns alone.
        variables: the columns of the user's table, of which the X columns are made; None for numbers alone.
        deviation: standard deviation of each column of the training split, shape (X,); None for bits, and for grey
            levels that become bits.

    Raises:
        InputError: a shape that is not one or two sizes of at least 1, a mean, a deviation, names or variables that do
            not fit it, an unknown kind, variables of other kinds.

    >>> spec = DataSpec((28, 28))
    >>> spec.dim, spec.image_shape
    (784, (28, 28))
    """

    event_shape: tuple[int, ...]
    mean: Tensor | None = None
    columns: tuple[str, ...] | None = None
    kind: Kind = "binary"
    may_be_missing: bool = False
    binarisation: Binarisation | None = None
    condition: Condition | None = None
    variables: tuple[Column, ...] | None = None
    deviation: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.event_shape
        if not isinstance(shape, Sequence) or isinstance(shape, str) or len(shape) not in (1, 2):
            raise InputError(f"event_shape: expected (X,) or (H, W); got {shown(shape)}")
        sizes = tuple(require_int(f"event_shape[{axis}]", size, 1) for axis, size in enumerate(shape))
        object.__setattr__(self, "event_shape", sizes)
        require_choice("kind", self.kind, get_args(Kind))
        protocol_of("of the spec", self.kind, self.binarisation)
        if self.mean is not None:
            object.__setattr__(self, "mean", self._checked_mean(self.mean))
        if self.deviation is not None:
            deviation = self._checked_statistic("deviation", self.deviation)
            if not bool((deviation >= 0).all()):
                raise InputError(f"deviation: expected numbers of at least 0; got some of {float(deviation.min()):g}")
            object.__setattr__(self, "deviation", deviation)
        if self.variables is not None:
            self._check_variables()
        elif self.kind == "mixed":
            raise InputError("variables: expected the columns of the table, as kind='mixed' says; got none")
        if self.columns is not None:
            names = tuple(self.columns)
            if len(set(names)) != self.dim or len(names) != self.dim:
                raise InputError(
                    f"columns: expected {self.dim} different names of columns; got {len(names)} names, "
                    f"{len(set(names))} of them different"
                )
            object.__setattr__(self, "columns", names)

    def __repr__(self) -> str:
        """Return what the spec says, in a line: the average of the mean, and the first names of columns.

        >>> DataSpec((3,), torch.tensor([0.2, 0.4, 0.6]), ("tea", "milk", "sugar"), binarisation="none")
        DataSpec((3,), 'binary', binarisation='none', mean=0.4 on average, columns=tea, milk, ...)
        """
        parts = [repr(self.event_shape), repr(self.kind)]
        parts += [] if self.binarisation is None else [f"binarisation={self.binarisation!r}"]
        parts += [] if self.mean is None else [f"mean={float(self.mean.mean()):.3g} on average"]
        if self.columns is not None:
            parts.append(f"columns={', '.join(self.columns[:2])}{', ...' if len(self.columns) > 2 else ''}")
        parts += [] if self.condition is None else [f"condition={self.condition}"]
        return f"DataSpec({', '.join(parts)}{', may be missing' if self.may_be_missing else ''})"

    def _check_variables(self) -> None:
        variables = tuple(self.variables or ())
        object.__setattr__(self, "variables", variables)
        names = names_for(variables, self.kind, self.columns)
        if len(names or ()) != self.dim:
            raise InputError(f"variables: expected {self.dim} columns for a model; got those of {len(names or ())}")
        object.__setattr__(self, "columns", names)

    def _checked_mean(self, mean: object) -> Tensor:
        checked = self._checked_statistic("mean", mean)
        if self.kind in ("binary", "grey") and not bool(((checked >= 0) & (checked <= 1)).all()):
            raise InputError(f"mean: expected numbers in [0, 1]; got some in [{checked.min():g}, {checked.max():g}]")
        return checked

    def _checked_statistic(self, name: str, values: object) -> Tensor:
        if not isinstance(values, Tensor):
            raise InputError(f"{name}: expected a tensor of shape ({self.dim},); got {type(values).__name__}")
        if tuple(values.shape) != (self.dim,):
            raise InputError(f"{name}: expected shape ({self.dim},); got {tuple(values.shape)}")
        if not bool(values.isfinite().all()):
            bounds = " in [0, 1]" if self.kind in ("binary", "grey") else ""
            raise InputError(f"{name}: expected numbers{bounds}; got some that are not finite")
        return values.detach()

    @classmethod
    def of(cls, data: Dataset | DataSpec | int) -> DataSpec:
        """Return the spec of a data set, a spec as it is, or for a number X that of rows of X bits.

        Raises:
            InputError: neither a data set, nor a spec, nor a number of columns of at least 1.

        >>> DataSpec.of(784).event_shape
        (784,)
        """
        if isinstance(data, DataSpec):
            return data
        spec = getattr(data, "spec", None)
        if isinstance(spec, DataSpec):
            return spec
        if isinstance(data, bool) or not isinstance(data, Integral):
            raise InputError(
                f"data: expected a data set, a DataSpec or a number of columns; got {type(data).__name__}"
                f"{'; Dataset.from_arrays(x) makes a data set of it' if hasattr(data, 'shape') else ''}"
            )
        return cls((require_int("data", data, 1),))

    @property
    def dim(self) -> int:
        """Number of columns X of an observation."""
        return math.prod(self.event_shape)

    @property
    def given(self) -> int:
        """Number of columns Y that are given: a row that a model gets has X + Y columns."""
        return 0 if self.condition is None else self.condition.size

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """Shape (H, W) if an observation is an image, else None."""
        return (self.event_shape[0], self.event_shape[1]) if len(self.event_shape) == 2 else None

    @property
    def groups(self) -> tuple[Group, ...]:
        """The groups of the X columns, as (kind, first column, column after the last).

        A group is of one kind: ``binary``, ``unit`` (real numbers in [0, 1]), ``real`` or ``count``; or it is the
        columns of one ``categorical`` variable, of which one is 1.

        >>> DataSpec((2,)).groups, DataSpec((2,), kind="grey", binarisation="none").groups
        ((('binary', 0, 2),), (('unit', 0, 2),))
        """
        if self.variables is not None and self.binarisation in (None, "none"):
            return groups_of(self.variables)
        kind: ColumnKind = "real" if self.kind == "real" else "count" if self.kind == "count" else "binary"
        return (("unit" if self.kind == "grey" and self.binarisation == "none" else kind, 0, self.dim),)

    @property
    def first_columns(self) -> tuple[int, ...]:
        """For each column of the user's table, the first of the columns that a model gets of it.

        >>> DataSpec((3,)).first_columns
        (0, 1, 2)
        """
        if self.variables is None:
            return tuple(range(self.dim))
        return tuple(accumulate((column.width for column in self.variables[:-1]), initial=0))

    def columns_to_read(self, plain: bool = False) -> tuple[Column, ...] | tuple[str, ...] | None:
        """Return the columns that a file must have for a model of these data, given ones among them, or None for all.

        ``plain`` asks for the names of the columns also where they are plain numbers.
        """
        on_columns = self.condition is not None and self.condition.on == "columns"
        condition = self.condition if on_columns else None
        if self.variables is not None:
            return (*self.variables, *(() if condition is None else condition.variables or ()))
        if self.columns is None or not plain:
            return None
        return (*self.columns, *(() if condition is None else condition.names))

    def decode(self, x: Tensor | Array) -> dict[str, Array]:
        """Return rows (N, X) as the user's table: the values of each column by its name.

        A binary column gets the level whose probability exceeds 1/2, a categorical one the level of the largest number;
        a row that is NaN there gets None or NaN.

        Raises:
            InputError: rows of another width.

        >>> DataSpec((1,), variables=(Column("answer", "binary", ("no", "yes"), "str"),)).decode(torch.tensor([[1.0]]))
        {'answer': array(['yes'], dtype=object)}
        """
        rows = np.asarray(x.detach().cpu() if isinstance(x, Tensor) else x)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise InputError(f"x: expected rows of {self.dim} columns; got shape {rows.shape}")
        if self.variables is None:
            names = self.columns or tuple(map(str, range(self.dim)))
            return {name: rows[:, place] for place, name in enumerate(names)}
        return decode_rows(self.variables, rows)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain values for a JSON file; mean and deviation are represented by their SHA-256.

        The weights of a model hold what it uses of the mean, so a file of a model need not repeat it.

        >>> DataSpec((2,), columns=("a", "b")).to_json()["columns"]
        ['a', 'b']
        """
        return {
            "event_shape": list(self.event_shape),
            "kind": self.kind,
            "columns": None if self.columns is None else list(self.columns),
            "may_be_missing": self.may_be_missing,
            "binarisation": self.binarisation,
            "condition": None if self.condition is None else self.condition.to_json(),
            "mean_sha256": None if self.mean is None else _sha256(self.mean),
            "variables": None if self.variables is None else [column.to_json() for column in self.variables],
            "deviation_sha256": None if self.deviation is None else _sha256(self.deviation),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> DataSpec:
        """Return the spec that :meth:`to_json` wrote, without its mean and deviation.

        Raises:
            InputError: keys that are missing or unknown, or values that are not those of a spec.

        >>> DataSpec.from_json(DataSpec((28, 28), kind="grey").to_json())
        DataSpec((28, 28), 'grey')
        """
        known = sorted(cls((1,)).to_json())
        required = set(known) - {"condition", "variables", "deviation_sha256"}  # which earlier files do not have
        if not isinstance(values, Mapping) or not required <= set(values) <= set(known):
            got = ", ".join(sorted(map(str, values))) if isinstance(values, Mapping) else shown(values)
            raise InputError(f"spec: expected the keys {', '.join(known)}; got {got}")
        columns, may_be_missing = values["columns"], values["may_be_missing"]
        if not isinstance(columns, list | None) or not isinstance(may_be_missing, bool):
            raise InputError("spec: expected a list of names or null as columns, and true or false as may_be_missing")
        variables = values.get("variables")
        if not isinstance(variables, list | None):
            raise InputError(f"spec: expected a list of columns or null as variables; got {shown(variables)}")
        return cls(
            values["event_shape"],
            None,
            None if columns is None else tuple(columns),
            values["kind"],
            may_be_missing,
            values["binarisation"],
            None if values.get("condition") is None else Condition.from_json(values["condition"]),
            None if variables is None else tuple(map(Column.from_json, variables)),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataSpec) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash((self.event_shape, self.columns, self.kind, self.may_be_missing))


def _sha256(mean: Tensor) -> str:
    values = mean.to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(values.astype("<f4", copy=False).tobytes()).hexdigest()

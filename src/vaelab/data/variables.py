"""The columns of a user's table: their names, kinds and levels, and the columns that a model gets of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from vaelab.data.naming import listed, require_same_names
from vaelab.data.values import Kind
from vaelab.errors import InputError, require_choice, shown

__all__ = [
    "Column",
    "ColumnKind",
    "Group",
    "Level",
    "encoded_names",
    "groups_of",
    "kind_of",
    "names_for",
    "require_same_columns",
    "require_same_levels",
]

ColumnKind = Literal["binary", "categorical", "unit", "real", "count"]
Level = str | bool | int | float
Group = tuple[ColumnKind, int, int]  # kind, first column, column after the last
_NUMBERS = (("0", "1"), ("False", "True"))  # levels that are 0 and 1 as numbers


@dataclass(frozen=True)
class Column:
    """One column of a user's table.

    A model gets a categorical column of L levels as L columns of one 1 each, named ``colour=red`` and so on, and a
    column of any other kind as one column of the same name.

    Args:
        name: its name in the table.
        kind: ``binary`` (two values), ``categorical`` (some levels), ``unit`` (real numbers in [0, 1]), ``real``, or
            ``count`` (whole numbers from 0 on).
        levels: of a binary column the value that is 0 and that which is 1, of a categorical column all of them; None
            for numbers that are used as they are.
        dtype: NumPy's name of the type of the user's values; ``str`` for text.
        missing: values that stand for a missing one, such as -9.

    Raises:
        InputError: an unknown kind; levels that are missing, not different, or too many or too few for the kind.

    >>> Column("colour", "categorical", ("blue", "red"), "str").names
    ('colour=blue', 'colour=red')
    """

    name: str
    kind: ColumnKind
    levels: tuple[Level, ...] | None = None
    dtype: str = "float64"
    missing: tuple[Level, ...] = ()

    def __post_init__(self) -> None:
        where = f"column {self.name!r}"
        require_choice(f"{where}: kind", self.kind, get_args(ColumnKind))
        if self.dtype != "str" and (self.dtype not in np.sctypeDict or np.dtype(self.dtype).kind not in "biuf"):
            raise InputError(f"{where}: dtype: expected str or a type of numbers, such as int64; got {self.dtype!r}")
        object.__setattr__(self, "missing", tuple(self.missing))
        if self.levels is None:
            if self.kind == "categorical":
                raise InputError(f"{where}: levels: expected a list of levels, as it is categorical; got none")
            return
        levels = tuple(self.levels)
        if self.kind not in ("binary", "categorical"):
            raise InputError(f"{where}: levels: expected none, as it is {self.kind}; got {shown(list(levels))}")
        if any(not isinstance(level, Level) or level != level for level in levels):
            raise InputError(f"{where}: levels: expected text or numbers; got {shown(list(levels))}")
        if len(set(levels)) < len(levels) or len(levels) < 1 or (self.kind == "binary" and len(levels) != 2):
            expected = "two different levels" if self.kind == "binary" else "different levels, one at least"
            raise InputError(f"{where}: levels: expected {expected}; got {shown(list(levels))}")
        object.__setattr__(self, "levels", levels)

    @property
    def width(self) -> int:
        """How many columns a model gets of it."""
        return len(self.levels) if self.kind == "categorical" and self.levels is not None else 1

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that a model gets of it."""
        if self.kind != "categorical" or self.levels is None:
            return (self.name,)
        return tuple(f"{self.name}={level}" for level in self.levels)

    def to_json(self) -> dict[str, Any]:
        """Return the column as plain values for a JSON file; ``missing`` only if there are such values."""
        values = asdict(self) | {"levels": None if self.levels is None else list(self.levels)}
        missing = list(values.pop("missing"))
        return values | ({"missing": missing} if missing else {})

    @classmethod
    def from_json(cls, values: object) -> Column:
        """Return the column that :meth:`to_json` wrote.

        Raises:
            InputError: other keys, or values that are not those of a column.

        >>> Column.from_json(Column("age", "real").to_json())
        Column(name='age', kind='real', levels=None, dtype='float64', missing=())
        """
        if not isinstance(values, Mapping) or set(values) - {"missing"} != {"name", "kind", "levels", "dtype"}:
            raise InputError(f"variables: expected name, kind, levels and dtype; got {shown(values)}")
        levels, missing = values["levels"], values.get("missing", [])
        if not isinstance(levels, list | None) or not all(isinstance(values[key], str) for key in ("name", "dtype")):
            raise InputError(f"variables: expected a name, a type, and a list of levels or null; got {shown(values)}")
        if not isinstance(missing, list):
            raise InputError(f"variables: expected a list of missing values; got {shown(missing)}")
        levels = None if levels is None else tuple(levels)
        return cls(values["name"], values["kind"], levels, values["dtype"], tuple(missing))


def encoded_names(variables: Sequence[Column]) -> tuple[str, ...]:
    """Return the names of the columns that a model gets of a table.

    Raises:
        InputError: two of them are equal.
    """
    names = tuple(name for column in variables for name in column.names)
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f"columns: expected different names; {twice!r} is the name of two columns")
    return names


def groups_of(variables: Sequence[Column]) -> tuple[Group, ...]:
    """Return the groups of columns that a model gets: neighbours of one kind, and each categorical column.

    >>> groups_of([Column("a", "real"), Column("b", "real"), Column("c", "categorical", ("x", "y", "z"))])
    (('real', 0, 2), ('categorical', 2, 5))
    """
    groups: list[Group] = []
    start = 0
    for column in variables:
        stop = start + column.width
        if groups and column.kind != "categorical" and groups[-1][0] == column.kind:
            groups[-1] = (column.kind, groups[-1][1], stop)
        else:
            groups.append((column.kind, start, stop))
        start = stop
    return tuple(groups)


def kind_of(variables: Sequence[Column]) -> Kind:
    """Return the kind of a data set of these columns.

    >>> kind_of([Column("a", "binary"), Column("b", "real")])
    'mixed'
    """
    kinds = {column.kind for column in variables}
    single: dict[ColumnKind, Kind] = {"binary": "binary", "unit": "grey", "real": "real", "count": "count"}
    return single.get(next(iter(kinds)), "mixed") if len(kinds) == 1 else "mixed"


def names_for(
    variables: Sequence[Column] | None, kind: Kind, columns: Sequence[str] | None, where: str = ""
) -> tuple[str, ...] | None:
    """Return the names of the columns that a model gets: those of ``variables``, or ``columns`` where there are none.

    Raises:
        InputError: variables of another kind or of other columns; none, although the kind is ``mixed``.

    >>> names_for([Column("a", "real"), Column("b", "binary")], "mixed", None)
    ('a', 'b')
    """
    if variables is None:
        if kind == "mixed":
            raise InputError(f"{where}variables: expected the columns of the table, as kind='mixed' says; got none")
        return None if columns is None else tuple(columns)
    names = encoded_names(variables)
    if kind_of(variables) != kind:
        raise InputError(f"{where}variables: expected columns of kind {kind}; got {kind_of(variables)} ones")
    if columns is not None and tuple(columns) != names:
        raise InputError(f"{where}columns: expected {listed(names)}, as the variables have them; got {listed(columns)}")
    return names


def require_same_columns(expected: Sequence[str] | None, got: Sequence[str] | None) -> None:
    """Refuse data whose columns have names, and not those of the model in its order: a place would mean another column.

    >>> require_same_columns(("tea", "milk"), ("milk", "tea"))
    Traceback (most recent call last):
    vaelab.errors.InputError: data: expected the columns in the order of the model, with 'tea' as number 1; got ...
    """
    if expected is None or got is None:
        return
    require_same_names("data", expected, got)
    for number, (mine, theirs) in enumerate(zip(expected, got, strict=True), 1):
        if mine != theirs:
            raise InputError(
                f"data: expected the columns in the order of the model, with {mine!r} as number {number}; got "
                f"{theirs!r} there; vaelab.data.order_columns(data, model.spec.columns) returns them in that order"
            )


def require_same_levels(
    expected: Sequence[Column] | None, got: Sequence[Column] | None, names: Sequence[str] | None = None
) -> None:
    """Refuse data of which a column has the levels of the model in another order, or others: a 1 means another level.

    ``names`` are those of the model's columns, which are numbers without levels where ``expected`` does not have them.

    >>> require_same_levels([Column("a", "binary", ("n", "y"))], [Column("a", "binary", ("y", "n"))])
    Traceback (most recent call last):
    vaelab.errors.InputError: data: column 'a': expected the levels ['n', 'y'] in this order, as the model has; ...
    """
    known = dict.fromkeys(names or ()) | {column.name: column.levels for column in expected or ()}
    for column in got or ():
        if column.levels is None or column.name not in known:
            continue
        mine, theirs = known[column.name], list(column.levels)
        if mine is None and tuple(map(str, theirs)) not in _NUMBERS:
            raise InputError(
                f"data: column {column.name!r}: expected numbers, as the model has; got the levels {shown(theirs)}"
            )
        if mine is not None and list(map(str, mine)) != list(map(str, theirs)):
            raise InputError(
                f"data: column {column.name!r}: expected the levels {shown(list(mine))} in this order, as the model "
                f"has; got {shown(theirs)}; columns=model.spec.variables reads the data as the model does"
            )

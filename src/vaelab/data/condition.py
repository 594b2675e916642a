"""What a conditional model is given: y in p(x|z, y) and q(z|x, y)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from vaelab.data.content import RawTable
from vaelab.data.tables import encode_table
from vaelab.data.values import Array
from vaelab.data.variables import Column, encoded_names
from vaelab.errors import InputError, did_you_mean, require_choice, shown

__all__ = ["Condition"]


@dataclass(frozen=True)
class Condition:
    """The numbers y that stand after the X columns of each row, and are given to a model instead of modelled.

    Args:
        on: ``labels``, one column for each class, or ``columns``, some columns of the data.
        names: the classes, or the names of the columns.
        variables: the columns of the user's table of which these columns are made, if they have kinds.

    >>> Condition("labels", ("0", "1", "7")).rows(7, 2)
    tensor([[0., 0., 1.],
            [0., 0., 1.]])
    """

    on: Literal["labels", "columns"]
    names: tuple[str, ...]
    variables: tuple[Column, ...] | None = None

    @property
    def size(self) -> int:
        """Number of columns Y."""
        return len(self.names)

    @property
    def words(self) -> str | list[str]:
        """The value of the setting ``condition``."""
        if self.variables is not None:
            return [column.name for column in self.variables]
        return "labels" if self.on == "labels" else list(self.names)

    def one_hot(self, labels: Array, where: str = "given") -> Array:
        """Return labels (N,) as rows (N, Y) of one 1 each, uint8.

        Raises:
            InputError: labels that are none of the classes.
        """
        classes, named = np.array(self.names), np.asarray(labels).astype(str)
        unknown = np.setdiff1d(named, classes)
        if len(unknown):
            raise InputError(f"{where}: expected one of the classes {', '.join(self.names)}; got {unknown[0]}")
        rows: Array = (named[:, None] == classes).astype(np.uint8)
        return rows

    def rows(self, given: object, count: int) -> Tensor:
        """Return what a user gives as rows (count, Y): a label, or the values of the columns; once, or for each row.

        Levels of columns are given once, as text: ``red``, or ``["red", "yes"]`` of two columns.

        Raises:
            InputError: a label that is no class, values that are not numbers in [0, 1], or another number of rows.
        """
        if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], str)):
            given = self._of_text([given] if isinstance(given, str) else given)
        try:
            values = torch.as_tensor(given)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"given: expected {self._expected()}; got {shown(given)}") from None
        if self.on == "labels" and values.ndim < 2 and not values.is_floating_point() and values.dtype != torch.bool:
            values = torch.from_numpy(self.one_hot(values.reshape(-1).cpu().numpy()))
        values = values.float() if values.ndim == 2 else values.float().reshape(1, -1)
        if values.shape[1:] != (self.size,) or len(values) not in (1, count):
            raise InputError(f"given: expected {self._expected()}, once or {count} times; got {shown(given)}")
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise InputError(f"given: expected numbers in [0, 1]; got {shown(given)}")
        return values.expand(count, -1)

    def _of_text(self, words: Sequence[str]) -> Array:
        """Return labels, or the levels of the columns of a table, as rows (N, Y)."""
        if self.on == "labels":
            return self.one_hot(np.array(words))
        variables = self.variables or ()
        if len(words) != len(variables):
            raise InputError(f"given: expected {self._expected()}; got {shown(words)}")
        levels = [
            np.array([word] if column.levels else [_number(word)])
            for column, word in zip(variables, words, strict=True)
        ]
        return encode_table("given", RawTable(tuple(column.name for column in variables), levels), variables)

    def _expected(self) -> str:
        if self.on == "labels":
            return f"a label ({', '.join(self.names)})"
        if self.variables is not None:
            return f"a level of {' and of '.join(column.name for column in self.variables)}"
        return f"{self.size} numbers, the values of {', '.join(self.names)}"

    @classmethod
    def on_labels(cls, labels: Sequence[Array | None], classes: Sequence[str] | None = None) -> Condition:
        """Return the condition on the labels of the splits; ``classes`` are the names of labels that were text.

        Raises:
            InputError: a split without labels.
        """
        present = [part for part in labels if part is not None]
        if len(present) < len(labels):
            raise InputError("condition: expected labels in every split; some have none")
        found = np.unique(np.concatenate(present))
        return cls("labels", tuple(str(label) if classes is None else classes[label] for label in found))

    @classmethod
    def on_columns(cls, names: Sequence[str], columns: Sequence[str]) -> Condition:
        """Return the condition on columns by their names.

        Raises:
            InputError: names that are no columns, or that leave no column to model.
        """
        for name in names:
            if name not in columns:
                raise InputError(
                    f"condition: expected labels, or names of columns; got {name!r}{did_you_mean(str(name), columns)}"
                )
        if len(set(names)) != len(names) or not 0 < len(names) < len(columns):
            raise InputError(f"condition: expected different columns, and others to model; got {shown(list(names))}")
        return cls("columns", tuple(names))

    @classmethod
    def on_variables(cls, names: Sequence[str], variables: Sequence[Column]) -> Condition:
        """Return the condition on columns of a table by their names.

        Raises:
            InputError: names that are no columns, or that leave no column to model; columns of real numbers or counts.
        """
        chosen = [column for column in variables if column.name in names or set(column.names) <= set(names)]
        covered = {name for column in chosen for name in (column.name, *column.names)}
        cls.on_columns(
            [name for name in names if name not in covered] or [column.name for column in chosen],
            [column.name for column in variables],
        )
        for column in chosen:
            if column.kind in ("real", "count"):
                raise InputError(
                    f"condition: expected binary, categorical or unit columns; {column.name!r} is {column.kind}"
                )
        return cls("columns", encoded_names(chosen), tuple(chosen))

    def to_json(self) -> dict[str, Any]:
        """Return the condition as plain values."""
        variables = {} if self.variables is None else {"variables": [column.to_json() for column in self.variables]}
        return {"on": self.on, "names": list(self.names), **variables}

    @classmethod
    def from_json(cls, values: object) -> Condition:
        """Return the condition that :meth:`to_json` wrote."""
        required = {"on", "names"}
        if (
            not isinstance(values, Mapping)
            or not required <= set(values) <= required | {"variables"}
            or not isinstance(values["names"], list)
            or not isinstance(values.get("variables"), list | None)
        ):
            raise InputError(f"condition: expected on and names; got {shown(values)}")
        require_choice("condition.on", values["on"], ("labels", "columns"))
        variables = values.get("variables")
        columns = None if variables is None else tuple(map(Column.from_json, variables))
        return cls(values["on"], tuple(map(str, values["names"])), columns)


def _number(word: str) -> float:
    """Return a number that was given as text."""
    try:
        return float(word)
    except ValueError:
        raise InputError(f"given: expected a number; got {shown(word)}") from None

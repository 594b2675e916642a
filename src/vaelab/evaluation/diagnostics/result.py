"""The diagnoses of a model: a sequence that prints itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, overload

from vaelab.errors import InputError, did_you_mean, shown
from vaelab.evaluation.diagnostics.contract import Diagnosis

__all__ = ["Diagnostics"]


@dataclass(frozen=True, repr=False)
class Diagnostics(Sequence[Diagnosis]):
    """The diagnoses of one model, in the order of the table: a sequence that is printed as text.

    Attributes:
        diagnoses: one for each diagnostic that applies to the model.

    >>> found = Diagnosis(name="units", title="Active units", numbers={"units": 2}, sentences=["Both are active."])
    >>> print(Diagnostics((found,)))
    Active units
      Both are active.
    >>> Diagnostics((found,))["units"].numbers
    {'units': 2}
    """

    diagnoses: tuple[Diagnosis, ...]

    def __len__(self) -> int:
        return len(self.diagnoses)

    def __iter__(self) -> Iterator[Diagnosis]:
        return iter(self.diagnoses)

    @overload
    def __getitem__(self, key: int | str) -> Diagnosis: ...
    @overload
    def __getitem__(self, key: slice) -> Diagnostics: ...
    def __getitem__(self, key: int | str | slice) -> Diagnosis | Diagnostics:
        """Return a diagnosis by its name or place."""
        if isinstance(key, slice):
            return Diagnostics(self.diagnoses[key])
        if not isinstance(key, str):
            return self.diagnoses[key]
        names = [diagnosis.name for diagnosis in self]
        if key not in names:
            raise InputError(f"name: expected one of {', '.join(names)}; got {shown(key)}{did_you_mean(key, names)}")
        return self.diagnoses[names.index(key)]

    def of_weights(self, weights: str) -> Diagnostics:
        """Return the same diagnoses with the SHA-256 of the weights in every one."""
        return Diagnostics(tuple(each.model_copy(update={"weights": weights}) for each in self))

    def protocol(self) -> str:
        """Return what was diagnosed, in one line; empty where there is nothing."""
        if not self.diagnoses or not self.diagnoses[0].split:
            return ""
        first = self.diagnoses[0]
        rows = f"{first.rows:,} observations"
        if first.rows_of_split is not None:
            rows = f"the first {first.rows:,} of {first.rows_of_split:,} observations"
        return f"({rows}, {first.split} split of {first.data}, binarisation {first.binarisation})"

    def __str__(self) -> str:
        lines = [line for each in self for line in (each.title, *(f"  {line}" for line in each.lines()))]
        return "\n".join([*lines, *filter(None, [self.protocol()])])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the findings for a notebook."""
        parts = []
        for each in self:
            items = "".join(f"<li>{escape(line)}</li>" for line in each.lines())
            parts.append(f"<h4>{escape(each.title)}</h4><ul>{items}</ul>")
        return f"<div>{''.join(parts)}<p>{escape(self.protocol())}</p></div>"

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return each diagnosis as JSON values, under its name, without its arrays."""
        return {each.name: each.to_dict() for each in self}

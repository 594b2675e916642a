"""Which array of an .npz file is what: rows, splits, labels; and what is not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vaelab.data.content import SPLITS
from vaelab.data.naming import LABELS, listed
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError, did_you_mean

__all__ = ["name_arrays"]

_WORDS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_ROWS = ("{}", "x_{}", "{}_x", "{}_data", "{}_images")
_LABELS = ("{}_labels", "{}_label", "y_{}", "{}_y", "labels_{}")


def name_arrays(path: Path, names: Sequence[str], options: ReadOptions) -> dict[str, str]:
    """Return which array is what: ``x`` or the splits, and ``labels of x`` and so on, as far as they are there.

    >>> name_arrays(Path("a.npz"), ["x_train", "y_train", "x_test"], ReadOptions())
    {'train': 'x_train', 'labels of train': 'y_train', 'test': 'x_test'}
    """
    if len(set(map(str.lower, names))) < len(names):
        raise InputError(f"{path}: expected arrays of different names; got {listed(names)}")
    known = {name.lower(): name for name in names}
    found: dict[str, str] = {}
    for role, rows, labels in _candidates(options.label_column):
        own = _one(path, known, rows)
        if own is not None:
            found[role] = own
            mine = _one(path, known, labels)
            found |= {} if mine is None else {f"labels of {role}": mine}
    splits = [role for role in found if role in SPLITS]
    if "x" in found and splits:
        raise InputError(
            f"{path}: expected an array x, or train, validation and test; got both, x and {listed(splits)}"
        )
    if "x" not in found and not {"train", "test"} <= set(splits):
        got = f"only {', '.join(splits)}" if splits else f"{sorted(names)}"
        hint = "" if splits else "; save it under that name with numpy.savez(FILE, x=...)"
        raise InputError(f"{path}: expected an array x, or train, validation and test; got {got}{hint}")
    if options.label_column is not None and not any(role.startswith("labels") for role in found):
        hint = did_you_mean(options.label_column, names)
        raise InputError(f"{path}: label_column: there is no array {options.label_column!r}{hint}; got {listed(names)}")
    return found


def _candidates(label: str | None) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    """Return the roles of rows, and for each the names, in small letters, that rows and labels may have."""
    one = LABELS if label is None else (label.lower(),)
    candidates: list[tuple[str, Sequence[str], Sequence[str]]] = [("x", ("x",), one)]
    for split in SPLITS:
        forms = _LABELS if label is None else (f"{label.lower()}_{{}}", f"{{}}_{label.lower()}")
        rows, labels = ([form.format(word) for form in some for word in _WORDS[split]] for some in (_ROWS, forms))
        candidates.append((split, rows, labels))
    return candidates


def _one(path: Path, known: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    found = [known[name] for name in wanted if name in known]
    if len(found) > 1:
        raise InputError(f"{path}: expected one of the arrays {listed(found)}; got {len(found)} that may be the same")
    return found[0] if found else None

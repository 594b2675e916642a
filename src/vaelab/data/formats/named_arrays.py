"""Which of the arrays of a file holds the rows, which the splits, which the labels: by their names and shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vaelab.data.content import SPLITS
from vaelab.data.naming import LABELS, listed
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError, did_you_mean

__all__ = ["WORDS", "name_arrays", "note_of_roles"]

WORDS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_ROWS = ("{}", "x_{}", "{}_x", "{}_data", "{}_images")
_LABELS = ("{}_labels", "{}_label", "y_{}", "{}_y", "labels_{}")

ShapeOf = Callable[[str], tuple[int, ...] | None]  # None for what is no array of numbers


def name_arrays(path: Path, names: Sequence[str], options: ReadOptions, shape_of: ShapeOf) -> dict[str, str]:
    """Return the name of the array for each role: ``x`` or the splits, and ``labels of x`` and so on if there are any.

    Without these names the only array of two axes or more, of rows or images, is ``x``.

    >>> name_arrays(Path("a.npz"), ["x_train", "y_train", "x_test"], ReadOptions(), lambda name: None)
    {'train': 'x_train', 'test': 'x_test', 'labels of train': 'y_train'}
    >>> shapes = {"images": (100, 28, 28), "y": (100,)}
    >>> name_arrays(Path("a.npz"), list(shapes), ReadOptions(), shapes.get)
    {'x': 'images', 'labels of x': 'y'}
    """
    if len(set(map(str.lower, names))) < len(names):
        raise InputError(f"{path}: expected arrays of different names; got {listed(names)}")
    known = {name.lower(): name for name in names}
    arrays: dict[str, str] = {}
    candidates = _candidates(options.label_column)
    for role, rows, _ in candidates:
        if (name := _one(path, known, rows)) is not None:
            arrays[role] = name
    if not arrays:
        arrays["x"] = _only(path, names, options, shape_of)
    for role, _, labels in candidates:
        if role not in arrays:
            continue
        for kind, forms in (("labels", labels), ("weights", _beside(role, options.weight_column))):
            if (name := _one(path, known, forms)) is not None:
                arrays[f"{kind} of {role}"] = name
    splits = [role for role in arrays if role in SPLITS]
    if "x" in arrays and splits:
        raise InputError(
            f"{path}: expected an array x, or train, validation and test; got both, x and {listed(splits)}"
        )
    if "x" not in arrays and not {"train", "test"} <= set(splits):
        raise InputError(f"{path}: expected an array x, or train, validation and test; got only {', '.join(splits)}")
    for column, kind, wanted in (
        ("label_column", "labels", options.label_column),
        ("weight_column", "weights", options.weight_column),
    ):
        if wanted is not None and not any(role.startswith(kind) for role in arrays):
            hint = did_you_mean(wanted, names)
            raise InputError(f"{path}: {column}: there is no array {wanted!r}{hint}; got {listed(names)}")
    return arrays


def _beside(role: str, name: str | None) -> Sequence[str]:
    """Return the names, in lower case, that an array of this name beside the rows of a role may have."""
    if name is None:
        return ()
    if role == "x":
        return (name.lower(),)
    return [form.format(word) for form in (f"{name.lower()}_{{}}", f"{{}}_{name.lower()}") for word in WORDS[role]]


def note_of_roles(names: Sequence[str], roles: Mapping[str, str]) -> tuple[str, ...]:
    """Return sentences on an array that holds the rows under another name, and on those that are not read."""
    unread = [name for name in names if name not in roles.values()]
    notes = [f"the rows are in the array {roles['x']!r}"] if roles.get("x", "x").lower() != "x" else []
    return (*notes, *([f"not read: the array{'s' if len(unread) > 1 else ''} {listed(unread)}"] if unread else ()))


def _only(path: Path, names: Sequence[str], options: ReadOptions, shape_of: ShapeOf) -> str:
    """Return the name of the only array that can be rows or images."""
    others = {*LABELS, (options.label_column or "y").lower(), (options.weight_column or "y").lower()}
    shapes = {name: shape_of(name) for name in names if name.lower() not in others}
    rows = [name for name, shape in shapes.items() if shape is not None and _may_be_rows(shape)]
    if len(rows) != 1:
        got = f"several that may be it, {listed(sorted(rows))}" if rows else f"{sorted(names)}"
        raise InputError(
            f"{path}: expected an array x, or train, validation and test; got {got}; "
            "save it under that name with numpy.savez(FILE, x=...)"
        )
    return rows[0]


def _may_be_rows(shape: tuple[int, ...]) -> bool:
    return len(shape) > 2 or (len(shape) == 2 and 1 not in shape)  # (N, 1) are labels, as MATLAB has them


def _candidates(label: str | None) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    """Return the roles of rows, and for each the names, in lower case, that its rows and labels may have."""
    one = LABELS if label is None else (label.lower(),)
    candidates: list[tuple[str, Sequence[str], Sequence[str]]] = [("x", ("x",), one)]
    for split in SPLITS:
        forms = _LABELS if label is None else (f"{label.lower()}_{{}}", f"{{}}_{label.lower()}")
        rows, labels = ([form.format(word) for form in some for word in WORDS[split]] for some in (_ROWS, forms))
        candidates.append((split, rows, labels))
    return candidates


def _one(path: Path, known: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    present = [known[name] for name in wanted if name in known]
    if len(present) > 1:
        raise InputError(f"{path}: expected one of the arrays {listed(present)}; got {len(present)} of them")
    return present[0] if present else None

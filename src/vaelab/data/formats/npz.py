"""Archives of NumPy arrays (.npz): the roles of the arrays by their names, and shards."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from vaelab.data.content import SPLITS, Content
from vaelab.data.formats.npy import npy_header, read_npy
from vaelab.data.naming import LABELS, listed
from vaelab.data.opening import Opened, open_regular, reason_of, require_fits
from vaelab.data.streaming.sources import Header, Packed, Source, image_shape_of, require_unpackable, stamp_of
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError, did_you_mean

__all__ = ["Archive", "name_arrays", "read", "sources"]

_SPARSE = ({"indices", "indptr"}, {"row", "col"}, {"offsets", "data"})  # beside format and shape
_WORDS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_ROWS = ("{}", "x_{}", "{}_x", "{}_data", "{}_images")
_LABELS = ("{}_labels", "{}_label", "y_{}", "{}_y", "labels_{}")


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read the arrays of an .npz file that have a role; a note names the others."""
    roles: dict[str, str] = {}
    unread: list[str] = []

    def choose(names: Sequence[str]) -> Sequence[str]:
        roles.update(name_arrays(opened.path, names, options))
        unread.extend(name for name in names if name not in roles.values())
        return list(roles.values())

    arrays = _read_arrays(opened.path, opened.file, choose)
    notes = (f"not read: the array{'s' if len(unread) > 1 else ''} {listed(unread)}",) if unread else ()
    return Content({role: arrays[name] for role, name in roles.items()}, notes=notes, archive=True)


def sources(path: Path, options: ReadOptions) -> Sequence[Source]:
    """Return the rows of a shard in .npz, which are read together."""
    return [Archive.of(path, options)]


def name_arrays(path: Path, names: Sequence[str], options: ReadOptions) -> dict[str, str]:
    """Return the name of the array for each role: ``x`` or the splits, and ``labels of x`` and so on if there are any.

    >>> name_arrays(Path("a.npz"), ["x_train", "y_train", "x_test"], ReadOptions())
    {'train': 'x_train', 'labels of train': 'y_train', 'test': 'x_test'}
    """
    if len(set(map(str.lower, names))) < len(names):
        raise InputError(f"{path}: expected arrays of different names; got {listed(names)}")
    known = {name.lower(): name for name in names}
    arrays: dict[str, str] = {}
    for role, rows, labels in _candidates(options.label_column):
        if (name := _one(path, known, rows)) is not None:
            arrays[role] = name
            if (name := _one(path, known, labels)) is not None:
                arrays[f"labels of {role}"] = name
            if (name := _one(path, known, _beside(role, options.weight_column))) is not None:
                arrays[f"weights of {role}"] = name
    splits = [role for role in arrays if role in SPLITS]
    if "x" in arrays and splits:
        raise InputError(
            f"{path}: expected an array x, or train, validation and test; got both, x and {listed(splits)}"
        )
    if "x" not in arrays and not {"train", "test"} <= set(splits):
        got = f"only {', '.join(splits)}" if splits else f"{sorted(names)}"
        hint = "" if splits else "; save it under that name with numpy.savez(FILE, x=...)"
        raise InputError(f"{path}: expected an array x, or train, validation and test; got {got}{hint}")
    for column, kind, name in (
        ("label_column", "labels", options.label_column),
        ("weight_column", "weights", options.weight_column),
    ):
        if name is not None and not any(role.startswith(kind) for role in arrays):
            hint = did_you_mean(name, names)
            raise InputError(f"{path}: {column}: there is no array {name!r}{hint}; got {listed(names)}")
    return arrays


def _beside(role: str, name: str | None) -> Sequence[str]:
    """Return the names, in lower case, that an array of this name beside the rows of a role may have."""
    if name is None:
        return ()
    if role == "x":
        return (name.lower(),)
    return [form.format(word) for form in (f"{name.lower()}_{{}}", f"{{}}_{name.lower()}") for word in _WORDS[role]]


def _candidates(label: str | None) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    """Return the roles of rows, and for each the names, in lower case, that its rows and labels may have."""
    one = LABELS if label is None else (label.lower(),)
    candidates: list[tuple[str, Sequence[str], Sequence[str]]] = [("x", ("x",), one)]
    for split in SPLITS:
        forms = _LABELS if label is None else (f"{label.lower()}_{{}}", f"{{}}_{label.lower()}")
        rows, labels = ([form.format(word) for form in some for word in _WORDS[split]] for some in (_ROWS, forms))
        candidates.append((split, rows, labels))
    return candidates


def _one(path: Path, known: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    present = [known[name] for name in wanted if name in known]
    if len(present) > 1:
        raise InputError(f"{path}: expected one of the arrays {listed(present)}; got {len(present)} of them")
    return present[0] if present else None


_Choose = Callable[[Sequence[str]], Sequence[str]]


@contextmanager
def _archive(path: Path, file: FileIO, choose: _Choose) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open an .npz file; yield it with the members that ``choose`` selects by the names of their arrays."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if {"format", "shape"} <= set(names) and any(keys <= set(names) for keys in _SPARSE):
                way = "numpy.save('x.npy', scipy.sparse.load_npz(path).toarray().astype('uint8'))"
                raise InputError(f"{path}: expected a table; got a sparse matrix (of scipy.sparse); write it as {way}")
            members = {name: archive.infolist()[names.index(name)] for name in choose(names)}
            for name, member in members.items():
                if not member.filename.endswith(".npy"):
                    raise InputError(f"{path}: expected a readable .npz file of numbers ({name!r} is no array)")
            yield archive, members
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds for a damaged file
        raise InputError(f"{path}: expected a readable .npz file of numbers ({reason_of(error)})") from error


def _read_arrays(path: Path, file: FileIO, choose: _Choose) -> dict[str, Array]:
    """Read the arrays of an .npz file that ``choose`` selects by their names.

    Raises:
        InputError: a damaged file, a sparse matrix, members that are not arrays, more than memory may hold.
    """
    with _archive(path, file, choose) as (archive, members):
        require_fits(path, sum(member.file_size for member in members.values()))
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as stream:
                arrays[name] = read_npy(f"{path}: array {name!r}", stream, member.file_size)
        return arrays


def _read_headers(path: Path, file: FileIO, choose: _Choose) -> dict[str, Header]:
    """Read the headers of the arrays of an .npz file that ``choose`` selects by their names."""
    with _archive(path, file, choose) as (archive, members):
        headers = {}
        for name, member in members.items():
            with archive.open(member) as stream:
                headers[name] = npy_header(f"{path}: array {name!r}", stream)
        return headers


@dataclass(frozen=True)
class Archive(Packed):
    """A shard in .npz: rows or images and, if there are any, labels; ``x`` and ``y`` are the names of their arrays."""

    x: str = "x"
    y: str | None = None

    @property
    def label(self) -> str | None:
        return self.y

    @classmethod
    def of(cls, path: Path, options: ReadOptions) -> Archive:
        """Read the header of ``x`` alone."""
        roles: dict[str, str] = {}

        def choose(names: Sequence[str]) -> Sequence[str]:
            roles.update(name_arrays(path, names, options))
            if "x" not in roles:
                raise InputError(
                    f"{path}: expected a readable .npz file with an array x in a shard; got {listed(names)}"
                )
            return [roles["x"]]

        with open_regular(path) as file:
            ((shape, _, dtype),) = _read_headers(path, file, choose).values()
        images = image_shape_of(path, shape)
        count, dim = shape[0], math.prod(shape[1:])
        require_unpackable(path, count * dim * dtype.itemsize, "write smaller shards, or .npy")
        return cls(path, stamp_of(path), count, dim, dtype, images, roles["x"], roles.get("labels of x"))

    def unpack(self) -> Array:
        return self._array(self.x).reshape(self.count, self.dim)

    def labels(self) -> Array | None:
        return None if self.y is None else self._array(self.y)

    def _array(self, name: str) -> Array:
        with self.opened() as file:
            return _read_arrays(self.path, file, lambda names: [name])[name]

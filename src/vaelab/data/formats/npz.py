"""Archives of NumPy arrays (.npz): the roles of the arrays by their names, and shards."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from vaelab.data.content import Content
from vaelab.data.formats.matrices import is_sparse_archive, read_sparse
from vaelab.data.formats.named_arrays import name_arrays, note_of_roles
from vaelab.data.formats.npy import npy_header, read_npy
from vaelab.data.naming import listed
from vaelab.data.opening import Opened, open_regular, reason_of, require_fits
from vaelab.data.streaming.sources import Header, Packed, Source, image_shape_of, require_unpackable, stamp_of
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

__all__ = ["Archive", "read", "read_arrays", "sources"]


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read the arrays of an .npz file that have a role, or the sparse matrix that it is; notes name the others."""
    path = opened.path
    with _archive(path, opened.file) as archive:
        names = _names(archive)
        if is_sparse_archive(names):
            require_fits(path, sum(member.file_size for member in archive.infolist()))
            opened.file.seek(0)
            return Content({"x": read_sparse(path, opened.file)})
        roles = name_arrays(path, names, options, lambda name: _shape(path, archive, name))
        arrays = read_arrays(path, archive, list(roles.values()))
    notes = note_of_roles(names, roles)
    return Content({role: arrays[name] for role, name in roles.items()}, notes=notes, archive=True)


def sources(path: Path, options: ReadOptions) -> Sequence[Source]:
    """Return the rows of a shard in .npz, which are read together."""
    return [Archive.of(path, options)]


@contextmanager
def _archive(path: Path, file: FileIO) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file; whatever is raised for a damaged one is an InputError."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib raise a dozen kinds for a damaged file
        raise InputError(f"{path}: expected a readable .npz file of numbers ({reason_of(error)})") from error


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(".npy") for name in archive.namelist()]


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    member = archive.infolist()[_names(archive).index(name)]
    if not member.filename.endswith(".npy"):
        raise InputError(f"{path}: expected a readable .npz file of numbers ({name!r} is no array)")
    return member


def read_arrays(path: Path, archive: zipfile.ZipFile, names: Sequence[str]) -> dict[str, Array]:
    """Read arrays by their names.

    Raises:
        InputError: members that are not arrays of numbers, more than memory may hold.
    """
    members = {name: _member(path, archive, name) for name in names}
    require_fits(path, sum(member.file_size for member in members.values()))
    arrays = {}
    for name, member in members.items():
        with archive.open(member) as stream:
            arrays[name] = read_npy(f"{path}: array {name!r}", stream, member.file_size)
    return arrays


def _header(path: Path, archive: zipfile.ZipFile, name: str) -> Header:
    with archive.open(_member(path, archive, name)) as stream:
        return npy_header(f"{path}: array {name!r}", stream)


def _shape(path: Path, archive: zipfile.ZipFile, name: str) -> tuple[int, ...] | None:
    """Return the shape of an array of numbers, None for anything else."""
    try:
        return _header(path, archive, name)[0]
    except InputError:
        return None


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
        with open_regular(path) as file, _archive(path, file) as archive:
            names = _names(archive)
            if is_sparse_archive(names):
                raise InputError(f"{path}: expected a shard of dense rows; got a sparse matrix; give it as one file")
            roles = name_arrays(path, names, options, lambda name: _shape(path, archive, name))
            if "x" not in roles:
                raise InputError(
                    f"{path}: expected a readable .npz file with an array x in a shard; got {listed(names)}"
                )
            shape, _, dtype = _header(path, archive, roles["x"])
        images = image_shape_of(path, shape)
        count, dim = shape[0], math.prod(shape[1:])
        require_unpackable(path, count * dim * dtype.itemsize, "write smaller shards, or .npy")
        return cls(path, stamp_of(path), count, dim, dtype, images, roles["x"], roles.get("labels of x"))

    def unpack(self) -> Array:
        return self._array(self.x).reshape(self.count, self.dim)

    def labels(self) -> Array | None:
        return None if self.y is None else self._array(self.y)

    def _array(self, name: str) -> Array:
        with self.opened() as file, _archive(self.path, file) as archive:
            return read_arrays(self.path, archive, [name])[name]

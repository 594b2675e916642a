"""Folders of grey images, read by Pillow: one folder of files, one a class, or train, validation and test of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from vaelab.data.content import Content
from vaelab.data.formats.image_labels import labels_of_table, number_classes
from vaelab.data.formats.named_arrays import WORDS
from vaelab.data.naming import listed
from vaelab.data.opening import open_regular, reason_of, require_fits
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array, ReadOptions
from vaelab.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["IMAGES", "is_folder", "read_folder"]

IMAGES = (".png", ".bmp", ".tif", ".tiff", ".pgm", ".pbm", ".jpg", ".jpeg")
_TABLES = (".csv", ".tsv")
_READ = ("PNG", "BMP", "TIFF", "PPM", "JPEG")  # no other of Pillow's formats, some of which run programs
_WHITE = {"1": 1, "L": 255, "I;16": 65535, "I;16B": 65535, "I;16L": 65535, "I": 65535}
_COLOURS = ("P", "PA", "LA", "RGB", "RGBA")  # which may hold grey images all the same
_SYSTEMS = ("thumbs.db", "desktop.ini")


@dataclass
class _Folder:
    """The image files of one split, the class of each if its folder says it, and a table of labels."""

    files: list[Path]
    classes: list[str] = field(default_factory=list)
    table: Path | None = None
    others: list[str] = field(default_factory=list)


def is_folder(path: Path, depth: int = 2) -> bool:
    """Return whether a directory holds images, or folders of them."""
    entries = _entries(path)
    return any(map(_is_image, entries)) or (
        depth > 0 and any(is_folder(entry, depth - 1) for entry in entries if entry.is_dir())
    )


def read_folder(path: Path, options: ReadOptions) -> Content:
    """Read all images of a folder, in the order of their names; notes say what the labels are.

    Raises:
        InputError: colour images, images of several sizes or depths, damaged ones, labels that do not fit the files.
    """
    folders = {entry.name.lower(): entry for entry in _entries(path) if entry.is_dir()}
    splits = {role: folders[word] for role, words in WORDS.items() for word in words if word in folders}
    if {"train", "test"} <= set(splits):
        unread = [entry.name for entry in _entries(path) if entry not in splits.values()]
        parts = {role: _folder(folder) for role, folder in splits.items()}
    else:
        parts, unread = {"x": _folder(path)}, []
    files = [file for part in parts.values() for file in part.files]
    pixels, white = _read(files)
    classes, notes = number_classes(sorted({name for part in parts.values() for name in part.classes}))
    arrays: dict[str, Array | SparseRows] = {}
    start = 0
    for role, part in parts.items():
        arrays[role] = pixels[start : start + len(part.files)]
        start += len(part.files)
        if part.classes:
            arrays[f"labels of {role}"] = np.array([classes[name] for name in part.classes])
        elif part.table is not None:
            arrays[f"labels of {role}"], found = labels_of_table(part.table, part.files, options)
            notes = (*notes, *found)
        unread += part.others
    notes = (*notes, *((f"not read: {listed(sorted(unread))}",) if unread else ()))
    return Content(arrays, notes=notes, archive=True, white=white if pixels.max() > 1 else None)


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: expected a readable folder; {reason_of(error)}") from None
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in _SYSTEMS]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES and not path.is_dir()


def _folder(path: Path) -> _Folder:
    """Return the images of a folder, or those of its folders, one a class."""
    entries = _entries(path)
    files, folders = [entry for entry in entries if _is_image(entry)], [entry for entry in entries if entry.is_dir()]
    rest = [entry for entry in entries if entry not in files and entry not in folders]
    tables = [entry for entry in rest if entry.suffix.lower() in _TABLES]
    if files and folders:
        raise InputError(
            f"{path}: expected images, or one folder a class; got images beside the folder {folders[0].name!r}"
        )
    if files:
        table = tables[0] if len(tables) == 1 else None
        return _Folder(files, [], table, [entry.name for entry in rest if entry != table])
    found = _Folder([], others=[entry.name for entry in rest])
    for folder in folders:
        inside = _entries(folder)
        images = [entry for entry in inside if _is_image(entry)]
        if any(entry.is_dir() for entry in inside) or not images:
            raise InputError(
                f"{folder}: expected images of one class; got {'folders' if inside else 'an empty folder'}"
            )
        found.files += images
        found.classes += [folder.name] * len(images)
        found.others += [f"{folder.name}/{entry.name}" for entry in inside if entry not in images]
    if not found.files:
        raise InputError(f"{path}: expected images ending in {', '.join(IMAGES)}; got none")
    return found


def _read(files: Sequence[Path]) -> tuple[Array, int]:
    """Return the pixels of all images, (N, H, W), and the value that is white."""
    first, white = _decoded(files[0])
    require_fits(files[0].parent, len(files) * first.nbytes, advice="save them as one array, .npy")
    pixels = np.empty((len(files), *first.shape), first.dtype)
    for number, file in enumerate(files):
        image, depth = _decoded(file)
        if (image.shape, depth) != (first.shape, white):
            expected, got = _size(first, white), _size(image, depth)
            raise InputError(f"{file}: expected {expected} as in {files[0].name}; got {got}")
        pixels[number] = image
    return pixels, white


def _size(image: Array, white: int) -> str:
    bits = white.bit_length()
    return f"{image.shape[0]} x {image.shape[1]} pixels (height x width) of {bits} bit{'s' * (bits > 1)}"


def _decoded(path: Path) -> tuple[Array, int]:
    """Return the pixels of an image (H, W), and the value that is white."""
    from PIL import Image

    with open_regular(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on what stands beside the pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(cast(IO[bytes], file), formats=_READ) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise InputError(f"{path}: expected one image in a file; got several")
                return _grey(path, image)
        except InputError:
            raise
        except Exception as error:  # Pillow raises a dozen kinds for a damaged file
            raise InputError(f"{path}: expected a readable image ({reason_of(error)})") from error


def _grey(path: Path, image: Image.Image) -> tuple[Array, int]:
    """Return the pixels of a grey image, also of one that is stored in colours which are all grey."""
    if image.mode in _WHITE:
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > _WHITE[image.mode]:
            raise InputError(f"{path}: expected a grey image of 1, 8 or 16 bits; got pixels of 32 bits")
        return pixels.astype(np.uint16 if _WHITE[image.mode] > 255 else np.uint8), _WHITE[image.mode]
    if image.mode not in _COLOURS:
        raise InputError(f"{path}: expected a grey image of 1, 8 or 16 bits; got Pillow's mode {image.mode!r}")
    red, green, blue, alpha = np.moveaxis(np.asarray(image.convert("RGBA")), 2, 0)
    if (alpha != 255).any() or (red != green).any() or (red != blue).any():
        what = "transparent pixels" if (alpha != 255).any() else "colours"
        raise InputError(f"{path}: expected a grey image; got {what}, which vaelab does not model")
    return red, 255

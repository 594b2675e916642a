"""The table of data formats: how a file of each is recognised, what it holds, and what reads it.

A new format is one file beside this one and one row here; the documentation, the errors and the reader follow it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vaelab.data.content import Content
from vaelab.data.formats import hdf5, idx, images, mat, matrices, npy, npz, parquet, parquet_table, text
from vaelab.data.opening import Opened
from vaelab.data.packing import PACKINGS
from vaelab.data.streaming.sources import Source
from vaelab.data.values import ReadOptions

__all__ = ["ENDINGS", "FORMATS", "Format", "folder_format", "format_of"]


@dataclass(frozen=True)
class Format:
    """One format of data files.

    Args:
        endings: how the names of its files end.
        called: what a file is called in a message.
        holds: what is read from a file, for the documentation.
        read: reads an open file into memory; None for files that are read by folders.
        sources: returns the rows of a file where they lie on the disk; None if they cannot stay there.
        on_disk: whether a file stays on the disk: ``never``, ``large`` (above 1 GiB) or ``always``.
        in_memory: whether a file has to be read into memory, though the rows of others of its format stay on the disk.
        shards: whether a directory of such files is one data set.
        packs: whether a file may be packed, as NAME.csv.gz.
        folder: reads a directory of such files into memory; None if each file is data itself, or a shard.
        begins: the first bytes of a file, where they are always the same.
    """

    endings: tuple[str, ...]
    called: str
    holds: str
    read: Callable[[Opened, ReadOptions], Content] | None = None
    sources: Callable[[Path, ReadOptions], Sequence[Source]] | None = None
    on_disk: Literal["never", "large", "always"] = "never"
    in_memory: Callable[[Path, ReadOptions], bool] | None = None
    shards: bool = False
    packs: bool = True
    folder: Callable[[Path, ReadOptions], Content] | None = None
    begins: bytes | None = None


FORMATS = (
    Format(
        (".npy",),
        "a .npy array",
        "one array",
        npy.read,
        npy.sources,
        on_disk="large",
        shards=True,
        begins=b"\x93NUMPY",
    ),
    Format(
        (".npz",),
        "an .npz archive of arrays",
        "an array `x`, with labels `y` if there are any; or arrays `train`, `validation` and `test`, with "
        "`train_labels` and so on (`x_train`, `y_train`, `val` and similar names are understood); or one array of any "
        "name; or a sparse matrix, as `scipy.sparse.save_npz` writes it",
        npz.read,
        npz.sources,
        shards=True,
        packs=False,
        begins=b"PK\x03\x04",
    ),
    Format(
        (".csv", ".tsv", ".txt", ".dat", ".data", ".amat"),
        "a table of text",
        "a table, one observation a line, of numbers or also of words and missing cells",
        text.read,
    ),
    Format(
        (".mtx",),
        "a Matrix Market file",
        "a sparse matrix, or a dense one",
        mat.read_mtx,
        begins=b"%%MatrixMarket",
    ),
    Format(
        (".svmlight", ".libsvm", ".svm"),
        "a file of svmlight",
        "a label and pairs column:value a line, as a sparse matrix with labels",
        matrices.read_svmlight,
    ),
    Format(
        (".mat",),
        "a MATLAB file",
        "arrays as in `.npz`, dense or sparse",
        mat.read,
        begins=b"MATLAB",
    ),
    Format(
        (".idx", "-ubyte"),
        "an IDX file",
        "an array of unsigned bytes; images named like those of MNIST have the labels beside them",
        idx.read,
        idx.sources,
        on_disk="large",
        begins=b"\0\0\x08",
    ),
    Format(
        (".h5", ".hdf5", ".h5ad"),
        "an HDF5 file",
        "arrays as in `.npz`, also in groups (`train/images`); X of annotated data, dense or sparse, and a column of "
        'obs as labels (needs `pip install "vaelab[hdf5]"`)',
        hdf5.read,
        begins=b"\x89HDF",
    ),
    Format(
        images.IMAGES,
        "an image",
        "a folder of grey images of one size, of 1, 8 or 16 bits; for labels, one folder a class, or a `.csv` of file "
        "names and labels beside them; or folders `train`, `validation` and `test` of all that",
        folder=images.read_folder,
        packs=False,
    ),
    Format(
        (".parquet",),
        "a Parquet file",
        "a table of numbers of one type, or one column of lists; a single file may also have columns of several types, "
        "text, categories and nulls, and is read into memory then",
        parquet_table.read,
        parquet.sources,
        on_disk="always",
        in_memory=parquet_table.is_table,
        shards=True,
        packs=False,
        begins=b"PAR1",
    ),
)
ENDINGS = (*(ending for known in FORMATS for ending in known.endings), *(packing.ending for packing in PACKINGS))


def folder_format(path: Path) -> Format | None:
    """Return the format of the files of a directory that is read as a whole; None for shards, and for files."""
    if not path.is_dir():
        return None
    shards = tuple(ending for known in FORMATS if known.shards for ending in known.endings)
    try:
        has_shards = any(entry.name.endswith(shards) for entry in path.iterdir())
    except OSError:
        return None  # the reader of shards says why
    return None if has_shards or not images.is_folder(path) else format_of(images.IMAGES[0])


def format_of(name: str) -> Format | None:
    """Return the format of a file by its name, or None.

    >>> format_of("answers.csv").called
    'a table of text'
    """
    return next((known for known in FORMATS if name.lower().endswith(known.endings)), None)

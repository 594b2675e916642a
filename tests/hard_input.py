"""Hard input: arrays and files of every odd kind. Each is read as what it says, or refused in one sentence.

A case is a table of cells (bits, numbers, words, gaps) and the way in which it is given: as an array of some type, or
as a file of some format. A check compares every value of the data set with its cell.

    python -m tests.hard_input 1000      # so many cases of each property; prints the table of docs/reliability.md
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import logging
import lzma
import math
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse
import torch
import yaml
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st

from vaelab.cli import main as main_of_vaelab
from vaelab.data import Dataset, load_data
from vaelab.errors import Failure, InputError
from vaelab.evaluation import evaluate
from vaelab.models import gaussian_vae
from vaelab.training import fit

__all__ = ["PROPERTIES", "read", "require_sentence", "run"]

Cell = Any  # a number, a word, or None where a value is missing
SENTENCES: Counter[str] = Counter()
READ, REFUSED = "read", "refused"
MISSING = ("", "na", "nan", "n/a", "?", "null", "none", "-", ".", "#n/a", "nil", "missing", "<na>")


# ---------------------------------------------------------------- what is asked of every case


def require_sentence(error: Exception) -> None:
    """One line that says what was expected, of a length that fits a screen."""
    text = str(error)
    assert "\n" not in text, text
    assert 20 < len(text) < 1200, text
    assert "Traceback" not in text, text


def read(make: Callable[[], Dataset]) -> Dataset | None:
    """Return the data set, or None if it is refused in a sentence; anything else that is raised is a failure."""
    try:
        return make()
    except InputError as error:
        require_sentence(error)
        SENTENCES[re.sub(r"[0-9]+|'[^']*'|/\S*", "_", str(error))[:110]] += 1
        return None


def require_rows(data: Dataset, split: str, rows: Sequence[Sequence[Cell]], names: Sequence[str], unit: float) -> None:
    """Fail unless a split holds these rows, in their order; a column that it lacks is named in the notes.

    ``unit`` is the number that stands for 1, if the user says one.
    """
    part = data.splits[split]
    assert len(part) == len(rows)
    table = _columns(data, split, names, unit)
    absent = [name for name in names if name not in table]
    notes = " ".join(data.notes)
    labels = None if part.labels is None else np.asarray(part.labels).tolist()
    for name in absent:
        column = [row[names.index(name)] for row in rows]
        assert name in notes or repr(name) in notes or labels is not None, (name, data.notes)
        if labels is not None and name not in notes:
            assert len(set(zip(map(str, column), labels, strict=True))) == len(set(labels))
    for name, values in table.items():
        for row, value in zip(rows, values, strict=True):
            cell = row[names.index(name)]
            assert same(value, cell), (name, value, cell)
            assert data.kind != "count" or cell is None or math.isnan(value) or float(value) == float(cell), (
                value,
                cell,
            )


def _columns(data: Dataset, split: str, names: Sequence[str], unit: float) -> dict[str, list[Any]]:
    """Return the values of a split by the names of the user's columns, as the user gave them."""
    x = data.splits[split].x
    dense = np.asarray(x[:] if not isinstance(x, np.ndarray) else x)
    if data.variables is not None:
        return {name: list(values) for name, values in data.to_table(dense).items()}
    values = dense.astype(np.float64) / data.scale * unit
    if data.columns is None:
        assert dense.shape[1] == len(names)
    return {name: values[:, place].tolist() for place, name in enumerate(data.columns or names)}


def same(value: Any, cell: Cell) -> bool:
    """Return whether a value of a data set is what a cell says; numbers up to the rounding of float32."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return cell is None or (isinstance(cell, float) and math.isnan(cell)) or str(cell).strip().lower() in MISSING
    if cell is None:
        return False
    if isinstance(cell, str):
        text = cell.strip()
        if isinstance(value, str):
            return value == text
        number = {"true": 1.0, "false": 0.0}.get(text.lower())
        try:
            number = float(text) if number is None else number
        except ValueError:
            return False
        return math.isclose(float(value), number, rel_tol=1e-6, abs_tol=1e-37)
    if isinstance(value, str):
        return value == str(cell)
    if isinstance(cell, int) and isinstance(value, int | np.integer):
        return int(value) == int(cell)
    return math.isclose(float(value), float(cell), rel_tol=1e-6, abs_tol=1e-37)


# ---------------------------------------------------------------- arrays


@dataclass(frozen=True)
class Given:
    """An array as a user gives it, and the cells that it says."""

    x: Any
    rows: list[list[Cell]] = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    carrier: str = ""


NUMBERS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "bits": lambda rng, shape: rng.integers(0, 2, shape),
    "bytes": lambda rng, shape: rng.integers(0, 256, shape),
    "unit": lambda rng, shape: rng.random(shape),
    "real": lambda rng, shape: rng.normal(0, 1000, shape),
    "answers": lambda rng, shape: rng.integers(1, 6, shape),
    "negative": lambda rng, shape: rng.integers(-1, 2, shape),
    "just above 1": lambda rng, shape: rng.random(shape) * 1.000001,
    "constant": lambda rng, shape: np.full(shape, rng.integers(-1, 3)),
    "huge": lambda rng, shape: rng.integers(2**62, 2**63 - 1, shape),
    "above 2^24": lambda rng, shape: 2**24 + rng.integers(0, 3, shape),
    "tiny": lambda rng, shape: rng.random(shape) * 1e-300,
    "vast": lambda rng, shape: rng.normal(0, 1, shape) * 1e300,
    "large": lambda rng, shape: rng.normal(0, 1, shape) * 10.0 ** rng.integers(20, 38),
    "row numbers": lambda rng, shape: np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape),
}
TYPES = [*"?bBhHiIlLqQefdg", *(">i2", ">u4", ">f4", ">f8", "<f2"), "F", "S3", "U3", "M8[s]", "m8[s]", "O", "V8"]
CARRIERS = (
    *("array", "Fortran", "read-only", "strided", "reversed", "tensor", "bfloat16", "gradient", "list", "ragged"),
    *(
        "AnnData",
        "items",
        "pairs",
        "masked",
        "objects with None",
        "csr",
        "coo",
        "explicit zeros",
        "frame",
        "nullable frame",
        "memory map",
        "words",
    ),
)


@st.composite
def arrays(draw: st.DrawFn) -> Given:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = draw(st.sampled_from([40, 30, 24, 20, 12, 12, 10, 9, 2, 1, 0]))
    columns = draw(st.sampled_from([5, 4, 3, 3, 2, 2, 1, 0]))
    carrier = draw(st.sampled_from(CARRIERS))
    shape: tuple[int, ...] = (rows, columns)
    if carrier == "array":
        shape = draw(
            st.sampled_from([*[shape] * 5, (rows,), (rows, columns, 2), (rows, 1, columns, 2), (rows, 2, 2, 3)])
        )
    values = NUMBERS[draw(st.sampled_from([*["bits", "unit"] * 4, *sorted(NUMBERS)]))](rng, shape)
    x, says = _carried(carrier, _typed(draw, _sprinkled(draw, rng, values)), rng)
    options = draw(
        st.sampled_from(
            [
                *[{}] * 6,
                {"values": "real"},
                {"values": "count"},
                {"values": "bits"},
                {"values": "grey"},
                {"values": "unit"},
                {"scale": 255},
            ]
        )
    )
    names = draw(st.sampled_from([*[None] * 6, "unicode", "twice", "few"]))
    if names is not None and len(shape) == 2:
        options = options | {"columns": _names(names, columns)}
    return Given(x, says, options, carrier)


def _sprinkled(draw: st.DrawFn, rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Put a few odd numbers into an array."""
    odd = draw(st.sampled_from([None, None, None, math.nan, math.inf, -math.inf, -1.0, -0.0, 2.0, 1e39, 5e-324]))
    if odd is None or values.size == 0:
        return values
    values = values.astype(np.float64)
    values.flat[rng.integers(0, values.size, 1 + values.size // 20)] = odd
    return values


def _typed(draw: st.DrawFn, values: np.ndarray) -> np.ndarray:
    kind = draw(st.sampled_from([*[None] * 8, *TYPES]))
    try:
        with np.errstate(all="ignore"):
            return values if kind is None else values.astype(kind)
    except (TypeError, ValueError, OverflowError):
        return values


def _names(kind: str, columns: int) -> list[str]:
    unicode = ["é", "数", "a b", "", "x=1", "\U0001f600", "‮abc", "q\n1", "-", "0"]
    if kind == "twice":
        return ["a"] * columns
    return [unicode[place % len(unicode)] for place in range(columns + (kind == "few"))]


def _carried(carrier: str, a: np.ndarray, rng: np.random.Generator) -> tuple[Any, list[list[Cell]]]:
    """Return an array as a carrier brings it, and what its cells say."""
    rows = [list(map(_cell, row)) for row in a.reshape(len(a), -1).tolist()] if a.ndim > 1 and len(a) else []
    numeric = a.dtype.kind in "biuf" and a.ndim == 2
    if carrier == "Fortran":
        return np.asfortranarray(a), rows
    if carrier == "read-only":
        a = a.copy()
        a.flags.writeable = False
        return a, rows
    if carrier == "strided" and a.ndim == 2:
        return np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3], rows
    if carrier == "reversed":
        return a[::-1].copy()[::-1], rows
    if carrier in ("tensor", "bfloat16", "gradient") and numeric and a.dtype.isnative and a.dtype.char not in "gQq":
        tensor = torch.from_numpy(np.ascontiguousarray(a))
        if carrier == "tensor":
            return tensor, rows
        tensor = tensor.to(torch.bfloat16) if carrier == "bfloat16" else tensor.float().requires_grad_()
        return tensor, [list(map(_cell, row)) for row in tensor.tolist()]
    if carrier in ("list", "ragged") and a.ndim == 2:
        listed = a.tolist()
        if carrier == "ragged" and listed and listed[-1]:
            listed[-1].pop()
        return listed, rows
    if carrier == "AnnData" and numeric:
        return SimpleNamespace(X=a, var_names=[f"g{place}" for place in range(a.shape[1])], obs=pd.DataFrame()), rows
    if carrier in ("items", "pairs") and numeric and a.dtype.isnative and a.dtype.char not in "gQq":
        tensor = torch.from_numpy(np.ascontiguousarray(a))
        columns = (tensor, torch.arange(len(a)) % 3) if carrier == "pairs" else (tensor,)
        items = torch.utils.data.TensorDataset(*columns)
        return (items if carrier == "pairs" else [item[0] for item in items]), rows
    if carrier == "masked" and numeric:
        mask = rng.random(a.shape) < rng.choice([0.0, 0.2, 1.0])
        return np.ma.masked_array(a, mask), _with_gaps(rows, mask)
    if carrier == "objects with None" and numeric:
        gaps = rng.random(a.shape) < 0.1
        found = a.astype(object)
        found[gaps] = None
        return found, _with_gaps(rows, gaps)
    if carrier in ("csr", "coo", "explicit zeros") and numeric and a.dtype.isnative and a.dtype.char not in "eg":
        matrix = scipy.sparse.coo_matrix(a) if carrier == "coo" else scipy.sparse.csr_matrix(a)
        if carrier == "explicit zeros":
            matrix.data[: len(matrix.data) // 3] = 0
            rows = [list(map(_cell, row)) for row in matrix.toarray().tolist()]
        return matrix, rows
    if carrier in ("frame", "nullable frame") and numeric and a.dtype.isnative and a.dtype.char not in "eg":
        frame = pd.DataFrame(a, columns=[f"c{place}" for place in range(a.shape[1])])
        return (frame.convert_dtypes() if carrier == "nullable frame" else frame), rows
    if carrier == "memory map" and numeric and a.size:
        with tempfile.TemporaryFile() as file:
            mapped = np.memmap(file, a.dtype, "w+", shape=a.shape)
        mapped[...] = a
        return mapped, rows
    if carrier == "words" and a.ndim == 2:
        words = np.where(rng.random(a.shape) < 0.5, "yes", "no")
        return words, words.tolist()
    return a, rows


def _cell(value: Any) -> Cell:
    return None if isinstance(value, float) and math.isnan(value) else value


def _with_gaps(rows: list[list[Cell]], gaps: np.ndarray) -> list[list[Cell]]:
    return [
        [None if gap else cell for cell, gap in zip(row, line, strict=True)]
        for row, line in zip(rows, gaps, strict=True)
    ]


def check_array(case: Given, folder: Path) -> str:
    """Three splits keep the order of the rows; one array is shuffled, so its rows are followed by their labels."""
    before = _frozen(case.x)
    data = read(lambda: Dataset.from_arrays(case.x, validation=case.x, test=case.x, **case.options))
    assert _frozen(case.x) == before
    if data is None:
        return REFUSED
    names = list(case.options.get("columns") or data.columns or map(str, range(data.dim)))
    if data.variables is not None:
        names = [column.name for column in data.variables]
    unit = case.options.get("scale") or data.scale
    if data.scale == 1 and "scale" in case.options:
        unit = case.options["scale"]
    require_rows(data, "train", case.rows, names, unit)
    require_model(data)
    if len(case.rows) >= 10:
        require_shuffled(case, names, unit)
    return READ


def require_shuffled(case: Given, names: list[str], unit: float) -> None:
    """One array is split by chance: each row goes with its label and its weight, and none is lost."""
    number = np.arange(len(case.rows))
    data = read(lambda: Dataset.from_arrays(case.x, y=number, sample_weight=number + 1, **case.options))
    if data is None:  # whether a column is like an ID depends on the number of rows
        return
    found = []
    for name, part in data.splits.items():
        assert part.labels is not None
        assert part.weights is not None
        assert np.array_equal(part.labels + 1, part.weights)
        require_rows(data, name, [case.rows[place] for place in part.labels], names, unit)
        found += part.labels.tolist()
    assert sorted(found) == number.tolist()


def check_training(case: Given, folder: Path) -> str:
    """What is read can be trained on, evaluated, sampled and turned into the user's table, or is refused by then."""
    data = read(lambda: Dataset.from_arrays(case.x, validation=case.x, test=case.x, **case.options))
    if data is None:
        return REFUSED
    model = gaussian_vae(data, latent_dim=2, hidden_dims=[4], seed=0)
    try:
        fit(model, data, steps=2, batch_size=min(8, len(data.train)))
        result = evaluate(model, data, samples=3)
        drawn = model.sample(4, seed=0)
    except (InputError, Failure) as error:
        require_sentence(error)
        return REFUSED
    assert all(math.isfinite(record.value) for record in result)
    assert len(data.to_table(drawn)) == len(data.variables or data.columns or range(data.dim))
    return READ


def _frozen(x: Any) -> bytes:
    """Return the bytes of an array: reading must not change what the user holds."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        return np.asarray(x.data if isinstance(x, np.ma.MaskedArray) else x).tobytes()
    return b""


def require_model(data: Dataset) -> None:
    """What is read can be batched, summarised and identified."""
    batch = data.train.batch(min(3, len(data.train)))
    assert batch.shape[1] == data.spec.dim
    assert len(data.sha256()) == 64
    assert not batch.isinf().any()


# ---------------------------------------------------------------- files


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
WORDS = {
    "bits": ["0", "1"],
    "bits as numbers": ["0.0", "1.0", "1"],
    "booleans": ["True", "False", "true"],
    "votes": ["y", "n"],
    "levels": ["red", "green", "blue, dark", 'so "called"', "naïve", "数"],
    "lines": ["one\ntwo", "three"],
    "unit": ["0.25", ".5", "1", "0", "1e-3", "+0.1"],
    "reals": ["1.5", "-2", "1e3", "1e-300", "-0.0"],
    "counts": ["0", "1", "2", "17"],
    "vast": ["1e39", "0", "1e308"],
    "too vast": ["1e999", "0"],
    "huge": ["9007199254740993", "0", "18446744073709551616"],
    "above 2^24": ["16777217", "16777216", "0"],
    "decimal commas": ["1,5", "2,5"],
    "hexadecimal": ["0x1f", "0"],
    "dates": ["2024-01-01", "2024-02-30"],
    "formulas": ["=1+1", "@x"],
    "numbers and words": ["1", "2", "many"],
    "infinite": ["inf", "0", "-inf"],
    "constant": ["7"],
    "blank": [" ", "  "],
}


KINDS = {
    "counts": "count",
    "vast": "real",
    "too vast": "real",
    "huge": "real",
    "above 2^24": "count",
    "constant": "real",
}
ODD = (
    *("few rows", "cells", "no columns", "gaps", "row numbers", "names", "no names", "options", "packed", "file name"),
    *("separator", "line ends", "quotes", "faults", "no last line end", "encoding"),
)


@dataclass(frozen=True)
class Table:
    """A table of text as a file: its cells, the names of its columns, and the file."""

    rows: list[list[str]] = field(repr=False)
    names: list[str] | None
    file: bytes
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    faulty: bool = False


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Tables with few oddities at a time: with many, each would be refused for one of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    odd = set(draw(st.lists(st.sampled_from(ODD), max_size=3)))
    count = draw(st.sampled_from([3, 1, 0])) if "few rows" in odd else draw(st.sampled_from([40, 20, 12]))
    usual = ("bits", "votes", "levels", "unit", "reals", "counts", "booleans")
    kinds = draw(st.lists(st.sampled_from(usual), min_size=1, max_size=5))
    kinds += draw(st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=2)) if "cells" in odd else []
    kinds = [] if "no columns" in odd else ["bits"] * len(kinds) if draw(st.integers(0, 3)) == 0 else kinds
    columns = [rng.choice(np.array(WORDS[kind], object), count).tolist() for kind in kinds]
    if "gaps" in odd:
        gap = draw(st.sampled_from(["", "NA", "?", "nan", "-", " "]))
        columns = [[gap if rng.random() < 0.1 else cell for cell in column] for column in columns]
    names: list[str] | None = [f"q{place}" for place in range(len(columns))]
    said = {f"q{place}": KINDS[kind] for place, kind in enumerate(kinds) if kind in KINDS}
    if "row numbers" in odd:
        columns.insert(0, [str(number) for number in range(count)])
        names = ["", *(names or [])]
    if "names" in odd:
        heads = ["", "naïve", "数", "a b", "a", "a", "x,y", "0", "\U0001f600", "label", "id", "1.5", '"q"']
        names = draw(st.lists(st.sampled_from(heads), min_size=len(columns), max_size=len(columns)))
        said = {}
    options = {"columns": said} if said else {}
    if "options" in odd:
        options |= draw(st.sampled_from([{"values": "bits"}, {"scale": 255}, {"drop": True}, {"label_column": "q0"}]))
    rows = [list(row) for row in zip(*columns, strict=True)]
    names = None if "no names" in odd else names
    content = _written(draw, odd, rows, names)
    ending = draw(st.sampled_from([*PACK])) if "packed" in odd else ""
    name = draw(st.sampled_from(["x.tsv", "x.amat", "X.CSV"])) if "file name" in odd else "x.csv"
    return Table(rows, names, PACK[ending](content), name + ending, options, bool(odd & {"faults", "encoding"}))


def _written(draw: st.DrawFn, odd: set[str], rows: list[list[str]], names: list[str] | None) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(
        stream,
        delimiter=draw(st.sampled_from([";", "\t", "|", " "])) if "separator" in odd else ",",
        lineterminator=draw(st.sampled_from(["\r\n", "\r"])) if "line ends" in odd else "\n",
        quoting=csv.QUOTE_ALL if "quotes" in odd else csv.QUOTE_MINIMAL,
    )
    writer.writerows(([names] if names is not None else []) + rows)
    text = stream.getvalue()
    if "faults" in odd:
        place = draw(st.integers(0, len(text)))
        text = (
            text[:place]
            + draw(st.sampled_from(["\n", ",", '"', "\0", "#", "x", "\n\n", "\ud800", "1e9", " "]))
            + text[place:]
        )
    text = text.rstrip("\r\n") if "no last line end" in odd else text
    encoding = draw(st.sampled_from(["utf-8-sig", "utf-16", "latin-1"])) if "encoding" in odd else "utf-8"
    return text.encode(encoding, errors="replace")


def check_table(case: Table, folder: Path) -> str:
    """Below a line of names or without one; a line of names that may be a row is refused, not guessed."""
    path = folder / case.name
    path.write_bytes(case.file)
    data = read(lambda: load_data(path, split=False, **case.options))
    if data is None:
        return REFUSED
    nameless = case.names is not None and not any(map(str.strip, case.names))  # or a row of missing values
    if case.faulty or nameless:  # a fault may make another table that can be read: there is nothing to compare with
        return READ
    names = [column.name for column in data.variables] if data.variables is not None else data.columns
    known = [name.strip() for name in case.names] if case.names is not None else None
    places = known or [f"column {place + 1}" for place in range(len(case.rows[0]))]
    if known is not None and names is not None:
        assert set(names) <= set(known) | {f"column {place + 1}" for place in range(len(known))}, (names, known)
    elif names is not None:
        places = list(names) if len(names) == len(places) else places
    unit = case.options.get("scale") or data.scale
    require_rows(data, "all", case.rows, places, unit)
    return READ


FILES = (
    *("x.npy", "x.npz", "x.mtx", "x.mtx.gz", "x.svmlight", "x.libsvm", "x.mat", "x.idx", "x-ubyte", "x.parquet"),
    *("x.npy.gz", "x.npy.xz", "x.idx.bz2"),
)


@dataclass(frozen=True)
class BinaryFile:
    """An array for a file of some format, and the damage that is done to the file: where, as a share of its length."""

    name: str
    a: np.ndarray = field(repr=False)
    damage: str | None
    place: float
    put: bytes

    def content(self) -> bytes:
        """Return the file; its bytes may differ from time to time, as archives contain the time."""
        buffer = io.BytesIO()
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            _save(self.name, buffer, self.a)
        packing = PACK.get(Path(self.name).suffix, bytes)
        content = packing(buffer.getvalue())
        place = int(self.place * len(content))
        if self.damage == "longer":
            return content + b"\0" * 9
        if self.damage == "cut":
            return content[:place]
        if self.damage == "bytes":
            return content[:place] + self.put + content[place + len(self.put) :]
        return content


@st.composite
def binary_files(draw: st.DrawFn) -> BinaryFile:
    """Arrays in the formats of NumPy, MATLAB, Parquet and scipy; some are damaged afterwards."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.sampled_from([*[(24, 3)] * 6, (40, 1), (12, 2, 3), (9, 2), (1, 3), (0, 3), (12,), ()]))
    values = NUMBERS[draw(st.sampled_from([*["bits", "unit"] * 5, *sorted(NUMBERS)]))](rng, shape or (1, 1))
    a = _typed(draw, _sprinkled(draw, rng, values.reshape(shape) if shape else values[0, 0]))
    a = np.asarray(np.asfortranarray(a) if draw(st.booleans()) else a)
    damage = draw(st.sampled_from([*[None] * 4, "cut", "bytes", "longer"]))
    name = draw(st.sampled_from(FILES))
    if "idx" in name or "ubyte" in name:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            a = (a if a.dtype.kind in "biuf" else np.ones((12, 2))).astype(np.uint8)
    return BinaryFile(name, a, damage, draw(st.floats(0, 0.999)), draw(st.binary(max_size=8)))


def _save(name: str, buffer: io.BytesIO, a: np.ndarray) -> None:
    name = Path(name).suffixes[0] if "." in name else name
    if name == ".npy":
        np.save(buffer, a, allow_pickle=a.dtype == object)
    elif name == ".npz":
        np.savez(buffer, x=a)
    elif name == ".parquet":
        pd.DataFrame(a, columns=[f"c{place}" for place in range(a.shape[1])]).to_parquet(buffer)
    elif name == ".mat":
        scipy.io.savemat(buffer, {"x": a})
    elif name == ".mtx":
        scipy.io.mmwrite(buffer, scipy.sparse.coo_matrix(a))
    elif name in (".svmlight", ".libsvm", ".svm"):
        from sklearn.datasets import dump_svmlight_file

        dump_svmlight_file(scipy.sparse.csr_matrix(a), np.zeros(len(a), int), buffer)
    else:
        buffer.write(b"\0\0\x08" + bytes([a.ndim]) + b"".join(size.to_bytes(4, "big") for size in a.shape))
        buffer.write(a.tobytes())


def check_binary_file(case: BinaryFile, folder: Path) -> str:
    """The same values as in the array; a damaged file gives some data set or a sentence."""
    path = folder / case.name
    try:
        path.write_bytes(case.content())
    except Exception:  # the library that writes the format refuses such an array
        reject()
    data = read(lambda: load_data(path, split=False))
    if data is None:
        return REFUSED
    a = case.a
    if case.damage is None and a.ndim > 1 and a.dtype.kind in "biuf" and "svm" not in case.name:  # whose columns shift
        names = [column.name for column in data.variables] if data.variables is not None else list(data.columns or [])
        rows = [list(map(_cell, row)) for row in a.reshape(len(a), -1).tolist()]
        require_rows(data, "all", rows, names or [str(place) for place in range(data.dim)], data.scale)
    return READ


# ---------------------------------------------------------------- the command line


def command(*words: object) -> tuple[int, str, str]:
    """Run a command line in this process; return its exit code, standard output and standard error."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["vaelab", *map(str, words)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main_of_vaelab()
    except SystemExit as stop:
        return int(stop.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.argv = before
    raise AssertionError("main did not exit")


def check_command(case: Table, folder: Path) -> str:
    """``vaelab data FILE`` describes what Python reads, and refuses what Python refuses: exit code 2, one sentence."""
    path = folder / case.name
    path.write_bytes(case.file)
    words: list[object] = ["data", path, "--json"]
    for name, value in case.options.items():
        option = f"--{name.replace('_', '-')}"
        if name == "columns":
            (folder / "spec.yaml").write_text(yaml.safe_dump(value))
        words += [option] if value is True else [option, folder / "spec.yaml" if name == "columns" else value]
    code, out, err = command(*words)
    data = read(lambda: load_data(path, **case.options))
    if data is not None:
        assert code == 0, err
        assert json.loads(out)["sha256"] == data.sha256()
        return READ
    lines = err.strip().splitlines()
    assert (code, out, len(lines)) == (2, "", 1), (code, out, err)
    assert lines[0].startswith("error: ")
    return REFUSED


# ---------------------------------------------------------------- running


PROPERTIES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, Path], str]]] = {
    "arrays": (arrays(), check_array),
    "training": (arrays(), check_training),
    "tables of text": (tables(), check_table),
    "binary files": (binary_files(), check_binary_file),
    "vaelab data FILE": (tables(), check_command),
}


def run(name: str, cases: int, random: bool = False) -> dict[str, int]:
    """Check so many cases of a property, and return how many were read and how many were refused."""
    strategy, check = PROPERTIES[name]
    counted = {READ: 0, REFUSED: 0}

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=not random,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
    )
    @given(strategy)
    def cases_of(case: Any) -> None:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="error"):
            counted[check(case, Path(folder))] += 1

    log = logging.getLogger("vaelab")
    before, log.level = log.level, logging.ERROR  # without the notes on what was read
    try:
        cases_of()
    finally:
        log.setLevel(before)
    return counted


def main(cases: str = "1000") -> None:
    """Print how many cases were read and refused: a row for each property."""
    for name in PROPERTIES:
        counted = run(name, int(cases), random=True)
        print(f"| {name} | {sum(counted.values()):,} | {counted[READ]:,} | {counted[REFUSED]:,} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Room: data. Users' files in every format, what is read of them, and every refusal in one sentence."""

import gzip
import io
import struct
import zipfile
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaelab.data import load_data
from vaelab.data.formats import idx as idx_format
from vaelab.data.opening import open_unpacked
from vaelab.data.readers import read_dataset
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError

BITS = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.uint8)
GREYS = np.random.default_rng(1).integers(0, 256, (40, 3, 2)).astype(np.uint8)
REALS = (GREYS / 255).astype(np.float32)


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def npy(array, allow_pickle=False):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def parquet(array):
    buffer = io.BytesIO()
    pq.write_table(pa.table({name: array[:, place] for place, name in enumerate("abcdef")}), buffer)
    return buffer.getvalue()


def csv(array, header=""):
    lines = [",".join(map(str, row)) for row in array]
    return ("\n".join([header] * bool(header) + lines) + "\n").encode()


def read(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return load_data(path)


def whole(data):
    """Return the rows of all splits, sorted, so that the shuffle does not matter."""
    rows = np.concatenate([data.splits[name].x for name in data.splits])
    return rows[np.lexsort(rows.T)]


def ordered(array):
    rows = array.reshape(len(array), -1)
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize(
    ("name", "content", "rows", "kind", "scale", "image_shape"),
    [
        ("x.npy", npy(BITS), BITS, "binary", 1, None),
        ("x.npy", npy(BITS.astype(bool)), BITS, "binary", 1, None),
        ("x.npy", npy(BITS.astype(np.int64)), BITS, "binary", 1, None),
        ("x.npy", npy(BITS.astype(np.float64)), BITS, "binary", 1, None),
        ("x.npy", npy(np.asfortranarray(BITS)), BITS, "binary", 1, None),
        ("x.npy", npy(GREYS), GREYS, "grey", 255, (3, 2)),
        ("x.npy", npy(REALS), REALS, "grey", 1, (3, 2)),
        ("x.npz", npz(x=GREYS), GREYS, "grey", 255, (3, 2)),
        ("x.npz", npz(X=BITS), BITS, "binary", 1, None),
        ("x.csv", csv(BITS), BITS, "binary", 1, None),
        ("x.csv", csv(BITS, "a,b,c,d,e,f"), BITS, "binary", 1, None),
        ("x.csv", b"\xef\xbb\xbf" + csv(BITS), BITS, "binary", 1, None),  # as spreadsheets write it
        ("x.csv", csv(BITS).replace(b"\n", b"\r\n"), BITS, "binary", 1, None),
        ("x.idx", idx(GREYS), GREYS, "grey", 255, (3, 2)),
        ("x-ubyte", idx(BITS), BITS, "binary", 1, None),
        ("x.gz", gzip.compress(idx(GREYS)), GREYS, "grey", 255, (3, 2)),
        ("x.csv.gz", gzip.compress(csv(BITS, "a,b,c,d,e,f")), BITS, "binary", 1, None),
        ("x.npy.gz", gzip.compress(npy(GREYS)), GREYS, "grey", 255, (3, 2)),
        ("x.npy", npy(GREYS[..., None]), GREYS, "grey", 255, (3, 2)),
        ("x.npy", npy(GREYS[:, None]), GREYS, "grey", 255, (3, 2)),
        ("x.npy", npy(REALS.astype(">f8")), REALS, "grey", 1, (3, 2)),
    ],
)
def test_every_format_is_read_as_it_stands(name, content, rows, kind, scale, image_shape, tmp_path):
    data = read(tmp_path, name, content)
    assert (data.kind, data.scale, data.image_shape, data.dim) == (kind, scale, image_shape, 6)
    assert np.array_equal(whole(data), ordered(rows))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 32, "validation": 4, "test": 4}
    assert data.split("train").x.dtype == (np.float32 if rows is REALS else np.uint8)
    everything = load_data(tmp_path / name, split=False)
    assert np.array_equal(everything.split("all").x, rows.reshape(40, 6))


def test_named_splits_and_labels_are_kept(tmp_path):
    labels = np.arange(40)
    parts = {"train": BITS[:20], "validation": BITS[20:30], "test": BITS[30:]}
    data = read(tmp_path, "x.npz", npz(**parts, train_labels=labels[:20], test_labels=labels[30:]))
    for name, rows in parts.items():
        assert np.array_equal(data.split(name).x, rows)
    assert np.array_equal(data.split("test").labels, labels[30:])
    assert data.split("validation").labels is None
    mixed = read(tmp_path, "y.npz", npz(x=np.stack([labels, labels[::-1]], 1).astype(np.uint8) * 6, y=labels * 6))
    for split in mixed.splits.values():
        assert np.array_equal(split.x[:, 0], split.labels)


NAN = REALS.copy()
NAN[3, 1, 1] = np.nan
OBJECTS = np.array([[None, 1]] * 20, dtype=object)
NOT_NPY = io.BytesIO()
with zipfile.ZipFile(NOT_NPY, "w") as _archive:
    _archive.writestr("x.npy", "no array")

REFUSED = {
    "values above 255": ("x.npy", npy(BITS * 300.0), r"got two values, 0 and 300; recode them as 0 and 1"),
    "integers, not bytes": (
        "x.npy",
        npy(GREYS.astype(np.int32)),
        r"in \[1, 255\]; .* --scale 255 ",
    ),
    "negative": ("x.npy", npy(BITS - 1.0), r"got two values, -1 and 0; recode them"),
    "infinite": ("x.npy", npy(np.where(np.isnan(NAN), np.inf, NAN)), "finite numbers; got inf in row 3, column 3"),
    "empty": ("x.npy", npy(BITS[:0]), "expected at least one row and one column"),
    "no columns": ("x.npy", npy(BITS[:, :0]), "expected at least one row and one column"),
    "one row": ("x.npy", npy(BITS[:1]), "expected at least 10 rows"),
    "a vector": ("x.npy", npy(BITS[0]), r"expected rows \(N, X\) or images"),
    "a scalar": ("x.npy", npy(BITS[0, 0]), r"expected rows \(N, X\) or images"),
    "colour images": ("x.npy", npy(np.zeros((20, 4, 4, 3))), r"expected rows \(N, X\) or images"),
    "complex": ("x.npy", npy(BITS * 1j), "got dtype complex128"),
    "words": ("x.npy", npy(BITS.astype(str)), "got dtype <U"),
    "objects": ("x.npy", npy(OBJECTS, allow_pickle=True), "got Python objects, which are not read"),
    "a pickle": ("x.npy", b"\x80\x04\x95\x05\x00\x00\x00", "it is a pickle, which is never opened"),
    "objects in npz": ("x.npz", npz(x=OBJECTS), "array 'x': expected .* got Python objects"),
    "nothing": ("x.npy", b"", "the file is empty"),
    "nothing in npz": ("x.npz", b"", "the file is empty"),
    "half a file": ("x.npy", npy(BITS)[:-20], r"promises shape \(40, 6\) of uint8, 240 bytes, and 220 follow"),
    "npz half a file": ("x.npz", npz(x=BITS)[:-20], "expected a readable .npz file"),
    "npy called npz": ("x.npz", npy(BITS), "expected an .npz archive of arrays, as its name says; it is a .npy array"),
    "npz called npy": ("x.npy", npz(x=BITS), "it is a zip archive"),
    "no array in npz": ("x.npz", NOT_NPY.getvalue(), "array 'x': expected a readable array"),
    "no array x": (
        "x.npz",
        npz(images=BITS, masks=BITS),
        r"an array x, or train, validation and test; got several that may be it, 'images', 'masks'",
    ),
    "one split missing": ("x.npz", npz(train=BITS, validation=BITS), "got only train, validation"),
    "an empty split": (
        "x.npz",
        npz(train=BITS, validation=BITS[:0], test=BITS),
        "split 'validation': expected at least one row",
    ),
    "two widths": ("x.npz", npz(train=BITS, validation=BITS[:, 1:], test=BITS), r"one shape; .*validation \(40, 5\)"),
    "bits beside grey levels": (
        "x.npz",
        npz(train=BITS > 0, test=BITS * 255),
        "expected one scale in all parts; train goes up to 1 and test to 255",
    ),
    "levels and fractions": ("x.npz", npz(train=BITS * 255, test=BITS / 2), "test goes up to 0.5 and train to 255"),
    "colour images are named": (
        "x.npz",
        npz(x=np.zeros((20, 4, 4, 3), np.uint8)),
        "colour images, which vaelab does not model",
    ),
    "one axis": ("x.npz", npz(x=BITS[:, 0]), r"got shape \(40,\)"),
    "one-hot labels": ("x.npz", npz(x=BITS, y=np.eye(40)), r"store y\.argmax\(1\) if they are one-hot"),
    "words as labels": ("x.npz", npz(x=BITS, y=np.array(["a"] * 40)), r"array 'y': expected numbers; .* \(words\)"),
    "no name": (
        "x.npz",
        npz(arr_0=BITS[0]),
        r"got \['arr_0'\]; save it under that name with numpy\.savez\(FILE, x=\.\.\.\)",
    ),
    "nine rows": ("x.npz", npz(x=BITS[:9]), "x.npz: expected at least 10 rows"),
    "a rounding error": ("x.npy", npy(REALS.reshape(40, 6) * 1.0000002), r", 1\.0000002.*numpy\.clip"),
    "words among numbers": ("x.npz", npz(train=BITS, validation=BITS, test=BITS.astype(str)), "got dtype <U"),
    "records": ("x.npz", npz(train=BITS, validation=BITS, test=np.zeros((9, 6), [("a", "f4")])), "got dtype"),
    "labels too few": ("x.npz", npz(x=BITS, y=np.arange(9)), r"expected integer labels of shape \(40,\); got"),
    "labels not whole": ("x.npz", npz(x=BITS, y=np.zeros(40)), "expected integer labels"),
    "csv ragged": ("x.csv", b"1,1\n0\n", "line 2: expected 2 cells; got 1"),
    "csv empty": ("x.csv", b"", "expected at least one row"),
    "csv header only": ("x.csv", b"a,b\n", "expected at least one row"),
    "csv first row damaged": (
        "x.csv",
        csv([["0", "O"], *BITS[:, :2]]),
        "expected names of columns or numbers in line 1",
    ),
    "csv of bytes": ("x.csv", bytes(range(256)), "line 1 has a NUL byte"),
    "csv beyond greys": (
        "x.csv",
        csv(GREYS.reshape(40, 6).astype(int) * 2),
        r"in \[2, 510\]; .* --scale 510",
    ),
    "idx of floats": ("x.idx", b"\x00\x00\x0d" + idx(BITS)[3:], "expected an IDX file of unsigned bytes"),
    "idx cut": ("x.idx", idx(BITS)[:-1], r"expected 240 bytes of data for shape \(40, 6\); got 239"),
    "idx header cut": ("x.idx", idx(BITS)[:7], "it is damaged or of another format"),
    "idx header only": ("x.idx", idx(BITS)[:12], "got 0"),
    "idx of too many axes": ("x.idx", struct.pack(">HBB200I", 0, 8, 200, *[1] * 200) + b"\1", "expected"),
    "gz cut": ("x.gz", gzip.compress(idx(GREYS))[:-30], "it is damaged"),
    "gz of text without its name": ("x.gz", gzip.compress(csv(BITS)), "call a packed table NAME.csv.gz"),
    "unknown ending": ("x.foo", b"PK", r"expected a data file ending in one of .*; got '.foo'"),
}


@pytest.mark.parametrize(("name", "content", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_data_is_refused_in_one_sentence(name, content, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence) as refused:
        read(tmp_path, name, content)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mnsit", r"expected mnist or a file; got 'mnsit' \(did you mean 'mnist'\?\)"),
        ("digits", "expected mnist or a file; got 'digits'$"),
        ("there/is/none.npz", "there is no file 'there/is/none.npz'"),
    ],
)
def test_what_is_not_there_is_refused(name, sentence):
    with pytest.raises(InputError, match=sentence):
        load_data(name)


FILES = {
    "x.npy": npy(BITS),
    "x.npz": npz(x=BITS),
    "x.gz": gzip.compress(idx(BITS)),
    "x.idx": idx(BITS),
    "x.csv": csv(BITS),
    "x.csv.gz": gzip.compress(csv(BITS, "a,b,c,d,e,f")),
    "x.npy.gz": gzip.compress(npy(GREYS)),
    "x.parquet": parquet(BITS),
}


@pytest.mark.parametrize("name", FILES)
@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_any_bit_flipped_is_read_or_refused_and_never_a_traceback(name, tmp_path, data):
    content = bytearray(FILES[name])
    first = min(len(content), 200)  # half of the flips in the header
    place = data.draw(st.integers(0, first - 1) | st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / name
    path.write_bytes(content)
    with suppress(InputError):
        assert read_dataset(path).dim >= 1


def test_an_idx_file_is_its_array(tmp_path):
    (tmp_path / "x.idx").write_bytes(idx(GREYS))
    with open_unpacked(tmp_path / "x.idx") as opened:
        array = idx_format.read(opened, ReadOptions()).arrays["x"]
    assert np.array_equal(array, GREYS)
    assert array.flags.writeable

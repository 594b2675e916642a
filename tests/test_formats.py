"""Room: data. Sparse matrices and MATLAB files, read as what they hold or refused in one sentence."""

import bz2
import io
import random
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite, savemat
from sklearn.datasets import dump_svmlight_file

from tests.test_readers import BITS, GREYS, npz, read
from vaelab.data import load_data, opening
from vaelab.data.sparse import SparseRows
from vaelab.errors import Failure, InputError

LABELS = np.arange(40) % 3
WEIGHTS = np.where(BITS == 1, 0.5, 0.0)


def written(write, *given, **options):
    buffer = io.BytesIO()
    write(buffer, *given, **options)
    return buffer.getvalue()


def svmlight(x, y, **options):
    buffer = io.BytesIO()
    dump_svmlight_file(x, y, buffer, **options)
    return buffer.getvalue()


def mat(**variables):
    return written(savemat, variables)


def everything(tmp_path, name, content):
    """Return the only split of a file, whole and in its order."""
    (tmp_path / name).write_bytes(content)
    return load_data(tmp_path / name, split=False).split("all")


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_a_sparse_matrix_of_scipy_stays_sparse(form, tmp_path):
    for array in (BITS, WEIGHTS):
        matrix = sparse.coo_matrix(array).asformat(form)
        split = everything(tmp_path, "x.npz", written(sparse.save_npz, matrix))
        assert isinstance(split.x, SparseRows)
        assert np.array_equal(split.x[:], array)
        assert len(split.x.values) == BITS.sum()


def test_matrix_market_and_svmlight_stay_sparse(tmp_path):
    for name, content in (
        ("x.mtx", written(mmwrite, sparse.coo_matrix(BITS))),
        ("x.mtx", written(mmwrite, sparse.coo_matrix(BITS)).rstrip()),
        ("x.mtx.bz2", bz2.compress(written(mmwrite, sparse.coo_matrix(BITS), field="pattern"))),
        ("x.svm", svmlight(BITS.astype(float), WEIGHTS[:, 0], zero_based=False)),
    ):
        split = everything(tmp_path, name, content)
        assert isinstance(split.x, SparseRows)
        assert np.array_equal(split.x[:], BITS)
        assert split.labels is None
    assert "no whole numbers, and are left out" in load_data(tmp_path / "x.svm").notes[0]
    split = everything(tmp_path, "x.svmlight", svmlight(WEIGHTS, LABELS))
    assert np.array_equal(split.x[:], WEIGHTS)
    assert np.array_equal(split.labels, LABELS)
    dense = everything(tmp_path, "x.mtx", written(mmwrite, WEIGHTS))
    assert np.allclose(dense.x, WEIGHTS)


def test_a_matlab_file_has_splits_and_labels_as_an_npz_archive(tmp_path):
    """As the silhouettes of Caltech 101 are passed around: train_data, val_data, test_data, labels (N, 1) from 1 on."""
    parts = {"train": slice(0, 24), "val": slice(24, 32), "test": slice(32, 40)}
    rows = {f"{name}_data": BITS[part] for name, part in parts.items()}
    labels = {f"{name}_labels": LABELS[part, None] + 1.0 for name, part in parts.items()}
    data = read(tmp_path, "x.mat", mat(**rows, **labels, classnames=np.array(["a", "b"], object)))
    for name, part in parts.items():
        split = data.split("validation" if name == "val" else name)
        assert np.array_equal(split.x, BITS[part])
        assert np.array_equal(split.labels, LABELS[part] + 1)
    assert data.notes == ("not read: the array 'classnames'",)


def test_an_array_of_any_name_is_read_if_it_is_the_only_one(tmp_path):
    for name, content, image_shape in (
        ("x.npz", npz(arr_0=BITS), None),
        ("x.npz", npz(images=GREYS, y=LABELS, names=LABELS.astype(str)), (3, 2)),
        ("x.mat", mat(ff=sparse.csc_matrix(BITS.astype(float)), labels=LABELS[None] * 1.0), None),
        ("x.mat", mat(images=GREYS), (3, 2)),
    ):
        data = read(tmp_path, name, content)
        assert data.image_shape == image_shape
        assert "the rows are in the array '" in data.notes[0]
        x = load_data(tmp_path / name, split=False).split("all").x[:]
        assert np.array_equal(x, BITS if image_shape is None else GREYS.reshape(40, 6))


HEAD = b"%%MatrixMarket matrix coordinate "
REFUSED = {
    "mat of words": ("x.mat", mat(x=np.array(["a", "b"])), "array 'x': expected numbers; got char"),
    "mat of several": ("x.mat", mat(a=BITS, b=BITS), "got several that may be it, 'a', 'b'"),
    "mat, images last": ("x.mat", mat(x=GREYS.transpose(1, 2, 0)), r"got shape \(3, 2, 40\); if the images are last"),
    "half a mat": ("x.mat", mat(x=BITS)[:-60], "expected a MATLAB file that can be read; it is damaged"),
    "mtx, cut": ("x.mtx", written(mmwrite, sparse.coo_matrix(BITS))[:-8], "it is damaged"),
    "mtx, complex": ("x.mtx", HEAD + b"complex general\n2 2 1\n1 1 1 1\n", "expected numbers; got .* complex128"),
    "mtx, outside": ("x.mtx", HEAD + b"integer general\n2 2 1\n3 1 1\n", "damaged .*Row index out of bounds"),
    "mtx, large": ("x.mtx", HEAD + b"pattern general\n9 99 999999999999\n1 1\n", r"at most 2\.1 GB unpacked; got 32"),
    "svmlight of words": ("x.svm", b"a 1:1\n", "expected lines of a number and pairs column:value"),
    "svmlight, wide": ("x.svm", b"1 2000000000:1\n" * 20, r"expected at most 2\.1 GB unpacked"),
    "sparse of words": (
        "x.npz",
        npz(format="csr", shape=[2, 2], data=["a"], indices=[0], indptr=[0, 1, 1]),
        "expected",
    ),
    "sparse, outside": (
        "x.npz",
        npz(format=b"csr", shape=[2, 2], data=[1], indices=[7], indptr=[0, 1, 1]),
        "expected a readable sparse matrix",
    ),
    "sparse of counts": ("x.npz", written(sparse.save_npz, sparse.csr_matrix(3 * BITS)), "got two values, 0 and 3"),
}


@pytest.mark.parametrize(("name", "content", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_matrix_is_refused_in_one_sentence(name, content, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence) as refused:
        read(tmp_path, name, content)
    assert "\n" not in str(refused.value)


def test_a_matrix_that_is_larger_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MEMORY", 10**5)
    with pytest.raises(InputError, match=r"expected at most 100\.0 kB unpacked; got 480\.0 kB"):
        read(tmp_path, "x.mat", written(savemat, {"x": np.zeros((10**4, 6))}, do_compression=True))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_a_full_disk_is_no_damage(tmp_path, monkeypatch):
    (tmp_path / "x.mat").write_bytes(mat(x=BITS))
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path("/dev/full").open, "w+b"))
    with pytest.raises(Failure, match=r"x\.mat: expected room for temporary files in .*; No space left on device"):
        load_data(tmp_path / "x.mat")


@pytest.mark.parametrize(
    ("name", "content", "times"),
    [
        ("x.npz", written(sparse.save_npz, sparse.csr_matrix(BITS)), 60),
        ("x.svm", svmlight(BITS.astype(float), LABELS), 60),
        ("x.mat", mat(x=BITS, y=LABELS), 3),
        ("x.mtx", written(mmwrite, sparse.coo_matrix(BITS)), 2),
    ],
)
def test_damage_ends_in_data_or_one_sentence(name, content, times, tmp_path):
    """A library in C may crash; the process that reads .mat and .mtx crashes instead of the user's."""
    generator = random.Random(5)
    for _ in range(times):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        try:
            data = read(tmp_path, name, bytes(damaged))
        except InputError:
            continue
        assert data.dim >= 1


def test_sparse_files_are_split_as_dense_ones(tmp_path):
    data = read(tmp_path, "x.npz", written(sparse.save_npz, sparse.csr_matrix(BITS)))
    same = read(tmp_path, "y.npz", npz(x=BITS))
    for name, split in same.splits.items():
        assert np.array_equal(data.split(name).x[:], split.x)

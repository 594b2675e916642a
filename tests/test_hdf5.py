"""Room: data. HDF5 files, annotated data (.h5ad) and MATLAB files of version 7.3."""

import h5py
import numpy as np
import pytest
from scipy import sparse

from vaelab.data import load_data
from vaelab.data.sparse import SparseRows
from vaelab.errors import InputError

BITS = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.uint8)
LABELS = np.arange(40) % 3


def whole(path, **said):
    data = load_data(path, split=False, **said)
    return data, data.split("all")


def test_arrays_have_roles_by_their_names(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, part in (("train", slice(0, 20)), ("val", slice(20, 30)), ("test", slice(30, 40))):
            file[f"{name}/images"] = BITS[part].reshape(-1, 3, 2)
            file[f"{name}/labels"] = LABELS[part]
        file["names"] = ["a", "b"]
        file["elsewhere"] = h5py.ExternalLink("other.h5", "x")
    data = load_data(tmp_path / "x.h5")
    assert data.image_shape == (3, 2)
    assert np.array_equal(data.validation.x, BITS[20:30])
    assert np.array_equal(data.test.labels, LABELS[30:])
    assert data.notes == ("not read: the array 'names'",)


@pytest.mark.parametrize("made", [sparse.csr_matrix, sparse.csc_matrix, None])
def test_annotated_data(made, tmp_path):
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        if made is None:
            file["X"] = BITS.astype(np.float32)
        else:
            matrix = made(BITS.astype(np.float32))
            for name in ("data", "indices", "indptr"):
                file[f"X/{name}"] = getattr(matrix, name)
            file["X"].attrs.update({"encoding-type": f"{matrix.format}_matrix", "shape": matrix.shape})
        file["var/_index"] = [f"peak{place}" for place in range(6)]
        file["obs/_index"] = [f"cell{place}" for place in range(40)]
        file["obs/counts"] = BITS.sum(1)
        file["obs/kind/categories"] = ["B", "T", "NK"]
        file["obs/kind/codes"] = LABELS.astype(np.int8)
        file["layers/raw"] = BITS * 3
    data, split = whole(tmp_path / "x.h5ad", label_column="kind")
    assert isinstance(split.x, SparseRows) == (made is not None)
    assert np.array_equal(split.x[:], BITS)
    assert data.columns == tuple(f"peak{place}" for place in range(6))
    assert split.labels.tolist() == [(0, 2, 1)[label] for label in LABELS]
    assert data.notes[:2] == ("the labels are in 'kind' of obs", "the labels are: 0 'B', 1 'NK', 2 'T'")
    assert "not read: 'counts' of obs" in data.notes[2]
    assert whole(tmp_path / "x.h5ad", label_column="counts")[1].labels.tolist() == BITS.sum(1).tolist()


def test_a_matlab_file_of_version_7_3(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w", userblock_size=512) as file:
        file["x"] = BITS.astype(float).T  # MATLAB's first axis runs fastest
        file["y"] = LABELS[None].astype(float)
        matrix = sparse.csc_matrix(BITS.astype(float))
        file["s/data"], file["s/ir"], file["s/jc"] = matrix.data, matrix.indices, matrix.indptr
        file["s"].attrs.update({"MATLAB_class": np.bytes_("double"), "MATLAB_sparse": 40})
        for name, kind in (("x", "double"), ("y", "double")):
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    content = (tmp_path / "x.mat").read_bytes()
    (tmp_path / "x.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + content[512:])
    data, split = whole(tmp_path / "x.mat")
    assert np.array_equal(split.x, BITS)
    assert np.array_equal(split.labels, LABELS)
    assert data.notes == ("not read: the array 's'",)


def linked(file):
    file["x"] = h5py.ExternalLink("other.h5", "x")


def external(file):
    file.create_dataset("x", (40, 6), "u1", external=[("other.bin", 0, 240)])


def huge(file):
    file.create_dataset("x", (10**9, 6), "u1", chunks=(1000, 6))


def words(file):
    file["x"] = ["a"] * 40


REFUSED = {
    linked: r"expected an array x, or train, validation and test; got \[\]",
    external: "array 'x': expected numbers; got data of another type",
    huge: r"expected at most 2\.1 GB unpacked; got 6\.0 GB",
    words: "array 'x': expected numbers; got data of another type",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_what_is_no_data_is_refused(make, tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        make(file)
    with pytest.raises(InputError, match=REFUSED[make]) as refused:
        load_data(tmp_path / "x.h5")
    assert "\n" not in str(refused.value)


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "h5py.py").write_text("raise ImportError(name='h5py')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match=r'an HDF5 file needs h5py; pip install "vaelab\[hdf5\]"'):
        load_data(tmp_path / "x.h5")

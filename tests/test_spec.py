"""Room: data. `DataSpec`, what a model is told of the data."""

import json

import numpy as np
import pytest
import torch

import vaelab
from tests.laws import binary_data
from vaelab.data import Dataset, DataSpec, Split
from vaelab.errors import InputError

GREYS = np.array([[0, 255, 51, 0], [255, 255, 0, 0]], np.uint8)


def images():
    return Dataset("images", {"train": Split(GREYS), "test": Split(GREYS[:1])}, "grey", 255, (2, 2))


def table():
    return Dataset("table", {"train": Split(GREYS // 255)}, "binary", 1, columns=("a", "b", "c", "d"))


def test_a_spec_says_what_the_data_set_holds():
    spec = images().spec
    assert (spec.event_shape, spec.image_shape, spec.dim, spec.kind) == ((2, 2), (2, 2), 4, "grey")
    assert (spec.columns, spec.may_be_missing) == (None, False)
    torch.testing.assert_close(spec.mean, torch.tensor([0.5, 1.0, 0.1, 0.0]))
    spec = table().spec
    assert (spec.event_shape, spec.image_shape, spec.dim, spec.kind) == ((4,), None, 4, "binary")
    assert spec.columns == ("a", "b", "c", "d")
    assert (spec.binarisation, images().spec.binarisation) == ("none", "dynamic")
    assert images().with_binarisation("static").spec.binarisation == "static"
    assert spec.mean.tolist() == [0.5, 1.0, 0.0, 0.0]


def test_without_a_training_split_there_is_no_mean():
    assert Dataset("all", {"all": Split(GREYS)}, "grey", 255).spec.mean is None


def test_a_spec_of_each_kind_of_argument():
    data = binary_data()
    assert DataSpec.of(data) is data.spec
    assert DataSpec.of(data.spec) is data.spec
    assert DataSpec.of(np.int64(5)) == DataSpec((5,)) == DataSpec.of(5)
    assert vaelab.DataSpec is DataSpec


def test_a_spec_survives_json_but_for_its_mean():
    for spec in (images().spec, table().spec, DataSpec((3,)), DataSpec((2,), kind="grey", binarisation="static")):
        values = json.loads(json.dumps(spec.to_json()))
        again = DataSpec.from_json(values)
        assert again.mean is None
        assert again.to_json() == {**values, "mean_sha256": None}
        assert (again == spec) is (spec.mean is None)


def test_specs_are_equal_if_all_of_them_is():
    mean = torch.tensor([0.25, 0.5])
    spec = DataSpec((2,), mean, ("a", "b"), "grey")
    assert spec == DataSpec((2,), mean.clone(), ("a", "b"), "grey")
    assert hash(spec) == hash(DataSpec((2,), mean.clone(), ("a", "b"), "grey"))
    others = [
        DataSpec((2,), mean / 2, ("a", "b"), "grey"),
        DataSpec((2,), mean, ("a", "c"), "grey"),
        DataSpec((2,), mean, ("a", "b"), "binary"),
        DataSpec((2,), None, ("a", "b"), "grey"),
        DataSpec((2, 1), mean, ("a", "b"), "grey"),
        DataSpec((2,), mean, ("a", "b"), "grey", may_be_missing=True),
        DataSpec((2,), mean, ("a", "b"), "grey", binarisation="static"),
    ]
    assert spec not in others
    assert spec != (2,)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DataSpec(()), r"event_shape: expected \(X,\) or \(H, W\); got \(\)"),
        (lambda: DataSpec((1, 2, 3)), r"event_shape: expected \(X,\) or \(H, W\); got \(1, 2, 3\)"),
        (lambda: DataSpec(784), r"event_shape: expected \(X,\) or \(H, W\); got 784"),
        (lambda: DataSpec((28, 0)), r"event_shape\[1\]: expected an integer of at least 1; got 0"),
        (
            lambda: DataSpec((2,), kind="gray"),
            r"kind: expected one of binary, grey, real, .*; got 'gray' \(did you mean 'grey'",
        ),
        (lambda: DataSpec((2,), torch.zeros(3)), r"mean: expected shape \(2,\); got \(3,\)"),
        (lambda: DataSpec((2,), [0, 0]), r"mean: expected a tensor of shape \(2,\); got list"),
        (lambda: DataSpec((2,), torch.tensor([0.0, 3.0])), r"mean: expected numbers in \[0, 1\]; got some in \[0, 3\]"),
        (lambda: DataSpec((2,), torch.tensor([0.0, torch.nan])), r"mean: expected numbers in \[0, 1\]"),
        (lambda: DataSpec((2,), columns=("a", "a")), "columns: expected 2 different names of columns; got 2 names, 1 "),
        (lambda: DataSpec((2,), columns=("a",)), "columns: expected 2 different names of columns; got 1 names, 1 of"),
        (lambda: DataSpec((2,), binarisation="static"), "binarisation: expected none .* are bits; got 'static'"),
        (lambda: DataSpec.of("mnist"), "data: expected a data set, a DataSpec or a number of columns; got str"),
        (lambda: DataSpec.of(GREYS), r"got ndarray; Dataset.from_arrays\(x\) makes a data set of it"),
        (lambda: DataSpec.of(True), "data: expected a data set, a DataSpec or a number of columns; got bool"),
        (lambda: DataSpec.of(0), "data: expected an integer of at least 1; got 0"),
        (lambda: DataSpec.from_json({"event_shape": [2]}), "spec: expected the keys binarisation, .*; got event_shape"),
        (lambda: DataSpec.from_json([2]), r"spec: expected the keys binarisation, .*; got \[2\]"),
        (lambda: DataSpec.from_json({**DataSpec((2,)).to_json(), "columns": "ab"}), "spec: expected a list of names"),
        (lambda: DataSpec.from_json({**DataSpec((2,)).to_json(), "event_shape": "ab"}), "event_shape: expected"),
    ],
)
def test_what_is_no_spec_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()

"""Room: data. How rows become splits: named, drawn with a seed, by labels or by groups."""

import numpy as np
import pytest

from vaelab.data.splitting import Splitting, rows_of_names, rows_of_splits
from vaelab.errors import InputError

SPLITS = ("train", "validation", "test")
LABELS = np.repeat([0, 1, 2], [500, 300, 40])
GROUPS = np.arange(840) % 60
ROWS = np.unpackbits(np.arange(840, dtype=">u2").view(np.uint8).reshape(840, 2), axis=1)  # each row is its own number


def numbers(split):
    """Return the numbers of the rows of a split of ROWS."""
    return np.packbits(split.x, axis=1).view(">u2")[:, 0]


@pytest.mark.parametrize("seed", [777, 3])
@pytest.mark.parametrize("stratify", [False, True])
@pytest.mark.parametrize("groups", [None, GROUPS])
def test_drawn_splits_are_a_partition_and_the_same_each_time(seed, stratify, groups):
    splitting = Splitting(seed=seed, stratify=stratify, group_column=None if groups is None else "g")
    rows = rows_of_splits("data", 840, splitting, LABELS, groups)
    assert tuple(rows) == SPLITS
    assert sorted(np.concatenate(list(rows.values()))) == list(range(840))
    again = rows_of_splits("data", 840, splitting, LABELS, groups)
    assert all(np.array_equal(rows[name], again[name]) for name in SPLITS)
    other = rows_of_splits("data", 840, Splitting(seed=seed + 1, stratify=stratify), LABELS, groups)
    assert not np.array_equal(np.sort(rows["test"]), np.sort(other["test"]))
    if groups is None:
        assert abs(len(rows["test"]) - 84) <= 1
    if stratify:
        slack = 1 if groups is None else 12
        for name, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
            counts = np.bincount(LABELS[rows[name]], minlength=3)
            assert (np.abs(counts - share * np.bincount(LABELS)) <= slack).all()
    if groups is not None:
        members = [set(groups[rows[name]]) for name in SPLITS]
        assert not members[0] & members[1] | members[1] & members[2] | members[0] & members[2]
        assert min(map(len, members)) >= 6


def test_a_row_has_the_split_that_its_name_says():
    names = np.array([*["train"] * 5, "Val", " test ", "validation", "VALID"], object)
    rows = rows_of_names("data", names)
    assert {name: part.tolist() for name, part in rows.items()} == {
        "train": [0, 1, 2, 3, 4],
        "validation": [5, 7, 8],
        "test": [6],
    }
    assert list(rows_of_names("data", names[:5])) == ["train"]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["train", "tset"], r"data: expected train, validation, test as the split of a row; got 'tset' in row 1 \(did"),
        (["train", None], "got None in row 1"),
        ([0, 1], "got 0 in row 0"),
        (["test", "val"], "data: expected some rows of the split train; got 'test', 'val' only"),
    ],
)
def test_names_of_no_splits_are_refused(names, sentence):
    with pytest.raises(InputError, match=sentence):
        rows_of_names("data", np.array(names, object))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"stratify": True, "column": "s"}, "stratify: expected none beside split_column"),
        ({"group_column": "g", "column": "s"}, "group_column: expected none beside split_column"),
        ({"whole": True, "stratify": True}, "split: expected True beside split_column, group_column or stratify"),
        ({"seed": -1}, "split_seed: expected an integer"),
    ],
)
def test_contradicting_ways_to_split_are_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Splitting(**arguments)

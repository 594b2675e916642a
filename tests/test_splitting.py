"""Room: data. How rows become splits: named, drawn with a seed, by labels or by groups."""

import json

import numpy as np
import pytest
from scipy import sparse

from tests.commands import CommandLine
from vaelab.data import Dataset, load_data
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


COLUMNS = ("a", "b", "c", "d")
BITS = np.random.default_rng(0).integers(0, 2, (60, 4))
WORDS = np.array(["ant", "bee", "cat"])[np.arange(60) % 3]
FOLDS = np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10)


def write(path, rows=slice(None), columns=COLUMNS, **beside):
    """Write rows of BITS with their names, and further columns, as a CSV."""
    table = {name: BITS[rows, COLUMNS.index(name)] for name in columns}
    table |= {name: np.asarray(values)[rows] for name, values in beside.items()}
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_column_of_a_file_says_the_split_of_each_row(tmp_path):
    given = Dataset.from_arrays(BITS[:40], validation=BITS[40:50], test=BITS[50:], columns=COLUMNS)
    data = load_data(write(tmp_path / "x.csv", fold=FOLDS), split_column="fold")
    assert data.sha256() == given.sha256()
    assert "the splits are in column 'fold'" in data.notes
    words = load_data(write(tmp_path / "w.csv", fold=FOLDS, animal=WORDS), split_column="fold", label_column="animal")
    assert [len(split) for split in words.splits.values()] == [40, 10, 10]
    assert words.test.labels.tolist() == (np.arange(50, 60) % 3).tolist()
    kinds = load_data(write(tmp_path / "k.csv", fold=FOLDS, animal=WORDS), split_column="fold")
    assert [column.kind for column in kinds.variables] == ["binary"] * 4 + ["categorical"]


def test_groups_and_classes_of_a_file(tmp_path):
    path = write(tmp_path / "x.csv", person=np.arange(60) // 3, label=np.arange(60) % 3)
    data = load_data(path, group_column="person", split_seed=1)
    assert (
        data.sha256() == Dataset.from_arrays(BITS, np.arange(60) % 3, groups=np.arange(60) // 3, split_seed=1).sha256()
    )
    assert data.columns == COLUMNS
    assert "the groups are in column 'person'" in data.notes
    stratified = load_data(write(tmp_path / "s.csv", label=np.arange(60) % 3), stratify=True)
    assert [np.bincount(split.labels).tolist() for split in stratified.splits.values()] == [[16] * 3, [2] * 3, [2] * 3]


@pytest.mark.parametrize("words", [False, True])
def test_a_second_file_is_the_test_split(tmp_path, words):
    beside = {"animal": WORDS} if words else {"label": np.arange(60) % 3}
    index = {"id": np.arange(60)}
    train = write(tmp_path / "train.csv", slice(0, 40), **index, **beside)
    test = write(tmp_path / "test.csv", slice(50, 60), ("d", "b", "a", "c"), **beside, **index)
    validation = write(tmp_path / "validation.csv", slice(40, 50), **index, **beside)
    whole = write(tmp_path / "whole.csv", fold=FOLDS, **index, **beside)
    labels = {"label_column": "animal"} if words else {}
    expected = load_data(whole, split_column="fold", **labels)
    data = load_data(train, validation=validation, test=test, **labels)
    assert data.sha256() == expected.sha256()
    assert data.columns == COLUMNS
    assert data.name == "train.csv"
    two = load_data(train, test=test, split_seed=3, **labels)
    assert [len(split) for split in two.splits.values()] == [36, 4, 10]
    assert "a tenth of train, drawn with seed 3" in two.notes[-1]
    if words:
        encoded = load_data(train, validation=validation, test=test)
        assert encoded.sha256() == load_data(whole, split_column="fold").sha256()
        assert encoded.variables[4].levels == ("ant", "bee", "cat")


def test_files_of_arrays_are_splits_too(tmp_path):
    np.save(tmp_path / "train.npy", BITS[:40])
    np.savez(tmp_path / "test.npz", x=BITS[50:], y=np.arange(10))
    sparse.save_npz(tmp_path / "validation.npz", sparse.csr_array(BITS[40:50]))
    files = {"test": tmp_path / "test.npz", "validation": tmp_path / "validation.npz"}
    data = load_data(tmp_path / "train.npy", **files)
    labels = (BITS[50:], np.arange(10))
    assert data.sha256() == Dataset.from_arrays(BITS[:40], validation=BITS[40:50], test=labels).sha256()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split_column": "fald"}, r"x.csv: split_column: there is no column 'fald' \(did you mean 'fold'\?\)"),
        ({"split_column": "a"}, "x.csv: column 'a': expected train, validation, test as the split of a row; got"),
        ({"group_column": "label"}, "x.csv: expected at least 10 groups to split .*; got 3"),
        ({"split_column": "fold", "test": "x.csv"}, "data: expected no split_column, .* beside a file of test"),
        ({"test": "other.csv"}, "data: test: expected the columns .* 'd' is missing"),
        ({"test": "wide.npy"}, "expected splits whose observations have one shape; got train"),
        ({"test": "none.csv"}, "there is no file 'none.csv'"),
        ({"test": "splits.npz"}, "data: test: expected a file of one table or array; got one that is split itself"),
        ({"split": False, "stratify": True}, "split: expected True beside split_column, group_column or stratify"),
        ({"stratify": True, "split_column": "fold"}, "stratify: expected none beside split_column"),
    ],
)
def test_files_that_cannot_be_split_so_are_refused(tmp_path, monkeypatch, options, sentence):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.csv", fold=FOLDS, label=np.arange(60) % 3)
    write(tmp_path / "other.csv", columns=("a", "b", "c"), fold=FOLDS, label=np.arange(60) % 3)
    np.save("wide.npy", BITS[:, :3])
    np.savez("splits.npz", train=BITS, test=BITS)
    if options.get("test") in ("wide.npy", "splits.npz", "other.csv", "none.csv"):
        write(tmp_path / "x.csv", label=np.arange(60) % 3)
    with pytest.raises(InputError, match=sentence):
        load_data("x.csv", **options)


def test_rows_on_the_disk_and_named_data_are_not_split_so(tmp_path):
    np.save(tmp_path / "a.npy", BITS)
    for options in ({"split_column": "a"}, {"group_column": "a"}, {"stratify": True}):
        with pytest.raises(
            InputError, match="expected no split_column, group_column or stratify, as these rows stay on"
        ):
            load_data(tmp_path, **options)
        with pytest.raises(InputError, match=r"data: expected .* for a file; 'mnist' needs none"):
            load_data("mnist", **options)
    with pytest.raises(InputError, match="expected files that are read into memory; these rows stay on the disk"):
        load_data(tmp_path / "a.npy", test=tmp_path)
    one, other = (load_data(tmp_path, split_seed=seed) for seed in (1, 2))
    assert one.sha256() != other.sha256()
    assert len(one.test) == len(other.test) == 6


def test_a_run_is_split_as_its_settings_say_wherever_its_files_are(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command_line = CommandLine(capsys, monkeypatch)
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.csv", slice(0, 50), label=np.arange(60) % 2)
    write(tmp_path / "data" / "test.csv", slice(50, 60), label=np.arange(60) % 2)
    words = ["latent_dim=2", "hidden_dims=[4]", "steps=3"]
    files = ["--data", "data/train.csv", "--test", "data/test.csv", "--split-seed", 3]
    described = command_line("data", "data/train.csv", *files[2:]).out
    assert "45 train, 5 validation, 10 test" in described
    assert command_line("train", "bernoulli-vae", *files, "--out", "run", *words).code == 0
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert (settings["test"], settings["split_seed"], settings["stratify"]) == ("data/test.csv", 3, False)
    assert command_line("evaluate", "run", "--no-report", "--samples", 2).code == 0
    refused = command_line.refused("reconstruct", "run", "--out", "data/test.csv", "--overwrite")
    assert "data/test.csv" in refused
    (tmp_path / "data").rename(tmp_path / "moved")
    assert "are not found" in command_line.refused("evaluate", "run", "--no-report")
    moved = command_line("evaluate", "run", "--data", "moved/train.csv", "--no-report", "--samples", 2, "--json")
    assert json.loads(moved.out)["evaluations"][0]["observations"] == 10
    assert command_line("encode", "run", "--data", "moved/test.csv", "--out", "codes.npz").code == 0
    assert np.load("codes.npz")["codes"].shape == (10, 2)
    resumed = command_line(
        "train",
        "bernoulli-vae",
        "--data",
        "moved/train.csv",
        "--test",
        "moved/test.csv",
        "--split-seed",
        3,
        "--out",
        "run",
        "--resume",
        *words,
    )
    assert resumed.code == 0


def test_the_commands_split_by_columns(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command_line = CommandLine(capsys, monkeypatch)
    write(tmp_path / "x.csv", fold=FOLDS, person=np.arange(60) // 3, label=np.arange(60) % 3)
    assert "36 train" not in command_line("data", "x.csv", "--split-column", "fold", "--label-column", "label").out
    words = ["latent_dim=2", "hidden_dims=[4]", "steps=3", "--data", "x.csv"]
    columns = ["columns.fold=drop", "columns.person=drop"]
    assert command_line("train", "bernoulli-vae", *words, *columns, "split_column=fold").code == 2  # it is both
    assert command_line("train", "bernoulli-vae", *words, "columns.person=drop", "split_column=fold").code == 0
    assert command_line("evaluate", "runs/bernoulli-vae", "--no-report", "--samples", 2).code == 0
    write(tmp_path / "new.csv", slice(0, 20))
    encoded = command_line("encode", "runs/bernoulli-vae", "--data", "new.csv", "--out", "codes.npz")
    assert encoded.code == 0, encoded
    assert np.load("codes.npz")["codes"].shape == (20, 2)
    assert "stratify" in command_line.refused("data", "x.csv", "--split-column", "fold", "--stratify")
    assert "expected test, stratify for a file" in command_line.refused("data", "--stratify", "--test", "x.csv")

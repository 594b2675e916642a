"""Room: data. Rows of any provenance are the data set of their array; splits by columns, files, classes, groups."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse

import vaelab
from vaelab.data import Dataset, load_data
from vaelab.data.arrays import given_rows
from vaelab.data.content import RawTable
from vaelab.data.splits import split_in_order
from vaelab.errors import InputError
from vaelab.settings import resolve
from vaelab.training import train

GENERATOR = np.random.default_rng(0)
NAMES = tuple("abcdef")
BITS = GENERATOR.integers(0, 2, (60, 6)).astype(np.uint8)
GAPS = GENERATOR.random((60, 6)) < 0.2
HOLED = np.where(GAPS, np.nan, BITS)
LABELS = np.arange(60) % 3
WORDS = np.array(["ant", "bee", "cat"])[LABELS]
SPLITS = np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 10)
OBJECTS = np.where(GAPS, None, BITS.astype(object))


class Items(torch.utils.data.Dataset):
    """A map-style data set of pairs."""

    def __len__(self):
        return len(BITS)

    def __getitem__(self, number):
        return torch.from_numpy(BITS[number]), int(LABELS[number])


def with_na(form):
    """Return the rows with gaps as a frame of nullable integers or booleans."""
    frame = pd.DataFrame({name: pd.array(column, dtype=form) for name, column in zip(NAMES, OBJECTS.T, strict=True)})
    return frame


FRAME = pd.DataFrame(BITS, columns=list(NAMES))
COMPLETE = {
    "bool": BITS.astype(bool),
    "big-endian": BITS.astype(">f8"),
    "fortran": np.asfortranarray(BITS.astype(np.int32)),
    "every second": np.repeat(BITS, 2, 0)[::2],
    "read-only": np.frombuffer(BITS.tobytes(), np.uint8).reshape(BITS.shape),
    "float16": BITS.astype(np.float16),
    "matrix": np.matrix(BITS),
    "objects": BITS.astype(object),
    "lists": BITS.tolist(),
    "lists of bools": BITS.astype(bool).tolist(),
    "masked, nothing hidden": np.ma.masked_array(BITS),
    "tensor": torch.from_numpy(BITS),
    "bfloat16": torch.from_numpy(BITS).bfloat16().requires_grad_(),
    "transposed tensor": torch.from_numpy(BITS.T.copy()).T,
    "sparse tensor": torch.from_numpy(BITS).to_sparse(),
    "csc": sparse.csc_matrix(BITS),
    "pandas": FRAME,
    "pandas bool": FRAME.astype(bool),
    "pandas of several types": FRAME.astype({"a": "float32", "b": "Int8", "c": bool}),
    "pandas sparse": FRAME.astype(pd.SparseDtype("int64", 0)),
    "polars": pl.DataFrame(BITS, schema=list(NAMES)),
    "pyarrow": pa.table(dict(zip(NAMES, BITS.T, strict=True))),
    "pyarrow batch": pa.record_batch(dict(zip(NAMES, BITS.T, strict=True))),
    "pyarrow bool": pa.table(dict(zip(NAMES, BITS.T.astype(bool), strict=True))),
    "tensors": torch.utils.data.TensorDataset(torch.from_numpy(BITS)),
    "items": Items(),
    "subset": torch.utils.data.Subset(Items(), range(60)),
    "anndata": SimpleNamespace(X=BITS, var_names=pd.Index(NAMES), obs=pd.DataFrame(index=range(60))),
    "sparse anndata": SimpleNamespace(X=sparse.csr_matrix(BITS), var_names=pd.Index(NAMES), obs=pd.DataFrame()),
    "array-like": SimpleNamespace(__array__=lambda dtype=None, copy=None: BITS),
}
WITH_GAPS = {
    "nan": HOLED,
    "objects": OBJECTS,
    "lists": OBJECTS.tolist(),
    "masked": np.ma.masked_array(BITS, GAPS),
    "tensor": torch.from_numpy(HOLED),
    "pandas": pd.DataFrame(HOLED, columns=list(NAMES)),
    "pandas objects": pd.DataFrame(OBJECTS, columns=list(NAMES)),
    "pandas Int64": with_na("Int64"),
    "pandas boolean": with_na("boolean"),
    "polars": pl.DataFrame(OBJECTS.tolist(), schema=list(NAMES), orient="row"),
    "pyarrow": pa.table(dict(zip(NAMES, OBJECTS.T.tolist(), strict=True))),
    "pyarrow batch of bools": pa.record_batch(dict(zip(NAMES, np.where(GAPS, None, BITS > 0).T.tolist(), strict=True))),
    "polars bool": pl.DataFrame(OBJECTS.tolist(), schema=dict.fromkeys(NAMES, pl.Int8), orient="row").cast(pl.Boolean),
}


@pytest.mark.parametrize("rows", COMPLETE.values(), ids=COMPLETE)
def test_rows_of_any_provenance_are_the_data_set_of_their_array(rows):
    if isinstance(rows, SimpleNamespace) and hasattr(rows, "__array__"):
        rows = type("Like", (), {"__array__": lambda self, dtype=None, copy=None: BITS})()
    data, expected = Dataset.from_arrays(rows, LABELS), Dataset.from_arrays(BITS, LABELS)
    assert data.sha256() == expected.sha256()
    assert data.notes == expected.notes
    assert data.columns in (None, NAMES)
    assert all(split.x[:].flags.c_contiguous for split in data.splits.values())
    named = not isinstance(rows, np.ndarray | list | torch.Tensor | torch.utils.data.Dataset) and (
        hasattr(rows, "columns") or hasattr(rows, "var_names")
    )
    assert (data.columns == NAMES) == named


@pytest.mark.parametrize("rows", WITH_GAPS.values(), ids=WITH_GAPS)
def test_missing_values_of_any_provenance_are_nan(rows):
    data = Dataset.from_arrays(rows, LABELS)
    assert data.sha256() == Dataset.from_arrays(HOLED, LABELS).sha256()
    assert data.has_missing


def test_labels_come_with_the_items_or_are_a_column_or_text():
    expected = Dataset.from_arrays(BITS, LABELS)
    frame = FRAME.assign(animal=WORDS, number=LABELS)
    anndata = SimpleNamespace(X=BITS, var_names=pd.Index(NAMES), obs=pd.DataFrame({"cell": pd.Categorical(WORDS)}))
    for data in (
        Dataset.from_arrays(Items()),
        Dataset.from_arrays(FRAME.assign(label=LABELS)),
        Dataset.from_arrays(frame.drop(columns="animal"), "number"),
        Dataset.from_arrays(frame.drop(columns="number"), "animal"),
        Dataset.from_arrays(pl.from_pandas(frame).drop("number"), "animal"),
        Dataset.from_arrays(pa.Table.from_pandas(frame).drop_columns("number"), "animal"),
        Dataset.from_arrays(BITS, WORDS),
        Dataset.from_arrays(BITS, pd.Series(WORDS)),
        Dataset.from_arrays(anndata, "cell"),
    ):
        assert data.sha256() == expected.sha256()
    assert "labels: 0 is 'ant', 1 is 'bee', 2 is 'cat'" in data.notes


def test_a_frame_is_the_data_set_of_its_file(tmp_path):
    frame = pd.DataFrame(
        {
            "colour": np.array(["red", "blue", "green", None])[np.arange(60) % 4],
            "smokes": np.array(["no", "yes"])[np.arange(60) % 2],
            "share": np.where(np.arange(60) % 7, np.linspace(0, 1, 60).round(3), np.nan),
        }
    )
    frame.to_csv(tmp_path / "people.csv", index=False)
    of_file = load_data(tmp_path / "people.csv")
    for given in (
        frame,
        pl.from_pandas(frame),
        pa.Table.from_pandas(frame, preserve_index=False),
        frame.astype({"colour": "category", "smokes": "string"}),
    ):
        data = Dataset.from_arrays(given)
        assert data.sha256() == of_file.sha256()
        assert data.variables == of_file.variables
        assert data.spec.mean.equal(of_file.spec.mean)
    data = Dataset.from_arrays(frame, columns={"smokes": {"kind": "binary", "one": "no"}, "share": "drop"})
    assert [column.name for column in data.variables] == ["colour", "smokes"]
    assert data.variables[1].levels == ("yes", "no")
    words = np.array([["a", 1], ["b", None]] * 10, object)
    assert Dataset.from_arrays(words, columns={"1": "binary"}).variables[0].name == "0"


ORDERS = {"size": ["small", "big"], "grade": ["low", "mid", "high"], "stars": [3, 1, 2]}
ORDERED = pd.DataFrame(
    {
        name: pd.Categorical.from_codes(np.arange(60) % len(levels), categories=levels, ordered=True)
        for name, levels in ORDERS.items()
    }
)
WORDED = ORDERED[["size", "grade"]]
ENUMS = pl.DataFrame({name: pl.Series(WORDED[name].tolist(), dtype=pl.Enum(ORDERS[name])) for name in WORDED})


@pytest.mark.parametrize(
    "given",
    [ORDERED, pa.Table.from_pandas(ORDERED), pa.RecordBatch.from_pandas(ORDERED), ENUMS, ENUMS.to_arrow()],
    ids=["pandas", "pyarrow", "pyarrow batch", "polars", "pyarrow of polars"],
)
def test_ordered_categories_keep_their_order(given):
    columns = {"stars": "categorical"} if given.shape[1] == 3 else None
    for data in (
        Dataset.from_arrays(given, columns=columns),
        Dataset.from_arrays(given[:40], test=given[40:], columns=columns),
    ):
        assert [list(column.levels) for column in data.variables] == list(ORDERS.values())[: given.shape[1]]
        assert any("'big' is 1 and 'small' is 0" in note for note in data.notes)


@pytest.mark.parametrize("rows", [7, 60])
@pytest.mark.parametrize("table", [pa.Table.from_pandas(WORDED), ENUMS.to_arrow()], ids=["pandas", "polars"])
def test_parquet_keeps_the_order_of_categories_that_are_text(table, rows, tmp_path):
    pq.write_table(table, tmp_path / "one.parquet", row_group_size=rows)
    levels = [list(column.levels) for column in load_data(tmp_path / "one.parquet").variables]
    assert levels == [ORDERS["size"], ORDERS["grade"]]


def test_levels_of_splits_have_one_order_and_those_that_no_row_has_are_left_out():
    few = WORDED[WORDED["grade"] != "mid"]
    assert Dataset.from_arrays(few).variables[1].levels == ("low", "high")
    fewer = few.assign(grade=few["grade"].cat.remove_unused_categories())
    assert Dataset.from_arrays(fewer, test=WORDED).variables[1].levels == ("low", "mid", "high")
    turned = WORDED.assign(grade=WORDED["grade"].cat.reorder_categories(["high", "mid", "low"]))
    with pytest.raises(InputError, match=r"column 'grade': expected one order of the levels in all splits; got .*"):
        Dataset.from_arrays(WORDED, test=turned)


@pytest.mark.parametrize(
    ("orders", "joined"),
    [
        (["zb", "ba"], "zba"),
        (["zb", "ba", "zba"], "zba"),
        (["ed", "cb", "dc"], "edcb"),  # the first two have no level in common
        (["zya", "za"], "zya"),
        (["zb", "bz"], None),
        (["zb", "ba", "az"], None),  # no two of them contradict each other
    ],
)
def test_orders_of_levels_are_joined_where_they_agree(orders, joined):
    frames = [pd.DataFrame({"c": pd.Categorical(list(order) * 8, list(order), ordered=True)}) for order in orders]
    held_out = dict(zip(("test", "validation"), frames[1:], strict=False))
    if joined is None:
        with pytest.raises(InputError, match="column 'c': expected one order of the levels in all splits; got "):
            Dataset.from_arrays(frames[0], **held_out)
    else:
        assert Dataset.from_arrays(frames[0], **held_out).variables[0].levels == tuple(joined)


@pytest.mark.parametrize(
    "names", [pd.Index(NAMES), np.array(NAMES), (name for name in NAMES), NAMES], ids=["index", "array", "any", "tuple"]
)
def test_names_of_columns_come_in_any_sequence(names):
    assert Dataset.from_arrays(BITS, columns=names).columns == NAMES


def test_a_model_reads_data_by_its_own_levels():
    sorted_, in_order = Dataset.from_arrays(WORDED.astype(str)), Dataset.from_arrays(WORDED)
    model = vaelab.independent(sorted_)
    with pytest.raises(InputError, match=r"column 'size': expected the levels \['big', 'small'\] in this order"):
        model.accept(in_order.spec)
    again = Dataset.from_arrays(WORDED, columns=model.spec.variables)
    model.accept(again.spec)
    assert again.sha256() == sorted_.sha256()
    words = WORDED.to_numpy().astype(str)
    assert Dataset.from_arrays(words, columns=model.spec.variables).sha256() == sorted_.sha256()


def test_a_run_goes_on_with_the_levels_that_are_stored_in_it(tmp_path):
    """Runs of earlier versions have the levels of ordered categories sorted, as those of text are."""
    small = {"latent_dim": 1, "hidden_dims": [2], "training": {"steps": 6, "log_every": 2, "batch_size": 10}}
    settings = resolve("gaussian-vae", small, {"data": str(tmp_path / "people.parquet")})

    def stop(row):
        raise KeyboardInterrupt

    WORDED.astype(str).to_parquet(tmp_path / "people.parquet")
    whole, _ = train(settings, tmp_path / "whole")
    for name in ("run", "python"):
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / name, callback=stop)
    WORDED.to_parquet(tmp_path / "people.parquet")
    run, result = train(settings, tmp_path / "run", resume=True)
    assert result.steps == 6
    assert [column.levels[0] for column in run.spec.variables] == ["big", "high"]
    assert run.weights() == whole.weights()
    with pytest.raises(InputError, match=r"column 'size': expected the levels \['big', 'small'\] in this order"):
        train(settings, tmp_path / "python", data=load_data(settings.data), resume=True)
    said = settings.model_copy(update={"columns": {"size": {"kind": "binary", "one": "big"}}})
    with pytest.raises(InputError, match="column 'size': expected the levels"):
        train(said, tmp_path / "python", resume=True)


USES = {
    "evaluate": lambda model, data: vaelab.evaluate(model, data, samples=2),
    "diagnose": lambda model, data: vaelab.diagnose(model, data),
    "fit": lambda model, data: vaelab.fit(model, data, steps=1, device="cpu"),
    "likelihood": lambda model, data: vaelab.likelihood.quadrature(model, data.test),
    "impute": lambda model, data: vaelab.impute(model, data.test, samples=2),
    "encode": lambda model, data: vaelab.evaluation.encode_means(model, data.test),
    "explore": lambda model, data: vaelab.explore(model, data),
    "a part of a split": lambda model, data: vaelab.likelihood.elbo(model, split_in_order(data.test, {"a": 2})["a"]),
}


@pytest.mark.parametrize("use", USES)
def test_columns_of_the_same_names_in_another_order_are_not_taken_by_place(use):
    frame = pd.DataFrame(BITS, columns=list(NAMES))
    model = vaelab.gaussian_vae(Dataset.from_arrays(frame), 1, [2], seed=0)
    turned = Dataset.from_arrays(frame[list("abcdfe")])
    with pytest.raises(InputError, match=r"with 'e' as number 5; got 'f' there; .*order_columns"):
        USES[use](model, turned)
    with pytest.raises(InputError, match="'e' is missing, 'x' is not among them"):
        USES[use](model, Dataset.from_arrays(frame.rename(columns={"e": "x"})))
    USES[use](model, vaelab.data.order_columns(turned, model.spec.columns))
    USES[use](model, Dataset.from_arrays(BITS))  # without names a place is all that there is


@pytest.mark.parametrize("use", USES)
def test_levels_of_another_order_and_words_for_numbers_are_refused(use):
    binary = {name: pd.Categorical(["n", "y"] * 30, ["n", "y"], ordered=True) for name in ("a", "b")}
    words = pd.DataFrame(binary)
    turned = words.assign(b=words["b"].cat.reorder_categories(["y", "n"]))
    numbers = words.assign(b=[0, 1] * 30)
    plain = pd.DataFrame({"a": [0, 1] * 30, "b": [False, True] * 30})
    model = vaelab.gaussian_vae(Dataset.from_arrays(words), 1, [2], seed=0)
    with pytest.raises(InputError, match=r"column 'b': expected the levels \['n', 'y'\] in this order"):
        USES[use](model, Dataset.from_arrays(turned))
    USES[use](model, Dataset.from_arrays(turned, columns=model.spec.variables))
    for known in (numbers, plain):
        model = vaelab.gaussian_vae(Dataset.from_arrays(known), 1, [2], seed=0)
        with pytest.raises(InputError, match=r"column '[ab]': expected numbers, as the model has; got the levels \['n"):
            USES[use](model, Dataset.from_arrays(words))
    USES[use](model, Dataset.from_arrays(plain.astype(str)))  # 'False' is 0 and 'True' is 1
    USES[use](vaelab.gaussian_vae(2, 1, [2], seed=0), Dataset.from_arrays(words))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}), "x: column 't': expected .* text; got dates"),
        (
            pd.DataFrame({"t": ["a", 3]}),
            "x: column 't': expected numbers, booleans or text, .*; got 'a' beside numbers",
        ),
        (pl.DataFrame({"t": [[1], [2]]}), "x: column 't': .*; got array"),
        (pa.table({"t": [[1], [2]]}), "x: column 't': .*; got array"),
        (pa.table([[1], [2]], ["a", "a"]), "expected different names of columns; got 'a' more than once"),
        (pl.DataFrame({"t": [1]}).to_struct(), r"got Series of records; .*: x\.struct\.unnest\(\)"),
        (FRAME.to_records(), r"got recarray of records; make a frame of it: pandas\.DataFrame\(x\)"),
        (pl.LazyFrame({"t": [1]}), r"got LazyFrame; x\.collect\(\) makes a frame of it"),
        (pd.DataFrame([[1, 0]], columns=["a", "a"]), "expected different names of columns; got 'a' more than once"),
        (pd.DataFrame(), r"x: expected at least one row and one column; got shape \(0, 0\)"),
        ({"a": [1]}, "x: expected an array, .*; got dict"),
        ([[0, 1], [1]], "x: expected rows of one length"),
        (sparse.coo_array([0, 1]), r"x: expected rows \(N, X\) in a sparse matrix; got shape \(2,\)"),
        (iter([[1]]), "got list_iterator"),
        ([(torch.ones(2), 1)], r"x: expected .*"),
        (torch.utils.data.StackDataset(a=torch.eye(3)), "x: item 0: .*; got dict"),
    ],
)
def test_what_holds_no_rows_is_refused_in_a_sentence(rows, sentence):
    with pytest.raises(InputError, match=sentence):
        Dataset.from_arrays(rows)


def test_the_user_s_rows_are_not_changed():
    frame, gaps, matrix = FRAME.assign(label=LABELS), HOLED.copy(), sparse.csr_matrix(BITS)
    for rows, same in ((frame, frame.copy()), (gaps, gaps.copy()), (matrix, matrix.copy())):
        data = Dataset.from_arrays(rows)
        data.train.observations().bits(slice(None)).zero_()
        equal = rows.equals(same) if rows is frame else (rows != same).nnz == 0 if rows is matrix else None
        assert equal or np.array_equal(rows, same, equal_nan=True)


def parts_of(data):
    return {name: [bytes(row) for row in split.x[:]] for name, split in data.splits.items()}


@pytest.mark.parametrize("rows", [BITS, FRAME, sparse.csr_array(BITS)], ids=["array", "frame", "sparse"])
def test_a_split_is_given_for_each_row(rows):
    order = GENERATOR.permutation(60)
    expected = parts_of(Dataset.from_arrays(BITS[:40], validation=BITS[40:50], test=BITS[50:]))
    shuffled = rows.iloc[order] if isinstance(rows, pd.DataFrame) else rows[order]
    for back in (np.sort(order), order):
        data = Dataset.from_arrays(rows if back[0] == 0 else shuffled, split=SPLITS[back])
        assert {name: sorted(part) for name, part in parts_of(data).items()} == {
            name: sorted(part) for name, part in expected.items()
        }
        assert data.notes == ()
    if isinstance(rows, pd.DataFrame):
        assert parts_of(Dataset.from_arrays(rows.assign(fold=SPLITS), split="fold")) == expected
    two = Dataset.from_arrays(rows, split=np.where(SPLITS == "test", "train", SPLITS))
    assert set(two.splits) == {"train", "validation"}
    assert two.notes == ("there is no test split",)
    one = Dataset.from_arrays(rows, split=np.where(SPLITS == "validation", "train", SPLITS))
    assert [len(one.train), len(one.validation), len(one.test)] == [45, 5, 10]


def test_groups_and_classes_are_columns_or_arrays():
    groups = np.arange(60) // 3
    frame = FRAME.assign(person=groups, label=LABELS)
    by_array, by_column = Dataset.from_arrays(BITS, groups=groups), Dataset.from_arrays(frame, groups="person")
    assert parts_of(by_array) == parts_of(by_column)
    assert by_column.columns == NAMES
    assert "by groups" in by_array.notes[-1]
    labels = np.repeat([0, 1], [20, 40])
    data = Dataset.from_arrays(BITS, labels, stratify=True, split_seed=5)
    assert [np.bincount(split.labels).tolist() for split in data.splits.values()] == [[16, 32], [2, 4], [2, 4]]
    assert data.notes[-1].endswith("each class with the same share, shuffled with seed 5")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"y": "label"}, "labels: expected an array, or the name of a column of a frame; got 'label'"),
        ({"split": SPLITS[:5]}, r"data: split: expected one for each row, shape \(60,\); got shape \(5,\)"),
        ({"groups": LABELS[:5]}, r"data: groups: expected one for each row, shape \(60,\); got shape \(5,\)"),
        ({"groups": LABELS}, "data: expected at least 10 groups to split .*; got 3"),
        ({"stratify": True}, "stratify: expected labels, whose classes have the same share"),
        ({"stratify": True, "y": np.arange(60) // 6}, "stratify: expected at least 10 rows of each class; got 6 of 0"),
        ({"split": SPLITS, "test": BITS}, "split: expected no split, groups or stratify beside test"),
        ({"split": SPLITS, "groups": LABELS}, "groups: expected none beside split"),
        (
            {"groups": [None, *range(59)]},
            "data: groups: expected a group in every row; it is missing in 1 of 60 rows",
        ),
        ({"split_seed": -1}, "split_seed: expected an integer"),
        ({"split": ["dev"] * 60}, "data: split: expected train, validation, test as the split of a row; got 'dev'"),
    ],
)
def test_a_split_that_cannot_be_is_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Dataset.from_arrays(BITS, **arguments)


def test_given_rows_know_their_columns():
    given = given_rows("x", FRAME.assign(fold=SPLITS))
    assert isinstance(given.rows, RawTable)
    rest, column = given.taken("split", "fold")
    assert (rest.rows.names, column.tolist()) == (NAMES, SPLITS.tolist())
    with pytest.raises(InputError, match=r"split: there is no column 'fald' \(did you mean 'fold'\?\)"):
        given.taken("split", "fald")

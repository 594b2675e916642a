"""Room: data. The columns of a user's table: kinds, levels, and the way from the table to rows of numbers and back."""

import json
import re
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from vaelab.cli import main
from vaelab.data import Column, Dataset, DataSpec, load_data
from vaelab.data.assembly import assemble
from vaelab.data.choices import choices_of
from vaelab.data.content import Content, RawTable
from vaelab.data.kinds import find_variables
from vaelab.data.parts import observed
from vaelab.data.remarks import remarks_on
from vaelab.data.splitting import Splitting
from vaelab.data.tables import decode_rows, encode_table
from vaelab.data.values import ReadOptions
from vaelab.data.variables import encoded_names, groups_of, kind_of
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(0)
ROWS = 60


def text(*values):
    return np.array(values, object)


def people(rows=ROWS):
    """A table with a column of each kind."""
    return RawTable(
        ("smokes", "colour", "share", "height", "visits", "member"),
        [
            text(*(["no", "yes", None] * rows)[:rows]),
            text(*(["red", "blue", "green", "red"] * rows)[:rows]),
            np.linspace(0, 1, rows),
            GENERATOR.normal(170, 10, rows),
            np.arange(rows, dtype=np.int64) % 7,
            np.arange(rows) % 3 == 0,
        ],
    )


def read(table, columns=None, **options):
    choices = None if columns is None else choices_of(columns)
    options = ReadOptions(columns=choices, **options)
    content = observed("people", Content({}, table=table), options)
    return Dataset("people", **vars(assemble("people", content, Splitting(), options)))


def test_the_kinds_are_found_and_the_rows_are_encoded():
    data = read(people(), {"visits": "count"})
    spec = data.spec
    assert data.kind == spec.kind == "mixed"
    assert data.binarisation == "none"
    kinds = {column.name: (column.kind, column.levels, column.dtype) for column in spec.variables}
    assert kinds == {
        "smokes": ("binary", ("no", "yes"), "str"),
        "colour": ("categorical", ("blue", "green", "red"), "str"),
        "share": ("unit", None, "float64"),
        "height": ("real", None, "float64"),
        "visits": ("count", None, "int64"),
        "member": ("binary", None, "bool"),
    }
    assert spec.columns[:4] == ("smokes", "colour=blue", "colour=green", "colour=red")
    assert spec.groups == (
        ("binary", 0, 1),
        ("categorical", 1, 4),
        ("unit", 4, 5),
        ("real", 5, 6),
        ("count", 6, 7),
        ("binary", 7, 8),
    )
    rows = data.train.x
    observed = np.where(np.isnan(rows), 0, rows).sum(0) / (~np.isnan(rows)).sum(0)
    torch.testing.assert_close(spec.mean.double(), torch.from_numpy(observed), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(spec.deviation.double().numpy(), np.nanstd(rows.astype(float), 0), rtol=1e-5, atol=1e-6)
    assert "'yes' is 1 and 'no' is 0 in column 'smokes'" in data.notes


def test_what_is_encoded_decodes_to_the_user_s_own_values():
    table = people()
    data = read(table, {"visits": "count"})
    decoded = data.to_table(encode_table("people", table, data.spec.variables))
    assert tuple(decoded) == table.names
    for name, values in zip(table.names, table.columns, strict=True):
        if values.dtype.kind == "f":
            np.testing.assert_allclose(decoded[name], values, rtol=1e-6)
        else:
            assert decoded[name].tolist() == values.tolist()
        assert decoded[name].dtype == values.dtype


def test_a_spec_with_variables_survives_json():
    spec = read(people(), {"visits": "count"}).spec
    again = DataSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert (again.variables, again.groups, again.mean, again.deviation) == (spec.variables, spec.groups, None, None)
    old = {
        key: value for key, value in DataSpec((2,)).to_json().items() if key not in ("variables", "deviation_sha256")
    }
    assert DataSpec.from_json(old) == DataSpec((2,))


def test_groups_join_neighbours_of_one_kind():
    columns = [Column("a", "real"), Column("b", "real"), Column("c", "categorical", (1, 2, 3)), Column("d", "real")]
    assert groups_of(columns) == (("real", 0, 2), ("categorical", 2, 5), ("real", 5, 6))
    assert (kind_of(columns[:2]), kind_of(columns)) == ("real", "mixed")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            None,
            r"the kind of column 'visits' \(whole numbers 0\.\.\.6\) is not clear; .*--columns FILE, .* visits: real ",
        ),
        ({"visit": "count"}, r"columns: there is no column 'visit' \(did you mean 'visits'\?\)"),
        ({"visits": "counts"}, r"columns: visits: kind: expected one of .*; got 'counts' \(did you mean 'count'\?\)"),
        (
            {"visits": {"type": "count"}},
            "columns: visits: expected a kind, or a mapping with kind or missing, with levels and one if needed; got",
        ),
        ({"visits": "binary"}, r"column 'visits': expected two levels, as it is binary; got \[0, 1, 2, 3, 4, 5, .*\]"),
        ({"visits": "unit"}, r"column 'visits': expected numbers in \[0, 1\], as it is unit; got 2 in row 2"),
        ({"visits": "drop", "colour": "real"}, "column 'colour': expected finite numbers .*; got text such as 'red'"),
        (
            {"visits": "drop", "smokes": {"kind": "binary", "one": "Yes"}},
            r"one: expected one of the levels 'no', 'yes'",
        ),
    ],
)
def test_what_is_not_clear_or_does_not_fit_is_refused(columns, sentence):
    with pytest.raises(InputError, match=sentence):
        read(people(), columns)


def test_an_unknown_level_is_named():
    variables = read(people(), {"visits": "count"}).spec.variables
    other = people(3)
    other.columns[1][1] = "gren"
    with pytest.raises(
        InputError, match=r"'colour': expected the levels 'blue', .*; got 'gren' \(did you mean 'green'"
    ):
        encode_table("new.csv", other, variables)
    with pytest.raises(InputError, match=r"new.csv: expected the columns .*; 'member' is missing"):
        encode_table("new.csv", other.take(other.names[:-1]), variables)


def test_a_column_like_an_id_is_refused():
    table = RawTable(("who", "x"), [text(*(f"person {n}" for n in range(ROWS))), np.arange(ROWS) % 2])
    with pytest.raises(
        InputError, match=r"'who' \(text of 60 levels in 60 rows, like an ID\) is not clear; .*; --drop "
    ):
        read(table)
    assert read(table, {"who": "drop"}).columns == ("x",)
    assert read(table, {"who": "categorical"}).dim == ROWS + 1


def remarkable():
    flags = GENERATOR.integers(0, 2, ROWS)
    return RawTable(
        ("who", "a", "same", "words", "again", "none", "id", "fixed", "number"),
        [
            text(*(f"person {n}" for n in range(ROWS))),
            flags,
            flags.astype(float),
            text(*np.where(flags, "yes", "no")),
            text(*np.where(flags, "yes", "no")),
            np.full(ROWS, np.nan),
            np.arange(ROWS),
            text(*["x"] * ROWS),
            GENERATOR.permutation(ROWS) + 100,
        ],
    )


REMARKS = {
    "who": "like an ID",
    "same": "duplicate of 'a'",
    "again": "duplicate of 'words'",
    "none": "without values",
    "id": "like an ID",
    "fixed": "constant, x",
    "number": "like an ID",
}


def test_remarkable_columns_are_named_and_can_be_left_out():
    table = remarkable()
    assert remarks_on(table) == REMARKS
    data = read(table, drop=True)
    assert data.columns == ("a", "words")
    assert set(data.notes[1:]) >= {
        "left out, like an ID: 'who', 'number'",
        "left out, duplicate of 'a': 'same'",
        "left out, without values: 'none'",
        "left out, constant: 'fixed'",
    }
    assert data.notes[0] == "column 'id' numbers the rows and is left out"
    assert read(table, {"fixed": "categorical", "number": "count"}, drop=True).columns == (
        "a",
        "words",
        "fixed=x",
        "number",
    )
    with pytest.raises(InputError, match=r"drop: expected columns to observe; all are constant, .* like an ID"):
        read(table.take(["none", "fixed"]), drop=True)


def test_labels_may_be_text_or_numbers_and_need_not_be_named():
    classes = np.arange(ROWS) % 3
    answers = people().take(["share", "member"])
    for labels, note in (
        (text(*np.array(["b", "a", "c"])[classes]), ["labels: 0 is 'a', 1 is 'b', 2 is 'c'"]),
        (classes, []),
    ):
        table = RawTable(("Class", *answers.names), [labels, *answers.columns])
        data = read(table, {"share": "unit"})
        assert data.columns == ("share", "member")
        assert set(data.notes) >= {"the labels are in column 'Class'", *note}
        assert sorted(np.concatenate([split.labels for split in data.splits.values()])) == sorted(classes)
        assert read(table, {"Class": "categorical"}).train.labels is None
    with pytest.raises(InputError, match=r"expected a label in every row; 20 are missing in column 'smokes'"):
        read(people(), {"visits": "drop"}, label_column="smokes")


def write_csv(path, table, columns=None):
    rows = zip(*(table.columns[table.names.index(name)] for name in columns or table.names), strict=True)
    lines = [",".join(columns or table.names), *(",".join("" if v is None else str(v) for v in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_plain_numbers_are_read_by_their_kinds_where_the_user_says_so(tmp_path):
    flags = GENERATOR.integers(0, 2, (ROWS, 2))
    table = RawTable(("a", "b", "copy", "age"), [*flags.T, flags[:, 0], GENERATOR.integers(18, 90, ROWS)])
    path = write_csv(tmp_path / "x.csv", table)
    with pytest.raises(InputError, match=r"column 'age' holds .* beside 3 columns of bits"):
        load_data(path)
    data = load_data(path, columns={"age": "real"}, drop=True)
    assert (data.kind, data.columns) == ("mixed", ("a", "b", "age"))
    assert data.to_table(data.train.x)["age"].dtype == np.int64
    again = load_data(write_csv(path, table, ["age", "copy", "b", "a"]), columns=data.spec.variables)
    assert again.spec == data.spec
    assert again.sha256() == data.sha256()
    assert "left out, as the model does not have them: 'copy'" in again.notes


def test_plain_bits_stay_plain_without_remarkable_columns(tmp_path):
    flags = GENERATOR.integers(0, 2, (ROWS, 2))
    values = [np.arange(ROWS), flags[:, 0], flags[:, 1], flags[:, 1], flags[:, 0], np.ones(ROWS, int)]
    table = RawTable(("id", "label", "a", "copy", "b", "one"), values)
    path = write_csv(tmp_path / "x.csv", table)
    data = load_data(path, drop=True)
    assert (data.kind, data.columns, data.variables, data.train.x.dtype) == ("binary", ("a", "b"), None, np.uint8)
    assert data.train.labels is not None
    assert load_data(path, columns=["b", "a"]).columns == ("a", "b")
    (tmp_path / "nameless.csv").write_text("1,0,1\n1,1,0\n" * 10)
    for options, name in (({"drop": True}, "drop"), ({"columns": {"a": "real"}}, "columns")):
        with pytest.raises(InputError, match=f"{name}: expected a table with names of columns in line 1"):
            load_data(tmp_path / "nameless.csv", **options)
        np.save(tmp_path / "0.npy", flags)
        with pytest.raises(InputError, match=f"{name}: expected a table that is read into memory"):
            load_data(tmp_path, **options)


def test_what_is_left_out_of_the_training_rows_is_left_out_of_the_test_rows(tmp_path):
    flags = GENERATOR.integers(0, 2, (ROWS, 3))
    later = np.column_stack([flags[:20, :2], np.ones(20, int)])  # constant in the test rows alone
    for words in (lambda column: column, lambda column: text(*np.where(column, "yes", "no"))):
        for name, rows in (("train", flags), ("test", later)):
            columns = [words(column) for column in rows.T]
            write_csv(tmp_path / f"{name}.csv", RawTable(("a", "b", "c", "copy"), [*columns, columns[0]]))
        data = load_data(tmp_path / "train.csv", test=tmp_path / "test.csv", drop=True)
        assert data.columns == ("a", "b", "c")
        assert np.array_equal(data.test.x, later)
    data = Dataset.from_arrays(flags[:, [0, 0, 1]], test=later, columns=list("abc"), drop=True)
    assert (data.columns, data.test.x.tolist()) == (("a", "c"), later[:, [0, 2]].tolist())


def test_a_condition_is_a_column_of_the_table():
    data = read(people(), {"visits": "drop"})
    given = data.with_condition("colour")
    assert given.spec.given == 3
    assert [column.name for column in given.spec.variables] == ["smokes", "share", "height", "member"]
    assert given.spec.condition.words == ["colour"]
    again = DataSpec.from_json(json.loads(json.dumps(given.spec.to_json())))
    assert again.condition == given.condition
    assert [column.name for column in again.columns_to_read()][-1] == "colour"
    assert data.with_condition(again.condition).spec == given.spec
    with pytest.raises(InputError, match="condition: expected binary, categorical or unit columns; 'height' is real"):
        data.with_condition(["height"])
    with pytest.raises(
        InputError, match=r"condition: expected labels, or names .*; got 'color' \(did you mean 'colour"
    ):
        data.with_condition(["color"])


def test_all_columns_may_be_said_to_be_real_numbers_or_counts(tmp_path):
    whole = GENERATOR.integers(0, 9, (ROWS, 3))
    path = write_csv(tmp_path / "x.csv", RawTable(("a", "b", "c"), list(whole.T)))
    with pytest.raises(InputError, match=r"--values real or count; if they are levels, say so with --columns"):
        load_data(path)
    for values in ("real", "count"):
        data = load_data(path, values=values)
        again = Dataset.from_arrays(whole, values=values, columns=list("abc"))
        assert (data.kind, data.spec.groups) == (again.kind, again.spec.groups) == (values, ((values, 0, 3),))
        assert np.array_equal(data.train.x, again.train.x)
        torch.testing.assert_close(data.spec.deviation, torch.from_numpy(data.train.x.std(0)).float())
    with pytest.raises(
        InputError, match=r"expected whole numbers from 0 to .*, as values=count says; got whole .*\[-9, -1\]"
    ):
        Dataset.from_arrays(-whole - 1, values="count")
    np.save(tmp_path / "0.npy", whole)
    with pytest.raises(InputError, match="expected bits or grey levels, as the rows stay on the disk"):
        load_data(tmp_path, values="real")


def test_a_label_of_text_is_given_by_its_name():
    table = RawTable(("class", "a", "b"), [text(*["dog", "cat", "cow"] * 20), *GENERATOR.integers(0, 2, (2, ROWS))])
    data = read(table).with_condition("labels")
    condition = data.spec.condition
    assert (data.classes, condition.names) == (("cat", "cow", "dog"), ("cat", "cow", "dog"))
    assert condition.rows("dog", 2).tolist() == [[0, 0, 1]] * 2
    fewer = RawTable(table.names, [column[np.arange(ROWS) % 3 > 0] for column in table.columns])  # no dog
    again = read(fewer, columns={"a": "binary", "b": "binary"}).with_condition(condition)
    assert again.train.given[:, 2].sum() == 0
    assert np.array_equal(again.train.given.argmax(1), again.train.labels)
    other = RawTable(table.names, [text(*["dog", "cat", "pig"] * 20), *table.columns[1:]])
    with pytest.raises(InputError, match="labels of train: expected one of the classes cat, cow, dog; got pig"):
        read(other).with_condition(condition)


def test_a_level_is_given_by_its_name():
    condition = read(people(), {"visits": "drop"}).with_condition(["member", "colour"]).spec.condition
    assert condition.rows(["green", "1"], 1).tolist() == [[0, 1, 0, 1]]
    with pytest.raises(InputError, match=r"'colour': expected the levels .*; got 'gren' \(did you mean 'green'"):
        condition.rows(["gren", "1"], 1)
    with pytest.raises(InputError, match=r"given: expected a level of colour and of member; got \['green'\]"):
        condition.rows("green", 1)


def test_the_columns_of_an_array_have_kinds_too():
    x = np.column_stack([*GENERATOR.integers(0, 2, (2, ROWS)), GENERATOR.integers(18, 90, ROWS), np.ones(ROWS)])
    kinds = {"a": "binary", "b": "binary", "age": "real", "one": "binary"}
    data = Dataset.from_arrays(x, columns=kinds)
    assert (data.kind, data.columns) == ("mixed", tuple(kinds))
    data = Dataset.from_arrays(x[:, [0, 1, 3, 0]], columns=list("abcd"), drop=True)
    assert (data.kind, data.columns, data.variables) == ("binary", ("a", "b"), None)
    assert data.notes[:2] == ("left out, constant: 'c'", "left out, duplicate of 'a': 'd'")
    for options, name in (({"columns": {"a": "binary"}}, "columns"), ({"drop": True}, "drop")):
        with pytest.raises(InputError, match=f"data: {name}: expected a name for every column; got none"):
            Dataset.from_arrays(x, **options)


def test_a_frame_has_the_same_columns_as_its_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    table = people()
    frame = pandas.DataFrame(dict(zip(table.names, table.columns, strict=True)))
    frame.to_csv(tmp_path / "people.csv", index=False)
    from_file = load_data(tmp_path / "people.csv", columns={"visits": "count"})
    from_frame = Dataset.from_arrays(frame, columns={"visits": "count"})
    assert from_file.columns == from_frame.columns
    assert [column.kind for column in from_file.variables] == [column.kind for column in from_frame.variables]
    assert np.array_equal(from_file.train.x, from_frame.train.x, equal_nan=True)
    decoded = pandas.DataFrame(from_frame.to_table(from_frame.train.x))
    assert decoded["smokes"].isin(["no", "yes"]).sum() == decoded["smokes"].notna().sum()
    assert decoded.dtypes["visits"] == np.int64


def test_the_next_command_has_the_options_that_the_data_need(tmp_path, capsys, monkeypatch):
    rows = "\n".join(f"P{number},{'yes' if number % 3 else 'no'},{number % 7}" for number in range(60))
    (tmp_path / "x.csv").write_text(f"who,tea,visits\n{rows}\n")
    (tmp_path / "my kinds.yaml").write_text("visits: real\n")
    monkeypatch.chdir(tmp_path)
    words = ["data", "x.csv", "--drop", "--columns", "my kinds.yaml", "--split-seed", "0"]
    monkeypatch.setattr(sys, "argv", ["vaelab", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    expected = "next: vaelab train gaussian-vae --data x.csv --columns 'my kinds.yaml' --drop --split-seed 0\n"
    assert capsys.readouterr().err.endswith(expected)


def test_the_kinds_of_the_other_columns_are_printed_before_the_question(tmp_path, capsys, monkeypatch):
    rows = "\n".join(f"P{number},{'yes' if number % 3 else 'no'},{number % 7}" for number in range(60))
    (tmp_path / "x.csv").write_text(f"who,tea,visits\n{rows}\n")
    monkeypatch.setattr(sys, "argv", ["vaelab", "data", str(tmp_path / "x.csv")])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert re.search(r"who +not clear: text of 60 levels.*tea +binary.*visits +not clear: whole", printed.out, re.S)
    assert "visits: real (or count, categorical, drop); --drop leaves out those like an ID" in printed.err


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Column("a", "boolean"), "column 'a': kind: expected one of binary, .*; got 'boolean'"),
        (lambda: Column("a", "categorical"), "column 'a': levels: expected a list of levels, as it is categorical"),
        (lambda: Column("a", "real", ("x",)), r"column 'a': levels: expected none, as it is real; got \['x'\]"),
        (lambda: Column("a", "binary", ("x",)), r"levels: expected two different levels; got \['x'\]"),
        (lambda: Column("a", "categorical", ("x", "x")), "levels: expected different levels, one at least"),
        (lambda: Column("a", "real", None, "object"), "dtype: expected str or a type of numbers, .*; got 'object'"),
        (lambda: Column.from_json({"name": "a"}), "variables: expected name, kind, levels and dtype"),
        (lambda: DataSpec((1,), kind="mixed"), "variables: expected the columns of the table, as kind='mixed' says"),
        (
            lambda: DataSpec((2,), variables=(Column("a", "binary"),)),
            "variables: expected 2 columns .*; got those of 1",
        ),
        (lambda: DataSpec((1,), variables=(Column("a", "real"),)), "expected columns of kind binary; got real ones"),
        (
            lambda: DataSpec((1,), columns=("b",), variables=(Column("a", "binary"),)),
            "columns: expected 'a', as the variables have them; got 'b'",
        ),
        (lambda: DataSpec((1,), deviation=torch.tensor([-1.0])), "deviation: expected numbers of at least 0; got some"),
        (lambda: DataSpec((2,)).decode(torch.zeros(1, 3)), r"x: expected rows of 2 columns; got shape \(1, 3\)"),
        (
            lambda: load_data("x.csv", columns="a"),
            "columns: expected kinds by name, such as .*, or a list of names; got",
        ),
        (
            lambda: choices_of({"a": {"kind": "real", "levels": [1]}}),
            "columns: a: levels: expected a list, of a binary",
        ),
        (
            lambda: choices_of({"a": {"kind": "real", "one": 1}}),
            "columns: a: one: expected the level that is 1, of a bin",
        ),
    ],
)
def test_what_is_no_column_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_levels_may_be_numbers_and_are_given_back_as_such():
    grades = np.array([1.0, 3.0, np.nan, 5.0] * 15)
    table = RawTable(("grade", "flag"), [grades, np.where(np.arange(ROWS) % 2, 2, 7)])
    data = read(table, {"grade": "categorical", "flag": {"kind": "binary", "one": 2}})
    assert [column.levels for column in data.variables] == [(1, 3, 5), (7, 2)]
    assert data.columns == ("grade=1", "grade=3", "grade=5", "flag")
    decoded = data.to_table(encode_table("x", table, data.variables))
    assert np.array_equal(decoded["grade"], grades, equal_nan=True)
    assert decoded["flag"].dtype == np.int64
    assert decoded["flag"].tolist() == table.columns[1].tolist()
    said = {"grade": {"kind": "categorical", "levels": [5, 4, 3, 2, 1]}, "flag": "drop"}
    assert read(table, said).columns == tuple(f"grade={grade}" for grade in (5, 4, 3, 2, 1))
    said["grade"]["levels"] = [1, 2, 3]
    with pytest.raises(InputError, match=r"column 'grade': expected the levels '1', '2', '3'; got '5'"):
        read(table, said)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = {
    "text": st.none() | NAMES,
    "bool": st.booleans(),
    "int64": st.integers(-1000, 1000),
    "float64": st.none() | st.floats(-1e6, 1e6, width=32),
}


@st.composite
def tables(draw):
    """A table of a few rows, and a kind that each column can have."""
    count, names = draw(st.integers(1, 8)), draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    columns, kinds = [], {}
    for name in names:
        dtype = draw(st.sampled_from(sorted(VALUES)))
        values = draw(st.lists(VALUES[dtype], min_size=count, max_size=count))
        missing = [value is None for value in values]
        if dtype == "text":
            columns.append(np.array([*values, None], object)[:-1])
        else:
            columns.append(np.array([np.nan if gap else v for gap, v in zip(missing, values, strict=True)], dtype))
        possible = ["categorical"] if not all(missing) else []
        possible += ["real"] if dtype in ("int64", "float64") else []
        kinds[name] = draw(st.sampled_from(possible or ["drop"]))
    return RawTable(tuple(names), columns), kinds


@given(tables())
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_table_is_decoded_as_it_was(generated):
    table, kinds = generated
    options = ReadOptions(columns=choices_of(kinds))
    try:
        variables, _ = find_variables("x", table, options)
        encoded_names(variables)
    except InputError:  # no column has values, or "a=b" is a column and a level
        reject()
    decoded = decode_rows(variables, encode_table("x", table, variables))
    for column in variables:
        before, after = table.take([column.name]).columns[0], decoded[column.name]
        assert len(before) == len(after)
        for one, other in zip(before.tolist(), after.tolist(), strict=True):
            assert one == other or (one != one and (other is None or other != other)), (column, one, other)


def test_booleans_that_are_said_to_be_numbers_come_back_as_numbers():
    table = RawTable(("ok",), [np.array([True, False])])
    (column,), _ = find_variables("data", table, ReadOptions(columns=choices_of({"ok": "unit"})))
    assert decode_rows([column], np.array([[0.25]]))["ok"].tolist() == [0.25]

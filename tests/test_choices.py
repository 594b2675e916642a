"""Room: data. What a user says of columns: names that stand for several, and values that stand for a missing one."""

import re

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.test_columns import write_csv
from vaelab.data import Column, Dataset, load_data
from vaelab.data.choices import Choice, choice_of, choices_of
from vaelab.data.content import RawTable
from vaelab.data.foreign import foreign_file
from vaelab.data.tables import encode_table, without_stand_ins
from vaelab.errors import InputError
from vaelab.sklearn import Independent

BITS = np.random.default_rng(0).integers(0, 2, (40, 3))
GAPS = np.random.default_rng(1).random((40, 3)) < 0.2
CODED = np.where(GAPS, -9, BITS)
SAID = {"*": {"missing": [-9, "refused"]}}


def doors(tmp_path, rows):
    """The same table as a .csv, a Parquet file, a frame and an array."""
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    path = write_csv(tmp_path / "x.csv", RawTable(("a", "b", "c"), list(rows.T)))
    frame.to_parquet(tmp_path / "x.parquet")
    yield lambda said: load_data(path, columns=said, split=False)
    yield lambda said: load_data(tmp_path / "x.parquet", columns=said, split=False)
    for given in (frame, rows, rows.tolist()):
        yield lambda said, given=given: Dataset.from_arrays(given, columns=said, validation=given, test=given)


@pytest.mark.parametrize("text", [False, True], ids=["-9", "refused"])
def test_a_value_that_stands_for_a_missing_one_is_missing_at_every_door(text, tmp_path):
    rows = np.where(GAPS, "refused", np.where(BITS == 1, "yes", "no")) if text else CODED
    expected = np.where(GAPS, np.nan, BITS)
    for load in doors(tmp_path, rows):
        data = load(SAID)
        assert data.kind == "binary"
        first = next(iter(data.splits.values()))
        assert np.array_equal(first.x, expected, equal_nan=True)
        count = GAPS.sum() * len(data.splits)
        by_reader = f"missing values ({count} of 120), first in row 1, column 'c', written as 'refused'"
        by_choice = rf"{count} values in columns '.', '.', '.' stand for missing ones"
        assert len([note for note in data.notes if by_reader in note or re.fullmatch(by_choice, note)]) == 1
        assert not any(note.startswith("0 values") for note in data.notes)
        variables = [Column.from_json(column.to_json()) for column in data.variables]
        assert variables == list(data.variables)


def test_new_rows_have_the_missing_values_of_the_model():
    column = Column("a", "real", None, "int64", (-9,))
    assert np.isnan(encode_table("x", RawTable(("a",), [np.array([-9, 3])]), [column])).tolist() == [[True], [False]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_missing_value_is_found_in_every_type_of_numbers(dtype):
    values = np.array([36.5, -99.9, 1], dtype)
    assert np.isnan(without_stand_ins(values, (-99.9, 1))).tolist() == [False, True, True]


def test_a_missing_value_is_rounded_as_its_column_is():
    assert np.isnan(without_stand_ins(np.array([99999999, 1], "float32"), (99999999, True))).tolist() == [True, False]


def test_notes_speak_of_values_that_are_there():
    frame = pd.DataFrame({"a": [-99, 1, 2, -99] * 10, "b": [1, 2, 3, 4] * 10, "c": [0.5, 1.5] * 20})
    notes = Dataset.from_arrays(frame, columns={"*": {"kind": "real", "missing": -99}}).notes
    assert notes[0] == "20 values in column 'a' stand for missing ones"
    assert notes[1].startswith("split 80 %")


def test_scikit_learn_fills_what_stands_for_a_missing_value():
    frame = pd.DataFrame(CODED, columns=["a", "b", "c"])
    filled = Independent(columns={"*": {"missing": -9}}).fit(frame).impute(frame)
    assert set(np.unique(filled.to_numpy())) <= {0, 1}
    assert np.array_equal(filled.to_numpy()[~GAPS], BITS[~GAPS])


def test_a_star_stands_for_any_characters_and_a_full_name_comes_first():
    frame = pd.DataFrame(BITS + 1, columns=["q1", "q2", "q10"]).assign(age=np.arange(40) % 7 + 20)
    data = Dataset.from_arrays(frame, columns={"q*": "binary", "q2": "categorical", "age": "drop"})
    assert [(column.name, column.kind) for column in data.variables] == [
        ("q1", "binary"),
        ("q2", "categorical"),
        ("q10", "binary"),
    ]
    with pytest.raises(InputError, match=r"there is no column 'p\*'"):
        Dataset.from_arrays(frame, columns={"p*": "binary"})


@pytest.mark.parametrize("said", [{"missing": [None]}, {"missing": {"a": 1}}, {"levels": [1, 2]}, {}])
def test_what_is_no_choice_is_refused(said):
    with pytest.raises(InputError, match=r"columns: a: (missing: )?expected a"):
        Dataset.from_arrays(BITS, columns={"a": said, "b": "binary", "c": "binary"})


@pytest.mark.parametrize(
    ("name", "head", "called"),
    [
        ("x.xlsx", b"PK\x03\x04", "Excel"),
        ("x.XLS", b"", "Excel"),
        ("x.csv", b"\xd0\xcf\x11\xe0", "Excel"),
        ("x.sav", b"$FL2@(#)", "SPSS"),
        ("x.por", b"", "portable SPSS"),
        ("x.dta", b"", "Stata"),
        ("x.rdata", b"RDX3\n", "R file"),
        ("x.jsonl", b"{", "JSON lines"),
        ("x.csv", b"<!DOCTYPE html>", "web page"),
        ("x.csv", b"RDX1,RDX2\n", None),
    ],
)
def test_files_of_other_programs_are_named(name, head, called):
    found = foreign_file(name, head)
    assert (found is None) == (called is None)
    assert called is None or called in found.called


COUNTS = np.random.default_rng(2).integers(0, 5, (30, 2)) + 0.5
DOUBTFUL = {
    "a code below zero": ({"t": np.where(np.arange(30) % 9, 36.5 + np.arange(30) / 30, -99)}, "'t' has -99 in 4 of 30"),
    "a code above": (
        {"t": np.where(np.arange(30) % 9, 3.5 + np.arange(30) / 30, 999)},
        "columns={'t': {'kind': 'real', 'missing': [999]}}",
    ),
    "capitals": ({"t": ["Yes", "yes", "no"] * 10}, "'t' differ in capitals or blanks alone, 'Yes', 'yes'"),
    "blanks": ({"t": ["a b", "a  b", "c"] * 10}, "'t' differ in capitals or blanks alone"),
    "totals": (dict(zip("ab", np.vstack([COUNTS, COUNTS.sum(0)]).T, strict=True)), "holds the sums of all rows"),
    "two below zero": ({"t": [-9, -99, 1, 2, 3.5] * 6}, "-9 in 6 and -99 in 6 of 30 rows, and else 1...3.5"),
    "a level": ({"t": [1, 2, 3, 4, 99] * 6}, "'kind': 'categorical', 'missing': [99]"),
    "one price": ({"t": [*np.arange(29) + 0.5, 999]}, None),
    "one loss": ({"t": [*np.arange(29) + 0.5, -9]}, None),
    "two words and one": ({"t": ["1 1", "11", "2"] * 10}, None),
    "bytes": ({"t": np.array([1, 2, 100] * 10, np.int8)}, None),
    "temperatures below zero": ({"t": [-9.0, -8.5, 3.25] * 10}, None),
    "ages": ({"t": [99.0, 98.5, 12.25] * 10}, None),
    "levels": ({"t": ["a", "b", "c"] * 10}, None),
    "no totals": (dict(zip("ab", COUNTS.T, strict=True)), None),
}


@pytest.mark.parametrize(("columns", "sentence"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_may_be_meant_in_another_way_is_noted(columns, sentence):
    notes = " ".join(
        Dataset.from_arrays(pd.DataFrame(columns), columns={name: kind_said(columns[name]) for name in columns}).notes
    )
    assert sentence in notes if sentence else notes.startswith("split 80 %")


def kind_said(values):
    return "real" if any(value != int(value) for value in values if not isinstance(value, str)) else "categorical"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["A survey", "a,b,c", "1,0,1"], "line 2: expected 1 cell; got 3; if line 1 is a title, remove it"),
        (["A survey,", "a,b", "1,0"], "if line 1 is a title, remove it"),
        (["A survey", "", "a,b", "1,0"], "line 2 is empty; .*; if line 1 is a title, remove it"),
        (["a,b", "cm,kg", *["1.5,2"] * 12], "line 2, column 'a': .*; if the line holds units"),
        (["a,b", *["1,0"] * 12, "Source: own"], "line 14: .*; if it is a remark, remove the line"),
        (["a,b", *["1.5,2"] * 12, "#DIV/0!,1"], "got '#DIV/0!', an error of a spreadsheet"),
        (["a,b", *["1.5,2"] * 12, "\u22121.5,1"], "a minus sign other than '-'"),
        (["a;b", *["1,5;2"] * 12], "a decimal comma, which is to be a point"),
        (["a;b", *["1,805;2"] * 12], "separators of thousands, which are to be left out, or a decimal comma, which"),
        (["a;b", *["0,805;2"] * 12], "got '0,805', a decimal comma"),
        (
            ["p,q,f", *["0,16,0", "3,5,1"] * 12],
            "'f' looks like labels: .*, f: binary and .*\": count; .* call them pixel0",
        ),
        (["h,w,f", *["161.5,60.5,0", "170.2,70.5,1"] * 12], "'f' looks like labels: .*--columns FILE, f: binary"),
    ],
)
def test_a_line_that_is_no_row_is_named_with_what_to_do(lines, sentence, tmp_path):
    (tmp_path / "x.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        load_data(tmp_path / "x.csv")


@pytest.mark.parametrize("place", [0, 12])
@pytest.mark.parametrize("word", ["refused", "Prefer not to answer this question", "no: #1, or none"])
def test_a_word_that_stands_for_a_missing_value_is_no_fault_of_a_column_of_numbers(word, place, tmp_path):
    lines = ["1.5,2.5"] * 12
    lines.insert(place, f'"{word}",3.5')
    (tmp_path / "x.csv").write_text("\n".join(["a,b", *lines]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"if it stands for a missing value, give missing: \[.*\] there") as refused:
        load_data(tmp_path / "x.csv")
    assert ("units" in str(refused.value)) == (place == 0)
    said = yaml.safe_load(str(refused.value).partition("give ")[2].removesuffix(" there"))
    data = load_data(tmp_path / "x.csv", columns={"*": said}, split=False)
    assert np.flatnonzero(np.isnan(data.split("all").x[:, 0])).tolist() == [place]


def test_a_column_of_dates_can_be_left_out_of_a_frame():
    frame = pd.DataFrame(BITS, columns=["a", "b", "c"]).assign(day=pd.date_range("2024-01-01", periods=40))
    with pytest.raises(InputError, match=r"column 'day': .*got dates .*leave it out"):
        Dataset.from_arrays(frame)
    assert Dataset.from_arrays(frame, columns={"day": "drop"}).columns == ("a", "b", "c")
    fitted = Independent(columns={"day": "drop"}).fit(frame)
    assert fitted.score_samples(frame).shape == (40,)
    assert fitted.impute(frame).equals(frame)


def test_a_column_whose_name_has_a_star_is_left_out_alone():
    frame = pd.DataFrame(BITS, columns=["pa", "pb", "p*"])
    fitted = Independent(columns={"pa": "binary", "pb": "binary", "p*": "drop"}).fit(frame)
    others = frame[["pa", "pb"]]
    assert np.array_equal(fitted.score_samples(frame), Independent().fit(others).score_samples(others))
    assert fitted.impute(frame).equals(frame)


@pytest.mark.parametrize("role", ["y", "groups", "sample_weight", "split"])
def test_a_column_that_is_left_out_may_have_a_role(role):
    part = np.where(np.arange(40) % 4, "train", "test") if role == "split" else np.arange(40) % 20
    frame = pd.DataFrame(BITS, columns=["q1", "q2", "q3"]).assign(part=part)
    data = Dataset.from_arrays(frame, columns={"q*": "binary", "*": "drop"}, **{role: "part"})
    assert data.columns == ("q1", "q2", "q3")


@pytest.mark.parametrize("turn", [1, -1])
def test_what_several_names_say_of_a_column_adds_up(turn):
    said = {"*": {"missing": [-9]}, "q*": "categorical", "q1": {"missing": 9}, "q1*": "real", "q2": "drop"}
    columns = choices_of(dict(list(said.items())[::turn]))
    assert choice_of(columns, "age") == Choice(None, missing=(-9,))
    assert choice_of(columns, "q3") == Choice("categorical", missing=(-9,))
    assert choice_of(columns, "q1") == Choice("real", missing=(9, -9))
    assert choice_of(columns, "q2") == Choice("drop", missing=(-9,))
    assert choice_of(columns[1:-1], "x") is None


def test_what_a_note_on_missing_values_says_can_be_followed(tmp_path):
    (tmp_path / "x.csv").write_text("a: b,c\n" + "1.5,0.5\n" * 12 + "-99,0.5\n", encoding="utf-8")
    (note,) = load_data(tmp_path / "x.csv", columns={"*": "real"}, split=False).notes
    line = re.search("say so with the line (.*) in a file for --columns$", note)[1]
    data = load_data(tmp_path / "x.csv", columns={"*": "real"} | yaml.safe_load(line), split=False)
    assert np.isnan(data.split("all").x[:, 0]).tolist() == [False] * 12 + [True]
    assert "-99" not in " ".join(data.notes).replace("written as '-99'", "")


def test_numbers_of_numpy_are_values_of_a_choice():
    said = {"kind": "binary", "levels": list(np.array([1, 2])), "one": np.float64(2), "missing": np.int64(-9)}
    (_, choice), (_, several) = choices_of({"a": said, "b": {"missing": [np.int8(9), "no"]}})
    assert repr(choice) == "Choice(kind='binary', levels=(1, 2), one=2.0, missing=(-9,))"
    assert several.missing == (9, "no")

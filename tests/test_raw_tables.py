"""Room: data. Tables with words and missing cells, as they stand in a file: columns of numbers and columns of text."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_tables import BITS, NAMES, ROWS, beside, text
from vaelab.data import load_data
from vaelab.data.formats import text as text_format
from vaelab.data.opening import open_unpacked
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(1)
HOLES = GENERATOR.random((40, 6)) < 0.1
HOLES[0, 2] = True
VOTES = np.where(BITS == 1, "y", "n").astype(object)
PARTY = np.array(["left"] * 30 + ["right"] * 10, object)


def content_of(tmp_path, content, name="x.csv"):
    (tmp_path / name).write_bytes(content)
    with open_unpacked(tmp_path / name) as opened:
        return text_format.read(opened, ReadOptions())


def with_holes(array, word):
    return np.where(HOLES, word, array.astype(object))


def same(columns, expected):
    """Return whether columns hold the same values of the same types, NaN and None included."""
    return all(
        found.dtype == wanted.dtype and [repr(value) for value in found] == [repr(value) for value in wanted]
        for found, wanted in zip(columns, expected, strict=True)
    )


@pytest.mark.parametrize("block", [2**22, 100])
@pytest.mark.parametrize("word", ["", "NA", "?", "NaN", "null", "None", "-", "#N/A", " "])
def test_missing_cells_of_numbers_are_nan_whatever_stands_for_them(word, block, tmp_path, monkeypatch):
    monkeypatch.setattr(text_format, "_BLOCK", block)
    found = content_of(tmp_path, text(with_holes(BITS, word), NAMES))
    assert found.table.names == tuple(NAMES)
    expected = np.where(HOLES, np.nan, BITS)
    assert same(
        found.table.columns, [column if np.isnan(column).any() else column.astype(int) for column in expected.T]
    )
    (note,) = found.notes
    count = HOLES.sum()
    assert f"{100 * count / 240:.1f} % of the cells are missing values ({count} of 240), first in row 1, " in note
    assert note.endswith(f"column 'q2', written as {word!r}" if word.strip() else "column 'q2'")


@pytest.mark.parametrize("block", [2**22, 100])
@pytest.mark.parametrize("word", ["", "NA", "?"])
def test_missing_cells_of_words_are_none(word, block, tmp_path, monkeypatch):
    monkeypatch.setattr(text_format, "_BLOCK", block)
    found = content_of(tmp_path, text(beside(PARTY, with_holes(VOTES, word)), ["party", *NAMES]))
    assert found.table.names == ("party", *NAMES)
    assert same(found.table.columns, [PARTY, *with_holes(VOTES, None).T])


MIXED = {
    "words and numbers": (["red", "blue", "7"], ["red", "blue", "7"]),
    "whole numbers": (["1", "-2", "+3"], [1, -2, 3]),
    "real numbers": (["1", ".5", "1e-3"], [1.0, 0.5, 0.001]),
    "a number with holes": (["1", "", "3"], [1.0, float("nan"), 3.0]),
    "true and false": (["True", "false", "True"], ["True", "false", "True"]),
    "true among numbers": (["TRUE", "0", "1"], [1.0, 0.0, 1.0]),
    "true with holes": (["true", "", "false"], ["true", None, "false"]),
    "none as a level": (["none", "mild", "severe"], ["none", "mild", "severe"]),
    "signs as levels": (["-", "+", "+"], ["-", "+", "+"]),
    "nothing": (["", "NA", "?"], [float("nan")] * 3),
    "colours behind #": (["#ff0000", "#00ff00", "#ff0000"], ["#ff0000", "#00ff00", "#ff0000"]),
    "blanks around": (["  red ", "blue", " red"], ["red", "blue", "red"]),
    "a quoted comma": (['"a, b"', "c", "c"], ["a, b", "c", "c"]),
    "a quoted quote": (['"a ""b"""', "c", "c"], ['a "b"', "c", "c"]),
    "two lines in a cell": (['"a\nb"', "c", "c"], ["a\nb", "c", "c"]),
    "amounts among words": (["5%", "low", "high"], ["5%", "low", "high"]),
    "other alphabets": (["да", "нет", "да"], ["да", "нет", "да"]),
}


@pytest.mark.parametrize(("cells", "expected"), MIXED.values(), ids=MIXED)
def test_a_column_is_numbers_or_text_by_most_of_its_cells(cells, expected, tmp_path):
    rows = [[f"word{number}", cell] for number, cell in enumerate(cells)]
    found = content_of(tmp_path, text(rows, ["name", "value"]))
    kind = object if any(isinstance(value, str) for value in expected) else None
    assert same(found.table.columns[1:], [np.array(expected, kind)])


def test_a_few_words_are_levels_if_it_is_said(tmp_path):
    """One word in a column of numbers is a fault, unless the column is left out, or has levels."""
    grades = [*map(str, range(1, 10)), "9+"] * 4
    (tmp_path / "x.csv").write_bytes(text(beside(grades), ["grade", *NAMES]))
    with pytest.raises(
        InputError, match=r"line 11, column 'grade': expected a number; got '9\+'; if the cells are lev"
    ):
        load_data(tmp_path / "x.csv")
    data = load_data(tmp_path / "x.csv", columns={"grade": "categorical"}, split=False)
    assert data.to_table(data.split("all").x)["grade"].tolist() == grades
    assert load_data(tmp_path / "x.csv", columns={"grade": "drop"}).columns == tuple(NAMES)
    with pytest.raises(InputError, match=r"column 'grade': expected a number; got '9\+'$"):
        load_data(tmp_path / "x.csv", columns={"grade": "real"})


def test_cells_are_read_as_the_columns_of_a_model(tmp_path):
    """``none`` is a missing value in a column of numbers, and a level where the model has levels."""
    (tmp_path / "x.csv").write_text("pain,code\n" + "none,1\nmild,x\n" * 20)
    learned = load_data(tmp_path / "x.csv", columns={"code": "binary"}).variables
    (tmp_path / "y.csv").write_text("code,pain,other\n1,none,?\n2,none,z\n")
    with open_unpacked(tmp_path / "y.csv") as opened:
        columns = text_format.read(opened, ReadOptions(variables=learned)).table.columns
    assert same(columns, [np.array(cells, object) for cells in (["1", "2"], ["none", "none"], [None, "z"])])


def test_votes_become_bits_with_missing_ones_and_votes_again(tmp_path):
    votes = with_holes(VOTES, "?")
    (tmp_path / "x.csv").write_bytes(text(beside(PARTY, votes), ["party", *NAMES]))
    data = load_data(tmp_path / "x.csv", split=False)
    x = data.split("all").x
    assert (data.kind, data.columns) == ("binary", ("party", *NAMES))
    assert np.array_equal(x[:, 1:], np.where(HOLES, np.nan, BITS), equal_nan=True)
    table = data.to_table(x)
    assert table["party"].tolist() == PARTY.tolist()
    for place, name in enumerate(NAMES):
        assert table[name].tolist() == with_holes(VOTES, None)[:, place].tolist()


def test_lines_are_counted_below_a_cell_of_two_lines(tmp_path):
    with pytest.raises(InputError, match="line 5, column 'b': expected a number; got 'x'"):
        content_of(tmp_path, b'a,b\n"two\nlines",1\nz,2\nz,x\nz,3\nz,4\n')


def test_nameless_row_names_are_left_out_and_columns_without_names_get_some(tmp_path):
    cities = [f"city {row}" for row in ROWS]
    found = content_of(tmp_path, text(beside(cities, VOTES), ["", *NAMES]))
    assert found.table.names == tuple(NAMES)
    assert "the first column, which has no name, names the rows and is left out" in found.notes
    found = content_of(tmp_path, text(beside([f'"{city}"' for city in cities]), [f'"{name}"' for name in NAMES], " "))
    assert found.table.names == tuple(NAMES)
    assert same(found.table.columns, BITS.T)
    with pytest.raises(InputError, match="the first has none, and does not number or name the rows"):
        content_of(tmp_path, text(beside(PARTY, VOTES), ["", *NAMES]))
    with pytest.raises(InputError, match="expected columns to observe; got no column beside the names of the rows"):
        content_of(tmp_path, b'""\nab\ncd\n')
    with pytest.raises(InputError, match="line 2: expected 2 cells; got 0"):
        content_of(tmp_path, b"1 NA\n\t \n", "x.amat")
    found = content_of(tmp_path, b"1,?\n" + b"0,1\n" * 20)
    assert found.table.names == ("column 1", "column 2")
    assert "the columns have no names: they are called 'column 1' to 'column 2'" in found.notes


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_separators_and_quotes_of_words(mark, tmp_path):
    quoted = np.array([[f'"{cell}"' for cell in row] for row in beside(PARTY, VOTES)], object)
    for table, end in ((beside(PARTY, VOTES), "\n"), (quoted, "\r\n"), (quoted, f"{mark}\n")):
        found = content_of(tmp_path, text(table, ["party", *NAMES], mark, end))
        assert found.table.names == ("party", *NAMES)
        assert same(found.table.columns, [PARTY, *VOTES.T])


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_words_that_csv_writes_are_read_back(tmp_path, data):
    """What the csv module writes is read back: words as they are, numbers as numbers, and nothing for missing ones."""
    word = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=5)
    words = word.map(lambda text: f"w{text}")  # no number and no word for missing values
    rows = data.draw(st.lists(st.tuples(words | st.none(), st.integers(-9, 9) | st.none()), min_size=1, max_size=8))
    import csv

    with (tmp_path / "x.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("a", "b"), *rows, ("w", 1)])
    with open_unpacked(tmp_path / "x.csv") as opened:
        table = text_format.read(opened, ReadOptions()).table
    assert list(table.columns[0]) == [*(row[0] for row in rows), "w"]
    assert [None if np.isnan(value) else value for value in table.columns[1]] == [*(row[1] for row in rows), 1]

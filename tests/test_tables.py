"""Room: data. Tables of text: separators, headers, row numbers, labels, and every fault by its line and column."""

import gzip
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.commands import CommandLine
from vaelab.data import Dataset, Split, load_data, order_columns
from vaelab.data.formats import text as text_format
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(0)
BITS = GENERATOR.integers(0, 2, (40, 6))
NAMES = [f"q{number}" for number in range(6)]
GREYS = GENERATOR.integers(0, 256, (40, 6))
DIGITS = np.tile(np.arange(10), 4)
ROWS = np.arange(40)


def text(array, names=None, mark=",", end="\n"):
    lines = [mark.join(map(str, row)) for row in np.asarray(array, object)]
    return (end.join(([mark.join(names)] if names else []) + lines) + end).encode()


def beside(column, array=BITS):
    return np.column_stack([np.asarray(column, object), array.astype(object)])


def load(tmp_path, name, content, **said):
    (tmp_path / name).write_bytes(content)
    return load_data(tmp_path / name, split=False, **said)


NUMBERED = [str(number) for number in range(6)]
WORDS = np.where(BITS == 1, "True", "False")
# name -> (file, content, names of columns, whether there are labels, a part of a note)
READ = {
    "names": ("x.csv", text(BITS, NAMES), NAMES, False, None),
    "no names": ("x.csv", text(BITS), None, False, None),
    "names that count": ("x.csv", text(BITS, NUMBERED), NUMBERED, False, "numbers that count the columns"),
    "names that are years": ("x.csv", text(BITS, ["a", "2019", "2020", "2021", "2022", "2023"]), ..., False, None),
    "row numbers": ("x.csv", text(beside(ROWS), ["", *NAMES]), NAMES, False, "has no name, numbers the rows"),
    "row numbers, names that count": (
        "x.csv",
        text(beside(ROWS), ["", *NUMBERED]),
        NUMBERED,
        False,
        "numbers the rows",
    ),
    "row numbers from 1": (
        "x.csv",
        text(beside(ROWS + 1), ["ID", *NAMES]),
        NAMES,
        False,
        "column 'ID' numbers the rows",
    ),
    "row numbers shuffled": ("x.csv", text(beside(ROWS[::-1]), ["", *NAMES]), NAMES, False, "numbers the rows"),
    "row numbers of pandas": ("x.csv", text(beside(ROWS), ["Unnamed: 0", *NAMES]), NAMES, False, "numbers the rows"),
    "label": ("x.csv", text(beside(DIGITS), ["label", *NAMES]), NAMES, True, "labels are in column 'label'"),
    "Class": ("x.csv", text(beside(DIGITS), ["Class", *NAMES]), NAMES, True, "labels are in column 'Class'"),
    "TARGET": ("x.csv", text(beside(DIGITS), ["TARGET", *NAMES]), NAMES, True, None),
    "y": ("x.csv", text(beside(DIGITS), ["y", *NAMES]), NAMES, True, None),
    "labels that are real": ("x.csv", text(beside(DIGITS * 1.0), ["y", *NAMES]), NAMES, True, None),
    "labels and row numbers": (
        "x.csv",
        text(beside(ROWS, beside(DIGITS)), ["id", "y", *NAMES]),
        NAMES,
        True,
        "column 'id' numbers the rows",
    ),
    "semicolons": ("x.csv", text(BITS, NAMES, ";"), NAMES, False, None),
    "tabs": ("x.tsv", text(BITS, NAMES, "\t"), NAMES, False, None),
    "tabs in a csv": ("x.csv", text(BITS, NAMES, "\t"), NAMES, False, None),
    "blanks": ("x.amat", text(BITS, None, " "), None, False, None),
    "two blanks": ("x.amat", text(BITS, None, "  "), None, False, None),
    "blanks around": ("x.csv", text(BITS, NAMES, " , "), NAMES, False, None),
    "quotes": ("x.csv", text(np.char.mod('"%d"', BITS), [f'"{name}"' for name in NAMES]), NAMES, False, None),
    "a quoted comma": ("x.csv", text(BITS, ['"a,b"', *NAMES[1:]]), ["a,b", *NAMES[1:]], False, None),
    "open end": ("x.csv", text(BITS, None, ",", ",\n"), None, False, "the empty last column is left out"),
    "open end, names too": ("x.csv", text(BITS, NAMES, ",", ",\n"), NAMES, False, "the empty last column"),
    "open end below names": (
        "x.csv",
        text(BITS, NAMES, ",", ",\n").replace(b",\n", b"\n", 1),
        NAMES,
        False,
        "the empty",
    ),
    "true and false": ("x.csv", text(WORDS, NAMES), NAMES, False, None),
    "true and false without names": ("x.csv", text(np.char.upper(WORDS)), None, False, None),
    "other ends of lines": ("x.csv", text(BITS, NAMES, end="\r\n"), NAMES, False, None),
    "old ends of lines": ("x.csv", text(BITS, NAMES, end="\r"), NAMES, False, None),
    "no end": ("x.csv", text(BITS, NAMES)[:-1], NAMES, False, None),
    "blank lines at the end": ("x.csv", text(BITS, NAMES) + b"\n \n\n", NAMES, False, None),
    "a mark at the beginning": ("x.csv", b"\xef\xbb\xbf" + text(BITS, NAMES), NAMES, False, None),
    "names behind #": ("x.csv", b"# " + text(BITS, NAMES), NAMES, False, "begins with '#' and names the columns"),
    "gzipped": ("x.csv.gz", gzip.compress(text(BITS, NAMES)), NAMES, False, None),
    "gzipped tabs": ("x.tsv.gz", gzip.compress(text(BITS, NAMES, "\t")), NAMES, False, None),
    "bars": ("x.csv", text(BITS, NAMES, "|"), NAMES, False, None),
    "blanks below names": ("x.csv", text(BITS, NAMES, " "), NAMES, False, None),
    "a comma among semicolons": ("x.csv", text(BITS, ["a,b", *NAMES[1:]], ";"), ["a,b", *NAMES[1:]], False, None),
    "a semicolon among commas": ("x.csv", text(BITS, ["a;b", *NAMES[1:]]), ["a;b", *NAMES[1:]], False, None),
    "a line of Excel's": ("x.csv", b"sep=;\r\n" + text(BITS, NAMES, ";", "\r\n"), NAMES, False, None),
    "a line that says what separates": ("x.csv", b"sep=:\n" + text(BITS, None, ":"), None, False, None),
    "rows that R numbers": (
        "x.txt.csv",
        text(beside([f'"{row}"' for row in ROWS + 1]), [f'"{name}"' for name in NAMES], " "),
        NAMES,
        False,
        "numbers the rows",
    ),
    "exponents": ("x.csv", text(np.where(BITS == 1, "1e0", "+0.00"), NAMES), NAMES, False, None),
}


@pytest.mark.parametrize("block", [2**22, 100])
@pytest.mark.parametrize(("name", "content", "names", "labels", "note"), READ.values(), ids=READ)
def test_tables_are_read_as_people_write_them(name, content, names, labels, note, block, tmp_path, monkeypatch):
    monkeypatch.setattr(text_format, "_BLOCK", block)
    data = load(tmp_path, name, content)
    assert np.array_equal(data.split("all").x, BITS)
    assert (data.kind, data.scale) == ("binary", 1)
    if names is not ...:
        assert data.columns == (None if names is None else tuple(names))
    found = data.split("all").labels
    assert np.array_equal(found, DIGITS) if labels else found is None
    assert note is None or note in " ".join(data.notes)


def put(line, old, new):
    """Replace the first match in a line, counted from 1, of the table of bits below names."""
    lines = text(BITS, NAMES).decode().split("\n")
    assert re.search(old, lines[line - 1])
    lines[line - 1] = re.sub(old, new, lines[line - 1], count=1)
    return "\n".join(lines).encode()


REFUSED = {
    "a word": (put(5, r"^\d", "O"), "line 5, column 'q0': expected a number; got 'O'"),
    "a short line": (put(7, r",\d$", ""), "line 7: expected 6 cells; got 5"),
    "a long line": (put(7, r"$", ",1"), "line 7: expected 6 cells; got 7"),
    "a comment": (put(9, "^", "# "), "line 9 begins with '#': comments are not read"),
    "a comment first": (b"# made by hand\n" + text(BITS, NAMES), "line 1 begins with '#'"),
    "an empty line": (put(9, "^", "\n"), "line 9 is empty; expected a row in every line"),
    "an empty first line": (b"\n" + text(BITS, NAMES), "line 1 is empty"),
    "NUL": (put(6, r"\d", "\0"), "line 6 has a NUL byte"),
    "UTF-16": (text(BITS, NAMES).decode().encode("utf-16"), "expected text in UTF-8; got UTF-16"),
    "Latin-1": (text(BITS, ["\xe4", *NAMES[1:]]).decode().encode("latin-1"), "line 1 has the byte 0xe4"),
    "5 000 digits": (
        put(8, r"^\d", "1" * 5000),
        r"line 8, column 'q0': .* got '1+' and 4,980 characters more, too large",
    ),
    "1e400": (put(8, r"^\d", "1e400"), "line 8, column 'q0': expected a number; got '1e400', too large a number"),
    "infinite": (put(8, r"^\d", "-inf"), "line 8, column 'q0': expected a number; got '-inf', an infinite number"),
    "thousands": (put(8, r"^\d", '"1,000"'), "line 8, .*; got '1,000', a number with separators of thousands"),
    "hexadecimal": (put(8, r"^\d", "0x1"), "line 8, .*; got '0x1', a hexadecimal number"),
    "decimal comma": (
        text(BITS, NAMES, ";").replace(b"\n1", b"\n0,5", 1),
        "line [0-9]+, .*; got '0,5', a decimal comma",
    ),
    "per cent": (put(8, r"^\d", "5%"), "line 8, .*; got '5%', a percentage"),
    "an underscore": (put(8, r"^\d", "1_0"), "line 8, .*; got '1_0'"),
    "other digits": (put(8, r"^\d", "١"), "line 8, .*; got '١'"),
    "half a quote": (put(8, r"^\d", '"1'), "line 8 has a quote without its other half"),
    "no name": (text(BITS, ["a", "", *NAMES[2:]]), "a name for every column; column 2 has none"),
    "a name twice": (text(BITS, ["q1", *NAMES[1:]]), "different names of columns; 'q1' is there more than once"),
    "names or a row": (b"0,1\n" + b"1,0\n" * 20, "line 1 is '0,1', which may be names of columns or a row; put .*a,b"),
    "names or a cell": (b"0\n" + b"1\n" * 20, "line 1 is '0', which may be"),
    "names like numbers": (
        b"0,1,0.1,0.2\n" + b"1,0,1,1\n" * 20,
        r"line 1 holds numbers in \[0, 1\] and all other lines bits",
    ),
    "names from 1": (b"1,2,3\n" + b"1,0,1\n" * 20, r"line 1 holds numbers in \[1, 3\] and all other lines bits"),
    "rows counted under a name": (
        text(beside(ROWS), ["when", *NAMES]),
        r"column 'when' counts 0\.\.\.39, .*call it 'index'",
    ),
    "numbers of rows with gaps": (
        text(beside(3 * ROWS), ["id", *NAMES]),
        r"column 'id' holds whole numbers in \[0, 117\] and looks like numbers of rows",
    ),
    "rows counted without names": (text(beside(ROWS)), r"column 1 counts 0\.\.\.39, as row numbers do"),
    "nameless, no row numbers": (
        text(beside(DIGITS), ["", *NAMES]),
        "the first has none, and does not number the rows",
    ),
    "two labels": (
        text(beside(DIGITS, beside(DIGITS)), ["y", "label", *NAMES]),
        "'y', 'label' may all be labels; .*--label-column",
    ),
    "labels that are no whole numbers": (
        text(beside(DIGITS / 4), ["y", *NAMES]),
        r"whole numbers as labels; column 'y' .*\[0, 2\.25\]",
    ),
    "cells between colons": (b"a:b\n" + b"0:1\n" * 20, "got one column, with ':' in its cells .*sep=:"),
    "a row of words first": (
        b"n,y,?\ny,n,n\nn,y,y\n" * 10,
        r"line 1 holds words that are in the lines below too \('n', 'y', '\?'\); .*such as q0,q1,q2",
    ),
    "words and numbers first": (b"39,y,0\n20,n,1\n" * 10, "got both: .*; if it is a row, put a line of names above it"),
    "a long cell": (put(8, r"^\d", '"' + "x " * 10**5 + '"'), "line 8 has a cell of more than 131,072 characters"),
    "signs behind a quote": (put(8, r"^\d", '"a"b'), "line 8 has a quote without its other half, or signs behind"),
    "a short line among words": (
        text(np.where(BITS == 1, "y", "n"), NAMES).replace(b"\n", b"\ny,n\n", 8).replace(b"\ny,n\n", b"\n", 7),
        "line 9: expected 6 cells; got 2",
    ),
    "an age": (
        text(beside(DIGITS + 20), ["age", *NAMES]),
        r"column 'age' holds whole numbers in \[20, 29\] beside 6 columns of bits; .*--label-column",
    ),
    "a share": (
        text(beside(DIGITS / 9), ["share", *NAMES]),
        r"column 'share' holds real numbers in \[0, 1\] beside 6 .*--values unit",
    ),
    "a share without names": (text(beside(DIGITS / 9)), r"column 1 holds real numbers in \[0, 1\]"),
    "a distance": (
        text(beside(DIGITS / 4), ["distance", *NAMES]),
        r"column 'distance' holds real numbers in \[0, 2\.25\]",
    ),
    "nothing": (b"", "expected at least one row"),
    "nothing but lines": (b"\n\n\n", "expected at least one row"),
    "names alone": (b"a,b\n", "expected at least one row and one column; got a line of names alone"),
    "nothing to observe": (text(beside(ROWS)[:, :1], ["index"]), "no column beside labels and row numbers"),
}


@pytest.mark.parametrize("block", [2**22, 100])
@pytest.mark.parametrize(("content", "sentence"), REFUSED.values(), ids=REFUSED)
def test_every_fault_of_a_table_is_named(content, sentence, block, tmp_path, monkeypatch):
    monkeypatch.setattr(text_format, "_BLOCK", block)
    with pytest.raises(InputError, match=sentence) as refused:
        load(tmp_path, "x.csv", content)
    assert "x.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_labels_have_any_name_that_is_said(tmp_path):
    content = text(beside(DIGITS), ["digit", *NAMES])
    with pytest.raises(InputError, match="column 'digit' holds whole numbers"):
        load(tmp_path, "x.csv", content)
    data = load(tmp_path, "x.csv", content, label_column="digit")
    assert np.array_equal(data.split("all").labels, DIGITS)
    assert data.columns == tuple(NAMES)
    with pytest.raises(InputError, match=r"label_column: there is no column 'digits' \(did you mean 'digit'\?\)"):
        load(tmp_path, "x.csv", content, label_column="digits")
    with pytest.raises(InputError, match="label_column: expected names of columns in line 1"):
        load(tmp_path, "x.csv", text(BITS), label_column="digit")
    table = pa.table({"digit": DIGITS.astype(np.uint8)} | {name: BITS[:, place] for place, name in enumerate(NAMES)})
    pq.write_table(table, tmp_path / "x.parquet")
    data = load_data(tmp_path / "x.parquet", split=False, label_column="digit")
    assert np.array_equal(data.split("all").labels, DIGITS)
    assert data.columns == tuple(NAMES)
    np.savez(tmp_path / "x.npz", x=BITS, digit=DIGITS)
    assert "not read: the array 'digit'" in load_data(tmp_path / "x.npz").notes
    assert np.array_equal(load_data(tmp_path / "x.npz", split=False, label_column="digit").split("all").labels, DIGITS)
    with pytest.raises(InputError, match="label_column: there is no array 'digits'"):
        load_data(tmp_path / "x.npz", label_column="digits")
    np.save(tmp_path / "x.npy", BITS)
    with pytest.raises(InputError, match="label_column: expected names of columns"):
        load_data(tmp_path / "x.npy", label_column="digit")
    (tmp_path / "shards").mkdir()
    for number in range(2):
        np.savez(tmp_path / "shards" / f"{number}.npz", x=BITS, digit=DIGITS)
    found = load_data(tmp_path / "shards", split=False, label_column="digit").split("all").labels
    assert np.array_equal(found, np.tile(DIGITS, 2))


@pytest.mark.parametrize("name", ["Label", "CLASS", "target", "y"])
def test_parquet_names_labels_and_row_numbers_as_csv_does(name, tmp_path):
    columns = {name: DIGITS} | {name: BITS[:, place] for place, name in enumerate(NAMES)} | {"__index_level_0__": ROWS}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet", row_group_size=15)
    data = load_data(tmp_path / "x.parquet", split=False)
    assert np.array_equal(data.split("all").x[:], BITS)
    assert np.array_equal(data.split("all").labels, DIGITS)
    assert data.columns == tuple(NAMES)
    assert "column '__index_level_0__' of x.parquet numbers the rows and is left out" in data.notes
    pq.write_table(pa.table({**columns, "why": DIGITS}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="column 'why' holds whole numbers"):
        load_data(tmp_path / "x.parquet")
    pq.write_table(pa.table({**columns, "LABEL" if name == "y" else "y": DIGITS}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="may all be labels"):
        load_data(tmp_path / "x.parquet")


def test_labels_among_grey_levels_are_asked_about(tmp_path):
    """The table of digits that is passed around: no names, the label first."""
    table = np.column_stack([DIGITS, GREYS])
    for content in (text(table), text(table, [str(number) for number in range(7)])):
        with pytest.raises(InputError, match=r"looks like labels: it holds all of 0\.\.\.9, the others go up to 25\d"):
            load(tmp_path, "x.csv", content, scale=255)
    np.save(tmp_path / "x.npy", table.astype(np.uint8))
    with pytest.raises(InputError, match="column 1 looks like labels"):
        load_data(tmp_path / "x.npy")
    two = np.column_stack([DIGITS % 2, GREYS / 256])
    with pytest.raises(InputError, match=r"column 1 looks like labels: it holds all of 0\.\.\.1, the others hold real"):
        load(tmp_path, "x.csv", text(two))
    assert load(tmp_path, "x.csv", text(two, ["y", *NAMES])).kind == "grey"
    beyond = np.column_stack([DIGITS * 2 + 1, GREYS / 256])
    with pytest.raises(
        InputError, match=r"\(outside \[0, 1\] in column 'digit' only: if it holds labels, say .*--label-col"
    ):
        load(tmp_path, "x.csv", text(beyond, ["digit", *NAMES]))
    named = load(tmp_path, "x.csv", text(table, ["label", *NAMES]), scale=255)
    assert np.array_equal(named.split("all").labels, DIGITS)
    as_pixel = load(tmp_path, "x.csv", text(table, [f"p{number}" for number in range(7)]), scale=255)
    assert np.array_equal(as_pixel.split("all").x, table)


def shards(folder, second):
    """Write two shards of bits; the second holds the named columns."""
    folder.mkdir()
    columns = {name: BITS[:, place].astype(np.uint8) for place, name in enumerate(NAMES)} | {
        "extra": BITS[:, 0].astype(np.uint8)
    }
    pq.write_table(pa.table({name: columns[name][:25] for name in NAMES}), folder / "a.parquet")
    pq.write_table(pa.table({name: columns[name][25:] for name in second}), folder / "b.parquet", row_group_size=7)
    return folder


def test_columns_of_shards_meet_by_name(tmp_path):
    straight = load_data(shards(tmp_path / "straight", NAMES))
    crossed = load_data(shards(tmp_path / "crossed", [NAMES[place] for place in (3, 5, 0, 1, 4, 2)]))
    assert straight.sha256() == crossed.sha256()
    assert straight.columns == crossed.columns == tuple(NAMES)
    assert straight.notes == ()
    assert crossed.notes == ("the columns of b.parquet are put in the order of a.parquet",)
    for name in straight.splits:
        assert np.array_equal(straight.split(name).x[:], crossed.split(name).x[:])
    whole = load_data(tmp_path / "crossed", split=False)
    assert np.array_equal(whole.split("all").x[:], BITS)
    for names, sentence in (
        (NAMES[:-1], "b.parquet: expected the columns 'q0', 'q1', 'q2' and 3 more as in a.parquet; 'q5' is missing"),
        ([*NAMES, "extra"], "'extra' is not among them"),
        ([*NAMES[:-1], "extra"], "'q5' is missing.*, 'extra' is not among them"),
    ):
        with pytest.raises(InputError, match=sentence):
            load_data(shards(tmp_path / f"{len(names)}{names[-1]}", names))


def test_columns_of_a_data_set_are_put_in_the_order_of_a_run(tmp_path):
    columns = tuple("abcdef")
    data = Dataset("mine", {"all": Split(BITS, DIGITS)}, "binary", 1, columns=columns)
    order = [4, 0, 5, 2, 1, 3]
    ordered = order_columns(data, [columns[place] for place in order])
    assert np.array_equal(ordered.split("all").x, BITS[:, order])
    assert np.array_equal(ordered.split("all").labels, DIGITS)
    again = Dataset("mine", {"all": Split(BITS[:, order], DIGITS)}, "binary", 1)
    assert ordered.sha256() == again.sha256()
    assert order_columns(data, None) is data
    assert order_columns(data, columns) is data
    assert order_columns(again, columns) is again
    with pytest.raises(
        InputError, match=r"'a' is missing \(did you mean 'A'\?\), 'A' is not among them|'a' is missing, 'A'"
    ):
        order_columns(Dataset("mine", {"all": Split(BITS)}, "binary", 1, columns=("A", *columns[1:])), columns)
    with pytest.raises(InputError, match="expected 5 columns; got 6"):
        order_columns(again, columns[:5])
    streamed = load_data(shards(tmp_path / "x", NAMES), split=False)
    reordered = order_columns(streamed, NAMES[::-1])
    assert np.array_equal(reordered.split("all").x[:], BITS[:, ::-1])
    assert np.allclose(reordered.split("all").x.means(), BITS[:, ::-1].mean(0))


def test_arrays_of_an_archive_have_the_names_that_people_give(tmp_path):
    images = GREYS.reshape(40, 3, 2).astype(np.uint8)

    def loaded(**arrays):
        np.savez(tmp_path / "x.npz", **arrays)
        return load_data(tmp_path / "x.npz")

    parts = np.split(images, [24, 32])
    data = loaded(train=parts[0], val=parts[1], test=parts[2], y_val=DIGITS[24:32])
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 24, "validation": 8, "test": 8}
    assert np.array_equal(data.split("validation").labels, DIGITS[24:32])
    data = loaded(x_train=images[:30], y_train=DIGITS[:30, None], x_test=images[30:], y_test=DIGITS[30:, None])
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 27, "validation": 3, "test": 10}
    assert "there is no validation split" in data.notes[0]
    rows = np.concatenate([data.split(name).x for name in ("train", "validation")])
    assert sorted(map(bytes, rows)) == sorted(map(bytes, images[:30].reshape(30, 6)))
    assert np.array_equal(data.split("test").labels, DIGITS[30:])
    with pytest.raises(InputError, match="got both, x and 'train', 'test'"):
        loaded(x=images, train=images, test=images)
    with pytest.raises(InputError, match="expected one of the arrays 'train', 'x_train'; got 2"):
        loaded(train=images, x_train=images, test=images)
    with pytest.raises(InputError, match="got only test"):
        loaded(test=images)


def test_what_is_not_read_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", x=BITS)
    for name, content, what in (
        ("x.csv", b"PK\x03\x04....", "a zip archive"),
        ("x.csv", b"\x28\xb5\x2f\xfd...", "compressed by zstd"),
        ("x.npy", b"\x89HDF....", "an HDF5 file"),
        ("x.xlsx", b"PK\x03\x04....", "an Excel workbook; save the sheet as 'CSV UTF-8'"),
        ("x.npy", text(BITS), "expected a readable array of numbers"),
        ("x.csv", (tmp_path / "x.npz").read_bytes(), "a zip archive"),
        ("x.npz.gz", gzip.compress(b"PK\x03\x04"), "unpack it"),
    ):
        with pytest.raises(InputError, match=what):
            load(tmp_path, name, content)


def test_the_commands_say_what_they_found(tmp_path, capsys, monkeypatch, caplog):
    run = CommandLine(capsys, monkeypatch)
    (tmp_path / "x.csv").write_bytes(text(beside(ROWS, beside(DIGITS)), ["", "label", *NAMES]))
    shown = run("data", tmp_path / "x.csv")
    for line in (
        "columns       6",
        "column names  'q0', 'q1', 'q2' and 3 more",
        "meaning       bits",
        "classes       10",
        "notes         the labels are in column 'label'",
        "notes         the first column, which has no name, numbers the rows and is left out",
    ):
        assert f"  {line}\n" in shown.out
    assert "numbers the rows and is left out" in caplog.text
    assert "for a file; give its name" in run.refused("data", "--scale", "3")


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_read_as_it_is_or_refused(tmp_path, data):
    """Numbers that are read are those that are written, however they are written; nothing ends in a traceback."""
    cell = st.sampled_from(["0", "1", "0.5", "1.0", "", "NA", "x", "2", "255", '"1"', "#", "-1", " 1", "1e-3", "True"])
    width = data.draw(st.integers(1, 4))
    rows = data.draw(st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=6))
    content = "\n".join(",".join(row) for row in rows) + "\n"
    (tmp_path / "x.csv").write_text(content)
    try:
        found = load_data(tmp_path / "x.csv", split=False)
    except InputError:
        return
    while rows[-1] == [""]:  # the end of a file
        rows.pop()
    if "the empty last column is left out" in found.notes:
        rows = [row[:-1] for row in rows]
    cells = [[cell.strip(' "') for cell in row] for row in rows]
    named = found.columns is not None and "the columns have no names" not in " ".join(found.notes)
    names = cells.pop(0) if named else [f"column {place + 1}" for place in range(len(cells[0]))]
    kept = [place for place, name in enumerate(names) if found.columns is None or name in found.columns]
    if found.variables is None:
        expected = [[float({"True": 1, "": "nan", "NA": "nan"}.get(cell, cell)) for cell in row] for row in cells]
        assert np.allclose(found.split("all").x, np.array(expected)[:, kept], rtol=1e-6, equal_nan=True)
        return
    table = found.to_table(found.split("all").x)
    for place, name in enumerate(names):
        column = [row[place] for row in cells]
        if table[name].dtype == object:
            assert list(table[name]) == [None if cell in ("", "NA") else cell for cell in column]
        else:
            values = {"True": 1.0, "": np.nan, "NA": np.nan}
            expected = [values[cell] if cell in values else float(cell) for cell in column]
            assert np.allclose(table[name], expected, rtol=1e-6, equal_nan=True)

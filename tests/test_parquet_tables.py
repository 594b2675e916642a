"""Room: data. Parquet files with text, categories, nulls and several types are tables; others stay on the disk."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vaelab.data import load_data, opening
from vaelab.data.formats import parquet_table
from vaelab.data.opening import open_unpacked
from vaelab.data.streaming.rows import Rows
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError

WORDS = ["red", "blue", None, "red"] * 10
NAN = float("nan")
COLUMNS = {
    "text": (pa.array(WORDS), WORDS),
    "large text": (pa.array(WORDS, pa.large_string()), WORDS),
    "categories": (pa.array(WORDS).dictionary_encode(), WORDS),
    "categories that are numbers": (pa.array([1, 5, 5, 1] * 10).dictionary_encode(), [1, 5, 5, 1] * 10),
    "booleans": (pa.array([True, False] * 20), [True, False] * 20),
    "booleans with nulls": (pa.array([True, None] * 20), [1.0, NAN] * 20),
    "whole numbers": (pa.array([3, 7] * 20, pa.int8()), [3, 7] * 20),
    "whole numbers with nulls": (pa.array([3, None] * 20), [3.0, NAN] * 20),
    "real numbers": (pa.array([0.5, NAN] * 20, pa.float32()), [0.5, NAN] * 20),
    "decimals": (pa.array([1, None] * 20, pa.decimal128(5, 2)), [1.0, NAN] * 20),
    "nothing": (pa.nulls(40), [NAN] * 40),
}


def table_of(path, options=None):
    with open_unpacked(path) as opened:
        return parquet_table.read(opened, options or ReadOptions())


@pytest.mark.parametrize("row_group_size", [7, 1000])
@pytest.mark.parametrize(("column", "expected"), COLUMNS.values(), ids=COLUMNS)
def test_columns_are_numbers_or_text(column, expected, row_group_size, tmp_path):
    pq.write_table(pa.table({"a": column, "b": pa.array(WORDS)}), tmp_path / "x.parquet", row_group_size)
    content = table_of(tmp_path / "x.parquet")
    assert content.table.names == ("a", "b")
    found = content.table.columns[0]
    assert (found.dtype == object) == any(isinstance(value, str) for value in expected)
    assert list(map(repr, found.tolist())) == list(map(repr, expected))
    assert "% of the cells are missing values" in content.notes[0]


def test_a_frame_of_pandas_becomes_a_data_set(tmp_path):
    frame = pd.DataFrame({"colour": pd.Categorical(["red", "blue", "green", "red"] * 10), "smokes": ["yes", "no"] * 20})
    frame["label"] = [0, 1] * 20
    frame.to_parquet(tmp_path / "x.parquet")
    data = load_data(tmp_path / "x.parquet", split=False)
    assert data.columns == ("colour=blue", "colour=green", "colour=red", "smokes")
    assert data.split("all").labels.tolist() == [0, 1] * 20
    table = data.to_table(data.split("all").x)
    assert table["colour"].tolist() == frame["colour"].tolist()
    assert table["smokes"].tolist() == frame["smokes"].tolist()


def test_numbers_of_one_type_stay_on_the_disk_unless_more_is_said(tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(np.uint8)
    pq.write_table(pa.table({name: bits[:, place] for place, name in enumerate("abc")}), tmp_path / "x.parquet")
    assert isinstance(load_data(tmp_path / "x.parquet").train.x, Rows)
    gaps = pa.table({name: pa.array([1, 0, None, 1] * 10, pa.uint8()) for name in "ab"})
    pq.write_table(gaps, tmp_path / "y.parquet", row_group_size=15)
    holes = load_data(tmp_path / "y.parquet", split=False)
    assert np.array_equal(holes.split("all").x[:, 0], [1, 0, NAN, 1] * 10, equal_nan=True)
    assert "25.0 % of the cells are missing values" in holes.notes[0]
    chosen = load_data(tmp_path / "x.parquet", columns={"c": "drop"}, split=False)
    assert chosen.columns == ("a", "b")
    assert np.array_equal(chosen.split("all").x, bits[:, :2])


def test_what_is_no_table_is_refused(tmp_path):
    dates = pa.array(np.zeros(40, "M8[s]"))
    pq.write_table(pa.table({"when": dates, "a": pa.array(WORDS)}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"got 'when' of timestamp\[ms\]; leave it out .*with when: drop"):
        load_data(tmp_path / "x.parquet")
    data = load_data(tmp_path / "x.parquet", columns={"when": "drop"}, split=False)
    assert data.columns == ("a",)
    assert np.isnan(data.split("all").x).sum() == 10
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-50])
    with pytest.raises(InputError, match="expected a readable Parquet file"):
        load_data(tmp_path / "x.parquet")


def test_a_table_larger_than_memory_is_refused(tmp_path, monkeypatch):
    """A column of one text takes a few bytes in the file."""
    monkeypatch.setattr(opening, "MEMORY", 10**6)
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2 * 10**5, np.int8)), ["x" * 1000])
    pq.write_table(pa.table({"a": text}), tmp_path / "x.parquet")
    assert (tmp_path / "x.parquet").stat().st_size < 10**5
    with pytest.raises(InputError, match=r"expected at most 1\.0 MB unpacked; got 1\.6 MB"):
        load_data(tmp_path / "x.parquet")

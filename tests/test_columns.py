"""Room: data. The columns of a user's table: kinds, levels, and the way from the table to rows of numbers and back."""

import json

import numpy as np
import pytest
import torch

from vaelab.data import Column, Dataset, DataSpec
from vaelab.data.assembly import assemble_table
from vaelab.data.content import RawTable
from vaelab.data.tables import encode_table
from vaelab.data.values import ReadOptions
from vaelab.data.variables import choices_of, groups_of, kind_of
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
    return Dataset("people", **vars(assemble_table("people", table, (), True, ReadOptions(columns=choices, **options))))


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
        (None, r"the whole numbers in column 'visits' \(0\.\.\.6\) may be counts, .*--columns FILE, .* visits: real"),
        ({"visit": "count"}, r"columns: there is no column 'visit' \(did you mean 'visits'\?\)"),
        ({"visits": "counts"}, r"columns: visits: kind: expected one of .*; got 'counts' \(did you mean 'count'\?\)"),
        ({"visits": {"type": "count"}}, "columns: visits: expected a kind, or kind, levels and one; got"),
        ({"visits": "binary"}, r"column 'visits': expected two levels, as it is binary; got \[0, 1, 2, 3, 4, 5, .*\]"),
        ({"visits": "unit"}, r"column 'visits': expected numbers in \[0, 1\], as it is unit; got 2 in row 2"),
        ({"visits": "drop", "colour": "real"}, "column 'colour': expected finite numbers, .*; got text such as 'red'"),
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
    with pytest.raises(InputError, match=r"column 'who': expected few levels; its 60 in 60 rows are like .* an ID"):
        read(table)
    assert read(table, {"who": "drop"}).columns == ("x",)
    assert read(table, {"who": "categorical"}).dim == ROWS + 1

"""The page on your own table: its commands run in their order, and write what it shows."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine

PAGE = (Path(__file__).parents[1] / "docs" / "your-table.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory in which the commands of the page were run."""
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(blocks("python")[0], {})
        Path("columns.yaml").write_text(blocks("yaml")[0])
    return folder


@pytest.fixture
def vaelab(capsys, monkeypatch, folder):
    monkeypatch.chdir(folder)
    return CommandLine(capsys, monkeypatch)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_page_shows_what_the_commands_print(vaelab):
    refusal, table = blocks("text")
    assert vaelab.refused("data", "people.csv") + "\n" == refusal
    out = vaelab("data", "people.csv", "--columns", "columns.yaml").out
    assert [line.rstrip() for line in table.splitlines()] == [line.rstrip() for line in out.splitlines()[-9:-1]]
    out = vaelab("data", "people.csv", "--columns", "columns.yaml", "--drop").out
    assert "notes         left out, constant: 'country'" in out


def test_the_commands_of_the_page_write_the_user_s_table(vaelab):
    for line in blocks("bash")[0].splitlines():
        result = vaelab(*line.split()[1:])
        assert result.code == 0, result
    table = read("people.csv")
    sampled, filled, codes = read("samples.csv"), read("filled.csv"), read("codes.csv")
    names = [name for name in table[0] if name != "id"]
    assert list(sampled[0]) == list(read("reconstructed.csv")[0]) == names
    assert {row["colour"] for row in sampled} == {"red", "green", "blue"}
    assert {row["smokes"] for row in sampled} == {"no", "yes"}
    assert all(row["visits"].isdigit() for row in sampled)
    assert list(filled[0]) == list(table[0])
    for before, after in zip(table, filled, strict=True):
        assert all(after.values())
        for name, cell in before.items():
            same = float(cell) == float(after[name]) if name in ("height", "share") and cell else cell == after[name]
            assert not cell or same
    assert list(codes[0]) == ["codes_1", "codes_2", "stddev_1", "stddev_2"]
    assert len(codes) == len(table)


def test_new_rows_are_encoded_by_the_levels_of_the_run(vaelab):
    if not Path("runs/people").exists():
        assert vaelab(*blocks("bash")[0].splitlines()[0].split()[1:]).code == 0
    text = Path("people.csv").read_text().splitlines()
    few = [text[0], *(line for line in text[1:] if ",red," in line)][:30]  # of one colour only
    turned = [",".join(reversed(line.split(","))) for line in few]
    for name, lines in (("few", few), ("turned", turned)):
        Path(f"{name}.csv").write_text("\n".join(lines) + "\n")
        assert vaelab("encode", "runs/people", "--data", f"{name}.csv", "--out", f"{name}.npz", "--overwrite").code == 0
    assert np.array_equal(np.load("few.npz")["codes"], np.load("turned.npz")["codes"])
    Path("pink.csv").write_text("\n".join(few).replace(",red,", ",pink,") + "\n")
    refused = vaelab.refused("encode", "runs/people", "--data", "pink.csv", "--out", "pink.npz")
    assert "pink.csv: column 'colour': expected the levels 'blue', 'green', 'red'; got 'pink'" in refused
    Path("without.csv").write_text("\n".join(line.partition(",")[2].partition(",")[2] for line in few) + "\n")
    refused = vaelab.refused("encode", "runs/people", "--data", "without.csv", "--out", "without.npz")
    assert "without.csv: expected the columns 'colour', 'smokes', 'height' and 3 more; 'colour' is missing" in refused

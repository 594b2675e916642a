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
    refused = vaelab("data", "people.csv")
    assert (refused.code, refused.err) == (2, refusal)
    out = vaelab("data", "people.csv", "--columns", "columns.yaml").out
    assert [line.rstrip() for line in table.splitlines()] == [line.rstrip() for line in out.splitlines()[-9:-1]]
    out = vaelab("data", "people.csv", "--columns", "columns.yaml", "--drop").out
    assert "notes         left out, constant: 'country'" in out


def test_the_commands_of_the_page_write_the_user_s_table(vaelab):
    for line in blocks("bash")[0].splitlines():
        result = vaelab(*line.split()[1:])
        assert result.code == 0, result
    report = Path("runs/people/report.html").read_text(encoding="utf-8")
    assert "Columns of the data and of samples" in report
    assert re.search(r"Most different: \S+: [\d.]+ in the test data, [\d.]+ in the samples; ", report)
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
    assert vaelab("reconstruct", "runs/people", "-n", 30, "--data", "few.csv", "--out", "few-again.csv").code == 0
    assert len(read("few-again.csv")) == len(few) - 1
    Path("pink.csv").write_text("\n".join(few).replace(",red,", ",pink,") + "\n")
    refused = vaelab.refused("encode", "runs/people", "--data", "pink.csv", "--out", "pink.npz")
    assert "pink.csv: column 'colour': expected the levels 'blue', 'green', 'red'; got 'pink'" in refused
    Path("without.csv").write_text("\n".join(line.partition(",")[2].partition(",")[2] for line in few) + "\n")
    refused = vaelab.refused("encode", "runs/people", "--data", "without.csv", "--out", "without.npz")
    assert "without.csv: expected the columns 'colour', 'smokes', 'height' and 3 more; 'colour' is missing" in refused


def test_a_run_of_bits_without_remarkable_columns_reads_its_file_again(vaelab):
    bits = np.random.default_rng(0).integers(0, 2, (40, 3))
    rows = np.column_stack([bits, bits[:, 0], np.ones(40, int)])
    np.savetxt("bits.csv", rows, "%d", ",", header="a,b,c,copy,one", comments="")
    words = ("latent_dim=2", "hidden_dims=[4]", "steps=5", "--out", "bits")
    assert vaelab("train", "gaussian-vae", "--data", "bits.csv", "--drop", *words).code == 0
    assert vaelab("evaluate", "bits", "--samples", 2, "--no-report").code == 0
    assert vaelab("encode", "bits", "--data", "bits.csv", "--out", "bits-codes.csv").code == 0
    assert len(read("bits-codes.csv")) == 40
    assert vaelab("sample", "bits", "--out", "bits-drawn.csv").code == 0
    assert list(read("bits-drawn.csv")[0]) == ["a", "b", "c"]
    assert {cell for row in read("bits-drawn.csv") for cell in row.values()} == {"0", "1"}


def test_a_column_may_have_a_dot_in_its_name(vaelab):
    lines = ["a.b,c", *(f"{number % 4},{number % 2}" for number in range(40))]
    Path("dots.csv").write_text("\n".join(lines) + "\n")
    Path("dots.yaml").write_text("a.b: count\n")
    words = ("latent_dim=2", "hidden_dims=[4]", "steps=5", "--out")
    assert vaelab("train", "gaussian-vae", "--data", "dots.csv", "--columns", "dots.yaml", *words, "dots").code == 0
    assert vaelab("train", "gaussian-vae", "--data", "dots.csv", "columns.a.b=count", *words, "dots2").code == 0
    assert vaelab("evaluate", "dots2", "--samples", 2, "--no-report").code == 0
    refused = vaelab.refused("train", "gaussian-vae", "--data", "dots.csv", "columns.a.b=counts", *words, "dots3")
    assert "columns: a.b: kind: expected one of binary, categorical, unit, real, count, drop; got 'counts'" in refused
    assert "columns: there is no file 'no.yaml'" in vaelab.refused("data", "dots.csv", "--columns", "no.yaml")


def test_labels_of_text_stand_beside_the_codes(vaelab):
    rows = np.random.default_rng(0).integers(0, 2, (40, 3))
    lines = ["a,b,c,class", *(f"{a},{b},{c},{'left' if a else 'right'}" for a, b, c in rows)]
    Path("votes.csv").write_text("\n".join(lines) + "\n")
    words = ("latent_dim=2", "hidden_dims=[4]", "steps=5", "--out", "votes")
    assert vaelab("train", "gaussian-vae", "--data", "votes.csv", *words).code == 0
    for name in ("votes.npz", "votes-codes.csv"):
        assert vaelab("encode", "votes", "--data", "votes.csv", "--out", name).code == 0
    expected = [line.rpartition(",")[2] for line in lines[1:]]
    assert np.load("votes.npz", allow_pickle=False)["labels"].tolist() == expected
    assert [row["labels"] for row in read("votes-codes.csv")] == expected


def test_a_model_is_given_a_level_by_its_name(vaelab):
    words = ("condition=colour", "latent_dim=2", "hidden_dims=[8]", "steps=30", "--drop", "--out", "given")
    assert vaelab("train", "gaussian-vae", "--data", "people.csv", "--columns", "columns.yaml", *words).code == 0
    assert vaelab("evaluate", "given", "--samples", 2, "--no-report").code == 0
    assert vaelab("sample", "given", "-n", 20, "--given", "red", "--out", "red.csv").code == 0
    assert list(read("red.csv")[0]) == ["smokes", "height", "visits", "share"]
    refused = vaelab.refused("sample", "given", "--given", "pink", "--out", "pink-drawn.csv")
    assert "given: column 'colour': expected the levels 'blue', 'green', 'red'; got 'pink'" in refused

"""What the command line says on every terminal: narrow ones, plain encodings, pipes that close, and wrong words."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine
from vaelab import evaluation
from vaelab.cli import app
from vaelab.cli.options import SAMPLES
from vaelab.cli.usage import COMMANDS

HEADER = ["model", "code", "parameters", "ELBO", "IWAE", "active units"]
ROWS = [
    ["runs/[a]-very-long-name", "200 bits", "652,824", "-124.52 ± 0.31", "-109.71 ± 0.28 (K = 200)", "200 of 200"],
    ["b", "20 real", "1,652,824", "-98.37 ± 0.25", "-94.10 ± 0.24 (K = 200)", "20 of 20"],
]
TABLE = f"from vaelab.cli.output import print_table; print_table({HEADER}, {ROWS})"
PRINT = "from vaelab.cli.streams import write_any_text; write_any_text(); import sys; "


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, env={**os.environ, **environment})


def on_terminal(code: str, columns: int) -> str:
    """Run Python code on a terminal of so many columns, and return what it shows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    found = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the terminal is closed
            break
        if not part:
            break
        found += part
    os.close(ours)
    assert process.wait() == 0, found
    return re.sub(r"\x1b\[[0-9;]*m", "", found.decode().replace("\r\n", "\n"))


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_every_number_of_a_table_is_whole_on_a_terminal_of_any_width(columns):
    shown = on_terminal(TABLE, columns)
    for row in ROWS:
        for cell in row:
            assert any(cell in line for line in shown.splitlines()), (cell, shown)
    assert max(map(len, shown.splitlines())) <= columns
    assert ("ELBO: " in shown) == (columns < 120)


VALUES = [
    ("elbo", "-12345.678 ± 1234.567", []),
    ("active-units", "52 of 200", ["the units with a KL of more than 0.01 nat, which is 0.51 ± 0.02 nat on average"]),
]


@pytest.mark.parametrize("columns", [30, 40, 80])
def test_every_value_and_number_of_a_note_is_whole_on_a_terminal_of_any_width(columns):
    shown = on_terminal(f"from vaelab.cli.output import print_values; print_values({VALUES})", columns)
    lines = shown.splitlines()
    for whole in ("-12345.678 ± 1234.567", "52 of 200", "0.01", "0.51 ± 0.02"):
        assert any(whole in line for line in lines), shown
    assert max(map(len, lines)) <= columns
    piped = python(f"from vaelab.cli.output import print_values; print_values({VALUES})", COLUMNS="30").stdout.decode()
    assert piped.splitlines()[2].strip() == VALUES[1][2][0]


def test_a_table_in_a_pipe_is_as_wide_as_it_has_to_be():
    wide = [[f"{number}" * 40 for number in range(9)]]
    shown = python(
        f"from vaelab.cli.output import print_table; print_table({list('abcdefghi')}, {wide})", COLUMNS="40"
    ).stdout
    assert all(cell in shown.decode() for cell in wide[0])
    assert len(shown.decode().strip().splitlines()) == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_every_sign_can_be_printed_in_every_encoding(encoding):
    code = PRINT + TABLE + "; print('σ ∞ → é ß 漢 \\udcff …', file=sys.stderr); print('×')"
    result = python(code, PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    shown, said = result.stdout.decode(encoding), result.stderr.decode(encoding)
    assert ("-124.52 +- 0.31" if encoding == "ascii" else "-124.52 ± 0.31") in shown
    assert len(set(map(len, shown.splitlines()[:-1]))) == 1  # the columns are as wide as what is written
    if encoding == "ascii":
        assert said == "sigma inf -> e ss ? \\xff ...\n"
    assert "\\xff" in said


def test_the_command_line_speaks_under_the_c_locale_of_files_with_odd_names(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xc3\xa9.yaml"
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-m", "vaelab", "data", name]
    result = subprocess.run(words, capture_output=True, env=plain)
    assert result.returncode == 2
    said = result.stderr.decode("ascii")
    assert said.startswith("error: data: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_pipe_that_closes_ends_a_command_quietly(unbuffered):
    vaelab = f"{sys.executable} -m vaelab"
    for command in (f"{vaelab} --help | true", f"{vaelab} fit 2>&1 | true"):
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        result = subprocess.run(["bash", "-c", command], capture_output=True, env=environment)
        assert result.stderr == b""
    code = PRINT + (
        "import os; from vaelab.cli.streams import abandon_broken; r, w = os.pipe(); os.dup2(w, 1); os.close(w); "
        "before = abandon_broken(); os.close(r); os._exit(3 * before + (not abandon_broken()) + abandon_broken())"
    )
    assert python(code).returncode == 0


def test_a_full_disk_is_said_in_one_sentence():
    with open("/dev/full", "w") as full:
        result = subprocess.run([sys.executable, "-m", "vaelab", "--help"], stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr.startswith(b"error: No space left on device")


@pytest.mark.parametrize("words", [(), ("-h",), ("--help",), ("help",)])
def test_help_of_the_whole_exits_with_0_and_names_every_command(vaelab, words):
    result = vaelab(*words)
    assert result.code == 0
    assert result.err == ""
    assert all(f"  {name} " in result.out for name in COMMANDS)
    assert "..." not in result.out.partition("Commands:")[2]
    assert max(map(len, result.out.splitlines())) <= 80
    assert ("To begin: vaelab train gaussian-vae" in result.out) == (words == ())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_an_example(vaelab, command):
    pages = {vaelab(*words).out for words in ((command, "-h"), (command, "--help"), ("help", command))}
    assert len(pages) == 1
    assert COMMANDS[command].example in " ".join(pages.pop().split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text_on_one_line_of_80_columns(vaelab, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    usage, *sections = re.split(r"^(?:Arguments|Options):\n", vaelab(command, "--help").out, flags=re.M)
    assert "…" not in usage
    assert "..." not in usage.partition("\n")[2]
    summary = usage.partition("\n\n  ")[2].partition("\n\n")[0]
    assert "\n" not in summary.strip(), "the first sentence is one line"
    for section in sections:
        lines = section.partition("\n\n")[0].rstrip().splitlines()
        for line in lines:
            assert len(line) <= 80, line
            assert re.match(r"  [-\[A-Z]\S.*?  +\S", line), f"a text that goes on, or none: {line}"
            assert not line.endswith(("…", "...")), line


def test_the_defaults_of_the_command_line_are_those_of_python():
    assert SAMPLES == evaluation.SAMPLES


def test_the_table_of_commands_has_every_command():
    assert {command.name for command in app.registered_commands} == set(COMMANDS)


REFUSED = {
    ("fit", "x"): "command: there is no 'fit'; write vaelab train",
    ("evalute",): r"command: there is no 'evalute' \(did you mean 'evaluate'\?\)",
    ("gaussian-vae",): "command: 'gaussian-vae' is a model; write vaelab train gaussian-vae",
    ("qqq",): "command: there is no 'qqq'; vaelab --help lists the commands",
    ("train",): "train: expected MODEL, as in: vaelab train gaussian-vae ",
    ("encode", "x"): "encode: expected --out, as in: vaelab encode runs/g --out codes.npz",
    (
        "train",
        "sbn",
        "--lr",
        "3",
    ): r"train: there is no option --lr; .* write a word such as training\.learning_rate=1e-3",
    ("train", "sbn", "--epochs", "3"): r"there is no option --epochs; .* write a word such as training\.epochs=20",
    ("sweep", "sbn", "--latent-dim=3"): "there is no option --latent-dim; .* write a word such as latent_dim=20",
    ("train", "sbn", "--optimizer", "sgd"): "there is no option --optimizer; vaelab always uses Adam",
    ("train", "mnist"): "train: 'mnist' is data; write vaelab train MODEL --data mnist",
    ("train", "sbn", "a.csv"): r"train: 'a\.csv' is data; write vaelab train MODEL --data a\.csv",
    ("sample", "x", "--kind", "modes"): "invalid value for '--kind': 'modes' is not one of",
    ("train", "sbn", "--otu", "x"): r"train: there is no option --otu \(did you mean '--out'\?\)",
    ("evaluate", "x", "--sample", "3"): r"evaluate: there is no option --sample \(did you mean '--samples'\?\)",
    ("evaluate", "x", "--samples", "a"): "evaluate: .*'--samples'.*integer; see vaelab evaluate --help",
    ("train", "sbn", "steps", "=", "5"): "train: expected one config file at most, then key=value words without spaces",
    ("train", "sbn", "steps"): "config: there is no file 'steps'; a setting is one word, key=value without spaces",
    ("train", "vae"): "model: there is no 'vae'; write gaussian-vae",
    ("settings", "dbn"): r"model: there is no 'dbn'; the nearest is sbn layers=\[200,200\]",
    ("train", "sbn", "--seed", "1", "seed=2"): "seed: expected one value; got two, --seed 1 and seed=2",
    ("train", "gaussian-vae", "latent_dim=1000000000"): "model: expected a network that can be trained in .* weights",
    ("train", "gaussian-vae", "latent_dim=1000000000000"): "latent_dim: expected at most 2,147,483,647",
}


@pytest.mark.parametrize(("words", "sentence"), REFUSED.items(), ids=[" ".join(words) for words in REFUSED])
def test_a_wrong_word_is_answered_with_the_right_one(vaelab, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert re.search(sentence, vaelab.refused(*words))


def test_the_settings_of_a_model_are_listed_as_words(vaelab):
    from vaelab.settings import parse_overrides, resolve

    lines = vaelab("settings", "bernoulli-vae").out.splitlines()
    settings = resolve("bernoulli-vae", parse_overrides(lines))
    assert settings.model_dump(mode="json") == resolve("bernoulli-vae").model_dump(mode="json")
    assert "training.clip=null" in lines


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_memory_that_runs_out_is_said_in_one_sentence(vaelab, monkeypatch, error):
    def full(*words: object) -> None:
        raise error

    monkeypatch.setattr("vaelab.data.describe", full)
    result = vaelab("data", "mnist")
    assert result.code == 1
    assert result.err == "error: there is not enough memory; smaller samples, batches, rows or networks need less\n"


def test_a_run_whose_name_is_no_text_is_evaluated_and_reported(vaelab, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xc3\xa9")
    np.save(tmp_path / "bits.npy", np.random.default_rng(0).integers(0, 2, (60, 4, 4)).astype(np.uint8))
    small = ["latent_dim=2", "hidden_dims=[4]", "training.steps=4", "--data", tmp_path / "bits.npy"]
    for line in (
        ["train", "gaussian-vae", *small, "--out", name],
        ["evaluate", name, "--samples", "3"],
        ["sample", name],
    ):
        result = vaelab(*line)
        assert result.code == 0, result
        assert "could not be drawn" not in result.err
        assert "not written" not in result.err
    assert (Path(name) / "report.html").is_file()


def test_a_command_says_on_a_terminal_that_it_has_begun_before_it_loads_torch():
    code = """
import importlib.abc, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            print("torch", flush=True)
            sys.exit(0)
sys.meta_path.insert(0, Finder())
sys.argv = ["vaelab", "train", "gaussian-vae"]
from vaelab.cli import main
main()
"""
    assert on_terminal(code, 80).splitlines() == ["vaelab train: loading PyTorch ...", "torch"]
    assert python(code).stdout.decode() == "torch\n"

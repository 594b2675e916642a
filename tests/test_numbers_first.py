"""The command line: numbers are printed and kept before anything is drawn, and no failure after them costs one."""

import json
import os
import resource
import shutil

import numpy as np
import pytest

from tests.commands import CommandLine, run_commands
from tests.processes import run_python
from tests.test_faults import keep_to_permissions
from vaelab import report
from vaelab.cli import evaluation
from vaelab.runs import Run, directory, results

TINY = ("latent_dim=2", "hidden_dims=[8]", "training.steps=6", "training.batch_size=20")
COMMANDS = {
    "evaluate": (("evaluate", "--samples", 1), "evaluation.json"),
    "diagnose": (("diagnose", "--rows", 20), "diagnostics.json"),
    "compare": (("compare", "--samples", 1, "--out", "c"), "evaluation.json"),
    "gradients": (("gradients", "--draws", 2, "--rows", 10), "gradients.json"),
    "tightness": (("tightness", "--rows", 10, "--steps", 2, "--samples", 2), "tightness.json"),
}


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("trained"), np.random.default_rng(0)
    np.save(folder / "x.npy", ((rng.random((200, 1)) < 0.5) ^ (rng.random((200, 16)) < 0.1)).astype(np.uint8))
    return folder


@pytest.fixture
def run(trained, vaelab, tmp_path, monkeypatch):
    """A belief network of three bits, for which every command has numbers; its parent is the working directory."""
    monkeypatch.chdir(tmp_path)
    if not (trained / "run").exists():
        words = ("train", "sbn", "layers=[3]", *TINY[2:], "--data", trained / "x.npy", "--out", trained / "run")
        assert vaelab(*words).code == 0
    shutil.copytree(trained / "run", "run")
    return Run("run")


def words_of(command, *more):
    (name, *words), file = COMMANDS[command]
    return (name, "run", *words, *more), file


def fail(*_, **__):
    raise RuntimeError("no figure can be drawn\ntoday")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_figure_that_cannot_be_drawn_costs_no_number(command, as_json, vaelab, run, monkeypatch):
    words, file = words_of(command, *(["--json"] if as_json else []))
    for name in ("write_report", "write_comparison", "gradient_figure", "tightness_figure"):
        monkeypatch.setattr(report, name, fail)
    result = vaelab(*words)
    assert result.code == 0, result.err
    assert "was not written: no figure can be drawn today" in result.err
    if as_json:
        assert json.loads(result.out)
    else:
        assert any(letter.isdigit() for letter in result.out)
    assert (run.path / file).exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_when_the_drawing_begins_the_numbers_are_printed_and_kept(command, vaelab, run, monkeypatch, capsys):
    words, file = words_of(command)
    seen = []

    def look(*_, **__):
        seen.append((capsys.readouterr().out, (run.path / file).exists()))
        raise KeyboardInterrupt

    for name in ("write_report", "write_comparison", "gradient_figure", "tightness_figure"):
        monkeypatch.setattr(report, name, look)
    assert vaelab(*words).code == 130
    ((out, kept),) = seen
    assert kept
    assert any(letter.isdigit() for letter in out)


def test_numbers_that_cannot_be_printed_are_kept(vaelab, run, monkeypatch):
    """As where the reader of a pipe has gone."""

    def broken(*_):
        raise BrokenPipeError

    monkeypatch.setattr(evaluation, "_print_result", broken)
    vaelab("evaluate", run.path, "--samples", 1, "--no-report")
    assert len(run.evaluations()) > 3


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_that_cannot_be_kept_are_printed(command, vaelab, run, monkeypatch):
    """Another process holds the lock of the numbers for longer than one waits."""
    words, file = words_of(command)
    monkeypatch.setattr(results, "_WAIT", 0.1)
    with directory.held(run.path / directory.RESULTS_LOCK, 1, ""):
        result = vaelab(*words)
    assert result.code == 0, result.err
    assert f"the numbers were not kept in run/{file}: run: another process has been adding numbers" in result.err
    assert any(letter.isdigit() for letter in result.out)
    assert not (run.path / file).exists()


def test_a_damaged_file_of_numbers_is_not_replaced_and_costs_no_new_ones(vaelab, run):
    assert vaelab("evaluate", run.path, "--samples", 1, "--no-report").code == 0
    path = run.path / "evaluation.json"
    damaged = path.read_bytes()[:-20]
    path.write_bytes(damaged)
    result = vaelab("evaluate", run.path, "--samples", 1, "--no-report")
    assert result.code == 0
    assert "elbo" in result.out
    assert "the numbers were not kept in run/evaluation.json: run/evaluation.json: expected readable JSON" in result.err
    assert path.read_bytes() == damaged


def test_a_run_that_may_only_be_read_prints_its_numbers_and_says_they_were_not_kept(run):
    """Real permissions: reading a run creates no file, not even a lock."""
    before = sorted(run.path.rglob("*"))
    os.chmod("run", 0o555)
    try:
        commands = [words_of(command)[0] for command in ("evaluate", "gradients")] + [
            ("compare", "run", "--samples", 1)
        ]
        out, err = run_commands(*commands, preexec=keep_to_permissions)
    finally:
        os.chmod("run", 0o755)
    assert out.count("elbo") >= 1
    assert "the numbers were not kept in run/evaluation.json: " in err
    assert "the numbers were not kept in run/gradients.json: " in err
    assert "ermission denied" in err
    assert "the report was not written: " in err
    assert "Traceback" not in err
    table = out.split("code 0")[2].splitlines()
    assert any(line.strip().startswith("run ") and "±" in line for line in table), "compare shows what it has just made"
    assert sorted(run.path.rglob("*")) == before


def test_a_full_disk_costs_no_number(run):
    out, err = run_commands(words_of("evaluate")[0], limits={resource.RLIMIT_FSIZE: 50})
    assert "elbo" in out
    assert "the numbers were not kept in run/evaluation.json: [Errno 27] File too large" in err
    assert not list(run.path.rglob(".vaelab-*"))


@pytest.mark.parametrize(("bound", "walks"), [("ais", 2), ("ais-gap", 4)])
def test_an_interrupted_estimate_is_printed_and_kept(bound, walks, vaelab, run, monkeypatch):
    """Ctrl-C after the first chunks of rows: the number of these rows, marked, and the exit code of an interrupt."""
    from vaelab.likelihood import ais, gap, walk

    monkeypatch.setattr(walk, "_ELEMENTS", 16 * 4 * 5)  # chunks of five rows

    def stopped(walked, temperatures, number, chunks, callback):
        if number == walks:
            raise KeyboardInterrupt
        return walk.walked(walked, temperatures, number, chunks, callback)

    for room in (ais, gap):
        monkeypatch.setattr(room, "walked", stopped)
    result = vaelab("evaluate", "run", "--bound", bound, "--temperatures", 5, "--chains", 4, "--rows", 18)
    assert result.code == 130
    assert "do not quote it: it was interrupted after 10 rows" in result.out
    records = run.evaluations()
    assert records[0].name == f"{bound}-5"
    assert {(record.observations, record.interrupted, record.samples) for record in records} == {(10, True, 4)}


SIGNALLED = """
import os, signal, sys
from vaelab.cli import main, progress
from vaelab.likelihood import walk

walk._ELEMENTS = 16 * 4 * 5  # chunks of five rows
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts jobs in the background without it

class Signal(progress.WorkProgress):
    def __call__(self, done, total):
        if done > 0.6 * total:
            os.kill(os.getpid(), signal.SIGINT)

progress.WorkProgress = Signal
for bound in ("ais", "ais-gap"):
    sys.argv = ["vaelab", "evaluate", "run", "--bound", bound, "--temperatures", "6", "--chains", "4", "--rows", "20"]
    try:
        main()
    except SystemExit as left:
        print("code", left.code, flush=True)
"""


def test_a_signal_to_a_process_keeps_what_is_done(run):
    done = run_python("-c", SIGNALLED)
    assert done.stdout.count("code 130") == 2, done.stderr
    assert done.stderr.splitlines() == ["interrupted"] * 2
    assert done.stdout.count("it was interrupted after 10 rows") == 4  # the gap has two parts
    records = run.evaluations()
    assert [record.name for record in records] == ["ais-6", "ais-gap-6", "ais-lower-6", "ais-upper-6"]
    assert all(record.interrupted and record.observations == 10 for record in records)


def test_the_gap_says_that_its_rows_are_those_of_the_model(vaelab, run):
    words = ("--bound", "ais-gap", "--temperatures", 5, "--chains", 4, "--rows", 18, "--no-report")
    result = vaelab("evaluate", "run", *words)
    text = " ".join(result.out.split())
    assert "Of 18 rows that the model drew, not of the rows of the split." in text
    assert "on such rows ais-5 is too low by at most the gap" in text
    assert "18 of 20 observations" not in text
    gap, lower, upper = (record for record in run.evaluations() if record.name != "active-units")
    assert (gap.name, lower.name, upper.name) == ("ais-gap-5", "ais-lower-5", "ais-upper-5")
    assert all(record.rows_of_model and record.observations == 18 for record in (gap, lower, upper))
    assert abs(gap.value - (upper.value - lower.value)) < 1e-9


def test_the_first_rows_alone_are_evaluated_on_request(vaelab, run):
    result = vaelab("evaluate", "run", "--bound", "elbo", "--rows", 7, "--no-report")
    assert "the first 7 of 20 observations" in result.out
    assert vaelab("evaluate", "run", "--bound", "elbo", "--no-report").code == 0
    found = {(record.observations, record.rows_of_split) for record in run.evaluations() if record.name == "elbo"}
    assert found == {(7, 20), (20, None)}  # one does not replace the other
    member = report.ReportedRun("run", run)
    assert member.evaluation("elbo").observations == 20  # and a table has that of all rows
    assert vaelab.refused("evaluate", "run", "--rows", 0).startswith("error: rows: expected an integer of at least 1")


def test_annealing_starts_at_the_prior_on_request(vaelab, run):
    words = (
        "evaluate",
        "run",
        "--bound",
        "ais",
        "--bound",
        "ais-gap",
        "--temperatures",
        4,
        "--chains",
        2,
        "--no-report",
    )
    assert vaelab(*words).code == 0
    assert vaelab(*words, "--start", "prior").code == 0
    found = {(record.name, record.start) for record in run.evaluations() if record.temperatures}
    names = ("ais-4", "ais-gap-4", "ais-lower-4", "ais-upper-4")
    assert found == {(name, start) for name in names for start in ("posterior", "prior")}
    said = vaelab.refused("evaluate", "run", "--start", "middle")
    assert said == "error: start: expected one of posterior, prior; got 'middle'"


def test_annealing_is_named_after_its_temperatures(vaelab, run):
    result = vaelab(
        "evaluate", "run", "--bound", "ais", "--bound", "exact", "--temperatures", 60, "--chains", 8, "--json"
    )
    records = {record["name"]: record for record in json.loads(result.out)["evaluations"]}
    annealed, exact = records["ais-60"], records["exact"]
    assert abs(annealed["value"] - exact["value"]) < 0.05
    assert (annealed["samples"], annealed["temperatures"], annealed["kernel"]) == (8, 60, "langevin")
    assert annealed["seconds"] >= 0

"""The command line: each command on real digits, every mistake answered in one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine, run_commands
from tests.processes import Python
from vaelab.cli import main
from vaelab.data.load import DATASETS
from vaelab.errors import InputError
from vaelab.report import ReportedRun
from vaelab.runs import Run

TINY = ("hidden_dims=[16]", "training.steps=40", "training.batch_size=50", "training.log_every=20")
MODELS = {
    "gaussian-vae": ("latent_dim=2",),
    "bernoulli-vae": ("latent_dim=8", "estimator.name=score-function", "estimator.baseline=running-average"),
    "autoencoder": ("latent_dim=2", "components=3"),
}

# The digits of ``digits`` in tests/conftest.py, in a process of its own.
FEW_DIGITS = """
from dataclasses import replace
from vaelab.data.load import DATASETS
whole = DATASETS["mnist"]()
splits = {name: replace(split, x=split.x[:300], labels=split.labels[:300]) for name, split in whole.splits.items()}
few = replace(whole, splits=splits)
DATASETS["mnist"] = lambda: few
"""


@pytest.fixture
def vaelab(capsys, monkeypatch, digits):
    """The command line, with few digits."""
    monkeypatch.setitem(DATASETS, "mnist", lambda: digits)
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, digits) -> dict[str, Path]:
    """One small run of every model, trained by the command line in a process of its own."""
    folder = tmp_path_factory.mktemp("runs")
    commands = [("train", model, *words, *TINY, "--out", folder / model) for model, words in MODELS.items()]
    run_commands(*commands, before=FEW_DIGITS)
    return {model: folder / model for model in MODELS}


@pytest.fixture(params=MODELS)
def run(request, trained, tmp_path) -> Path:
    """A copy of the run of each model, free to be written to."""
    path = tmp_path / request.param
    shutil.copytree(trained[request.param], path)
    return path


def test_help_is_instant_and_imports_no_torch():
    code = "import sys, vaelab.cli; assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version(vaelab):
    import vaelab as package

    assert vaelab("--version").out.strip() == f"vaelab {package.__version__}"


def test_train_writes_the_run_directory(run):
    expected = {"config.json", "model.safetensors", "metrics.jsonl", "checkpoints", "lock"}
    if run.name == "autoencoder":
        expected.add("density.safetensors")
    assert {path.name for path in run.iterdir()} == expected
    assert not list(run.rglob("*.tmp"))


def test_evaluate_prints_keeps_and_reports(vaelab, run):
    result = vaelab("evaluate", run, "--samples", 3, "--json")
    assert result.code == 0, result.err
    names = [record["name"] for record in json.loads(result.out)["evaluations"]]
    if run.name == "autoencoder":
        assert names == ["reconstruction-error", "code-log-density", "active-units"]
    else:
        assert names == ["elbo", "reconstruction", "kl", "iwae-3", "active-units"]
    kept = json.loads((run / "evaluation.json").read_text())
    assert [record["name"] for record in kept["records"]] == names
    assert all(record["binarisation"] == "dynamic" and record["split"] == "test" for record in kept["records"])
    assert (run / "report.html").stat().st_size > 10_000
    assert list((run / "figures").glob("*.png"))


def test_another_binarisation_has_to_be_asked_for_and_is_marked(vaelab, trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained["gaussian-vae"], run)
    asked = ("evaluate", run, "--samples", 2, "--bound", "elbo", "--no-report")
    for options, protocol in (((), "dynamic"), (("--binarisation", "threshold"), "threshold")):
        records = json.loads(vaelab(*asked, *options, "--json").out)["evaluations"]
        assert {record["binarisation"] for record in records} == {protocol}
    kept = [record["binarisation"] for record in json.loads((run / "evaluation.json").read_text())["records"]]
    assert (kept.count("dynamic"), kept.count("threshold")) == (4, 4)
    out = vaelab(*asked, "--binarisation", "threshold").out
    assert "binarisation threshold; trained under dynamic;" in out
    assert ReportedRun("x", Run(run)).evaluation("elbo").binarisation == "dynamic"
    assert "likelihood: bernoulli is for bits" in vaelab.refused(*asked, "--binarisation", "none")


def test_evaluate_says_in_plain_words_that_an_autoencoder_has_no_likelihood(vaelab, trained):
    result = vaelab("evaluate", trained["autoencoder"], "--no-report")
    assert "no likelihood of x" in result.out


@pytest.mark.parametrize("kind", ["mean", "mode", "draw"])
def test_sample_as_arrays(vaelab, run, tmp_path, kind):
    out = tmp_path / "s.npz"
    assert vaelab("sample", run, "-n", 7, "--kind", kind, "--out", out).code == 0
    x = np.load(out)["x"]
    assert x.shape == (7, 784)
    if kind == "mean":
        assert ((x > 0) & (x < 1)).any()
    else:
        assert set(np.unique(x)) <= {0.0, 1.0}


def test_pictures_are_png(vaelab, run, tmp_path):
    for words in (("sample", run, "-n", 4), ("reconstruct", run, "-n", 5)):
        out = tmp_path / "picture.png"
        assert vaelab(*words, "--out", out, "--overwrite").code == 0
        assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_encode_a_named_set_and_a_file_in_its_order(vaelab, run, tmp_path):
    out = tmp_path / "codes.npz"
    assert vaelab("encode", run, "--data", "mnist", "--out", out).code == 0
    named = np.load(out)
    assert len(named["codes"]) == len(named["labels"]) == 300
    rows = (np.random.default_rng(0).random((30, 784)) < 0.2).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "backwards.npy", rows[::-1].copy())
    assert vaelab("encode", run, "--data", tmp_path / "rows.npy", "--out", out, "--overwrite").code == 0
    codes = np.load(out)["codes"]
    assert vaelab("encode", run, "--data", tmp_path / "backwards.npy", "--out", out, "--overwrite").code == 0
    np.testing.assert_allclose(np.load(out)["codes"][::-1], codes, rtol=1e-4, atol=1e-5)
    extra = {"gaussian-vae": {"stddev"}, "bernoulli-vae": set(), "autoencoder": {"component", "log_density"}}
    assert set(np.load(out)) == {"codes"} | extra[run.name]


def test_compare_prints_every_run_and_writes_a_report(vaelab, trained, tmp_path):
    for path in trained.values():
        vaelab("evaluate", path, "--samples", 2, "--no-report")
    result = vaelab("compare", *trained.values(), "--out", tmp_path / "c", "--json")
    rows = json.loads(result.out)["runs"]
    assert [row["model"] for row in rows] == list(MODELS)
    names = [[record["name"] for record in row["evaluations"]] for row in rows]
    assert "iwae-2" in names[0]
    assert "elbo" in names[1]
    assert "elbo" not in names[2]
    assert (tmp_path / "c" / "report.html").exists(), result.err
    assert "not empty" in vaelab.refused("compare", *trained.values(), "--out", tmp_path / "c")


def test_compare_refuses_another_protocol_unless_forced(vaelab, trained, tmp_path):
    other = tmp_path / "static"
    words = ("train", "gaussian-vae", "binarisation=static", *MODELS["gaussian-vae"], *TINY, "--out", other)
    assert vaelab(*words).code == 0
    assert "differ in binarisation" in vaelab.refused("compare", trained["gaussian-vae"], other)
    forced = vaelab("compare", trained["gaussian-vae"], other, "--samples", 2, "--force")
    assert forced.code == 0
    assert "Not comparable" in forced.out


def test_data_tells_what_is_there(capsys, monkeypatch):
    facts = json.loads(CommandLine(capsys, monkeypatch)("data", "mnist", "--json").out)
    assert facts["rows"] == {"train": 50_000, "validation": 10_000, "test": 10_000}
    assert (facts["columns"], facts["kind"], facts["classes"]) == (784, "grey", 10)


def test_a_run_can_be_moved(vaelab, run, tmp_path):
    moved = run.rename(tmp_path / "elsewhere")
    assert vaelab("evaluate", moved, "--samples", 2, "--no-report").code == 0


def test_config_file_and_words(vaelab, tmp_path):
    (tmp_path / "c.yaml").write_text("latent_dim: 3\nhidden_dims: [8]\ntraining: {steps: 5}\n")
    assert vaelab("train", "gaussian-vae", tmp_path / "c.yaml", "latent_dim=4", "--out", tmp_path / "r").code == 0
    settings = json.loads((tmp_path / "r" / "config.json").read_text())["settings"]
    assert (settings["latent_dim"], settings["hidden_dims"], settings["training"]["epochs"]) == (4, [8], None)


def test_resume_of_a_finished_run_changes_nothing(vaelab, run):
    before = (run / "model.safetensors").read_bytes(), (run / "metrics.jsonl").read_text()
    words = MODELS[run.name]
    assert vaelab("train", run.name, *words, *TINY, "--out", run, "--resume").code == 0
    assert ((run / "model.safetensors").read_bytes(), (run / "metrics.jsonl").read_text()) == before


REFUSED = {
    "unknown model": (("train", "gausian-vae"), "did you mean 'gaussian-vae'"),
    "unknown key": (("train", "gaussian-vae", "latent_dmi=2"), "did you mean 'latent_dim'"),
    "key that two tables have": (("train", "gaussian-vae", "name=elbo"), "objective.name or estimator.name"),
    "wrong type": (("train", "gaussian-vae", "latent_dim=two"), "latent_dim"),
    "out of range": (("train", "gaussian-vae", "latent_dim=0"), "latent_dim"),
    "unknown estimator": (("train", "gaussian-vae", "estimator.name=pathwyse"), "did you mean 'pathwise'"),
    "pair that cannot work": (("train", "bernoulli-vae", "estimator.name=pathwise"), "needs codes of kind"),
    "elbo of an auto-encoder": (("train", "autoencoder", "objective.name=elbo"), "reconstruction"),
    "leave-one-out of one": (
        ("train", "bernoulli-vae", "estimator.name=score-function", "estimator.samples=1"),
        "at least 2",
    ),
    "unknown data": (("train", "gaussian-vae", "--data", "mnits"), "did you mean 'mnist'"),
    "missing data file": (("train", "gaussian-vae", "--data", "no/such.npz"), "there is no file"),
    "missing config": (("train", "gaussian-vae", "no.yaml"), "there is no file"),
    "greys as bits": (("train", "gaussian-vae", "binarisation=none", "likelihood=bernoulli"), "grey levels"),
    "unknown device": (("train", "gaussian-vae", "--device", "tpu9"), "device"),
    "both lengths": (("train", "gaussian-vae", "training.steps=3", "training.epochs=3"), "one of the two"),
    "no such run": (("evaluate", "no/such/run"), "there is no run directory"),
    "no run directory": (("evaluate", "."), "not a run directory"),
    "unknown command": (("evalute", "x"), "evaluate"),
    "unknown option": (("data", "mnist", "--jsn"), "--jsn"),
    "missing argument": (("sample",), "RUN"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_get_one_sentence(vaelab, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    words, expected = REFUSED[case]
    assert expected in vaelab.refused(*words)
    assert list(tmp_path.iterdir()) == []  # nothing was started


RUN_REFUSED = {
    "unknown bound": (("evaluate", "--bound", "elbow"), "did you mean 'elbo'"),
    "unknown split": (("evaluate", "--split", "tset"), "did you mean 'test'"),
    "no samples": (("evaluate", "--samples", "0"), "at least 1"),
    "too many bits to enumerate": (("evaluate", "--bound", "exact"), "exact"),
    "odd picture": (("sample", "--out", "s.jpg"), ".png or .csv or .npz"),
    "none to draw": (("sample", "-n", "0"), "at least 1"),
    "other data": (("encode", "--data", "five.npy", "--out", "c.npz"), "expects 784 columns"),
}


@pytest.mark.parametrize("case", RUN_REFUSED)
def test_mistakes_about_a_run_get_one_sentence(vaelab, trained, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    np.save("five.npy", np.eye(20, 5, dtype=np.uint8))
    (command, *words), expected = RUN_REFUSED[case]
    assert expected in vaelab.refused(command, trained["gaussian-vae"], *words)


def test_output_directory_that_is_not_empty(vaelab, run):
    words = ("train", run.name, *MODELS[run.name], *TINY, "--out", run)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert "--resume continues it" in vaelab.refused(*words)
    assert "goes on with its own settings" in vaelab.refused(*words, "--resume", "--seed", 1)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert vaelab(*words, "--overwrite", "--seed", 1).code == 0
    assert json.loads((run / "config.json").read_text())["settings"]["seed"] == 1


def test_overwrite_leaves_what_is_no_run_alone(vaelab, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "is kept" in vaelab.refused("train", "gaussian-vae", "--out", tmp_path, "--overwrite")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_debug_shows_the_traceback(vaelab, tmp_path, monkeypatch):
    command = ["vaelab", "evaluate", str(tmp_path / "none")]
    assert "Traceback" not in vaelab.refused(*command[1:])
    monkeypatch.setattr(sys, "argv", [*command, "--debug"])
    with pytest.raises(InputError, match="there is no run directory"):  # which Python prints with its traceback
        main()


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    import signal

    out = tmp_path / "r"
    words = ["train", "gaussian-vae", "hidden_dims=[16]", "training.epochs=500", "--out", str(out)]
    with Python("-m", "vaelab", *words) as process:
        while not (out / "metrics.jsonl").exists() or not (out / "metrics.jsonl").read_text():  # a step was logged
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped and saved at step" in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("--resume")
    assert (out / "checkpoints" / "last.pt").exists()


def test_data_without_a_name_are_not_the_current_directory(vaelab, tmp_path):
    said = vaelab.refused("train", "gaussian-vae", "--data", "", "--out", tmp_path / "run")
    assert said == "error: data: expected mnist or a file; got ''"

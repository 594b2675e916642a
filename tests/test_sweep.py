"""Room: sweep. Real trainings in processes of their own: compared, failed, killed and gone on with."""

import fcntl
import json
import os
import signal
import time

import numpy as np
import pytest

from tests.commands import CommandLine
from tests.laws import largest_difference
from tests.processes import Python
from tests.test_training import weights_of
from vaelab.runs import Run
from vaelab.settings import resolve
from vaelab.training import train

WORDS = ("hidden_dims=[8]", "training.batch_size=50", "training.log_every=10", "training.warmup=0")


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def bits(tmp_path_factory):
    """Return a file of 300 observations of 12 bits that have something in common."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "bits.npy"
    np.save(path, ((rng.random((300, 1)) < 0.5) ^ (rng.random((300, 12)) < 0.1)).astype(np.uint8))
    return path


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_range_without_a_count_is_refused(vaelab, tmp_path):
    out = tmp_path / "s"
    words = ("sweep", "gaussian-vae", "training.learning_rate=log:1e-4..1e-2", "--out", out)
    assert "a range has no finite grid" in vaelab.refused(*words)
    assert "random: expected an integer of at least 1; got 0" in vaelab.refused(*words, "--random", 0)
    assert not out.exists()


def test_a_sweep_compares_what_ends_well_and_reports_what_fails(vaelab, bits, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "0")  # a launcher's words, which are not for the trainings
    monkeypatch.setenv("WORLD_SIZE", "2")
    out = tmp_path / "s"
    said = ("sweep", "gaussian-vae", "latent_dim=[2]", "training.learning_rate=[1e-2,1e30]", "training.steps=40")
    words = (*said, *WORDS, "--data", bits, "--out", out, "--jobs", 2)
    result = vaelab(*words, "--json")
    assert result.code == 1, result.err
    content = json.loads(result.out)
    assert content.items() <= json.loads((out / "sweep.json").read_text()).items()
    good, bad = content["combinations"]
    assert (good["name"], good["failure"]) == ("latent_dim=2,learning_rate=0.01", None)
    assert good["bound"] > -12 * np.log(2), "no better than twelve fair coins"
    assert 0 < good["standard_error"] < 1
    assert (bad["name"], bad["bound"]) == ("latent_dim=2,learning_rate=1e+30", None)
    assert "not finite" in bad["failure"]
    assert f"1 of 2 combinations failed: see {out}/NAME.log" in result.err
    run = Run(out / good["name"])
    assert run.finished
    assert run.settings.training.learning_rate == 0.01
    assert {record.split for record in run.evaluations()} == {"validation"}, "the test split is not looked at"

    assert "--resume continues it" in vaelab.refused(*words)
    longer = ["training.steps=50" if word == "training.steps=40" else word for word in words]
    other = vaelab.refused(*longer, "--resume")
    assert "was trained with training.steps=40; this command says training.steps=50" in other
    before = bytes_of(run.path)
    again = vaelab(*words, "--resume")
    assert again.code == 1
    assert bytes_of(run.path) == before, "trained again, or evaluated again"
    table = again.out.splitlines()
    assert any(f"{good['bound']:.2f} ± {good['standard_error']:.2f}" in line for line in table)
    assert any("failed: training: the" in line for line in table)
    kept = json.loads((out / "sweep.json").read_text())["combinations"]
    assert kept[0] == good

    (run.path / "evaluation.json").unlink()  # as if the sweep had been killed before it; then the user's own, coarser
    assert vaelab("evaluate", run.path, "--split", "validation", "--samples", 3, "--no-report").code == 0
    assert vaelab(*words, "--resume").code == 1
    assert json.loads((out / "sweep.json").read_text())["combinations"][0] == good


def wait_until(condition, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.05)


def free(folder):
    """Whether no sweep and no training of one holds the directory."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def start(words):
    return Python("-m", "vaelab", *words)


@pytest.fixture
def one_core():
    """Leave this thread and its processes one core, so one thread each: weights are bitwise the same."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


def test_a_killed_sweep_stops_its_trainings_and_goes_on_to_the_same_end(vaelab, bits, tmp_path, one_core):
    out = tmp_path / "s"
    varied = ("training.steps=[20,1500]", "latent_dim=2", "training.validate_every=300")
    words = ("sweep", "gaussian-vae", *varied, *WORDS, "--data", bits, "--out", out, "--jobs", 1)
    second = out / "steps=1500" / "metrics.jsonl"
    with start(words) as process:
        wait_until(lambda: second.exists() and len(second.read_text().splitlines()) > 20)
        process.kill()
        process.wait()
    wait_until(lambda: free(out), 20)  # the training has seen that nobody waits for it, and saved
    run = Run(out / "steps=1500")
    at = run.metrics()[-1]["step"]
    assert not run.finished
    assert run.load_checkpoint()["step"] >= at > 0
    first = bytes_of(out / "steps=20")
    assert vaelab(*words, "--resume").code == 0
    assert bytes_of(out / "steps=20") == first, "trained again, or evaluated again"
    rows = json.loads((out / "sweep.json").read_text())["combinations"]
    assert [row["values"]["training.steps"] for row in rows] == [1500, 20]
    assert rows[0]["bound"] > rows[1]["bound"]
    assert (out / "sweep.png").read_bytes()[:4] == b"\x89PNG"
    alone, _ = train(resolve("gaussian-vae", run.settings.model_dump()), tmp_path / "alone")
    assert largest_difference(weights_of(alone.path), weights_of(run.path)) == 0


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(bits, tmp_path):
    out = tmp_path / "s"
    varied = ("latent_dim=[2,3]", "training.steps=1000000", "training.validate_every=50")
    with start(("sweep", "gaussian-vae", *varied, *WORDS, "--data", bits, "--out", out, "--jobs", 2)) as process:
        wait_until(lambda: len(list(out.glob("*/checkpoints/last.pt"))) == 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().strip().splitlines()[-1].startswith("stopped and saved; go on with: vaelab sweep")
    assert free(out)
    for path in sorted(out.glob("latent_dim=?")):
        assert Run(path).load_checkpoint()["step"] > 0


@pytest.mark.slow
def test_a_guided_sweep_over_models_of_bits(vaelab, bits, tmp_path):
    varied = ("estimator.name=[rebar,disarm]", "latent_dim=4", "training.steps=60")
    words = ("sweep", "bernoulli-vae", *varied, *WORDS, "--data", bits, "--out", tmp_path / "s", "--guided", 6)
    assert "estimator.name=disarm estimator.samples=5: " in vaelab.refused(*words, "estimator.samples=2..5")
    assert not (tmp_path / "s").exists()
    # Three samples, which do not come in pairs, lie between the ends of the range: refused when they are proposed.
    result = vaelab(*words, "estimator.samples=2..4", "--json")
    rows = json.loads(result.out)["combinations"]
    assert len(rows) == 6 == len({row["name"] for row in rows})
    failed = [row for row in rows if row["bound"] is None]
    assert [row["name"] for row in failed] == ["estimator=disarm,samples=3"]
    assert failed[0]["failure"].startswith("estimator.name=disarm estimator.samples=3: ")
    assert result.code == 1
    again = vaelab(*words, "estimator.samples=2..4", "--json", "--resume")
    assert json.loads(again.out) == json.loads(result.out)

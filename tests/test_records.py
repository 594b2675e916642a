"""Room: runs. Numbers belong to the weights they were made of; their files are whole, or refused in one sentence."""

import errno
import fcntl
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from benchmarks import bit_flips

from tests.commands import CommandLine
from tests.laws import binary_data
from tests.training_process import RECORD, changed, run_training, start, wait_for_step
from vaelab.errors import InputError
from vaelab.runs import Run
from vaelab.settings import resolve
from vaelab.storage import seal


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a file of the data that the small training is given in Python."""
    path = tmp_path_factory.mktemp("data") / "patterns.npz"
    splits = binary_data().splits
    labels = {f"{name}_labels": split.labels for name, split in splits.items()}
    np.savez(path, **{name: split.x for name, split in splits.items()}, **labels)
    return path


# ---------------------------------------------------------------- weights


def test_numbers_of_an_interrupted_training_are_not_those_of_its_end(vaelab, data, tmp_path):
    """Train, Ctrl-C, evaluate, go on to the end, compare: the numbers are those of the final weights."""
    out, flags = tmp_path / "run", ("--samples", 2, "--data", data)
    with start(out, "0.2") as process:
        wait_for_step(process, 28)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT
    early = json.loads(vaelab("evaluate", out, *flags, "--no-report", "--json").out)["evaluations"]
    assert {record["weights"] for record in early} == {Run(out).weights()}
    run, fitted = run_training(out, resume=True)
    assert fitted.stop_reason == "finished"
    assert run.weights() not in (early[0]["weights"], None)
    assert run.evaluations() == []
    assert [record.to_dict() for record in run.all_evaluations()] == early

    (row,) = json.loads(vaelab("compare", out, *flags, "--json").out)["runs"]
    assert {record["weights"] for record in row["evaluations"]} == {run.weights()}
    values = [next(r["value"] for r in records if r["name"] == "elbo") for records in (early, row["evaluations"])]
    assert values[0] != values[1]
    result = vaelab("evaluate", out, *flags, "--no-report")
    assert result.err.splitlines()[-2] == f"{len(early)} earlier numbers are of other weights and not shown"
    assert len(run.all_evaluations()) == 2 * len(early), "earlier numbers are kept, and marked"


def test_an_evaluation_while_training_goes_on_is_of_the_weights_it_has_read(tmp_path):
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    loaded = run.load()
    run.save_weights({name: value + 1 for name, value in loaded.model.state_dict().items()})
    run.add_evaluations([RECORD], loaded.weights)
    assert run.evaluations() == []
    run.add_evaluations([changed(value=2.0)], run.load().weights)
    assert [record.value for record in run.evaluations()] == [2.0]
    assert [record.value for record in run.all_evaluations()] == [1.0, 2.0]


@pytest.mark.parametrize("what", ["gradients", "tightness"])
def test_gradients_and_tightness_of_other_weights_are_not_shown(what, tmp_path):
    run = Run(bit_flips.prepare(tmp_path / "run"))
    read = getattr(run, what)
    assert read()["weights"] == run.weights()
    model = run.load_model()
    run.save_weights({name: value + 1 for name, value in model.state_dict().items()})
    assert read() is None


def test_the_weights_of_an_auto_encoder_are_those_of_its_mixture_too(tmp_path):
    run, _ = run_training(tmp_path / "run", model="autoencoder", more={"training": {"steps": 4}, "components": 2})
    loaded = run.load()
    assert loaded.weights == run.weights()
    prior = loaded.model.prior
    prior.load({name: value + 1 for name, value in prior.arrays().items()})
    run.save_density(prior)
    assert run.load().weights == run.weights() != loaded.weights


def test_a_run_of_an_earlier_vaelab_is_refused_in_a_sentence(tmp_path):
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 8}})
    config = json.loads((run.path / "config.json").read_text())
    del config["data"]["spec"], config["sha256"]
    for text in (json.dumps(config | {"format_version": 1}), seal(config)):
        (run.path / "config.json").write_text(text)
        with pytest.raises(InputError, match=r"written by an earlier version of vaelab, .*; train it again"):
            Run(run.path)


def test_an_evaluation_replaces_the_one_of_the_same_protocol_and_weights(tmp_path):
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    keys = ("name", "split", "binarisation", "data")
    others = [changed(**{key: "other"}) for key in keys] + [changed(samples=7), changed(seed=1)]
    run.add_evaluations([RECORD, *others], "a")
    run.add_evaluations([changed(value=2.0)], "a")
    run.add_evaluations([RECORD], "b")
    expected = [*(other.model_copy(update={"weights": "a"}) for other in others), changed(value=2.0, weights="a")]
    assert sorted(map(str, run.all_evaluations())) == sorted(map(str, [*expected, changed(weights="b")]))


# ---------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def run_of_all_files(tmp_path_factory):
    return bit_flips.prepare(tmp_path_factory.mktemp("flips") / "run")


@pytest.mark.parametrize("name", bit_flips.READERS)
def test_no_damage_of_a_file_is_read_in_silence(name, run_of_all_files):
    """Bits flipped, bytes replaced, files cut, in random places; benchmarks/bit_flips.py does it many times more."""
    counts = bit_flips.flip(run_of_all_files, name, count=150, seed=1)
    found = {outcome for kind in counts.values() for outcome in kind}
    assert found <= {"refused", "unchanged", "cut rows left out"}, counts
    assert counts["bit"]["refused"] > 40


def test_the_newline_at_the_end_of_a_log_is_no_crash(run_of_all_files):
    """With any bit of it flipped the last row would be taken for one that a crash cut short, and be left out."""
    path = run_of_all_files / "metrics.jsonl"
    whole = path.read_bytes()
    try:
        for bit in range(8):
            path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1 << bit]))
            with pytest.raises(InputError, match=r"metrics\.jsonl: line \d+ is damaged"):
                Run(run_of_all_files).metrics()
    finally:
        path.write_bytes(whole)


FOREIGN = {
    "a list of words": ("evaluation.json", '["elbo"]', "expected a JSON object; got a list"),
    "a record without a value": ("evaluation.json", seal({"records": [{"name": "elbo"}]}), "records.0.value"),
    "an object": ("evaluation.json", '{"records": []}', "expected a format_version"),
    "without a checksum": (
        "evaluation.json",
        '{"format_version": 2, "records": []}',
        "expected the SHA-256 written with",
    ),
    "of an earlier vaelab": (
        "evaluation.json",
        '{"format_version": 1, "records": []}',
        "written by an earlier version",
    ),
    "sealed, of another kind": ("evaluation.json", seal({"rows": []}), "records: field required"),
    "a number": ("gradients.json", "3", "expected a JSON object; got a number"),
    "other estimators": ("gradients.json", '{"draws": 2, "observations": 3, "samples": 1, "estimators": [1]}', "it is"),
    "nothing": ("tightness.json", "", "expected readable JSON"),
    "no JSON": ("tightness.json", "\x00\xff", "expected readable JSON"),
    "brackets without end": ("tightness.json", "[" * 100_000, "expected readable JSON"),
    "of a newer vaelab": ("evaluation.json", '{"format_version": 9, "records": []}', "written by a newer vaelab"),
    "rows of others": ("metrics.jsonl", '{"loss": 3}\n', "line 1 is damaged"),
    "rows that are numbers": ("metrics.jsonl", "3\n", "line 1 is damaged"),
}


@pytest.mark.parametrize(("name", "content", "sentence"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_file_of_others_is_refused_in_one_sentence(name, content, sentence, tmp_path):
    run = Run.create(tmp_path / "run", resolve("gaussian-vae", {"binarisation": "none"}), binary_data())
    (run.path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}: .*{sentence}") as refused:
        bit_flips.READERS[name](run.path)
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------- side by side


def test_evaluations_side_by_side_lose_nothing(tmp_path):
    """Processes that each add twenty records: the file is read, and written again, by one at a time."""
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for seed in range(20):
                    run.add_evaluations([changed(seed=100 * number + seed)], "w")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert len(run.all_evaluations()) == 60


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_costs_no_training_and_no_number(number, tmp_path, monkeypatch, caplog):
    def flock(handle, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    (run.path / ".vaelab-0.tmp").write_text("may be of a writer")
    run.add_evaluations([RECORD], "w")
    assert len(run.all_evaluations()) == 1
    assert (run.path / ".vaelab-0.tmp").exists()
    assert "this file system has no locks" in caplog.text


def test_a_lock_is_taken_as_it_stands(tmp_path):
    from vaelab.runs import directory

    path = tmp_path / "lock"
    path.write_text("years of work")
    with directory.held(path, 0, ""), pytest.raises(InputError, match="taken"), directory.held(path, 0.1, "taken"):
        pass
    with directory.held(path, 0, ""):
        assert path.read_text() == "years of work"


def test_who_waits_too_long_for_the_numbers_of_another_is_told(tmp_path, monkeypatch):
    from vaelab.runs import directory, results

    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    monkeypatch.setattr(results, "_WAIT", 0.1)
    with directory.held(run.path / directory.RESULTS_LOCK, 1, ""):
        with pytest.raises(InputError, match="another process has been adding numbers"):
            run.add_evaluations([RECORD], "w")
        assert run.all_evaluations() == [], "who only reads waits for nobody"


def test_weights_that_are_replaced_while_they_are_read_are_never_called_damaged(tmp_path):
    """Readers see the old weights or the new, whole; the mixture of an auto-encoder is of the same moment."""
    run, _ = run_training(tmp_path / "run", model="autoencoder", more={"training": {"steps": 4}, "components": 2})
    model = run.load_model()
    state, prior = model.state_dict(), model.prior
    stop = threading.Event()

    def write():
        turn = 0
        while not stop.is_set():
            turn += 1
            run.save_weights({name: value + turn % 5 for name, value in state.items()})
            run.save_density(prior)
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [run.load() for _ in range(150)]
    finally:
        stop.set()
        writer.join()
    assert len({loaded.weights for loaded in seen}) > 1, "else nothing was replaced meanwhile"
    name, value = next(iter(state.items()))
    for loaded in seen:
        shift = loaded.model.state_dict()[name] - value
        assert abs(float(shift.max() - shift.min())) < 1e-5

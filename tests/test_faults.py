"""Room: training. What a machine does to a run: kills at any moment, full disks, damaged files, a second training."""

import ctypes
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.laws import largest_difference
from tests.processes import Python
from tests.test_training import rows_of, weights_of
from tests.training_process import run_training, start, wait_for_step
from vaelab.errors import InputError
from vaelab.runs import Run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a run that nothing disturbed."""
    run, _ = run_training(tmp_path_factory.mktemp("whole") / "run")
    return run


def assert_same(run, whole):
    assert rows_of(run) == rows_of(whole)
    assert largest_difference(weights_of(run.path), weights_of(whole.path)) == 0
    assert not list(run.path.rglob("*.tmp"))


def go_on_to_the_end(out, whole):
    run, fitted = run_training(out, resume=True)
    assert fitted.stop_reason == "finished"
    assert_same(run, whole)


# ---------------------------------------------------------------- SIGKILL


def kill_and_resume(folder, moments, whole):
    """Kill a training of about a second at each moment after it began, and let another go on with it to the end."""
    killed_at = []
    for number, moment in enumerate(moments):
        out = folder / f"run-{number}"
        with start(out) as process:
            wait_for_step(process, 0)
            time.sleep(moment)
            process.kill()
        killed_at.append(
            max([row["step"] for row in Run(out).metrics()], default=0) if (out / "config.json").exists() else -1
        )
        go_on_to_the_end(out, whole)
    return killed_at


def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(whole, tmp_path):
    moments = random.Random(0)
    kill_and_resume(tmp_path, [moments.uniform(0, 1.2) for _ in range(3)], whole)


@pytest.mark.slow
def test_a_run_killed_at_twenty_random_moments_ends_as_if_it_had_not_been(whole, tmp_path, capsys):
    moments = random.Random(1)
    killed_at = kill_and_resume(tmp_path, [moments.uniform(0, 1.2) for _ in range(20)], whole)
    assert len(set(killed_at)) > 5, "else they were hardly random"
    with capsys.disabled():
        print(f"\nkilled after the log lines of steps {sorted(killed_at)}; all ended bitwise as the undisturbed run")


def test_a_run_killed_again_and_again_gets_there(whole, tmp_path):
    out, moments = tmp_path / "run", random.Random(2)
    for _ in range(4):
        with start(out) as process:
            wait_for_step(process, 0)
            time.sleep(moments.uniform(0.3, 0.8))
            process.kill()
    go_on_to_the_end(out, whole)


# ---------------------------------------------------------------- damaged checkpoints


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return a function that copies a run killed after step 28, with a checkpoint of step 20, or 48, with 20 and 40."""
    folder = tmp_path_factory.mktemp("killed")

    def copied(step, out):
        if not (folder / str(step)).exists():
            with start(folder / str(step), "0.3") as process:
                wait_for_step(process, step)
                process.kill()
        shutil.copytree(folder / str(step), out)
        return out / "checkpoints" / "last.pt"

    return copied


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(damage, killed, whole, tmp_path, caplog):
    last = killed(48, tmp_path / "run")
    damage(last)
    with caplog.at_level(logging.WARNING, "vaelab"):
        go_on_to_the_end(tmp_path / "run", whole)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{last}: expected a checkpoint; it is damaged (")
    assert caplog.messages[0].endswith("; going on from the one before it, step 20")


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_before_a_rename_of_a_checkpoint_loses_nothing(renames, tmp_path, monkeypatch):
    """Whatever the renames had come to, the checkpoint that was written is used, and the one before it kept."""
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 10}})
    last, state, rename, done = run.path / "checkpoints" / "last.pt", run.load_checkpoint(), Path.replace, []

    def killed(path, target):
        if path.parent == last.parent and path.suffix == ".pt":
            if len(done) == renames:
                raise KeyboardInterrupt
            done.append(path)
        return rename(path, target)

    run.save_checkpoint(state | {"step": 20})
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run.save_checkpoint(state | {"step": 40})
    monkeypatch.undo()
    again = Run(run.path)
    assert again.load_checkpoint()["step"] == 40
    again.save_checkpoint(state | {"step": 60})
    assert Run(run.path).load_checkpoint()["step"] == 60
    truncate(last)
    assert Run(run.path).load_checkpoint()["step"] == 40


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_one_before_it(killed, tmp_path):
    """It goes on from step 20, and is stopped at step 24: whatever happens to what it saves, step 20 is still there."""
    out = tmp_path / "run"
    last = killed(48, out)
    truncate(last)
    _, fitted = run_training(out, lambda row: os.kill(os.getpid(), signal.SIGINT), resume=True)
    assert Run(out).load_checkpoint()["step"] == fitted.steps > 20
    truncate(last)
    assert Run(out).load_checkpoint()["step"] == 20


def test_two_damaged_checkpoints_are_refused_and_left_as_they_are(killed, tmp_path):
    last = killed(48, tmp_path / "run")
    for path in (last, last.with_name("previous.pt")):
        truncate(path)
    before = {path: path.read_bytes() for path in last.parent.iterdir()}
    with pytest.raises(InputError, match=r"previous\.pt: expected a checkpoint; it is damaged"):
        run_training(tmp_path / "run", resume=True)
    assert {path: path.read_bytes() for path in last.parent.iterdir()} == before


def test_weights_of_a_later_validation_than_the_checkpoint_do_not_outlive_a_resume(killed, tmp_path, whole):
    """On another machine the steps from 20 to 40 may come out differently, and step 40 may not be the best."""
    out = tmp_path / "run"
    last = killed(48, out)
    truncate(last)
    run, told = run_training(out, lambda row: os.kill(os.getpid(), signal.SIGINT), resume=True)
    assert (told.stop_reason, told.best_step) == ("interrupted", 20)
    assert largest_difference(weights_of(out), run.load_checkpoint()["best"]["weights"]) == 0
    go_on_to_the_end(out, whole)


# ---------------------------------------------------------------- disks


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_costs_nothing_before_it(killed, whole, tmp_path):
    """A limit on the size of files that the log and the weights keep to, and the second checkpoint does not."""
    out = tmp_path / "run"
    last = killed(28, out)
    before = last.read_bytes()
    with start(out, "0", limits={resource.RLIMIT_FSIZE: len(before) - 1}) as process:
        _, said = process.communicate()
        assert process.returncode == 1
    assert "OSError: [Errno 27] File too large" in said
    assert last.read_bytes() == before
    assert not list(out.rglob("*.tmp"))
    go_on_to_the_end(out, whole)


def keep_to_permissions():
    """Take from root, in the process to come, the right to write anywhere: CAP_DAC_OVERRIDE, off the bounding set."""
    ctypes.CDLL(None).prctl(24, 1)


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path):
    tmp_path.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-m", "vaelab", "train", "gaussian-vae", "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        preexec_fn=keep_to_permissions,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert done.returncode == 1, done.stderr
    assert done.stderr == f"error: {str(tmp_path / 'run')!r}: Permission denied; what was written before is intact\n"
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- two trainings, one directory


def test_a_second_training_into_a_directory_is_refused_and_a_crash_leaves_no_lock(whole, tmp_path):
    out = tmp_path / "run"
    with start(out, "60") as first:  # rests after its first row
        wait_for_step(first, 4)
        with start(out) as second:
            _, said = second.communicate()
            assert second.returncode == 1
        assert f"out: another process is training into {str(out)!r}; wait for it, or choose another" in said
        with pytest.raises(InputError, match="another process is training into"):
            run_training(out, overwrite=True)
        first.kill()
    go_on_to_the_end(out, whole)


# ---------------------------------------------------------------- clocks and schedulers


def test_a_clock_that_goes_backwards_changes_nothing(killed, whole, tmp_path, monkeypatch):
    out = tmp_path / "run"
    killed(28, out)
    for path in out.rglob("*"):
        os.utime(path, (4e9, 4e9))  # files of the year 2096
    now = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    go_on_to_the_end(out, whole)


def test_sigterm_ends_a_command_with_143_and_a_checkpoint(tmp_path):
    out = tmp_path / "run"
    words = ["gaussian-vae", "latent_dim=2", "hidden_dims=[8]", "training.steps=100000", "training.log_every=1"]
    with Python("-m", "vaelab", "train", *words, "--out", out) as process:
        end = time.monotonic() + 60
        while not ((out / "metrics.jsonl").exists() and Run(out).metrics()) and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.splitlines()[-1].startswith("stopped and saved at step ")
    assert Run(out).load_checkpoint()["step"] > 0

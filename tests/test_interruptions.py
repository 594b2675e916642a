"""Room: training. Real processes, interrupted and killed; the resumed run is the run that was never stopped."""

import contextlib
import signal
import subprocess

import pytest

from tests.laws import largest_difference
from tests.test_training import rows_of, weights_of
from tests.training_process import run_training, start, wait_for_step
from vaelab.errors import InputError
from vaelab.runs import Run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return a run that nothing disturbed."""
    run, fitted = run_training(tmp_path_factory.mktemp("whole") / "run")
    return run, fitted


def assert_same(path, whole, fitted):
    run, expected = whole
    assert (fitted.stop_reason, fitted.steps) == ("finished", expected.steps)
    assert (fitted.best_bound, fitted.best_step) == (expected.best_bound, expected.best_step)
    assert rows_of(Run(path)) == rows_of(run)
    assert largest_difference(weights_of(path), weights_of(run.path)) == 0
    assert not list(path.rglob("*.tmp"))


# before the first checkpoint (step 20), at a checkpoint, between the second and the third
@pytest.mark.parametrize("step", [8, 20, 48])
def test_a_killed_training_resumes_to_the_same_run(step, whole, tmp_path):
    out = tmp_path / "run"
    with start(out, "0.2") as process:
        wait_for_step(process, step)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not Run(out).finished
    run, fitted = run_training(out, resume=True)
    assert_same(run.path, whole, fitted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_saves_every_step_and_resumes_to_the_same_run(number, whole, tmp_path):
    out = tmp_path / "run"
    with start(out, "0.2") as process:
        wait_for_step(process, 8 if number == signal.SIGINT else 28)
        process.send_signal(number)
        last = process.stdout.read().split()[-2:]
        assert process.wait() == 128 + number
    assert last[0] == "interrupted"
    saved = Run(out).load_checkpoint()["step"]
    assert saved == int(last[1]) < 70
    assert saved % 20, "else it says nothing: a checkpoint was due here anyway"
    Run(out).load_model()  # there is something to look at, even before the first validation
    run, fitted = run_training(out, resume=True)
    assert_same(run.path, whole, fitted)


def test_a_second_interrupt_stops_at_once(tmp_path):
    out = tmp_path / "run"
    with start(out, "30") as process:  # rests for half a minute after the first row
        wait_for_step(process, 4)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        for _ in range(10):  # two signals that reach a process before it is given a processor are one
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2)
                break
        assert process.poll() not in (None, 0)
    assert not Run(out).finished


def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path):
    """Such as one that was written before there was an average of the weights."""
    run, _ = run_training(tmp_path / "run")
    state = run.load_checkpoint()
    run.save_checkpoint({name: part for name, part in state.items() if name != "average"})
    with pytest.raises(
        InputError, match="resume: expected a checkpoint that holds average; this one was written by an"
    ):
        run_training(run.path, resume=True)

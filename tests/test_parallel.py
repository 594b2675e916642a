"""Room: training. Real ranks under torchrun: the run of one process, killed, hung and stopped ones."""

import contextlib
import itertools
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import parallel_process
from tests.commands import CommandLine
from tests.laws import binary_data, largest_difference
from tests.processes import Python
from tests.test_training import rows_of, weights_of
from vaelab.data import Batches, load_data
from vaelab.distributed import Ranks, sharing
from vaelab.distributions import Bernoulli, DiagonalNormal
from vaelab.errors import InputError
from vaelab.runs import Run
from vaelab.training import joined

ROOT = Path(__file__).parents[1]


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
ONE_HOST = ("--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0")


def torchrun(*words, options=(), ranks=2, hosts=ONE_HOST):
    """Start ranks on this machine; their output comes as it is written."""
    command = ("-m", "tests.torchrun", *hosts, "--nproc-per-node", ranks, *options, "-m", *words)
    return Python(*command, folder=ROOT, environment=ENVIRONMENT, merged=True)


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def slow_run(out, *options, pace="0.3"):
    return torchrun("tests.training_process", str(out), pace, options=options)


def wait_for(out, step, process):
    """Wait until the run has logged ``step``."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}:\n{process.stdout.read()}")
        if (Path(out) / "metrics.jsonl").exists() and any(row["step"] >= step for row in Run(out).metrics()):
            return
        time.sleep(0.02)
    raise AssertionError("it logged nothing in a minute")


def rank_processes(launcher):
    """Return the process ids of the ranks of a launcher, by rank."""
    found = {}
    for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
        kind, _, number = Path(f"/proc/{child}/comm").read_text().strip().partition(" ")
        found |= {int(number): int(child)} if kind == "rank" else {}
    return found


# ---------------------------------------------------------------- the same training


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the folders of every case trained by one process and by two."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    shards, x = tmp_path_factory.mktemp("shards"), binary_data().split("train").x
    for number, part in enumerate(np.array_split(x, 3)):
        np.save(shards / f"{number}.npy", part)
    process = torchrun("tests.parallel_process", str(together), str(shards))
    parallel_process.train_all(alone, shards)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return alone, together


@pytest.mark.parametrize("name", parallel_process.CASES)
def test_two_ranks_make_the_training_of_one(both, name):
    """The same batches, noise and codes: every logged number to 1e-4 of its size, the weights to 1e-4."""
    one, two = (Run(folder / name) for folder in both)
    assert one.config["settings"] == two.config["settings"]
    for ours, theirs in zip(rows_of(one), rows_of(two), strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert theirs[key] == pytest.approx(value, rel=1e-4, abs=1e-6), key
    ours, theirs = (run.load_model().state_dict() for run in (one, two))  # without the mixture, whose fit may jump
    assert largest_difference(ours, theirs) < 1e-4
    assert not list(two.path.rglob("*.tmp"))


def test_a_rank_draws_its_rows_of_the_noise_and_reads_its_rows_of_the_batch():
    observed = load_data("mnist").train.observations()
    q, p = DiagonalNormal(torch.zeros(6, 3), torch.zeros(6, 3)), Bernoulli(torch.zeros(6, 4))

    def parts(rank, count):
        ranks, rows = Ranks(rank, count), 6 // count
        torch.manual_seed(0)
        x = Batches(observed, 6, 0, ranks)(3)
        with sharing(ranks):
            own_q, own_p = DiagonalNormal(q.loc[:rows], q.log_scale[:rows]), Bernoulli(p.logits[:rows])
            return x, own_q.rsample((5,)), own_p.sample((5,))

    whole = parts(0, 1)
    for count in (2, 3):
        found = zip(*(parts(rank, count) for rank in range(count)), strict=True)
        for axis, one, pieces in zip((0, 1, 1), whole, found, strict=True):
            assert torch.equal(torch.cat(pieces, axis), one)


def test_a_batch_that_is_all_the_data_is_refused_with_the_number_that_was_asked_for():
    observed = binary_data().train.observations()
    said = f"got {len(observed)}, all there are of the 10000 asked for"
    ranks = next(Ranks(0, count) for count in range(2, 9) if len(observed) % count)
    with pytest.raises(InputError, match=f"expected a multiple of {ranks.count}, the number of ranks; {said}"):
        Batches(observed, 10_000, 0, ranks)


# ---------------------------------------------------------------- faults


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a run of the command line of torchrun itself, whose ranks are new interpreters."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["-m", "tests.training_process", out, "0"]
    done = subprocess.run([*command, *words], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return Run(out)


def assert_undisturbed(out, expected):
    assert rows_of(Run(out)) == rows_of(expected)
    assert largest_difference(weights_of(out), weights_of(expected.path)) == 0
    assert not list(Path(out).rglob("*.tmp"))


def test_after_a_rank_is_killed_all_start_again_from_the_checkpoint(undisturbed, tmp_path):
    """Step 28 lies between two checkpoints: what follows the first is made again, bitwise."""
    out = tmp_path / "run"
    with slow_run(out, "--max-restarts", "1") as process:
        wait_for(out, 28, process)
        os.kill(rank_processes(process)[1], signal.SIGKILL)
        output, _ = process.communicate(timeout=90)
    assert process.returncode == 0, output
    assert_undisturbed(out, undisturbed)


def host(out, port):
    """Start what stands for one of two hosts: a torchrun of its own, which counts restarts by itself."""
    hosts = ("--nnodes", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}")
    return torchrun("tests.training_process", str(out), "0.1", options=("--max-restarts", "1"), ranks=1, hosts=hosts)


def test_after_a_rank_of_one_of_two_hosts_is_killed_all_start_again_at_once(undisturbed, tmp_path):
    """Rank 0 is held still while its host learns of the failure, so that its host counts no restart and the other one.

    There is one restart to spare: ranks that missed each other after it would end both hosts.
    """
    out, port = tmp_path / "run", free_port()
    with host(out, port) as one, host(out, port) as other:
        wait_for(out, 28, one)
        ranks = rank_processes(one) | rank_processes(other)
        os.kill(ranks[0], signal.SIGSTOP)
        os.kill(ranks[1], signal.SIGKILL)
        time.sleep(2)
        os.kill(ranks[0], signal.SIGCONT)
        try:
            said = [launcher.communicate(timeout=180)[0] for launcher in (one, other)]
        finally:
            one.terminate()  # nothing, if they have ended
            other.terminate()
    assert (one.returncode, other.returncode) == (0, 0), said
    assert_undisturbed(out, undisturbed)


def test_sigterm_saves_the_step_on_every_rank_and_the_run_goes_on(undisturbed, tmp_path):
    out = tmp_path / "run"
    with slow_run(out) as process:
        wait_for(out, 28, process)
        process.terminate()  # torchrun hands it on
        output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    saved = Run(out).load_checkpoint()["step"]
    assert 28 <= saved < 70, output
    assert saved % 20, "else a checkpoint was due here anyway"
    output, _ = (again := slow_run(out, pace="0")).communicate(timeout=60)
    assert again.returncode == 0, output
    assert_undisturbed(out, undisturbed)


def test_a_rank_that_hangs_is_named_by_the_others_whichever_it_is(tmp_path):
    """Two trainings at once, because they wait most of the time: rank 0 of two hangs, and rank 1 of three."""
    timeout, hanging = 3, (0, 1)
    words = ["gaussian-vae", "hidden_dims=[8]", "latent_dim=2", "training.steps=100000", "training.log_every=1"]
    words += ["training.batch_size=60", "--rank-timeout", str(timeout)]
    with contextlib.ExitStack() as running:
        started = {
            hung: running.enter_context(
                torchrun("vaelab", "train", *words, "--out", str(tmp_path / str(hung)), ranks=hung + 2)
            )
            for hung in hanging
        }
        stopped = {}
        for hung, process in started.items():
            wait_for(tmp_path / str(hung), 5, process)
            stopped[hung] = rank_processes(process)[hung]
            os.kill(stopped[hung], signal.SIGSTOP)
        began = time.monotonic()
        for hung, process in started.items():
            said = list(itertools.islice((line for line in process.stdout if "error: ranks:" in line), hung + 1))
            assert len(said) == hung + 1, "every other rank says who hangs"
            assert all(f"error: ranks: rank {hung} did not answer in time, or left (" in line for line in said), said
            assert time.monotonic() - began < timeout + 15
            with contextlib.suppress(ProcessLookupError):  # or torchrun has ended it
                os.kill(stopped[hung], signal.SIGKILL)  # torchrun would wait half a minute for it
        for process in started.values():
            process.communicate(timeout=60)
            assert process.returncode != 0


def test_what_cannot_work_is_said_once_and_nothing_is_written(tmp_path):
    out = tmp_path / "run"
    words = ["gaussian-vae", "training.steps=3", "training.batch_size=25", "--out", str(out)]
    process = torchrun("vaelab", "train", *words)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    said = [line for line in output.splitlines() if "error:" in line]
    assert said == ["error: batch_size: expected a multiple of 2, the number of ranks; got 25"], output
    assert not out.exists()


BY_HAND = """
import os, sys, torch
import vaelab.networks.precision as precision_of
import vaelab.training.from_settings as room
from tests.laws import binary_data
from tests.parallel_process import COMMON
from vaelab.errors import InputError
from vaelab.settings import resolve
torch.set_num_threads(1)
rank, fit, choose = int(os.environ["RANK"]), room.fit, room.choose_precision
precision_of._rounds = lambda kind: True
room.choose_precision = lambda asked, *others: "float32" if asked == "auto" and rank else choose(asked, *others)
room.fit = lambda *args, **options: print(options["settings"].precision, flush=True) or fit(*args, **options)
for number, script in enumerate(sys.argv[2:]):
    seed, more, precision = 0, {}, "auto"
    exec(script)
    training = {"steps": 3, "batch_size": 20, "precision": precision, **more}
    settings = resolve("gaussian-vae", COMMON, {"data": "x.npy", "training": training})
    try:
        _, fitted = room.train(settings, f"{sys.argv[1]}-{number}", data=binary_data(seed=seed), rank_timeout=60)
        print(fitted.stop_reason, fitted.steps)
    except InputError as refusal:
        print(refusal)
"""


def by_hand(out, *scripts, **environments):
    """Start two ranks as any launcher that sets the four variables would; return the lines of each.

    They train once after each script, into ``out-0``, ``out-1`` and so on.
    """
    launched = {**ENVIRONMENT, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": str(free_port())}
    ranks = [
        Python(
            *("-c", BY_HAND, out, *scripts),
            environment={**launched, "RANK": str(rank), **environments.get(f"rank_{rank}", {})},
            folder=ROOT,
        )
        for rank in range(2)
    ]
    return [rank.communicate(timeout=180)[0].splitlines() for rank in ranks]


MEETINGS = """
import time
for _ in range(3):
    with room.joined(20):
        time.sleep(rank == 0)
print("all met")
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Return the folder and the lines of each rank: of two refused trainings, what met, and two more."""
    folder = tmp_path_factory.mktemp("several")
    refused = ("seed = rank", "more = {'learning_rate': 0.1 * (1 + rank)}")
    one_has_it = "room.has_bfloat16 = lambda device: rank == 0"
    return folder, by_hand(folder / "run", *refused, MEETINGS, one_has_it, "precision = 'bfloat16'")


def test_ranks_that_differ_are_refused_before_anything_is_written(several):
    folder, said = several
    data = "ranks: expected the same data on all; rank 1 has other data than rank 0 (SHA-256)"
    settings = (
        "ranks: expected the same settings on all; got training.learning_rate=0.1 on rank 0 and "
        "training.learning_rate=0.2 on rank 1"
    )
    assert [lines[:2] for lines in said] == [[data, settings]] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["run-2", "run-3"]


def test_trainings_one_after_another_meet_though_rank_0_leaves_each_last(several):
    """As after an auto-encoder, whose mixture rank 0 alone fits: the other rank asks for the next one meanwhile."""
    assert [lines[2] for lines in several[1]] == ["all met"] * 2


def test_auto_is_the_precision_of_rank_0_on_all_ranks(several):
    folder, said = several
    assert [lines[3:5] for lines in said] == [["bfloat16", "finished 3"]] * 2
    assert Run(folder / "run-2").settings.training.precision == "bfloat16"


def test_bfloat16_is_refused_where_one_rank_does_not_multiply_it(several):
    """The run would say bfloat16, and its products be in float32."""
    folder, said = several
    refusal = "precision: expected float32, as a rank does not multiply bfloat16; got 'bfloat16'"
    assert [lines[-1] for lines in said] == [refusal] * 2
    assert not (folder / "run-4").exists()


def test_auto_is_float32_where_one_rank_does_not_multiply_bfloat16(several):
    folder, said = several
    assert [lines[5:7] for lines in said] == [["float32", "finished 3"]] * 2
    assert Run(folder / "run-3").settings.training.precision == "float32"


def test_hosts_that_count_their_restarts_apart_come_together_and_go_on(tmp_path):
    """The host of rank 0 counts none: it hears from the other one that the run goes on."""
    counted = {f"rank_{rank}": {"TORCHELASTIC_RESTART_COUNT": str(rank)} for rank in range(2)}
    for _ in range(2):
        assert by_hand(tmp_path / "run", "precision = 'float32'", **counted) == [["float32", "finished 3"]] * 2


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("WORLD_SIZE", "two", "WORLD_SIZE: expected a whole number from 1 to 1000000, as torchrun sets it; got 'two'"),
        ("RANK", "2", "RANK: expected a whole number from 0 to 1, as torchrun sets it; got '2'"),
        ("RANK", "", "RANK: expected a whole number from 0 to 1, as torchrun sets it; got ''"),
        ("MASTER_PORT", "x", "MASTER_PORT: expected a whole number from 1 to 65535, as torchrun sets it; got 'x'"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(name, value, sentence, monkeypatch):
    environment = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for variable, said in {**environment, name: value}.items():
        monkeypatch.setenv(variable, said)
    with pytest.raises(InputError) as refused, joined():
        pass
    assert str(refused.value) == sentence


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, 1e12])
def test_a_time_out_that_is_none_is_refused(seconds):
    with pytest.raises(InputError, match=r"rank_timeout: expected a number in \[1, 1e\+06\]; got"), joined(seconds):
        pass


def test_half_an_environment_of_ranks_is_refused(tmp_path, capsys, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    words = ("train", "gaussian-vae", "--out", tmp_path / "run")
    said = CommandLine(capsys, monkeypatch).refused(*words)
    assert said == "error: WORLD_SIZE is 2, so MASTER_ADDR and MASTER_PORT must be set; see torchrun"
    assert not (tmp_path / "run").exists()

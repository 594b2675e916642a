"""Rooms: seeds, training. Training under any state of the session's torch, which is left as it was; threads."""

import contextlib
import os
import random
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import numpy as np
import pytest
import torch

from tests.laws import TABLE, binary_data, largest_difference
from tests.test_training import weights_of
from tests.training_process import run_training
from vaelab.errors import InputError
from vaelab.estimators import Rebar
from vaelab.evaluation import encode_means, evaluate
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.networks import matmul_precision
from vaelab.objectives import ELBO
from vaelab.seeds import own_generators, seeded
from vaelab.studies.gradients import measure_gradients
from vaelab.studies.tightness import measure_tightness
from vaelab.training import choose_device, fit

LENGTH = {"steps": 6, "batch_size": 32, "validate_every": 3}


def model_of(seed=0, data_dim=5):
    return gaussian_vae(data_dim, latent_dim=3, hidden_dims=[8], seed=seed)


def trained(model=None, **options):
    model = model_of() if model is None else model
    fit(model, binary_data(), **LENGTH, **options)
    return model.state_dict()


# ---------------------------------------------------------------- threads and seeds


def test_trainings_in_threads_are_those_made_in_turn(tmp_path):
    def best(name):
        return run_training(tmp_path / name)[1].best_bound

    in_turn = best("alone")
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(best, "abc")) == [in_turn] * 3


def test_samples_and_evaluations_wait_for_a_training_in_another_thread():
    model, data = model_of(1), binary_data()

    def drawn(_):
        return [model.sample(4, "draw", seed=0).tolist(), [row.value for row in evaluate(model, data, samples=2)]]

    alone, weights = drawn(0), trained()
    with ThreadPoolExecutor(3) as pool:
        training = pool.submit(trained)
        assert list(pool.map(drawn, range(3))) == [alone] * 3
        assert largest_difference(training.result(), weights) == 0


def test_evaluations_in_threads_leave_the_precision_of_products(monkeypatch):
    """Each asks for "medium", as for bfloat16, and threads change places very often."""
    room = sys.modules["vaelab.evaluation.evaluate"]  # as the function has the name of its module
    monkeypatch.setattr(room, "products_in", lambda precision: "medium")
    model, data, interval = model_of(), binary_data(rows=(4, 4, 4)), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: evaluate(model, data, bounds=("elbo",), samples=1), range(24)))
    finally:
        sys.setswitchinterval(interval)
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_forked_process_does_not_wait_for_a_thread_that_it_does_not_have():
    held, done = threading.Event(), threading.Event()

    def hold():
        with own_generators():
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process that has threads: what is tested
        child = os.fork()
    if child == 0:
        with seeded(0):
            os._exit(0)
    end, ended = time.monotonic() + 20, 0
    while not ended and time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    done.set()
    thread.join()
    if not ended:
        os.kill(child, 9)
    assert ended
    assert status == 0


@pytest.mark.parametrize("name", TABLE)
def test_every_builder_draws_its_weights_from_its_seed(name):
    function, options = TABLE[name]

    def weights(seed):
        return function(5, latent_dim=3, seed=seed, **options).state_dict()

    torch.manual_seed(1)
    first = weights(0)
    assert torch.equal(torch.rand(1), torch.manual_seed(1) and torch.rand(1))  # nothing was drawn from it
    assert largest_difference(first, weights(0)) == 0
    assert largest_difference(first, weights(1)) > 0
    torch.manual_seed(2)
    unseeded = weights(None)
    torch.manual_seed(2)
    assert largest_difference(unseeded, weights(None)) == 0
    assert largest_difference(unseeded, weights(None)) > 0


def test_a_seed_of_numpy_draws_what_one_of_python_draws():
    assert torch.equal(*(gaussian_vae(5, 2, seed=0).sample(4, seed=seed) for seed in (3, np.int64(3))))


@pytest.mark.parametrize("seed", ["a", 1.5, True, -1, 2**63])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(InputError, match=r"seed: expected an integer of at least 0 and below 2\^63; got"):
        gaussian_vae(5, 2, seed=seed)
    with pytest.raises(InputError, match="seed: expected"):
        gaussian_vae(5, 2).sample(4, seed=seed)


def test_fit_with_the_builders_seed_is_the_run_of_that_seed(tmp_path):
    run, _ = run_training(tmp_path / "run", model="gaussian-vae")
    model, data = gaussian_vae(binary_data(), 3, [8], seed=0), binary_data()
    fit(model, data, settings=run.settings.training, seed=0)
    assert largest_difference(model.state_dict(), run.load_model().state_dict()) == 0


def test_a_second_fit_goes_on_from_the_weights_of_the_first():
    model = model_of()
    first = {name: value.clone() for name, value in trained(model).items()}
    assert largest_difference(trained(model), first) > 0
    again = model_of(1)
    again.load_state_dict(first)
    assert largest_difference(trained(again), model.state_dict()) == 0


# ---------------------------------------------------------------- what the session has set


@contextlib.contextmanager
def default_type():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device(name):
    torch.set_default_device(name)
    yield
    torch.set_default_device(None)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def newer(*parts, precision="tf32"):
    """Set torch's newer settings of precision, after which it refuses to read its older ones."""
    before = [part.fp32_precision for part in parts]
    for part in parts:
        part.fp32_precision = precision
    yield
    for part, value in zip(parts, before, strict=True):
        part.fp32_precision = value


@contextlib.contextmanager
def older_flag():
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = True


BACKENDS = torch.backends
NEWER = {
    "cuda.matmul": lambda: newer(BACKENDS.cuda.matmul),
    "all": lambda: newer(BACKENDS),
    "all in bfloat16": lambda: newer(BACKENDS, precision="bf16"),
    "all of cuda": lambda: newer(BACKENDS.cudnn),
    "mkldnn.matmul": lambda: newer(BACKENDS.mkldnn.matmul),
    "mkldnn.conv": lambda: newer(BACKENDS.mkldnn.conv, precision="bf16"),
    "all of mkldnn": lambda: BACKENDS.mkldnn.flags(BACKENDS.mkldnn.enabled, allow_tf32=None, fp32_precision="bf16"),
    "cudnn.conv": lambda: newer(BACKENDS.cudnn.conv, precision="ieee"),
    "cudnn.allow_tf32": older_flag,
}
SESSIONS = {
    "gradients switched off": torch.no_grad,
    "inference mode": torch.inference_mode,
    "float64 by default": default_type,
    "cpu by default": lambda: default_device("cpu"),
    "meta by default": lambda: default_device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "rounded products": lambda: matmul_precision("medium"),
    "deterministic": deterministic,
    "anomalies looked for": lambda: torch.autograd.set_detect_anomaly(True),
    **{f"precision of {name}": context for name, context in NEWER.items()},
}


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("session", SESSIONS)
def test_training_is_the_same_whatever_the_session_has_set(session, tmp_path):
    plain, model = trained(), model_of()
    run, _ = run_training(tmp_path / "plain", model="autoencoder")
    with SESSIONS[session]():
        under = trained(model.eval())
        other, _ = run_training(tmp_path / "other", model="autoencoder")
    assert largest_difference(plain, under) == 0
    assert largest_difference(weights_of(run.path), weights_of(other.path)) == 0


def under(context, function):
    with context:
        return function()


REFUSED = {
    "float64": (lambda: model_of().double(), "expected weights of type float32; .* is float64 .model.float"),
    "bfloat16": (lambda: model_of().bfloat16(), "expected weights of type float32; .* is bfloat16"),
    "frozen": (lambda: model_of().requires_grad_(False), "none of them requires gradients"),
    "inference": (lambda: under(torch.inference_mode(), model_of), "was made under torch.inference_mode"),
    "meta": (lambda: under(torch.device("meta"), model_of), "on the device 'meta', so it has no numbers"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_weights_that_cannot_be_trained_are_refused(kind):
    make, sentence = REFUSED[kind]
    with pytest.raises(InputError, match=f"^model: .*{sentence}"):
        trained(make())


def test_an_estimator_that_cannot_learn_is_refused():
    model = bernoulli_vae(5, 3, [8], seed=0)
    estimator = under(torch.inference_mode(), lambda: Rebar(model, 2))
    with pytest.raises(InputError, match=r"^estimator: .* was made under torch.inference_mode"):
        trained(model, estimator=estimator)


def test_a_device_without_numbers_is_refused():
    with pytest.raises(InputError, match=r"device: expected auto, cpu or .*; got 'meta'"):
        choose_device("meta")
    with pytest.raises(InputError, match=r"device: .*; got 'gpu'"):
        trained(device="gpu")


# ---------------------------------------------------------------- what is left of it afterwards


def trained_in_bfloat16(model):
    with patch("vaelab.networks.precision._rounds", lambda kind: True):
        return trained(model, precision="bfloat16")


def precisions():
    """Return torch's settings of the precision of products, new and old; the old are None where torch does not say."""
    cuda, cudnn, mkldnn = BACKENDS.cuda, BACKENDS.cudnn, BACKENDS.mkldnn
    parts = BACKENDS, cudnn, cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn
    found = [part.fp32_precision for part in parts]
    for older in (torch.get_float32_matmul_precision, lambda: cudnn.allow_tf32, lambda: cuda.matmul.allow_tf32):
        try:
            found.append(older())
        except RuntimeError:
            found.append(None)
    return found


def state():
    """Return every global of torch, numpy and Python that a training could leave changed."""
    numbers = np.random.get_state()  # noqa: NPY002 - of the legacy generator, which scikit-learn may use
    return {
        "precisions": precisions(),
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "generator": torch.get_rng_state().tolist(),
        "generators of GPUs": [each.tolist() for each in torch.cuda.get_rng_state_all()],
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
        "distributions": torch.distributions.Distribution._validate_args,
        "dynamo": torch._dynamo.config.trace_autograd_ops,
        "numpy": (numbers[1].tolist(), numbers[2:]),
        "python": random.getstate(),
        "warnings": list(warnings.filters),
    }


def bits():
    return binary_data().test.observations()


def fail(row):
    raise ZeroDivisionError


DOORS = {
    "fit": lambda model, path: trained(model),
    "fit in bfloat16": lambda model, path: trained_in_bfloat16(model),
    "train": lambda model, path: run_training(path, model="autoencoder"),
    "evaluate": lambda model, path: evaluate(model, binary_data(), samples=2),
    "sample": lambda model, path: model.sample(3, "draw", seed=0),
    "encode": lambda model, path: encode_means(model, bits()),
    "gradients": lambda model, path: measure_gradients(
        bernoulli_vae(5, 3, [8], seed=0), ELBO(), bits(), rows=8, draws=2, estimators=["rebar"], warmup=2
    ),
    "tightness": lambda model, path: measure_tightness(
        bernoulli_vae(5, 3, [], seed=0), binary_data(), rows=8, steps=2, samples=2
    ),
    "refused": lambda model, path: trained(model, latent_dim=7),
    "failed": lambda model, path: run_training(path, fail),
}
RAISE = {"refused": InputError, "failed": ZeroDivisionError}


@pytest.mark.parametrize(
    ("door", "session"),
    [(door, "plain") for door in DOORS]
    + [(door, session) for door in ("fit", "train", "failed") for session in ("inference mode", "float64 by default")]
    + [(door, f"precision of {name}") for door in ("fit", "evaluate", "failed") for name in NEWER],
)
def test_every_door_leaves_the_state_as_it_was(door, session, tmp_path):
    model, outside = model_of(), precisions()
    with SESSIONS[session]() if session != "plain" else contextlib.nullcontext():
        before = state()
        if door in RAISE:
            with pytest.raises(RAISE[door]):
                DOORS[door](model, tmp_path / "run")
        else:
            DOORS[door](model, tmp_path / "run")
        after = state()
    assert {key: value for key, value in after.items() if value != before[key]} == {}
    assert precisions() == outside

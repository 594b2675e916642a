"""Room: training. Precision and compilation give the numbers of the plain step; the average of the weights."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor.custom_graph_pass import CustomGraphPass
from torch.fx.experimental.proxy_tensor import make_fx

from tests.laws import binary_data
from tests.processes import run_python
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.networks import choose_precision, has_bfloat16, matmul_precision
from vaelab.objectives import ELBO
from vaelab.priors import BIT_PRIORS, REAL_PRIORS, GaussianPrior
from vaelab.settings import resolve
from vaelab.training import fit
from vaelab.training import step as room
from vaelab.training.average import WeightAverage

CPU = torch.device("cpu")
# What torch's own capture and code generation warn of, in the versions tested.
QUIET = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")


def trained(data, model="gaussian-vae", estimator="pathwise", objective=None, **training):
    layer = {"hidden_dims": [64], "latent_dim": 8, "estimator": {"name": estimator}}
    settings = resolve(model, layer, {"training": {"batch_size": 50, **training}})
    torch.manual_seed(0)
    net, rows = settings.build_model(data), []
    fit(
        net,
        data,
        estimator=settings.build_estimator(net),
        objective=objective,
        settings=settings.training,
        callback=rows.append,
    )
    return net, rows


# ---------------------------------------------------------------- precision


def precisions():
    """Return that of matrix products, and whether convolutions on an NVIDIA GPU are rounded."""
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def test_the_precision_of_products_changes_inside_the_block_alone():
    for inside in (("medium", True), ("highest", False)):
        before = precisions()
        with matmul_precision(inside[0]):
            assert precisions() == inside
            assert (torch.backends.cudnn.conv.fp32_precision == "tf32") == inside[1]
        with pytest.raises(ZeroDivisionError), matmul_precision(inside[0]):
            _ = 1 / 0
        assert precisions() == before


def test_a_session_that_sets_the_precision_of_convolutions_finds_it_again():
    convolutions = torch.backends.cudnn.conv
    before = convolutions.fp32_precision
    try:
        convolutions.fp32_precision = "ieee"  # then torch cannot read its older flag
        with matmul_precision("medium"):
            assert torch.backends.cudnn.allow_tf32
        assert convolutions.fp32_precision == "ieee"
    finally:
        convolutions.fp32_precision = before


def test_auto_is_a_precision_and_the_same_each_time():
    chosen = {choose_precision("auto", CPU) for _ in range(3)}
    assert len(chosen) == 1
    assert chosen <= {"float32", "bfloat16"}


@pytest.mark.skipif(not has_bfloat16(CPU), reason="this processor does not multiply bfloat16")
def test_bfloat16_products_train_to_the_same_bound(digits):
    """200 steps: within 1 nat of about -140, where two seeds differ by as much; the weights themselves stay float32."""
    _, plain_rows = trained(digits, steps=200, precision="float32")
    rounded, rounded_rows = trained(digits, steps=200, precision="bfloat16")
    assert {weight.dtype for weight in rounded.parameters()} == {torch.float32}
    assert plain_rows[-1]["val/bound"] == pytest.approx(rounded_rows[-1]["val/bound"], abs=1.0)


# ---------------------------------------------------------------- compilation


@pytest.mark.torch_versions
@QUIET
@pytest.mark.parametrize(("model", "estimator"), [("gaussian-vae", "pathwise"), ("bernoulli-vae", "rebar")])
def test_a_compiled_step_makes_the_same_training(digits, model, estimator):
    """20 steps: the bounds agree to 1e-4 of their size, the weights to 1e-3 (kernels round in another order)."""
    options = {"steps": 20, "log_every": 5, "warmup": 10, "precision": "float32"}
    plain, plain_rows = trained(digits, model, estimator, **options)
    torch.compiler.reset()
    counters.clear()
    fast, fast_rows = trained(digits, model, estimator, **options, compile=True)
    assert counters["stats"]["unique_graphs"] == 2, "one that is tried, and one for all steps"
    for one, other in zip(plain_rows, fast_rows, strict=True):
        assert one["train/bound"] == pytest.approx(other["train/bound"], rel=1e-4)
    for (name, one), (_, other) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        assert (one - other).abs().max() < 1e-3, name


CAPTURED = [
    *((name, "bits" if "bits" in kind.codes else "real") for name, kind in ESTIMATORS.items()),
    ("exact", "real"),  # it draws real codes in another way
]
CAPTURED.remove(("mean-field", "bits"))  # it has no q(z|x) to learn


PRIORS = [
    *(("disarm", "bits", name) for name in BIT_PRIORS if name != "uniform"),
    *(("pathwise", "real", name) for name in REAL_PRIORS if name != "normal"),
]


@QUIET
@pytest.mark.parametrize(
    ("name", "code", "options"),
    [
        *((*row, {}) for row in CAPTURED),
        *((*row, {"prior": prior}) for *row, prior in PRIORS),
        ("pathwise", "real", {"dropout": 0.5, "prior": "vamp"}),
        ("rebar", "bits", {"dropout": 0.5, "network": "gated-mlp", "normalisation": "layer"}),
    ],
)
def test_every_estimator_is_captured_with_its_gradients(name, code, options, monkeypatch):
    """One graph, whole, second derivatives included: capture and differentiation, without the generation of kernels.

    A weight of the KL that rises is a constant of the first graph and an input of the second.
    """
    kind = ESTIMATORS[name]
    build = bernoulli_vae if code == "bits" else gaussian_vae
    monkeypatch.setattr("vaelab.priors.flow._LAYERS", 1)  # each takes seconds to capture
    torch.manual_seed(0)
    model, x = build(12, latent_dim=4, hidden_dims=[6], **options), torch.rand(5, 12).round()
    objective = resolve("gaussian-vae", {"objective": {"name": kind.objectives()[0]}}).build_objective()
    if isinstance(objective, ELBO):
        objective = dataclasses.replace(objective, warm_up=4)
    estimator = kind(model, samples=2)
    state = {key: value.clone() for key, value in estimator.state_dict().items()}
    weights = [weight for weight in [*model.parameters(), *estimator.parameters()] if weight.requires_grad]

    def differentiate(objective, x):
        estimate = estimator(model, objective, x)
        return estimate.means(), torch.autograd.grad(estimate.loss(), weights, allow_unused=True)

    def twice(function):
        """The second time with what the first has left in the estimator."""
        estimator.load_state_dict(state)
        torch.manual_seed(1)
        found = [function(objective.at(step), x) for step in range(2)]
        return [part for means, gradients in found for part in (means, *gradients)]

    torch.compiler.reset()
    plain = twice(differentiate)
    with torch._dynamo.config.patch(trace_autograd_ops=True):
        captured = twice(torch.compile(differentiate, backend="aot_eager", fullgraph=True))
    for one, other in zip(plain, captured, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.torch_versions
@QUIET
def test_every_training_of_a_process_is_compiled():
    """Torch alone compiles the same function eight times, and the ninth training would be a plain one."""
    for _ in range(9):

        def step(numbers):
            return torch.compiler.is_compiling(), numbers[0] + 1

        compiled, number = room._compile(step, CPU)(torch.ones(1))
        assert compiled
        assert number == 2


@pytest.mark.torch_versions
@QUIET
@pytest.mark.parametrize(
    "more", [{"clip": 0.5}, {"log_gradient_variance": True}, {"objective": ELBO(warm_up=4, free_bits=0.1)}]
)
def test_options_of_a_compiled_step_make_the_training_of_the_plain_one(digits, more):
    options = {"steps": 6, "log_every": 3, "precision": "float32", **more}
    plain, plain_rows = trained(digits, **options)
    fast, fast_rows = trained(digits, **options, compile=True)
    for one, other in zip(plain_rows, fast_rows, strict=True):
        assert one.keys() == other.keys()
        assert one["train/bound"] == pytest.approx(other["train/bound"], rel=1e-4)
    for (name, one), (_, other) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        assert (one - other).abs().max() < 1e-3, name


def test_clipping_is_of_operators_that_compile():
    """Of the norm of all tensors at once torch only writes a call back into Python, and a warning."""
    gradients = torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])
    graph = make_fx(lambda *gradients: room._clipped(gradients, 2, 1.0))(*gradients)
    assert "_foreach_norm" not in graph.code
    assert torch.allclose(torch.cat([part.flatten() for part in graph(*gradients)]), torch.tensor([0.6, 0.0, 0.8]))


@QUIET
def test_a_step_that_does_not_compile_where_others_do_is_refused_in_one_sentence(monkeypatch):
    class Broken(CustomGraphPass):
        def __call__(self, graph):
            raise NotImplementedError("no such kernel\nhere")

        def uuid(self):
            return "broken"

    assert room._can_compile(CPU)
    monkeypatch.setattr(room, "_options", lambda device: {"post_grad_custom_post_pass": Broken()})
    step = room._compile(lambda numbers: numbers * 3, CPU)
    with pytest.raises(InputError) as refusal:
        step(torch.ones(1))
    said = str(refusal.value)
    assert said.startswith("compile: this step does not compile (")
    assert "no such kernel" in said
    assert "\n" not in said


@pytest.mark.torch_versions
def test_a_plain_training_imports_nothing_of_torchs_compiler(tmp_path):
    """It takes most of a second, and no model of the table needs it."""
    script = """
import sys  # in a process that has loaded the rooms, which is part of what is tested
from tests.laws import binary_data
from vaelab.models import MODELS
from vaelab.settings import resolve
from vaelab.training import train
length = {"training": {"steps": 2, "batch_size": 32, "clip": 1.0}}
for name, row in MODELS.items():
    settings = resolve(name, {} if row.learns == "counts" else length)
    train(settings, f"{sys.argv[1]}/{name}", data=binary_data())
    assert not {module for module in sys.modules if module.startswith(("torch._dynamo", "torch._inductor"))}, name
"""
    run_python("-c", script, tmp_path, folder=Path(__file__).parents[1])


PRIVATE = re.compile(r"torch(\.\w+)*\._(?!_)\w+|trace_autograd_ops")


def test_private_parts_of_torch_are_used_in_two_files_of_the_room_alone():
    """The compiled step, and the kernel of Adam, whose public form is slower."""
    folder = Path(room.__file__).parent
    found = {path.name for path in folder.glob("*.py") if PRIVATE.search(path.read_text(encoding="utf-8"))}
    assert found == {"adam.py", "step.py"}


def settings_of_torch():
    flags = torch._dynamo.config.trace_autograd_ops, torch.get_float32_matmul_precision(), torch.get_num_threads()
    return *flags, torch.distributions.Distribution._validate_args, torch.default_generator.get_state().tolist()


@pytest.mark.torch_versions
@QUIET
def test_compiling_leaves_the_settings_of_torch_as_they_were():
    model = gaussian_vae(5, 2, [4])
    before = settings_of_torch()
    with patch("vaelab.networks.precision._rounds", lambda kind: True):
        fit(model, binary_data(), steps=2, compile=True, precision="bfloat16")
    assert settings_of_torch() == before


def test_without_a_compiler_training_goes_on_and_says_so_in_one_line(tmp_path):
    np.save(tmp_path / "x.npy", np.eye(40, 6, dtype=np.uint8))
    words = ["gaussian-vae", "training.steps=2", "hidden_dims=[4]", "--compile", "--data", tmp_path / "x.npy"]
    environment = {**os.environ, "CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = run_python("-m", "vaelab", "train", *words, "--out", tmp_path / "run", environment=environment)
    said = [line for line in done.stderr.splitlines() if "compile: " in line]
    assert len(said) == 1
    assert said[0].startswith("compile: nothing compiles here, going on without (")
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_a_part_that_does_not_compile_is_trained_without_and_says_so_in_one_line(monkeypatch, caplog):
    class Interpreted(GaussianPrior):
        compiles = False

    monkeypatch.setattr(torch, "compile", None)
    data = binary_data()
    with caplog.at_level(logging.WARNING, "vaelab"):
        for compiled in (False, True):
            model = gaussian_vae(data, 2, [4], prior=Interpreted, seed=0)
            fit(model, data, steps=2, compile=compiled, seed=0, device="cpu")
    assert caplog.messages == ["compile: Interpreted does not compile as one graph, going on without"]


def test_that_compilation_is_tried_before_a_step_is_made(monkeypatch, caplog):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no compiler\nat all")))
    with caplog.at_level(logging.WARNING, "vaelab"):
        assert not room._can_compile(CPU)
    assert caplog.messages == ["compile: nothing compiles here, going on without (no compiler)"]


# ---------------------------------------------------------------- the average of the weights


@pytest.mark.torch_versions
def test_the_average_weighs_the_past_as_its_formula_says():
    """After n weights taken in, the k-th has the weight of polynomial decay: product of what was left of it."""
    model = gaussian_vae(6, latent_dim=2, hidden_dims=[8])
    average, taken = WeightAverage(model), []
    for step in range(1, 41):
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_()
        average.update(step)
        if step <= 4 or step % 4 == 0:
            taken.append(model.likelihood.network.layers[-1].weight.detach().clone())
    weights = []
    for n in range(1, len(taken) + 1):
        fresh = 8 / (n + 7)
        weights = [weight * (1 - fresh) for weight in weights] + [fresh]
    assert sum(weights) == pytest.approx(1)
    expected = sum(weight * value for weight, value in zip(weights, taken, strict=True))
    assert torch.allclose(average.module.likelihood.network.layers[-1].weight, expected, atol=1e-6)
    assert weights[0] < 0.01 < weights[-1]


def test_the_average_is_what_is_validated_and_kept(digits):
    with_average, rows = trained(digits, steps=300, validate_every=100, precision="float32")
    without, plain_rows = trained(digits, steps=300, validate_every=100, precision="float32", average=False)
    assert [row["train/bound"] for row in rows] == [row["train/bound"] for row in plain_rows]  # the steps are the same
    ours, theirs = ([row["val/bound"] for row in found if "val/bound" in row] for found in (rows, plain_rows))
    assert all(one != other for one, other in zip(ours, theirs, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(with_average.parameters(), without.parameters(), strict=True))


def test_a_single_step_is_kept_whole(digits):
    with_average, _ = trained(digits, steps=1)
    without, _ = trained(digits, steps=1, average=False)
    for one, other in zip(with_average.parameters(), without.parameters(), strict=True):
        assert torch.equal(one, other)

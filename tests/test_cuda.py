"""Room: training. Everything that computes runs on an NVIDIA GPU and agrees with the processor; skipped without one."""

from __future__ import annotations

import math

import pytest
import torch

import vaelab
from vaelab.data import Dataset
from vaelab.estimators import ESTIMATORS
from vaelab.models import MODELS, Counted, DensityModel
from vaelab.priors import BIT_PRIORS, REAL_PRIORS
from vaelab.runs import Run
from vaelab.seeds import seeded
from vaelab.settings import resolve

if not torch.cuda.is_available():
    pytest.skip("no NVIDIA GPU on this machine: nothing was computed on one", allow_module_level=True)

QUIET = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
OBJECTIVE_OF = {"reweighted-wake-sleep": "iwae", "covariance": "tvo"}
SMALL = {"hidden_dims": [32]}
BITS = [name for name, kind in ESTIMATORS.items() if "bits" in kind.codes and name not in ("mean-field", "exact")]


@pytest.fixture(scope="module")
def data():
    """512 rows of 36 columns, each a noisy copy of one of 6 bits: the bound rises within a few steps."""
    with seeded(0, "data"):
        causes = torch.rand(512, 6) < 0.5
        x = causes.repeat_interleave(6, 1) ^ (torch.rand(512, 36) < 0.05)
    return Dataset.from_arrays(x.numpy())


def with_codes(name):
    """Whether a model of the table has codes, and so an estimator."""
    return not isinstance(MODELS[name].build(2), DensityModel)


def on_gpu(model):
    return {weight.device.type for weight in model.parameters()} == {"cuda"}


def trained(data, name="gaussian-vae", device="cuda", steps=60, **layer):
    settings = resolve(name, layer | {"training": layer.get("training", {}) | {"steps": steps}})
    torch.manual_seed(0)
    model, rows = settings.build_model(data), []
    objective, estimator = settings.build_objective(), settings.build_estimator(model)
    vaelab.fit(
        model,
        data,
        objective=objective,
        estimator=estimator,
        settings=settings.training,
        device=device,
        callback=rows.append,
    )
    return model, [row for row in rows if any(key.startswith("val/") for key in row)]


@pytest.mark.parametrize("name", [name for name in MODELS if with_codes(name)])
def test_every_model_with_codes_trains(data, name):
    model, rows = trained(data, name, steps=100)
    first, last = (next(value for key, value in row.items() if key.startswith("val/")) for row in (rows[0], rows[-1]))
    assert math.isfinite(last)
    assert last > first
    assert not on_gpu(model)  # it is again where it was


@QUIET
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("name", "prior"),
    [
        *(("gaussian-vae", prior) for prior in REAL_PRIORS if prior != "normal"),
        *(("bernoulli-vae", prior) for prior in BIT_PRIORS if prior != "uniform"),
    ],
)
def test_every_learned_prior_trains(data, name, prior, compiled):
    if compiled and prior == "autoregressive" and torch.__version__ < (2, 13):
        pytest.skip("versions of torch before 2.13 do not compile the second derivatives of rebar through this prior")
    more = {"prior_components": 10} if prior in ("mixture", "vamp") else {}
    layer = {"latent_dim": 6, "prior": prior, "training": {"compile": compiled, "precision": "float32"}}
    model, rows = trained(data, name, **layer, **more, **SMALL)
    assert rows[-1]["val/bound"] > rows[0]["val/bound"]
    here = vaelab.evaluate(model, data, bounds=("elbo",), samples=500).values["elbo"]
    there = vaelab.evaluate(model.cuda(), data, bounds=("elbo",), samples=500).values["elbo"]
    assert float((here - there).mean().abs()) < 0.1  # codes are drawn anew


@pytest.mark.parametrize("name", [name for name in MODELS if not with_codes(name)])
def test_every_density_model_trains(data, name):
    model = MODELS[name].build(data)
    vaelab.fit(model, data, device="cuda", **({} if isinstance(model, Counted) else {"steps": 100}))
    here = vaelab.evaluate(model, data)[0].value
    there = vaelab.evaluate(model.cuda(), data)[0].value
    assert there == pytest.approx(here, abs=0.2 if name == "rbm" else 1e-3)  # its log Z may be estimated


@pytest.mark.parametrize("name", BITS)
def test_every_estimator_of_bits_trains(data, name):
    layer = {"estimator": {"name": name}, "latent_dim": 6, **SMALL}
    if name in OBJECTIVE_OF:
        layer["objective"] = {"name": OBJECTIVE_OF[name]}
    _, rows = trained(data, "bernoulli-vae", **layer)
    assert math.isfinite(rows[-1][next(key for key in rows[-1] if key.startswith("val/"))])


@pytest.mark.parametrize("bound", ["exact", "quadrature"])
def test_integrals_are_those_of_the_processor(data, bound):
    """Of float32 sums in another order: 1e-3 nat a row of about -15."""
    name, layer = ("bernoulli-vae", {"latent_dim": 6}) if bound == "exact" else ("gaussian-vae", {"latent_dim": 2})
    model, _ = trained(data, name, **layer, **SMALL)
    here = vaelab.evaluate(model, data, bounds=(bound,)).values[bound]
    there = vaelab.evaluate(model.cuda(), data, bounds=(bound,)).values[bound]
    assert on_gpu(model)
    torch.testing.assert_close(there, here, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["gaussian-vae", "bernoulli-vae"])
def test_estimates_bracket_the_integral(data, name):
    """An estimate that is too high by more than four standard errors of its difference has chance 3e-5 for each."""
    layer = {"latent_dim": 6 if name == "bernoulli-vae" else 2}
    truth = "exact" if name == "bernoulli-vae" else "quadrature"
    model, _ = trained(data, name, **layer, **SMALL)
    result = vaelab.evaluate(
        model.cuda(), data, bounds=("elbo", "iwae", "ais", truth), samples=200, chains=4, temperatures=50, rows=30
    )
    exact = result.values[truth]
    for bound in ("iwae-200", "ais-50"):
        difference = result.values[bound] - exact
        assert float(difference.mean()) < 4 * float(difference.std()) / math.sqrt(len(exact)) + 1e-3
    assert float((result.values["elbo"] - exact).mean()) < 0.05


def test_missing_values_are_filled(data):
    x = torch.tensor(data.test.x[:20]).float().cuda()
    x[:, :3] = torch.nan
    model, _ = trained(data, latent_dim=6, **SMALL)
    imputed = vaelab.impute(model.cuda().allow_missing(), x, samples=100, n_draws=2)
    assert imputed.values.isfinite().all()
    truth = torch.tensor(data.test.x[:20, :3]).float()
    assert float(((imputed.values[:, :3] > 0.5) == truth).float().mean()) > 0.6  # chance is 1/2


def test_draws_with_a_seed_are_the_same_again(data):
    model, _ = trained(data, latent_dim=6, **SMALL)
    model.cuda()
    first, second = (model.sample(50, seed=3) for _ in range(2))
    assert first.device.type == "cuda"
    assert torch.equal(first, second)


@QUIET
@pytest.mark.parametrize(
    ("name", "estimator"), [("gaussian-vae", "pathwise"), ("bernoulli-vae", "rebar"), ("bernoulli-vae", "disarm")]
)
def test_the_compiled_step_trains_as_the_plain_one(data, name, estimator):
    """60 steps with the same random numbers: the rounding differs, the bound by less than 0.3 nat of about -20."""
    layer = {"estimator": {"name": estimator}, "latent_dim": 6, **SMALL}
    bounds = []
    for compiled in (False, True):
        _, rows = trained(data, name, **layer, training={"compile": compiled, "precision": "float32"})
        bounds.append(rows[-1]["val/bound"])
    assert bounds[1] == pytest.approx(bounds[0], abs=0.3)


@QUIET
def test_the_compiled_step_is_replayed_as_a_graph(data):
    """Of 80 steps at least 50 are one graph launch each; the plain step launches none."""
    from torch.profiler import ProfilerActivity, profile

    launches = {}
    for compiled in (False, True):
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
            trained(data, latent_dim=6, steps=80, training={"compile": compiled, "validate_every": 80}, **SMALL)
        events = {event.key: event.count for event in record.key_averages()}
        launches[compiled] = events.get("cudaGraphLaunch", 0)
    assert launches[False] == 0
    assert launches[True] >= 50


def test_a_resumed_training_is_the_training_that_was_not_stopped(data, tmp_path):
    def part(folder, steps, stop=None):
        settings = resolve("gaussian-vae", {"latent_dim": 6, **SMALL, "training": {"steps": steps}})
        torch.manual_seed(0)
        model = settings.build_model(data)
        run = Run.create(tmp_path / folder, settings, data)

        def callback(row):
            if stop is not None and row.get("step") == stop:
                raise KeyboardInterrupt

        try:
            vaelab.fit(model, data, settings=settings.training, device="cuda", run=run, callback=callback)
        except KeyboardInterrupt:
            model = settings.build_model(data)
            vaelab.fit(model, data, settings=settings.training, device="cuda", run=run)
        return model.state_dict()

    whole, resumed = part("whole", 60), part("resumed", 60, stop=40)
    for name, weight in whole.items():
        assert torch.equal(weight, resumed[name]), name


def test_a_model_on_the_gpu_is_saved_for_every_machine(data, tmp_path):
    model, _ = trained(data, latent_dim=6, **SMALL)
    model.cuda().save(tmp_path / "model")
    again = vaelab.load(tmp_path / "model")
    assert {weight.device.type for weight in again.parameters()} == {"cpu"}
    for name, weight in model.state_dict().items():
        assert torch.equal(weight.cpu(), again.state_dict()[name])


def test_bfloat16_is_close_to_float32(data):
    model, _ = trained(data, latent_dim=6, **SMALL)
    model.cuda()
    values = [
        vaelab.evaluate(model, data, bounds=("iwae",), samples=100, precision=precision).values["iwae-100"]
        for precision in ("float32", "bfloat16")
    ]
    assert float((values[1] - values[0]).abs().mean()) < 0.2


def test_diagnoses_are_those_of_the_processor(data):
    model, _ = trained(data, latent_dim=6, **SMALL)
    here, there = vaelab.diagnose(model, data), vaelab.diagnose(model.cuda(), data)
    assert [each.name for each in here] == [each.name for each in there]

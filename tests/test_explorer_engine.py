"""The engine of the explorer: in a real browser it computes what torch computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

import vaelab
from tests.engine_page import EnginePage
from tests.golden.make import HERE, RUNS, data_of
from vaelab import models
from vaelab.data import Column, Condition, DataSpec
from vaelab.distributions import DiagonalNormal, Multinomial, Product
from vaelab.errors import InputError
from vaelab.explorer.parts import describe
from vaelab.explorer.tensors import Tensors
from vaelab.likelihoods import TreeLikelihood
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO, IWAE
from vaelab.posteriors import FlowPosterior

K = 4  # codes of a bound
PARITY = """
const { model, x, y, z, best, codes, n, samples } = given;
const q = model.posterior(x, n, y);
const p = model.likelihood(best, n, y);
return {
  code: q.mean(),
  best: model.best(q),
  decoded: model.decode(best, n, y),
  mode: p.mode(),
  log_likelihood: p.logProb(x),
  log_prior: model.prior(n).logProb(z),
  ...(model.hasBound ? { log_posterior: q.logProb(codes.slice(0, n * model.dim)) } : {}),
  ...(model.hasBound ? model.bound(x, n, { samples, codes, given: y }) : {}),
};
"""


@pytest.fixture(scope="module")
def engine(browser):
    page = EnginePage(browser)
    yield page
    page.close()


def expected(model: LatentVariableModel, rows: Tensor, z: Tensor, codes: Tensor) -> dict[str, Tensor]:
    """Return what torch computes for rows (n, X + Y), codes z (n, D) of the prior, and codes (K, n, D) of q."""
    _, y = model.split(rows)
    q = model.posterior(rows)
    code = q.mean
    best = (code > 0.5).to(code) if model.code == "bits" else code
    p = model.conditional(best, y)
    found = {
        "code": code,
        "best": best,
        "decoded": p.mean,
        "mode": p.mode,
        "log_likelihood": model.log_likelihood(rows, best.unsqueeze(0))[0],
        "log_prior": model.prior().log_prob(z),
    }
    if model.code != "point":
        found["log_posterior"] = q.log_prob(codes[0])
        for name, objective in (("elbo", ELBO()), ("iwae", IWAE())):
            found[name] = objective.bound(objective.terms(model, rows, q, codes))
    return found


def deviations(engine: EnginePage, model: LatentVariableModel, rows: Tensor) -> dict[str, float]:
    """Return the largest difference between the engine and torch of each quantity on some rows.

    Probabilities differ as they are; other means and log-densities in units of 1 + their size.
    """
    with torch.no_grad():
        rows = model.observations(rows)
        x, y = model.split(rows)
        z, q = model.prior().sample((len(x),)), model.posterior(rows)
        codes = q.sample((K,))
        by_torch = expected(model, rows, z, codes)
        conditional = model.conditional(z, y)
    given = {"y": y if model.given else None, "z": z, "best": by_torch["best"], "codes": codes}
    found = engine.run(PARITY, model, rows, x=x, n=len(x), samples=K, **given)
    largest = {}
    for name, values in by_torch.items():
        values = values.flatten()
        size = torch.ones(1) if _are_probabilities(name, model, conditional) else 1 + values.abs()
        size = size * float(conditional.total) if isinstance(conditional, Multinomial) and name == "decoded" else size
        difference = (torch.tensor(found[name]) - values).abs() / size
        of = {"best": "code", "mode": "decoded"}.get(name)
        if of is not None:  # of two values that are equally probable either may be found
            difference = torch.where((by_torch[of].flatten() - 0.5).abs() < 1e-3, 0, difference)
        largest[name] = float(difference.max())
    return largest


def check(engine: EnginePage, model: LatentVariableModel, rows: Tensor) -> None:
    """Compare the engine with torch on some rows."""
    found = deviations(engine, model.eval(), rows)
    assert max(found.values()) <= 1e-3, found


def _are_probabilities(name: str, model: LatentVariableModel, conditional: Distribution) -> bool:
    if name in ("code", "best"):
        return model.code == "bits"
    return name in ("decoded", "mode") and not isinstance(conditional, DiagonalNormal | Product)


def livelier(model: LatentVariableModel, by: float = 2.0) -> LatentVariableModel:
    """Return a model with larger weights, and biases other than zero: differences show more than in a new one."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight * by if weight.ndim > 1 else weight + 0.3 * torch.randn_like(weight))
    return model.eval()


def curved(model: LatentVariableModel) -> LatentVariableModel:
    """Return a model with a flow that is not the identity, as it is at first."""
    flow = model.posterior.flow if isinstance(model.posterior, FlowPosterior) else model.prior
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return model


def with_tree(model: LatentVariableModel, parents: list[int]) -> LatentVariableModel:
    """Return a model of which no data set gave the tree with these parents."""
    next(part for part in model.modules() if isinstance(part, TreeLikelihood)).set_parents(torch.tensor(parents))
    return model


def rows_of(model: LatentVariableModel, n: int = 6, missing: float = 0.0) -> Tensor:
    """Return draws of a model, some values missing, with what is given: one 1 in a row."""
    with torch.no_grad():
        y = torch.eye(model.given)[torch.arange(n) % model.given] if model.given else torch.zeros(n, 0)
        x = model.conditional(model.prior().sample((n,)), y).sample()
    for kind, start, stop in model.spec.groups:
        if kind == "count":  # in a table they are modelled as real numbers
            x[:, start:stop] = x[:, start:stop].round().clamp_min(0)
    if missing:
        model.allow_missing()
        x[torch.rand_like(x) < missing] = torch.nan
    return torch.cat([x, y], -1)


COLUMNS = (
    Column("height", "real"),
    Column("answer", "binary"),
    Column("colour", "categorical", ("blue", "green", "red")),
    Column("share", "unit"),
    Column("visits", "count"),
    Column("size", "categorical", ("s", "l")),
)
MIXED = DataSpec((9,), torch.full((9,), 0.4), kind="mixed", variables=COLUMNS, deviation=torch.full((9,), 0.7))
LEVELS = DataSpec((5,), kind="mixed", variables=(COLUMNS[2], COLUMNS[5]))
REAL = DataSpec((4,), torch.tensor([3.0, -1.0, 0.0, 50.0]), kind="real", deviation=torch.tensor([1.0, 0.0, 2.0, 9.0]))
GREY = DataSpec((5,), kind="grey", binarisation="none")
COUNTS = DataSpec((5,), torch.full((5,), 1.6), kind="count")
MEAN = torch.linspace(0.05, 0.9, 9 * 13)
LABELS = Condition("labels", ("a", "b", "c"))


def own_network(inputs: torch.Size, outputs: torch.Size) -> nn.Module:
    return nn.Sequential(
        nn.Sequential(nn.Linear(inputs.numel(), 6), nn.ELU(0.7), nn.Dropout(0.5)),
        nn.Linear(6, 5, bias=False),
        nn.Sigmoid(),
        nn.Identity(),
        nn.Linear(5, outputs.numel()),
    )


BUILD: dict[str, Callable[[], LatentVariableModel]] = {
    **{
        f"activation {name}": lambda name=name: models.bernoulli_vae(7, 4, [6, 5], name)
        for name in ("relu", "leaky-relu", "tanh", "silu")
    },
    "no hidden layer": lambda: models.gaussian_vae(6, 2, []),
    "learned prior": lambda: models.bernoulli_vae(DataSpec((6,), torch.full((6,), 0.3)), 3, [4], prior="learned"),
    "mixture prior": lambda: models.gaussian_vae(6, 2, [5], prior="mixture", prior_components=3),
    "vamp prior": lambda: models.gaussian_vae(6, 2, [5], prior="vamp", prior_components=3),
    **{
        f"flow prior of {size}": lambda size=size: curved(models.gaussian_vae(6, size, [5], prior="flow"))
        for size in (1, 2, 5)
    },
    **{
        f"flow posterior of {size}": lambda size=size: curved(models.gaussian_vae(6, size, [5], posterior="flow"))
        for size in (1, 3)
    },
    "flow posterior, flow prior": lambda: curved(models.gaussian_vae(6, 2, [5], posterior="flow", prior="flow")),
    "full posterior": lambda: models.gaussian_vae(6, 3, [5], posterior="full"),
    "full posterior of 1": lambda: models.gaussian_vae(6, 1, [5], posterior="full"),
    "full posterior, vamp prior": lambda: models.gaussian_vae(
        6, 3, [5], posterior="full", prior="vamp", prior_components=3
    ),
    "mixture prior of the top layer": lambda: models.deep_gaussian_vae(
        6, [3, 2], [[5], [4]], prior="mixture", prior_components=3
    ),
    "own network": lambda: models.gaussian_vae(6, 2, network=own_network),
    "conv, odd sides": lambda: models.gaussian_vae(DataSpec((9, 13), MEAN), 2, [7], network="conv"),
    "conv, bits": lambda: models.bernoulli_vae(DataSpec((11, 8)), 5, [6], network="conv"),
    "conv, mask": lambda: models.gaussian_vae(
        DataSpec((8, 11), may_be_missing=True), 2, [5], network="conv", encode_mask=True
    ),
    "conv, layer normalisation": lambda: models.gaussian_vae(
        DataSpec((8, 9)), 2, [5], network="conv", normalisation="layer"
    ),
    "resnet": lambda: models.gaussian_vae(DataSpec((9, 8)), 2, [5], network="resnet"),
    "gated-mlp": lambda: models.bernoulli_vae(7, 4, [6, 5], network="gated-mlp", normalisation="layer", dropout=0.5),
    "gaussian": lambda: models.gaussian_vae(REAL, 2, [5]),
    "gaussian-shared": lambda: models.gaussian_vae(REAL, 2, [5], likelihood="gaussian-shared"),
    "continuous-bernoulli": lambda: models.gaussian_vae(GREY, 2, [5]),
    "categorical": lambda: models.bernoulli_vae(LEVELS, 3, [5]),
    "multinomial": lambda: models.gaussian_vae(COUNTS, 2, [5]),
    "product": lambda: models.gaussian_vae(MIXED, 2, [5]),
    "tree": lambda: with_tree(models.gaussian_vae(6, 2, [5], likelihood="tree"), [2, 0, -1, 0, 2, -1]),
    "tree, layers": lambda: with_tree(models.sbn(6, [4, 3], likelihood="tree"), [1, -1, 1, 0, 3, 3]),
    "product of one kind": lambda: models.gaussian_vae(GREY, 2, [5], likelihood="product"),
    "sbn, three layers": lambda: models.sbn(8, [5, 4, 3]),
    "sbn, hidden layers": lambda: models.sbn(8, [5, 4], [6], [7]),
    "deep, three layers": lambda: models.deep_gaussian_vae(8, [4, 3, 2], [[6], [], [5]]),
    "mean field": lambda: models.sbn(8, [5], inference="mean-field"),
    "mean field, layers": lambda: models.sbn(8, [5, 3], inference="mean-field", tolerance=1e-3),
    "mean field, gaussian": lambda: models.sbn(8, [5, 3], inference="mean-field", field="gaussian"),
    "condition": lambda: models.gaussian_vae(DataSpec((6,), condition=LABELS), 2, [5]),
    "condition, layers": lambda: models.sbn(DataSpec((6,), condition=LABELS), [4, 3]),
    "condition, mask": lambda: models.bernoulli_vae(
        DataSpec((6,), torch.full((6,), 0.3), condition=LABELS, may_be_missing=True), 3, [4], encode_mask=True
    ),
    "wide": lambda: models.bernoulli_vae(90, 40, [50, 45]),  # of which the weights are rounded
}
WITHOUT_MISSING = ("multinomial",)


@pytest.mark.parametrize("kind", RUNS)
def test_it_agrees_with_torch_on_every_kind_of_model(engine, kind):
    check(engine, vaelab.load(HERE / kind / "saved"), data_of(kind).test.batch(8))


@pytest.mark.parametrize("name", BUILD)
def test_it_agrees_with_torch_on_every_part(engine, name):
    model = livelier(BUILD[name]())
    check(engine, model, rows_of(model))


@pytest.mark.parametrize("name", [name for name in BUILD if name not in WITHOUT_MISSING])
def test_it_agrees_with_torch_where_values_are_missing(engine, name):
    model = livelier(BUILD[name]())
    check(engine, model, rows_of(model, missing=0.3))


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_it_agrees_with_torch_on_the_density_of_an_autoencoder(engine, covariance):
    model = livelier(models.autoencoder(6, 3, [5], components=2, covariance=covariance))
    model.prior.fit(torch.randn(200, 3) * torch.tensor([1.0, 3.0, 0.2]) + torch.tensor([0.0, 5.0, 1.0]))
    check(engine, model, rows_of(model))


def test_it_agrees_with_torch_on_a_flow_of_an_autoencoder(engine):
    """Of codes that are far from N(0, I)."""
    model = curved(models.autoencoder(6, 3, [5], prior="flow"))
    model.prior.standardise(torch.randn(200, 3) * torch.tensor([1.0, 30.0, 0.2]) + torch.tensor([0.0, 50.0, 1.0]))
    check(engine, model, rows_of(model))
    assert describe(model, Tensors())["ex_post"]


def test_draws_of_a_flow_are_those_of_torch_for_the_same_noise(engine):
    model, noise = livelier(BUILD["flow prior of 5"]()), 2.5 * torch.randn(8, 5)
    with torch.no_grad():
        expected_draws = noise
        for transform in reversed(model.prior().transforms):
            expected_draws = transform.inv(expected_draws)
    source = "let i = 0; return given.model.prior(8).sample({ normal: () => given.noise[i++] })"
    assert torch.allclose(torch.tensor(engine.run(source, model, noise=noise)).view(8, 5), expected_draws, atol=1e-3)


@pytest.mark.parametrize("size", [1, 3])
def test_draws_of_a_flow_posterior_are_those_of_torch_for_the_same_noise(engine, size):
    model, noise = livelier(BUILD[f"flow posterior of {size}"]()), torch.randn(4, size)
    x = rows_of(model, 4)
    with torch.no_grad():
        expected_draws = model.posterior(x).from_noise(noise)
    source = "let i = 0; return given.model.posterior(given.x, 4).sample({ normal: () => given.noise[i++] })"
    found = torch.tensor(engine.run(source, model, x=x, noise=noise)).view(4, size)
    assert torch.allclose(found, expected_draws, atol=1e-3, rtol=1e-3)


def test_a_compiled_part_is_written_as_the_plain_one(engine):
    model = livelier(models.gaussian_vae(6, 2, [5]))
    plain = describe(model, Tensors())
    model.likelihood = torch.compile(model.likelihood, backend="eager")
    model.posterior.register_forward_hook(lambda *_: None)
    assert describe(model, Tensors()) == plain


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_covariances_that_a_page_cannot_hold_are_refused_in_one_sentence(prior):
    model = models.gaussian_vae(6, 201, [5], prior=prior)
    with pytest.raises(InputError) as refusal:
        describe(model, Tensors())
    assert str(refusal.value) == (
        "explore: expected at most 4,000,000 numbers in the covariances of the prior's components; got 100 x 201 x 201"
        "; train with a smaller prior_components or latent_dim"
    )

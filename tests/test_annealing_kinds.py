"""Room: likelihood. Annealing with every kind of model: each kernel, each start, both directions, missing values."""

import math
from contextlib import suppress

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, Independent, Laplace, MixtureSameFamily, Normal, StudentT

import vaelab
from tests.golden.make import data_of
from tests.test_annealing import conditional, sharpened
from tests.test_custom_parts import low_rank_normal, mixture, multivariate_normal, transformed, wrapped
from vaelab.data import Column, DataSpec
from vaelab.errors import InputError
from vaelab.likelihood import KERNELS, annealed_importance, bracket, exact, walk
from vaelab.likelihoods import LIKELIHOODS
from vaelab.priors import BIT_PRIORS, REAL_PRIORS

X = 6
LEVELS = ("blue", "green", "red")
BITS = data_of("gaussian-vae")
SPECS = {  # of the likelihoods that are for other columns than bits
    "categorical": DataSpec((X,), kind="mixed", variables=tuple(Column(n, "categorical", LEVELS, "str") for n in "ab")),
    "continuous-bernoulli": DataSpec((X,), kind="grey", binarisation="none"),
    "gaussian": DataSpec((X,), kind="real"),
    "gaussian-shared": DataSpec((X,), kind="real"),
    "multinomial": DataSpec((X,), mean=torch.full((X,), 2.0), kind="count"),
    "product": data_of("mixed").spec,
}


class Prior(nn.Module):
    """A prior of the user's own."""

    def __init__(self, code, latent_dim, law):
        super().__init__()
        self.code, self.latent_dim, self.law = code, latent_dim, law

    def forward(self):
        return self.law


def two(component):
    return MixtureSameFamily(Categorical(logits=torch.zeros(2).double()), Independent(component, 1))


PRIORS = {
    "mixture": Prior("real", 1, two(Normal(torch.tensor([[-1.5], [1.5]]).double(), 0.7))),
    "laplace": Prior("real", 1, Independent(Laplace(torch.zeros(1).double(), 1.0), 1)),
    "infinite variance": Prior("real", 1, Independent(StudentT(torch.full((1,), 1.5).double()), 1)),
    "mixture of bits": Prior("bits", 3, two(Bernoulli(logits=torch.tensor([[2.0, -2, 0], [-2, 2, 1]]).double()))),
}


def real(likelihood="bernoulli", prior="normal"):
    return vaelab.gaussian_vae(
        SPECS.get(likelihood, BITS), 1, hidden_dims=[4], prior=prior, likelihood=likelihood, seed=0
    )


def bits(likelihood="bernoulli", prior="learned"):
    return vaelab.bernoulli_vae(
        SPECS.get(likelihood, BITS), 3, hidden_dims=[4], prior=prior, likelihood=likelihood, seed=0
    )


class Table(nn.Module):
    """p(x|z) from a table of logits: its log-density has no gradient in the bits."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Embedding(8, X)

    def forward(self, z):
        return Independent(Bernoulli(logits=self.logits((z @ z.new_tensor([4.0, 2.0, 1.0])).long())), 1)


MODELS = {
    **{f"{name}, real": lambda name=name: real(name) for name in LIKELIHOODS},
    **{f"{name}, bits": lambda name=name: bits(name) for name in LIKELIHOODS},
    **{
        f"prior {name}": lambda prior=prior: (real if prior.code == "real" else bits)(prior=prior)
        for name, prior in PRIORS.items()
    },
    **{
        f"posterior {form.__name__}": lambda form=form: wrapped(real(), posterior=form)
        for form in (multivariate_normal, low_rank_normal, mixture, transformed)
    },
    **{f"prior={name}, real": lambda name=name: real(prior=name) for name in REAL_PRIORS if name != "normal"},
    **{f"prior={name}, bits": lambda name=name: bits(prior=name) for name in BIT_PRIORS if name != "learned"},
    "prior of unknown variance": lambda: wrapped(real(), prior=transformed),
    "conditional": lambda: conditional(0),
    "layers of reals": lambda: vaelab.deep_gaussian_vae(X, layers=[1, 1], hidden_dims=[[4], [3]], seed=0),
    "layers of bits": lambda: vaelab.sbn(X, layers=[2, 1], hidden_dims=[3], seed=0),
    "mean field": lambda: vaelab.sbn(X, layers=[3], inference="mean-field", seed=0),
    "without gradient": lambda: without_gradient(),
}
NO_TRUTH = {"layers of reals", "prior infinite variance"}  # no small grid reaches far enough


def without_gradient():
    model = bits()
    return vaelab.LatentVariableModel(model.prior, Table(), model.posterior)


def rows_of(model, count=10):
    """Rows of the model; where values may be missing, nothing is observed of the first, and less of others."""
    given = None if not model.given else torch.eye(model.given)[torch.arange(count) % model.given]
    x = model.sample(count, seed=1, given=given)
    x = x if given is None else torch.cat([x, given.to(x)], -1)
    if model.may_be_missing:
        x[::3, :3] = torch.nan
        x[0, : x.shape[1] - model.given] = torch.nan
    return x


def truth_of(model, x):
    """The sum over all codes of bits, or that over a grid of one real number: the trapezoidal rule."""
    if model.code == "bits":
        return exact(model, x).values
    z = torch.linspace(-8, 8, 401, dtype=torch.float64).view(-1, 1, 1)
    with torch.no_grad():
        joint = model.prior().log_prob(z) + model.log_likelihood(x, z.expand(-1, len(x), -1))
    return joint.logsumexp(0) + math.log(16 / 400)


def unbiased(log_ratios):
    """The mean ratio is 1 within 5 standard errors, or the ratios are all 1 up to rounding."""
    ratio = log_ratios.exp()
    error = float(ratio.std()) / math.sqrt(len(ratio))
    return abs(float(ratio.mean()) - 1) < 5 * error + 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_every_kernel_and_start_is_unbiased_in_both_directions(name, monkeypatch):
    monkeypatch.setattr(walk, "_FIRST", 5)
    model = sharpened(MODELS[name](), 1.5)
    with suppress(InputError):  # of columns that depend on each other
        model.allow_missing()
    x, truth = rows_of(model).repeat(8, 1), None
    for kernel in (kernel for kernel, kind in KERNELS.items() if kind.code == model.code):
        for start in ("posterior", "prior"):
            found = bracket(model, x, 4, temperatures=6, start=start, kernel=kernel)
            lower, upper, gap = found.lower.values, found.upper.values, found.gap
            if truth is None and name not in NO_TRUTH:
                truth = truth_of(model, found.rows)
            assert found.rows.isnan().equal(x.isnan())
            assert gap.values.isfinite().all()
            assert gap.mean > -5 * gap.standard_error
            assert truth is None or (unbiased(lower - truth) and unbiased(truth - upper)), (kernel, start)
            if model.may_be_missing:
                assert float(lower[0].abs()) < 3  # of a row of which nothing is observed log p(x) is 0


def test_missing_counts_are_refused():
    with pytest.raises(InputError, match="multinomial has no density of some of its columns"):
        real("multinomial").allow_missing()


def test_a_kernel_without_gradient_proposes_by_chance_alone():
    """The bits of a model whose log-density has no gradient are flipped with equal probabilities."""
    model = sharpened(without_gradient())
    estimate = annealed_importance(model, rows_of(model), 4, temperatures=6, start="prior")
    assert 0.1 < estimate.details["acceptance"] < 1

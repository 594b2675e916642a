"""Any module that returns a distribution of the right shapes works as a prior, a likelihood or a posterior."""

import re

import pytest
import torch
import zuko
from torch import nn
from torch.distributions import Bernoulli, Categorical, Distribution, Independent, MixtureSameFamily, Normal

from tests.laws import D, X, binary_data, observations_of
from vaelab import fit
from vaelab.distributions import kind_of_code
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS
from vaelab.evaluation import evaluate
from vaelab.likelihoods import BernoulliLikelihood
from vaelab.models import LatentVariableModel, bernoulli_vae, gaussian_vae
from vaelab.objectives import ELBO, IWAE
from vaelab.posteriors import BernoulliPosterior, GaussianPosterior
from vaelab.priors import BernoulliPrior, GaussianPrior

Distribution.set_default_validate_args(True)  # zuko, when imported, switches it off for the whole process


class Part(nn.Module):
    """A linear network of the input, or plain parameters where there is none, and a distribution of its output."""

    def __init__(self, inputs, outputs, form):
        super().__init__()
        self.weights = nn.Linear(max(inputs, 1), outputs)
        self.form = form

    def forward(self, x=None):
        return self.form(self.weights.bias if x is None else self.weights(x))


def normal(features):
    loc, log_scale = features.chunk(2, -1)
    return Independent(Normal(loc, log_scale.exp()), 1)


def bits(features):
    return Independent(Bernoulli(logits=features), 1)


def mixture(form, components=2):
    """A mixture whose weights are the first of the features."""

    def build(features):
        weights, others = features.split([components, features.shape[-1] - components], -1)
        return MixtureSameFamily(Categorical(logits=weights), form(others.unflatten(-1, (components, -1))))

    return build


def flow(kind, size, context, **options):
    """One of zuko's flows: a module from a context, if there is one, to a distribution over R^size."""
    return kind(size, context, transforms=1, hidden_features=[8], **options)


# name -> (size of a vector, size of the input) -> module
REAL = {
    "Independent(Normal)": lambda size, inputs: Part(inputs, 2 * size, normal),
    "mixture of normals": lambda size, inputs: Part(inputs, 2 + 4 * size, mixture(normal)),
    "neural spline flow": lambda size, inputs: flow(zuko.flows.NSF, size, inputs),
    "masked autoregressive flow": lambda size, inputs: flow(zuko.flows.MAF, size, inputs),
}
BITS = {
    "Independent(Bernoulli)": lambda size, inputs: Part(inputs, size, bits),
    "mixture of Bernoullis": lambda size, inputs: Part(inputs, 2 + 2 * size, mixture(bits)),
}


def model_of(code, role, build):
    """A small model of vaelab's parts, but for one."""
    parts = {
        "real": {"prior": GaussianPrior(D), "posterior": GaussianPosterior(X, D)},
        "bits": {"prior": BernoulliPrior(D, learned=True), "posterior": BernoulliPosterior(X, D)},
    }[code]
    parts["likelihood"] = BernoulliLikelihood(D, X)
    sizes = {"prior": (D, 0), "likelihood": (X, D), "posterior": (D, X)}[role]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        parts[role] = build(*sizes)
    return LatentVariableModel(**parts)


CASES = [
    *(("real", "prior", name) for name in REAL),
    *(("real", "posterior", name) for name in REAL),
    *(("real", "likelihood", name) for name in (*REAL, *BITS)),
    *(("bits", role, name) for role in ("prior", "posterior", "likelihood") for name in BITS),
]
MODELS = pytest.mark.parametrize(("code", "role", "name"), CASES, ids=[" ".join(case) for case in CASES])


def build(code, role, name):
    return model_of(code, role, {**REAL, **BITS}[name])


@MODELS
def test_a_bound_is_the_formula_of_the_parts(code, role, name):
    model, x = build(code, role, name), observations_of().float()
    assert model.code == code
    assert (model.latent_dim, model.data_dim) == (D, X)
    q = model.posterior(x)
    torch.manual_seed(1)
    z = q.sample((7,))
    log_w = model.prior().log_prob(z) + model.likelihood(z).log_prob(x.expand(7, -1, -1)) - q.log_prob(z)
    torch.manual_seed(1)
    iwae = model.bound(x, 7, IWAE())
    assert torch.allclose(iwae, log_w.exp().mean(0).log(), rtol=1e-4)
    assert model.sample(4).shape == (4, X)


# What an estimator asks of a part that torch's distributions may lack, and the words in which it says so.
LACKS = "of independent bits|a posterior made of normal noise|differentiable|parameters can be held constant"
NEED_BERNOULLI = {name for name, kind in ESTIMATORS.items() if kind.codes == {"bits"}} - {"exact", "mean-field"}
NEED_NORMAL_OR_CONSTANT = {
    *("exact", "sticking-the-landing", "doubly-reparameterised", "wake-sleep", "reweighted-wake-sleep"),
}
REFUSED = {
    ("real", "posterior", "mixture of normals"): {
        "exact",
        "pathwise",
        "sticking-the-landing",
        "doubly-reparameterised",
    },
    ("real", "posterior", "neural spline flow"): NEED_NORMAL_OR_CONSTANT,
    ("real", "posterior", "masked autoregressive flow"): NEED_NORMAL_OR_CONSTANT,
    ("bits", "posterior", "mixture of Bernoullis"): NEED_BERNOULLI - {"straight-through"},
    ("bits", "prior", "mixture of Bernoullis"): {"concrete"},
}


@pytest.mark.parametrize("objective", [ELBO(), IWAE()], ids=["elbo", "iwae"])
@MODELS
def test_every_estimator_works_with_the_part_or_says_what_it_lacks(code, role, name, objective):
    x, refused = observations_of().float(), {}
    for estimator, kind in ESTIMATORS.items():
        if code not in kind.codes or kind.inference == "mean-field" or objective.name not in kind.objectives():
            continue
        model = build(code, role, name)
        torch.manual_seed(2)
        try:
            estimate = kind(model, samples=2)(model, objective, x)
        except InputError as error:
            refused[estimator] = str(error)
            continue
        assert estimate.bound.isfinite().all(), estimator
        part = getattr(model, role)
        gradients = torch.autograd.grad(estimate.surrogate.sum(), [*part.parameters()], allow_unused=True)
        reached = [gradient for gradient in gradients if gradient is not None and gradient.abs().max() > 0]
        assert reached, estimator
        assert all(gradient.isfinite().all() for gradient in reached), estimator
    asked = REFUSED.get((code, role, name), set())
    assert all(re.search(LACKS, sentence) and "\n" not in sentence for sentence in refused.values())
    assert set(refused) == {one for one in asked if objective.name in ESTIMATORS[one].objectives()}


@MODELS
def test_it_is_trained_and_evaluated(code, role, name):
    model, data = build(code, role, name), binary_data()
    estimator = ESTIMATORS["score-function"](model, samples=4)
    fit(model, data, estimator=estimator, steps=5)
    result = evaluate(model, data, samples=5, bounds=("elbo", "iwae"))
    assert torch.tensor(result["elbo"].value).isfinite()


def test_a_mean_or_mode_that_torch_has_not_is_said_in_a_sentence():
    x = observations_of().float()
    with pytest.raises(InputError, match="posterior: expected a distribution whose mean is known; NormalizingFlow has"):
        build("real", "posterior", "neural spline flow").encode(x)
    with pytest.raises(InputError, match="likelihood: expected a distribution whose mode is known; MixtureSameFam"):
        build("real", "likelihood", "mixture of Bernoullis").sample(2, kind="mode")


@pytest.mark.parametrize(("form", "code"), [*((form, "real") for form in REAL), *((form, "bits") for form in BITS)])
def test_the_kind_of_code_is_that_of_the_support(form, code):
    assert kind_of_code({**REAL, **BITS}[form](D, 0)()) == code


def test_a_part_takes_its_input_by_name():
    model, x = gaussian_vae(X, latent_dim=D, seed=0), observations_of().float()
    assert torch.equal(model.posterior(x=x).mean, model.posterior(x).mean)
    assert model.likelihood(z=torch.zeros(4, 2, D)).batch_shape == (4, 2)


def test_builders_take_a_flow_as_prior():
    prior = lambda size: flow(zuko.flows.NSF, size, 0)  # noqa: E731
    model = gaussian_vae(X, latent_dim=D, prior=prior)
    assert model.bound(observations_of().float()).isfinite().all()
    with pytest.raises(
        InputError, match="prior: expected codes of the posterior's kind 'bits'; got a prior over 'real'"
    ):
        bernoulli_vae(X, latent_dim=D, prior=prior)

"""Parts that a user brings: torch's own distributions, every kind of number, and what is refused in a sentence."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import (
    Bernoulli as TorchBernoulli,
)
from torch.distributions import (
    Categorical,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.distributions.transforms import AffineTransform

from tests.laws import B, D, X, binary_data, build, gradients, observations_of
from vaelab import fit
from vaelab.distributions import Bernoulli, DiagonalNormal, map_parameters
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, BernoulliEstimator, MeanFieldEM
from vaelab.evaluation import active_units, encode_means, evaluate
from vaelab.inference import Enumeration, MeanField, complete, linear_weights
from vaelab.likelihood import elbo, exact, importance_weighted, prior_average
from vaelab.models import LatentVariableModel, sbn
from vaelab.objectives import ELBO, IWAE

OBJECTIVES = {"elbo": ELBO(), "sampled": ELBO(kl="sampled"), "iwae": IWAE()}


def independent_bits(q):
    return Independent(TorchBernoulli(logits=q.logits), 1)


def independent_probabilities(q):
    return Independent(TorchBernoulli(probs=q.mean), 1)


def independent_normal(q):
    return Independent(Normal(q.loc, q.stddev), 1)


def multivariate_normal(q):
    return MultivariateNormal(q.loc, scale_tril=torch.diag_embed(q.stddev))


def low_rank_normal(q):
    return LowRankMultivariateNormal(q.loc, 0 * q.loc.unsqueeze(-1), q.variance)


def mixture(q):
    """A mixture of two halves that are the same."""
    two = q.map_parameters(lambda parameter: torch.stack([parameter, parameter], -2))
    component = independent_bits(two) if isinstance(q, Bernoulli) else independent_normal(two)
    weights = Categorical(logits=component.mean[..., 0].detach() * 0)
    return MixtureSameFamily(weights, component)


def transformed(q):
    """A distribution of which torch does not say what its parameters are."""
    return TransformedDistribution(independent_normal(q), [AffineTransform(0.0, 1.0, event_dim=1)])


class Other(nn.Module):
    """A part that returns the same law in another form; it has no attribute ``code``."""

    def __init__(self, part, form):
        super().__init__()
        self.part, self.form = part, form

    def forward(self, *inputs):
        return self.form(self.part(*inputs))


def wrapped(model, posterior=None, prior=None, likelihood=None):
    """Return the model with parts that return other distributions; the parameters are shared."""
    parts = (model.prior, prior), (model.likelihood, likelihood), (model.posterior, posterior)
    return LatentVariableModel(*(Other(part, form) if form else part for part, form in parts))


def estimate_of(name, model, objective, samples=2):
    """The surrogate and its gradients under a fixed seed, or the sentence that refuses them."""
    x = observations_of()
    try:
        torch.manual_seed(3)
        estimator = ESTIMATORS[name](model, samples=samples)
        estimator.check(model, objective)
        torch.manual_seed(5)
        estimate = estimator(model, objective, x)
    except InputError as refusal:
        return str(refusal)
    return [*estimate[:4], *gradients(model, estimate.surrogate.sum()).values()]


CONVERTED = [
    ("bits, learned prior", {"posterior": independent_bits, "prior": independent_bits, "likelihood": independent_bits}),
    ("bits, learned prior", {"posterior": independent_probabilities}),
    ("gaussian", {"posterior": independent_normal, "prior": independent_normal, "likelihood": independent_bits}),
]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("kind", "forms"), CONVERTED)
def test_torchs_independent_distributions_give_the_estimate_of_our_own(kind, forms, name, objective):
    """Same seed, same numbers: to the last digit where logits are given, else to the rounding of log and exp."""
    model = build(kind)
    ours = estimate_of(name, model, OBJECTIVES[objective])
    theirs = estimate_of(name, wrapped(model, **forms), OBJECTIVES[objective])
    if isinstance(ours, str):
        assert isinstance(theirs, str)
        return
    assert not isinstance(theirs, str), theirs
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-10)


# form -> (kind, what a posterior of it cannot do): the estimators that refuse it, and the words with which they do
NEEDS_BITS = {
    *(name for name, kind in ESTIMATORS.items() if issubclass(kind, BernoulliEstimator)),
    *("disarm", "concrete", "half", "gumbel-straight-through"),
}
NEEDS_NUMBERS = {"exact": "posterior made of normal noise"}
OTHERS = [
    ("gaussian", multivariate_normal, NEEDS_NUMBERS),
    ("gaussian", low_rank_normal, NEEDS_NUMBERS),
    (
        "gaussian",
        mixture,
        NEEDS_NUMBERS | dict.fromkeys(("pathwise", "sticking-the-landing", "doubly-reparameterised"), "differentiable"),
    ),
    (
        "gaussian",
        transformed,
        NEEDS_NUMBERS
        | dict.fromkeys(
            ("sticking-the-landing", "doubly-reparameterised", "wake-sleep", "reweighted-wake-sleep", "sampled"),
            "parameters can be held constant",
        ),
    ),
    ("bits, learned prior", mixture, dict.fromkeys(NEEDS_BITS, "posterior of independent bits")),
]


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize(("kind", "form", "refused"), OTHERS)
def test_other_distributions_work_with_every_estimator_that_can_use_them(kind, form, refused, name, objective):
    """The others refuse them in one sentence; a bound is never a number without a gradient."""
    model = build(kind)
    if kind == "gaussian":
        model.prior.double()
    with torch.no_grad():
        for weight in model.posterior.parameters():
            weight.mul_(0.3)
    ours = estimate_of(name, model, OBJECTIVES[objective])
    theirs = estimate_of(name, wrapped(model, posterior=form), OBJECTIVES[objective])
    words = refused.get(name) or refused.get(objective)
    if isinstance(ours, str) or words:
        assert isinstance(theirs, str)
        assert "\n" not in theirs
        if not isinstance(ours, str):
            assert words in theirs
        return
    assert not isinstance(theirs, str), theirs
    assert all(part.isfinite().all() for part in theirs)
    encoder = [part for part in theirs[4:] if part.abs().max() > 0]
    assert len(encoder) > 4  # gradients reach the encoder and the decoder


def test_the_density_of_a_mixture_of_bits_takes_relaxed_codes():
    """Whatever torch's check of values says: control variates read the prior between zero and one."""
    model = build("bits, learned prior")
    prior = wrapped(model, prior=mixture).prior()
    z = torch.rand(4, 2, D).double()
    assert torch.allclose(prior.log_prob(z), model.prior().log_prob(z))
    for name in ("rebar", "relax", "muprop", "double-cv"):
        for objective in (ELBO(), ELBO(kl="sampled")):
            assert not isinstance(estimate_of(name, wrapped(model, prior=mixture), objective), str)
    assert "needs a prior of independent bits" in estimate_of("concrete", wrapped(model, prior=mixture), ELBO())


def test_parameters_pass_through_a_function_in_every_form_that_torch_names():
    q, z = build("gaussian").posterior(observations_of()), torch.randn(4, B, D).double()
    for form in (independent_normal, multivariate_normal, low_rank_normal, mixture):
        kept = map_parameters(form(q), torch.Tensor.detach)
        assert torch.allclose(kept.log_prob(z), q.log_prob(z))
        assert not kept.log_prob(z).requires_grad
    assert map_parameters(q, lambda parameter: 2 * parameter).mean.equal(2 * q.mean)


@pytest.mark.parametrize(
    ("kind", "code"), [("gaussian", "real"), ("bits, learned prior", "bits"), ("two layers of bits", "bits")]
)
def test_without_the_attribute_code_the_prior_says_what_a_code_is(kind, code):
    model = build(kind)
    assert wrapped(model, posterior=lambda q: q, prior=lambda p: p).code == code


def test_a_model_of_custom_parts_trains_copies_and_pickles():
    model = build("gaussian").float()
    custom = wrapped(model, posterior=independent_normal, likelihood=independent_bits)
    twin, again = copy.deepcopy(custom), pickle.loads(pickle.dumps(wrapped(model, independent_normal)))
    assert isinstance(again.posterior(observations_of().float()), DiagonalNormal)
    fit(model, binary_data(), steps=3)
    fit(twin, binary_data(), steps=3)
    weights = dict(model.named_parameters())
    for name, weight in twin.named_parameters():
        assert torch.allclose(weight, weights[name.replace("part.", "")], atol=1e-5)


WRONG = [
    (
        {"posterior": lambda q: q.loc},
        "posterior: expected a module that returns a torch distribution; it returned Tens",
    ),
    ({"posterior": lambda q: Normal(q.loc, q.stddev)}, r"posterior: expected a distribution over vectors.*Independent"),
    ({"likelihood": lambda p: TorchBernoulli(logits=p.logits)}, r"likelihood: expected a distribution over vectors"),
    (
        {"likelihood": lambda p: Bernoulli(p.logits[0])},
        r"likelihood: expected a distribution of batch shape \(1, [12]\)",
    ),
    (
        {"likelihood": lambda p: Bernoulli(p.logits[..., :1])},
        "x: expected 1 columns, as p.x.z. of the model has; got 5",
    ),
    (
        {"posterior": lambda q: DiagonalNormal(q.loc[0], q.log_scale[0])},
        r"posterior: .* batch shape \(2,\), one for each row",
    ),
    ({"prior": lambda p: p.loc}, "prior: expected a module that returns a torch distribution"),
]


@pytest.mark.parametrize(("forms", "sentence"), WRONG)
@pytest.mark.parametrize(
    "use",
    [
        lambda model, x: model.bound(x),
        lambda model, x: model.bound(x, 1, IWAE()),
        lambda model, x: ESTIMATORS["pathwise"](model, 1)(model, ELBO(), x),
        lambda model, x: ESTIMATORS["score-function"](model, 1, "none")(model, IWAE(), x),
    ],
)
def test_parts_that_do_not_fit_are_refused_and_never_repeated_in_silence(forms, sentence, use):
    with pytest.raises(InputError, match=sentence):
        use(wrapped(build("gaussian"), **forms), observations_of())


@pytest.mark.parametrize("objective", [ELBO(), IWAE()])
def test_a_prior_of_another_size_is_refused(objective):
    model = wrapped(build("gaussian"), prior=lambda p: DiagonalNormal(p.loc[:1], p.log_scale[:1]))
    with pytest.raises(InputError, match="posterior: expected codes of 1 numbers, as the prior has; got 3"):
        model.bound(observations_of(), 1, objective)
    with pytest.raises(InputError, match="likelihood: expected a module that decodes 1 numbers, as the prior has; "):
        ESTIMATORS["pathwise"](model, 1)


def test_parts_that_are_none():
    model = build("gaussian")
    with pytest.raises(InputError, match="likelihood: expected a torch module that returns a distribution"):
        LatentVariableModel(model.prior, lambda z: None, model.posterior)
    model.posterior.code = "number"
    with pytest.raises(InputError, match=r"posterior\.code: expected one of real, bits, point; got 'number'"):
        LatentVariableModel(model.prior, model.likelihood, model.posterior)


# ---------------------------------------------------------------- every kind of number, at every door

KINDS = {
    "float64": lambda x: x.double(),
    "bool": lambda x: x.bool(),
    "uint8": lambda x: x.to(torch.uint8),
    "int64": lambda x: x.long(),
    "NumPy float64": lambda x: x.double().numpy(),
    "NumPy bool": lambda x: x.bool().numpy(),
    "NumPy int8": lambda x: x.to(torch.int8).numpy(),
    "NumPy, backwards and read-only": lambda x: np.broadcast_to(x.numpy()[:, ::-1][:, ::-1], x.shape),
}
HALF = torch.arange(X) < 2
NETWORK = sbn(X, layers=[D])
DOORS = {
    "bound": lambda m, x: m.bound(x, 3),
    "iwae": lambda m, x: m.bound(x, 3, IWAE()),
    "encode": lambda m, x: m.encode(x),
    "reconstruct": lambda m, x: m.reconstruct(x),
    "log_joint": lambda m, x: m.log_joint(x, torch.ones(2, B, D)),
    "log_weight": lambda m, x: m.log_weight(x, torch.ones(2, B, D), m.posterior(observations_of().float())),
    "score-function": lambda m, x: ESTIMATORS["score-function"](m, 2)(m, ELBO(), x).surrogate,
    "reweighted-wake-sleep": lambda m, x: ESTIMATORS["reweighted-wake-sleep"](m, 2)(m, IWAE(), x).surrogate,
    "elbo": lambda m, x: elbo(m, x).values,
    "importance_weighted": lambda m, x: importance_weighted(m, x, 3).values,
    "prior_average": lambda m, x: prior_average(m, x, 3).values,
    "exact": lambda m, x: exact(m, x).values,
    "encode_means": encode_means,
    "active_units": lambda m, x: torch.tensor(active_units(m, x)["active_units"]),
    "enumeration": lambda m, x: Enumeration(m).log_likelihood(x),
    "enumeration, known": lambda m, x: Enumeration(m).log_likelihood(x, known=HALF),
    "enumeration, draws": lambda m, x: Enumeration(m).sample(x, 2),
    "complete": lambda m, x: complete(m, x, HALF, seed=0)[1],
    "complete, NumPy mask": lambda m, x: complete(m, x, HALF.numpy(), seed=0)[1],
    "mean field": lambda m, x: _field_bound(x),
    "mean-field estimator": lambda m, x: _mean_field_bound(sbn_of_one_layer(), x),
}


def sbn_of_one_layer():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return sbn(X, layers=[D], inference="mean-field")


def _mean_field_bound(model, x):
    return MeanFieldEM(model)(model, ELBO(), x).bound


def _field_bound(x):
    field = MeanField([linear_weights(NETWORK.likelihood)], torch.zeros(D))
    return field.bound(x, field.infer(x))


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_every_kind_of_number(door):
    """Same seed, same numbers; and what is no observation is refused in the same words."""
    model, x = build("bits, learned prior").float(), observations_of().float()
    torch.manual_seed(1)
    expected = DOORS[door](model, x)
    for kind, of in KINDS.items():
        torch.manual_seed(1)
        assert torch.equal(DOORS[door](model, of(x)), expected), kind
    for wrong, words in (
        (x.to("meta"), "x: expected a tensor on cpu, where the model is; got one on meta"),
        (x[0], r"x: expected a tensor or an array of observations, shape \(B, X\)"),
        (x + 1, r"x: expected bits or numbers in \[0, 1\]"),
        (x.double().numpy() * np.nan, "x: expected bits or numbers .* got NaN"),
        (np.array([["0", "1"]]), "x: expected a tensor or an array of observations"),
    ):
        if door == "mean field" and "NaN" in words:
            continue  # no model: it takes NaN as a missing value
        with pytest.raises(InputError, match=words):
            DOORS[door](model, wrong)


def test_codes_of_every_kind_of_number_are_decoded():
    model, z = build("gaussian").float(), torch.randint(0, 2, (4, D))
    expected = model.decode(z.float())
    for kind in (z, z.bool(), z.double(), z.numpy(), z.double().numpy()):
        assert torch.equal(model.decode(kind), expected)
    for wrong, words in (
        (z.to("meta"), "z: expected a tensor on cpu"),
        (torch.full((4, D), torch.nan), "z: expected codes of finite numbers"),
        ([[1.0] * D], "z: expected a tensor or an array of codes"),
        (torch.tensor(1.0), "z: .* a single number"),
    ):
        with pytest.raises(InputError, match=words):
            model.decode(wrong)


def test_a_training_step_checks_nothing_again(monkeypatch):
    """The loop's data were checked when they were read: a step casts and compares no observation."""
    from vaelab.models import model as room

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr(room, "as_observations", never)
    fit(build("gaussian").float(), binary_data(), steps=2)
    assert binary_data().test.observations().dim == X


def test_a_posterior_without_a_mean_is_evaluated_all_the_same(caplog):
    model, data = wrapped(build("gaussian"), posterior=transformed).float(), binary_data()
    with pytest.raises(InputError, match="posterior: expected a distribution whose mean is known; Transformed"):
        model.encode(torch.ones(2, X))
    names = [record.name for record in evaluate(model, data, samples=3)]
    assert names == ["elbo", "reconstruction", "kl", "iwae-3"]
    assert "active units left out" in caplog.text

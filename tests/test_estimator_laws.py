"""Room: estimators. Every estimator against enumeration, and what surrounds the laws: refusals, training, cost."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from tests.laws import draws
from tests.laws import table as laws
from tests.laws.biases import EXPECTED
from tests.laws.exact import gradients_of_parts
from tests.laws.models import X, observations_of
from vaelab.data import Dataset, Split
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Expectation, Rebar, Rodeo, Sizes
from vaelab.estimators.baselines import BASELINES
from vaelab.estimators.relaxation import conditional_noise, logistic, tied_slope
from vaelab.models import autoencoder, sbn
from vaelab.objectives import ELBO, IWAE, OBJECTIVES, TVO, Reconstruction
from vaelab.settings import resolve
from vaelab.training import fit

NAMES = [row.name for row in laws.ROWS]


def find(estimator, objective="elbo", samples=None, bits=None, kind="bits", **options):
    """The first row of the table that fits."""
    for row in laws.ROWS:
        if (
            (row.estimator, row.objective, row.kind) == (estimator, objective, kind)
            and samples in (None, row.samples)
            and bits in (None, row.bits)
            and options.items() <= row.options.items()
        ):
            return row
    raise LookupError(estimator)


# ---------------------------------------------------------------- the laws


@pytest.mark.parametrize("row", laws.ROWS, ids=NAMES)
def test_the_expected_gradient_is_the_exact_gradient(row):
    ours, exact = laws.expectation(row)
    for part in laws.PARTS:
        if not exact[part].numel():
            assert row.kind == "real"
            continue
        assert exact[part].abs().max() > 0.01, "a law about zero proves nothing"
        if part not in row.biased:
            assert (ours[part] - exact[part]).abs().max() < row.tolerance, part


@pytest.mark.parametrize("row", [row for row in laws.ROWS if row.objective == "elbo"], ids=lambda row: row.name)
def test_the_law_holds_with_the_kl_sampled_as_well(row):
    found = laws.deviations(row, laws.SAMPLED)
    assert all(value < row.tolerance for part, value in found.items() if part not in row.biased), found


OF_FREE_BITS = [
    row
    for row in laws.ROWS
    if row.objective == "elbo" and row.kind in ("bits", "real") and ESTIMATORS[row.estimator].supports_free_bits
]


@pytest.mark.parametrize("row", OF_FREE_BITS, ids=lambda row: row.name)
def test_the_law_holds_with_free_bits_as_well(row):
    found = laws.deviations(row, laws.FREE)
    assert all(value < row.tolerance for part, value in found.items() if part not in row.biased), found


@pytest.mark.parametrize("row", [row for row in laws.ROWS if row.biased], ids=lambda row: row.name)
def test_a_biased_estimator_estimates_what_a_second_formula_says(row):
    """The second formula is exact too: enumeration, or quadrature of another form."""
    ours, exact = laws.expectation(row)
    formula, parts = EXPECTED[row.estimator]
    expected = formula(row)
    assert row.goal.combination in ESTIMATORS[row.estimator].biased
    for part in parts:
        if exact[part].numel():
            assert (ours[part] - expected[part]).abs().max() < max(row.tolerance, 1e-8), part
    bias, size = (part.square().mean().sqrt() for part in (expected["encoder"] - exact["encoder"], exact["encoder"]))
    print(f"{row.name}: root mean square bias {bias:.6f}, of a gradient of {size:.6f}")
    assert bias > 0.001


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_an_estimate_without_gradients_has_the_same_numbers(name, mode):
    goal, x = ELBO(), observations_of()
    if name == "mean-field":
        model = sbn(X, layers=[2], inference="mean-field", seed=0).double()
        estimator = ESTIMATORS[name](model).eval()
    else:
        row = next(row for row in laws.ROWS if row.estimator == name)
        model, goal = laws.build_model(row.kind, row.bits), row.goal
        estimator = row.build(model).eval()
    torch.manual_seed(0)
    expected = estimator(model, goal, x)
    torch.manual_seed(0)
    with mode():
        found = estimator(model, goal, x)
    assert torch.equal(found.bound, expected.bound)
    assert torch.equal(found.surrogate, expected.surrogate)
    assert not found.surrogate.requires_grad


def test_every_estimator_and_every_objective_it_is_defined_for_has_a_row():
    defined = {
        (name, objective)
        for name, kind in ESTIMATORS.items()
        for objective in kind.objectives()
        if objective != "reconstruction"
    }
    defined -= {("mean-field", "elbo")}  # its laws are those of mean-field inference: tests/test_mean_field.py
    assert {(row.estimator, row.objective) for row in laws.ROWS} == defined
    unbiased = {(row.estimator, row.objective) for row in laws.ROWS if not row.biased}
    assert unbiased == {pair for pair in defined if OBJECTIVES[pair[1]].combination not in ESTIMATORS[pair[0]].biased}
    layered = {pair for pair in defined if ESTIMATORS[pair[0]].layered}
    assert {(row.estimator, row.objective) for row in laws.ROWS if "chain" in row.kind} == layered
    assert len(set(NAMES)) == len(NAMES)


# ---------------------------------------------------------------- that the laws can fail

WRONG = {
    "leave-one-out, fed pairs": (find("score-function", samples=2, baseline="leave-one-out"), draws.pairs),
    "VIMCO, fed pairs": (find("score-function", "iwae", samples=2, baseline="leave-one-out"), draws.pairs),
    "DisARM, fed independent codes": (find("disarm", samples=2), draws.codes),
    "ARMS, fed independent codes": (find("arms", samples=3, copula="dirichlet"), draws.codes),
    "ARMS, fed the other copula": (
        find("arms", samples=3, copula="gaussian"),
        find("arms", samples=3, copula="dirichlet").law,
    ),
    "double CV, fed pairs": (find("double-cv", samples=2), draws.pairs),
    "RODEO, fed pairs": (find("rodeo", samples=2), draws.pairs),
    "bitflip, fed flips of rare bits alone": (
        find("bitflip", samples=1),
        draws.with_flips(draws.codes, draws.rare_bits),
    ),
    "UGC, fed flips of all bits": (find("ugc", samples=2), draws.with_flips(draws.pairs, draws.all_bits, 2)),
    "UGC, fed independent codes": (find("ugc", samples=2), draws.with_flips(draws.codes, draws.rare_bits, 2)),
}


@pytest.mark.parametrize("row, law", WRONG.values(), ids=WRONG.keys())  # noqa: PT006
def test_codes_drawn_by_another_law_are_noticed(row, law):
    ours, exact = laws.expectation(row, law)
    assert (ours["encoder"] - exact["encoder"]).abs().max() > 1e-3


def test_a_term_left_out_of_a_control_variate_is_noticed(monkeypatch):
    """Double CV without its correction, REBAR without the path through the noise given the bit."""
    with monkeypatch.context() as patch:
        patch.setattr(Bernoulli, "variance", property(lambda q: torch.zeros_like(q.logits)))
        ours, exact = laws.expectation(find("double-cv", samples=3))
    assert (ours["encoder"] - exact["encoder"]).abs().max() > 1e-3
    for estimator, function, without in (
        ("rebar", "tied_slope", lambda *given: torch.zeros_like(given[0])),
        ("relax", "conditional_noise", lambda *given: conditional_noise(*given).detach()),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"vaelab.estimators.rebar.{function}", without)
            ours, exact = laws.expectation(find(estimator, bits=1))
        assert (ours["encoder"] - exact["encoder"]).abs().max() > 1e-3


# ---------------------------------------------------------------- what is drawn

COUPLED = [
    find("score-function", samples=2, bits=2),
    find("disarm", samples=4),
    find("disarm", "iwae", samples=2),
    find("disarm", samples=2, kind=laws.CHAIN),
    find("disarm", samples=2, kind=laws.DEEP),
    find("arms", samples=4),
    find("arms", samples=3, copula="gaussian"),
    find("arms", "iwae", samples=2),
]


@pytest.mark.parametrize("row", COUPLED, ids=lambda row: row.name)
def test_draws_follow_the_law_that_was_enumerated(row):
    """Chi-square of the joint law of one bit a layer over 200 000 draws; false alarms below 1e-6 a test, seeded."""
    model, x = laws.build_model(row.kind, 1), observations_of()
    count = 200_000
    with torch.no_grad():
        drawn, weight = row.law(model, x, row.samples)  # (M, S B, D)
        wide = model.posterior(x.repeat(count, 1))
        torch.manual_seed(11)
        expectation = Expectation(model, row.goal, x.repeat(count, 1), wide)
        seen = row.build(model).draw(expectation)  # (M, count B, D)
    cells = 2 ** (len(seen) * seen.shape[-1])
    powers = 2 ** torch.arange(len(seen) * seen.shape[-1])
    for b in range(len(x)):
        keys, outcome = (part[:, b :: len(x)].transpose(0, 1).flatten(1).long() @ powers for part in (seen, drawn))
        frequency = torch.bincount(keys, minlength=cells)
        expected = torch.zeros(cells).double().index_add(0, outcome, weight[b :: len(x)]) * count
        assert frequency[expected < 1e-9].sum() == 0
        kept = expected > 1e-9
        degrees = int(kept.sum()) - 1
        statistic = ((frequency - expected).square() / expected)[kept].sum()
        z = ((statistic / degrees) ** (1 / 3) - 1 + 2 / (9 * degrees)) / math.sqrt(2 / (9 * degrees))  # Wilson-Hilferty
        assert z < 4.8


def test_relaxed_draws_given_a_bit_are_the_draws_that_give_that_bit():
    logits = torch.tensor([-2.0, 0.3, 5.0, 80.0, -90.0]).double()
    u = torch.linspace(0.001, 0.999, 999).double().unsqueeze(-1)
    p = torch.sigmoid(logits)
    for bit in (0.0, 1.0):
        ours = conditional_noise(u, logits, torch.tensor(bit))
        assert ours.isfinite().all()
        assert ((ours > 0) == bool(bit)).all()
        plain = logistic(1 - p + u * p if bit else (1 - u) * (1 - p), logits)
        moderate = logits.abs() < 10
        assert torch.allclose(ours[:, moderate], plain[:, moderate], atol=1e-9)


def test_tied_slope_is_that_of_the_conditional_noise_at_the_quantile_of_its_own_value():
    logits = torch.tensor([-2.0, 0.3, 5.0]).double().requires_grad_()
    p = torch.sigmoid(logits).detach()
    for bit in (0.0, 1.0):
        v = torch.linspace(0.01, 0.99, 99).double().unsqueeze(-1)
        conditional = conditional_noise(v, logits, torch.tensor(bit))
        z = logistic(1 - p + v * p if bit else (1 - v) * (1 - p), logits)
        assert torch.allclose(z, conditional, atol=1e-9)
        (theirs,) = torch.autograd.grad(conditional.square().sum(), logits)
        ours = (2 * z * tied_slope(z, logits)).sum(0)
        assert torch.allclose(ours, theirs, atol=1e-8)


# ---------------------------------------------------------------- laws of single estimators


def test_nvil_shortens_the_encoder_gradient_and_changes_nothing_else():
    row = find("score-function", samples=1, baseline="network")
    for objective in ("elbo", "iwae"):
        prime = laws.learnt(centre__total=-1.2, centre__weight=1.0, variance__total=9.0, variance__weight=1.0)
        ours, exact = laws.expectation(replace(row, objective=objective, prime=prime))
        assert torch.allclose(3 * ours["encoder"], exact["encoder"], atol=1e-9)
        assert torch.allclose(ours["decoder"], exact["decoder"], atol=1e-9)
        assert torch.allclose(ours["prior"], exact["prior"], atol=1e-9)


ADAPTIVE = [find("rebar", bits=1), find("relax"), find("double-cv", samples=3), find("rodeo", samples=3)]


@pytest.mark.parametrize("row", ADAPTIVE, ids=lambda row: row.name)
def test_the_auxiliary_gradient_is_that_of_the_mean_square_and_never_reaches_the_model(row):
    """Against central differences of mean |g|^2, g what flows into the logits; g's mean does not depend on them."""
    model, x = laws.build_model(row.kind, row.bits), observations_of().repeat(8, 1)
    estimator, objective = row.build(model).train(), laws.OBJECTIVES[row.objective]
    q = Bernoulli(model.posterior(x).logits.detach().requires_grad_())
    drawn = estimator.draw(Expectation(model, objective, x, q))

    def mean_square():
        surrogate = estimator.score(Expectation(model, objective, x, q), drawn).surrogate
        without_kl = surrogate + objective.beta * model.kl(q)
        return torch.autograd.grad(without_kl.sum(), q.logits)[0].square().sum(-1).mean().item()

    own = list(estimator.parameters())
    estimate = estimator.score(Expectation(model, objective, x, model.posterior(x)), drawn)
    ours = torch.autograd.grad(estimate.auxiliary, own, retain_graph=True, allow_unused=True)
    for parameter, gradient in zip(own, ours, strict=True):
        flat = parameter.data.view(-1)
        kept, step = flat[0].item(), 1e-5
        flat[0] = kept + step
        above = mean_square()
        flat[0] = kept - step
        difference = (above - mean_square()) / (2 * step)
        flat[0] = kept
        assert gradient.flatten()[0].item() == pytest.approx(difference, rel=1e-5, abs=1e-7)
    reached = [weight for weight in model.parameters() if weight.requires_grad]
    assert not any(part is not None for part in torch.autograd.grad(estimate.auxiliary, reached, allow_unused=True))


def test_the_pieces_of_rodeo_are_its_network():
    """The lookup against the network evaluated unit by unit, values and gradients, for every other code and flip."""
    torch.manual_seed(5)
    estimator = Rodeo(laws.build_model("bits", 2), samples=3)
    z, f = torch.rand(3, 4, 6).round().double(), 50 * torch.randn(3, 4).double()
    slopes = 3 * torch.randn(3, 4, 6).double()
    here, flipped = estimator._surrogates(z, f, slopes)

    def network(value, prediction):
        inputs = torch.stack([value.unsqueeze(-1).expand_as(prediction), prediction], -1)
        return estimator.output(torch.nn.functional.leaky_relu(estimator.hidden(inputs), 0.3))

    others = {k: [j for j in range(3) if j != k] for k in range(3)}
    at = {(j, k): (slopes[j] * (z[k] - z[j])).sum(-1, keepdim=True) for k in others for j in others[k]}
    plain = torch.stack([sum(network(f[j], at[j, k]) for j in others[k]) / 2 for k in others])
    moves = {pair: value + slopes[pair[0]] * (1 - 2 * z[pair[1]]) for pair, value in at.items()}
    after = torch.stack([sum(network(f[j], moves[j, k]) for j in others[k]) / 2 for k in others])
    assert torch.allclose(here, plain, rtol=1e-12)
    assert torch.allclose(flipped, after, rtol=1e-12)
    own = [*estimator.hidden.parameters(), *estimator.output.parameters()]
    ours = torch.autograd.grad((here.square().sum() + flipped.square().sum()), own)
    theirs = torch.autograd.grad((plain.square().sum() + after.square().sum()), own)
    for mine, direct in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, direct, rtol=1e-10)


AVERAGED = (
    *("arm", "rebar", "relax", "concrete", "straight-through", "half", "gumbel-straight-through", "muprop", "disarm"),
    *("bitflip", "ugc", "local-expectation"),
)
GROUPS = {"disarm": 2, "bitflip": 2, "ugc": 3}  # all first codes of the draws, then all second ones, and so on


@pytest.mark.parametrize("name", AVERAGED)
def test_more_codes_average_the_estimate_of_fewer(name):
    """For the mean, K draws side by side give exactly the mean of their own gradients: the law of one is that of K."""
    row = next(row for row in laws.ROWS if (row.estimator, row.objective) == (name, "elbo"))
    model, x = laws.build_model("bits", 2), observations_of()
    row = replace(row, bits=2, samples=2 if name in ("arm", "disarm", "ugc") else 1)
    one, many = row.build(model), replace(row, samples=3 * row.samples).build(model)
    many.load_state_dict(one.state_dict())
    objective = laws.OBJECTIVES["elbo"]
    torch.manual_seed(2)
    draws = [one.draw(Expectation(model, objective, x, model.posterior(x))) for _ in range(3)]
    groups = [draw.chunk(GROUPS.get(name, 1), dim=draw.ndim - 3) for draw in draws]
    together = torch.cat([group for same in zip(*groups, strict=True) for group in same], dim=draws[0].ndim - 3)

    def gradient(estimator, drawn):
        expectation = Expectation(model, objective, x, model.posterior(x))
        return gradients_of_parts(model, estimator.score(expectation, drawn).surrogate.sum())

    apart, ours = [gradient(one, draw) for draw in draws], gradient(many, together)
    for part in laws.PARTS:
        mean = torch.stack([own[part] for own in apart]).mean(0)
        assert torch.allclose(ours[part], mean, rtol=1e-10, atol=1e-12), part


def test_nvil_learns_by_its_own_loss_alone():
    row = find("score-function", samples=2, baseline="network")
    model, x = laws.build_model("bits", 2), observations_of()
    estimator = row.build(model).train()
    estimate = estimator(model, ELBO(), x)
    own, weights = list(estimator.parameters()), [w for w in model.parameters() if w.requires_grad]
    assert all(part.abs().max() > 0 for part in torch.autograd.grad(estimate.auxiliary, own, retain_graph=True))
    assert all(part is None for part in torch.autograd.grad(estimate.auxiliary, weights, allow_unused=True))
    assert all(part is None for part in torch.autograd.grad(estimate.surrogate.sum(), own, allow_unused=True))


# ---------------------------------------------------------------- refusals

MODELS = {
    "bits": laws.build_model("bits", 2),
    "real": laws.build_model("real", 2),
    "point": autoencoder(X, latent_dim=2, hidden_dims=[4]),
    "chain of bits": laws.build_model("chain of bits", 2),
    "chain of reals": laws.build_model("chain of reals", 2),
    "field": sbn(X, layers=[2], inference="mean-field"),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_an_estimator_is_not_defined_for_is_refused_in_one_sentence(name):
    kind = ESTIMATORS[name]
    for code, model in MODELS.items():
        for objective in (ELBO(), IWAE(), Reconstruction()):
            estimator = kind(model, samples=2)
            fits = suits(kind, code) and objective.name in kind.objectives()
            if fits and (code == "point") == (objective.name == "reconstruction"):
                estimator.check(model, objective)
                continue
            with pytest.raises(InputError) as refusal:
                estimator.check(model, objective)
            assert "\n" not in str(refusal.value)
            assert ". " not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("arm", {"samples": 1}, "expected an even number, for pairs of codes; got 1"),
        ("arms", {"samples": 1}, "expected at least 2 for the copula dirichlet; got 1"),
        ("arms", {"samples": 2, "copula": "gaussian"}, "expected at least 3 for the copula gaussian; got 2"),
        ("arms", {"copula": "gausian"}, "did you mean 'gaussian'"),
        ("double-cv", {"samples": 1}, "expected at least 2, to leave one out; got 1"),
        ("rodeo", {"samples": 1}, "expected at least 2, to leave one out; got 1"),
        ("score-function", {"samples": 1}, "expected at least 2 for the baseline leave-one-out; got 1"),
        ("muprop", {"baseline": "netwrok"}, "did you mean 'network'"),
        *(
            (name, {"temperature": value}, f"^temperature: expected a .*; got {value:g}")
            for name in ("rebar", "relax", "concrete", "half", "gumbel-straight-through")
            for value in (0.0, -0.5)
        ),
        ("concrete", {"prior_temperature": 0.0}, "^prior_temperature: expected a temperature above 0"),
        ("ugc", {"samples": 3}, "expected an even number, for pairs of codes; got 3"),
        (
            "gumbel-straight-through",
            {"conditional_samples": 0},
            r"^conditional_samples: expected an integer of at least 1; got 0",
        ),
        ("exact", {"nodes": 0}, r"^nodes: expected an integer of at least 1; got 0"),
        ("exact", {"nodes": 201}, r"^nodes: expected at most 200 for each number; got 201"),
    ],
)
def test_options_that_cannot_work_are_refused(name, options, words):
    with pytest.raises(InputError, match=words):
        ESTIMATORS[name](Sizes(5, 2), **options)


def test_an_odd_number_of_codes_is_no_pairs_but_has_partners():
    for samples in (1, 3):
        disarm = ESTIMATORS["disarm"](MODELS["bits"], samples=samples)
        with pytest.raises(InputError, match=f"expected an even number, for pairs of codes; got {samples}"):
            disarm.check(MODELS["bits"], ELBO())
        disarm.check(MODELS["bits"], IWAE())


def test_enumeration_above_sixteen_bits_is_refused():
    exact = ESTIMATORS["exact"]
    most, more, few = (laws.build_model("bits", bits) for bits in (16, 17, 6))
    exact(most).check(most, ELBO())
    with pytest.raises(InputError, match="enumerates at most 16 bits; this model and objective have 17"):
        exact(more).check(more, ELBO())
    with pytest.raises(InputError, match="enumerates at most 16 bits; this model and objective have 18"):
        exact(few, samples=3).check(few, IWAE())


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_built_from_settings_with_its_own_defaults(name):
    settings = resolve("bernoulli-vae", {"estimator": {"name": name}})
    assert settings.build_estimator(Sizes(6, 3)).name == name
    assert {"name", "samples"} <= settings.estimator.keys()


def patterns():
    """Four patterns of twelve bits, a few bits flipped: structure that three bits of code can hold."""
    generator = torch.Generator().manual_seed(5)
    kinds = torch.randint(0, 2, (4, 12), generator=generator)

    def split(count):
        which = torch.randint(0, 4, (count,), generator=generator)
        flips = (torch.rand(count, 12, generator=generator) < 0.05).long()
        return Split(((kinds[which] + flips) % 2).to(torch.uint8).numpy(), which.numpy())

    return Dataset("patterns", {"train": split(400), "validation": split(200), "test": split(200)}, "binary", 1)


TRAINED = [
    *((name, {}) for name in ESTIMATORS if name != "score-function"),
    *(
        ("score-function", {"baseline": baseline})
        for baseline in ("none", "running-average", "leave-one-out", "network")
    ),
    ("muprop", {"baseline": "network"}),
    ("arms", {"samples": 3, "copula": "gaussian"}),
]


@pytest.mark.parametrize(("name", "options"), TRAINED, ids=lambda part: str(part))
def test_an_estimator_trains_and_comes_back_from_its_state(name, options):
    kind = ESTIMATORS[name]
    model_name = "bernoulli-vae" if "bits" in kind.codes else "gaussian-vae"
    objective = next(each for each in (ELBO(), IWAE(), TVO()) if each.name in kind.objectives())
    torch.manual_seed(0)
    model = resolve(model_name, {"latent_dim": 3, "hidden_dims": [16], "estimator": {"name": name}}).build_model(12)
    if name == "mean-field":
        model = sbn(12, layers=[3], inference="mean-field")
    estimator, rows = kind(model, **options), []
    before = [parameter.clone() for parameter in model.parameters()]
    fit(
        model,
        patterns(),
        estimator=estimator,
        objective=objective,
        steps=100,
        batch_size=50,
        learning_rate=0.04,
        warmup=0,
        log_every=10,
        validate_every=50,
        callback=rows.append,
    )
    bounds = [row["train/bound"] for row in rows]
    assert sum(bounds[-3:]) / 3 > bounds[0] + 1.5, bounds
    assert all((old != new).any() for old, new in zip(before, model.parameters(), strict=True) if new.requires_grad)
    assert ("train/relaxed-bound" in rows[-1]) == (name == "concrete")
    for own in estimator.parameters():
        assert own.isfinite().all()
    again = kind(model, **options)
    again.load_state_dict(estimator.state_dict())
    x = torch.ones(4, 12)
    expectation = Expectation(model, objective, x, model.posterior(x))
    drawn = estimator.draw(expectation)
    one, other = (e.eval().score(expectation, drawn) for e in (estimator, again))
    assert torch.equal(one.surrogate, other.surrogate)


def suits(kind, model_name):
    """Whether an estimator is for a model, by what its class says."""
    model, is_field = MODELS[model_name], model_name == "field"
    inference = {"any": True, "network": not is_field, "mean-field": is_field}[kind.inference]
    return model.code in kind.codes and (kind.layered or len(model.layers) < 2) and inference


BUILT = [
    (name, options, model_name)
    for model_name in MODELS
    for name, options in [
        *((name, options) for name, kind in ESTIMATORS.items() for options in (kind.variants or {"": {}}).values()),
        *(("muprop", {"baseline": baseline}) for baseline in BASELINES),
    ]
    if suits(ESTIMATORS[name], model_name)
]


@pytest.mark.parametrize(("name", "options", "model_name"), BUILT, ids=lambda part: str(part))
def test_parameters_exist_from_construction(name, options, model_name):
    """An optimiser that is made before the first step has every parameter, in the type of the model."""
    kind, model = ESTIMATORS[name], copy.deepcopy(MODELS[model_name]).double()
    estimator = kind(model, **{"samples": 2, **options}).train()
    parameters = list(estimator.parameters())
    state = {key: (value.shape, value.dtype) for key, value in estimator.state_dict().items()}
    objective = OBJECTIVES[kind.objectives()[-1 if model.code == "point" else 0]]()
    estimate = estimator(model, objective, observations_of())
    assert [id(parameter) for parameter in estimator.parameters()] == [id(parameter) for parameter in parameters]
    assert {key: (value.shape, value.dtype) for key, value in estimator.state_dict().items()} == state
    assert all(value.dtype == torch.float64 for value in estimator.state_dict().values())
    assert bool(state) == (bool(kind.learns) and options.get("baseline") not in ("none", "leave-one-out"))
    assert (estimate.auxiliary is None) == (not parameters)


def test_what_an_estimator_learns_moves_at_its_own_rate():
    model = resolve("bernoulli-vae", {"latent_dim": 3, "hidden_dims": [8]}).build_model(12)
    estimator = Rebar(model)
    fit_one_step(model, estimator)
    # the first step of Adam has the length of the learning rate: ten times 0.02, by the factor of REBAR
    assert abs(estimator.scale.item() - 1.0) == pytest.approx(0.2, rel=1e-3)


def fit_one_step(model, estimator):
    options = {"steps": 1, "learning_rate": 0.02, "warmup": 0, "schedule": "constant"}
    fit(model, patterns(), estimator=estimator, objective=ELBO(), **options)


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize("objective", [ELBO(), IWAE()], ids=["elbo", "iwae"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_step_decodes_as_many_codes_as_it_says_in_at_most_two_calls(name, objective):
    kind = ESTIMATORS[name]
    if objective.name not in kind.objectives():
        return
    model, x = laws.build_model("bits" if "bits" in kind.codes else "real", 2), observations_of()
    model = MODELS["field"].double() if name == "mean-field" else model
    estimator, decoded = kind(model, samples=4), []
    model.likelihood.network.register_forward_hook(lambda _, inputs, __: decoded.append(inputs[0].numel() // 2))
    estimator(model, objective, x)
    shared = 1 if name == "exact" else len(x)  # all observations share the enumerated codes
    assert sum(decoded) == shared * estimator.decoder_evaluations(objective)
    assert len(decoded) <= 2


MEMORY = """
import sys, torch
from pathlib import Path
from vaelab.estimators import ESTIMATORS
from vaelab.models import bernoulli_vae
from vaelab.objectives import ELBO, IWAE
torch.set_num_threads(1)
x = torch.rand(64, 784).round()

def peak():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024

for case in sys.argv[1:]:
    name, objective, net = case.split()
    combined = {"elbo": ELBO, "iwae": IWAE}[objective]()
    model = bernoulli_vae(784, latent_dim=200, hidden_dims=[200, 200] if net == "non-linear" else [])

    def step(samples):
        (-ESTIMATORS[name](model, samples=samples)(model, combined, x).surrogate.mean()).backward()

    step(2)
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    step(50)
    print((peak() - before) / (50 * 64 * 784 * 4))
"""
STEPS = [
    f"{name} {objective} {net}"
    for net in ("linear", "non-linear")
    for name, objective in (
        *(("score-function", "elbo"), ("score-function", "iwae")),
        *(("disarm", "elbo"), ("disarm", "iwae"), ("arms", "iwae")),
    )
]


@pytest.fixture(scope="module")
def memory():
    """Return the growth of the peak memory in a step of each kind, in (K, B, X) float tensors."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-c", MEMORY, *STEPS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(zip(STEPS, map(float, done.stdout.split()), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux reports it")
@pytest.mark.parametrize("case", STEPS)
def test_fifty_codes_take_less_than_three_tensors_of_memory(case, memory):
    """K = 50, B = 64, X = 784."""
    assert 0.5 < memory[case] < 3.0

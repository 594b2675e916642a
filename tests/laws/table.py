"""The laws of the gradient estimators: one table, every row proven against the enumerated gradient.

A row names an estimator, its options, an objective and the law of what it draws (``tests/laws/draws.py``). The law lays
out every outcome along a batch, which the estimator scores in one call. The weighted gradient of the surrogate is its
expectation, exactly, and is compared with the gradient of the enumerated bound (``tests/laws/exact.py``), which is
computed with ``torch.distributions`` and shares no code with vaelab.

Run ``python -m tests.laws.table`` to print the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tests.laws.draws import (
    Law,
    all_bits,
    all_chain_branches,
    chain_branches,
    chain_codes,
    codes,
    codes_and_copula,
    copula,
    day_and_night,
    dirichlet_copula,
    everything,
    gauss_legendre,
    gaussian_copula,
    grid,
    hermite,
    on_nodes,
    one_after_the_other,
    pairs,
    partners,
    rare_bits,
    side_by_side,
    tanh_sinh,
    uniforms,
    with_flips,
)
from tests.laws.exact import PARTS, Gradients, exact_gradients, gradients_of_parts
from tests.laws.models import X, build, incomplete, observations_of
from vaelab.data import DataSpec
from vaelab.estimators import ESTIMATORS, Estimator, Expectation
from vaelab.models import LatentVariableModel
from vaelab.objectives import CIWAE, ELBO, IWAE, MIWAE, PIWAE, TVO, Objective, Renyi

OBJECTIVES: dict[str, Objective] = {"elbo": ELBO(beta=0.7), "iwae": IWAE()}
OTHERS: dict[str, Objective] = {  # functions of several codes that are no mean of theirs
    "renyi": Renyi(alpha=0.6),
    "miwae": MIWAE(groups=2),
    "piwae": PIWAE(groups=2),
    "ciwae": CIWAE(elbo_weight=0.3),
    "tvo": TVO(intervals=3, first=0.2),
}
OF_ONE_CODE: dict[str, Objective] = {"miwae": MIWAE(groups=1), "piwae": PIWAE(groups=1)}
SAMPLED = ELBO(beta=0.7, kl="sampled")  # every law of the evidence lower bound is a law of this one too
FREE = ELBO(beta=0.7, free_bits=0.17)  # some units of the laws' models have less, and others more
CHAIN, DEEP, REALS = "chain of bits", "deep chain of bits", "chain of reals"

# kind of code -> row of the models, sizes of its layers for D numbers in the first, hidden layers, seed of its weights
# (of two layers of reals a seed for which nested quadrature converges fast)
KINDS: dict[str, tuple[str, Callable[[int], Any], Any, int]] = {
    "bits": ("bits, learned prior", lambda dim: dim, [6], 7),
    "real": ("gaussian", lambda dim: dim, [6], 7),
    CHAIN: ("two layers of bits", lambda dim: [dim, 1], [], 7),
    DEEP: ("two layers of bits", lambda dim: [dim, 1, 1], [], 7),
    REALS: ("two layers of reals", lambda dim: [dim, 1], [[4], [3]], 10),
}


def build_model(kind: str, bits: int, data: DataSpec | int = X) -> LatentVariableModel:
    """Return a float64 model, every weight far from zero; chains have ``bits`` numbers in the first layer."""
    name, sizes, hidden_dims, seed = KINDS[kind]
    return build(name, latent_dim=sizes(bits), data_dim=data, hidden_dims=hidden_dims, seed=seed, std=0.6)


@dataclass(frozen=True)
class Row:
    """One law: an estimator under an objective, how its draws are enumerated, and how closely it must agree."""

    estimator: str
    objective: str
    law: Law
    samples: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = "bits"
    bits: int = 2
    tolerance: float = 1e-9
    biased: tuple[str, ...] = ()  # the parts whose estimate has a bias, which is measured instead
    prime: Callable[[Any], None] = lambda estimator: None  # puts what it has learnt where the law is not vacuous

    @property
    def name(self) -> str:
        options = "".join(f" {value}" for value in self.options.values())
        return f"{self.estimator}{options} {self.objective} K={self.samples} D={self.bits} {self.kind}"

    @property
    def goal(self) -> Objective:
        """The objective with its options; one code is one group."""
        of_one = OF_ONE_CODE if self.samples == 1 else {}
        return (OBJECTIVES | OTHERS | of_one)[self.objective]

    def build(self, model: LatentVariableModel) -> Estimator:
        torch.manual_seed(3)
        estimator = ESTIMATORS[self.estimator](model, samples=self.samples, **self.options)
        estimator.check(model, self.goal)
        self.prime(estimator)
        return estimator.eval()


def expectation(
    row: Row,
    law: Law | None = None,
    objective: Objective | None = None,
    data: DataSpec | int = X,
    given: Tensor | None = None,
    missing: bool = False,
    x: Tensor | None = None,
) -> tuple[Gradients, Gradients]:
    """The expected gradient of the surrogate, by part, and the exact one; with ``given`` of a conditional model.

    The observations are bits, or ``x``.

    With ``missing`` some values of one observation are missing, and all of the other.
    """
    model, x = build_model(row.kind, row.bits, data), observations_of() if x is None else x
    if missing:
        model, x = model.allow_missing(), incomplete(x)
    x = x if given is None else torch.cat([x, given], -1)
    estimator, objective = row.build(model), objective or row.goal
    drawn, weight = (law or row.law)(model, x, row.samples)
    repeated = x.repeat(len(weight) // len(x), 1)
    assert torch.allclose(weight.view(-1, len(x)).sum(0), torch.ones(len(x)).double(), rtol=0, atol=1e-12)
    estimate = estimator.score(Expectation(model, objective, repeated, model.posterior(repeated)), drawn)
    ours = gradients_of_parts(model, (weight * estimate.surrogate).sum())
    return ours, exact_gradients(model, x, objective, row.samples)


def deviations(row: Row, objective: Objective | None = None) -> dict[str, float]:
    """The largest deviation from the exact gradient, by part."""
    ours, exact = expectation(row, objective=objective)
    return {part: float((ours[part] - exact[part]).abs().max()) for part in PARTS if exact[part].numel()}


def learnt(**values: float) -> Callable[[Any], None]:
    """Set named parameters or buffers of an estimator to given values."""

    def prime(estimator: Any) -> None:
        state = estimator.state_dict()
        for name, value in values.items():
            for key in [key for key in state if key.endswith(name.replace("__", "."))]:
                state[key].fill_(value)

    return prime


PAST = learnt(average__total=-1.7, average__weight=0.6)
NVIL = learnt(centre__total=-1.2, centre__weight=0.6, variance__total=0.2, variance__weight=0.6)
DOUBLE = learnt(alpha=0.8)
STEIN = learnt(alpha=0.8, beta=-0.6)
REBAR = learnt(scale=0.7, log_temperature=math.log(0.5))


def RELAX(estimator: Any) -> None:
    """A large smooth network: the law holds for any, and quadrature needs derivatives."""
    learnt(scale=0.7, log_temperature=math.log(0.5))(estimator)
    estimator.network.activation = torch.nn.Tanh()
    for weight in estimator.network.parameters():
        torch.nn.init.normal_(weight, std=0.5)


ROWS: list[Row] = [
    Row("exact", "elbo", everything, bits=3),
    Row("exact", "iwae", everything, samples=2),
    Row("exact", "iwae", everything, samples=3),
    Row("exact", "elbo", on_nodes(100), 1, {"nodes": 100}, "real", 1),
    *(
        Row("exact", objective, on_nodes(100), 2, {"nodes": 100}, "real", 1, tolerance=1e-8)
        for objective in ("iwae", *OTHERS)
    ),
    *(
        Row("exact", objective, on_nodes(180), 1, {"nodes": 180}, REALS, 1, tolerance=1e-6)
        for objective in ("elbo", "iwae", "piwae")
    ),
    *(
        Row("score-function", objective, codes, samples, {"baseline": baseline}, bits=bits, prime=prime)
        for objective in OBJECTIVES
        for baseline, prime, counts in (
            ("none", lambda estimator: None, ((1, 3), (2, 2))),
            ("running-average", PAST, ((1, 3), (2, 2))),
            ("leave-one-out", lambda estimator: None, ((2, 3), (3, 2))),
            ("network", NVIL, ((1, 3), (2, 2))),
        )
        for samples, bits in counts
    ),
    *(
        Row("score-function", objective, grid, samples, {"baseline": "leave-one-out"}, "real", 1)
        for objective in OBJECTIVES
        for samples in (2,)
    ),
    *(
        Row("pathwise", objective, hermite, samples, {}, "real", 1, tolerance=1e-8)
        for objective in OBJECTIVES
        for samples in (1, 2)
    ),
    *(Row("sticking-the-landing", "elbo", hermite, samples, {}, "real", 1, tolerance=1e-8) for samples in (1, 2)),
    Row("sticking-the-landing", "iwae", hermite, 2, {}, "real", 1, tolerance=1e-8, biased=("encoder",)),
    *(
        Row("muprop", "elbo", codes, samples, {"baseline": baseline}, bits=bits, prime=prime)
        for baseline, prime, samples, bits in (
            ("none", lambda estimator: None, 1, 3),
            ("running-average", PAST, 2, 2),
            ("leave-one-out", lambda estimator: None, 2, 2),
            ("network", NVIL, 1, 3),
        )
    ),
    *(Row("rebar", "elbo", uniforms("1-p", gauss_legendre, 30), bits=bits, prime=REBAR) for bits in (1, 2)),
    Row("relax", "elbo", uniforms("1-p", tanh_sinh, 61, free=True), bits=1, prime=RELAX),
    Row("arm", "elbo", uniforms("both", gauss_legendre, 2), 2, bits=2),
    *(Row("disarm", "elbo", pairs, samples, bits=bits) for samples, bits in ((2, 3), (4, 2))),
    Row("disarm", "iwae", partners, 2, bits=2),
    Row("disarm", "iwae", partners, 4, bits=1),
    *(
        Row("arms", "elbo", copula(of), samples, {"copula": name}, bits=bits)
        for name, of, counts in (
            ("dirichlet", dirichlet_copula, ((2, 3), (3, 3), (4, 2), (5, 2))),
            ("gaussian", gaussian_copula, ((3, 2),)),
        )
        for samples, bits in counts
    ),
    *(
        Row("arms", "iwae", codes_and_copula(of), samples, {"copula": name}, bits=bits)
        for name, of, counts in (
            ("dirichlet", dirichlet_copula, ((2, 2), (3, 2))),
            ("gaussian", gaussian_copula, ((3, 1),)),
        )
        for samples, bits in counts
    ),
    *(Row("double-cv", "elbo", codes, samples, bits=bits, prime=DOUBLE) for samples, bits in ((2, 3), (3, 2), (4, 2))),
    *(Row("rodeo", "elbo", codes, samples, bits=bits, prime=STEIN) for samples, bits in ((2, 3), (3, 2))),
    Row("concrete", "elbo", uniforms("1-p", tanh_sinh, 61), bits=1, biased=PARTS),
    Row("concrete", "iwae", uniforms("1-p", tanh_sinh, 61), bits=1, biased=PARTS),
    Row("rebar", "elbo", side_by_side(uniforms("1-p", gauss_legendre, 30)), 2, bits=1, prime=REBAR),
    Row("concrete", "elbo", side_by_side(uniforms("1-p", tanh_sinh, 41)), 2, bits=1, biased=PARTS),
    Row("concrete", "iwae", side_by_side(uniforms("1-p", tanh_sinh, 41)), 2, bits=1, biased=PARTS),
    *(Row("bitflip", "elbo", with_flips(codes, all_bits), samples, bits=bits) for samples, bits in ((1, 3), (2, 2))),
    *(Row("ugc", "elbo", with_flips(pairs, rare_bits, 2), samples, bits=bits) for samples, bits in ((2, 3), (4, 2))),
    *(Row("local-expectation", "elbo", codes, samples, bits=bits) for samples, bits in ((1, 3), (2, 2))),
    *(Row("straight-through", "elbo", codes, samples, bits=2, biased=("encoder",)) for samples in (1, 2)),
    *(
        Row("half", "elbo", codes, samples, {"temperature": t}, bits=2, biased=("encoder",))
        for samples, t in ((1, 1.0), (2, 1.0), (1, 1.5))
    ),
    Row("gumbel-straight-through", "elbo", uniforms("1-p", gauss_legendre, 30), bits=2, biased=("encoder",)),
    Row(
        "gumbel-straight-through",
        "elbo",
        one_after_the_other(uniforms("1-p", gauss_legendre, 30, free=True)),
        options={"conditional_samples": 2},
        bits=1,
        biased=("encoder",),
    ),
    *(Row("reweighted-wake-sleep", "iwae", codes, samples, bits=2, biased=("encoder",)) for samples in (1, 3)),
    Row("reweighted-wake-sleep", "iwae", grid, 2, {}, "real", 1, biased=("encoder",)),
    *(Row("wake-sleep", "elbo", day_and_night, k, bits=bits, biased=("encoder",)) for k, bits in ((1, 2), (2, 1))),
    # codes of two layers, and of three
    Row("exact", "elbo", everything, kind=CHAIN),
    Row("exact", "iwae", everything, samples=2, kind=CHAIN),
    *(
        Row("score-function", objective, chain_codes, samples, {"baseline": baseline}, CHAIN, prime=prime)
        for objective in OBJECTIVES
        for baseline, prime, samples in (
            ("none", lambda estimator: None, 1),
            ("running-average", PAST, 2),
            ("leave-one-out", lambda estimator: None, 3),
            ("network", NVIL, 2),
        )
    ),
    *(Row("disarm", "elbo", chain_branches, samples, kind=CHAIN) for samples in (2, 4)),
    Row("disarm", "iwae", all_chain_branches, 2, kind=CHAIN),
    *(Row("reweighted-wake-sleep", "iwae", chain_codes, k, kind=CHAIN, biased=("encoder",)) for k in (1, 3)),
    Row("wake-sleep", "elbo", day_and_night, kind=CHAIN, biased=("encoder",)),
    Row("score-function", "elbo", chain_codes, 2, {"baseline": "leave-one-out"}, DEEP),
    Row("score-function", "iwae", chain_codes, 2, {"baseline": "leave-one-out"}, DEEP),
    Row("disarm", "elbo", chain_branches, 2, kind=DEEP),
    Row("disarm", "iwae", all_chain_branches, 1, kind=DEEP),
    *(Row("pathwise", objective, hermite, 1, {}, REALS, 1, tolerance=1e-6) for objective in OBJECTIVES),
    *(
        Row("score-function", objective, grid, 1, {"baseline": "running-average"}, REALS, 1, prime=PAST)
        for objective in OBJECTIVES
    ),
    *(Row("doubly-reparameterised", "iwae", hermite, samples, {}, "real", 1, tolerance=1e-8) for samples in (1, 2)),
    # other functions of the weights of several codes
    *(Row("exact", objective, everything, 4, bits=1) for objective in OTHERS),
    *(
        Row("score-function", objective, codes, samples, {"baseline": baseline}, bits=bits, prime=prime)
        for objective in OTHERS
        for baseline, prime, samples, bits in (
            ("none", lambda estimator: None, 4, 1),
            ("running-average", PAST, 4, 1),
            ("leave-one-out", lambda estimator: None, 2, 2),
            ("leave-one-out", lambda estimator: None, 4, 1),
            ("network", NVIL, 4, 1),
        )
    ),
    *(Row("disarm", objective, partners, 4, bits=1) for objective in OTHERS),
    *(Row("arms", objective, codes_and_copula(dirichlet_copula), 4, bits=1) for objective in OTHERS),
    *(Row("pathwise", objective, hermite, 2, {}, "real", 1, tolerance=1e-8) for objective in OTHERS),
    *(
        Row("doubly-reparameterised", objective, hermite, 2, {}, "real", 1, tolerance=1e-8)
        for objective in OTHERS
        if objective != "tvo"
    ),
    Row("covariance", "tvo", codes, 2, bits=2, biased=tuple(PARTS)),
    Row("covariance", "tvo", codes, 4, bits=1, biased=tuple(PARTS)),
    Row("covariance", "tvo", grid, 2, {}, "real", 1, biased=tuple(PARTS)),
    # and for codes of two layers
    *(Row("exact", objective, everything, 2, kind=CHAIN) for objective in OTHERS),
    *(Row("score-function", objective, chain_codes, 2, {"baseline": "leave-one-out"}, CHAIN) for objective in OTHERS),
    *(Row("disarm", objective, all_chain_branches, 2, kind=CHAIN) for objective in OTHERS),
    *(Row("pathwise", objective, hermite, 1, {}, REALS, 1, tolerance=1e-6) for objective in OTHERS),
    Row("covariance", "tvo", chain_codes, 2, kind=CHAIN, biased=tuple(PARTS)),
]


def main() -> None:
    print(f"{'estimator':<58}" + "".join(f"{part:>12}" for part in PARTS) + "   tolerance")
    for row in ROWS:
        found = deviations(row)
        cells = "".join(f"{found[part]:>12.1e}" if part in found else f"{'-':>12}" for part in PARTS)
        note = f"   biased: {', '.join(row.biased)}" if row.biased else ""
        print(f"{row.name:<58}{cells}   {row.tolerance:.0e}{note}")
    sampled = [(row, deviations(row, SAMPLED)) for row in ROWS if row.objective == "elbo"]
    worst = max(found[part] for row, found in sampled for part in found if part not in row.biased)
    print(f"{len(sampled)} of them again with the KL sampled: largest deviation of what is unbiased {worst:.1e}")


if __name__ == "__main__":
    main()

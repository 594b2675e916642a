"""An estimator for test_new_things: the score function of a pair of codes, each the baseline of the other."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from vaelab.distributions import Code
from vaelab.estimators.contract import Estimate, Estimator, Expectation, Sizes, require_samples
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Combination

__all__ = ["PairedScores"]


class PairedScores(Estimator):
    """grad E_q[f(z)] ~ 1/2 (f(z_1) - f(z_2)) (grad log q(z_1) - grad log q(z_2)). Unbiased."""

    name: ClassVar[str] = "paired-scores"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 2) -> None:
        super().__init__(model, samples)
        require_samples(samples, 2, ", a pair", even=True)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        terms = expectation.terms(drawn)
        values = terms.signal_terms.detach()  # (K, B)
        signal = (values - values.flip(0)) / len(values)
        surrogate = expectation.objective(terms.log_weights) + (signal * expectation.q.log_prob(drawn)).sum(0)
        return Estimate.of(expectation.objective, terms, surrogate)

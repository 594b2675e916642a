"""The covariance gradient of the thermodynamic variational objective."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from vaelab.distributions import Code
from vaelab.errors import InputError
from vaelab.estimators.contract import Estimate, Estimator, Expectation, Sizes, require_samples
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import TVO, Combination

__all__ = ["Covariance"]


class Covariance(Estimator):
    """Covariance gradient: the derivative of a mean under q^(1 - t) p^t is a mean and a covariance of codes from q.

    Formula: with `pi_t` proportional to `q(z|x)^(1 - t) p(x, z)^t`,

    `grad E_t[log w] = E_t[grad log w] + Cov_t[grad log pi_t, log w], log pi_t = (1 - t) log q(z|x) + t log p(x, z)`,

    summed over the points of the objective `tvo` with the lengths of its intervals. Means and covariances are those of
    K codes from q with the weights `omega_k = w_k^t / sum_j w_j^t`, the covariance multiplied by `K / (K - 1)` as in
    the authors' code. With one interval this is the leave-one-out gradient of the evidence lower bound, without bias.
    With several it is biased, because the weights are normalised by K codes alone; the bias vanishes as K grows. Codes
    need not be differentiable, and there is no baseline: each code is compared with the weighted mean of all. Source:
    Masrani, Le & Wood (2019), https://arxiv.org/abs/1907.00031.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation, at least 2.

    Raises:
        InputError: fewer than 2 codes.

    >>> import torch
    >>> from vaelab.models import bernoulli_vae
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> Covariance(model, samples=8)(model, TVO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "covariance"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits", "real"})
    layered: ClassVar[bool] = True
    combinations: ClassVar[frozenset[Combination]] = frozenset({"thermodynamic"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"thermodynamic"})
    bias: ClassVar[str] = "the weights of `K` codes stand for the distributions between `q` and the posterior"

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 10) -> None:
        super().__init__(model, samples)
        require_samples(samples, 2, ", to have a covariance")

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate has the gradients of the means and of the covariances, their weights held constant."""
        objective = expectation.objective
        if not isinstance(objective, TVO):
            raise InputError(f"estimator: {self.name!r} is defined for the objective tvo; got {objective.name!r}")
        terms = expectation.terms(drawn)
        log_q: Tensor = expectation.q.log_prob(drawn)  # (K, B)
        return Estimate.of(objective, terms, objective.covariance_surrogate(terms.log_weights, log_q))

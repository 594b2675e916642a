"""Restricted Boltzmann machines."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.distributed import uniform
from vaelab.distributions import RestrictedBoltzmann
from vaelab.distributions.boltzmann import MOST_UNITS
from vaelab.errors import InputError, require_int
from vaelab.models.build import builder
from vaelab.models.density import Differentiable
from vaelab.objectives import Estimate, LogLikelihood, Metric, Objective
from vaelab.seeds import seeded

__all__ = ["ContrastiveDivergence", "RestrictedBoltzmannMachine", "default_hidden", "largest_rate", "rbm"]

_CHAINS = 128
_WALKS, _TEMPERATURES = 64, 300  # in either direction, of the estimate of log Z that is kept with the weights
_SPREAD = 0.01  # standard deviation of the weights at the start
_SETTLING = 20  # moves of the chains under the present weights before log Z is estimated from them
_STEADY = 8_000.0  # of the learning rate; chosen on the validation rows of voting, where 2.4e-4 is better than 4.8e-4
_ROWS, _NUMBERS, _ITERATIONS = 5_000, 8_000_000, 30  # from which the largest eigenvalue is computed
_UNVALIDATED = (
    "rbm: log Z is estimated from the chains of the training, as no validation rows were seen with these weights, so "
    "log p(x) may be too high; vaelab.evaluate(model, data) estimates it from the rows"
)
_log = logging.getLogger("vaelab")


@dataclass(frozen=True)
class ContrastiveDivergence(LogLikelihood):
    """log p(x), by a gradient that needs no log Z; so the log of a step has the pseudo-likelihood instead."""

    metric_of_step: ClassVar[Metric] = "pseudo-likelihood"


class RestrictedBoltzmannMachine(Differentiable):
    """p(x) of a :class:`~vaelab.distributions.RestrictedBoltzmann`, trained by persistent contrastive divergence.

    Formula: `grad log p(x) = grad log f(x) - E_p[grad log f(x)]`. The expectation is a mean over chains, which move on
    by Gibbs sampling at each step and are never set back. As they lag behind the weights of the model, each chain has a
    weight of its own. A step multiplies it by `f'(x) / f(x)`, f' the new f; where less than half of the chains count,
    they are drawn anew by their weights. Inputs are centred, `log f(x, h) = x b' + h c' + (x - mean) W (h - 1/2)`, so
    that `b = b' - W 1/2` and `c = c' - mean W`: the same models, with a gradient that is better conditioned.

    The log of a step has the pseudo-likelihood, `sum_j log p(x_j|all other columns)`, from one column of each row, as
    it needs no log Z. Where log Z is a sum over too many states, :meth:`log_prob` takes an estimate of it, which is
    kept with the weights: the larger of those by walks backwards from validation rows and forwards
    (:class:`~vaelab.distributions.BoltzmannPath`), so that the mean of log p(x) over these rows is too small rather
    than too large, and weights that the chains no longer follow are not selected. Weights that were never validated
    have walks backwards from the chains, and a warning says so.

    Sources: Tieleman (2008), https://doi.org/10.1145/1390156.1390290, of the chains; Carbone et al. (2023),
    https://arxiv.org/abs/2305.19414, of their weights; Melchior, Fischer & Wiskott (2016),
    https://jmlr.org/papers/v17/14-237.html, of centring; Besag (1975), https://doi.org/10.2307/2987782, of the
    pseudo-likelihood.

    Args:
        data: the data set, its spec, or the number of columns X.
        hidden: number of hidden units H.
        moves: moves of each chain at a step.

    Raises:
        InputError: columns that are no bits.
    """

    objective: ClassVar[Objective] = ContrastiveDivergence()
    trained_as: ClassVar[str] = "rbm"
    base: Tensor
    mean: Tensor
    chains: Tensor  # (K, X)
    chain_weights: Tensor  # logs, (K,)
    chain_densities: Tensor  # log f, (K,)
    partition: Tensor
    partition_of: Tensor

    def __init__(self, data: Dataset | DataSpec | int, hidden: int, moves: int = 1) -> None:
        super().__init__(data)
        spec = DataSpec.of(data)
        require_int("hidden", hidden, 1)
        self.moves = require_int("moves", moves, 1)
        self.has_marginals = self.is_exact = min(hidden, spec.dim) <= MOST_UNITS
        mean = torch.full((spec.dim,), 0.5) if spec.mean is None else spec.mean.float().clamp(0.001, 0.999)
        base = torch.logit(mean)
        self.visible = nn.Parameter(base.clone())
        self.hidden = nn.Parameter(torch.zeros(hidden))
        self.weights = nn.Parameter(_SPREAD * torch.randn(spec.dim, hidden))
        chains = (torch.rand(_CHAINS, spec.dim) < mean).float()
        self.register_buffer("base", base)
        self.register_buffer("mean", mean)
        self.register_buffer("chains", chains)
        self.register_buffer("chain_weights", torch.zeros(_CHAINS))
        self.register_buffer("chain_densities", chains @ base + hidden * math.log(2))
        self.register_buffer("partition", torch.zeros(2))  # log Z, and the standard error of its estimate
        self.register_buffer("partition_of", torch.zeros((), dtype=torch.int64))  # the weights that it is for

    @property
    def known_options(self) -> Mapping[str, Any]:
        return {**super().known_options, "hidden": len(self.hidden)}

    def distribution(self) -> RestrictedBoltzmann:
        is_summed = self.is_exact and torch.is_grad_enabled()  # the gradient of log p(x) has that of log Z
        log_partition = None if is_summed else lambda: self.log_partition()[0]
        return RestrictedBoltzmann(*self._biases(), self.weights, self.base, log_partition)

    def allow_missing(self) -> Self:
        """Let values of x be missing: NaN in x is summed out.

        Raises:
            InputError: more than 20 hidden units and columns, over whose states the sums would run.
        """
        if not self.has_marginals:
            raise InputError(
                f"hidden: expected at most {MOST_UNITS} hidden units, as values of x are missing and an exact sum over "
                f"them runs over all states of these units; got {len(self.hidden)} (bernoulli-mixture "
                "and chow-liu take missing values in any number of columns)"
            )
        return super().allow_missing()

    def estimate(self, x: Tensor) -> Estimate:
        """Return the pseudo-likelihood and the surrogate `log f(x) - sum_k v_k log f(x_k)`, (B,) each.

        v_k are the normalised weights of the chains x_k.
        """
        p = RestrictedBoltzmann(*self._biases(), self.weights)
        with torch.no_grad():
            chains, weights = self._moved_chains(p)
        of_chains = p.log_factor(chains)
        with torch.no_grad():
            self.chain_densities.copy_(of_chains)
        log_density = self._log_factor(p, x)
        bound = self._pseudo_likelihood(p, x, log_density.detach())
        return Estimate(bound, log_density - weights @ of_chains, bound, torch.zeros_like(bound))

    def log_partition(self) -> tuple[Tensor, Tensor]:
        """Return log Z and the standard error of its estimate, 0 where it is a sum, shape () each.

        They are kept with the weights, and computed again where these have changed.
        """
        return self._partition_of_weights()

    def validation_score(self, x: Tensor) -> Tensor:
        """Return log p(x), (B,); after a change of weights, these rows estimate log Z for those that follow too."""
        self._partition_of_weights(x)
        return super().validation_score(x)

    def _partition_of_weights(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return log Z and its standard error, estimated from some rows or else from the chains, if not kept yet."""
        # A sum has the precision of the weights; an estimate is the same for weights that were only made longer.
        weights = _fingerprint([self.visible, self.hidden, self.weights], is_rounded=not self.is_exact)
        if int(self.partition_of) != weights:
            with torch.no_grad():
                p = RestrictedBoltzmann(*self._biases(), self.weights, self.base)
                exact = torch.zeros_like(self.partition)
                if self.is_exact:
                    exact[0] = p.log_normaliser
                self.partition.copy_(exact if self.is_exact else torch.stack(self._estimated(p, rows)))
                self.partition_of.fill_(weights)
        return self.partition[0], self.partition[1]

    def _estimated(self, p: RestrictedBoltzmann, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """Estimate log Z from rows (B, X), or from the chains after they have moved under the present weights."""
        with seeded(0, "log-partition"):
            if rows is not None:
                x = rows[torch.arange(_WALKS, device=rows.device) * len(rows) // _WALKS]  # spread over the rows
            else:
                _log.warning("%s", _UNVALIDATED)
                x = self.chains[_systematic(self.chain_weights.softmax(0))][:: _CHAINS // _WALKS]
                for _ in range(_SETTLING):
                    x = self._moved(p, x)
            back = p.log_partition_from(x, _TEMPERATURES)
            forth = p.log_partition_forwards(_WALKS, _TEMPERATURES)
            return back if back[0] > forth[0] else forth

    def _biases(self) -> tuple[Tensor, Tensor]:
        """Return b and c of inputs that are not centred."""
        return self.visible - self.weights.sum(1) / 2, self.hidden - self.mean @ self.weights

    def _log_factor(self, p: RestrictedBoltzmann, x: Tensor) -> Tensor:
        """Return log f(x), (B,), summed over what is missing of x."""
        return p.given_observed(x).log_normaliser if self.may_be_missing else p.log_factor(x)

    def _pseudo_likelihood(self, p: RestrictedBoltzmann, x: Tensor, log_factor: Tensor) -> Tensor:
        """Return `X log p(x_j|the others)` of a column j that is drawn for each row, (B,); 0 where it is missing."""
        with torch.no_grad():
            column = (uniform((len(x), 1), x) * self.data_dim).long()
            flipped = x.scatter(1, column, 1 - x.gather(1, column))
            value = -F.softplus(self._log_factor(p, flipped) - log_factor)
            observed = ~x.gather(1, column).squeeze(1).isnan()
            return self.data_dim * torch.where(observed, value, 0)

    def _moved_chains(self, p: RestrictedBoltzmann) -> tuple[Tensor, Tensor]:
        """Weight the chains anew and move them; return them (K, X) and their weights (K,), the same on every rank."""
        x, log_weights = self.chains, self.chain_weights + p.log_factor(self.chains) - self.chain_densities
        weights = log_weights.softmax(0)
        are_few = weights.square().sum() * len(x) > 2
        x = x[torch.where(are_few, _systematic(weights), torch.arange(len(x), device=x.device))]
        self.chain_weights.copy_(torch.where(are_few, 0, log_weights - log_weights.logsumexp(0)))
        for _ in range(self.moves):
            x = self._moved(p, x)
        self.chains.copy_(x)
        return x, self.chain_weights.softmax(0)

    def _moved(self, p: RestrictedBoltzmann, x: Tensor) -> Tensor:
        inputs = p.hidden + x @ p.weights
        h = (torch.rand_like(inputs) < torch.sigmoid(inputs)).to(x)
        return (torch.rand_like(x) < torch.sigmoid(p.visible + h @ p.weights.T)).to(x)


def _systematic(weights: Tensor) -> Tensor:
    """Return K numbers of chains: each as often as its share of the weights says, rounded up or down at random."""
    places = (torch.arange(len(weights), device=weights.device) + torch.rand((), device=weights.device)) / len(weights)
    return torch.searchsorted(weights.cumsum(0), places.to(weights)).clamp_max(len(weights) - 1)


def _fingerprint(weights: list[nn.Parameter], is_rounded: bool) -> int:
    """Return a number that other weights do not have: 63 bits of a hash; of weights in float32 if it ``is_rounded``."""
    digest = hashlib.blake2b(digest_size=8)
    for weight in weights:
        numbers = weight.detach().float() if is_rounded else weight.detach()
        digest.update(numbers.cpu().numpy().tobytes())
    return int.from_bytes(digest.digest(), "little") >> 1 | 1  # not 0, which stands for none


def default_hidden(spec: DataSpec) -> int:
    """Return how many hidden units a machine has by default: twice the columns, from 20 to 200; few with gaps."""
    return min(10, spec.dim) if spec.may_be_missing else min(200, max(20, 2 * spec.dim))


def largest_rate(data: Dataset, options: Mapping[str, Any]) -> float:
    """Return the largest learning rate at which the chains of a machine follow its weights on these data.

    Formula: `8000 / (H X l)`, with H hidden units, X columns and l the largest eigenvalue of their covariance. A step
    of Adam changes all weights by about the same amount. Where most columns go together, the weights of all hidden
    units change in the same direction, and a few steps make two kinds of rows so different that no chain moves from
    one to the other. The 8000 was found on the validation rows of one table, of 1 359 columns (voting).

    >>> import numpy as np
    >>> equal = np.array([[0], [1]]).repeat(50, 0).repeat(100, 1)  # 100 columns with covariances of 1/4
    >>> round(largest_rate(Dataset.from_arrays(equal, validation=equal), {"hidden": 200}), 3)
    0.016
    """
    rows = (data.with_binarisation("static") if data.binarisation == "dynamic" else data).train.observations().sample()
    count = max(1, min(len(rows), _ROWS, _NUMBERS // rows.dim))
    chosen = torch.arange(count, device=rows.device) * len(rows) // count  # spread over the rows
    weights = torch.ones(count) if rows.weights is None else rows.weights[chosen].float()
    x = rows.bits(chosen).to(weights)
    observed = (~x.isnan()).to(x)
    mean = ((weights @ x.nan_to_num(0)) / (weights @ observed)).nan_to_num(0)
    centred = (x - mean).nan_to_num(0) * (weights / weights.sum()).sqrt().unsqueeze(1)  # (count, X)
    vector = centred[centred.square().sum(1).argmax()]
    for _ in range(_ITERATIONS):
        vector = F.normalize(vector, dim=0) @ centred.T @ centred
    eigenvalue = float(vector.norm())
    hidden = options.get("hidden") or default_hidden(data.spec)
    return _STEADY / (hidden * rows.dim * eigenvalue) if eigenvalue > 0 else math.inf


@builder
def rbm(
    data: Dataset | DataSpec | int, hidden: int | None = None, moves: int = 1, seed: int | None = None
) -> RestrictedBoltzmannMachine:
    """Build a restricted Boltzmann machine: bits that depend on each other through hidden bits, without a direction.

    Formula: `p(x) = 1/Z sum_h exp(x b + h c + x W h)`. It is trained by persistent contrastive divergence. With at most
    20 hidden units or columns Z is a sum, log p(x) is exact and values may be missing. Otherwise log Z is estimated by
    annealed importance sampling, and an evaluation says how well. Sources: Hinton (2002),
    https://doi.org/10.1162/089976602760128018; Tieleman (2008), https://doi.org/10.1145/1390156.1390290; Salakhutdinov
    & Murray (2008), https://doi.org/10.1145/1390156.1390266.

    Args:
        data: the data set, its spec, or the number of columns X, which are bits.
        hidden: number of hidden units H; None is twice as many as columns, from 20 to 200, and at most 10 where
            values are missing, as a step then sums over `2^H` states of them.
        moves: moves of each chain at a step of the training.
        seed: of the weights and the chains; None draws them from torch's global generator.

    Raises:
        InputError: columns that are no bits, or values that are missing beside more than 20 hidden units and columns.

    >>> import torch
    >>> model = rbm(6, hidden=4, seed=0)
    >>> model.log_prob(torch.ones(2, 6)).shape, model.sample(3).shape
    (torch.Size([2]), torch.Size([3, 6]))
    """
    spec = DataSpec.of(data)
    return RestrictedBoltzmannMachine(spec, default_hidden(spec) if hidden is None else hidden, moves)

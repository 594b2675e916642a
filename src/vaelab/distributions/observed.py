"""The density of what is observed of a vector, where some of its values are missing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily

from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["given_observed", "observed_log_prob"]


def observed_log_prob(distribution: Distribution, x: Tensor) -> Tensor:
    """Return the log-density of the observed values of x, in nats, shape batch_shape: NaN marks a missing value.

    Formula: `log p(x_observed) = sum of log p(x_j) over the observed entries j`; 0 where all of a row is missing. An
    entry of several columns, such as a categorical variable, counts as missing if any of its columns is.

    A missing value is replaced before its density is computed, so gradients have no NaN. Distributions with a method
    ``log_prob_of_entries``, torch's ``Independent`` over one axis, and mixtures of these have such a density; a
    :class:`~vaelab.distributions.Tree` sums over the values that are missing.

    Args:
        distribution: over vectors, event shape (X,), batch shape (K, B) for example.
        x: values, shape (B, X), or one that broadcasts with the distribution.

    Raises:
        InputError: a distribution that has no density of some of its columns.

    >>> from vaelab.distributions import Bernoulli
    >>> observed_log_prob(Bernoulli(torch.zeros(3)), torch.tensor([1.0, float("nan"), 0.0]))
    tensor(-1.3863)
    """
    if isinstance(distribution, ParametricDistribution):
        return distribution.log_prob_of_observed(x)
    if isinstance(distribution, MixtureSameFamily):  # the sum over components of what each says of the observed values
        return torch.logsumexp(_log_joint(distribution, x), -1)
    if isinstance(distribution, Independent) and len(distribution.base_dist.event_shape) == 0:
        observed = ~x.isnan()
        entries = distribution.base_dist.log_prob(x.masked_fill(~observed, _possible(distribution.base_dist, x)))
        return torch.where(observed, entries, 0).sum(-1)
    raise InputError(
        "likelihood: expected a distribution of independent columns, as values of x are missing; got "
        f"{type(distribution).__name__}, which has no density of some of its columns"
    )


def given_observed(distribution: Distribution, x: Tensor) -> Distribution:
    """Return the distribution of what is missing of x, given what is observed: NaN marks a missing value.

    Its columns where x is observed are not of interest: of independent columns they are as before, of a
    :class:`~vaelab.distributions.Tree` they are certain.

    Formula, for a mixture: `p(x_missing|x_observed) = sum_c v_c p_c(x_missing|x_observed)`, `v_c` proportional to
    `w_c p_c(x_observed)`.

    Args:
        distribution: over vectors, event shape (X,), batch shape (K, B) for example.
        x: values, shape (B, X), or one that broadcasts with the distribution.

    >>> from vaelab.distributions import Tree
    >>> p = Tree(torch.zeros(2), torch.tensor([0.0, 2.0]), [-1, 0])
    >>> given_observed(p, torch.tensor([1.0, float("nan")])).mean[1] == torch.sigmoid(torch.tensor(2.0))
    tensor(True)
    """
    if isinstance(distribution, ParametricDistribution):
        return distribution.given_observed(x)
    if isinstance(distribution, MixtureSameFamily):
        weights = Categorical(logits=_log_joint(distribution, x), validate_args=False)
        component = given_observed(distribution.component_distribution, x.unsqueeze(-2))
        component = component.expand(torch.Size([*weights.batch_shape, component.batch_shape[-1]]))
        return MixtureSameFamily(weights, component, validate_args=False)
    return distribution


def _log_joint(mixture: MixtureSameFamily, x: Tensor) -> Tensor:
    """Return log w_c + log p_c(x_observed) of each component c, (..., C)."""
    of_components = observed_log_prob(mixture.component_distribution, x.unsqueeze(-2))
    joint: Tensor = mixture.mixture_distribution.logits.log_softmax(-1) + of_components
    return joint


def _possible(distribution: Distribution, like: Tensor) -> float:
    """Return a number at which a distribution over numbers has a density: the inside of an interval before its ends."""
    support = distribution.support
    for number in (0.5, 1.0, 0.0):
        if support is None or bool(support.check(like.new_full(distribution.batch_shape, number)).all()):
            return number
    raise InputError(
        f"likelihood: expected columns that may be 0, 1/2 or 1, one of which replaces a missing value; "
        f"{type(distribution).__name__} allows none of them"
    )

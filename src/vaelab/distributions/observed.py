"""The density of what is observed of a vector, where some of its values are missing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, Independent, MixtureSameFamily

from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["observed_log_prob"]


def observed_log_prob(distribution: Distribution, x: Tensor) -> Tensor:
    """Return the log-density of the observed values of x, in nats, shape batch_shape: NaN marks a missing value.

    Formula: `log p(x_observed) = sum of log p(x_j) over the observed entries j`; 0 where all of a row is missing. An
    entry of several columns, such as a categorical variable, counts as missing if any of its columns is.

    A missing value is replaced before its density is computed, so gradients have no NaN. Distributions with a method
    ``log_prob_of_entries``, torch's ``Independent`` over one axis, and mixtures of these have such a density.

    Args:
        distribution: over vectors, event shape (X,), batch shape (K, B) for example.
        x: values, shape (B, X), or one that broadcasts with the distribution.

    Raises:
        InputError: a distribution whose columns depend on each other.

    >>> from vaelab.distributions import Bernoulli
    >>> observed_log_prob(Bernoulli(torch.zeros(3)), torch.tensor([1.0, float("nan"), 0.0]))
    tensor(-1.3863)
    """
    observed = ~x.isnan()
    if isinstance(distribution, Bernoulli) and distribution.shares_codes(x):
        logits, mask = distribution.logits[:, 0], observed.to(distribution.logits.dtype)
        return logits @ x.masked_fill(~observed, 0).T.to(mask) - F.softplus(logits) @ mask.T  # (K, B)
    if isinstance(distribution, MixtureSameFamily):  # the sum over components of what each says of the observed values
        log_weights = distribution.mixture_distribution.logits.log_softmax(-1)
        of_components = observed_log_prob(distribution.component_distribution, x.unsqueeze(-2))
        return torch.logsumexp(log_weights + of_components, -1)
    if isinstance(distribution, ParametricDistribution):
        entries = distribution.log_prob_of_entries(x.masked_fill(~observed, 0))
        observed = distribution.observed_entries(observed)
    elif isinstance(distribution, Independent) and len(distribution.base_dist.event_shape) == 0:
        entries = distribution.base_dist.log_prob(x.masked_fill(~observed, _possible(distribution.base_dist, x)))
    else:
        raise InputError(
            "likelihood: expected a distribution of independent columns, as values of x are missing; got "
            f"{type(distribution).__name__}, which has no density of some of its columns"
        )
    return torch.where(observed, entries, 0).sum(-1)


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

"""Torch's distributions in vaelab's form, and functions of their parameters."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Categorical, Distribution, Independent, MixtureSameFamily, Normal

from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.normal import DiagonalNormal
from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["as_vector", "detached", "map_parameters"]


def as_vector(returned: object, part: str = "distribution") -> Distribution:
    """Check that a module returned a distribution over vectors, and convert it to vaelab's class where there is one.

    ``Independent(Normal, 1)`` becomes a ``DiagonalNormal``, ``Independent(Bernoulli, 1)`` becomes a ``Bernoulli``, and
    so do the components of a ``MixtureSameFamily``. Densities and draws stay the same; the KL and the entropy get a
    closed form, and torch's check of values, which refuses relaxed bits, is off. Other distributions stay as they are.

    Args:
        returned: what the module returned: event shape (D,), any batch shape.
        part: its name in an error.

    Raises:
        InputError: no distribution, or one whose event is not a vector.

    >>> import torch
    >>> as_vector(Independent(TorchBernoulli(logits=torch.zeros(5, 3)), 1))
    Bernoulli(logits: (5, 3))
    """
    if isinstance(returned, ParametricDistribution):
        return returned
    if not isinstance(returned, Distribution):
        raise InputError(f"{part}: expected a module that returns a torch distribution; it returned {_type(returned)}")
    if len(returned.event_shape) != 1:
        axes = len(returned.batch_shape)
        raise InputError(
            f"{part}: expected a distribution over vectors, event shape (D,); got {_type(returned)} of batch shape "
            f"{tuple(returned.batch_shape)} and event shape {tuple(returned.event_shape)}"
            + (f" (torch.distributions.Independent({_type(returned)}(...), 1) makes one)" if axes else "")
        )
    if isinstance(returned, Independent) and returned.reinterpreted_batch_ndims == 1:
        base = returned.base_dist
        if isinstance(base, Normal):
            return DiagonalNormal(base.loc, base.scale.log())
        if isinstance(base, TorchBernoulli):
            return Bernoulli(base.logits)
    if isinstance(returned, MixtureSameFamily):
        component = as_vector(returned.component_distribution, part)
        if component is not returned.component_distribution:
            return MixtureSameFamily(returned.mixture_distribution, component, validate_args=False)
    return returned


def map_parameters(distribution: Distribution, function: Callable[[Tensor], Tensor]) -> Distribution:
    """Return the same distribution with the parameters of its rows passed through ``function``.

    Raises:
        InputError: a distribution of which torch does not say what its parameters are, such as a transformed one.

    >>> import torch
    >>> from torch.distributions import MultivariateNormal
    >>> map_parameters(MultivariateNormal(torch.ones(2), torch.eye(2)), lambda parameter: 2 * parameter).mean
    tensor([2., 2.])
    """
    if isinstance(distribution, ParametricDistribution):
        return distribution.map_parameters(function)
    if isinstance(distribution, Independent):
        base = map_parameters(distribution.base_dist, function)
        return Independent(base, distribution.reinterpreted_batch_ndims, validate_args=False)
    if isinstance(distribution, MixtureSameFamily):
        weights = Categorical(logits=function(distribution.mixture_distribution.logits), validate_args=False)
        component = map_parameters(distribution.component_distribution, function)
        return MixtureSameFamily(weights, component, validate_args=False)
    names = set(distribution.arg_constraints)
    names -= {"probs"} if "logits" in names else set()  # the same parameter in another form
    names -= {"covariance_matrix", "precision_matrix"} if "scale_tril" in names else set()
    build: Callable[..., Distribution] = type(distribution)
    try:
        parameters = {name: function(getattr(distribution, name)) for name in sorted(names)}
        if parameters:
            return build(**parameters, validate_args=False)
    except (TypeError, AttributeError):
        pass
    raise InputError(
        f"q(z|x): expected a distribution whose parameters can be held constant (DiagonalNormal, Bernoulli, a chain of "
        f"them, or one of torch's that is made of its parameters alone); got {_type(distribution)}"
    )


def detached(distribution: Distribution) -> Distribution:
    """Return the same distribution with all of its parameters held constant: none gets a gradient.

    Raises:
        InputError: as :func:`map_parameters`.

    >>> import torch
    >>> detached(Bernoulli(torch.zeros(3, requires_grad=True))).logits.requires_grad
    False
    """
    if isinstance(distribution, ParametricDistribution):
        return distribution.detached()
    return map_parameters(distribution, Tensor.detach)


def _type(value: object) -> str:
    return type(value).__name__

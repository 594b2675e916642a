"""The three distributions a network may return, each over a vector: Gaussian, bits, and a point.

They are ``torch.distributions`` objects with ``event_shape (D,)``, a fast log-density for bits, and
closed-form Kullback-Leibler divergences registered with ``torch.distributions.kl_divergence``. Networks may return
other distributions of torch's as well: ``as_vector`` brings those that are Gaussians or bits into this form.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Bernoulli as TorchBernoulli,
)
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
    constraints,
)
from torch.distributions.kl import kl_divergence, register_kl

from vaelab.distributed import normal, uniform
from vaelab.errors import InputError

__all__ = [
    "Bernoulli",
    "Delta",
    "DiagonalNormal",
    "Mapped",
    "all_codes",
    "as_vector",
    "codes_between",
    "map_parameters",
]

_LOG_2PI = math.log(2 * math.pi)


class Mapped(Distribution, ABC):
    """A distribution whose parameters can be passed through a function."""

    @abstractmethod
    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return the same distribution with every parameter passed through ``function``, such as ``detach``."""


class _VectorDistribution(Mapped):
    """A distribution over vectors whose parameters have shape ``batch_shape + (D,)``."""

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - as torch declares it

    def __init__(self, parameter: Tensor) -> None:
        super().__init__(parameter.shape[:-1], parameter.shape[-1:], validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(torch.Size(sample_shape))


class DiagonalNormal(_VectorDistribution):
    """Diagonal Gaussian.

    Formula: log N(z; mu, sigma) = -1/2 sum_j [((z_j - mu_j) / sigma_j)^2 + 2 log sigma_j + log 2 pi].
    A log sigma that the number type cannot square is replaced by the nearest that it can: in float32 log sigma lies in
    [-39.9, 39.9], in float64 in [-319, 319]. Draws, densities and divergences are all of that distribution, so a bound
    that uses it stays a bound, and none is NaN.

    Args:
        loc: mean mu, shape (..., D).
        log_scale: log sigma, shape (..., D).

    >>> DiagonalNormal(torch.zeros(2), torch.zeros(2)).log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    has_rsample = True
    support = constraints.real_vector

    def __init__(self, loc: Tensor, log_scale: Tensor) -> None:
        most = 0.45 * math.log(torch.finfo(log_scale.dtype).max)  # sigma^2 and 1 / sigma^2 are far from overflow
        self.loc, self.log_scale = loc, F.hardtanh(log_scale, -most, most)
        super().__init__(loc)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.log_scale.exp()

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_scale).exp()

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(function(self.loc), function(self.log_scale))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Reparameterised draw z = mu + sigma * eps, eps ~ N(0, I), shape sample_shape + (..., D)."""
        noise = normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + self.stddev * noise

    def log_prob(self, value: Tensor) -> Tensor:
        standard = (value - self.loc) * (-self.log_scale).exp()
        return -0.5 * (standard.square() + 2 * self.log_scale + _LOG_2PI).sum(-1)


class Bernoulli(_VectorDistribution):
    """Independent Bernoulli bits, given by logits.

    Formula: log p(x) = x . l - sum_j softplus(l_j), which equals the sum of
    x_j log sigmoid(l_j) + (1 - x_j) log sigmoid(-l_j) and stays finite for every logit. An infinite logit counts as
    the largest number of its type.

    Args:
        logits: l, shape (..., X). ``value`` may lack leading axes: it is never copied K times.

    >>> Bernoulli(torch.zeros(3)).log_prob(torch.ones(3))
    tensor(-2.0794)
    """

    has_rsample = False
    support = constraints.independent(constraints.boolean, 1)

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits)

    @property
    def mean(self) -> Tensor:
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        return torch.sigmoid(self.logits) * torch.sigmoid(-self.logits)

    @property
    def mode(self) -> Tensor:
        return (self.logits > 0).to(self.logits.dtype)

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(function(self.logits))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw bits as floating-point zeros and ones (a comparison with uniforms, not ``bernoulli``)."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            return (uniform(shape, self.logits) < torch.sigmoid(self.logits)).to(self.logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if value.ndim == 2 and self.logits.ndim == 3 and self.logits.shape[1] == 1:
            # The same K codes for every observation: a product of matrices instead of a (K, B, X) tensor.
            return self.logits[:, 0] @ value.T.to(self.logits.dtype) - F.softplus(self.logits).sum(-1)  # (K, B)
        if torch.compiler.is_compiling():  # a compiler fuses this by itself, derivatives of any order included
            return (self.logits * value - F.softplus(self.logits)).sum(-1)
        density: Tensor = _BernoulliLogDensity.apply(self.logits, value)  # type: ignore[no-untyped-call]
        return density

    def entropy(self) -> Tensor:
        """Entropy in nats, sum_j softplus(-|l_j|) + |l_j| sigmoid(-|l_j|), shape batch_shape."""
        size = _finite(self.logits).abs()
        return (F.softplus(-size) + size * torch.sigmoid(-size)).sum(-1)


class Delta(_VectorDistribution):
    """All mass on one vector: the code of a deterministic auto-encoder. It has no density."""

    has_rsample = True

    def __init__(self, loc: Tensor) -> None:
        self.loc = loc
        super().__init__(loc)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.loc)

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(function(self.loc))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc.expand(self._extended_shape(sample_shape))


def as_vector(found: object, part: str = "distribution") -> Distribution:
    """Return what a network gave as a distribution over vectors, in the form of this page where it has one.

    ``Independent(Normal, 1)`` becomes a ``DiagonalNormal``, ``Independent(Bernoulli, 1)`` becomes ``Bernoulli``, and
    the components of a ``MixtureSameFamily`` likewise: the same densities and draws, with every closed form that is
    known of them, and without torch's check of values, which would refuse relaxed bits. Others stay as they are.

    Args:
        found: what was returned, any number of axes before the vector's.
        part: its name in a refusal.

    Raises:
        InputError: no distribution, or one over anything but vectors.

    >>> as_vector(Independent(TorchBernoulli(logits=torch.zeros(5, 3)), 1)).log_prob(torch.ones(3))
    tensor([-2.0794, -2.0794, -2.0794, -2.0794, -2.0794])
    """
    if isinstance(found, Mapped):
        return found
    if not isinstance(found, Distribution):
        raise InputError(f"{part}: expected a module that returns a torch distribution; it returned {_type(found)}")
    if len(found.event_shape) != 1:
        axes = len(found.batch_shape)
        raise InputError(
            f"{part}: expected a distribution over vectors, event shape (D,); got {_type(found)} of batch shape "
            f"{tuple(found.batch_shape)} and event shape {tuple(found.event_shape)}"
            + (f" (torch.distributions.Independent({_type(found)}(...), 1) makes one)" if axes else "")
        )
    if isinstance(found, Independent) and found.reinterpreted_batch_ndims == 1:
        base = found.base_dist
        if isinstance(base, Normal):
            return DiagonalNormal(base.loc, base.scale.log())
        if isinstance(base, TorchBernoulli):
            return Bernoulli(base.logits)
    if isinstance(found, MixtureSameFamily):
        component = as_vector(found.component_distribution, part)
        if component is not found.component_distribution:
            return MixtureSameFamily(found.mixture_distribution, component, validate_args=False)
    return found


def map_parameters(distribution: Distribution, function: Callable[[Tensor], Tensor]) -> Distribution:
    """Return the same distribution with every parameter passed through ``function``, such as ``detach``.

    Raises:
        InputError: a distribution of which torch does not say what its parameters are, such as a transformed one.

    >>> from torch.distributions import MultivariateNormal
    >>> map_parameters(MultivariateNormal(torch.ones(2), torch.eye(2)), lambda parameter: 2 * parameter).mean
    tensor([2., 2.])
    """
    if isinstance(distribution, Mapped):
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


def _type(value: object) -> str:
    return type(value).__name__


def all_codes(dim: int, like: Tensor) -> Tensor:
    """Return all 2^D codes of D bits, shape (2^D, D), in the dtype and on the device of ``like``."""
    return codes_between(0, 2**dim, dim, like)


def codes_between(start: int, stop: int, dim: int, like: Tensor) -> Tensor:
    """Return the codes with the numbers start, ..., stop - 1 among all 2^D, shape (stop - start, D).

    >>> codes_between(2, 4, 3, torch.zeros(()))
    tensor([[0., 1., 0.],
            [1., 1., 0.]])
    """
    numbers = torch.arange(start, stop, device=like.device).unsqueeze(-1)
    return (numbers >> torch.arange(dim, device=like.device) & 1).to(like.dtype)


class _BernoulliLogDensity(torch.autograd.Function):
    """x . l - sum softplus(l) with gradient x - sigmoid(l), for logits (..., X) and a value that may lack leading axes.

    Both ways it goes along the first axis in blocks that a processor's cache holds: no temporary has the logits' size.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, value: Tensor) -> Tensor:
        ctx.save_for_backward(logits, value)
        if not _at_the_end(value, logits):
            return _summed(logits, value)
        parts = [_summed(own, other) for own, other in _blocks(logits, value)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, value = ctx.saved_tensors
        upstream = gradients[0].unsqueeze(-1)
        for_logits = for_value = None
        if ctx.needs_input_grad[0]:
            # If a second derivative is wanted, or a sum over what was broadcast:
            if torch.is_grad_enabled() or not _at_the_end(value, logits):
                for_logits = ((value - torch.sigmoid(logits)) * upstream).sum_to_size(logits.shape)
            else:
                for_logits = torch.empty_like(logits)
                for own, out, other, weight in _blocks(logits, for_logits, value, upstream):
                    torch.sigmoid(own, out=out).neg_().add_(other).mul_(weight)
        if ctx.needs_input_grad[1]:
            for_value = (_finite(logits) * upstream).sum_to_size(value.shape)
        return for_logits, for_value


def _summed(logits: Tensor, value: Tensor) -> Tensor:
    """Return sum x . l - softplus(l) over the last axis.

    The terms are subtracted one by one: of two sums of large logits the difference would be lost in their rounding.
    """
    found = (logits * value).sub_(F.softplus(logits)).sum(-1)
    if logits.device.type == "cpu" and math.isfinite(found.sum()):  # another device need not wait for the answer
        return found
    logits = _finite(logits)
    return (logits * value).sub_(F.softplus(logits)).sum(-1)


def _finite(logits: Tensor) -> Tensor:
    """Return logits with infinite ones at the largest number, whose softplus and whose zeroth multiple are numbers."""
    most = torch.finfo(logits.dtype).max
    return logits.clamp(-most, most)


def _at_the_end(value: Tensor, logits: Tensor) -> bool:
    """Whether the axes of the value are the last of the logits'."""
    return logits.shape[logits.ndim - value.ndim :] == value.shape


_BLOCK = 250_000  # numbers: one megabyte in float32


def _blocks(first: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors along the first axis of the first; those that lack that axis, or have one of size 1, stay whole."""
    count = len(first) if first.ndim > 1 else 1
    step = max(1, _BLOCK * count // max(1, first.numel()))
    if first.device.type != "cpu" or step >= count:
        yield first, *others
        return
    for start in range(0, count, step):
        rows = slice(start, start + step)
        yield tuple(t[rows] if t.ndim == first.ndim and len(t) == count else t for t in (first, *others))


def _kl_normal(q: DiagonalNormal, p: DiagonalNormal) -> Tensor:
    # For p = N(0, I): -1/2 sum (1 + log sigma^2 - mu^2 - sigma^2)   (Kingma & Welling 2013, appendix B)
    ratio = 2 * (q.log_scale - p.log_scale)
    distance = ((q.loc - p.loc) * (-p.log_scale).exp()).square()
    return -0.5 * (1 + ratio - distance - ratio.exp()).sum(-1)


def _kl_bits(q: Bernoulli, p: Bernoulli) -> Tensor:
    # sum mu log(mu / pi) + (1 - mu) log((1 - mu) / (1 - pi)) as cross-entropy minus entropy. Every term of
    # either is non-negative, so nothing overflows; for prior 1/2 the cross-entropy is D log 2.
    mean, complement, logits = torch.sigmoid(q.logits), torch.sigmoid(-q.logits), _finite(p.logits)
    cross = (mean * F.softplus(-logits) + complement * F.softplus(logits)).sum(-1)
    return cross - q.entropy()


register_kl(DiagonalNormal, DiagonalNormal)(_kl_normal)
register_kl(Bernoulli, Bernoulli)(_kl_bits)
for _q in (DiagonalNormal(torch.zeros(1), torch.zeros(1)), Bernoulli(torch.zeros(1))):
    kl_divergence(_q, _q)  # torch notes which formula it found, and a step compiled before that is compiled again

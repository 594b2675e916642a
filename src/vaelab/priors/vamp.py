"""The VampPrior: the posterior itself, averaged over learned inputs."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.distributed import ALONE, sharing
from vaelab.distributions import Code, Mixture, ParametricDistribution
from vaelab.errors import InputError, require_int

__all__ = ["VampPrior"]

_NOISE = 0.01  # units of a column, added to rows of the data, so that pseudo-inputs from equal rows can part


class VampPrior(nn.Module):
    """`p(z) = 1/C sum_c q(z|u_c)`: a mixture of posteriors at C pseudo-inputs u, which are learned (VampPrior).

    The prior with the largest evidence lower bound is the aggregate posterior, `1/N sum_n q(z|x_n)`; this one has C
    terms instead of N. It has no weights but the pseudo-inputs: the encoder is that of the model, and learns from
    log p(z) too. With a data set the pseudo-inputs start at rows of its training split (:meth:`learn_from`), else at
    draws around the mean of the columns; they are not kept in the range of the data. Its KL has no closed form, so
    objectives use that of the codes.

    What is learned is v in `u = centre + unit v`: a step of the training moves all columns alike, whatever their scale.
    The unit of a real number or a count is its standard deviation, that of a bit or a grey level is 1. An encoder that
    also reads which values are observed reads all of a pseudo-input as observed. The posterior is the one that the
    prior was built with: a model whose posterior is replaced later needs a new prior. Source: Tomczak & Welling (2018),
    https://arxiv.org/abs/1705.07120, with 500 pseudo-inputs for MNIST.

    Args:
        latent_dim: size of the code D.
        posterior: the module of q(z|x), which stays a part of the model and not of the prior.
        spec: what the posterior reads, X columns and Y that are given.
        components: number of pseudo-inputs C.

    Raises:
        InputError: a size or a number below 1; when it is called, a posterior that returns none of vaelab's
            distributions.

    >>> from vaelab.posteriors import GaussianPosterior
    >>> VampPrior(2, GaussianPosterior(5, 2), DataSpec((5,)), components=3)()
    Mixture(log_weights: (3,), DiagonalNormal(loc: (3, 2), log_scale: (3, 2)))
    """

    code: ClassVar[Code] = "real"
    has_posterior: ClassVar[bool] = True

    def __init__(self, latent_dim: int, posterior: nn.Module, spec: DataSpec, components: int = 100) -> None:
        super().__init__()
        self.latent_dim = require_int("latent_dim", latent_dim, 1)
        count = require_int("components", components, 1)
        self._posterior = (posterior,)  # in a tuple, so that torch does not register its weights here too
        self._given = spec.given
        start = torch.randn(count, spec.dim + spec.given) * _spread(spec)
        self.centre: Tensor
        self.unit: Tensor
        self.register_buffer("centre", _padded(_mean(spec), spec).to(start))
        self.register_buffer("unit", _unit(spec).to(start))
        self.standardised = nn.Parameter(start / self.unit)

    @property
    def inputs(self) -> Tensor:
        """The pseudo-inputs u, (C, X + Y)."""
        return self.centre + self.unit * self.standardised

    def learn_from(self, data: Dataset) -> None:
        """Start the pseudo-inputs at rows of the training split, drawn from torch's generator, and a little noise.

        A row is drawn with its weight, and may be drawn again. A missing value starts at the mean of its column. The
        centre and the unit of the Y given columns are the mean and the standard deviation of the rows drawn; the unit
        of one that is 0 or 1 everywhere, or constant, is 1.
        """
        observed, count = data.train.observations().sample(), len(self.standardised)
        if observed.weights is None:
            rows = torch.randint(len(observed), (count,))
        else:
            rows = torch.multinomial(observed.weights, count, replacement=True)
        x = observed.bits(rows)  # (C, X + Y)
        given = x[:, x.shape[1] - self._given :]
        stays = ((given == 0) | (given == 1)).all(0)
        with torch.no_grad():
            deviation = (given - given.mean(0)).square().mean(0).sqrt()
            self.centre[len(self.centre) - self._given :] = torch.where(stays, 0, given.mean(0))
            self.unit[len(self.unit) - self._given :] = torch.where(stays, 1, _positive(deviation))
            start = torch.where(x.isnan(), 0, (x - self.centre) / self.unit)
            self.standardised.copy_(start + _NOISE * torch.randn_like(x))

    def forward(self) -> Mixture:
        """Return the mixture of the posteriors at the pseudo-inputs, event shape (D,)."""
        (posterior,) = self._posterior
        inputs = self.inputs
        with sharing(ALONE):  # all ranks draw the same noise for the pseudo-inputs, which all of them have
            q = posterior(inputs)
        if not isinstance(q, ParametricDistribution):
            raise InputError(
                "prior: 'vamp' expects a posterior that returns a distribution of vaelab, such as DiagonalNormal; got "
                f"{type(q).__name__}"
            )
        return Mixture(inputs.new_zeros(len(inputs)), q)


def _mean(spec: DataSpec) -> Tensor:
    """Return the mean of each column, (X,)."""
    return torch.full((spec.dim,), 0.5) if spec.mean is None else spec.mean


def _spread(spec: DataSpec) -> Tensor:
    """Return the standard deviation of each column that a posterior reads, (X + Y,); 1 where it is not known."""
    if spec.deviation is not None:
        return _padded(spec.deviation, spec)
    if spec.kind not in ("binary", "grey"):
        return _padded(torch.ones(spec.dim), spec)
    mean = _mean(spec)
    return _padded((mean * (1 - mean)).sqrt(), spec)


def _unit(spec: DataSpec) -> Tensor:
    """Return the unit of each column, (X + Y,): that in which the encoder reads it."""
    unit = torch.ones(spec.dim + spec.given)
    if spec.deviation is not None:
        for kind, start, stop in spec.groups:
            if kind in ("real", "count"):
                unit[start:stop] = _positive(spec.deviation[start:stop].to(unit))
    return unit


def _positive(deviation: Tensor) -> Tensor:
    """Return 1 where a deviation is 0."""
    return torch.where(deviation > 0, deviation, 1)


def _padded(values: Tensor, spec: DataSpec) -> Tensor:
    """Return values of the X columns with zeros for the Y that are given, (X + Y,)."""
    return torch.cat([values, values.new_zeros(spec.given)])

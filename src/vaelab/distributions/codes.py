"""Kinds of code, and the list of all codes of D bits."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

__all__ = ["Code", "all_codes", "codes_between", "codes_of", "kind_of_code"]

Code = Literal["real", "bits", "point"]


def kind_of_code(distribution: Distribution) -> Code | None:
    """Return whether a distribution is over real vectors or over bits, by its support; None if over anything else.

    >>> from vaelab.distributions import Bernoulli
    >>> kind_of_code(Bernoulli(torch.zeros(3)))
    'bits'
    """
    try:
        support: object = distribution.support
    except NotImplementedError:  # a flow of zuko: its codes are of the kind of its base distribution
        base = getattr(distribution, "base", None)
        return kind_of_code(base) if isinstance(base, Distribution) else None
    while hasattr(support, "base_constraint"):  # that of one number of a vector, or of one component of a mixture
        support = support.base_constraint
    if support is constraints.boolean:
        return "bits"
    return "real" if support is constraints.real else None


def all_codes(dim: int, like: Tensor) -> Tensor:
    """Return all 2^D codes of D bits, shape (2^D, D), in the dtype and on the device of ``like``."""
    return codes_between(0, 2**dim, dim, like)


def codes_between(start: int, stop: int, dim: int, like: Tensor) -> Tensor:
    """Return the codes with the numbers start, ..., stop - 1 among all 2^D, shape (stop - start, D).

    >>> codes_between(2, 4, 3, torch.zeros(()))
    tensor([[0., 1., 0.],
            [1., 1., 0.]])
    """
    return codes_of(torch.arange(start, stop, device=like.device), dim, like)


def codes_of(numbers: Tensor, dim: int, like: Tensor) -> Tensor:
    """Return the codes with some numbers (...) among all 2^D, shape (..., D).

    >>> codes_of(torch.tensor(6), 3, torch.zeros(()))
    tensor([0., 1., 1.])
    """
    return (numbers.unsqueeze(-1) >> torch.arange(dim, device=like.device) & 1).to(like.dtype)

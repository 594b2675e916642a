"""Likelihoods p(x|z): modules whose ``forward(z)`` returns a distribution over observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import nn

from vaelab.likelihoods.bernoulli import BernoulliLikelihood
from vaelab.likelihoods.chain import BottomLayer

__all__ = ["LIKELIHOODS", "BernoulliLikelihood", "BottomLayer", "LikelihoodName"]

# The likelihoods that a model's option ``likelihood`` names, each built from the size of the code, the data and a
# function that builds a network from two sizes.
LIKELIHOODS: dict[str, Callable[..., nn.Module]] = {
    "bernoulli": BernoulliLikelihood,
}

if TYPE_CHECKING:
    LikelihoodName = str
else:
    LikelihoodName = Literal[tuple(LIKELIHOODS)]  # the settings read the names of the table from here

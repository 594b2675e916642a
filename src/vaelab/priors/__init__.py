"""Priors p(z): modules whose ``forward()`` returns a distribution over codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from torch import nn

from vaelab.priors.bernoulli import BernoulliPrior
from vaelab.priors.chain import ChainPrior
from vaelab.priors.mixture import Covariance, MixturePrior
from vaelab.priors.normal import GaussianPrior

__all__ = [
    "BIT_PRIORS",
    "REAL_PRIORS",
    "BernoulliPrior",
    "BitPriorName",
    "ChainPrior",
    "Covariance",
    "GaussianPrior",
    "MixturePrior",
    "RealPriorName",
]

# The priors that a model's option ``prior`` names, each built from the size of the code.
REAL_PRIORS: dict[str, Callable[[int], nn.Module]] = {"normal": GaussianPrior}
BIT_PRIORS: dict[str, Callable[[int], nn.Module]] = {
    "uniform": BernoulliPrior,
    "learned": partial(BernoulliPrior, learned=True),
}

if TYPE_CHECKING:
    RealPriorName = str
    BitPriorName = str
else:  # the settings read the names of the tables from here
    RealPriorName = Literal[tuple(REAL_PRIORS)]
    BitPriorName = Literal[tuple(BIT_PRIORS)]

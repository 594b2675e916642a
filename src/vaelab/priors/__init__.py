"""Priors p(z): modules whose ``forward()`` returns a distribution over codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from torch import nn

from vaelab.priors.autoregressive import AutoregressivePrior
from vaelab.priors.bernoulli import BernoulliPrior
from vaelab.priors.bernoulli_mixture import BernoulliMixturePrior
from vaelab.priors.chain import ChainPrior
from vaelab.priors.flow import FlowPrior, StandardisedFlowPrior
from vaelab.priors.mixture import CANDIDATES, Covariance, MixturePrior
from vaelab.priors.normal import GaussianPrior
from vaelab.priors.normal_mixture import NormalMixturePrior
from vaelab.priors.vamp import VampPrior

__all__ = [
    "BIT_PRIORS",
    "CANDIDATES",
    "POINT_PRIORS",
    "REAL_PRIORS",
    "AutoregressivePrior",
    "BernoulliMixturePrior",
    "BernoulliPrior",
    "BitPriorName",
    "ChainPrior",
    "Covariance",
    "FlowPrior",
    "GaussianPrior",
    "MixturePrior",
    "NormalMixturePrior",
    "PointPriorName",
    "RealPriorName",
    "StandardisedFlowPrior",
    "VampPrior",
]

# The priors that a model's option ``prior`` names, from the plainest to the most flexible. A row is called with the
# size of the code, and by keyword with what it has a parameter for: ``components``, ``posterior`` (the module of
# q(z|x)) and ``spec`` (of the data).
REAL_PRIORS: dict[str, Callable[..., nn.Module]] = {
    "normal": GaussianPrior,
    "mixture": NormalMixturePrior,
    "vamp": VampPrior,
    "flow": FlowPrior,
}
BIT_PRIORS: dict[str, Callable[..., nn.Module]] = {
    "uniform": BernoulliPrior,
    "learned": partial(BernoulliPrior, learned=True),
    "mixture": BernoulliMixturePrior,
    "autoregressive": AutoregressivePrior,
}
# Those of a code without noise, each of which is fitted after the training.
POINT_PRIORS: dict[str, Callable[..., nn.Module]] = {
    "mixture": MixturePrior,
    "flow": StandardisedFlowPrior,
}

if TYPE_CHECKING:
    RealPriorName = str
    BitPriorName = str
    PointPriorName = str
else:  # the settings read the names of the tables from here
    RealPriorName = Literal[tuple(REAL_PRIORS)]
    BitPriorName = Literal[tuple(BIT_PRIORS)]
    PointPriorName = Literal[tuple(POINT_PRIORS)]

"""The properties of a model that inference uses."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from vaelab.distributions import Code

__all__ = ["Model"]


class Model(Protocol):
    """A model p(x, z) = p(z) p(x|z) with q(z|x), such as a :class:`~vaelab.models.LatentVariableModel`."""

    prior: nn.Module
    likelihood: nn.Module
    posterior: nn.Module

    @property
    def code(self) -> Code:
        """What a code is: ``real``, ``bits`` or ``point``."""

    @property
    def any_weight(self) -> Tensor:
        """Any weight: it has the type and the device of the model."""

"""The properties of a model that inference uses."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from vaelab.data import DataSpec
from vaelab.distributions import Code

__all__ = ["InferenceModel"]


class InferenceModel(Protocol):
    """A model p(x, z) = p(z) p(x|z) with q(z|x), such as a :class:`~vaelab.models.LatentVariableModel`."""

    prior: nn.Module
    likelihood: nn.Module
    posterior: nn.Module
    given: int

    @property
    def code(self) -> Code:
        """What a code is: ``real``, ``bits`` or ``point``."""

    @property
    def data_dim(self) -> int:
        """Columns of a row that the model gets."""

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z), (K, B), for rows x (B, X) and codes z (K, B, D)."""

    @property
    def spec_of_columns(self) -> DataSpec | None:
        """What is known of the columns of x."""

    def observations(self, x: object) -> Tensor:
        """Return observations of any kind of number (B, X) in the model's type, checked."""

    @property
    def any_weight(self) -> Tensor:
        """Any weight: it has the type and the device of the model."""

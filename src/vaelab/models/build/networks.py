"""The networks of a model, and the checks of their options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vaelab.data import DataSpec
from vaelab.errors import InputError, require_choice, require_list
from vaelab.models.latent import LatentVariableModel
from vaelab.networks import NETWORKS, Activation, Build, Dropout, NetworkName, Normalisation, standardised

__all__ = ["WIDTHS", "Networks", "check_hidden_layers", "check_network", "takes"]

WIDTHS = "a list of layer widths, such as [200, 200]"
_OF_EVERY_NETWORK = ("hidden_dims", "encoder_dims")  # of those with a name
_OF_SOME_NETWORKS = ("activation", "normalisation", "dropout")
_LAYERS = {"normalisation": nn.LayerNorm | nn.GroupNorm, "dropout": Dropout}


@dataclass(frozen=True)
class Networks:
    """The networks of a model: of x, to x, and between the layers of a code.

    ``hidden_dims`` of a map are given from x upwards; a network in the other direction has them in reverse. Networks of
    x get it centred at the mean of the data, real numbers and counts in units of their standard deviations, and with
    ``encode_mask`` which of its values are observed. Codes of bits are read as -1 and +1.
    """

    spec: DataSpec
    network: NetworkName | Build
    activation: Activation
    encode_mask: bool = False
    bits: bool = False
    normalisation: Normalisation = "none"
    dropout: float = 0.0

    @property
    def inputs(self) -> tuple[int, ...]:
        """The size of what the encoder reads: of an observation, or of a row with what is given."""
        return (self.spec.dim + self.spec.given,) if self.spec.given else self.spec.event_shape

    def encoder(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network of x, and of what is given with it."""
        shift = 0.0 if self.spec.mean is None else torch.cat([self.spec.mean, torch.zeros(self.spec.given)])
        return standardised(self._build(self.network, hidden_dims), shift, self._scale, self.encode_mask)

    def decoder(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network from a code to x."""
        return self._of_code(self._build(self.network, _reverse(hidden_dims)))

    def upwards(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network from a layer of the code to the layer above."""
        return self._of_code(self._build(self._inner, hidden_dims))

    def downwards(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network from a layer of the code to the layer below."""
        return self._of_code(self._build(self._inner, _reverse(hidden_dims)))

    @property
    def _scale(self) -> Tensor | float:
        """The factor of each centred input: for real numbers and counts 1 over their standard deviation."""
        numbers = [slice(start, stop) for kind, start, stop in self.spec.groups if kind in ("real", "count")]
        if not numbers:
            return 1.0
        scale, deviation = torch.ones(self.spec.dim + self.spec.given), self.spec.deviation
        if deviation is not None:
            for columns in numbers:
                scale[columns] = torch.where(deviation[columns] > 0, deviation[columns], 1).reciprocal()
        return scale

    @property
    def _inner(self) -> NetworkName | Build:
        """The network between layers of a code, which are vectors: instead of one for images an MLP."""
        if isinstance(self.network, str) and getattr(NETWORKS[self.network], "for_images", False):
            return "mlp"
        return self.network

    def _build(self, network: NetworkName | Build, hidden_dims: Sequence[int]) -> Build:
        if not isinstance(network, str):
            return network
        if getattr(NETWORKS[network], "for_images", False) and len(self.spec.event_shape) == 1:
            raise InputError(
                f"network: {network!r} expects data with an image shape, such as (28, 28); these data are a table of "
                f"{self.spec.dim} columns; network=mlp works for any data"
            )
        options = {name: getattr(self, name) for name in _OF_SOME_NETWORKS if takes(network, name)}
        return partial(NETWORKS[network], hidden_dims=hidden_dims, **options)

    def _of_code(self, build: Build) -> Build:
        return standardised(build, 0.5, 2.0) if self.bits else standardised(build)


def _reverse(hidden_dims: Sequence[int]) -> Sequence[int]:
    """Return the widths of the hidden layers in the other direction."""
    return require_list("hidden_dims", hidden_dims, WIDTHS)[::-1]


def check_network(given: Mapping[str, Any], signature: inspect.Signature) -> None:
    """Refuse options of a named network beside one that does not have them, or beside a network of the user's own."""
    network = given.get("network", "mlp")
    if isinstance(network, nn.Module):
        raise InputError(
            "network: expected a name, or a function from the sizes of input and output to a module, which is called "
            f"for the encoder and for the decoder; got the module {type(network).__name__}"
        )
    if callable(network):
        for name in (*_OF_EVERY_NETWORK, *_OF_SOME_NETWORKS):
            if name in given:
                raise InputError(
                    f"{name}: goes with a network by name ({', '.join(NETWORKS)}); a function that builds a network "
                    "decides this itself"
                )
        return
    require_choice("network", network, NETWORKS)
    for name in _OF_SOME_NETWORKS:
        if name in given and given[name] != signature.parameters[name].default and not takes(network, name):
            able = ", ".join(other for other in NETWORKS if takes(other, name))
            raise InputError(f"{name}: goes with network={able}; {network} has none; got {given[name]!r}")


def check_hidden_layers(model: LatentVariableModel, options: Mapping[str, Any]) -> None:
    """Refuse options of hidden layers in a model without such layers."""
    for name, off in (("normalisation", "none"), ("dropout", 0)):
        if options.get(name, off) != off and not any(isinstance(part, _LAYERS[name]) for part in model.modules()):
            raise InputError(
                f"{name}: expected hidden layers (hidden_dims); got {options[name]!r} and a model without hidden layers"
            )


def takes(network: str, option: str) -> bool:
    """Return whether a named network has an option."""
    return option in inspect.signature(NETWORKS[network]).parameters

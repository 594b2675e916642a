"""Networks from vectors to vectors, without probability.

A network is named in the table ``NETWORKS``, or is any function from the sizes of input and output to a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import nn

from vaelab.networks.conv import ConvolutionalNetwork
from vaelab.networks.flow import CouplingFlow, import_flows, start_as_identity
from vaelab.networks.mlp import MLP, Activation
from vaelab.networks.mode import evaluation_mode
from vaelab.networks.precision import Precision, choose_precision, has_bfloat16, matmul_precision
from vaelab.networks.sizes import Build, Size, size_of
from vaelab.networks.standardised import Standardised, build_network, output_bias, standardised

__all__ = [
    "MLP",
    "NETWORKS",
    "Activation",
    "Build",
    "ConvolutionalNetwork",
    "CouplingFlow",
    "NetworkName",
    "Precision",
    "Size",
    "Standardised",
    "build_network",
    "choose_precision",
    "evaluation_mode",
    "has_bfloat16",
    "import_flows",
    "matmul_precision",
    "output_bias",
    "size_of",
    "standardised",
    "start_as_identity",
]

# Each is built from (inputs, outputs, hidden_dims, activation).
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "conv": ConvolutionalNetwork,
}

if TYPE_CHECKING:
    NetworkName = str
else:
    NetworkName = Literal[tuple(NETWORKS)]  # the settings read the names of the table from here

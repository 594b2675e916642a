"""Networks from vectors to vectors, without probability.

A network is named in the table ``NETWORKS``, or is any function from the sizes of input and output to a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import nn

from vaelab.networks.conv import ConvolutionalNetwork
from vaelab.networks.dropout import Dropout, dropped, require_share
from vaelab.networks.flow import CouplingFlow, import_flows, start_as_identity
from vaelab.networks.gated_mlp import GatedMLP
from vaelab.networks.hidden import Activation, Hidden, Normalisation
from vaelab.networks.mlp import MLP
from vaelab.networks.mode import evaluation_mode
from vaelab.networks.precision import (
    Precision,
    Products,
    choose_precision,
    has_bfloat16,
    matmul_precision,
    products_in,
    products_of_steps,
)
from vaelab.networks.resnet import ResidualNetwork
from vaelab.networks.sizes import Build, Size, size_of
from vaelab.networks.standardised import Standardised, build_network, output_bias, standardised

__all__ = [
    "MLP",
    "NETWORKS",
    "Activation",
    "Build",
    "ConvolutionalNetwork",
    "CouplingFlow",
    "Dropout",
    "GatedMLP",
    "Hidden",
    "NetworkName",
    "Normalisation",
    "Precision",
    "Products",
    "ResidualNetwork",
    "Size",
    "Standardised",
    "build_network",
    "choose_precision",
    "dropped",
    "evaluation_mode",
    "has_bfloat16",
    "import_flows",
    "matmul_precision",
    "output_bias",
    "products_in",
    "products_of_steps",
    "require_share",
    "size_of",
    "standardised",
    "start_as_identity",
]

# Each is built from inputs, outputs, hidden_dims and those options of models.build.Networks that it has.
NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLP,
    "gated-mlp": GatedMLP,
    "conv": ConvolutionalNetwork,
    "resnet": ResidualNetwork,
}

if TYPE_CHECKING:
    NetworkName = str
else:
    NetworkName = Literal[tuple(NETWORKS)]  # the settings read the names of the table from here

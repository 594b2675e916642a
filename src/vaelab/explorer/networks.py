"""Networks as lists of layers that the page can compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vaelab.errors import InputError
from vaelab.explorer.tensors import Tensors
from vaelab.networks import Dropout, Standardised
from vaelab.networks.conv import Bias
from vaelab.networks.resnet import Residual

__all__ = ["LAYERS", "Export", "plain", "same_forward"]

Json = dict[str, Any]


def plain(module: nn.Module) -> nn.Module:
    """Return the module that ``torch.compile`` wrapped, or the module itself."""
    inner = getattr(module, "_orig_mod", module)
    return inner if isinstance(inner, nn.Module) else module


def same_forward(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Return whether a module computes what modules of a class compute: subclasses may not change ``forward``."""
    return isinstance(module, kind) and type(module).forward is kind.forward


class Export:
    """Writes networks into the tensors of a page.

    Args:
        tensors: the store of arrays.
        coarseness: of the weights that are int16, by the ``id`` of their arrays; others are float32.
    """

    def __init__(self, tensors: Tensors, coarseness: Mapping[int, float] | None = None) -> None:
        self.tensors, self.coarseness = tensors, coarseness or {}

    def vector(self, numbers: Tensor) -> int:
        """Store numbers in float32."""
        return self.tensors.add(numbers.double(), "float32")

    def weight(self, weight: Tensor, form: Callable[[Tensor], Tensor]) -> int:
        """Store weights in a form (inputs, outputs)."""
        numbers, coarseness = form(weight).double(), self.coarseness.get(id(weight))
        return self.tensors.add(numbers) if coarseness is None else self.tensors.add(numbers, "int16", coarseness)

    def network(self, network: nn.Module | None, part: str) -> Json:
        """Return a network as JSON; ``part`` names it in an error.

        Raises:
            InputError: a layer that the page cannot compute.
        """
        network = None if network is None else plain(network)
        if network is None or not same_forward(network, Standardised):
            raise _refused(part, network)
        assert isinstance(network, Standardised)
        scale = torch.zeros_like(network.shift) + network.scale
        return {
            "inputs": len(network.shift),
            "outputs": network.outputs,
            "shift": self.vector(network.shift) if bool((network.shift != 0).any()) else None,
            "scale": self.vector(scale) if bool((scale != 1).any()) else None,
            "encode_mask": network.encode_mask,
            "layers": self.program(network.layers, part),
        }

    def program(self, module: nn.Module, part: str) -> list[Json]:
        """Return the layers of a module in the order in which they are computed."""
        module = plain(module)
        if same_forward(module, nn.Sequential):
            return [layer for child in module.children() for layer in self.program(child, part)]
        if same_forward(module, Residual):
            assert isinstance(module, Residual)
            layers = self.program(nn.Sequential(*module.children()), part)
            return [{"op": "residual", "strength": float(module.strength.detach()), "layers": layers}]
        for kind, write in LAYERS.items():
            if same_forward(module, kind):
                layer = write(self, module)
                if layer is None:
                    break
                return [layer] if layer else []
        raise _refused(part, module)


def _refused(part: str, module: nn.Module | None) -> InputError:
    got = "none" if module is None else type(module).__name__
    known = ", ".join(dict.fromkeys(kind.__name__ for kind in LAYERS))
    return InputError(f"explore: the page cannot compute the layer {got} of the {part}; it computes {known}")


def _linear(export: Export, layer: Any) -> Json:
    return {
        "op": "linear",
        "weight": export.weight(layer.weight, lambda weight: weight.T),
        "bias": _bias(export, layer),
    }


def _conv(export: Export, layer: Any) -> Json | None:
    if not _is_simple(layer) or isinstance(layer.padding, str):
        return None
    weight = export.weight(layer.weight, lambda weight: weight.flatten(1).T)  # (in * kh * kw, out)
    return {
        "op": "conv",
        "weight": weight,
        "bias": _bias(export, layer),
        **_geometry(layer),
    }


def _conv_transpose(export: Export, layer: Any) -> Json | None:
    if not _is_simple(layer):
        return None
    weight = export.weight(layer.weight, lambda weight: weight.flatten(1))  # (in, out * kh * kw)
    return {
        "op": "conv-transpose",
        "weight": weight,
        "bias": _bias(export, layer),
        **_geometry(layer),
        "output_padding": list(layer.output_padding),
    }


def _geometry(layer: Any) -> Json:
    return {
        "channels": [layer.in_channels, layer.out_channels],
        "kernel": list(layer.kernel_size),
        "stride": list(layer.stride),
        "padding": list(layer.padding),
    }


def _is_simple(layer: Any) -> bool:
    """Return whether a convolution has one group, no gaps in its kernel, and zeros around the image."""
    return layer.groups == 1 and set(layer.dilation) == {1} and layer.padding_mode == "zeros"


def _bias(export: Export, layer: Any) -> int | None:
    return None if layer.bias is None else export.vector(layer.bias)


def _unflatten(export: Export, layer: Any) -> Json | None:
    shape = list(layer.unflattened_size)
    return {"op": "unflatten", "shape": shape} if layer.dim == 1 and len(shape) == 3 else None


def _flatten(export: Export, layer: Any) -> Json | None:
    return {"op": "flatten"} if (layer.start_dim, layer.end_dim) == (1, -1) else None


def _layer_norm(export: Export, layer: Any) -> Json | None:
    """Layer normalisation of a row, or of an image over all of its channels at once."""
    over_row = len(layer.normalized_shape) == 1 if isinstance(layer, nn.LayerNorm) else layer.num_groups == 1
    if not over_row or layer.weight is None or layer.bias is None:
        return None
    return {
        "op": "layer-norm",
        "weight": export.vector(layer.weight),
        "bias": export.vector(layer.bias),
        "eps": layer.eps,
    }


def _glu(export: Export, layer: Any) -> Json | None:
    return {"op": "glu"} if layer.dim == -1 else None


def _elu(export: Export, layer: Any) -> Json:
    return {"op": "elu", "slope": layer.alpha}


def _leaky_relu(export: Export, layer: Any) -> Json:
    return {"op": "leaky-relu", "slope": layer.negative_slope}


def _activation(op: str) -> Callable[[Export, Any], Json]:
    return lambda export, layer: {"op": op}


def _nothing(export: Export, layer: Any) -> Json:
    return {}


# A layer that the page computes: a row here, and one in ``web/engine/networks.js``. A function returns None for a form
# of the layer that the page cannot compute, and nothing for a layer that changes nothing.
LAYERS: dict[type[nn.Module], Callable[[Export, Any], Json | None]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv_transpose,
    nn.Unflatten: _unflatten,
    nn.Flatten: _flatten,
    Bias: lambda export, layer: {"op": "bias", "bias": export.vector(layer.bias)},
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _layer_norm,
    nn.GLU: _glu,
    nn.ReLU: _activation("relu"),
    nn.LeakyReLU: _leaky_relu,
    nn.Tanh: _activation("tanh"),
    nn.SiLU: _activation("silu"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.ELU: _elu,
    nn.Identity: _nothing,
    nn.Dropout: _nothing,
    Dropout: _nothing,
}

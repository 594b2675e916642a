"""A network with its input standardised and its shapes checked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.errors import InputError
from vaelab.networks.dropout import Dropout, rows_of
from vaelab.networks.sizes import Build, Size, size_of

__all__ = ["Standardised", "build_network", "output_bias", "standardised"]


class Standardised(nn.Module):
    """A network of (x - shift) * scale, for inputs with any number of leading axes.

    The network sees rows: a tensor (N, inputs), N the product of the leading axes.

    Args:
        layers: network from (N, inputs) to (N, outputs).
        inputs: input size, a number or a shape.
        outputs: output size, a number or a shape.
        shift: subtracted from the input: the mean observation, shape (inputs,), or 1/2 for bits.
        scale: factor of the centred input: 2 writes bits as -1 and +1; or one for each input, shape (inputs,), such as
            the inverse of its standard deviation.
        encode_mask: whether the layers read, after the inputs, which of them are observed: 2 x inputs numbers.

    With ``may_be_missing`` NaN in the input is read as the shift, that is, as the mean.

    Raises:
        InputError: no module, or a shift or scale of another size; when called, inputs or outputs of another size.

    >>> Standardised(nn.Identity(), 3, 3, shift=0.5, scale=2.0)(torch.tensor([0.0, 1.0, 1.0]))
    tensor([-1.,  1.,  1.])
    """

    def __init__(
        self,
        layers: nn.Module,
        inputs: Size,
        outputs: Size,
        shift: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        encode_mask: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(layers, nn.Module):
            raise InputError(f"network: expected a function from two sizes to a torch module; it returned {layers!r}")
        width = size_of("inputs", inputs).numel()
        centre = _of_inputs("shift", shift, width)
        self.shift: Tensor
        self.register_buffer("shift", torch.zeros(width) + centre)  # a sum: an expanded number would have stride 0
        self.scale: Tensor | float
        if isinstance(scale, Tensor):
            self.register_buffer("scale", _of_inputs("scale", scale, width).clone())
        else:
            self.scale = scale
        self._scales = isinstance(scale, Tensor) or scale != 1
        self.encode_mask, self.may_be_missing = encode_mask, encode_mask
        self.outputs = size_of("outputs", outputs).numel()
        self.layers = layers
        parts = list(layers.children())
        plain = isinstance(layers, nn.Sequential) and type(layers).forward is nn.Sequential.forward and len(parts) > 1
        plain = plain and self._scales and not isinstance(scale, Tensor)
        self._drops = any(isinstance(part, Dropout) for part in layers.modules())
        self._folds = plain and type(parts[0]) is nn.Linear and parts[0].bias is not None

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (..., inputs) to outputs (..., outputs)."""
        if not isinstance(x, Tensor) or x.shape[-1:] != self.shift.shape:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise InputError(f"network: expected inputs of shape (..., {len(self.shift)}); got {got}")
        # One axis before the features: of more than two axes a layer would return a view, and an activation that
        # changes a view in place is differentiated by copies.
        rows = x.reshape(-1, x.shape[-1])
        if self._drops:
            with rows_of(x.shape[:-1]):
                features = self._features(rows)
        else:
            features = self._features(rows)
        if not isinstance(features, Tensor) or features.shape != (rows.shape[0], self.outputs):
            got = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise InputError(
                f"network: expected outputs of shape {(rows.shape[0], self.outputs)} for inputs of shape "
                f"{tuple(rows.shape)}; got {got}"
            )
        return features.view(*x.shape[:-1], self.outputs)

    def _features(self, x: Tensor) -> Tensor:
        if self.may_be_missing:
            observed = ~x.isnan()
            centred = torch.where(observed, x - self.shift, 0) * self.scale
            inputs = torch.cat([centred, observed.to(x.dtype)], -1) if self.encode_mask else centred
            features: Tensor = self.layers(inputs)
            return features
        if not self._folds:
            centred = x - self.shift
            features = self.layers(centred * self.scale if self._scales else centred)
            return features
        # W (x - shift) scale + b with the constants in the layer: no second copy of K codes is kept for the gradient.
        first, *others = self.layers.children()
        weight = first.get_parameter("weight") * self.scale
        features = F.linear(x, weight, first.get_parameter("bias") - weight @ self.shift)
        for layer in others:
            features = layer(features)
        return features


def _of_inputs(name: str, value: Tensor | float, width: int) -> Tensor:
    """Return a number, or one for each input, as a tensor."""
    numbers = torch.as_tensor(value, dtype=torch.get_default_dtype())
    if numbers.shape not in ((), (width,)):
        raise InputError(
            f"{name}: expected a number or shape ({width},), one for each input; got {tuple(numbers.shape)}"
        )
    return numbers


def standardised(
    build: Build, shift: Tensor | float = 0.0, scale: Tensor | float = 1.0, encode_mask: bool = False
) -> Build:
    """Return a function that builds the same networks, but of standardised inputs, and of their mask if asked for."""

    def build_standardised(inputs: Size, outputs: Size) -> Standardised:
        reads = size_of("inputs", inputs)
        # an image and its mask are two planes of the same shape
        wide = torch.Size([2, *reads] if len(reads) > 1 else [2 * reads.numel()]) if encode_mask else reads
        layers = build(wide, size_of("outputs", outputs))
        return Standardised(layers, inputs, outputs, shift, scale, encode_mask)

    return build_standardised


def build_network(build: Build, inputs: Size, outputs: Size) -> Standardised:
    """Build a network whose shapes are checked; its input stays as it is, unless ``build`` standardises it."""
    sizes = size_of("inputs", inputs), size_of("outputs", outputs)
    network = build(*sizes)
    return network if isinstance(network, Standardised) else Standardised(network, *sizes)


def output_bias(network: nn.Module) -> nn.Parameter | None:
    """Return the bias of the last layer of a network, if that layer has one.

    >>> from vaelab.networks import MLP
    >>> output_bias(MLP(5, 3, [4])).shape
    torch.Size([3])
    """
    *_, last = network.modules()
    bias = getattr(last, "bias", None)
    return bias if isinstance(bias, nn.Parameter) else None

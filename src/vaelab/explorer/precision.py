"""The type of the weights in a page: the smallest that leaves the probabilities as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call

from vaelab.distributions import DiagonalNormal, Multinomial, Product
from vaelab.explorer.tensors import whole_numbers
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["TOLERANCE", "Precision", "choose_precision"]

TOLERANCE = 7e-4  # of a probability: a page may differ from torch by 1e-3
_ROWS = 64
_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Precision:
    """The type of the weights, and the largest change of a probability that rounding to it makes."""

    weights: Literal["int16", "float32"]
    deviation: float


def choose_precision(model: LatentVariableModel, rows: Tensor | None = None) -> Precision:
    """Return int16 if it changes no probability by more than :data:`TOLERANCE`, else float32.

    Compared are p(x|z) at draws from the prior, q(z|x), and the reconstruction of x, between the model and the same
    model with rounded weights. Numbers that are no probabilities are compared in units of their standard deviations.

    Args:
        model: the model.
        rows: observations (B, X + Y), of which the first 64 are used; draws from the model if None.
    """
    reader = _Reader(model)
    with torch.no_grad(), evaluation_mode(model), seeded(0, "precision"):
        x = _rows(model, rows)
        z = model.prior().sample((len(x),))
        exact = reader(x, z)
        rounded: dict[str, Tensor] = {
            f"{name}.weight": nn.Parameter(_rounded(layer), False)
            for name, layer in reader.named_modules()
            if isinstance(layer, _LAYERS)
        }
        found: list[Tensor] = functional_call(reader, rounded, (x, z))
    changes = [(one - other).abs().max() for one, other in zip(exact, found, strict=True)]
    deviation = float(torch.stack(changes).max())
    return Precision("int16", deviation) if deviation <= TOLERANCE else Precision("float32", 0.0)


def _rounded(layer: nn.Module) -> Tensor:
    """Return the weights of a layer as the page has them: those of one input share a factor."""
    weight, transposed = layer.get_parameter("weight"), isinstance(layer, nn.ConvTranspose2d)
    matrix = weight.flatten(1) if transposed else weight.flatten(1).T  # as networks.LAYERS write it
    numbers, factors = whole_numbers(matrix.double().cpu().numpy())
    product = torch.from_numpy(numbers * factors[:, None]).to(weight)
    return (product if transposed else product.T).reshape(weight.shape)


def _rows(model: LatentVariableModel, rows: Tensor | None) -> Tensor:
    if rows is not None:
        return model.observations(rows[:_ROWS])
    y = model.any_weight.new_zeros(_ROWS, model.given)
    return torch.cat([model.conditional(model.prior().sample((_ROWS,)), y).sample(), y], -1)


class _Reader(nn.Module):
    """Computes what is compared, of all weights of a model."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, z: Tensor) -> list[Tensor]:
        """Return the probabilities of p(x|z) and of q(z|x) for bits, and those of the reconstructions."""
        _, y = self.model.split(x)
        q = self.model.posterior(x)
        decoded = _probabilities(self.model.conditional(z, y))
        if self.model.code == "bits":
            return [decoded, q.mean]
        return [decoded, _probabilities(self.model.conditional(q.mean, y))]


def _probabilities(p: Distribution) -> Tensor:
    """Return means that are probabilities, and others in units of their standard deviations."""
    if isinstance(p, Product):
        return torch.cat([_probabilities(part) for part in p.parts], -1)
    if isinstance(p, DiagonalNormal):
        return p.loc / p.stddev
    if isinstance(p, Multinomial):
        return p.log_probs.exp()
    mean: Tensor = p.mean
    return mean

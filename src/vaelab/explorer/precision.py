"""How coarsely the weights in a page are rounded: as coarsely as leaves the probabilities as they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call

from vaelab.distributions import Chain, DiagonalNormal, FlowedNormal, Multinomial, Product
from vaelab.explorer.tensors import whole_numbers
from vaelab.inference import MeanFieldPosterior
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["TOLERANCE", "Precision", "choose_precision"]

TOLERANCE = 5e-4  # of a probability, on some rows: on all of them a page may differ from torch by 1e-3
_ROWS = 200
_ROWS_OF_SWEEPS = 10  # of mean-field inference, which takes a while for each row
_SMALL = 2000  # numbers: a smaller array of weights is not rounded
_HALVES = 16  # coarsest rounding: 2^8 times the finest
_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Precision:
    """How the weights are rounded.

    Attributes:
        coarseness: for arrays of weights, by their ``id``, what multiplies the factors of their rows, see
            ``tensors.whole_numbers``: 1 for whole numbers of 16 bits, 2 for 15 and so on. The others are float32.
        deviation: the largest change of a probability that this makes, on the rows on which it was measured.
    """

    coarseness: Mapping[int, float] = field(default_factory=dict)
    deviation: float = 0.0


def choose_precision(model: LatentVariableModel, rows: Tensor | None = None) -> Precision:
    """Return the coarsest rounding of the weights that changes no probability by more than :data:`TOLERANCE`.

    Compared are p(x|z) at draws from the prior, q(z|x), and the reconstruction of x, between the model and the same
    model with rounded weights. Numbers that are no probabilities are compared in units of their standard deviations.
    The tolerance is divided among the arrays of weights: its square in proportion to their numbers of weights, which
    makes the total number of bits smallest.

    Args:
        model: the model.
        rows: observations (B, X + Y), of which the first 200 are used; draws from the model if None.
    """
    with torch.no_grad(), evaluation_mode(model), seeded(0, "precision"):
        rounding = _Rounding(model, rows)
        total = sum(weight.numel() for weight in rounding.weights.values())
        halves = {
            name: rounding.coarsest(name, TOLERANCE * math.sqrt(weight.numel() / total))
            for name, weight in rounding.weights.items()
        }
        while halves:
            deviation = rounding.deviation(halves)
            if deviation <= TOLERANCE:
                coarseness = {id(rounding.weights[name]): 2 ** (half / 2) for name, half in halves.items()}
                return Precision(coarseness, deviation)
            if not any(halves.values()):
                break
            halves = {name: max(half - 1, 0) for name, half in halves.items()}
        return Precision()


class _Rounding:
    """The change of probabilities by rounding weights, with factors 2^(halves / 2) times the finest."""

    def __init__(self, model: LatentVariableModel, rows: Tensor | None) -> None:
        self.reader, self.x = _Reader(model), _rows(model, rows)
        self.z = model.prior().sample((len(self.x),))
        self.exact: list[Tensor] = self.reader(self.x, self.z)
        self.layers = {
            f"{name}.weight": layer
            for name, layer in self.reader.named_modules()
            if isinstance(layer, _LAYERS) and layer.weight.numel() >= _SMALL
        }
        self.weights = {name: layer.weight for name, layer in self.layers.items()}

    def coarsest(self, name: str, tolerance: float) -> int:
        """Return the coarsest rounding with which this array alone stays within a tolerance; 0 if none does."""
        low, high = 0, _HALVES
        while low < high:
            middle = (low + high + 1) // 2
            within = self.deviation({name: middle}) <= tolerance
            low, high = (middle, high) if within else (low, middle - 1)
        return low

    def deviation(self, halves: Mapping[str, int]) -> float:
        """Return the largest change of a probability; NaN if one is not finite."""
        rounded: dict[str, Tensor] = {
            name: nn.Parameter(_rounded(self.layers[name], 2 ** (half / 2)), requires_grad=False)
            for name, half in halves.items()
        }
        found: list[Tensor] = functional_call(self.reader, rounded, (self.x, self.z))
        changes = [(one - other).abs().max() for one, other in zip(self.exact, found, strict=True)]
        return float(torch.stack(changes).max())


def _rounded(layer: nn.Module, coarseness: float) -> Tensor:
    """Return the weights of a layer as the page has them: those of one input share a factor."""
    weight, transposed = layer.get_parameter("weight"), isinstance(layer, nn.ConvTranspose2d)
    matrix = weight.flatten(1) if transposed else weight.flatten(1).T  # as networks.LAYERS write it
    numbers, factors = whole_numbers(matrix.double().cpu().numpy(), coarseness)
    product = torch.from_numpy(numbers * factors[:, None]).to(weight)
    return (product if transposed else product.T).reshape(weight.shape)


def _rows(model: LatentVariableModel, rows: Tensor | None) -> Tensor:
    if rows is not None:
        return model.observations(rows[:_ROWS].to(model.any_weight.device))
    y = model.any_weight.new_zeros(_ROWS, model.given)
    return torch.cat([model.conditional(model.prior().sample((_ROWS,)), y).sample(), y], -1)


class _Reader(nn.Module):
    """Computes what is compared, of all weights of a model."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, z: Tensor) -> list[Tensor]:
        """Return the probabilities of p(x|z), of q(z|x) or the reconstruction, and of each layer given the next."""
        model = self.model
        _, y = model.split(x)
        count = _ROWS_OF_SWEEPS if isinstance(model.posterior, MeanFieldPosterior) else len(x)
        q, prior = model.posterior(x[:count]), model.prior()
        code = q.from_noise(torch.zeros_like(q.loc)) if isinstance(q, FlowedNormal) else q.mean  # its mean takes long
        decoded = [_probabilities(model.conditional(z, y))]
        decoded.append(code if model.code == "bits" else _probabilities(model.conditional(code, y[:count])))
        layers = prior.factors(z)[1:] if isinstance(prior, Chain) else []
        return decoded + [_probabilities(layer) for layer in layers]


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

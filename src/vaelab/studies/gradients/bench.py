"""The setting of the measurements: a frozen model, one batch, and the directions of projection."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from vaelab.data import Observations
from vaelab.errors import InputError, require_int
from vaelab.estimators import Estimator
from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.seeds import seeded
from vaelab.studies.gradients.bias import DIRECTIONS

__all__ = ["Bench"]


class Bench:
    """The frozen model, the batch and the directions of projection.

    Args:
        model: its codes are sampled, and q(z|x) has parameters.
        objective: whose gradient is estimated.
        observed: the split that batches come from.
        rows: observations in the batch.
        seed: of the batch, the directions and every draw.

    Raises:
        InputError: a model without sampled codes, or without trained parameters in q(z|x).
    """

    def __init__(
        self, model: LatentVariableModel, objective: Objective, observed: Observations, rows: int, seed: int
    ) -> None:
        require_int("rows", rows, 1)
        encoder = [weight for weight in model.posterior.parameters() if weight.requires_grad]
        if model.code == "point":
            raise InputError("gradients: a deterministic auto-encoder draws no codes, so no gradient of it is sampled")
        if not encoder:
            raise InputError(
                "gradients: q(z|x) of this model has no parameters (mean-field inference), so no gradient to estimate"
            )
        self.model, self.objective, self.observed, self.seed = model.eval(), objective, observed, seed
        ids = {id(weight) for weight in encoder}
        others = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in ids]
        self.weights: list[nn.Parameter] = [*encoder, *others]
        self.sizes = sum(weight.numel() for weight in encoder), sum(weight.numel() for weight in others)
        self.rows = min(rows, len(observed))
        self.x = self.batch("batch")  # (B, X)
        with seeded(seed, "directions"):
            drawn = [torch.randn(DIRECTIONS, size, dtype=self.x.dtype) for size in self.sizes]
        self.directions = [(part / part.norm(dim=1, keepdim=True)).to(self.x.device) for part in drawn]

    def batch(self, *path: object) -> Tensor:
        """Return a batch of the split that depends on the seed and on ``path``, (B, X)."""
        with seeded(self.seed, "gradients", *path):
            chosen = torch.randperm(len(self.observed))[: self.rows]
            bits = self.observed.bits(chosen.to(self.observed.device))
        return bits.to(self.model.any_weight)

    def draws(self, estimator: Estimator, count: int, *path: object) -> Iterator[Tensor]:
        """Yield independent estimates of the gradient, encoder first, each flat (P,) in the model's type."""
        for draw in range(count):
            with seeded(self.seed, "gradients", *path, draw):
                estimate = estimator.estimate(self.model, self.objective, self.x)
            gradients = torch.autograd.grad(estimate.surrogate.mean(), self.weights, allow_unused=True)
            pairs = zip(gradients, self.weights, strict=True)
            yield torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pairs])

    def project(self, gradient: Tensor) -> Tensor:
        """Return the projections of a flat gradient, float64 (M,)."""
        parts = gradient.split(self.sizes)
        return torch.cat([d @ part for d, part in zip(self.directions, parts, strict=True)]).double().cpu()

    def projections(self, estimator: Estimator, count: int, *path: object) -> Tensor:
        """Return the projections of independent estimates, float64 (n, M)."""
        return torch.stack([self.project(gradient) for gradient in self.draws(estimator, count, *path)])

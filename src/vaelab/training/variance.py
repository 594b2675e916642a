"""The variance of the gradient along a training: exponential averages of each encoder parameter's moments."""

from __future__ import annotations

from typing import Any

import torch

from vaelab.errors import InputError
from vaelab.models import LatentVariableModel
from vaelab.training.optimizers import trainable

__all__ = ["GradientVariance"]


class GradientVariance:
    """The average of `E[g^2] - E[g]^2` over the encoder's parameters, where `g` is the gradient before clipping.

    Formula: at each step `m <- delta m + (1 - delta) g` and `s <- delta s + (1 - delta) g^2` with decay `delta` =
    0.999. With the weights of the steps so far normalised to `w_i`, the variance is
    `(sum_i w_i g_i^2 - (sum_i w_i g_i)^2) / (1 - sum_i w_i^2)`, unbiased from the second step on. It includes the noise
    of minibatches and the drift of the parameters. Source: Dong, Mnih & Tucker (2020),
    https://arxiv.org/abs/2006.10680. It only reads gradients, so the training is bitwise the same with and without it.

    >>> from vaelab.models import bernoulli_vae
    >>> variance = GradientVariance(bernoulli_vae(6, latent_dim=3))
    >>> variance.row()
    {}
    """

    def __init__(self, model: LatentVariableModel, decay: float = 0.999) -> None:
        encoder = {id(weight) for weight in model.posterior.parameters()}
        self.weights = [weight for weight in trainable(model) if id(weight) in encoder]
        if not self.weights:
            raise InputError("log_gradient_variance: q(z|x) of this model has no parameters; expected false")
        self.decay, self.steps = decay, 0
        size = sum(weight.numel() for weight in self.weights)
        # In float64: the two moments nearly cancel where the gradient's mean is large.
        self.mean = torch.zeros(size, dtype=torch.float64, device=self.weights[0].device)
        self.square = torch.zeros_like(self.mean)

    def update(self) -> None:
        """Take in the present gradients of the weights, before they are clipped."""
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in self.weights]
        gradient = torch.cat([part.flatten() for part in gradients]).double()
        self.mean.lerp_(gradient, 1 - self.decay)
        self.square.lerp_(gradient.square_(), 1 - self.decay)
        self.steps += 1

    def row(self) -> dict[str, float]:
        """Return the values to log; none before the second step."""
        if self.steps < 2:
            return {}
        faded = self.decay**self.steps
        total = 1 - faded  # sum of the weights before they are normalised
        squares = (1 - self.decay) / (1 + self.decay) * (1 + faded) / total  # sum w_i^2
        variance = self.square / total - (self.mean / total).square()
        return {"train/gradient_variance": float(variance.mean()) / (1 - squares)}

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self.steps = state["steps"]
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])

"""Exact sums over every code of a model with few bits: log p(x), the posterior p(z|x), and the gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vaelab.distributions import Bernoulli, codes_between, observed_log_prob
from vaelab.errors import InputError, require_int
from vaelab.inference.contract import InferenceModel
from vaelab.inputs import Table, as_observations
from vaelab.networks import evaluation_mode

__all__ = ["MAX_BITS", "Enumeration", "observed"]

MAX_BITS = 20
_ELEMENTS = 4_000_000  # of a chunk of codes times pixels or observations


class Enumeration:
    """Sums over all 2^D codes of at most 20 bits, a chunk of codes at a time.

    Formula: `log p(x) = log sum_z p(z) p(x|z)` and `p(z|x) = p(z) p(x|z) / p(x)`; the gradient of log p(x) is `sum_z
    p(z|x) grad log p(x, z)`. The codes are the same for every observation, so that for bits `log p(x|z) = sum_i [x_i
    l_i(z) - softplus(l_i(z))]` is a product of matrices, and the sum of softplus is computed once per code. Memory does
    not grow with `2^D`. Shapes: x (B, X); a chunk of codes (C, 1, D), their densities (C, B).

    With ``known``, booleans (X,) or (B, X), true where a pixel is given, everything is conditional on those pixels
    alone: log p(x_known), p(z|x_known). The values of the other pixels are not used. If the model allows missing
    values, NaN in x says the same.

    Args:
        model: its codes are bits; of several layers, all of them count. In float64 the sums are too.

    Raises:
        InputError: codes that are not bits, or more than 20 of them; observations of the wrong shape or range.

    >>> from vaelab.models import bernoulli_vae
    >>> Enumeration(bernoulli_vae(6, latent_dim=3)).log_likelihood(torch.ones(4, 6)).shape
    torch.Size([4])
    """

    def __init__(self, model: InferenceModel) -> None:
        if model.code != "bits":
            raise InputError(
                f"exact: only codes of bits can be enumerated; the model's codes are of kind {model.code!r}"
            )
        self.dim = int(model.prior().event_shape[0])
        if self.dim > MAX_BITS:
            raise InputError(f"exact: expected at most {MAX_BITS} bits to enumerate; the model has {self.dim}")
        self.model = model
        with torch.no_grad():  # p(x|z) of bits needs no tensor of codes times observations times columns
            code = model.any_weight.new_zeros(1, self.dim + model.given)
            self._shares = not model.given and isinstance(model.likelihood(code), Bernoulli)

    def log_likelihood(self, x: Table, known: Table | None = None) -> Tensor:
        """Return log p(x), or log p(x_known), shape (B,), in nats."""
        return self._total(observed(self.model, x, known))

    def _total(self, x: Tensor) -> Tensor:
        total = x.new_full((len(x),), -math.inf)
        for _, log_joint in self.chunks(x):
            total = torch.logaddexp(total, log_joint.logsumexp(0))
        return total

    def posterior_mean(self, x: Table, known: Table | None = None) -> Tensor:
        """Return E[z|x], the probability of each bit under the exact posterior, shape (B, D)."""
        x = observed(self.model, x, known)
        total, mean = self._total(x), x.new_zeros(len(x), self.dim)
        for z, log_joint in self.chunks(x):
            mean = mean + (log_joint - total).exp().T @ z.squeeze(1)
        return mean

    def sample(self, x: Table, samples: int = 1, known: Table | None = None) -> Tensor:
        """Draw codes from the exact posterior p(z|x), shape (K, B, D): the largest of Gumbel-perturbed densities."""
        count = require_int("samples", samples, 1)
        x = observed(self.model, x, known)
        best = x.new_full((count, len(x)), -math.inf)
        chosen = x.new_zeros(count, len(x), self.dim)
        with torch.no_grad():
            for z, log_joint in self.chunks(x):
                for k in range(count):
                    noise = -torch.empty_like(log_joint).exponential_().log()
                    score, index = (log_joint + noise).max(0)  # (B,)
                    better = score > best[k]
                    best[k] = torch.where(better, score, best[k])
                    chosen[k] = torch.where(better.unsqueeze(-1), z.squeeze(1)[index], chosen[k])
        return chosen

    def gradient(self, x: Table) -> dict[str, Tensor]:
        """Return the gradient of the batch's mean log p(x), for every trained weight of prior and likelihood."""
        parts = {"prior": self.model.prior, "likelihood": self.model.likelihood}
        weights = {
            f"{part}.{name}": weight
            for part, module in parts.items()
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }
        x = observed(self.model, x)
        with torch.no_grad():
            total = self._total(x)
        totals = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for _, log_joint in self.chunks(x):
            posterior = (log_joint.detach() - total).exp()  # (C, B)
            value = (posterior * log_joint).sum() / len(x)
            gradients = torch.autograd.grad(value, list(weights.values()), allow_unused=True)
            for name, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:
                    totals[name] += gradient
        return totals

    def chunks(self, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield all codes (C, 1, D) with their log p(x, z), (C, B), in chunks."""
        size = max(1, _ELEMENTS // (max(x.shape[-1], len(x)) if self._shares else len(x) * x.shape[-1]))
        incomplete = bool(x.isnan().any())
        for start in range(0, 2**self.dim, size):
            z = codes_between(start, min(start + size, 2**self.dim), self.dim, x).unsqueeze(1)
            with evaluation_mode(self.model.prior, self.model.likelihood):
                if incomplete and not self.model.given:
                    log_likelihood = observed_log_prob(self.model.likelihood(z), x)
                else:
                    log_likelihood = self.model.log_likelihood(x, z)
                log_joint = self.model.prior().log_prob(z) + log_likelihood
            yield z, log_joint


def observed(model: InferenceModel, x: Table, known: Table | None = None) -> Tensor:
    """Return observations (B, X) in the type of the model, NaN where they are not known.

    Raises:
        InputError: a wrong shape or type, or numbers outside [0, 1] where pixels are known.
    """
    x = model.observations(x) if known is None else _partly(x, known, model)
    if known is not None and model.given:
        raise InputError("known: expected a model that is not conditional; this one is given some columns")
    if x.shape[1] != (pixels := model.data_dim):
        raise InputError(f"x: expected {pixels} pixels in each row, as the model has; got {x.shape[1]}")
    return x


def _partly(x: object, known: object, model: InferenceModel) -> Tensor:
    """Return observations that are NaN where they are not known."""
    like = model.any_weight
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) != 2 or (isinstance(x, np.ndarray) and x.dtype.kind not in "buif"):
        as_observations(x, like)  # refuses it
    mask = torch.from_numpy(known.copy()) if isinstance(known, np.ndarray) and known.dtype == bool else known
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) not in (shape, shape[1:]):
        raise InputError(f"known: expected booleans of shape {shape[1:]} or {shape}; got {_what(known)}")
    mask = mask.to(like.device).expand(shape)
    if isinstance(x, np.ndarray):
        x = np.where(mask.cpu().numpy(), x, np.nan)
    elif isinstance(x, Tensor) and x.device == like.device:
        x = torch.where(mask, x.to(like.dtype), torch.nan)
    table = as_observations(x, like, " where pixels are known", may_be_missing=True, spec=model.spec_of_columns)
    if bool((table.isnan() & mask).any()):
        raise InputError("x: expected bits or numbers where pixels are known; got NaN")
    return table


def _what(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__

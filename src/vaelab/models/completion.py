"""Completion: draw the unknown pixels of an observation given the known ones, through a code of bits."""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.distributions import Bits
from vaelab.models.enumeration import Enumeration
from vaelab.models.latent import LatentVariableModel
from vaelab.randomness import seeded
from vaelab.refusals import Refusal, require_int

__all__ = ["complete", "gibbs_sweep"]

_EXACT_BITS = 12


def complete(
    model: LatentVariableModel,
    x: Tensor,
    known: Tensor,
    sweeps: int = 20,
    seed: int | None = None,
    exact: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw the pixels that are not known from p(x_unknown|x_known), the known ones clamped.

    Formula: z ~ p(z|x_known), then x_unknown ~ p(x|z), the pixels being independent given z. With at most 12
    bits z is drawn from the exact conditional, by enumeration. Otherwise by Gibbs sampling, started from the
    encoder's code of x with its unknown pixels at their prior means: in a sweep every bit is drawn given all
    others and x_known,

        P(z_j = 1 | rest) = sigmoid(log p(x_known, z with z_j = 1) - log p(x_known, z with z_j = 0)).

    Source: Neal (1992), https://doi.org/10.1016/0004-3702(92)90065-6.

    Args:
        model: its codes are bits; any number of layers.
        x: observations (B, X) in [0, 1]; what stands at unknown pixels is not looked at.
        known: booleans (X,) or (B, X), true where a pixel is given.
        sweeps: Gibbs sweeps over all bits.
        seed: of the draws; the global generator is left alone.
        exact: draw codes by enumeration, or by sweeps; by the number of bits if None.

    Returns:
        the completed observations and the mean of each pixel given z, (B, X) each; known pixels are as given.

    Raises:
        Refusal: codes that are not bits, or arguments of the wrong shape or range.

    >>> from vaelab.models import sbn
    >>> half = torch.arange(6) < 3
    >>> completed, mean = complete(sbn(6, layers=[4]), torch.ones(2, 6), half, seed=0)
    >>> completed.shape, bool((completed[:, half] == 1).all())
    (torch.Size([2, 6]), True)
    """
    require_int("sweeps", sweeps, 1)
    if model.code != "bits":
        raise Refusal(f"complete: expected a model with codes of bits; this model's are of kind {model.code!r}")
    if not isinstance(x, Tensor) or x.ndim != 2:
        raise Refusal(f"x: expected a tensor of observations, shape (B, X); got {_what(x)}")
    if not isinstance(known, Tensor) or known.dtype != torch.bool or known.shape not in (x.shape, x.shape[1:]):
        raise Refusal(f"known: expected booleans of shape {tuple(x.shape[1:])} or {tuple(x.shape)}; got {_what(known)}")
    known = known.expand(x.shape)
    if x.shape[1] != (pixels := int(model.likelihood(model.prior().mean.unsqueeze(0)).event_shape[0])):
        raise Refusal(f"x: expected {pixels} pixels in each row, as the model has; got {x.shape[1]}")
    given = x[known]
    if not bool(((given >= 0) & (given <= 1)).all()):
        raise Refusal("x: expected bits or numbers in [0, 1] where pixels are known; got other values")
    bits = int(model.prior().event_shape[0])
    exact = bits <= _EXACT_BITS if exact is None else exact
    with torch.no_grad(), seeded(seed, "complete") if seed is not None else nullcontext():
        if exact:
            z = Enumeration(model).sample(torch.where(known, x, torch.zeros_like(x)), 1, known).squeeze(0)
        else:
            typical = model.likelihood(model.prior().sample((100,))).mean.mean(0)  # (X,)
            z = model.posterior(torch.where(known, x, typical.to(x))).sample()  # (B, D)
            for _ in range(sweeps):
                z = gibbs_sweep(model, x, known, z)
        conditional = model.likelihood(z)
        drawn, mean = conditional.sample(), conditional.mean
        return torch.where(known, x.to(drawn), drawn), torch.where(known, x.to(mean), mean)


def gibbs_sweep(model: LatentVariableModel, x: Tensor, known: Tensor, z: Tensor) -> Tensor:
    """Draw every bit of z (B, D) once, in order, given the others and the known pixels, (B, X)."""
    here = _log_joint(model, x, known, z)  # (B,)
    for j in range(z.shape[-1]):
        flipped = z.clone()
        flipped[:, j] = 1 - z[:, j]
        there = _log_joint(model, x, known, flipped)
        turn = torch.rand_like(here) < torch.sigmoid(there - here)
        z, here = torch.where(turn.unsqueeze(-1), flipped, z), torch.where(turn, there, here)
    return z


def _log_joint(model: LatentVariableModel, x: Tensor, known: Tensor, z: Tensor) -> Tensor:
    conditional = model.likelihood(z)
    assert isinstance(conditional, Bits)
    terms = torch.where(known, x * conditional.logits - F.softplus(conditional.logits), torch.zeros_like(x))
    log_prior: Tensor = model.prior().log_prob(z)
    return log_prior + terms.sum(-1)


def _what(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__

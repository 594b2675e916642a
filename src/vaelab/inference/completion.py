"""Completion: draw the unknown pixels of an observation given the known ones, through a code of bits."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.distributions import given_observed, observed_log_prob
from vaelab.errors import InputError, require_int
from vaelab.inference.contract import InferenceModel
from vaelab.inference.enumeration import Enumeration, observed
from vaelab.inputs import Table
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["complete", "gibbs_sweep"]

_EXACT_BITS = 12


def complete(
    model: InferenceModel,
    x: Table,
    known: Table,
    sweeps: int = 20,
    seed: int | None = None,
    exact: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw the pixels that are not known from p(x_unknown|x_known), with the known ones fixed.

    Formula: `z ~ p(z|x_known)`, then `x_unknown ~ p(x_unknown|z, x_known)`, which is p(x|z) where the pixels are
    independent given z. With at most 12 bits, z is drawn from the exact conditional distribution, by enumeration.
    Otherwise it is drawn by Gibbs sampling, which starts from the encoder's code of x with the unknown pixels at their
    prior means. In a sweep every bit is drawn given all others and x_known:

    `P(z_j = 1|z_-j, x_known) = sigmoid(log p(x_known, z_-j, z_j = 1) - log p(x_known, z_-j, z_j = 0))`.

    Source: Neal (1992), https://doi.org/10.1016/0004-3702(92)90065-6.

    Args:
        model: its codes are bits; any number of layers.
        x: observations (B, X) in [0, 1]; the values of unknown pixels are not used.
        known: booleans (X,) or (B, X), true where a pixel is given.
        sweeps: Gibbs sweeps over all bits.
        seed: of the draws; the state of the global generator is not changed.
        exact: draw codes by enumeration, or by sweeps; by the number of bits if None.

    Returns:
        the completed observations and the mean of each pixel given z, (B, X) each; known pixels are as given.

    Raises:
        InputError: codes that are not bits, or arguments of the wrong shape or range.

    >>> from vaelab.models import sbn
    >>> half = torch.arange(6) < 3
    >>> completed, mean = complete(sbn(6, layers=[4]), torch.ones(2, 6), half, seed=0)
    >>> completed.shape, bool((completed[:, half] == 1).all())
    (torch.Size([2, 6]), True)
    """
    require_int("sweeps", sweeps, 1)
    if model.code != "bits":
        raise InputError(f"complete: expected a model with codes of bits; this model's are of kind {model.code!r}")
    if known is None:
        raise InputError("known: expected booleans of shape (X,) or (B, X); got None")
    x = observed(model, x, known)  # NaN where it is not known
    mask = ~x.isnan()
    bits = int(model.prior().event_shape[0])
    exact = bits <= _EXACT_BITS if exact is None else exact
    parts = model.prior, model.likelihood, model.posterior
    with torch.no_grad(), evaluation_mode(*parts), seeded(seed, "complete"):
        if exact:
            z = Enumeration(model).sample(torch.where(mask, x, 0), 1, mask).squeeze(0)
        else:
            typical = model.likelihood(model.prior().sample((100,))).mean.mean(0)  # (X,)
            z = model.posterior(torch.where(mask, x, typical)).sample()  # (B, D)
            for _ in range(sweeps):
                z = gibbs_sweep(model, x, z)
        conditional = given_observed(model.likelihood(z), x)
        drawn, mean = conditional.sample(), conditional.mean
        return torch.where(mask, x, drawn), torch.where(mask, x, mean)


def gibbs_sweep(model: InferenceModel, x: Tensor, z: Tensor) -> Tensor:
    """Draw every bit of z (B, D) once, in order, given the others and the pixels of x (B, X) that are not NaN."""
    log_present = _log_joint(model, x, z)  # (B,)
    for j in range(z.shape[-1]):
        flipped = z.clone()
        flipped[:, j] = 1 - z[:, j]
        log_flipped = _log_joint(model, x, flipped)
        turn = torch.rand_like(log_present) < torch.sigmoid(log_flipped - log_present)
        z, log_present = torch.where(turn.unsqueeze(-1), flipped, z), torch.where(turn, log_flipped, log_present)
    return z


def _log_joint(model: InferenceModel, x: Tensor, z: Tensor) -> Tensor:
    log_joint: Tensor = model.prior().log_prob(z) + observed_log_prob(model.likelihood(z), x)
    return log_joint

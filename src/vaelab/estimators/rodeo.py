"""RODEO: leave-one-out with control variates from a discrete Stein operator."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.distributions import Bernoulli
from vaelab.estimators.contract import BernoulliEstimator, Expectation, Sizes, require_samples
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Terms

__all__ = ["Rodeo"]

_LEAK = 0.3


class Rodeo(BernoulliEstimator):
    """REINFORCE with discrete Stein operators: surrogates of f, averaged over the flips of single bits.

    Formula: let `z^i` be the code `z` with bit `i` flipped, and `q_i(z)` the probability of this flip given the other
    bits. The operator of a Gibbs step,

    `(A h)(z) = 1/D sum_i q_i(z) [h(z^i) - h(z)]`,

    has mean zero under `q` for any `h`. With `p = sigmoid(l)` and `g_k(z) = g'_k(z) (z - p)`,

    `grad_l E_q[f(z)] ~ 1/K sum_k [f(z_k) - mean_{j != k} (f(z_j) + alpha (A h_j)(z_j))] (z_k - p) + beta (A g_k)(z_k)`,

    where `(h_k, g'_k)(z)` is the mean over `j != k` of a network of two numbers, `f(z_j)` and `f'(z_j) . (z - z_j)`:
    the values at `z` predicted from the other codes, without decoding it. The network has 100 leaky units and is
    evaluated as a piecewise linear function. Its weights, `alpha` and `beta` follow the gradient of the mean square of
    the estimate; `alpha` and `beta` start at zero. Source: Shi, Zhou, Hwang, Titsias & Mackey (2022),
    https://arxiv.org/abs/2202.09497.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn for each observation, at least 2.

    Raises:
        InputError: fewer than 2 codes.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> Rodeo(model, samples=3)(model, ELBO(), torch.ones(5, 6)).surrogate.shape
    torch.Size([5])
    """

    name: ClassVar[str] = "rodeo"
    learns: ClassVar[str] = "a network of two numbers, and the weights of two control variates"

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 2) -> None:
        super().__init__(model, samples)
        require_samples(samples, 2, ", to leave one out")
        self.alpha = nn.Parameter(torch.zeros(()))
        self.beta = nn.Parameter(torch.zeros(()))
        self.hidden, self.output = nn.Linear(2, 100), nn.Linear(100, 2)
        self.to(self.sizes.like)

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The auxiliary loss is the mean square of the estimate."""
        z = drawn.detach().requires_grad_()
        terms = expectation.terms(z)
        value = terms.signal_terms  # (K, B)
        (slopes,) = torch.autograd.grad(value.sum(), z, retain_graph=True)  # (K, B, D)
        f, p, residual = value.detach(), q.mean.detach(), drawn - q.mean.detach()
        here, flipped = self._surrogates(drawn, f, slopes)  # (K, B, 1, 2), (K, B, D, 2)

        to_flip = (drawn * (1 - p) + (1 - drawn) * p) / drawn.shape[-1]  # (K, B, D): probability of each step
        rise = flipped - here  # (K, B, D, 2)
        stein = (to_flip * rise[..., 0]).sum(-1)  # (K, B): A h
        # A (g' (z - p)): flipping bit i moves (z - p) by 1 - 2 z_i along i alone
        moved = to_flip * flipped[..., 1] * (1 - 2 * drawn)
        direct = residual * (to_flip * rise[..., 1]).sum(-1, keepdim=True) + moved  # (K, B, D)

        values = f + self.alpha * stein
        signal = f - (values.sum(0) - values) / (self.samples - 1)  # (K, B)
        gradient = (signal.unsqueeze(-1) * residual + self.beta * direct).mean(0)  # (B, D)
        return terms, gradient, gradient.square().sum(-1).mean()

    def _surrogates(self, z: Tensor, f: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Return (h_k, g'_k) at z_k, (K, B, 1, 2), and at z_k with each bit flipped, (K, B, D, 2)."""
        count = self.samples
        j = torch.tensor([[j for j in range(count) if j != k] for k in range(count)], device=z.device)  # (K, K - 1)
        at = (slopes[j] * (z.unsqueeze(1) - z[j])).sum(-1, keepdim=True)  # (K, K - 1, B, 1)
        after = at + slopes[j] * (1 - 2 * z).unsqueeze(1)  # (K, K - 1, B, D)
        kinks, lines = self._pieces(f)
        predicted = torch.cat([at, after], -1)  # (K, K - 1, B, 1 + D)
        piece = torch.searchsorted(kinks[j], predicted).unsqueeze(-1).expand(*predicted.shape, 4)
        slope, height = lines[j].gather(-2, piece).chunk(2, -1)  # (K, K - 1, B, 1 + D, 2) each
        outputs = torch.addcmul(height, slope, predicted.unsqueeze(-1)).mean(1)  # (K, B, 1 + D, 2)
        return outputs[..., :1, :], outputs[..., 1:, :]

    def _pieces(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network as a function of its second input t alone, for the first inputs f (K, B).

        Leaky units `c_m + w_m t` make it piecewise linear: it bends at `t = -c_m / w_m`, where its slope grows by
        `0.7 v_m |w_m|`. The result has the sorted bends (K, B, 100), and for each of the 101 pieces the slopes of
        the two outputs, then their heights at t = 0, (K, B, 101, 4). A lookup replaces 100 units for every flipped
        bit.
        """
        of_f, w = self.hidden.weight.unbind(1)  # (100,)
        c = f.unsqueeze(-1) * of_f + self.hidden.bias  # (K, B, 100)
        w = torch.where(w == 0, torch.finfo(w.dtype).tiny, w)
        kinks, order = (-c / w).detach().sort(-1)
        v = self.output.weight.T  # (100, 2)
        first = v * torch.where(w > 0, _LEAK * torch.ones_like(w), 1).unsqueeze(-1)  # of each unit, left of every bend
        bend = (1 - _LEAK) * v * w.sign().unsqueeze(-1)
        flat = torch.cat([w @ first, self.output.bias]).expand(*f.shape, 1, 4)
        start = flat + F.pad(c @ first, (2, 0)).unsqueeze(-2)  # (K, B, 1, 4)
        bends = torch.cat([(w.unsqueeze(-1) * bend).expand(*c.shape, 2), c.unsqueeze(-1) * bend], -1)  # (K, B, 100, 4)
        bends = bends.gather(-2, order.unsqueeze(-1).expand(bends.shape))
        return kinks, torch.cat([start, bends], -2).cumsum(-2)

"""The loop that tutorials teach: a module, a DataLoader over a TensorDataset, binary cross-entropy, Adam.

Grey levels go through the loader, and bits are drawn from them in each step. Written for this comparison, in the manner
of such tutorials: three estimators, nothing tuned, nothing made slow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from contenders import PIXELS, Case
from contenders.arguments import told
from contenders.turns import Turns

__all__ = ["VAE", "disarm_loss", "elbo_loss", "iwae_loss", "layers"]


def layers(sizes: list[int], slope: float = 0.0) -> nn.Sequential:
    """Return linear layers, each followed by a rectifier."""
    found: list[nn.Module] = []
    for below, above in pairwise(sizes):
        found += [nn.Linear(below, above), nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return nn.Sequential(*found)


class VAE(nn.Module):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.samples = case.samples
        slope = 0.3 if case.code == "bits" else 0.0
        hidden = list(case.hidden_dims)
        self.encoder = layers([PIXELS, *hidden], slope)
        self.mean = nn.Linear(hidden[-1], case.latent_dim)  # the logits, where the code is bits
        self.log_variance = nn.Linear(hidden[-1], case.latent_dim) if case.code == "real" else None
        self.decoder = layers([case.latent_dim, *hidden[::-1]], slope)
        self.output = nn.Linear(hidden[0], PIXELS)

    def decode(self, z: Tensor) -> Tensor:
        logits: Tensor = self.output(self.decoder(z))
        return logits


def elbo_loss(model: VAE, x: Tensor) -> Tensor:
    """Negative ELBO of a batch, one code an image."""
    hidden = model.encoder(x)
    assert model.log_variance is not None
    mean, log_variance = model.mean(hidden), model.log_variance(hidden)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
    reconstruction = F.binary_cross_entropy(torch.sigmoid(model.decode(z)), x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return (reconstruction + divergence) / len(x)


def iwae_loss(model: VAE, x: Tensor) -> Tensor:
    """Negative importance-weighted bound."""
    hidden = model.encoder(x)
    assert model.log_variance is not None
    mean, log_variance = model.mean(hidden), model.log_variance(hidden)
    noise = torch.randn(model.samples, *mean.shape)  # (K, B, D)
    z = mean + torch.exp(0.5 * log_variance) * noise
    target = x.expand(model.samples, -1, -1)
    log_likelihood = -F.binary_cross_entropy(torch.sigmoid(model.decode(z)), target, reduction="none").sum(-1)
    log_ratio = (-0.5 * z.pow(2) + 0.5 * noise.pow(2) + 0.5 * log_variance).sum(-1)  # log p(z) - log q(z|x)
    return -(torch.logsumexp(log_likelihood + log_ratio, 0) - math.log(model.samples)).mean()


def disarm_loss(model: VAE, x: Tensor) -> Tensor:
    """A loss with the DisARM gradient (Dong, Mnih & Tucker, 2020, https://arxiv.org/abs/2006.10680)."""
    logits = model.mean(model.encoder(x))  # (B, D)
    uniform = torch.rand(model.samples // 2, *logits.shape)
    probability = torch.sigmoid(logits)
    first, second = (uniform < probability).float(), (uniform > 1 - probability).float()  # antithetic bits
    codes = torch.cat([first, second])  # (K, B, D)
    target = x.expand(model.samples, -1, -1)
    log_likelihood = -F.binary_cross_entropy(torch.sigmoid(model.decode(2 * codes - 1)), target, reduction="none").sum(
        -1
    )
    with torch.no_grad():
        difference = 0.5 * (log_likelihood[: model.samples // 2] - log_likelihood[model.samples // 2 :]).unsqueeze(-1)
        signal = (difference * (first - second) * torch.sigmoid(logits.abs())).mean(0)  # (B, D)
    divergence = (probability * F.logsigmoid(logits) + (1 - probability) * F.logsigmoid(-logits) + math.log(2)).sum(-1)
    loss: Tensor = -(log_likelihood.mean(0) + (signal * logits).sum(-1) - divergence).mean()
    return loss


def weights(model: VAE) -> dict[str, Any]:
    """Return the weights under names that do not depend on who trained them."""
    assert model.log_variance is not None
    pair = [{"weight": m.weight.detach(), "bias": m.bias.detach()} for m in (model.mean, model.log_variance)]
    hidden = [[m.state_dict() for m in part if isinstance(m, nn.Linear)] for part in (model.encoder, model.decoder)]
    return {
        "encoder": hidden[0],
        "mean": pair[0],
        "log_variance": pair[1],
        "decoder": [*hidden[1], model.output.state_dict()],
    }


def batches(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    while True:
        for (x,) in loader:
            yield x


def main() -> None:
    turns = Turns()
    options = told()
    case = options.case
    model = VAE(case)
    loss_of = disarm_loss if case.code == "bits" else {"elbo": elbo_loss, "iwae": iwae_loss}[case.objective]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(TensorDataset(options.pixels), batch_size=case.batch_size, shuffle=True)
    total = 0.0
    turns.begin()
    for step, pixels in enumerate(batches(loader), 1):
        x = torch.bernoulli(pixels)
        optimiser.zero_grad()
        loss = loss_of(model, x)
        loss.backward()
        optimiser.step()
        total += loss.item()
        if step % options.steps == 0:
            turns.pause(options.keeping(step, lambda: weights(model)), step=step)


if __name__ == "__main__":
    main()

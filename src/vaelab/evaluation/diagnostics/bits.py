"""Bits: how often each is one, how much it says, and which bits say the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor

from vaelab.errors import InputError
from vaelab.evaluation.active_units import bit_entropy
from vaelab.evaluation.diagnostics.codes import layers_of
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.seeds import seeded

__all__ = ["total_correlation", "use_and_correlation"]

_STUCK = 0.01  # a bit that is one, or zero, with less than this probability
_ALIKE = 0.9  # correlation from which two bits say nearly the same
_LISTED = 5  # pairs in the numbers


def use_and_correlation(sample: Sample) -> Diagnosis:
    """Measure the use, the entropy and the pairwise correlation of the bits under the aggregate posterior.

    With `p_j = E_x[q(z_j = 1|x)]`, the use of a bit, its entropy is `H(p_j)` (at most log 2 = 0.693 nat), of which
    `E_x[H(q(z_j|x))]` is noise and the rest information about x. Bits are independent given x, so

    `Cor[z_i, z_j] = Cov_x[q(z_i = 1|x), q(z_j = 1|x)] / sqrt(p_i (1 - p_i) p_j (1 - p_j))`

    (law of total covariance), without noise of draws; in a chain of layers given one code of the layer below for each
    row. Correlations are within a layer. Were the bits independent, the mean size of the correlations of N rows would
    be `sqrt(2 / (pi N))` times the mean of `r_i r_j` with `r_j = sd_x[q(z_j = 1|x)] / sqrt(p_j (1 - p_j))`: the chance
    level. The total correlation has the lower bound of :func:`total_correlation`.

    Numbers, of each layer in ``layers``, nearest to x first: ``bits``; ``mean_use``; ``stuck``, bits that are one, or
    zero, with a probability below 0.01; ``mean_entropy`` and ``mean_noise`` in nats a bit; ``mean_correlation``, the
    mean size over the pairs, and its ``chance``; ``pairs``, the five largest, as two bits numbered from 1 and their
    correlation; ``alike``, pairs of a size above 0.9; ``total_correlation`` in nats, and its ``total_chance``: the same
    after the rows of each bit were shuffled.

    Raises:
        InputError: a single row, or a q(z|x) whose bits are not independent given x.
    """
    sample.require_several("bits")
    if sample.codes.mean is None:
        raise InputError("bits: expected q(z|x) of independent bits")
    parts = layers_of(sample.model)
    layers: list[dict[str, Any]] = []
    arrays: dict[str, Tensor] = {}
    sentences: list[str] = []
    for number, part in enumerate(parts, 1):
        ones = sample.codes.mean[:, part]  # (N, D_l)
        with seeded(sample.seed, "bits", number):
            found, correlation, noise = _of_layer(ones, sample.row_weights)
        layers.append(found)
        arrays |= {f"correlation {number}": correlation.float(), f"noise {number}": noise.float()}
        arrays |= {f"use {number}": (sample.row_weights @ ones).float()}
        sentences += _finding(found, f"Layer {number}: " if len(parts) > 1 else "")
    numbers = {"layers": layers}
    advice, title = _advice(layers), "Use and correlation of the bits"
    return Diagnosis(name="bits", title=title, numbers=numbers, arrays=arrays, sentences=sentences, advice=advice)


def _of_layer(ones: Tensor, w: Tensor) -> tuple[dict[str, Any], Tensor, Tensor]:
    """Return the numbers of a layer, the correlations (D, D) and the noise of each bit, from probabilities (N, D)."""
    use, noise = w @ ones, w @ bit_entropy(ones)
    use = use.clamp(0, 1)
    centred = ones - use
    covariance = centred.T @ (w[:, None] * centred)
    spread = (use * (1 - use)).sqrt()  # of a bit
    scale = torch.where(spread > 1e-6, 1 / spread, 0.0)  # a bit that is always the same has no correlation
    correlation = (covariance * scale[:, None] * scale).clamp(-1, 1)
    follows = covariance.diagonal().clamp_min(0).sqrt() * scale  # r_j
    correlation.fill_diagonal_(1.0)
    first, second = torch.triu_indices(len(use), len(use), 1)
    pairs, chance = correlation[first, second], (follows[first] * follows[second])
    largest = pairs.abs().argsort(descending=True, stable=True)[:_LISTED].tolist()
    shuffled = torch.stack([column[torch.randperm(len(column))] for column in ones.T], 1)
    numbers: dict[str, Any] = {
        "bits": len(use),
        "mean_use": float(use.mean()),
        "stuck": int(((use < _STUCK) | (use > 1 - _STUCK)).sum()),
        "mean_entropy": float(bit_entropy(use).mean()),
        "mean_noise": float(noise.mean()),
        "mean_correlation": float(pairs.abs().mean()) if len(pairs) else 0.0,
        "chance": float(chance.mean()) * (2 / torch.pi * float(w.square().sum())) ** 0.5 if len(pairs) else 0.0,
        "pairs": [[int(first[i]) + 1, int(second[i]) + 1, float(pairs[i])] for i in largest],
        "alike": int((pairs.abs() > _ALIKE).sum()),
        "total_correlation": total_correlation(ones, w),
        "total_chance": total_correlation(shuffled, torch.full_like(w, 1 / len(w))),
    }
    return numbers, correlation, noise


def total_correlation(ones: Tensor, weights: Tensor) -> float:
    """Return a lower bound on the total correlation of bits in nats, from probabilities given x (N, D).

    `TC = sum_j H(z_j) - H(z) = sum_(edges of a tree) I(z_i; z_j) + KL[q(z) || q of the tree]`, so the sum over the
    edges of any tree is a lower bound; the tree of the largest sum is taken (Chow & Liu, 1968,
    https://doi.org/10.1109/TIT.1968.1054142). With few rows, chance adds to it.

    >>> always_alike = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    >>> round(total_correlation(always_alike, torch.tensor([0.5, 0.5])), 4)  # log 2
    0.6931
    """
    use = weights @ ones
    both = ones.T @ (weights[:, None] * ones)  # P(z_i = 1, z_j = 1)
    only, other = use[:, None] - both, use - both
    cells = torch.stack([both, only, other, 1 - both - only - other]).clamp(0, 1)
    entropy = bit_entropy(use.clamp(0, 1))
    information = (entropy[:, None] + entropy - torch.special.entr(cells).sum(0)).clamp_min(0).fill_diagonal_(0)
    tree = minimum_spanning_tree(-information.double().numpy())
    return float(-np.asarray(tree.sum()))


def _finding(found: dict[str, Any], layer: str) -> list[str]:
    """Return the sentences on a layer."""
    stuck = f"{found['stuck']:,} of {found['bits']:,} bits" if found["stuck"] else "no bit"
    sentences = [
        f"{layer}A bit is one with probability {found['mean_use']:.2f} on average; {stuck} "
        f"{'are' if found['stuck'] > 1 else 'is'} nearly always the same. Its entropy is "
        f"{found['mean_entropy']:.2f} of at most 0.69 nat, of which {found['mean_noise']:.2f} is noise that does not "
        "depend on x."
    ]
    if not found["pairs"]:
        return sentences
    first, second, value = found["pairs"][0]
    together = max(0.0, found["total_correlation"] - found["total_chance"])
    sentences.append(
        f"The correlation of two bits is {found['mean_correlation']:.3f} in size on average (by chance "
        f"{found['chance']:.3f}), and at most {abs(value):.2f}, of bits {first:,} and {second:,}. At least "
        f"{together:.1f} nats are in several bits at once (total correlation)."
    )
    return sentences


def _advice(layers: list[dict[str, Any]]) -> str:
    """Return what to do about bits that say the same."""
    alike, bits = sum(layer["alike"] for layer in layers), sum(layer["bits"] for layer in layers)
    if not alike:
        return ""
    pairs = "One pair of bits says" if alike == 1 else f"{alike:,} pairs of bits say"
    return (
        f"{pairs} nearly the same (a correlation above {_ALIKE} in size): fewer than {bits:,} bits would carry the "
        "same, or one more layer above learns what the bits have in common."
    )

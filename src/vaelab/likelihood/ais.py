"""Annealed importance sampling: log p(x) estimated along a path from q(z|x) or the prior to p(x, z)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from vaelab.errors import require_int
from vaelab.likelihood.annealing import Start
from vaelab.likelihood.contract import BoundEstimate, Callback, Effort, Observed, as_split, finished
from vaelab.likelihood.partition import annealed_partition
from vaelab.likelihood.walk import TUNING_ROWS, Annealing, Walked, estimate_of, rows_at_once, walked
from vaelab.models import LatentVariableModel, RestrictedBoltzmannMachine
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["annealed_importance"]


@torch.inference_mode(False)  # a kernel needs gradients
def annealed_importance(
    model: LatentVariableModel | RestrictedBoltzmannMachine,
    observed: Observed,
    samples: int = Effort.chains,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    temperatures: int = Effort.temperatures,
    start: Start = "posterior",
    kernel: str | None = None,
) -> BoundEstimate:
    """Estimate log p(x) of every observation by annealed importance sampling, in nats.

    Formula: `log 1/K sum_k w_k` with `log w = sum_i (t_i - t_i-1) [log p(x, z_i) - log f_0(z_i)]`, where `z_1 ~ f_0`
    and each next code comes from a Markov kernel that leaves `f_t = f_0^(1 - t) p(x, z)^t` unchanged at its
    temperature. The mean of `w` is p(x), so that the estimate is a lower bound on log p(x) in expectation. With one
    temperature it is the importance-weighted bound. ``diagnostics`` has ``effective_samples``, of the K chains, and
    ``acceptance``, the mean share of accepted moves. The step sizes of the kernel are tuned in a run of its own on a
    few observations, and are fixed while weights are collected. Of a restricted Boltzmann machine it is log Z that is
    estimated: see :func:`~vaelab.likelihood.partition.annealed_partition`. Sources: Neal (2001),
    https://arxiv.org/abs/physics/9803008; for decoders: Wu et al. (2017), https://arxiv.org/abs/1611.04273.

    Args:
        model: the model.
        observed: a split, or observations (N, X).
        samples: K, the number of chains of an observation.
        seed: of the codes.
        callback: called with the finished and the total work.
        temperatures: how many steps the path from t = 0 to t = 1 has.
        start: f_0, q(z|x) (``posterior``) or p(z) (``prior``).
        kernel: ``hmc`` for real codes, ``langevin`` (the default) or ``gibbs`` for bits; None chooses.

    Raises:
        InputError: a model without likelihood, or an argument out of range.

    >>> import torch
    >>> from vaelab.models import gaussian_vae
    >>> model = gaussian_vae(6, latent_dim=2, seed=0)
    >>> annealed_importance(model, torch.ones(3, 6), samples=4, temperatures=10).values.shape
    torch.Size([3])
    """
    if isinstance(model, RestrictedBoltzmannMachine):
        return annealed_partition(model, observed, samples, seed, callback, temperatures=temperatures)
    require_int("samples", samples, 1)
    annealing, split = Annealing.of(model, temperatures, start, kernel), as_split(model, observed)
    rows = rows_at_once(samples, split.dim)
    starts = range(0, len(split), rows)

    def walks() -> Iterator[Walked]:
        for number, first in enumerate(starts):
            x = split.bits(slice(first, first + rows)).to(model.any_weight)
            with seeded(seed, "ais", number):
                walk = annealing.forwards(annealing.path(x), samples)
                yield walked(walk, temperatures, number, len(starts), callback)

    with evaluation_mode(model):
        annealing.tune(split.first(TUNING_ROWS).bits(slice(None)).to(model.any_weight), seed)
        return finished(walks(), lambda done: estimate_of(done, 1, annealing, split.weights))

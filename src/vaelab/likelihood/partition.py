"""log p(x) of a restricted Boltzmann machine whose log Z is estimated, by annealed importance sampling both ways."""

from __future__ import annotations

import torch

from vaelab.errors import require_int
from vaelab.likelihood.contract import BoundEstimate, Callback, Effort, Observed, as_split
from vaelab.models import RestrictedBoltzmannMachine
from vaelab.networks import evaluation_mode
from vaelab.seeds import seeded

__all__ = ["annealed_partition"]

_WALKS = 8  # times the chains that a row of another model would have, as one log Z serves all rows
NOTE = (
    "with log Z = {log_z:.2f}, the larger of {back:.2f} ± {of_back:.2f} from {walks} walks backwards and {forth:.2f} ± "
    "{of_forth:.2f} from as many forwards, so that log p(x) is too low rather than too high"
)


def annealed_partition(
    model: RestrictedBoltzmannMachine,
    observed: Observed,
    samples: int = Effort.chains,
    seed: int = 0,
    callback: Callback | None = None,
    *,
    temperatures: int = Effort.temperatures,
) -> BoundEstimate:
    """Return log p(x) of each row, with the larger of two estimates of log Z: by walks backwards and forwards, in nats.

    Formula: `log f(x) - log Z'`, log Z' the larger of two estimates. Backwards: `1/K sum_k [log f(x_k) - log w_k]`,
    with w_k of :meth:`~vaelab.distributions.BoltzmannPath.backwards` from x_k, one of the rows. With it the mean over
    rows is a lower bound, in expectation, on the mean of `log p_T(x)`, p_T the distribution of the rows that
    :meth:`sample` would draw with T temperatures; the larger of two numbers keeps it one. Forwards, the logarithm of
    the mean weight of the walks is at most log Z in expectation; it finds a mode that none of the rows is in.
    ``details`` has both with their standard errors, which the standard error of the mean over rows does not contain.
    Sources, of walks forwards: Salakhutdinov & Murray (2008), https://doi.org/10.1145/1390156.1390266; backwards:
    Burda, Grosse & Salakhutdinov (2015), https://arxiv.org/abs/1412.8566.

    Args:
        model: the model.
        observed: a split, or observations (N, X).
        samples: an eighth of the number of walks in either direction.
        seed: of the walks.
        callback: called with the finished and the total work.
        temperatures: T, the moves of a walk.

    >>> from vaelab.models import rbm
    >>> estimate = annealed_partition(rbm(24, hidden=21, seed=0), torch.ones(3, 24), samples=2, temperatures=10)
    >>> estimate.values.shape, estimate.details["walks"]
    (torch.Size([3]), 16)
    """
    require_int("samples", samples, 1)
    require_int("temperatures", temperatures, 1)
    split, walks = as_split(model, observed), _WALKS * samples
    with torch.no_grad(), evaluation_mode(model):
        p = model.distribution()
        log_factors = model.values_of(split, p.log_factor)
        rows = torch.arange(walks, device=split.device) * len(split) // walks  # spread over the split
        with seeded(seed, "ais-backwards"):
            back, of_back = p.log_partition_from(split.bits(rows).to(model.any_weight), temperatures)
        if callback is not None:
            callback(1, 2)
        with seeded(seed, "ais"):
            forth, of_forth = map(float, p.log_partition_forwards(walks, temperatures))
        if callback is not None:
            callback(2, 2)
    log_z, of_log_z = max((float(back), float(of_back)), (forth, of_forth))
    numbers = {"back": float(back), "of_back": float(of_back), "forth": forth, "of_forth": of_forth}
    note = NOTE.format(**numbers, walks=walks, log_z=log_z)
    details = {
        "temperatures": temperatures,
        "walks": walks,
        "log_partition": log_z,
        "log_partition_standard_error": of_log_z,
        "log_partition_backwards": float(back),
        "log_partition_backwards_standard_error": float(of_back),
        "log_partition_forwards": forth,
        "log_partition_forwards_standard_error": of_forth,
    }
    return BoundEstimate(log_factors - log_z, weights=split.weights, details=details, note=note)

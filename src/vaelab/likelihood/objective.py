"""The bound of any objective over a split: in chunks, summed in float64, with any number of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from vaelab.distributed import ALONE, Ranks
from vaelab.errors import require_int
from vaelab.likelihood.contract import BoundEstimate, Callback, Observed, as_split
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.objectives import Objective, Terms
from vaelab.seeds import seeded

__all__ = ["Draw", "Score", "joined", "objective_bound", "posterior_score", "score_split"]

Draw = Callable[[int], Terms]  # from K to the terms of K new codes for each of some observations
Score = Callable[[Tensor], Draw]  # from observations (B, X) to such a function: what does not change is computed once
_ROWS, _CODES = 1000, 40  # observations of a chunk, at most; codes that its rows leave room for
_ELEMENTS = 4_000_000  # of a (K, B, X) chunk
_ELEMENTS_ON_CUDA = 16_000_000  # there the launch of kernels takes most of the time of a smaller one


def objective_bound(
    model: LatentVariableModel,
    observed: Observed,
    objective: Objective,
    samples: int = 1,
    seed: int = 0,
    callback: Callback | None = None,
    ranks: Ranks = ALONE,
) -> BoundEstimate:
    """Estimate the bound of an objective, with beta = 1, from ``samples`` codes of each observation.

    The KL is in closed form where the objective has it so. Training validates with this function.

    Args:
        model: the model.
        observed: a split, or observations (N, X).
        objective: whose bound is estimated.
        samples: K.
        seed: of the codes; the codes of a chunk of observations do not depend on those of other chunks.
        callback: called with the observations done and all observations.
        ranks: each of several ranks computes every n-th chunk and returns zeros for the others; the sum over the
        ranks is the estimate.

    >>> from vaelab.models import gaussian_vae
    >>> from vaelab.objectives import IWAE
    >>> objective_bound(gaussian_vae(6, latent_dim=2), torch.ones(3, 6), IWAE(), samples=5).values.shape
    torch.Size([3])
    """
    objective = objective.with_closed_form_kl()
    split = as_split(model, observed)
    values = torch.zeros(len(split), dtype=torch.float64)
    score = posterior_score(model, objective)
    for rows, terms in score_split(model, split, samples, seed, score, callback, ranks):
        values[rows] = objective.bound(terms)
    return BoundEstimate(values, weights=split.weights)


def posterior_score(model: LatentVariableModel, objective: Objective) -> Score:
    """Return the function that draws codes from q(z|x) and scores them; q is computed once for some observations."""

    def score(x: Tensor) -> Draw:
        q = model.posterior(x)
        return lambda samples: objective.terms(model, x, q, q.sample((samples,)))

    return score


def score_split(
    model: LatentVariableModel,
    observed: Observed,
    samples: int,
    seed: int,
    score: Score,
    callback: Callback | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[tuple[slice, Terms]]:
    """Yield chunks of observations with the terms of all their codes, (K, B) in float64 on the processor.

    A chunk never holds more than a few million numbers of decoded codes, whatever K is.
    """
    require_int("samples", samples, 1)
    split = as_split(model, observed)
    rows = max(1, min(_ROWS, _ELEMENTS // (min(samples, _CODES) * split.dim), _ELEMENTS // samples))
    for number, start in enumerate(range(0, len(split), rows)):
        chunk = slice(start, min(start + rows, len(split)))
        if number % ranks.count == ranks.rank:
            with torch.no_grad(), evaluation_mode(model), seeded(seed, "bound", number):
                x = split.bits(chunk).to(model.any_weight)  # (B, X)
                elements = _ELEMENTS_ON_CUDA if x.is_cuda else _ELEMENTS
                size, draw = max(1, elements // x.numel()), score(x)
                terms = joined((draw(min(size, samples - done)) for done in range(0, samples, size)), samples)
            yield chunk, terms
        if callback is not None:
            callback(chunk.stop, len(split))


def joined(chunks: Iterable[Terms], samples: int) -> Terms:
    """Join the terms of chunks of codes into those of all K, (K, B) in float64 on the processor.

    Each chunk is copied into its place before the next one is made: kept between the large tensors of the decoder, many
    small ones would leave holes in the memory that no later one fits into.
    """
    log_likelihood = kl = torch.empty(0)
    beta, done = 1.0, 0
    for terms in chunks:
        count, rows = terms.log_likelihood.shape
        if done == 0:
            beta, log_likelihood = terms.beta, torch.empty(samples, rows, dtype=torch.float64)
            kl = terms.kl.double().cpu() if terms.kl.ndim == 1 else torch.empty_like(log_likelihood)
        log_likelihood[done : done + count] = terms.log_likelihood
        if terms.kl.ndim > 1:
            kl[done : done + count] = terms.kl
        done += count
    return Terms(log_likelihood, kl, beta)

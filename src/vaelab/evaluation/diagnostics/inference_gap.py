"""The inference gap: how far the ELBO is below log p(x), and whether the encoder or the family of q is the cause."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data import Observations
from vaelab.distributions import Chain, DiagonalNormal, FlowedNormal, FullNormal
from vaelab.evaluation.advice import best_estimate
from vaelab.evaluation.diagnostics.best_posterior import best_posterior, bound_of
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.spread import counted, spread
from vaelab.inference import MAX_BITS, MeanFieldPosterior
from vaelab.likelihood import BoundEstimate, exact
from vaelab.models import LatentVariableModel
from vaelab.seeds import seeded

__all__ = ["inference_gap"]

_PART, _FEWEST = 32, 64  # a row in 32 of those diagnosed is optimised, but 64 if there are so many
_ROWS_OF_BITS = 32  # where codes are of many bits, whose optimisation takes longer
_CODES = 200  # for the ELBO of each row
_WEIGHTS = 500  # K of the importance-weighted estimate
_LOW, _PRIOR_CODES = 4, 16_384  # numbers of a code, up to which codes of the prior are used as well, and how many
_ELEMENTS = 1_000_000  # numbers that are decoded at once
_CONVERGED = 0.05  # nats, or this share of the gain, in the last quarter of the optimisation
_LARGE = 0.5  # nats, above which there is advice
_Numbers = dict[str, Any]


def inference_gap(sample: Sample) -> Diagnosis:
    """Split log p(x) - ELBO into the gap of the family of q(z|x) and the gap of the encoder.

    Formula, with q* the best q(z|x) of the encoder's family for the row (:func:`best_posterior`):

    `log p(x) - ELBO(q) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q)]`,

    the approximation gap and the amortisation gap, averaged over some rows. Both ELBOs come from the same noise. What
    is found for q* is a local maximum, so that the amortisation gap is a lower bound. log p(x) is exact for at most 20
    bits. Otherwise it is estimated by importance sampling with 500 codes from q*: ``iwae-500``, a lower bound on
    log p(x), so that the gap is one too. A real-valued code of at most four numbers also gets 16 384 codes from the
    prior, shared by all rows, which find what q* misses; `log p(x) ~ log 1/K sum_k p(x, z_k) / m(z_k)` with their
    mixture m (Veach & Guibas, 1995, https://doi.org/10.1145/218380.218498). Source: Cremer, Li & Duvenaud (2018), https://arxiv.org/abs/1801.03558.

    A mean field is optimised for each row, so that its amortisation gap is 0. For a chain of layers, or a family of
    your own, the gap is not split: the parameters of its later layers belong to networks that all rows share.

    Numbers, in nats per observation: ``gap``, ``approximation_gap`` and ``amortisation_gap``, each with its
    ``_standard_error`` over the rows; ``elbo``; ``log_density``, the estimate of log p(x), and its name ``estimate``;
    ``optimised_rows``; ``last_gain``, what the last quarter of the optimisation gained, and ``converged``, whether
    that is at most 0.05 nats or a twentieth of the gain.
    """
    model = sample.model
    observed = spread(sample.observed, _rows(sample), sample.seed)
    x = observed.bits(slice(None)).to(model.any_weight)
    q = model.posterior(x)
    best = None if isinstance(model.posterior, MeanFieldPosterior) else best_posterior(model, x, q, sample.seed)
    optimised = q if best is None else best.q
    log_density, estimate = _log_density(model, observed, x, optimised, sample.seed)
    elbo = bound_of(model, x, q, _CODES, sample.seed).cpu()
    raised = elbo if best is None else bound_of(model, x, best.q, _CODES, sample.seed).cpu()
    is_split = best is not None or isinstance(model.posterior, MeanFieldPosterior)
    values = {"gap": log_density - elbo}
    if is_split:
        values |= {"approximation_gap": log_density - raised, "amortisation_gap": raised - elbo}
    found = _Found(
        model, q, {name: BoundEstimate(each, weights=_weights(observed)) for name, each in values.items()}, estimate
    )
    numbers = {
        **found.numbers(),
        **{"elbo": _mean(elbo, observed), "log_density": _mean(log_density, observed), "estimate": estimate},
        "optimised_rows": len(x),
    }
    if best is not None:
        numbers["last_gain"] = last = _mean(best.last_gain.cpu().double(), observed)
        numbers["converged"] = last <= max(_CONVERGED, _CONVERGED * found.of["amortisation_gap"].mean)
    return Diagnosis(
        name="inference-gap",
        title="Inference gap",
        numbers=numbers,
        arrays={name: torch.tensor([each.mean, each.standard_error]) for name, each in found.of.items()},
        sentences=found.sentences(numbers),
        advice=found.advice(numbers),
    )


def _rows(sample: Sample) -> int:
    """Return how many rows are optimised."""
    many_bits = sample.model.code == "bits" and sample.model.latent_dim > MAX_BITS
    return max(_ROWS_OF_BITS if many_bits else _FEWEST, len(sample.observed) // _PART)


def _weights(observed: Observations) -> Tensor | None:
    return None if observed.weights is None else observed.weights.cpu()


def _mean(values: Tensor, observed: Observations) -> float:
    return BoundEstimate(values, weights=_weights(observed)).mean


def _log_density(
    model: LatentVariableModel, observed: Observations, x: Tensor, q: Distribution, seed: int
) -> tuple[Tensor, str]:
    """Return the best estimate of log p(x) that is affordable, (B,) in float64, and its name."""
    if model.code == "bits" and model.latent_dim <= MAX_BITS:
        return exact(model, observed).values.double(), "exact"
    is_low = model.code == "real" and model.latent_dim <= _LOW and not model.given
    of_q, of_prior = _WEIGHTS, _PRIOR_CODES if is_low else 0
    total, size = of_q + of_prior, max(1, _ELEMENTS // x.numel())
    prior, parts = model.prior_of(q), []
    with seeded(seed, "q", "weights"):
        codes = [q.sample((min(size, of_q - start),)) for start in range(0, of_q, size)]  # (k, B, D) each
        if is_low:  # shared by all rows: each is decoded once
            codes += prior.sample((of_prior,)).unsqueeze(1).split(max(1, _ELEMENTS // x.shape[1]))  # (k, 1, D)
        for z in codes:
            log_p, drawn = prior.log_prob(z), q.log_prob(z) + math.log(of_q / total)
            if is_low:
                drawn = torch.logaddexp(drawn, log_p + math.log(of_prior / total))
            parts.append((model.log_likelihood(x, z) + log_p - drawn).double())
    name = f"iwae-{of_q}" if not is_low else f"importance sampling with {total:,} codes"
    return torch.cat(parts).logsumexp(0).cpu() - math.log(total), name


_FAMILIES = {
    DiagonalNormal: "normal distributions with independent units",
    FullNormal: "normal distributions with correlated units",
    FlowedNormal: "the flow, with its weights as they are,",
}


@dataclass(frozen=True)
class _Found:
    """The gaps of some rows, and what to say of them."""

    model: LatentVariableModel
    q: Distribution
    of: dict[str, BoundEstimate]
    estimate: str

    @property
    def is_bound(self) -> bool:
        """Whether log p(x) is known from below alone."""
        return self.estimate != "exact"

    @property
    def family(self) -> str:
        for kind, words in _FAMILIES.items():
            if isinstance(self.q, kind):
                return words
        return "independent bits"

    @property
    def _unsplit(self) -> str:
        if isinstance(self.q, Chain):
            return (
                "the later layers of q(z|x) are networks that all rows share, so that a row has no parameters of its "
                "own there"
            )
        return f"{type(self.q).__name__} is no q(z|x) of independent normal numbers or bits, which can be optimised"

    def numbers(self) -> _Numbers:
        """Return each gap with its standard error."""
        numbers: _Numbers = {}
        for name, each in self.of.items():
            error = each.standard_error
            numbers |= {name: each.mean, f"{name}_standard_error": error if error == error else None}
        return numbers

    def sentences(self, numbers: _Numbers) -> list[str]:
        least = "at least " if self.is_bound else ""
        rows = counted(numbers["optimised_rows"], "row")
        first = (
            f"The ELBO is {least}{self._value('gap')} nats below log p(x), on {rows}; "
            f"log p(x) is {f'bounded from below by {self.estimate}' if self.is_bound else 'a sum over all codes'}."
        )
        if "amortisation_gap" not in self.of:
            return [first, f"The gap is not split: {self._unsplit}."]
        if isinstance(self.model.posterior, MeanFieldPosterior):
            return [
                first,
                "All of it is approximation gap. There is no encoder: the mean field is optimised for each row, so the "
                "amortisation gap is 0 by construction.",
            ]
        rising = (
            ""
            if numbers["converged"]
            else f" It was still rising, by {numbers['last_gain']:.2g} nats in the last quarter of the optimisation."
        )
        return [
            first,
            f"Amortisation gap: {self._value('amortisation_gap')} nats. So much higher is the ELBO where q(z|x) is "
            f"optimised for each row instead of read from the encoder.{'' if numbers['converged'] else rising}",
            f"Approximation gap: {least}{self._value('approximation_gap')} nats. So far below log p(x) stays the best "
            f"q(z|x) of {self.family} that was found.",
        ]

    def advice(self, numbers: _Numbers) -> str:
        """Return what to do where a gap is large: above half a nat and twice its standard error."""
        large = {
            name for name, each in self.of.items() if each.mean > _LARGE and not each.mean < 2 * each.standard_error
        }
        parts = []
        if "amortisation_gap" in large:
            parts.append(
                "The encoder costs bound: train for more steps, or give it wider or more hidden layers; that does not "
                "change what the decoder can do."
            )
        if "approximation_gap" in large and numbers["approximation_gap"] > numbers["amortisation_gap"]:
            parts.append(
                "No encoder can close the approximation gap: q(z|x) of another family can, or objective=iwae, which "
                "trains for a bound that needs less of q."
            )
        if "gap" in large:
            best = best_estimate(self.model)
            parts.append(f"Quote {'iwae or ais' if best == 'ais' else best} as the likelihood, not the ELBO.")
        return " ".join(parts)

    def _value(self, name: str) -> str:
        each = self.of[name]
        error = each.standard_error
        return f"{round(each.mean, 2) + 0.0:.2f}" + (f" ± {error:.2f}" if error == error else "")

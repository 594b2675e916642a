"""The aggregate posterior against the prior: do codes of the data look like draws from p(z)?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.evaluation.diagnostics.codes import Codes, layers_of
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.two_samples import FALSE_ALARMS, TwoSamples, two_sample_test
from vaelab.models import LatentVariableModel
from vaelab.priors import BIT_PRIORS, REAL_PRIORS, StandardisedFlowPrior
from vaelab.seeds import seeded

__all__ = ["aggregate_against_prior"]

_POINTS = 161  # where cumulative probabilities are compared
_EACH = 5  # of them in a bin of the figure, where only draws are known
_RARE = 0.001  # share of the units of all rows that may lie outside the points
_SHOWN = 20  # units in the figure
_FAR, _TOLD = 0.1, 0.6  # from which distance of a unit, or share of codes told apart, there is advice
_FEWEST = 20  # codes for a test


def aggregate_against_prior(sample: Sample) -> Diagnosis:
    """Compare the aggregate posterior `q(z) = E_x[q(z|x)]` with the prior p(z), unit by unit and jointly.

    The KL of the ELBO is `E_x KL[q(z|x) || p(z)] = I(z; x) + KL[q(z) || p(z)]` (Hoffman & Johnson, 2016,
    https://approximateinference.org/2016/accepted/HoffmanJohnson2016.pdf): where the second part is large, draws from
    p(z) are not like the codes of the data, so that the decoder gets codes that it was not trained on.

    The distance of a unit is Kolmogorov's, `sup_z |Q_j(z) - P_j(z)|` of the two cumulative probabilities (compared at
    161 points); of a bit it is the difference of the probabilities of a one. `Q_j` is a mixture over the rows, without
    noise; in a chain of layers each row has one code of the layer before, and the prior as many. Jointly, one code for
    each row is compared with as many draws from p(z) by :func:`two_sample_test`; of rows with weights, a row is used
    with probability `w / max w`.

    Numbers: ``largest_distance`` and ``unit``, its number from 1; of bits ``mean_distance``; of real-valued codes
    ``smallest_variance`` and ``largest_variance`` of a unit under q(z), and ``prior_variance``, the mean over the units
    under p(z); of the joint test ``codes`` (in each set), ``mmd`` (an estimate of `MMD^2`, without unit), ``mmd_95``
    (the 95 % quantile of its null distribution), ``p_value``, ``false_alarms`` (how often a test like this finds a
    difference where there is none) and ``told_apart``.
    """
    q, p, w = sample.codes, sample.prior_codes, sample.row_weights
    even = torch.full((len(p.drawn),), 1 / len(p.drawn), dtype=torch.float64)
    bits = sample.model.code == "bits"
    numbers, arrays = _of_bits(q, p, w, even) if bits else _of_reals(q, p, w, even)
    distances = arrays["distance"].double()
    numbers = {"largest_distance": float(distances.max()), "unit": int(distances.argmax()) + 1, **numbers}
    sentences = [_of_units(numbers, bits, len(distances))]
    joint = _joint_test(sample)
    if joint is None:
        sentences.append(f"The joint test was left out: it needs {_FEWEST} rows.")
    else:
        test, count = joint
        quantile = float(test.null.quantile(1 - FALSE_ALARMS))
        numbers |= {"codes": count, "mmd": test.mmd, "mmd_95": quantile, "p_value": test.p_value}
        numbers |= {"false_alarms": FALSE_ALARMS, "told_apart": test.told_apart}
        arrays |= {"null": test.null.float(), "mmd": torch.tensor(test.mmd)}
        sentences.append(_of_joint(test, count))
    arrays["layers"] = torch.tensor([part.stop - part.start for part in layers_of(sample.model)])
    advice = _advice(numbers, sample.model) if joint is not None and joint[0].differs else ""
    title = "Aggregate posterior and prior"
    return Diagnosis(name="aggregate", title=title, numbers=numbers, arrays=arrays, sentences=sentences, advice=advice)


def _of_bits(q: Codes, p: Codes, w: Tensor, even: Tensor) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the numbers and arrays of bits: the probability of a one under q(z) and under p(z), (D,) each."""
    ones, prior = (
        weights @ (codes.drawn if codes.mean is None else codes.mean) for codes, weights in ((q, w), (p, even))
    )
    distance = (ones - prior).abs()
    numbers = {"mean_distance": float(distance.mean())}
    return numbers, {"distance": distance.float(), "ones": ones.float(), "prior_ones": prior.float()}


def _of_reals(q: Codes, p: Codes, w: Tensor, even: Tensor) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the numbers and arrays of real-valued codes: variances, and the densities of the units farthest apart."""
    variances = [_variance(codes, weights) for codes, weights in ((q, w), (p, even))]
    ranges = [_range(codes) for codes in (q, p)]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    grid = torch.linspace(low, high, _POINTS, dtype=torch.float64)
    cumulative = [_cumulative(codes, weights, grid) for codes, weights in ((q, w), (p, even))]  # (D, G) each
    distance = (cumulative[0] - cumulative[1]).abs().amax(1)
    shown = distance.argsort(descending=True)[:_SHOWN].sort().values
    each = 1 if q.stddev is not None and p.stddev is not None else _EACH
    edges = grid[::each]
    densities = [part[shown][:, ::each].diff(dim=1) / edges.diff() for part in cumulative]
    arrays = {"variance": variances[0], "mean": w @ (q.drawn if q.mean is None else q.mean), "distance": distance}
    arrays |= {"shown": shown, "edges": edges, "density": densities[0], "prior_density": densities[1]}
    numbers = {
        "smallest_variance": float(variances[0].min()),
        "largest_variance": float(variances[0].max()),
        "prior_variance": float(variances[1].mean()),
    }
    return numbers, {name: array.float() for name, array in arrays.items()}


def _range(codes: Codes) -> tuple[float, float]:
    """Return between which values nearly all of the probability lies, but for rows of an extreme variance."""
    if codes.mean is None or codes.stddev is None:
        return float(codes.drawn.min()) - 1e-3, float(codes.drawn.max()) + 1e-3
    below, above = (codes.mean + sign * 4 * codes.stddev for sign in (-1, 1))
    return float(np.quantile(below.numpy(), _RARE)), float(np.quantile(above.numpy(), 1 - _RARE))


def _variance(codes: Codes, weights: Tensor) -> Tensor:
    """Return the variance of each unit, (D,): the mean of the variances and the variance of the means."""
    means = codes.drawn if codes.mean is None or codes.stddev is None else codes.mean
    within = 0.0 if codes.stddev is None else weights @ codes.stddev.square()
    return weights @ (means - weights @ means).square() + within


def _cumulative(codes: Codes, weights: Tensor, grid: Tensor) -> Tensor:
    """Return the probability of each unit to be at most each point, (D, G): a mixture of normals, or of the draws."""
    columns = []
    for unit in range(codes.drawn.shape[1]):
        if codes.mean is None or codes.stddev is None:
            below = (codes.drawn[:, unit, None] <= grid).double()
        else:
            below = torch.special.ndtr((grid - codes.mean[:, unit, None]) / codes.stddev[:, unit, None])
        columns.append(weights @ below)
    return torch.stack(columns)


def _joint_test(sample: Sample) -> tuple[TwoSamples, int] | None:
    """Return the test of codes of the rows against draws from p(z), and the size of each set; None of too few rows."""
    w = sample.row_weights
    with seeded(sample.seed, "two-samples"):
        kept = torch.rand(len(w), dtype=torch.float64) < w / w.max()
        count = int(kept.sum())
        if count < _FEWEST:
            return None
        return two_sample_test(sample.codes.drawn[kept], sample.prior_codes.drawn[:count]), count


def _of_units(numbers: dict[str, Any], bits: bool, count: int) -> str:
    if bits:
        return (
            f"The average of a bit over the data differs from its probability under the prior by "
            f"{numbers['mean_distance']:.3f} on average, and by at most {numbers['largest_distance']:.3f} "
            f"(bit {numbers['unit']:,} of {count:,})."
        )
    low, high = numbers["smallest_variance"], numbers["largest_variance"]
    return (
        f"Over the data, the variance of a unit is {_plain(low)} to {_plain(high)}; under the prior it is "
        f"{_plain(numbers['prior_variance'])}. The two cumulative probabilities of a unit differ by at most "
        f"{numbers['largest_distance']:.2f} (unit {numbers['unit']:,} of {count:,}; 0 would be no difference)."
    )


def _of_joint(test: TwoSamples, count: int) -> str:
    found = "are not distributed like" if test.differs else "cannot be told from"
    return (
        f"All units together, {count:,} codes of the data {found} {count:,} draws from the prior (squared maximum mean "
        f"discrepancy {_plain(test.mmd)}; in 95 % of {len(test.null)} random divisions of these codes at most "
        f"{_plain(float(test.null.quantile(1 - FALSE_ALARMS)))}; p = {test.p_value:.3f}, rate of false alarms "
        f"{FALSE_ALARMS}). {test.told_apart:.0%} of the codes lie nearer to their own kind; without a difference it "
        "would be 50%."
    )


def _plain(value: float) -> str:
    """Return a number with two digits that count, without an exponent."""
    return np.format_float_positional(value, precision=2, fractional=False, trim="-")


def _advice(numbers: dict[str, Any], model: LatentVariableModel) -> str:
    """Return what to do where the test finds a difference that is not small."""
    if numbers["largest_distance"] < _FAR and numbers["told_apart"] < _TOLD:
        return ""
    if model.code == "point":
        return _of_density(model)
    ways = [f"another prior (prior={name})" for name in _other_priors(model)]
    if model.layers:
        ways.append("one more layer, which becomes the prior of those below (layers=[...])")
    ways.append("more weight on the KL (objective.beta above 1), which costs reconstruction")
    return (
        "Samples of the model start from codes that the decoder has seen too rarely or too often, so they look worse "
        f"than reconstructions. What brings both together: {', or '.join(ways)}."
    )


def _of_density(model: LatentVariableModel) -> str:
    """Return what to do where draws from the density of an auto-encoder's codes are not like the codes."""
    if isinstance(model.prior, StandardisedFlowPrior):
        return (
            "Samples of the flow are not like the codes of the data: fit the flow for more steps (fit-prior --prior "
            "flow --steps N), or a mixture instead (fit-prior --prior mixture)."
        )
    full = getattr(model.prior, "covariance", "full") == "full"
    other = "" if full else ", or with full covariances (covariance=full)"
    return (
        "Samples of the mixture are not like the codes of the data: fit a mixture with more components "
        f"(components=...){other}."
    )


def _other_priors(model: LatentVariableModel) -> list[str]:
    """Return the names of the richer priors that a built-in model could have: those after its own in the table."""
    present = None if model.built_with is None else model.built_with.options.get("prior")
    table = BIT_PRIORS if model.code == "bits" else REAL_PRIORS
    names = list(table)
    return names[names.index(present) + 1 :] if present in table else []

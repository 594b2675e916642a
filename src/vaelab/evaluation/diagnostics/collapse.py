"""Posterior collapse: units that ignore the data, against units that carry little."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.errors import InputError
from vaelab.evaluation.active_units import bit_entropy
from vaelab.evaluation.diagnostics.codes import Codes, layers_of
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.spread import counted
from vaelab.objectives import ELBO

__all__ = ["STATES", "posterior_collapse"]

STATES = ("collapsed", "constant", "weak", "used")
_NOTHING = 0.01  # nats: a KL or an information below it counts as none
_LITTLE = 0.1  # nats: a unit that carries less is weak
_MANY = 0.1  # share of idle units from which there is advice


def posterior_collapse(sample: Sample) -> Diagnosis:
    """Count the units that ignore x: their posterior equals the prior, or at least does not change.

    Each unit is in the first of these states that fits:

    - collapsed: q(z_j|x) equals the prior for all x (Lucas et al., 2019, https://arxiv.org/abs/1911.02469), that is
      `E_x KL[q(z_j|x) || p(z_j)] < 0.01` nat;
    - constant: q(z_j|x) differs from the prior, but is the same for all x: the information `I(z_j; x) < 0.01` nat;
    - weak: it carries less than 0.1 nat;
    - used: the others.

    Of bits `I(z_j; x) = H(E_x[q(z_j|x)]) - E_x[H(q(z_j|x))]`; of normal units it is at most `1/2 log Var[z_j] -
    E_x[log sigma_j(x)]` (a normal distribution has the largest entropy of its variance), and this is used. In a chain
    of layers both are given the layers beside the unit, for one code of each row.

    Numbers: ``units``, how many are ``collapsed``, ``constant``, ``weak`` and ``used``, and ``layers``, the same of
    each layer of a chain, nearest to x first.

    Raises:
        InputError: a single row; or the units of q(z|x) or p(z) are not independent bits or independent normal numbers.
    """
    sample.require_several("collapse")
    q, w = sample.codes, sample.row_weights
    if q.kl is None:
        raise InputError("collapse: expected q(z|x) and p(z) of independent bits or of independent normal units")
    kl, information = w @ q.kl, _information(q, w)
    state = torch.where(
        kl < _NOTHING, 0, torch.where(information < _NOTHING, 1, torch.where(information < _LITTLE, 2, 3))
    )
    layers = [state[part] for part in layers_of(sample.model)]
    counts = [{name: int((layer == number).sum()) for number, name in enumerate(STATES)} for layer in layers]
    total = {name: sum(count[name] for count in counts) for name in STATES}
    numbers = {"units": len(state), **total, **({"layers": counts} if len(counts) > 1 else {})}
    arrays: dict[str, Tensor] = {"state": state.to(torch.uint8), "layers": torch.tensor([len(each) for each in layers])}
    arrays |= {"kl": kl.float(), "information": information.float()}
    sentences = [_finding(total, len(state), sample.model.code == "bits")]
    sentences += [f"Layer {number}: {_listed(count)}." for number, count in enumerate(counts, 1) if len(counts) > 1]
    idle = total["collapsed"] + total["constant"]
    advice = _advice(sample, total, len(state)) if idle >= max(1.0, _MANY * len(state)) else ""
    title = "Posterior collapse"
    return Diagnosis(name="collapse", title=title, numbers=numbers, arrays=arrays, sentences=sentences, advice=advice)


def _information(q: Codes, w: Tensor) -> Tensor:
    """Return the information of each unit about what it is computed from, (D,): exact for bits, else an upper bound."""
    assert q.mean is not None  # where the KL is known, so are the means
    average = w @ q.mean
    if q.stddev is None:
        return bit_entropy(average.clamp(0, 1)) - w @ bit_entropy(q.mean)
    variance = w @ (q.mean - average).square() + w @ q.stddev.square()
    return 0.5 * variance.log() - w @ q.stddev.log()


def _listed(count: dict[str, int]) -> str:
    named = [f"{number:,} {name}" for name, number in count.items() if number]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _finding(count: dict[str, int], units: int, bits: bool) -> str:
    """Return how many units carry nothing, and how many little."""
    noun = "bits" if bits else "units"
    idle = count["collapsed"] + count["constant"]
    if not idle:
        weak = f"; {_carry(count['weak'])} less than {_LITTLE} nat" if count["weak"] else ""
        all_change = f"all {units:,} {noun} change" if units > 1 else "it changes"
        return f"No unit ignores x: {all_change} with it{weak}."
    parts = []
    if count["collapsed"]:
        parts.append(f"the posterior of {count['collapsed']:,} equals the prior")
    if count["constant"]:
        parts.append(f"the posterior of {count['constant']:,} is the same for all x, but not the prior")
    rest = f" Of the others, {_carry(count['weak'])} less than {_LITTLE} nat and {_carry(count['used'])} more."
    return f"{idle:,} of {units:,} {noun} never change with x: {', and '.join(parts)}." + (rest if idle < units else "")


def _carry(count: int) -> str:
    """Return a number of units with the verb."""
    return f"{count:,} carr{'ies' if count == 1 else 'y'}"


def _advice(sample: Sample, count: dict[str, int], units: int) -> str:
    """Return what to do about idle units, by how the model was trained."""
    noun = "bits" if sample.model.code == "bits" else "units"
    idle = count["collapsed"] + count["constant"]
    head = f"{idle:,} of {units:,} {noun} never change"
    kept = units - idle
    if kept:
        head += f": {counted(kept, noun[:-1])} would carry the same, and train faster"
    else:
        head += ": the code says nothing about x, so the model is no better than one without a code"
    ways = _ways(sample)
    return f"{head}. To use more of them: {'; or '.join(ways)}."


def _ways(sample: Sample) -> list[str]:
    """Return the changes of a training that keep units from collapsing and that it does not have yet."""
    objective, model = sample.objective, sample.model
    elbo = objective if isinstance(objective, ELBO) else ELBO()
    chosen = "" if objective is None or isinstance(objective, ELBO) else "objective=elbo "
    ways = []
    if elbo.beta > 1:
        ways.append(f"lower the weight of the KL, which is {elbo.beta:g} (objective.beta=1)")
    if not elbo.warm_up:
        ways.append(f"let the KL count little at first ({chosen}objective.warm_up, in steps)")
    if not elbo.free_bits and not model.layers:
        closed = "" if elbo.kl == "closed-form" else " objective.kl=closed-form"
        ways.append(f"give each unit some nats that cost nothing ({chosen}objective.free_bits=0.1{closed})")
    if model.code == "bits":
        ways.append("estimate the gradient with less noise (another estimator.name, or more estimator.samples)")
    ways.append("use a less powerful decoder, which needs the code (fewer or narrower hidden_dims)")
    return ways

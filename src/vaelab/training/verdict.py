"""Whether more steps would have helped: the validation bound while the learning rate was still high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vaelab.settings import TrainingSettings

__all__ = ["Verdict", "judge"]

_LEAST = 4  # validations at a high rate that are needed for a verdict
_SMALL = 1e-3  # relative to the bound: smaller rises do not count


@dataclass(frozen=True)
class Verdict:
    """Whether the validation bound was still rising when the training ended, and a sentence about it.

    ``rising`` is None if there were too few validations at a high learning rate.
    """

    rising: bool | None
    sentence: str


def judge(
    curve: Sequence[tuple[int, float]], settings: TrainingSettings, total: int, early: bool, what: str, rise: int = 0
) -> Verdict:
    """Return whether more steps would help, judged by the validations at a nearly constant learning rate.

    With the cosine schedule these are the steps before the rate falls below half of its value, the first half of the
    training. Later the curve flattens because the rate goes to zero, whether or not there is more to learn. The bound
    was still rising if the best of these validations is better, by a thousandth, than the best before their last
    quarter. It was not if all validations in the training's last quarter are worse than the best one by more than that.

    Args:
        curve: (step, validation bound) of every validation, in nats.
        settings: of the training.
        total: its steps.
        early: whether it ended because no patience was left.
        what: ``bound`` or ``reconstruction``.
        rise: steps over which the objective's beta rose, which do not count.

    >>> settings = TrainingSettings(schedule="constant", warmup=0)
    >>> judge([(10, -9.0), (20, -7.0), (30, -6.0), (40, -6.0)], settings, 40, False, "bound").sentence
    'the validation bound had stopped rising at step 30: more steps would help little'
    """
    counted = [(step, bound) for step, bound in curve if step >= rise]
    if counted and (early or _has_fallen(counted, total)):
        best_step = max(counted, key=lambda pair: pair[1])[0]
        sentence = f"the validation {what} had stopped rising at step {best_step:,}: more steps would not help"
        return Verdict(False, sentence)
    cosine = settings.schedule == "cosine"
    first, last = max(rise, settings.warmup), total // 2 if cosine else total
    high = [(step, bound) for step, bound in counted if first <= step <= last]
    quarter = last - (last - first) // 4
    before = [bound for step, bound in high if step <= quarter]
    if len(high) < _LEAST or len(before) == len(high):
        return Verdict(
            None, f"too few validations at a high learning rate to tell whether the validation {what} was still rising"
        )
    best_step, best_bound = max(high, key=lambda pair: pair[1])
    gain = best_bound - max(before)
    when = (
        f"steps {quarter:,} to {last:,}, while the learning rate was high"
        if cosine
        else "the last quarter of the steps"
    )
    if gain > _SMALL * abs(best_bound):
        amount = f"{gain:.2f}" if gain >= 0.01 else f"{gain:.1g}"
        sentence = f"the validation {what} was still rising, by {amount} nats over {when}"
        return Verdict(True, f"{sentence}: more steps would help, such as training.steps={2 * total}")
    at = " while the learning rate was high" if cosine else ""
    return Verdict(
        False, f"the validation {what} had stopped rising at step {best_step:,}{at}: more steps would help little"
    )


def _has_fallen(curve: Sequence[tuple[int, float]], total: int) -> bool:
    """Return whether the bounds of the last quarter of the steps are below the best before it by a thousandth."""
    best = max(bound for _, bound in curve)
    late = [bound for step, bound in curve if step > total - total // 4]
    return bool(late) and best - max(late) > _SMALL * abs(best)

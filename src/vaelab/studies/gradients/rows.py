"""The estimators that are measured: the rows of the table, and the estimators that fit a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vaelab.errors import InputError, require_choice
from vaelab.estimators import ESTIMATORS, Estimator
from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.seeds import seeded

__all__ = ["build_estimators", "choose_rows", "gradient_rows"]


def gradient_rows() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return every row that can be measured: label -> (estimator, options). Variants have a row each.

    >>> [label for label in gradient_rows() if label.startswith("score")][:2]
    ['score-function, none', 'score-function, running-average']
    """
    rows: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, kind in ESTIMATORS.items():
        variants = {f"{name}, {label}": (name, dict(options)) for label, options in kind.variants.items()}
        rows |= variants or {name: (name, {})}
    return rows


def choose_rows(estimators: Sequence[str] | None, without: Sequence[str]) -> list[str]:
    """Return the labels of the requested rows; the name of an estimator means all its rows.

    Raises:
        InputError: an unknown name, or no row left.
    """
    rows = gradient_rows()
    names = [*rows, *(name for name in ESTIMATORS if name not in rows)]
    for asked in (*(estimators or ()), *without):
        require_choice("estimator", asked, names)

    def is_named(label: str, asked: Sequence[str]) -> bool:
        return label in asked or rows[label][0] in asked

    labels = [
        label for label in rows if (not estimators or is_named(label, estimators)) and not is_named(label, without)
    ]
    if not labels:
        raise InputError("gradients: no estimator is left to measure")
    return labels


def build_estimators(
    model: LatentVariableModel, objective: Objective, samples: int, labels: Sequence[str], seed: int
) -> tuple[dict[str, Estimator], list[dict[str, str]]]:
    """Return the estimators that apply, by label, each with a K that it supports, and the others with the reason.

    Raises:
        InputError: none of them applies.
    """
    ready: dict[str, Estimator] = {}
    refused = []
    for label in labels:
        name, options = gradient_rows()[label]
        for count in (samples, samples + 1, samples + 2):  # pairs need an even number, leave-one-out two
            try:
                with seeded(seed, "gradients", label, "prepare"):
                    estimator = ESTIMATORS[name](model, samples=count, **options)
                estimator.check(model, objective)
            except InputError as error:
                reason = str(error)
            else:
                ready[label] = estimator
                break
        else:
            refused.append({"estimator": label, "reason": reason})
    if not ready:
        raise InputError(f"gradients: none of the estimators applies; {refused[0]['reason']}")
    return ready, refused

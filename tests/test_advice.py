"""Room: evaluation. When a number should not be quoted, and what to quote instead, from its record alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vaelab.evaluation.advice as advising
from tests.laws import binary_data, build
from vaelab.evaluation import Evaluation, EvaluationRecord, evaluate
from vaelab.evaluation.advice import advice, best_estimate
from vaelab.evaluation.result import CurvePoint
from vaelab.models import bernoulli_vae, gaussian_vae

FACTS: dict[str, Any] = {"split": "test", "binarisation": "none", "data": "x", "seed": 0, "observations": 500}
GOOD: dict[str, Any] = {"samples": 5000, "median_effective_samples": 900.0, "heavy_tailed": 0.0, "best_estimate": "ais"}


def number(name: str, **fields: Any) -> EvaluationRecord:
    return EvaluationRecord(name=name, **{"value": -3.0, **FACTS, **GOOD, **fields})


ROWS: dict[str, tuple[EvaluationRecord, str]] = {
    "a large K": (number("iwae-5000"), ""),
    "a small K": (number("iwae-100", samples=100), "K = 100 is small. Take K = 5,000, as papers do."),
    "a small K of few bits": (
        number("iwae-9", samples=9, best_estimate="exact"),
        "is small. Quote exact, which is log",
    ),
    "a heavy tail": (number("iwae-5000", heavy_tailed=0.3), "for 30% of the rows a few weights decide"),
    "a small K and a heavy tail": (
        number("iwae-50", samples=50, heavy_tailed=0.3),
        "(Pareto shape above 0.7). Quote ais.",
    ),
    "a heavy tail, two numbers": (number("iwae-5000", heavy_tailed=0.3, best_estimate="quadrature"), "Quote quadratur"),
    "few effective samples": (
        number("iwae-5000", median_effective_samples=2.0),
        "it is low by at least about 0.2 nat, as the median row has 2 effective",
    ),
    "a slow curve": (number("iwae-5000", limit=-2.99, exponent=0.2), "falls only as K^-0.20, so its limit means noth"),
    "a curve without end": (number("iwae-5000", curve=[CurvePoint(samples=1, value=-5.0)]), "without a limit in sight"),
    "far from its limit": (
        number("iwae-5000", limit=-2.5, exponent=1.0),
        "low by 0.5 nat, as its limit is -2.50. Quote",
    ),
    "annealing, many": (number("ais-1000", samples=16, median_effective_samples=8.0), ""),
    "annealing, few": (number("ais-1000", samples=16, median_effective_samples=2.0), "Take more temperatures."),
    "an elbo alone": (number("elbo", samples=10), "error of q(z|x), which differs between models. Quote iwae."),
    "over the prior": (number("prior-5000"), "and then it lies far below log p(x). Quote iwae."),
    "a coarse grid": (number("quadrature", samples=None, change=0.3), "changed it by 0.3 nat. Quote ais."),
    "a fine grid": (number("quadrature", samples=None, change=0.01), ""),
    "not finite": (number("iwae-5000", value=float("nan")), "it is not finite. Look at the values of its rows."),
    "interrupted": (number("ais-50", samples=16, interrupted=True), "interrupted after 500 rows. Let it finish."),
    "parts of a bound": (number("kl", samples=10), ""),
    "a count": (number("active-units", samples=None, observations=None, value=3), ""),
}


@pytest.mark.parametrize(("record", "expected"), ROWS.values(), ids=ROWS.keys())
def test_a_number_that_should_not_be_quoted_is_named_with_the_reason(record: EvaluationRecord, expected: str) -> None:
    lines = advice([record])
    assert len(lines) == bool(expected)
    if expected:
        assert lines[0].startswith(f"{record.name}: do not quote it: ")
        assert expected in lines[0]


def test_the_documentation_has_the_thresholds() -> None:
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    table = page[page.index("**Advice in words.**") : page.index("**Why not the average over the prior.**")]
    for threshold in (
        f"below {advising._SMALL:,}".replace(",", " "),
        f"$K = {advising._QUOTED}$",
        f"for more than {advising._HEAVY:.0%}".replace("%", " %"),
        f"is more than {advising._LOW} nat above",
        f"by more than {advising._COARSE} nat",
        f"| more than {advising._SCATTERED} nat",
        f"few rows (below {advising._FEW_ROWS})",
    ):
        assert threshold in table


def test_a_limit_that_means_nothing_says_nothing_of_how_low_a_number_is() -> None:
    (line,) = advice([number("iwae-5000", limit=-2.0, exponent=0.2, median_effective_samples=2.0)])
    assert "its limit means nothing; it is low by at least about 0.2 nat, as the median row" in line
    record = number("iwae-5000", limit=-2.0, limit_standard_error=0.1, curve=[CurvePoint(samples=1, value=-5.0)] * 2)
    assert record.remarks()[0].endswith("as K grows, to -2.00 ± 0.10, extrapolated")
    slow = record.model_copy(update={"exponent": 0.2})
    assert slow.remarks()[0].endswith("extrapolated, not to be quoted")


def test_rows_that_the_model_drew_are_no_estimate_of_the_split() -> None:
    drawn = [
        number(name, samples=16, median_effective_samples=2.0, rows_of_model=True, note="Of rows that the model drew.")
        for name in ("ais-gap-20", "ais-lower-20", "ais-upper-20")
    ]
    assert advice(drawn) == []
    (line,) = advice([number("elbo", samples=10), *drawn])
    assert line.startswith("elbo: do not quote it")
    assert "Of rows that the model drew." in str(Evaluation(tuple(drawn)))


def test_a_single_row_has_no_standard_error() -> None:
    assert advice([number("iwae-5000", observations=1)]) == [
        "A single row has no standard error, and does not show whether a unit of the code changes with x."
    ]


def test_an_elbo_beside_a_closer_bound_needs_no_advice() -> None:
    assert advice([number("elbo", samples=10), number("iwae-5000")]) == []
    assert advice([number("elbo", samples=10), number("exact", samples=None)]) == []


def test_what_has_to_be_said_with_the_numbers_is_said_once() -> None:
    part = {"rows_of_split": 900, "observations": 50, "trained_binarisation": "static"}
    lines = advice([number("elbo", **part), number("iwae-5000", **part)])
    assert lines == [
        "Of the first 50 of 900 rows: say so with the numbers.",
        "50 rows are few: the standard errors are themselves uncertain.",
        "Of the binarisation none, and trained under static: say both with the numbers.",
    ]


def test_the_closest_estimate_is_the_first_that_the_model_has() -> None:
    assert best_estimate(bernoulli_vae(6, latent_dim=3)) == "exact"
    assert best_estimate(gaussian_vae(6, latent_dim=2)) == "quadrature"
    assert best_estimate(gaussian_vae(6, latent_dim=20)) == "ais"
    assert best_estimate(bernoulli_vae(6, latent_dim=30)) == "ais"
    assert best_estimate(build("autoencoder")) is None


def test_the_advice_of_an_evaluation_is_printed_with_it() -> None:
    result = evaluate(build("gaussian"), binary_data(), samples=3)
    assert result["iwae"].best_estimate == best_estimate(build("gaussian"))
    (first, *_) = result.advice()
    assert first.startswith("iwae-3: do not quote it: K = 3 is small")
    assert first in " ".join(str(result).split())

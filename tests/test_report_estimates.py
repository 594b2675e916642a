"""Room: report. The section on the bound of more and more codes."""

import pytest

from vaelab.evaluation.result import CurvePoint, EvaluationRecord
from vaelab.report import ReportedRun
from vaelab.report.estimates import bounds_and_codes
from vaelab.runs import Run

CURVE = [
    CurvePoint(samples=1, value=-150.0),
    CurvePoint(samples=10, value=-148.0),
    CurvePoint(samples=64, value=-147.0),
]


def member(title="model", **fields):
    """A run with a bound, and an exact density."""
    run = Run("tests/golden/gaussian-vae/run")
    facts = {"split": "test", "binarisation": run.binarisation, "data": "mnist", "seed": 0, "observations": 500}
    limit = {"limit": -146.5, "limit_standard_error": 0.2, "exponent": 0.8, "heavy_tailed": 0.0}
    bound = EvaluationRecord(name="iwae-64", samples=64, value=-147.0, **{"curve": CURVE, **limit, **fields}, **facts)
    others = [
        EvaluationRecord(name="exact", value=-146.4, **facts),
        EvaluationRecord(name="ais-50", samples=16, temperatures=50, value=-146.6, **facts),
    ]
    return ReportedRun(title, run, unkept=[bound, *others])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "its limit is -146.50 ± 0.20; exact is -146.40; ais-50 is -146.60."),
        ({"heavy_tailed": 0.3}, "its limit is -146.50 ± 0.20, which is not to be quoted; exact"),
        ({"exponent": 0.2}, "its limit is -146.50 ± 0.20, which is not to be quoted; exact"),
        ({"limit": None, "limit_standard_error": None, "exponent": None}, "; no limit is in sight; exact"),
    ],
)
def test_the_section_says_what_the_curve_shows(fields, expected):
    section = bounds_and_codes([member(**fields)])
    assert section.finding.startswith("model: -150.00 with one code, -147.00 with 64; ")
    assert expected in section.finding
    assert section.figure.startswith(b"\x89PNG")


def test_each_run_has_its_panel_and_its_line():
    section = bounds_and_codes([member(f"model {number}") for number in range(4)])
    assert len(section.finding.splitlines()) == 4
    assert len(section.figure) > len(bounds_and_codes([member()]).figure)


def test_of_several_curves_that_of_the_most_codes_is_shown_beside_numbers_of_the_same_rows():
    """The number of rows does not decide: a bound of many codes is often of the first rows alone."""
    few = {"observations": 20, "rows_of_split": 500}
    longer = [*CURVE[:2], CurvePoint(samples=100, value=-140.0)]
    whole = member()
    bound, exact, _ = whole.unkept
    whole.unkept.append(
        bound.model_copy(update={"name": "iwae-100", "samples": 100, "value": -140.0, "curve": longer, **few})
    )
    whole.unkept.append(exact.model_copy(update={"value": -139.0, **few}))
    section = bounds_and_codes([whole])
    assert section.finding == (
        "model, first 20 of 500 rows: -150.00 with one code, -140.00 with 100; its limit is -146.50 ± 0.20; "
        "exact is -139.00."
    )


def test_without_a_curve_there_is_no_section():
    assert bounds_and_codes([]) is None
    assert bounds_and_codes([member(curve=None)]) is None
    assert bounds_and_codes([member(curve=CURVE[:1])]) is None

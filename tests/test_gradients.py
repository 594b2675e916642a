"""Room: evaluation and training. Gradient estimators measured on a frozen batch, and their variance along a training.

Unbiased estimators are judged at the false-alarm rate of a report (0.01); the seeds are fixed, so a pass stays one.
"""

import json
import math

import pytest
import torch

from tests.commands import CommandLine
from tests.laws import binary_data, build, gradients, largest_difference, score_every_tuple
from tests.training_process import run_training
from vaelab import plots
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, ScoreFunction
from vaelab.objectives import ELBO, IWAE
from vaelab.report import ReportedRun
from vaelab.report.gradients import _bias_finding
from vaelab.report.sections import sections
from vaelab.runs import Run
from vaelab.studies.gradients import gradient_rows, measure_gradients
from vaelab.studies.gradients import measure as measuring
from vaelab.studies.gradients.bias import DIRECTIONS, FALSE_ALARM, Reference, bias_limit, largest_z
from vaelab.training.variance import GradientVariance

BITS = "bits, learned prior"
LEAVE_ONE_OUT = "score-function, leave-one-out"


def measured(name, objective, draws=40, dim=4, **options):
    options = {"rows": 10, "samples": 2, "warmup": 10, **options}
    result = measure_gradients(build(name, dim), objective, binary_data().train.observations(), draws=draws, **options)
    return result, {row["estimator"]: row for row in result["estimators"]}


@pytest.mark.parametrize(("name", "objective"), [(BITS, ELBO()), (BITS, IWAE()), ("gaussian", ELBO())])
def test_unbiased_estimators_stay_within_the_limit_and_every_row_is_accounted_for(name, objective):
    result, rows = measured(name, objective)
    assert result["reference"]["name"] == ("exact" if name == BITS else "pathwise (K = 2)")
    proven = [row for row in rows.values() if not row["biased"] and row["estimator"] != "exact"]
    assert (result["bias_limit"], result["false_alarm"]) == (bias_limit(len(proven)), FALSE_ALARM)
    assert result["false_alarm_of_report"] == pytest.approx(1e-4)
    for row in rows.values():
        if not row["biased"] and row["estimator"] != "exact":
            assert row["bias_z"] < result["bias_limit"], row
            assert row["variance"] > 0
    assert {*rows, *(entry["estimator"] for entry in result["refused"])} == set(gradient_rows())
    assert all(entry["reason"] for entry in result["refused"])
    efficiencies = [row["efficiency"] for row in result["estimators"] if row["efficiency"] is not None]
    assert efficiencies == sorted(efficiencies, reverse=True)


def test_biased_estimators_are_found_out():
    result, rows = measured(BITS, ELBO(), draws=400, estimators=["straight-through", "gumbel-straight-through"])
    for row in rows.values():
        assert row["biased"]
        assert row["bias_z"] > result["bias_limit"], row
    assert result["left_out"]


@pytest.mark.parametrize("against", ["exact", "a long run"])
def test_false_alarms_are_as_rare_as_stated(against, monkeypatch):
    """Of 1000 reports of ten unbiased rows at 5 % a report: more than 85 alarms, or fewer than 20, have p < 1e-6.

    The rows of a report share their reference, as they do where it is a long run: Bonferroni's inequality allows it.
    """
    monkeypatch.setattr("vaelab.studies.gradients.bias.FALSE_ALARM", 0.05)
    limit, count, draws, size = bias_limit(10), 1000, 20, 2 * DIRECTIONS
    generator = torch.Generator().manual_seed(0)
    alarms = 0
    for _ in range(count):
        own = torch.randn(10, draws, size, generator=generator, dtype=torch.float64)
        if against == "exact":
            reference = Reference("exact", 1, torch.zeros(size).double(), torch.zeros(size).double())
        else:
            long = torch.randn(5 * draws, size, generator=generator, dtype=torch.float64)
            reference = Reference("long", len(long), long.mean(0), long.var(0) / len(long))
        alarms += any(largest_z(projections, reference) > limit for projections in own)
    assert (20 if against == "exact" else 5) <= alarms <= 85


def test_an_unbiased_row_over_the_limit_is_looked_at_again_with_fresh_draws(monkeypatch):
    """A limit so low that every row is over it: the second look has its own draws, its own limit and its own number."""
    monkeypatch.setattr("vaelab.studies.gradients.bias.FALSE_ALARM", 0.999)
    result, rows = measured(BITS, ELBO(), draws=10, estimators=["disarm", "arm", "straight-through"])
    over = [row for row in rows.values() if not row["biased"] and row["bias_z"] > result["bias_limit"]]
    assert over
    assert result["bias_limit_again"] == bias_limit(len(over))
    assert result["draws_again"] == 10 * measuring.SECOND_LOOK
    for row in rows.values():
        assert (row["bias_z_again"] is not None) == (row in over)
        assert row["bias_z_again"] != row["bias_z"]


def test_two_looks_that_agree_are_no_chance():
    """An estimator that says it is unbiased and is not is over both limits."""
    bias = torch.linspace(-1, 1, 2 * DIRECTIONS).double()
    exact = Reference("exact", 1, torch.zeros_like(bias), torch.zeros_like(bias))
    assert all(largest_z(torch.randn(50, len(bias)).double() + bias, exact) > bias_limit(20) for _ in range(2))


def report_on(*rows):
    """The sentences on rows of (name, biased, first look, second look)."""
    estimators = [
        {"estimator": name, "biased": biased, "bias_z": first, "bias_z_again": second}
        for name, biased, first, second in rows
    ]
    return _bias_finding(
        {"estimators": estimators, "bias_limit": 4.0, "bias_limit_again": 3.3, "false_alarm_of_report": 1e-4}
    )


def test_the_report_never_calls_a_proven_estimator_biased():
    text = report_on(("arm", False, 4.2, 1.0), ("disarm", False, 0.3, None), ("concrete", True, 9.0, None))
    assert "measured so beyond |z| = 4.00: concrete." in text
    assert "The others are proven unbiased" in text
    assert "arm exceeded |z| = 4.00 at first (4.20) and not with fresh draws (1.00): this is chance." in text
    twice = report_on(("arm", False, 4.2, 5.0))
    assert "in at most 0.01% of reports: the measurement or the code is wrong" in twice
    assert "biased by construction" not in twice.lower()
    assert "too little to be significant with these draws: concrete." in report_on(("concrete", True, 1.0, None))
    assert report_on(("disarm", False, 0.3, None)).endswith("none exceeds |z| = 4.00.")


def test_without_an_oracle_the_error_of_the_long_run_is_counted_in():
    result, rows = measured("bits, uniform prior", ELBO(), dim=17, estimators=["disarm", "arms", "exact"])
    assert result["reference"] == {"name": f"{LEAVE_ONE_OUT} (K = 2)", "draws": 200}
    assert "at most 16 bits" in result["refused"][0]["reason"]
    assert all(row["bias_z"] < result["bias_limit"] for row in rows.values())


def test_the_variance_of_leave_one_out_is_the_enumerated_one():
    """Within five of its standard errors: a false alarm of 6e-7 under the normal law."""
    name, data, objective = "bits, uniform prior", binary_data(), ELBO()
    _, rows = measured(name, objective, draws=1500, dim=3, rows=2, estimators=[LEAVE_ONE_OUT])
    model, x = build(name, 3), two_rows(data)
    encoder = {key for key, _ in model.named_parameters() if key.startswith("posterior")}
    variance, size = 0.0, 0
    for row in x:  # independent given x: the variance of the mean over rows is the sum of theirs over B^2
        probability, estimate = score_every_tuple(model, ScoreFunction(model, 2), objective, row.unsqueeze(0))
        each = [gradients(model, value) for value in estimate.surrogate]
        for key in encoder:
            draws = torch.stack([gradient[key] for gradient in each]).flatten(1)  # (T, P)
            mean = probability @ draws
            variance += float((probability @ draws.square() - mean.square()).sum()) / len(x) ** 2
    size = sum(weight.numel() for key, weight in model.named_parameters() if key in encoder)
    row = rows[LEAVE_ONE_OUT]
    assert abs(row["variance"] - variance / size) < 5 * row["variance_error"]
    assert row["variance_error"] < 0.05 * row["variance"]


def two_rows(data):
    """The batch that ``measure_gradients`` draws: its seed, spelt out."""
    from vaelab.seeds import seeded

    observed = data.train.observations()
    with seeded(0, "gradients", "batch"):
        return observed.bits(torch.randperm(len(observed))[:2]).double()


def test_pathwise_has_far_less_variance_than_the_score_function():
    _, rows = measured("gaussian", ELBO(), estimators=["pathwise", "score-function"])
    assert rows["pathwise"]["variance"] < 0.2 * rows[LEAVE_ONE_OUT]["variance"]
    assert rows["pathwise"]["signal_to_noise"] > rows[LEAVE_ONE_OUT]["signal_to_noise"]


def test_the_model_is_left_as_it_was_and_the_same_seed_gives_the_same_numbers():
    model, observed = build(BITS, 3), binary_data().train.observations()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    clock = {"milliseconds", "efficiency"}
    state = torch.get_rng_state()

    def run():
        options = {"draws": 5, "rows": 4, "samples": 3, "estimators": ["rebar", "disarm", "score-function"]}
        rows = measure_gradients(model, ELBO(), observed, **options)["estimators"]
        return {row["estimator"]: {key: row[key] for key in row if key not in clock} for row in rows}

    first = run()
    assert first == run()
    assert torch.equal(state, torch.get_rng_state())
    assert largest_difference(before, model.state_dict()) == 0
    assert {first["disarm"]["samples"], first["rebar"]["samples"]} == {4, 3}  # pairs: the next even K
    assert first["rebar"]["warmup_steps"] == first["score-function, network"]["warmup_steps"] == 5
    assert first[LEAVE_ONE_OUT]["warmup_steps"] == 0


def test_mistakes_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="draws: expected an integer of at least 2"):
        measured(BITS, ELBO(), draws=1)
    with pytest.raises(InputError, match="did you mean 'disarm'"):
        measured(BITS, ELBO(), estimators=["disram"])
    with pytest.raises(InputError, match=r"none of the estimators applies; .*'pathwise' needs codes"):
        measured(BITS, ELBO(), estimators=["pathwise"])
    with pytest.raises(InputError, match="no estimator is left"):
        measured(BITS, ELBO(), estimators=["rodeo"], without=["rodeo"])
    with pytest.raises(InputError, match="draws no codes"):
        measured("autoencoder", ELBO())


# ---- the command and its report


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_training(tmp_path_factory.mktemp("gradients") / "run")[0]


@pytest.fixture
def vaelab(capsys, monkeypatch, run):
    monkeypatch.setattr(Run, "load_data", lambda self: binary_data())
    return CommandLine(capsys, monkeypatch)


def test_the_command_prints_keeps_and_draws(vaelab, run):
    words = ("gradients", run.path, "--draws", 3, "--rows", 8, "--samples", 2)
    result = vaelab(*words, "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert told.pop("run") == str(run.path)
    assert told == run.gradients()
    assert told.items() <= json.loads((run.path / "gradients.json").read_text()).items()
    names = {row["estimator"] for row in told["estimators"]} | {row["estimator"] for row in told["refused"]}
    assert names == set(gradient_rows())
    assert (run.path / "figures" / "gradients.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    table = vaelab(*words, "--estimator", "disarm", "--estimator", "straight-through", "--out", run.path / "g.png")
    assert "disarm" in table.out
    assert "biased" in table.out
    assert "left out: " in table.out
    assert (run.path / "g.png").exists()


def test_the_report_has_the_section_only_for_a_run_that_was_measured(vaelab, run):
    (run.path / "gradients.json").unlink(missing_ok=True)
    assert "gradient-variance" not in [section.name for section in sections([ReportedRun("run", run)])[0]]
    assert vaelab("gradients", run.path, "--draws", 3, "--rows", 8, "--samples", 2).code == 0
    found = {section.name: section.finding for section in sections([ReportedRun("run", run)])[0]}["gradient-variance"]
    assert "running average has" in found
    assert "proven unbiased by enumeration" in found
    assert "Found biased" not in found


def test_mistakes_of_the_command(vaelab, run, tmp_path):
    assert "at least 2" in vaelab.refused("gradients", run.path, "--draws", 1)
    assert "did you mean 'relax'" in vaelab.refused("gradients", run.path, "--estimator", "relaxx")
    assert "ending in .png" in vaelab.refused("gradients", run.path, "--out", "g.json")
    other = run_training(tmp_path / "other", model="autoencoder", more={"components": [1]})[0]
    assert "auto-encoder draws no codes" in vaelab.refused("gradients", other.path)


def test_names_in_the_figure_cover_neither_one_another_nor_points():
    names = list(gradient_rows())
    points = {name: (10.0 + index % 4, 0.01 * 1.1 ** (index // 4), index % 5 == 0) for index, name in enumerate(names)}
    figure = plots.gradient_costs(points, "")
    axes = figure.axes[0]
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    assert [text.get_text() for text in axes.texts] != []
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


# ---- along a training

LOGGED = {"training": {"log_gradient_variance": True}}


def test_logging_the_variance_changes_nothing_else(tmp_path):
    plain, _ = run_training(tmp_path / "plain")
    logged, _ = run_training(tmp_path / "logged", more=LOGGED)
    assert largest_difference(plain.load_model().state_dict(), logged.load_model().state_dict()) == 0
    clock = {"seconds", "observations_per_second"}
    for one, other in zip(plain.metrics(), logged.metrics(), strict=True):
        extra = set(other) - set(one)
        assert extra == {"train/gradient_variance"}
        assert all(one[key] == other[key] for key in one if key not in clock)
        assert other["train/gradient_variance"] > 0
    states = [run.load_checkpoint() for run in (plain, logged)]
    assert largest_difference(states[0]["model"], states[1]["model"]) == 0


def test_a_resumed_training_logs_the_same_variance(tmp_path):
    def stop(row):
        if row["step"] == 24:
            raise KeyboardInterrupt

    whole, _ = run_training(tmp_path / "whole", more=LOGGED)
    with pytest.raises(KeyboardInterrupt):
        run_training(tmp_path / "stopped", stop, more=LOGGED)
    resumed, _ = run_training(tmp_path / "stopped", more=LOGGED, resume=True)
    variances = [[row["train/gradient_variance"] for row in run.metrics()] for run in (whole, resumed)]
    assert variances[0] == variances[1]


def test_the_average_is_that_of_the_gradients_it_was_given():
    """Against the weighted moments written out; and on noise of variance 4, within five standard errors."""
    model = build("gaussian", 2)
    variance = GradientVariance(model, decay=0.9)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    encoder = {id(weight) for weight in model.posterior.parameters()}
    assert [id(weight) for weight in variance.weights] == [id(weight) for weight in learning if id(weight) in encoder]
    assert variance.row() == {}
    generator = torch.Generator().manual_seed(0)
    given = []
    for _ in range(30):
        for weight in learning:
            weight.grad = 3 + 2 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        given.append(torch.cat([weight.grad.flatten() for weight in variance.weights]))
        variance.update()
    weights = 0.9 ** torch.arange(29, -1, -1, dtype=torch.float64)
    weights /= weights.sum()
    stacked = torch.stack(given)
    moments = weights @ stacked.square() - (weights @ stacked).square()
    expected = float(moments.mean()) / (1 - float(weights.square().sum()))
    assert math.isclose(variance.row()["train/gradient_variance"], expected, rel_tol=1e-9)
    effective = 1 / float(weights.square().sum())
    error = 4 * math.sqrt(2 / (effective - 1) / stacked.shape[1])
    assert abs(expected - 4) < 5 * error


def test_every_estimator_has_a_row():
    assert {name for name, _ in gradient_rows().values()} == set(ESTIMATORS)

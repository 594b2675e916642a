"""Room: training. How long, how patient, how large a code: chosen for the data, recorded, and judged at the end."""

import contextlib
import json
import re

import pytest
import torch

from tests.laws import WITH_CODES, binary_data, largest_difference
from tests.test_training import rows_of, weights_of
from tests.training_process import run_training
from vaelab.data import Dataset, Split
from vaelab.errors import InputError
from vaelab.estimators import Pathwise
from vaelab.models import MODELS, autoencoder, bernoulli_vae, deep_gaussian_vae, gaussian_vae, sbn
from vaelab.objectives import ELBO
from vaelab.runs import Run
from vaelab.settings import TrainingSettings, resolve
from vaelab.training import check_settings, fit, for_data, train
from vaelab.training.average import WeightAverage
from vaelab.training.length import at_pace, default_interval
from vaelab.training.optimizers import make_adam
from vaelab.training.schedule import CheckpointClock
from vaelab.training.verdict import judge

SHORT = MODELS["gaussian-vae"].pace


def free(**more):
    return TrainingSettings(batch_size=256, learning_rate=None, **more)


# ---------------------------------------------------------------- the length


# rows, columns -> learning rate, steps, validate_every, patience
CHOSEN = {
    "mnist": (50_000, 784, (5e-3, 3_900, 195, 8)),
    "few rows": (240, 784, (5e-3, 3_900, 20, 50)),
    "a batch and a half": (400, 784, (5e-3, 3_900, 20, 50)),
    "half the columns": (16_000, 392, (5e-3, 7_800, 62, 17)),
    "few columns": (16_000, 16, (5e-3, 19_500, 62, 17)),
    "more columns": (1_670, 1_568, (2.5e-3, 3_900, 20, 50)),
    "many rows": (1_000_000, 784, (5e-3, 78_120, 3_906, 8)),
}


@pytest.mark.parametrize("kind", CHOSEN)
def test_rows_batch_and_columns_decide_the_length(kind):
    rows, columns, expected = CHOSEN[kind]
    chosen = at_pace(free(), SHORT, rows, columns)
    assert (chosen.learning_rate, chosen.steps, chosen.validate_every, chosen.patience) == expected
    assert chosen.epochs is None


@pytest.mark.parametrize("model", WITH_CODES)
def test_mnist_is_trained_for_the_steps_of_its_epochs(model):
    epochs = {"bernoulli-vae": 24, "sbn": 24}.get(model, 20)
    settings = resolve(model).training
    chosen = at_pace(settings, MODELS[model].pace, 50_000, 784)
    epoch = 50_000 // settings.batch_size
    assert (chosen.steps, chosen.validate_every) == (epochs * epoch, epoch)
    assert chosen.learning_rate == MODELS[model].pace.learning_rate


def test_a_batch_of_another_size_shows_as_many_rows():
    for size in (32, 1000):
        chosen = at_pace(TrainingSettings(batch_size=size), SHORT, 50_000, 784)
        assert chosen.steps * size == pytest.approx(3_900 * 256, rel=0.01)


def test_what_the_user_says_of_the_length_wins():
    for said in ({"epochs": 3}, {"steps": 5}):
        settings = free(**said)
        chosen = at_pace(settings, SHORT, 240, 5)
        assert chosen == settings.model_copy(update={"learning_rate": 5e-3})  # and no patience
    chosen = at_pace(free(validate_every=7, patience=3), SHORT, 240, 5)
    assert (chosen.steps, chosen.validate_every, chosen.patience) == (19_500, 7, 3)
    assert at_pace(TrainingSettings(learning_rate=0.3), SHORT, 240, 5_000).learning_rate == 0.3


def test_validations_are_an_epoch_apart_or_a_few_steps():
    assert [default_interval(epoch, 4_000) for epoch in (1, 19, 20, 195)] == [20, 20, 20, 195]
    assert [default_interval(1, steps) for steps in (1, 20, 100, 400)] == [1, 1, 5, 20]


def test_a_rate_that_is_left_open_is_refused_where_nobody_knows_the_data():
    model = gaussian_vae(5, 3, [8])
    with pytest.raises(InputError, match="learning_rate: expected a number; fit and train choose one"):
        make_adam(model, Pathwise(model), free().learning_rate)


# ---------------------------------------------------------------- the size of the code


def test_the_size_of_the_code_follows_the_columns():
    widths = {1: 2, 5: 2, 16: 8, 37: 18, 784: 20, 4096: 20}
    assert {x: int(gaussian_vae(x, hidden_dims=[]).prior().event_shape[0]) for x in widths} == widths
    bits = {1: 2, 16: 16, 100: 100, 784: 200}
    assert {x: int(bernoulli_vae(x, hidden_dims=[]).prior().event_shape[0]) for x in bits} == bits
    assert sbn(16).layers in ((), (16,))
    assert int(sbn(16).prior().event_shape[0]) == 16


@pytest.mark.parametrize("build", [gaussian_vae, bernoulli_vae, autoencoder])
def test_a_size_that_is_given_wins(build):
    assert int(build(5, latent_dim=7, hidden_dims=[]).posterior(torch.zeros(1, 5)).event_shape[0]) == 7


@pytest.mark.parametrize("model", MODELS)
def test_settings_for_the_data_build_what_the_builder_builds(model):
    data = binary_data()
    settings = for_data(resolve(model), data)
    plain = {row.build: row for row in MODELS.values()}[MODELS[model].build].build(data.dim)
    assert str(settings.build_model(data.dim)) == str(plain)
    assert not any(getattr(settings, name) is None for name in MODELS[model].sizes)
    assert for_data(settings, data) == settings
    assert deep_gaussian_vae(5).layers == (100, 50)  # the published network, whatever the columns


def test_what_was_chosen_is_in_the_run_and_a_resume_compares_like_with_like(tmp_path):
    open_ended = {"training": {"steps": None, "validate_every": None}, "latent_dim": None}
    seen = []

    def stop(row):
        seen.append(row)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_training(tmp_path / "run", callback=stop, model="gaussian-vae", more=open_ended)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    training = saved["training"]
    assert (saved["latent_dim"], training["steps"], training["validate_every"]) == (2, 156_000, 20)
    with pytest.raises(ZeroDivisionError):
        run_training(tmp_path / "run", callback=stop, model="gaussian-vae", more=open_ended, resume=True)
    more = {**open_ended, "training": {"steps": 9}}
    with pytest.raises(InputError, match=r"resume: training\.steps is 156000 in .* and 9 in this command"):
        run_training(tmp_path / "run", model="gaussian-vae", more=more, resume=True)


def test_a_small_table_is_fitted_by_default_and_the_training_ends_when_it_overfits():
    data, fitted = with_rows(60, 60), {}
    for name, more in {"20 epochs": {"epochs": 20}, "default": {}}.items():
        model = gaussian_vae(data, hidden_dims=[16], seed=0)
        fitted[name] = fit(model, data, **more)
    assert fitted["default"].best_bound > fitted["20 epochs"].best_bound + 0.1
    assert fitted["default"].stop_reason == "patience"
    assert fitted["default"].steps == fitted["default"].best_step + 1000


# ---------------------------------------------------------------- while beta rises


RISE = {
    "objective": ELBO(warm_up=300),
    "patience": 3,
    "validate_every": 10,
    "steps": 400,
    "warmup": 0,
    "average": False,
}


def test_no_patience_is_used_up_and_nothing_is_chosen_while_beta_rises():
    """Without the rule this training ends before beta has risen: the bound falls while it is small."""
    rows = []
    model = gaussian_vae(5, 3, [8], seed=0)
    fitted = fit(model, binary_data(), learning_rate=0.05, callback=rows.append, **RISE)
    validated = {row["step"]: row["val/bound"] for row in rows if "val/bound" in row}
    assert list(validated)[:30] == list(range(10, 301, 10))  # all are logged
    after = {step: bound for step, bound in validated.items() if step >= 300}
    assert fitted.steps >= 300 + 3 * 10
    assert fitted.best_bound == max(after.values())
    assert fitted.best_step >= 300


def test_no_patience_is_used_up_while_the_learning_rate_rises():
    more = {"objective": ELBO(), "warmup": 200, "patience": 1, "learning_rate": 1e-30}  # nothing ever gets better
    fitted = fit(gaussian_vae(5, 3, [8], seed=0), binary_data(), **{**RISE, **more})
    assert (fitted.stop_reason, fitted.steps) == ("patience", 210)


def test_the_average_begins_anew_when_beta_has_its_value():
    model = gaussian_vae(5, 3, [8], seed=0)
    average = WeightAverage(model)
    for step in range(1, 9):
        with torch.no_grad():
            for weight in model.parameters():
                weight.fill_(float(step))
        average.update(step, start=6)
        if step == 6:
            assert {float(weight.mean()) for weight in average.module.parameters()} == {6.0}
    assert float(next(average.module.parameters()).mean()) == pytest.approx(6 + 8 / 9 * 2)  # step 7 is left out


@pytest.mark.parametrize("stop", [24, 60, 100])
def test_a_resume_before_or_after_the_rise_is_the_run_that_never_stopped(stop, tmp_path):
    more = {"objective": {"warm_up": 60}, "training": {"steps": 120, "patience": 2, "average": True}}
    run_training(tmp_path / "whole", model="gaussian-vae", more=more)

    def interrupt(row):
        if row["step"] == stop:
            raise ZeroDivisionError

    with contextlib.suppress(ZeroDivisionError):
        run_training(tmp_path / "parts", interrupt, model="gaussian-vae", more=more)
    run_training(tmp_path / "parts", model="gaussian-vae", more=more, resume=True)
    assert rows_of(Run(tmp_path / "whole")) == rows_of(Run(tmp_path / "parts"))
    assert largest_difference(weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")) == 0


# ---------------------------------------------------------------- the verdict


def curve(*bounds, every=10):
    return [(every * (number + 1), bound) for number, bound in enumerate(bounds)]


# bounds of validations 10 steps apart, settings, steps, early -> rising, words of the sentence
JUDGED = {
    "rising": (curve(-9, -8, -7, -6), {"schedule": "constant"}, 40, False, True, "by 1.00 nats .*training.steps=80"),
    "rising by little": (curve(-9, -4, -2, -1.993), {"schedule": "constant"}, 40, False, True, "by 0.007 nats"),
    "flat": (curve(-9, -6, -6, -6), {"schedule": "constant"}, 40, False, False, "at step 20: more steps would help l"),
    "less than a thousandth": (curve(-9, -6, -6, -5.999), {"schedule": "constant"}, 40, False, False, "would help l"),
    "falling": (
        curve(-6, -7, -8, -9),
        {"schedule": "constant"},
        40,
        False,
        False,
        "at step 10: more steps would not help",
    ),
    "rising, then the rate falls": (
        curve(-9, -8, -7, -6, -6, -6, -6, -6),
        {},
        80,
        False,
        True,
        "steps 30 to 40, while",
    ),
    "flat, then the rate falls": (curve(-6, -6, -6, -6, -5, -4, -3, -3), {}, 80, False, False, "while the learning"),
    "rising, then falling with the rate": (curve(-9, -8, -7, -6, -7, -8, -9, -9), {}, 80, False, False, "at step 40"),
    "rising, then noise": (curve(-9, -8, -7, -6, -5.999, -6, -6, -6), {}, 80, False, True, "steps 30 to 40"),
    "too few": (curve(-9, -8, -7, -6), {}, 40, False, None, "too few validations"),
    "while beta rose": (
        curve(-1, -2, -9, -8, -7, -6, -5, -5),
        {"rise": 30, "schedule": "constant"},
        80,
        False,
        True,
        "",
    ),
    "out of patience": (curve(-9, -6, -7, -8), {}, 4000, True, False, "at step 20: more steps would not help"),
}


@pytest.mark.parametrize("kind", JUDGED)
def test_a_training_is_judged_where_its_learning_rate_was_high(kind):
    found, more, total, early, rising, words = JUDGED[kind]
    rise = more.get("rise", 0)
    settings = TrainingSettings(warmup=0, **{name: value for name, value in more.items() if name != "rise"})
    verdict = judge(found, settings, total, early, "bound", rise)
    assert verdict.rising is rising
    assert re.search(words, verdict.sentence), verdict.sentence


def test_the_end_of_a_training_says_whether_more_steps_would_help():
    data, rising = binary_data(), []
    for steps, rate in ((100, 1e-3), (800, 1e-2)):
        model = gaussian_vae(5, 3, [8], seed=0)
        more = {"steps": steps, "learning_rate": rate, "warmup": 0, "validate_every": 10}
        rising.append(fit(model, data, **more).verdict.rising)
    assert rising == [True, False]


# ---------------------------------------------------------------- refused before training


def with_rows(train, validation):
    whole = binary_data((240, 60, 60))
    cut = {name: Split(whole.splits[name].x[:count]) for name, count in (("train", train), ("validation", validation))}
    return Dataset("cut", {**cut, "test": whole.splits["test"]}, "binary", 1)


REFUSED = {
    "beta never gets there": (
        "gaussian-vae",
        {"objective": {"warm_up": 50}, "training": {"steps": 50}},
        "objective.warm_up: expected less than 50",
    ),
    "nor in epochs": (
        "gaussian-vae",
        {"objective": {"warm_up": 9}, "training": {"epochs": 2}},
        "warm_up: expected less than 2",
    ),
    "components": (
        "autoencoder",
        {"components": [2, 41]},
        "components: expected at most 40, the rows of the .*; got 41",
    ),
    "memory": ("gaussian-vae", {"estimator": {"samples": 10**9}}, "estimator.samples: 10+ codes of 40 .* need .* GB"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_settings_that_cannot_work_are_refused_before_anything_is_written(kind, tmp_path):
    model, more, sentence = REFUSED[kind]
    settings, data = resolve(model, more), with_rows(40, 10)
    with pytest.raises(InputError, match=sentence):
        check_settings(for_data(settings, data), data)
    with pytest.raises(InputError, match=sentence):
        train(settings, tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_data_without_a_split_are_refused(split):
    whole = binary_data()
    data = Dataset("cut", {name: part for name, part in whole.splits.items() if name != split}, "binary", 1)
    with pytest.raises(InputError, match=f"data: expected rows in the split '{split}'; 'cut' has none"):
        fit(gaussian_vae(5, 2, [4]), data)


# ---------------------------------------------------------------- what may change on resume


def test_the_mixture_can_be_corrected_after_the_training(tmp_path):
    run, fitted = run_training(tmp_path / "run", model="autoencoder", more={"components": 3})
    rows, weights = run.metrics(), run.load_model().state_dict()
    more = {"components": 5, "covariance": "diag"}
    again, resumed = run_training(tmp_path / "run", model="autoencoder", more=more, resume=True)
    assert (resumed.stop_reason, resumed.best_bound) == ("finished", fitted.best_bound)
    assert again.metrics() == rows
    assert largest_difference(again.load_model().state_dict(), weights) == 0
    reopened = Run(tmp_path / "run")
    assert (reopened.settings.components, reopened.settings.covariance) == (5, "diag")
    assert len(reopened.load_model().prior.weights) == 5
    fresh, _ = run_training(tmp_path / "fresh", model="autoencoder", more=more)
    assert largest_difference(weights_of(fresh.path), weights_of(reopened.path)) == 0
    with pytest.raises(InputError, match=r"latent_dim is 3 in .* \(device, components, covariance may differ\)"):
        run_training(tmp_path / "run", model="autoencoder", more={"latent_dim": 2}, resume=True)


# ---------------------------------------------------------------- checkpoints of short epochs


def test_a_checkpoint_that_takes_long_is_written_less_often(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("vaelab.training.schedule.time.monotonic", lambda: now[0])

    def written(cost, steps):
        saving, found = CheckpointClock(), []
        for step in range(1, steps + 1):
            now[0] += 1.0
            if saving.due(validated=step % 2 == 0, ends=step == steps):
                with saving.timed():
                    now[0] += cost
                found.append(step)
        return found

    assert written(0.2, 9) == [2, 4, 6, 8, 9]
    assert written(1.0, 25) == [2, 12, 22, 25]
    assert written(1000.0, 700) == [2, 303, 604, 700]

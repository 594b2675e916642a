"""Reports of few rows, few or odd classes and odd names: what cannot be drawn says why, and costs nothing else."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from vaelab import plots
from vaelab.data import Dataset, Split
from vaelab.data.division import divide
from vaelab.data.splitting import Splitting
from vaelab.evaluation import evaluate
from vaelab.report import ReportedRun, models_table, write_report
from vaelab.report.sections import sections
from vaelab.report.tables import command, protocol
from vaelab.settings import resolve
from vaelab.training import train

TINY = {"hidden_dims": [8], "training": {"steps": 20, "batch_size": 10, "validate_every": 10, "log_every": 10}}
MODELS = {
    "gaussian-vae": {"latent_dim": 2},
    "bernoulli-vae": {"latent_dim": 4},
    "autoencoder": {"latent_dim": 2, "components": [1, 2]},
}


def images(count: int) -> np.ndarray:
    return (np.random.default_rng(0).random((count, 36)) < 0.4).astype(np.uint8)


def digits(count: int) -> np.ndarray:
    return np.arange(count) % 10


# name -> rows, labels, image shape, and what the report says is missing for some model
ODD = {
    "few rows": (100, digits(100), (6, 6), "5-fold cross-validation needs 5 test rows"),
    "one test row": (10, digits(10), (6, 6), "every label is"),
    "all labels differ": (400, np.arange(400), (6, 6), "the labels take 40 values in 40 rows"),
    "one class": (100, np.full(100, 3), (6, 6), "every label is 3"),
    "far labels": (400, np.array([-5, 10**12])[np.arange(400) % 2], (6, 6), "10"),
    "no labels": (100, None, (6, 6), ""),
    "no images": (100, digits(100), None, "cross-validation needs 5 test rows"),
    "one line": (100, None, (1, 36), ""),
}


def data_of(case: str) -> Dataset:
    count, labels, shape, _ = ODD[case]
    split = Split(images(count), None if labels is None else labels.astype(np.int64))
    return Dataset(case, divide(case, split, Splitting())[0], "binary", 1, shape)


@pytest.mark.parametrize("case", ODD)
def test_every_model_is_reported_on_odd_data(case, tmp_path, monkeypatch):
    data = data_of(case)
    members = []
    for model, options in MODELS.items():
        run, _ = train(resolve(model, TINY, options), tmp_path / model, data=data)
        monkeypatch.setattr(run, "load_data", lambda *_, **__: data)
        members.append(ReportedRun(model, run))
    made, left_out = sections(members)
    assert [each for each in left_out if "Error" in each.reason] == []
    said = " ".join([section.finding for section in made] + [each.reason for each in left_out])
    assert ODD[case][3] in said
    if data.image_shape is not None:
        assert {"sample-means", "reconstructions", "plane"} <= {section.name for section in made}
    assert {"latent-map", "codes-and-mixture", "training-curves"} <= {section.name for section in made}


@pytest.mark.parametrize("title", ["$x_1$ and $", "_hidden", "\\frac", "a" * 300, "", "名前 🙂", "a\nb", "<b>&amp;"])
def test_any_title_can_be_drawn(title):
    """No warning, no formula, no hidden label, and a figure that stays within 30 inches."""
    sheet = np.zeros((3, 4, 4))
    history = [{"seconds": 1.0, "val/bound": -2.0}, {"seconds": 2.0, "val/bound": -1.0}]
    figures = [
        plots.image_grids({title: sheet}, 2),
        plots.reconstructions({title: sheet}),
        plots.curves({title: history}, ("val/bound",), "nats"),
        plots.bounds({title: (-1.0, 0.1)}, "nats"),
        plots.latent_map(np.zeros((3, 2)), None, title),
        plots.receptive_fields({title: sheet + 1}, 2),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures:
            plots.png(figure)
    assert max(figure.get_figwidth() for figure in figures) < 30
    assert len(figures[2].axes[0].get_legend().get_texts()) == 1


def test_a_figure_that_fails_costs_no_other(tmp_path, monkeypatch, caplog):
    data = data_of("no labels")
    run, _ = train(resolve("gaussian-vae", TINY, MODELS["gaussian-vae"]), tmp_path / "run", data=data)
    monkeypatch.setattr(run, "load_data", lambda *_, **__: data)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("nothing to divide by")

    monkeypatch.setattr(plots, "latent_map", broken)
    page = write_report(tmp_path / "report", "A report", [ReportedRun("run", run)])
    assert "latent map: ZeroDivisionError: nothing to divide by" in page.read_text()
    assert "could not be drawn" in caplog.text
    assert (Path(tmp_path) / "report" / "figures" / "plane.png").exists()


def test_log_p_has_a_column_and_a_sentence_where_a_run_knows_it(tmp_path, monkeypatch):
    data = data_of("no labels")
    run, _ = train(resolve("gaussian-vae", TINY, MODELS["gaussian-vae"]), tmp_path / "run", data=data)
    monkeypatch.setattr(run, "load_data", lambda *_, **__: data)
    bounds = evaluate(run.load_model(), data, bounds=("elbo", "iwae"), samples=3)
    run.add_evaluations(bounds, run.weights())
    assert "log p(x)" not in models_table([ReportedRun("run", run)])[0]
    truth = evaluate(run.load_model(), data, bounds=("quadrature",))
    run.add_evaluations(truth, run.weights())
    header, rows = models_table([ReportedRun("run", run)])
    value = f"{truth[0].value:.2f}"
    assert rows[0][header.index("log p(x)")].startswith(value)
    found = {section.name: section.finding for section in sections([ReportedRun("run", run)])[0]}
    assert f"log p(x) is {value}" in found["latent-map"]


def test_what_the_page_says_of_data_and_training_is_true_of_these(tmp_path):
    data = data_of("no labels")
    run, _ = train(resolve("gaussian-vae", TINY, MODELS["gaussian-vae"]), tmp_path / "run", data=data)
    member = ReportedRun("run", run)
    said = dict(protocol([member]))
    assert said["binarisation"] == "none"
    assert "averaged weights: yes; compiled steps: no" in said["speed"]
    assert "--data FILE" in command(member), "they were given in Python"


def test_few_validations_are_all_in_the_figure():
    for count, lowest in ((3, 0.0), (9, 1.0)):
        rows = [{"seconds": float(step), "val/bound": float(step)} for step in range(count)]
        axes = plots.curves({"run": rows}, ("val/bound",), "nats").axes[0]
        assert lowest - 1 < axes.get_ylim()[0] <= lowest

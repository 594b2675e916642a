"""Room: training, tightness. The bounds of every inference on the same weights against log p(x), and their report."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.commands import CommandLine
from tests.laws import binary_data, observations_of
from vaelab import plots
from vaelab.errors import InputError
from vaelab.inference import generative_parts, linear_weights
from vaelab.likelihood import exact
from vaelab.models import sbn
from vaelab.report import ReportedRun
from vaelab.report.belief import _means_given_layers, layer_samples, receptive_fields, tightness
from vaelab.report.sections import sections
from vaelab.studies.tightness import measure_tightness

X = 16
WORDS = ("--rows", "20", "--steps", "10", "--samples", "20")


def network(layers, **options):
    torch.manual_seed(0)
    model = sbn(X, layers=layers, **options)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.6)
    return model


@pytest.mark.parametrize("inference", ["amortised", "mean-field"])
@pytest.mark.parametrize("layers", [[5], [3, 2]])
def test_no_bound_exceeds_log_p_and_the_model_stays_as_it_is(layers, inference):
    """Bounds that sample within 5 standard errors of the gap, the others exactly."""
    model, data = network(layers, inference=inference), binary_data(dim=X)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    result = measure_tightness(model, data, rows=40, steps=100, samples=50)
    truth = exact(model, data.test.observations()).values[:40]
    assert result["exact"]["value"] == pytest.approx(float(truth.double().mean()), abs=1e-6)
    by_name = {(row["method"], row["bound"]): row for row in result["rows"]}
    assert len(by_name) == len(result["rows"]) == 10
    for (method, bound), row in by_name.items():
        assert row["value"] + row["gap"] == pytest.approx(result["exact"]["value"], abs=1e-5)
        if row["is_bound"]:
            assert row["gap"] > (0 if bound == "L" else -5 * row["gap_standard_error"]), (method, bound)
    assert by_name["amortised", "iwae-50"]["gap"] < by_name["amortised", "elbo"]["gap"]
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert all(weight.requires_grad for weight in model.parameters())


def test_the_same_seed_gives_the_same_numbers():
    model, data = network([3]), binary_data(dim=X)
    results = [measure_tightness(model, data, rows=10, steps=5, samples=5, seed=seed) for seed in (0, 0, 1)]
    values = [[row["value"] for row in result["rows"]] for result in results]
    assert values[0] == values[1] != values[2]


def test_what_cannot_be_measured_is_refused():
    data = binary_data(dim=X)
    for model, options, sentence in [
        (network([21]), {}, "at most 20 bits to enumerate; the model has 21"),
        (network([3], hidden_dims=[4]), {}, "weights: expected a linear layer of bits"),
        (network([3]), {"rows": 1}, "rows: expected an integer of at least 2"),
        (network([3]), {"steps": 0}, "steps: expected an integer of at least 1"),
        (network([3]), {"samples": 0}, "samples: expected an integer of at least 1"),
    ]:
        with pytest.raises(InputError, match=sentence):
            measure_tightness(model, data, **options)


def test_the_command_the_file_and_the_section(tmp_path, capsys, monkeypatch):
    vaelab = CommandLine(capsys, monkeypatch)
    images = (np.random.default_rng(0).random((200, 4, 4)) < 0.4).astype(np.uint8)
    np.save(tmp_path / "x.npy", images)
    run = tmp_path / "run"
    words = ("layers=[4,2]", "training.steps=30", "training.batch_size=20", "--data", tmp_path / "x.npy", "--out", run)
    assert vaelab("train", "sbn", *words).code == 0
    shown = vaelab("tightness", run, *WORDS)
    assert shown.code == 0
    assert "mean field, product" in shown.out
    assert "(no bound)" in shown.out
    assert (run / "figures" / "tightness.png").stat().st_size > 1000
    result = json.loads((run / "tightness.json").read_text())
    again = json.loads(vaelab("tightness", run, *WORDS, "--json").out)
    clock = lambda row: {key: value for key, value in row.items() if key != "seconds"}  # noqa: E731
    assert list(map(clock, again["rows"])) == list(map(clock, result["rows"]))
    from vaelab.runs import Run

    members = [ReportedRun("run", Run(run))]
    names = [section.name for section in sections(members)[0]]
    assert names[-3:] == ["tightness", "receptive-fields", "layers"]
    for section in (tightness(members), receptive_fields(members), layer_samples(members)):
        assert any(letter.isdigit() for letter in section.finding)
    assert "at most 20 bits" in vaelab.refused("tightness", _wide(tmp_path, vaelab))


def _wide(folder, vaelab):
    words = ("layers=[21]", "training.steps=2", "training.batch_size=20", "--data", folder / "x.npy")
    assert vaelab("train", "sbn", *words, "--out", folder / "wide").code == 0
    return folder / "wide"


def test_the_means_given_layers_are_conditional_expectations():
    """E[x|y_2] averaged over draws of y_1 against the exact sum, within 5 standard errors; E[x|y_1] exactly."""
    model = network([3, 2]).double()
    torch.manual_seed(4)
    with torch.no_grad():
        top, first = _means_given_layers(model, 6, 40_000)
        torch.manual_seed(4)
        drawn = model.prior().sample((6,))
        assert torch.allclose(first, model.likelihood(drawn).mean)
        codes = (torch.arange(8).unsqueeze(-1) >> torch.arange(3) & 1).double()  # (8, 3)
        given = model.prior.conditionals[0](drawn[:, 3:])
        weight = given.log_prob(codes.unsqueeze(1)).exp()  # (8, 6)
        means = model.likelihood.conditional(codes).mean  # (8, X)
        expected = weight.T @ means
        spread = ((weight.T @ means.square()) - expected.square()).clamp_min(0).sqrt() / 200
    assert ((top - expected).abs() / spread.clamp_min(1e-6)).max() < 5


def test_receptive_fields_are_drawn_to_a_symmetric_scale():
    model = network([4])
    J, _ = linear_weights(generative_parts(model)[1][0])
    images = J.detach().T.reshape(4, 4, 4).numpy()
    picture = plots.receptive_fields({"units": images}, 2).axes[0].images[0]
    low, high = picture.get_clim()
    assert low == -high < 0
    np.testing.assert_allclose(picture.get_array()[:4, :4], images[0])
    assert observations_of(2, X).shape == (2, X)

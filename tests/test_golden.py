"""What an earlier vaelab wrote is read, and gives the same numbers: one run and one saved model of every kind."""

from __future__ import annotations

import json

import pytest
import torch

import vaelab
from tests.golden.make import ALL_RUNS, HERE, data_of, numbers
from vaelab.models import MODELS, RestrictedBoltzmannMachine
from vaelab.networks import NETWORKS
from vaelab.runs import Run
from vaelab.storage import FORMAT_VERSION

KINDS = sorted(path.name for path in HERE.iterdir() if (path / "numbers.json").exists())


def same(found: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    """Compare numbers to the precision that sums in another order, of another torch or machine, leave."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(torch.tensor(found[name]), torch.tensor(values), rtol=1e-5, atol=1e-6)


def test_every_model_and_network_has_golden_files() -> None:
    assert set(ALL_RUNS) <= set(KINDS)
    assert {Run(HERE / kind / "run").settings.model for kind in KINDS} == set(MODELS)
    networks = {Run(HERE / kind / "run").settings.model_dump().get("network", "mlp") for kind in KINDS}
    assert networks == set(NETWORKS)
    versions = {json.loads(path.read_text())["format_version"] for path in HERE.glob("*/run/config.json")}
    assert FORMAT_VERSION in versions


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["run", "saved"])
def test_golden_files_are_loaded_with_the_same_numbers(kind: str, form: str) -> None:
    model = vaelab.load(HERE / kind / form)
    same(numbers(model, data_of(kind)), json.loads((HERE / kind / "numbers.json").read_text()))


def test_an_estimated_log_z_is_that_of_the_file() -> None:
    model = vaelab.load(HERE / "rbm-estimated" / "saved")
    assert isinstance(model, RestrictedBoltzmannMachine)
    assert not model.is_exact
    assert bool(model.partition[0] > 0)
    assert torch.equal(model.log_partition()[0], model.partition[0])
    with torch.no_grad():
        kept = float(model.partition[0])
        model.hidden.add_(0.5)
        assert abs(float(model.log_partition()[0]) - kept) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_records_of_a_golden_run_are_read(kind: str) -> None:
    run = Run(HERE / kind / "run")
    assert run.finished
    row = MODELS[run.settings.model]
    assert row.learns == "counts" or run.metrics()[-1]["step"] == 12
    records = run.evaluations()
    assert [record.name for record in records][-1] in (("active-units",) if row.has_codes else ("exact", "ais-1000"))
    assert all(record.weights == run.weights() and record.data == "golden" for record in records)
    assert run.config["data"]["sha256"] == data_of(kind).sha256()


def test_a_golden_estimator_is_loaded_with_the_same_numbers() -> None:
    from vaelab.sklearn import GaussianVAE

    estimator = GaussianVAE.load(HERE / "estimator" / "saved")
    assert (estimator.hidden_dims, estimator.random_state, estimator.n_iter_) == ((4,), 1, 12)
    assert estimator.history_[-1]["step"] == 12
    rows = data_of("gaussian-vae").test.x[:8]
    found = {"codes": estimator.transform(rows).tolist(), "reconstructions": estimator.reconstruct(rows).tolist()}
    same(found, json.loads((HERE / "estimator" / "codes.json").read_text()))


def test_another_weight_is_noticed() -> None:
    """The comparison can fail: one weight that differs changes the numbers."""
    model = vaelab.load(HERE / "gaussian-vae" / "saved")
    with torch.no_grad():
        for weight in model.likelihood.parameters():
            weight.add_(0.01)
    with pytest.raises(AssertionError):
        same(numbers(model, data_of("gaussian-vae")), json.loads((HERE / "gaussian-vae" / "numbers.json").read_text()))

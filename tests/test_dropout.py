"""Dropout: its share and its mean; random in a training step and nowhere else; the same for ranks and when resumed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vaelab
from tests.laws import binary_data, largest_difference
from vaelab.data import Dataset, DataSpec, Split
from vaelab.distributed import Ranks, sharing
from vaelab.errors import InputError
from vaelab.evaluation.active_units import unit_statistics
from vaelab.inference import Enumeration, complete
from vaelab.likelihood import (
    annealed_importance,
    elbo,
    exact,
    importance_weighted,
    prior_average,
    quadrature,
    score_rows,
)
from vaelab.models import gaussian_vae, sbn
from vaelab.networks import NETWORKS, Dropout, GatedMLP, Standardised
from vaelab.runs import Run
from vaelab.runs.config import settings_in
from vaelab.settings import resolve
from vaelab.sklearn import BernoulliVAE, GaussianVAE, MixtureAutoencoder, SigmoidBeliefNetwork
from vaelab.storage.sealed import seal
from vaelab.training import for_data, train


def test_it_leaves_out_its_share_and_keeps_the_mean() -> None:
    """140 000 units: within 5 standard errors, a false alarm below 1e-5."""
    torch.manual_seed(0)
    for rate in (0.3, 0.5):
        found = Dropout(rate)(torch.ones(20_000, 7).double())
        assert abs(float((found == 0).double().mean()) - rate) < 5 * (rate * (1 - rate) / 140_000) ** 0.5
        assert abs(float(found.mean()) - 1) < 5 * (rate / (1 - rate) / 140_000) ** 0.5


def test_the_share_of_an_option_is_that_of_every_layer_after_a_non_linearity() -> None:
    for network in NETWORKS:
        model = gaussian_vae(DataSpec((8, 8)), 2, [6, 5], network=network, dropout=0.25)
        rates = [part.rate for part in model.modules() if isinstance(part, Dropout)]
        assert len(rates) >= 4
        assert set(rates) == {0.25}


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gaussian-vae", {"latent_dim": 2, "hidden_dims": [6], "prior": "vamp"}),
        ("bernoulli-vae", {"latent_dim": 3, "hidden_dims": [6]}),
        ("deep-gaussian-vae", {"layers": [3, 2], "hidden_dims": [[5], [4]]}),
        ("sbn", {"layers": [3, 2], "hidden_dims": [5]}),
        ("autoencoder", {"latent_dim": 2, "hidden_dims": [6]}),
    ],
)
def test_a_training_step_alone_is_random(model: str, options: dict[str, Any]) -> None:
    """Each method that evaluates gives the same numbers twice in training mode too; an estimate does not."""
    settings = resolve(model, options, {"dropout": 0.5})
    net, x = settings.build_model(6), torch.rand(40, 6).round()
    z = torch.rand(40, net.latent_dim)
    if model != "autoencoder":
        assert "dropout" in str(net.built_with)

        def bound() -> torch.Tensor:
            torch.manual_seed(3)
            return net.bound(x, 2)

        assert torch.equal(bound(), bound())
        assert torch.equal(net.sample(5, seed=1), net.sample(5, seed=1))
    assert torch.equal(net.encode(x), net.encode(x))
    assert torch.equal(net.decode(z), net.decode(z))
    assert torch.equal(net.reconstruct(x), net.reconstruct(x))
    assert net.training
    estimator = settings.build_estimator(net)

    def estimated() -> torch.Tensor:
        torch.manual_seed(3)
        return estimator(net, settings.build_objective(), x).bound

    noisy = estimated()
    assert torch.equal(estimated(), noisy)  # of the same seed
    net.eval()
    assert not torch.equal(estimated(), noisy)


# what evaluates a model: a function of a model and rows, and the builders whose models it takes
EVALUATIONS: dict[str, tuple[Callable[[Any, torch.Tensor], Any], tuple[str, ...]]] = {
    "elbo": (lambda model, x: elbo(model, x, 2).values, ("real", "bits")),
    "iwae": (lambda model, x: importance_weighted(model, x, 2).values, ("real", "bits")),
    "prior": (lambda model, x: prior_average(model, x, 2).values, ("real", "bits")),
    "ais": (lambda model, x: annealed_importance(model, x, 1, temperatures=2).values, ("real", "bits")),
    "quadrature": (lambda model, x: quadrature(model, x).values, ("real",)),
    "exact": (lambda model, x: exact(model, x).values, ("bits",)),
    "rows": (lambda model, x: score_rows(model, x, samples=2), ("real", "bits")),
    "enumeration": (lambda model, x: Enumeration(model).posterior_mean(x), ("bits",)),
    "completion": (lambda model, x: complete(model, x, torch.arange(6) < 3, seed=0)[1], ("bits",)),
    "units": (lambda model, x: unit_statistics(model, x).mean, ("real", "bits")),
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_evaluation_leaves_nothing_out_of_a_model_in_training_mode(name: str) -> None:
    evaluation, kinds = EVALUATIONS[name]
    x = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)).round()
    for kind in kinds:
        options: dict[str, Any] = {"hidden_dims": [5], "dropout": 0.5, "seed": 0}
        model = sbn(6, layers=[3, 2], **options) if kind == "bits" else gaussian_vae(6, 1, **options)
        found = evaluation(model, x)
        assert all(part.training for part in model.modules())
        assert torch.equal(found, evaluation(model.eval(), x)), kind


def test_ranks_draw_the_noise_of_their_rows() -> None:
    """Of K codes of B rows, and of rows alone: the rows of two ranks together are those of one process."""
    network = Standardised(torch.nn.Sequential(torch.nn.Identity(), Dropout(0.5)), 4, 4)
    for x in (torch.ones(6, 4), torch.ones(5, 6, 4)):

        def of(rank: int, count: int, x: torch.Tensor = x) -> torch.Tensor:
            torch.manual_seed(0)
            with sharing(Ranks(rank, count)):
                found: torch.Tensor = network(Ranks(rank, count).share(x, -2))
            return found

        assert torch.equal(torch.cat([of(0, 2), of(1, 2)], -2), of(0, 1))
        assert len(of(0, 1).unique(dim=-2).flatten()) > 4  # each row has its own


def test_a_resumed_training_leaves_out_the_same_units(tmp_path: Path) -> None:
    length = {"steps": 12, "batch_size": 20, "validate_every": 6, "log_every": 3}
    settings = resolve("gaussian-vae", {"hidden_dims": [6], "dropout": 0.5, "device": "cpu", "training": length})

    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 6:
            raise StopIteration

    def trained(name: str, resume: bool = False, **options: Any) -> dict[str, torch.Tensor]:
        with contextlib.suppress(StopIteration):
            train(settings, tmp_path / name, data=binary_data(), resume=resume, **options)
        return (
            Run(tmp_path / name).load_model().state_dict() if (tmp_path / name / "model.safetensors").exists() else {}
        )

    whole = trained("whole")
    trained("stopped", callback=stop)
    assert largest_difference(trained("stopped", resume=True), whole) == 0


def test_the_estimators_of_scikit_learn_have_the_options_of_networks() -> None:
    rows = binary_data().train.x[:60]
    options: dict[str, Any] = {"network": "gated-mlp", "normalisation": "layer", "dropout": 0.3, "hidden_dims": (6,)}
    for kind in (GaussianVAE, BernoulliVAE, SigmoidBeliefNetwork, MixtureAutoencoder):
        codes = {"components": 1} if kind is MixtureAutoencoder else {}
        fitted = kind(steps=2, random_state=0, **options, **codes).fit(rows)
        parts = list(fitted.model_.modules())
        assert {part.rate for part in parts if isinstance(part, Dropout)} == {0.3}
        assert any(isinstance(part, GatedMLP) for part in parts)
        assert any(isinstance(part, torch.nn.LayerNorm) for part in parts)
        assert (fitted.transform(rows) == fitted.transform(rows)).all()


def bits_of(rows: int, columns: int, kind: Any = "binary", **more: Any) -> Dataset:
    drawn = np.random.default_rng(0).integers(0, 2, (rows, columns), np.uint8)
    return Dataset("bits", {"train": Split(drawn), "validation": Split(drawn[:9])}, kind, 1, **more)


# data and options -> the share that they choose: 0.2 for tables of bits, 100 columns, fewer than ten rows for each
CHOSEN: dict[str, tuple[Any, dict[str, Any], float]] = {
    "few rows": (lambda: bits_of(999, 100), {}, 0.2),
    "ten for each column": (lambda: bits_of(1_000, 100), {}, 0.0),
    "few columns": (lambda: bits_of(20, 99), {}, 0.0),
    "images": (lambda: bits_of(20, 100, image_shape=(10, 10)), {}, 0.0),
    "grey levels": (lambda: bits_of(20, 100, kind="grey", binarisation="static"), {}, 0.0),
    "no hidden layers": (lambda: bits_of(20, 100), {"hidden_dims": []}, 0.0),
    "given": (lambda: bits_of(20, 100), {"dropout": 0.0}, 0.0),
    "tree": (lambda: bits_of(20, 100), {"likelihood": "tree"}, 0.2),
    "autoregressive": (lambda: bits_of(20, 100), {"likelihood": "autoregressive"}, 0.0),
}


@pytest.mark.parametrize("case", CHOSEN)
def test_few_rows_of_a_table_of_bits_choose_dropout(case: str) -> None:
    build, options, expected = CHOSEN[case]
    data = build()
    chosen = for_data(resolve("gaussian-vae", options), data)
    built = vaelab.gaussian_vae(data, **options)
    assert chosen.dropout == built.built_with.options["dropout"] == expected
    for model in (built, chosen.build_model(data)):
        assert {part.rate for part in model.modules() if isinstance(part, Dropout)} == ({expected} - {0.0})
    assert vaelab.gaussian_vae(data.spec, **options).built_with.options["dropout"] == 0  # which has no rows


def test_a_run_from_before_the_data_chose_dropout_has_none() -> None:
    complete = for_data(resolve("gaussian-vae"), bits_of(20, 100)).model_dump(mode="json")
    assert settings_in({"settings": complete}, Path("run")).dropout == 0.2
    del complete["dropout"]
    assert settings_in({"settings": complete}, Path("run")).dropout == 0.0


def test_a_run_goes_on_with_what_an_earlier_version_chose(tmp_path: Path) -> None:
    data, out = bits_of(20, 100), tmp_path / "run"
    options = {"hidden_dims": [3], "device": "cpu", "training": {"steps": 2, "batch_size": 10}}
    train(resolve("gaussian-vae", options, {"dropout": 0.0, "likelihood": "bernoulli"}), out, data=data)
    _as_from_before_dropout(out / "config.json")
    assert Run(out).settings.dropout == 0.0
    run, result = train(resolve("gaussian-vae", options), out, data=data, resume=True)
    assert result.steps == 2
    assert run.settings.dropout == 0.0
    with pytest.raises(InputError, match=r"resume: dropout is 0\.0 in .* and 0\.2 in this command"):
        train(resolve("gaussian-vae", options, {"dropout": 0.2}), out, data=data, resume=True)


def test_the_word_for_no_value_is_in_the_refusal_of_another() -> None:
    with pytest.raises(
        InputError, match=r"dropout: .*; got 'none' \(None is the word for a setting that is left out\)"
    ):
        resolve("gaussian-vae", {"dropout": "none"})


def _as_from_before_dropout(config: Path) -> None:
    content = json.loads(config.read_text())
    del content["settings"]["dropout"]
    config.write_text(seal(content))

"""Make the golden files: `python -m tests.golden.make` writes what is missing in this folder.

What stands here was written once and is never written again: a later vaelab must read it, and compute the same numbers.
A new kind of model, or a new format version, adds directories.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vaelab
from vaelab.data import Column, Split
from vaelab.models import MODELS, DensityModel, LatentVariableModel, Model
from vaelab.settings import resolve
from vaelab.training import train

HERE = Path(__file__).parent
IMAGE = (8, 8)  # the smallest image that a convolutional network takes
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "gaussian-vae": ("gaussian-vae", {"latent_dim": 2, "hidden_dims": [4]}),
    "bernoulli-vae": ("bernoulli-vae", {"latent_dim": 3, "hidden_dims": [4], "prior": "learned"}),
    "sbn": ("sbn", {"layers": [3, 2]}),
    "sbn-wake-sleep": ("sbn", {"layers": [3], "inference": "wake-sleep"}),
    "sbn-mean-field": ("sbn", {"layers": [3], "inference": "mean-field"}),
    "deep-gaussian-vae": ("deep-gaussian-vae", {"layers": [2, 2], "hidden_dims": [[4], [3]]}),
    "logistic-pca": ("logistic-pca", {"latent_dim": 2, "encoder_dims": [4]}),
    "autoencoder": ("autoencoder", {"latent_dim": 2, "hidden_dims": [4], "components": 2}),
    "conditional": ("gaussian-vae", {"latent_dim": 2, "hidden_dims": [4]}),
    "conv": ("gaussian-vae", {"latent_dim": 2, "network": "conv", "hidden_dims": [4]}),
    "mixed": ("gaussian-vae", {"latent_dim": 2, "hidden_dims": [4]}),
    "counts": ("bernoulli-vae", {"latent_dim": 2, "hidden_dims": [4]}),
}
DENSITY_RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "independent": ("independent", {}),
    "independent-mixed": ("independent", {}),
    "chow-liu": ("chow-liu", {}),
    "bernoulli-mixture": ("bernoulli-mixture", {"components": 2, "smoothing": 1.0}),
    "tree-mixture": ("tree-mixture", {"components": 2, "smoothing": 1.0}),
    "hidden-chow-liu": ("hidden-chow-liu", {"states": 2, "smoothing": 1.0}),
    "made": ("made", {"hidden": 4, "orderings": 2}),
    "rbm": ("rbm", {"hidden": 3}),
    "rbm-estimated": ("rbm", {"hidden": 21}),  # log Z is estimated, and kept with the weights
}
PART_RUNS: dict[str, tuple[str, dict[str, Any]]] = {  # not of the tests of the explorer, which takes all RUNS
    "tree": ("gaussian-vae", {"latent_dim": 2, "hidden_dims": [4], "likelihood": "tree"}),
    "gated-mlp": ("gaussian-vae", {"latent_dim": 2, "network": "gated-mlp", "hidden_dims": [4], "dropout": 0.1}),
    "resnet": ("gaussian-vae", {"latent_dim": 2, "network": "resnet", "hidden_dims": [4], "normalisation": "layer"}),
}
ALL_RUNS = RUNS | DENSITY_RUNS | PART_RUNS
WIDTHS = {"rbm-estimated": 22}


def data_of(name: str) -> vaelab.Dataset:
    """Return the small data set of a golden run: two patterns, a tenth of each row flipped; images for convolutions."""
    rng = np.random.default_rng(0)
    if name == "counts":
        return vaelab.Dataset.from_arrays(rng.poisson(2.0, (120, 4)), values="count", name="golden")
    if name in ("mixed", "independent-mixed"):
        return mixed_data(rng)
    shape = IMAGE if name in ("conv", "resnet") else (WIDTHS.get(name, 6),)
    patterns = rng.integers(0, 2, (2, *shape))
    rows = patterns[rng.integers(0, 2, 120)] ^ (rng.random((120, *shape)) < 0.1)
    columns = list("abcdef") if shape == (6,) else None
    data = vaelab.Dataset.from_arrays(rows.astype(np.uint8), rng.integers(0, 2, 120), columns=columns, name="golden")
    return data.with_condition("labels") if name == "conditional" else data


def mixed_data(rng: np.random.Generator) -> vaelab.Dataset:
    """Return a table with a column of every kind but counts, a twentieth of it missing."""
    columns = (
        Column("height", "real"),
        Column("answer", "binary", ("no", "yes"), "str"),
        Column("colour", "categorical", ("blue", "green", "red"), "str"),
        Column("share", "unit"),
    )
    level = np.eye(3)[rng.integers(0, 3, 120)]
    numbers = [rng.normal(170, 8, (120, 1)), rng.integers(0, 2, (120, 1)), level, rng.random((120, 1))]
    rows = np.concatenate(numbers, 1).astype(np.float32)
    for first, last in ((0, 1), (1, 2), (2, 5), (5, 6)):
        rows[rng.random(120) < 0.05, first:last] = np.nan
    splits = {"train": Split(rows[:80]), "validation": Split(rows[80:100]), "test": Split(rows[100:])}
    return vaelab.Dataset("golden", splits, "mixed", 1, variables=columns)


def numbers(model: Model, data: vaelab.Dataset) -> dict[str, Any]:
    """Return what a model computes for eight observations, in float64.

    These are codes, reconstructions and log p(x, z); of a density model log p(x), and that of half of the columns.
    """
    x: Tensor = data.test.batch(8).double()
    model = model.double()
    if isinstance(model, DensityModel):
        found = {"log_prob": model.log_prob(x).detach()}
        if model.has_marginals:
            half = x.clone()
            half[:, ::2] = torch.nan
            found["log_prob_of_half"] = model.allow_missing().log_prob(half).detach()
        return {name: value.tolist() for name, value in found.items()}
    assert isinstance(model, LatentVariableModel)
    found = {"codes": model.encode(x), "reconstructions": model.reconstruct(x)}
    codes = (model.encode(x) > 0.5).double() if model.code == "bits" else model.encode(x)
    found["log_joint"] = model.log_joint(x, codes.unsqueeze(0))[0]
    if not model.given:
        found["decoded"] = model.decode(codes)
    return {name: value.tolist() for name, value in found.items()}


def make(name: str) -> None:
    """Train one model and write its run, the model saved by itself, and its numbers."""
    model, options = ALL_RUNS[name]
    folder = HERE / name
    training = {"steps": 12, "batch_size": 20, "log_every": 6, "validate_every": 6, "warmup": 2}
    of_steps = {} if MODELS[model].learns == "counts" else {"training": training}
    settings = resolve(model, options, {**of_steps, "seed": 1, "device": "cpu"})
    data = data_of(name)
    run, _ = train(settings, folder / "run", data=data)
    loaded = run.load()
    run.add_evaluations(vaelab.evaluate(loaded.model, data, samples=3), loaded.weights)
    loaded.model.save(folder / "saved")
    (folder / "numbers.json").write_text(json.dumps(numbers(loaded.model, data), indent=1) + "\n")
    for path in (folder / "run").rglob("*"):
        if path.suffix == ".pt" or path.name.endswith("lock"):
            path.unlink()
    if (folder / "run" / "checkpoints").exists():
        (folder / "run" / "checkpoints").rmdir()


def make_estimator() -> None:
    """Fit an estimator of scikit-learn, and write its directory, with codes and reconstructions of eight rows."""
    from vaelab.sklearn import GaussianVAE

    rows = data_of("gaussian-vae").test.x[:8]
    estimator = GaussianVAE(latent_dim=2, hidden_dims=(4,), steps=12, random_state=1).fit(rows)
    estimator.save(HERE / "estimator" / "saved")
    found = {"codes": estimator.transform(rows).tolist(), "reconstructions": estimator.reconstruct(rows).tolist()}
    (HERE / "estimator" / "codes.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in ALL_RUNS:
        if not (HERE / name).exists():
            make(name)
            print(f"wrote {HERE / name}")
    if not (HERE / "estimator").exists():
        make_estimator()

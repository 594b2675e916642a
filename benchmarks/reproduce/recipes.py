"""The published rows: their figures and sources, and the settings that are to reach them here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vaelab.data import Binarisation

__all__ = ["RECIPES", "Recipe"]

QUOTED, UNCHECKED = "as quoted by others", "figure not checked in the paper"
BURDA = f"[Burda et al. (2016)](https://arxiv.org/abs/1509.00519), {QUOTED}"
TOMCZAK = "[Tomczak & Welling (2018)](https://arxiv.org/abs/1705.07120)"
CHEN = f"[Chen et al. (2017)](https://arxiv.org/abs/1611.02731), {QUOTED}"
DISARM = f"[Dong et al. (2020)](https://arxiv.org/abs/2006.10680), {UNCHECKED}"
VIMCO = "table 1 of [Maddison et al. (2017)](https://arxiv.org/abs/1611.00712)"


@dataclass(frozen=True)
class Recipe:
    """One row.

    Attributes:
        title: what is trained.
        published: its negative log-likelihood in nats, or None where the same network was not published.
        source: of the figure.
        model: the name of the model.
        settings: of the training, beside the defaults of the model.
        samples: K of the bound that is reported.
        published_bound: the bound of the figure, where it is another one.
        training_rows: how many of the first 60 000 images train; the others choose the weights.
        binarisation: the protocol of the data.
        start: the row whose weights the training starts from, instead of random ones.
    """

    title: str
    published: float | None
    source: str
    model: str
    settings: dict[str, Any]
    samples: int = 5000
    published_bound: str = "iwae-5000"
    training_rows: int = 50_000
    binarisation: Binarisation = "dynamic"
    start: str | None = None
    others: str = field(default="", kw_only=True)  # figures of other implementations of the same row


def _training(steps: int, batch_size: int, learning_rate: float) -> dict[str, Any]:
    return {
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "warmup": 1000,
        "log_every": 500,
        "validate_every": max(1, steps // 100),
        "compile": True,
    }


def _iwae(samples: int) -> dict[str, Any]:
    return {"objective": {"name": "iwae"}, "estimator": {"name": "pathwise", "samples": samples}}


def _warm(steps: int) -> dict[str, Any]:
    return {"objective": {"name": "elbo", "warm_up": steps}}


ONE_LAYER = {"latent_dim": 50, "hidden_dims": [200, 200], "activation": "tanh"}
TWO_LAYERS = {"layers": [100, 50], "hidden_dims": [[200, 200], [100, 100]], "activation": "tanh"}
GATED = {"latent_dim": 40, "hidden_dims": [300, 300], "network": "gated-mlp"}
RESNET = {"latent_dim": 40, "hidden_dims": [450], "network": "resnet"}
BITS = {"latent_dim": 200, "hidden_dims": [200, 200], "prior": "learned"}
_OF_BURDA = 59_600  # rows: the split of the authors' code

RECIPES: dict[str, Recipe] = {
    "vae": Recipe(
        "VAE, 200-200-50 tanh",
        86.76,
        BURDA,
        "gaussian-vae",
        ONE_LAYER | _warm(20_000) | {"training": _training(1_000_000, 250, 1e-3)},
        training_rows=_OF_BURDA,
        others="86.31",
    ),
    "vae-5": Recipe(
        "VAE with 5 codes an image, 200-200-50 tanh",
        86.47,
        f"[Burda et al. (2016)](https://arxiv.org/abs/1509.00519), {UNCHECKED}",
        "gaussian-vae",
        ONE_LAYER
        | _warm(20_000)
        | {"estimator": {"name": "pathwise", "samples": 5}, "training": _training(350_000, 400, 2e-3)},
        training_rows=_OF_BURDA,
    ),
    "iwae-5": Recipe(
        "IWAE of 5 codes, 200-200-50 tanh",
        85.54,
        BURDA,
        "gaussian-vae",
        ONE_LAYER | _iwae(5) | {"training": _training(400_000, 400, 2e-3)},
        training_rows=_OF_BURDA,
        others="85.18",
    ),
    "iwae-50": Recipe(
        "IWAE of 50 codes, 200-200-50 tanh",
        84.78,
        BURDA,
        "gaussian-vae",
        ONE_LAYER | _iwae(50) | {"training": _training(150_000, 400, 2e-3)},
        training_rows=_OF_BURDA,
        start="iwae-5",
        others="84.37 (64 codes)",
    ),
    "vae-two-layers": Recipe(
        "VAE of two layers, 200-200-100-100-100-50 tanh",
        85.33,
        f"[Burda et al. (2016)](https://arxiv.org/abs/1509.00519), {UNCHECKED}",
        "deep-gaussian-vae",
        TWO_LAYERS | _warm(20_000) | {"training": _training(250_000, 400, 1e-3)},
        training_rows=_OF_BURDA,
    ),
    "iwae-50-two-layers": Recipe(
        "IWAE of 50 codes, two layers, 200-200-100-100-100-50 tanh",
        82.90,
        BURDA,
        "deep-gaussian-vae",
        TWO_LAYERS | _iwae(50) | {"training": _training(200_000, 250, 1e-3)},
        training_rows=_OF_BURDA,
        others="83.29",
    ),
    "gated-normal": Recipe(
        "Gated MLP 300-300-40, prior N(0, I)",
        84.45,
        "repeated by [Korenic](https://github.com/andrejkorenic/reconstruction-likelihood-clustering)",
        "gaussian-vae",
        GATED | _warm(10_000) | {"training": _training(200_000, 500, 1e-3)},
    ),
    "gated-mixture": Recipe(
        "Gated MLP 300-300-40, prior of 500 normal components",
        None,
        "not published on dynamic MNIST",
        "gaussian-vae",
        GATED
        | _warm(10_000)
        | {"prior": "mixture", "prior_components": 500, "training": _training(120_000, 250, 1e-3)},
    ),
    "gated-vamp": Recipe(
        "Gated MLP 300-300-40, VampPrior of 500",
        82.29,
        f"{TOMCZAK}, repeated by Korenic",
        "gaussian-vae",
        GATED | _warm(10_000) | {"prior": "vamp", "prior_components": 500, "training": _training(120_000, 250, 1e-3)},
    ),
    "gated-flow": Recipe(
        "Gated MLP 300-300-40, neural spline flow as prior",
        None,
        "not published on dynamic MNIST",
        "gaussian-vae",
        GATED | _warm(10_000) | {"prior": "flow", "training": _training(100_000, 250, 1e-3)},
    ),
    "resnet-flow": Recipe(
        "ResNet, 40 numbers, neural spline flow as prior",
        78.49,
        f"{CHEN}; another ResNet",
        "gaussian-vae",
        RESNET | {"prior": "flow", "training": _training(50_000, 250, 1e-3)},
        samples=1000,
        published_bound="importance sampling",
    ),
    "resnet-vamp": Recipe(
        "ResNet, 40 numbers, VampPrior of 500",
        None,
        "not published",
        "gaussian-vae",
        RESNET | {"prior": "vamp", "prior_components": 500, "training": _training(50_000, 250, 1e-3)},
        samples=1000,
    ),
    "bits-linear": Recipe(
        "200 bits, linear, DisARM",
        109.1,
        DISARM,
        "bernoulli-vae",
        BITS
        | {"hidden_dims": [], "estimator": {"name": "disarm", "samples": 8}, "objective": {"name": "elbo"}}
        | {"training": _training(130_000, 250, 1e-3)},
        samples=100,
        published_bound="iwae-100",
    ),
    "bits": Recipe(
        "200 bits, 200-200 non-linear, DisARM",
        97.5,
        DISARM,
        "bernoulli-vae",
        BITS
        | {"estimator": {"name": "disarm", "samples": 8}, "objective": {"name": "elbo"}}
        | {"training": _training(130_000, 250, 1e-3)},
        samples=100,
        published_bound="iwae-100",
    ),
    "bits-iwae": Recipe(
        "200 bits, 200-200 non-linear, DisARM of the IWAE of 8 codes",
        None,
        "not published on dynamic MNIST",
        "bernoulli-vae",
        BITS
        | {"estimator": {"name": "disarm", "samples": 8}, "objective": {"name": "iwae"}}
        | {"training": _training(130_000, 250, 1e-3)},
        samples=100,
    ),
    "bits-vimco": Recipe(
        "200 bits, 200-200 non-linear, VIMCO of 5 codes, static",
        91.4,
        VIMCO,
        "bernoulli-vae",
        BITS
        | {"estimator": {"name": "score-function", "baseline": "leave-one-out", "samples": 5}}
        | {"objective": {"name": "iwae"}, "training": _training(130_000, 250, 1e-3)},
        published_bound="iwae-50000",
        binarisation="static",
    ),
}

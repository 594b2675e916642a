"""Models: each is a prior, a likelihood and a posterior; this file is their table.

A row says how a model is built; its keyword arguments are its settings. Adding a model: one function
(and, if need be, one module), one row, one row of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from vaelab.conditionals import (
    BernoulliLikelihood,
    BernoulliPosterior,
    BernoulliPrior,
    DeltaPosterior,
    GaussianPosterior,
    GaussianPrior,
)
from vaelab.errors import InputError, require_choice, require_int
from vaelab.models.autoencoder import Covariance, MixturePrior
from vaelab.models.completion import complete
from vaelab.models.enumeration import Enumeration
from vaelab.models.latent import LatentVariableModel, SampleKind
from vaelab.models.layered import bit_code_size, deep_gaussian_vae, sbn
from vaelab.models.mean_field import MeanField, MeanFieldPosterior, generative_parts, linear_weights
from vaelab.networks import MLP, Activation
from vaelab.seeds import seeded

__all__ = [
    "MODELS",
    "Enumeration",
    "LatentVariableModel",
    "MeanField",
    "MeanFieldPosterior",
    "MixturePrior",
    "ModelRow",
    "Pace",
    "SampleKind",
    "autoencoder",
    "bernoulli_vae",
    "complete",
    "deep_gaussian_vae",
    "gaussian_vae",
    "generative_parts",
    "linear_weights",
    "sbn",
]


def real_code_size(data_dim: int) -> int:
    """Return how many numbers a code has by default: half the columns, from 2 to 20."""
    return min(20, max(2, require_int("data_dim", data_dim, 1) // 2))


def _encoder(data_dim: int, latent_dim: int, hidden: Sequence[int], activation: Activation, mean: Tensor | None) -> MLP:
    require_int("data_dim", data_dim, 1)
    require_int("latent_dim", latent_dim, 1)
    if mean is not None and tuple(mean.shape) != (data_dim,):
        raise InputError(f"data_mean: expected shape ({data_dim},); got {tuple(mean.shape)}")
    return MLP(data_dim, hidden, activation, shift=0.0 if mean is None else mean)


def gaussian_vae(
    data_dim: int,
    latent_dim: int | None = None,
    hidden_dims: Sequence[int] = (400,),
    activation: Activation = "relu",
    data_mean: Tensor | None = None,
    seed: int | None = None,
) -> LatentVariableModel:
    """Variational auto-encoder with a Gaussian code: prior N(0, I), diagonal Gaussian posterior.

    Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114. The decoder mirrors the encoder's
    hidden layers. ``latent_dim`` is half the number of columns if None, from 2 to 20. ``data_mean`` (X,) centres the
    encoder's input and starts the output bias. The weights are drawn from ``seed``, or from torch's global generator if
    it is None.
    """
    latent_dim = real_code_size(data_dim) if latent_dim is None else latent_dim
    with seeded(seed, "weights"):
        trunk = _encoder(data_dim, latent_dim, hidden_dims, activation, data_mean)
        mirror = MLP(latent_dim, hidden_dims[::-1], activation)
        likelihood = BernoulliLikelihood(mirror, data_dim, data_mean)
        return LatentVariableModel(GaussianPrior(latent_dim), likelihood, GaussianPosterior(trunk, latent_dim))


def bernoulli_vae(
    data_dim: int,
    latent_dim: int | None = None,
    hidden_dims: Sequence[int] = (200, 200),
    activation: Activation = "leaky-relu",
    prior: Literal["uniform", "learned"] = "uniform",
    data_mean: Tensor | None = None,
    seed: int | None = None,
) -> LatentVariableModel:
    """Variational auto-encoder with a code of bits, which the decoder reads as -1/+1.

    ``latent_dim`` is the number of columns if None, from 2 to 200. ``prior`` is ``uniform`` (every bit 1/2) or
    ``learned`` logits. Sources of the study's estimator and of
    the usual architecture: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030.
    """
    require_choice("prior", prior, ("uniform", "learned"))
    latent_dim = bit_code_size(data_dim) if latent_dim is None else latent_dim
    with seeded(seed, "weights"):
        trunk = _encoder(data_dim, latent_dim, hidden_dims, activation, data_mean)
        mirror = MLP(latent_dim, hidden_dims[::-1], activation, shift=0.5, scale=2.0)
        return LatentVariableModel(
            BernoulliPrior(latent_dim, learned=prior == "learned"),
            BernoulliLikelihood(mirror, data_dim, data_mean),
            BernoulliPosterior(trunk, latent_dim),
        )


def autoencoder(
    data_dim: int,
    latent_dim: int = 2,
    hidden_dims: Sequence[int] = (400,),
    activation: Activation = "relu",
    components: int | Sequence[int] = (10, 20, 30, 40),
    covariance: Covariance = "full",
    data_mean: Tensor | None = None,
    seed: int | None = None,
) -> LatentVariableModel:
    """Deterministic auto-encoder: the same nets without noise and without KL, then a mixture of its codes.

    Source of the recipe: Ghosh et al. (2020), https://arxiv.org/abs/1903.12436. It has no likelihood of x.
    """
    with seeded(seed, "weights"):
        trunk = _encoder(data_dim, latent_dim, hidden_dims, activation, data_mean)
        mirror = MLP(latent_dim, hidden_dims[::-1], activation)
        return LatentVariableModel(
            MixturePrior(latent_dim, components, covariance),
            BernoulliLikelihood(mirror, data_dim, data_mean),
            DeltaPosterior(trunk, latent_dim),
        )


@dataclass(frozen=True)
class Pace:
    """How long and how fast a model is trained by default, for MNIST; ``training.length`` fits it to other data.

    ``epochs``, but at least ``rows_shown`` rows, batch by batch, at ``learning_rate``. Of data with fewer columns,
    whose steps are cheaper, up to ``most`` times as many rows are shown.
    """

    epochs: int
    rows_shown: int
    learning_rate: float
    most: float = 1.0


# Chosen on validation splits: with the average of the weights a large rate costs nothing early in a training. The rows
# shown are those of 20 and 24 epochs of MNIST; for small tables see benchmarks/small_data.py.
_SHORT = {"batch_size": 256, "learning_rate": None, "warmup": 50}
_SHORT_PACE = Pace(epochs=20, rows_shown=3_900 * 256, learning_rate=5e-3, most=5.0)
_LONG = {"batch_size": 100, "learning_rate": None}  # score functions want more, noisier steps
_LONG_PACE = Pace(epochs=24, rows_shown=12_000 * 100, learning_rate=4e-3)


@dataclass(frozen=True)
class ModelRow:
    """A row of the table: how to build the model, and its default settings.

    ``pace`` is how long, and how fast, it is trained by default. ``sizes`` holds the options whose default depends on
    the number of columns, each with its rule. ``presets`` holds for an option and a value of it the settings that come
    with them: the estimator and the objective that it names are not to be replaced. ``after_training`` names the
    options that matter only once the training has ended.
    """

    build: Callable[..., LatentVariableModel]
    defaults: dict[str, Any] = field(default_factory=dict)
    pace: Pace = _SHORT_PACE
    sizes: dict[str, Callable[[int], object]] = field(default_factory=dict)
    presets: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    after_training: tuple[str, ...] = ()


MODELS: dict[str, ModelRow] = {
    "gaussian-vae": ModelRow(
        gaussian_vae,
        {"estimator": {"name": "pathwise"}, "training": _SHORT},
        sizes={"latent_dim": real_code_size},
    ),
    "bernoulli-vae": ModelRow(
        bernoulli_vae,
        {
            # The best unbiased estimator of docs/choosing.md, which is computed from benchmarks/estimators_study.py.
            "estimator": {"name": "rebar", "samples": 2},
            "objective": {"name": "elbo", "kl": "sampled"},
            "training": _LONG,
        },
        pace=_LONG_PACE,
        sizes={"latent_dim": bit_code_size},
    ),
    "sbn": ModelRow(
        sbn,
        {"estimator": {"name": "score-function", "baseline": "leave-one-out", "samples": 4}, "training": _LONG},
        pace=_LONG_PACE,
        sizes={"layers": lambda data_dim: (bit_code_size(data_dim),)},
        presets={
            "inference": {
                "wake-sleep": {"estimator": {"name": "wake-sleep", "samples": 4}},
                "reweighted-wake-sleep": {
                    "estimator": {"name": "reweighted-wake-sleep", "samples": 4},
                    "objective": {"name": "iwae"},
                },
                "mean-field": {"estimator": {"name": "mean-field"}},
            }
        },
    ),
    "deep-gaussian-vae": ModelRow(deep_gaussian_vae, {"estimator": {"name": "pathwise"}, "training": _SHORT}),
    "autoencoder": ModelRow(
        autoencoder,
        {"estimator": {"name": "pathwise"}, "objective": {"name": "reconstruction"}, "training": _SHORT},
        after_training=("components", "covariance"),
    ),
}

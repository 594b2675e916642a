"""The table of models: how each is built, and its default settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vaelab.data import Dataset
from vaelab.models.autoencoder import autoencoder
from vaelab.models.bernoulli_mixture import bernoulli_mixture
from vaelab.models.build import bit_code_size, real_code_size
from vaelab.models.chow_liu import chow_liu
from vaelab.models.density import Differentiable
from vaelab.models.hidden_chow_liu import hidden_chow_liu
from vaelab.models.independent import independent
from vaelab.models.logistic_pca import logistic_pca
from vaelab.models.made import made
from vaelab.models.model import Model
from vaelab.models.rbm import largest_rate, rbm
from vaelab.models.sbn import sbn
from vaelab.models.tree_mixture import tree_mixture
from vaelab.models.vae import bernoulli_vae, deep_gaussian_vae, gaussian_vae

__all__ = ["MODELS", "Learns", "ModelRow", "Pace", "row_of"]


@dataclass(frozen=True)
class Pace:
    """How long and how fast a model is trained by default, for MNIST; ``training.length`` fits it to other data.

    ``epochs``, but at least ``rows_shown`` rows, batch by batch, at ``learning_rate``. For data with fewer columns,
    whose steps are cheaper, up to ``most`` times as many rows are shown. ``largest_rate`` is a limit of the learning
    rate that depends on the data and on the options of the model.
    """

    epochs: int
    rows_shown: int
    learning_rate: float
    most: float = 1.0
    largest_rate: Callable[[Dataset, Mapping[str, Any]], float] | None = None


# Chosen on validation splits: with averaged weights, a large rate has no disadvantage early in a training. The rows
# are those of 20 and 24 epochs of MNIST; for small tables see benchmarks/small_data.py.
_SHORT = {"batch_size": 256, "learning_rate": None, "warmup": 50}
_SHORT_PACE = Pace(epochs=20, rows_shown=3_900 * 256, learning_rate=5e-3, most=5.0)
_LONG = {"batch_size": 100, "learning_rate": None}  # score functions need more, noisier steps
_MADE_PACE = Pace(epochs=20, rows_shown=4_000 * 100, learning_rate=2e-3)
_LONG_PACE = Pace(epochs=24, rows_shown=12_000 * 100, learning_rate=4e-3)
# Each validation of a restricted Boltzmann machine estimates log Z, which takes as long as 200 steps.
_CHAINS = {"batch_size": 128, "learning_rate": None, "warmup": 50, "validate_every": 250}
_CHAINS_PACE = Pace(epochs=20, rows_shown=1_500 * 128, learning_rate=5e-3, most=3.0, largest_rate=largest_rate)


Learns = Literal["a bound", "the likelihood", "counts"]
_ABSENT: dict[Learns, tuple[str, ...]] = {
    "a bound": (),
    "the likelihood": ("objective", "estimator"),
    "counts": ("objective", "estimator", "training"),
}


@dataclass(frozen=True)
class ModelRow:
    """A row of the table: how to build the model, and its default settings.

    ``pace`` is how long, and how fast, it is trained by default. ``sizes`` holds the options whose default depends on
    the number of columns, each with its rule. ``presets`` holds for an option and a value of it the settings that come
    with them: the user cannot replace the estimator and the objective that it names. ``after_training`` names the
    options that have no effect on the training. ``learns`` says what a training maximises: ``a bound`` of a model with
    codes; ``the likelihood`` of a density model, by the same steps; or the likelihood by ``counts``, in passes over all
    rows.
    """

    build: Callable[..., Model]
    defaults: dict[str, Any] = field(default_factory=dict)
    pace: Pace = _SHORT_PACE
    sizes: dict[str, Callable[[int], object]] = field(default_factory=dict)
    presets: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    after_training: tuple[str, ...] = ()
    learns: Learns = "a bound"

    @property
    def has_codes(self) -> bool:
        """Whether it is a latent-variable model, with an objective and an estimator of its gradient."""
        return self.learns == "a bound"

    @property
    def absent(self) -> tuple[str, ...]:
        """The settings of every model that this one does not have."""
        return _ABSENT[self.learns]


def row_of(model: Differentiable) -> ModelRow:
    """Return the row of a density model that learns by steps; a class of the user's own has that of no model."""
    row = MODELS.get(model.trained_as)
    return row or ModelRow(type(model), {"training": _SHORT}, learns="the likelihood")


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
        sizes={"layers": lambda columns: (bit_code_size(columns),)},
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
    "logistic-pca": ModelRow(
        logistic_pca,
        {"estimator": {"name": "pathwise"}, "training": _SHORT},
        sizes={"latent_dim": real_code_size},
    ),
    "autoencoder": ModelRow(
        autoencoder,
        {"estimator": {"name": "pathwise"}, "objective": {"name": "reconstruction"}, "training": _SHORT},
        after_training=("components", "covariance"),
    ),
    "independent": ModelRow(independent, learns="counts"),
    "made": ModelRow(made, {"training": _LONG | {"warmup": 50}}, pace=_MADE_PACE, learns="the likelihood"),
    "chow-liu": ModelRow(chow_liu, learns="counts"),
    "rbm": ModelRow(rbm, {"training": _CHAINS}, pace=_CHAINS_PACE, learns="the likelihood"),
    "bernoulli-mixture": ModelRow(bernoulli_mixture, learns="counts"),
    "tree-mixture": ModelRow(tree_mixture, learns="counts"),
    "hidden-chow-liu": ModelRow(hidden_chow_liu, learns="counts"),
}

"""The estimators. Their parameters are the options of the builders of models, and settings of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.sklearn.coded import Estimator

__all__ = ["BernoulliVAE", "GaussianVAE", "SigmoidBeliefNetwork"]


class GaussianVAE(Estimator):
    """Variational auto-encoder with a code of real numbers: :func:`vaelab.gaussian_vae` as a scikit-learn estimator.

    Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114.

    Args:
        latent_dim: size of the code D; None is half the number of features, from 2 to 20.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: non-linearity of the hidden layers.
        encode_mask: whether the encoder also reads which values are observed.
        prior: of the codes: ``normal``, ``mixture``, ``vamp`` or ``flow``, see :func:`vaelab.gaussian_vae`.
        likelihood: of the rows. ``auto`` goes by the values: ``bernoulli`` for 0 and 1 (``tree`` if there are
            enough rows: see :func:`vaelab.gaussian_vae`), ``continuous-bernoulli`` for other numbers in [0, 1],
            ``gaussian`` for others. ``multinomial`` is for counts.
        columns: of a frame, what some of its columns are, as in :func:`vaelab.load_data`; None goes by the values.
        objective: what is maximised, by name or with options, ``{"name": "elbo", "warm_up": 500}``; None is the ELBO.
        estimator: the gradient estimator; None is ``pathwise``.
        samples: K, codes drawn for each row in a step of the training.
        epochs, steps: length of the training; without either it depends on the data, and ends when the validation no
            longer rises.
        batch_size, learning_rate: of the training; None is the default of the model.
        validation_fraction: share of the rows held out to choose the weights; where it is fewer than ten rows, all
            rows train and validate.
        bound: of :meth:`score_samples`: ``elbo``, ``iwae``, ``prior``, ``exact`` or ``quadrature``, as in
            :func:`vaelab.evaluate`.
        bound_samples: K of the bound.
        device: where to train: ``cpu``, ``cuda``, or ``auto`` for an accelerator if there is one.
        random_state: of everything random.
        verbose: whether to print the bound during the training.
        prior_components: number of components of a ``mixture`` or ``vamp`` prior; None is 100.
        posterior: of the codes given a row: ``diagonal``, ``full`` or ``flow``, see :func:`vaelab.gaussian_vae`.
        network: ``mlp`` or ``gated-mlp``, with ``normalisation`` (``none`` or ``layer``) and ``dropout`` of its hidden
            layers, see :func:`vaelab.gaussian_vae`.

    Attributes:
        model_: the :class:`~vaelab.LatentVariableModel`.
        n_iter_: steps of the optimiser.
        history_: the logged rows of the training.
        n_features_in_, feature_names_in_: of X.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> vae = GaussianVAE(latent_dim=2, hidden_dims=(8,), steps=20, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.score_samples(X).shape, vae.n_iter_
    ((200, 2), (200,), 20)
    """

    _model = "gaussian-vae"

    def __init__(
        self,
        latent_dim: int | None = None,
        hidden_dims: Sequence[int] = (400,),
        activation: str = "relu",
        encode_mask: bool = False,
        prior: str = "normal",
        likelihood: str = "auto",
        columns: Mapping[str, Any] | None = None,
        objective: str | Mapping[str, Any] | None = None,
        estimator: str | None = None,
        samples: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        bound: str = "iwae",
        bound_samples: int = 100,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        prior_components: int | None = None,
        posterior: str = "diagonal",
        network: str = "mlp",
        normalisation: str = "none",
        dropout: float | None = None,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_dims = hidden_dims
        self.activation = activation
        self.encode_mask = encode_mask
        self.prior = prior
        self.likelihood = likelihood
        self.columns = columns
        self.objective = objective
        self.estimator = estimator
        self.samples = samples
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.bound = bound
        self.bound_samples = bound_samples
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.prior_components = prior_components
        self.posterior = posterior
        self.network = network
        self.normalisation = normalisation
        self.dropout = dropout


class _OfBits(Estimator):
    """An estimator whose code is bits."""

    def bits(self, X: Any) -> npt.NDArray[np.uint8]:
        """Return the likelier value of each bit of the code, eight bits to a byte: (N, D / 8 rounded up).

        The first bit is the highest of the first byte; :func:`numpy.unpackbits` takes them apart.
        """
        return np.packbits(self.transform(X) > 0.5, axis=1)


class BernoulliVAE(_OfBits):
    """Variational auto-encoder with a code of bits: :func:`vaelab.bernoulli_vae` as a scikit-learn estimator.

    Sources of the usual estimator and architecture: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030.

    Args:
        latent_dim: number of bits D; None is the number of features, from 2 to 200.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: non-linearity of the hidden layers.
        encode_mask: whether the encoder also reads which values are observed.
        prior: of the bits: ``uniform``, ``learned`` logits, ``mixture`` or ``autoregressive``, see
            :func:`vaelab.bernoulli_vae`.
        likelihood, columns: of the rows, as in :class:`GaussianVAE`.
        objective: what is maximised, by name or with options, ``{"name": "elbo", "warm_up": 500}``; None is the ELBO.
        estimator: the gradient estimator; None is ``rebar``.
        samples: K, codes drawn for each row in a step of the training.
        epochs, steps, batch_size, learning_rate: as in :class:`GaussianVAE`, which has the same attributes.
        validation_fraction, bound, bound_samples, device, random_state, verbose: likewise.
        prior_components: number of components of a ``mixture``; None is 100.
        network, normalisation, dropout: as in :class:`GaussianVAE`.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> vae = BernoulliVAE(latent_dim=10, hidden_dims=(8,), steps=20, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.bits(X).shape
    ((200, 10), (200, 2))
    """

    _model = "bernoulli-vae"

    def __init__(
        self,
        latent_dim: int | None = None,
        hidden_dims: Sequence[int] = (200, 200),
        activation: str = "leaky-relu",
        encode_mask: bool = False,
        prior: str = "uniform",
        likelihood: str = "auto",
        columns: Mapping[str, Any] | None = None,
        objective: str | Mapping[str, Any] | None = None,
        estimator: str | None = None,
        samples: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        bound: str = "iwae",
        bound_samples: int = 100,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        prior_components: int | None = None,
        network: str = "mlp",
        normalisation: str = "none",
        dropout: float = 0.0,
    ) -> None:
        self.latent_dim = latent_dim
        self.hidden_dims = hidden_dims
        self.activation = activation
        self.encode_mask = encode_mask
        self.prior = prior
        self.likelihood = likelihood
        self.columns = columns
        self.objective = objective
        self.estimator = estimator
        self.samples = samples
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.bound = bound
        self.bound_samples = bound_samples
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.prior_components = prior_components
        self.network = network
        self.normalisation = normalisation
        self.dropout = dropout


class SigmoidBeliefNetwork(_OfBits):
    """Sigmoid belief network, layers of bits: :func:`vaelab.sbn` as a scikit-learn estimator.

    A code has the bits of all layers, those of the layer nearest to X first. Sources: Neal (1992),
    https://doi.org/10.1016/0004-3702(92)90065-6; Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030.

    Args:
        layers: sizes of the layers of bits, the one nearest to X first; None is one layer of as many bits as features,
            from 2 to 200.
        hidden_dims: widths of hidden layers between the layers of bits, from the lower one to the upper.
        encoder_dims: the same for the recognition network; as ``hidden_dims`` if None.
        activation: non-linearity of the hidden layers.
        encode_mask: whether the encoder also reads which values are observed.
        inference: ``amortised``, ``wake-sleep``, ``reweighted-wake-sleep`` or ``mean-field``.
        likelihood, columns: of the rows, as in :class:`GaussianVAE`.
        objective: what is maximised, by name or with options; None is the one that belongs to the inference.
        estimator: the gradient estimator; None is the one that belongs to the inference.
        samples: K, codes drawn for each row in a step of the training.
        epochs, steps, batch_size, learning_rate: as in :class:`GaussianVAE`, which has the same attributes.
        validation_fraction, bound, bound_samples, device, random_state, verbose: likewise.
        network, normalisation, dropout: as in :class:`GaussianVAE`.

    >>> X = (np.random.default_rng(0).random((200, 6)) < 0.3).astype(int)
    >>> network = SigmoidBeliefNetwork(layers=(4, 2), steps=20, random_state=0).fit(X)
    >>> network.transform(X).shape, network.bits(X).shape
    ((200, 6), (200, 1))
    """

    _model = "sbn"

    def __init__(
        self,
        layers: Sequence[int] | None = None,
        hidden_dims: Sequence[int] = (),
        encoder_dims: Sequence[int] | None = None,
        activation: str = "leaky-relu",
        encode_mask: bool = False,
        inference: str = "amortised",
        likelihood: str = "auto",
        columns: Mapping[str, Any] | None = None,
        objective: str | Mapping[str, Any] | None = None,
        estimator: str | None = None,
        samples: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        validation_fraction: float = 0.1,
        bound: str = "iwae",
        bound_samples: int = 100,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
        network: str = "mlp",
        normalisation: str = "none",
        dropout: float = 0.0,
    ) -> None:
        self.layers = layers
        self.hidden_dims = hidden_dims
        self.encoder_dims = encoder_dims
        self.activation = activation
        self.encode_mask = encode_mask
        self.inference = inference
        self.likelihood = likelihood
        self.columns = columns
        self.objective = objective
        self.estimator = estimator
        self.samples = samples
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.bound = bound
        self.bound_samples = bound_samples
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.network = network
        self.normalisation = normalisation
        self.dropout = dropout

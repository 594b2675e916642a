"""Variational auto-encoders: a Gaussian code, a code of bits, and Gaussian codes of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError, require_choice, require_int, require_list
from vaelab.likelihoods import BottomLayer
from vaelab.models.build import (
    Likelihood,
    Networks,
    Prior,
    bit_code_size,
    build_likelihood,
    build_prior,
    builder,
    layer_sizes,
    real_code_size,
)
from vaelab.models.latent import LatentVariableModel
from vaelab.networks import Activation, Build, NetworkName, Normalisation
from vaelab.posteriors import (
    REAL_POSTERIORS,
    BernoulliPosterior,
    ChainPosterior,
    GaussianPosterior,
    RealPosteriorName,
)
from vaelab.priors import BIT_PRIORS, REAL_PRIORS, BitPriorName, ChainPrior, RealPriorName

__all__ = ["bernoulli_vae", "deep_gaussian_vae", "gaussian_vae"]


@builder
def gaussian_vae(
    data: Dataset | DataSpec | int,
    latent_dim: int | None = None,
    hidden_dims: Sequence[int] = (400,),
    activation: Activation = "relu",
    network: NetworkName | Build = "mlp",
    encode_mask: bool = False,
    prior: RealPriorName | Prior = "normal",
    likelihood: Likelihood = "auto",
    seed: int | None = None,
    prior_components: int | None = None,
    posterior: RealPosteriorName = "diagonal",
    normalisation: Normalisation = "none",
    dropout: float | None = None,
) -> LatentVariableModel:
    """Build a variational auto-encoder with a code of real numbers: normal posterior, prior N(0, I) or a learned one.

    Source: Kingma & Welling (2013), https://arxiv.org/abs/1312.6114.

    Args:
        data: the data set, its spec, or the number of columns X. Where the data have a mean, it centres the encoder's
            input and starts the output bias.
        latent_dim: size of the code D; None is half the number of columns, from 2 to 20.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: non-linearity of the hidden layers.
        network: ``mlp``, ``gated-mlp``, for images ``conv`` or ``resnet``, or a function from the sizes of input and
            output to a module.
        encode_mask: whether the encoder also reads which values of x are observed.
        prior: ``normal`` for N(0, I); learned, a ``mixture`` of normal distributions, a ``vamp`` prior, the mixture of
            q(z|u) at learned inputs u, or a normalizing ``flow`` (needs the extra ``flows``); a module, or a function
            from D to a module.
        likelihood: ``auto`` (by the kinds of the columns; for a table of up to 500 columns of bits with at least 1 000
            training rows, and four for each column, it is ``tree``), another name, a module, or a function from D, the
            spec and a network to a module.
        seed: of the weights; None draws them from torch's global generator.
        prior_components: number of components of a ``mixture``, or of inputs of ``vamp``; None is 100.
        posterior: q(z|x): ``diagonal``, a normal distribution of independent units; ``full``, of correlated units; or a
            normalizing ``flow`` (needs the extra ``flows``).
        normalisation: of the hidden layers: ``none``, or ``layer`` for layer normalisation of each row.
        dropout: share of the units of fully connected hidden layers that a training step leaves out, in the encoder and
            in the decoder; None is 0, and 0.2 for a table of at least 100 columns of bits with fewer than ten training
            rows for each, where the likelihood is ``bernoulli`` or ``tree``.

    Raises:
        InputError: an option out of range, or parts that do not fit together.

    >>> model = gaussian_vae(784, latent_dim=20, seed=0)
    >>> model.posterior(model.sample(64))
    DiagonalNormal(loc: (64, 20), log_scale: (64, 20))
    """
    spec = DataSpec.of(data)
    latent_dim = real_code_size(spec.dim) if latent_dim is None else require_int("latent_dim", latent_dim, 1)
    networks = Networks(spec, network, activation, encode_mask, False, normalisation, dropout or 0.0)
    decoder = build_likelihood(likelihood, latent_dim, spec, networks.decoder(hidden_dims))
    require_choice("posterior", posterior, REAL_POSTERIORS)
    of_rows = REAL_POSTERIORS[posterior](networks.inputs, latent_dim, networks.encoder(hidden_dims))
    # The prior is built last, so that with the same seed the networks start at the same weights under every prior.
    of_codes = build_prior(prior, REAL_PRIORS, latent_dim, prior_components, of_rows, spec)
    return LatentVariableModel(of_codes, decoder, of_rows, given=spec.given)


@builder
def bernoulli_vae(
    data: Dataset | DataSpec | int,
    latent_dim: int | None = None,
    hidden_dims: Sequence[int] = (200, 200),
    activation: Activation = "leaky-relu",
    network: NetworkName | Build = "mlp",
    encode_mask: bool = False,
    prior: BitPriorName | Prior = "uniform",
    likelihood: Likelihood = "auto",
    seed: int | None = None,
    prior_components: int | None = None,
    normalisation: Normalisation = "none",
    dropout: float = 0.0,
) -> LatentVariableModel:
    """Build a variational auto-encoder with a code of bits, which the decoder reads as -1 and +1.

    Sources of the usual estimator and architecture: Mnih & Gregor (2014), https://arxiv.org/abs/1402.0030.

    Args:
        data: the data set, its spec, or the number of columns X. Where the data have a mean, it centres the encoder's
            input and starts the output bias.
        latent_dim: number of bits D; None is the number of columns, from 2 to 200.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: non-linearity of the hidden layers.
        network: ``mlp``, ``gated-mlp``, for images ``conv`` or ``resnet``, or a function from the sizes of input and
            output to a module.
        encode_mask: whether the encoder also reads which values of x are observed.
        prior: ``uniform`` (every bit has probability 1/2); learned: ``learned`` logits of independent bits, a
            ``mixture`` of such, or ``autoregressive``, each bit given those before it; a module, or a function from D
            to a module.
        likelihood: ``auto`` (by the kinds of the columns; for a table of up to 500 columns of bits with at least 1 000
            training rows, and four for each column, it is ``tree``), another name, a module, or a function from D, the
            spec and a network to a module.
        seed: of the weights; None draws them from torch's global generator.
        prior_components: number of components of a ``mixture``; None is 100.
        normalisation: of the hidden layers: ``none``, or ``layer`` for layer normalisation of each row.
        dropout: share of the units of fully connected hidden layers that a training step leaves out, in the encoder and
            in the decoder.

    Raises:
        InputError: an option out of range, or parts that do not fit together.

    >>> model = bernoulli_vae(784, latent_dim=200, seed=0)
    >>> model.posterior(model.sample(64))
    Bernoulli(logits: (64, 200))
    """
    spec = DataSpec.of(data)
    latent_dim = bit_code_size(spec.dim) if latent_dim is None else require_int("latent_dim", latent_dim, 1)
    networks = Networks(spec, network, activation, encode_mask, True, normalisation, dropout)
    decoder = build_likelihood(likelihood, latent_dim, spec, networks.decoder(hidden_dims))
    posterior = BernoulliPosterior(networks.inputs, latent_dim, networks.encoder(hidden_dims))
    # The prior is built last, so that with the same seed the networks start at the same weights under every prior.
    of_codes = build_prior(prior, BIT_PRIORS, latent_dim, prior_components, posterior, spec)
    return LatentVariableModel(of_codes, decoder, posterior, given=spec.given)


@builder
def deep_gaussian_vae(
    data: Dataset | DataSpec | int,
    layers: Sequence[int] = (100, 50),
    hidden_dims: Sequence[Sequence[int]] = ((200, 200), (100, 100)),
    activation: Activation = "tanh",
    network: NetworkName | Build = "mlp",
    encode_mask: bool = False,
    likelihood: Likelihood = "auto",
    seed: int | None = None,
    prior: RealPriorName | Prior = "normal",
    prior_components: int | None = None,
    normalisation: Normalisation = "none",
    dropout: float = 0.0,
) -> LatentVariableModel:
    """Build a variational auto-encoder with several layers of Gaussian codes, each given the one above.

    The defaults are the network 784-200-200-100-100-100-50 of Burda, Grosse & Salakhutdinov (2016),
    https://arxiv.org/abs/1509.00519. The top layer has prior N(0, I) or a learned one.

    Args:
        data: the data set, its spec, or the number of columns X. Where the data have a mean, it centres the encoder's
            input and starts the output bias.
        layers: sizes of the layers of the code, the one nearest to x first.
        hidden_dims: for each of them, the widths of the hidden layers between it and what lies below.
        activation: non-linearity of the hidden layers.
        network: ``mlp``, ``gated-mlp``, for images ``conv`` or ``resnet`` (of x and to x; MLPs between the layers), or
            a function from the sizes of input and output to a module.
        encode_mask: whether the encoder also reads which values of x are observed.
        likelihood: ``auto`` (by the kinds of the columns: see :mod:`vaelab.likelihoods`), another name, a module, or
            a function from the size of the first layer, the spec and a network to a module. It reads the first layer.
        seed: of the weights; None draws them from torch's global generator.
        prior: of the top layer, as of :func:`gaussian_vae`. The learned inputs of ``vamp`` are values of the layer
            below it.
        prior_components: number of components of a ``mixture``, or of inputs of ``vamp``; None is 100.
        normalisation: of the hidden layers: ``none``, or ``layer`` for layer normalisation of each row.
        dropout: share of the units of fully connected hidden layers that a training step leaves out, in the encoder and
            in the decoder.

    Raises:
        InputError: an option out of range, no layers, or another number of lists in ``hidden_dims``.

    >>> deep_gaussian_vae(6, layers=[4, 3], hidden_dims=[[5], []]).sample(2).shape
    torch.Size([2, 6])
    """
    spec, sizes = DataSpec.of(data), layer_sizes(layers)
    if callable(network):
        hidden_dims = ((),) * len(sizes)
    elif len(require_list("hidden_dims", hidden_dims, "a list of lists of widths")) != len(sizes):
        raise InputError(f"hidden_dims: expected {len(sizes)} lists of widths, one for each layer; got {hidden_dims!r}")
    networks = Networks(spec, network, activation, encode_mask, False, normalisation, dropout)
    between = list(zip(pairwise(sizes), hidden_dims[1:], strict=True))
    above = [GaussianPosterior(low, high, networks.upwards(widths)) for (low, high), widths in between]
    below = [GaussianPosterior(high, low, networks.downwards(widths)) for (low, high), widths in between]
    bottom = build_likelihood(likelihood, sizes[0], spec, networks.decoder(hidden_dims[0]))
    first = GaussianPosterior(networks.inputs, sizes[0], networks.encoder(hidden_dims[0]))
    above = [first, *above]
    read = spec if len(sizes) == 1 else DataSpec((sizes[-2],), torch.zeros(sizes[-2]), kind="real")
    top = build_prior(prior, REAL_PRIORS, sizes[-1], prior_components, above[-1], read)
    return LatentVariableModel(
        ChainPrior(top, below[::-1], sizes),
        BottomLayer(bottom, sizes, spec.given),
        ChainPosterior(above, sizes),
        spec.given,
    )

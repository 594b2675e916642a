"""Logistic principal component analysis: the variational auto-encoder whose decoder is linear."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError
from vaelab.models.build import Networks, build_likelihood, builder, real_code_size
from vaelab.models.latent import LatentVariableModel
from vaelab.networks import Activation
from vaelab.posteriors import GaussianPosterior
from vaelab.priors import GaussianPrior

__all__ = ["logistic_pca"]


@builder
def logistic_pca(
    data: Dataset | DataSpec | int,
    latent_dim: int | None = None,
    encoder_dims: Sequence[int] = (400,),
    activation: Activation = "relu",
    encode_mask: bool = False,
    seed: int | None = None,
) -> LatentVariableModel:
    """Build logistic principal component analysis: bits whose logits are a linear function of a Gaussian code.

    Formula: `p(x) = E[prod_j sigmoid((2 x_j - 1) (w_j z + b_j))]` over codes `z ~ N(0, I)`: the Gaussian VAE whose
    decoder has no hidden layers. The encoder may have some: p(x) does not depend on it.

    Sources: Tipping (1998), "Probabilistic visualisation of high-dimensional binary data",
    https://papers.nips.cc/paper/1998/hash/b132ecc1609bfcf302615847c1caa69a-Abstract.html; without a prior of the codes
    Collins, Dasgupta & Schapire (2001), "A generalization of principal components analysis to the exponential family".

    Args:
        data: the data set, its spec, or the number of columns X, which are bits. Where the data have a mean, it centres
            the encoder's input and starts the output bias.
        latent_dim: number of components D; None is half the number of columns, from 2 to 20.
        encoder_dims: widths of the hidden layers of the encoder.
        activation: non-linearity of those layers.
        encode_mask: whether the encoder also reads which values of x are observed.
        seed: of the weights; None draws them from torch's global generator.

    Raises:
        InputError: an option out of range, or columns that are no bits.

    >>> model = logistic_pca(16, latent_dim=2, seed=0)
    >>> model.likelihood.network.layers
    MLP(
      (0): Linear(in_features=2, out_features=16, bias=True)
    )
    """
    spec = DataSpec.of(data)
    others = sorted({kind for kind, _, _ in spec.groups} - {"binary"})
    if others:
        raise InputError(
            f"data: logistic-pca is for columns of bits; got columns of kind {' and '.join(others)}; "
            "gaussian-vae takes columns of every kind"
        )
    latent_dim = real_code_size(spec.dim) if latent_dim is None else latent_dim
    networks = Networks(spec, "mlp", activation, encode_mask)
    return LatentVariableModel(
        GaussianPrior(latent_dim),
        build_likelihood("bernoulli", latent_dim, spec, networks.decoder(())),
        GaussianPosterior(networks.inputs, latent_dim, networks.encoder(encoder_dims)),
        given=spec.given,
    )

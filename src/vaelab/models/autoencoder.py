"""The deterministic auto-encoder."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError, require_choice, require_int
from vaelab.models.build import Likelihood, Networks, build_likelihood, builder
from vaelab.models.latent import LatentVariableModel
from vaelab.networks import Activation, Build, NetworkName, Normalisation
from vaelab.posteriors import DeltaPosterior
from vaelab.priors import (
    CANDIDATES,
    POINT_PRIORS,
    Covariance,
    MixturePrior,
    PointPriorName,
    StandardisedFlowPrior,
)

__all__ = ["autoencoder"]


@builder
def autoencoder(
    data: Dataset | DataSpec | int,
    latent_dim: int = 2,
    hidden_dims: Sequence[int] = (400,),
    activation: Activation = "relu",
    network: NetworkName | Build = "mlp",
    encode_mask: bool = False,
    components: int | Sequence[int] = CANDIDATES,
    covariance: Covariance = "full",
    likelihood: Likelihood = "auto",
    seed: int | None = None,
    normalisation: Normalisation = "none",
    dropout: float = 0.0,
    prior: PointPriorName = "mixture",
) -> LatentVariableModel:
    """Build a deterministic auto-encoder: no noise, no KL, and after training a density of its codes as prior.

    It has no likelihood of x. Source: Ghosh et al. (2020), https://arxiv.org/abs/1903.12436.

    Args:
        data: the data set, its spec, or the number of columns X. Where the data have a mean, it centres the encoder's
            input and starts the output bias.
        latent_dim: size of the code D.
        hidden_dims: widths of the encoder's hidden layers; the decoder has them in reverse.
        activation: non-linearity of the hidden layers.
        network: ``mlp``, ``gated-mlp``, for images ``conv`` or ``resnet``, or a function from the sizes of input and
            output to a module.
        encode_mask: whether the encoder also reads which values of x are observed.
        components: of the mixture, see :class:`~vaelab.priors.MixturePrior`.
        covariance: of the mixture's components, ``full`` or ``diag``.
        likelihood: ``auto`` (by the kinds of the columns: see :mod:`vaelab.likelihoods`), another name, a module, or
            a function from D, the spec and a network to a module.
        seed: of the weights; None draws them from torch's global generator.
        normalisation: of the hidden layers: ``none``, or ``layer`` for layer normalisation of each row.
        dropout: share of the units of fully connected hidden layers that a training step leaves out, in the encoder and
            in the decoder.
        prior: ``mixture``, which is fitted when the training ends; or a normalizing ``flow`` (needs the extra
            ``flows``), which no training takes: :func:`vaelab.fit_prior` (on the command line ``fit-prior``) fits it to
            the codes of a trained auto-encoder.

    Raises:
        InputError: an option out of range, or parts that do not fit together.

    >>> import torch
    >>> autoencoder(6).posterior(torch.zeros(3, 6))
    Delta(loc: (3, 2))
    """
    spec, latent_dim = DataSpec.of(data), require_int("latent_dim", latent_dim, 1)
    networks = Networks(spec, network, activation, encode_mask, False, normalisation, dropout)
    decoder = build_likelihood(likelihood, latent_dim, spec, networks.decoder(hidden_dims))
    encoder = DeltaPosterior(networks.inputs, latent_dim, networks.encoder(hidden_dims))
    return LatentVariableModel(_prior(prior, latent_dim, components, covariance), decoder, encoder, given=spec.given)


def _prior(
    name: str, latent_dim: int, components: int | Sequence[int], covariance: Covariance
) -> MixturePrior | StandardisedFlowPrior:
    """Return the prior before it is fitted; refuse options of a mixture beside another."""
    require_choice("prior", name, POINT_PRIORS)
    mixture = MixturePrior(latent_dim, components, covariance)  # which checks its options, also for a flow
    if name == "mixture":
        return mixture
    if mixture.candidates != list(CANDIDATES):
        raise InputError(f"components: goes with prior=mixture; got {components!r} and {name!r}")
    if covariance != "full":
        raise InputError(f"covariance: goes with prior=mixture; got {covariance!r} and {name!r}")
    return StandardisedFlowPrior(latent_dim)

"""A prior that is fitted to the codes of a trained model: an ex-post density."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaelab.data import Dataset, Split, require_dataset
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError, require_choice, require_int
from vaelab.estimators import ScoreFunction
from vaelab.evaluation.encode import chunks
from vaelab.models import MODELS, LatentVariableModel, bernoulli_mixture, require_latent
from vaelab.models.build import building_again, start_prior
from vaelab.networks import Dropout
from vaelab.priors import (
    BIT_PRIORS,
    CANDIDATES,
    POINT_PRIORS,
    REAL_PRIORS,
    BernoulliMixturePrior,
    ChainPrior,
    MixturePrior,
    NormalMixturePrior,
    StandardisedFlowPrior,
)
from vaelab.seeds import seeded
from vaelab.training.density import CodeDensity, as_often
from vaelab.training.fitting import fit
from vaelab.training.result import FitResult

__all__ = ["FittedPrior", "fit_prior"]

_ROWS = 2000  # encoded at once
_CODES_EACH = 10  # for each component of a mixture that the search for the lowest BIC begins with
_RATE = 5e-3
# By the kind of code; the first prior of the tables of other codes is fixed.
_FITTED = {"bits": list(BIT_PRIORS)[1:], "real": list(REAL_PRIORS)[1:], "point": list(POINT_PRIORS)}


@dataclass(frozen=True)
class FittedPrior:
    """A model with a prior that was fitted to its codes.

    Attributes:
        model: a new model; its encoder and decoder have the weights of the model that was given. It keeps the
            description, which is saved with it and stands beside every number of an evaluation.
        description: what the prior is, and how it was fitted.
    """

    model: LatentVariableModel
    description: str


def fit_prior(
    model: object,
    data: Dataset,
    prior: str = "mixture",
    prior_components: int | None = None,
    *,
    seed: int = 0,
    **training: Any,
) -> FittedPrior:
    """Replace the prior of a trained model by one that is fitted to the codes of the training split (ex post).

    Encoder and decoder keep their weights. Of the ELBO, `E_q[log p(x|z)] + E_q[log p(z)] + H[q]`, the prior changes one
    term, so the best prior maximises

    `E_x E_q(z|x)[log p(z)]`, in nats,

    the log-likelihood of codes drawn from q(z|x), which the fit makes as large as it can; of an auto-encoder, which has
    no ELBO, that of its codes. The new model is another p(x): bounds of the model that was trained are not bounds of
    this one, and have to be computed again.

    A ``mixture`` is fitted by expectation-maximisation to one code of each row, with a number of components that the
    Bayesian information criterion chooses: for real codes it begins with 10 to 40 and goes on while the best is at an
    edge of those tried, for bits among 1 to 300; only numbers with at least ten codes (of bits four) for each component
    are tried. An auto-encoder keeps its options ``components`` and ``covariance``. Other priors are trained by
    stochastic gradients on the ELBO (of an auto-encoder on log p(z)), without dropout, with the weights of the best
    validation. In a Gaussian VAE of several layers it is the prior of the top layer. Sources: Ghosh et al. (2020),
    https://arxiv.org/abs/1903.12436; Schwarz (1978), https://doi.org/10.1214/aos/1176344136.

    Args:
        model: a ``gaussian_vae``, ``deep_gaussian_vae``, ``bernoulli_vae`` or ``autoencoder``; it stays as it is.
        data: the data set, whose training split is encoded.
        prior: a name of the option ``prior`` that is learned, such as ``mixture`` or ``flow``.
        prior_components: number of components of a ``mixture``, or of inputs of ``vamp``; None chooses it by the BIC
            (of an auto-encoder it is its option ``components``), or is 100 inputs.
        seed: of the codes and of everything random in the fit.
        **training: fields of :class:`TrainingSettings`, such as ``steps``, and ``device``, for all but a ``mixture``.
            Without ``learning_rate`` it is 0.005.

    Raises:
        InputError: another model, or one that cannot be built again from its options; a prior that is not learned or
            not one of its codes; more components of a mixture than codes; an option that does not go with the prior.
        KeyboardInterrupt: Ctrl-C or SIGTERM ended the fit; there is no result.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> data = load_data("mnist")
    >>> fitted = fit_prior(gaussian_vae(data, latent_dim=2, hidden_dims=[8], seed=0), data, prior_components=3)
    >>> fitted.description, fitted.model.prior()
    ('mixture of 3 components', Mixture(log_weights: (3,), DiagonalNormal(loc: (3, 2), log_scale: (3, 2))))
    """
    latent = require_latent(model, "fit_prior")
    require_dataset(data)
    latent.accept(data.spec)
    if prior_components is not None:
        require_int("prior_components", prior_components, 1)
    _require_prior(latent, prior, prior_components)
    _require_settings(training)
    if prior != "mixture":
        return _by_gradients(latent, data, prior, prior_components, seed, training)
    if training:
        raise InputError(f"{next(iter(training))}: goes with a prior that is trained in steps; a mixture is not")
    codes = _codes(latent, data, "train", seed)
    if prior_components is not None and prior_components > len(codes):
        raise InputError(
            f"prior_components: expected at most {len(codes)}, the codes of the training split; got {prior_components}"
        )
    return _MIXTURES[latent.code](latent, data, codes, prior_components, seed)


def _require_prior(model: LatentVariableModel, prior: str, components: int | None) -> None:
    """Refuse a model whose prior has no option or that cannot be built again, and a prior that is not learned."""
    able = [name for name, row in MODELS.items() if "prior" in inspect.signature(row.build).parameters]
    if model.built_with is None:
        raise InputError(
            f"model: expected a {' or '.join(able)} that can be built again from its options; got a {model.name} "
            "with a module, a function or a class of your own"
        )
    if model.built_with.name not in able:
        raise InputError(f"model: expected one with the option prior ({', '.join(able)}); got {model.name}")
    require_choice("prior", prior, _FITTED[model.code])
    if model.code == "point" and prior != "mixture" and components is not None:
        raise InputError(f"prior_components: goes with prior=mixture; got {components} and {prior!r}")


def _rebuilt(
    model: LatentVariableModel, prior: str, components: int | list[int] | None, data: Dataset, seed: int
) -> LatentVariableModel:
    """Return a new model with another prior as it starts, and the other weights of the model."""
    assert model.built_with is not None
    options = _options(model, prior, components)
    with building_again():
        new = require_latent(MODELS[model.built_with.name].build(model.spec, **options, seed=seed), "fit_prior")
    if model.may_be_missing:
        new.allow_missing()
    with seeded(seed, "prior"):
        start_prior(new, data)
    new.to(model.any_weight)  # its device and its type of numbers
    of_prior = "prior.top." if isinstance(model.prior, ChainPrior) else "prior."
    weights = {name: weight for name, weight in model.state_dict().items() if not name.startswith(of_prior)}
    missing, unexpected = new.load_state_dict(weights, strict=False)
    if other := unexpected + [name for name in missing if not name.startswith(of_prior)]:
        raise InputError(
            f"model: expected the parts that {model.name} has by its options; {other[0]} is of another part"
        )
    return new.eval()


def _options(model: LatentVariableModel, prior: str, components: int | list[int] | None) -> dict[str, Any]:
    """Return the options of the new model; those of the mixture of an auto-encoder stay, unless others are given."""
    options: dict[str, Any] = {**model.known_options, "prior": prior}
    if model.code != "point":
        return options | {"prior_components": components}
    if prior == "mixture":
        return options | ({} if components is None else {"components": components})
    return {name: value for name, value in options.items() if name not in ("components", "covariance")}


def _top(model: LatentVariableModel) -> nn.Module:
    """Return the prior, of several layers that of the top one."""
    return model.prior.top if isinstance(model.prior, ChainPrior) else model.prior


def _codes(model: LatentVariableModel, data: Dataset, split: str, seed: int) -> Tensor:
    """Draw a code from q(z|x) for each row of a split, (N, D): as often as its weight says, of the top layer alone."""
    with torch.no_grad(), seeded(seed, "codes", split):
        observed = data.split(split).observations(model.any_weight.device).sample()
        z = torch.cat([model.posterior(x.to(model.any_weight)).sample().cpu() for x in chunks(observed, _ROWS)])
    z = z[:, z.shape[1] - model.layers[-1] :] if model.layers else z
    return z if observed.weights is None else as_often(z, observed.weights.cpu())


def _candidates(codes: int) -> list[int]:
    """Return the numbers of components with which a search begins for so many codes."""
    return [count for count in CANDIDATES if count * _CODES_EACH <= codes] or [1]


def _mixture_of_numbers(
    model: LatentVariableModel, data: Dataset, z: Tensor, components: int | None, seed: int
) -> FittedPrior:
    found = MixturePrior(z.shape[1], _candidates(len(z)) if components is None else components, "diag")
    found.fit(z, seed)
    new = _rebuilt(model, "mixture", len(found.weights), data, seed)
    prior = _top(new)
    assert isinstance(prior, NormalMixturePrior)
    with torch.no_grad():
        prior.log_weights.copy_(found.weights.log())
        prior.means.copy_(found.means)
        prior.log_scales.copy_(0.5 * found.covariances.diagonal(dim1=-2, dim2=-1).log())
    return _described(new, len(found.weights), found.choice())


def _mixture_of_bits(
    model: LatentVariableModel, data: Dataset, z: Tensor, components: int | None, seed: int
) -> FittedPrior:
    drawn = {"train": z, "validation": _codes(model, data, "validation", seed)}
    splits = {name: Split(bits.numpy().astype(np.uint8)) for name, bits in drawn.items()}
    codes = Dataset("codes", splits | {"test": splits["validation"]}, "binary", scale=1)
    mixture = bernoulli_mixture(codes, components=components or "auto", selection="bic", seed=seed)
    _require_whole(fit(mixture, codes, seed=seed, device="cpu"))
    found: Any = mixture.distribution()
    new = _rebuilt(model, "mixture", len(found.log_weights), data, seed)
    prior = _top(new)
    assert isinstance(prior, BernoulliMixturePrior) and isinstance(found.components, Bernoulli)  # noqa: PT018
    with torch.no_grad():
        prior.log_weights.copy_(found.log_weights)
        prior.logits.copy_(found.components.logits)
    return _described(new, len(found.log_weights), "" if components else "chosen by the BIC")


def _mixture_of_points(
    model: LatentVariableModel, data: Dataset, z: Tensor, components: int | None, seed: int
) -> FittedPrior:
    own = model.known_options["components"]
    few = _candidates(len(z)) if components is None and own == list(CANDIDATES) else components
    new = _rebuilt(model, "mixture", few, data, seed)
    prior = _top(new)
    assert isinstance(prior, MixturePrior)
    if max(prior.candidates) > len(z):
        raise InputError(
            f"prior_components: expected at most {len(z)}, the codes of the training split; got none, and the model "
            f"has components={own!r}"
        )
    prior.fit(z, seed)
    return _described(new, len(prior.weights), prior.choice())


_MIXTURES = {"bits": _mixture_of_bits, "real": _mixture_of_numbers, "point": _mixture_of_points}


def _described(model: LatentVariableModel, count: int, choice: str) -> FittedPrior:
    """Return a model with a mixture, and how many components it has and what chose them."""
    text = f"mixture of {count} component{'' if count == 1 else 's'}"
    return _fitted(model, f"{text}, {choice}" if choice else text)


def _fitted(model: LatentVariableModel, description: str) -> FittedPrior:
    """Return the result; the model keeps how its prior was fitted."""
    model.ex_post_prior = description
    return FittedPrior(model, description)


def _by_gradients(
    model: LatentVariableModel, data: Dataset, prior: str, components: int | None, seed: int, training: dict[str, Any]
) -> FittedPrior:
    new = _rebuilt(model, prior, components, data, seed)
    estimator = ScoreFunction(new) if new.code == "bits" else None
    objective = None
    if isinstance(new.prior, StandardisedFlowPrior):
        new.prior.standardise(_codes(new, data, "train", seed))
        objective = CodeDensity()
    options: dict[str, Any] = {"learning_rate": _RATE, **training}
    with _only_prior_learns(new):
        result = fit(new, data, estimator=estimator, objective=objective, seed=seed, **options)
    _require_whole(result)
    return _fitted(new, f"{prior}, trained for {result.steps:,} steps")


def _require_settings(training: Mapping[str, Any]) -> None:
    """Refuse arguments of ``fit`` that are neither settings of the training nor the device."""
    for name in training:
        if name in inspect.signature(fit).parameters and name != "device":
            raise InputError(
                f"{name}: fit_prior takes none; expected settings of the training, such as steps, or device"
            )


def _require_whole(result: FitResult) -> None:
    """Interrupt the caller too if a signal ended the fit: the prior of a part of the steps is no result."""
    if result.stop_reason == "interrupted":
        raise KeyboardInterrupt


@contextmanager
def _only_prior_learns(model: LatentVariableModel) -> Iterator[None]:
    """Inside the block no weight but those of the prior takes gradients, and a training leaves out no unit.

    So the codes of a step are those of q(z|x), as after the fit.
    """
    layers = {part: part.rate for part in model.modules() if isinstance(part, Dropout)}
    model.requires_grad_(False)
    _top(model).requires_grad_(True)
    for layer in layers:
        layer.rate = 0.0
    try:
        yield
    finally:
        model.requires_grad_(True)
        for layer, rate in layers.items():
            layer.rate = rate

"""A prior that is fitted to the codes of a trained model: an ex-post density."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
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
from vaelab.priors import (
    BIT_PRIORS,
    REAL_PRIORS,
    BernoulliMixturePrior,
    ChainPrior,
    MixturePrior,
    NormalMixturePrior,
    VampPrior,
)
from vaelab.seeds import seeded
from vaelab.training.density import as_often
from vaelab.training.fitting import fit

__all__ = ["FittedPrior", "fit_prior"]

_ROWS = 2000  # encoded at once
_COMPONENTS, _CODES_EACH = (10, 20, 30, 40), 10  # with which the search for the lowest BIC begins, and codes of each
_RATE = 5e-3


@dataclass(frozen=True)
class FittedPrior:
    """A model with a prior that was fitted to its codes.

    Attributes:
        model: a new model; its encoder and decoder have the weights of the model that was given.
        words: what the prior is, and how it was fitted.
    """

    model: LatentVariableModel
    words: str


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

    `E_x E_q(z|x)[log p(z)]`,

    the log-likelihood of codes drawn from q(z|x). The new model is another p(x): bounds of the model that was trained
    are not bounds of this one, and have to be computed again.

    A ``mixture`` is fitted by expectation-maximisation to one code of each row, with a number of components that the
    Bayesian information criterion chooses: for real codes it begins with 10 to 40 and goes on while the best is at an
    edge of those tried, for bits among 1 to 300. Other priors are trained by stochastic gradients on the ELBO, with the
    weights of the best validation. In a Gaussian VAE of several layers it is the prior of the top layer. Sources:
    Ghosh et al. (2020), https://arxiv.org/abs/1903.12436; Schwarz (1978), https://doi.org/10.1214/aos/1176344136.

    Args:
        model: a ``gaussian_vae``, ``deep_gaussian_vae`` or ``bernoulli_vae``; it stays as it is.
        data: the data set, whose training split is encoded.
        prior: a name of the option ``prior`` that is learned, such as ``mixture`` or ``flow``.
        prior_components: number of components of a ``mixture``, or of inputs of ``vamp``; None chooses it by the BIC,
            or is 100 inputs.
        seed: of the codes and of everything random in the fit.
        **training: fields of :class:`TrainingSettings`, such as ``steps``, and ``device``, for all but a ``mixture``.

    Raises:
        InputError: another model, a prior that is not learned or not one of its codes.

    >>> from vaelab.data import load_data
    >>> from vaelab.models import gaussian_vae
    >>> data = load_data("mnist")
    >>> fitted = fit_prior(gaussian_vae(data, latent_dim=2, hidden_dims=[8], seed=0), data, prior_components=3)
    >>> fitted.words, fitted.model.prior()
    ('mixture of 3 components', Mixture(log_weights: (3,), DiagonalNormal(loc: (3, 2), log_scale: (3, 2))))
    """
    latent = require_latent(model, "fit_prior")
    require_dataset(data)
    latent.accept(data.spec)
    _require_prior(latent, prior)
    if prior_components is not None:
        require_int("prior_components", prior_components, 1)
    if prior != "mixture":
        return _by_gradients(latent, data, prior, prior_components, seed, training)
    if training:
        raise InputError(f"{next(iter(training))}: goes with a prior that is trained in steps; a mixture is not")
    fit_mixture = _mixture_of_bits if latent.code == "bits" else _mixture_of_numbers
    return fit_mixture(latent, data, prior_components, seed)


def _require_prior(model: LatentVariableModel, prior: str) -> None:
    """Refuse a model whose prior has no option, and a prior that is not learned."""
    if model.built_with is None or "prior" not in model.built_with.options:
        able = ", ".join(name for name, row in MODELS.items() if "prior" in inspect.signature(row.build).parameters)
        raise InputError(f"model: expected one with the option prior ({able}); got {model.name}")
    table = list(BIT_PRIORS if model.code == "bits" else REAL_PRIORS)
    require_choice("prior", prior, table[1:])  # the first is fixed


def _rebuilt(
    model: LatentVariableModel, prior: str, components: int | None, data: Dataset, seed: int
) -> LatentVariableModel:
    """Return a new model with another prior as it starts, and the other weights of the model."""
    assert model.built_with is not None
    options = model.built_with.options | {"prior": prior, "prior_components": components}
    new = require_latent(MODELS[model.built_with.name].build(model.spec, **options, seed=seed), "fit_prior")
    of_prior = "prior.top." if isinstance(model.prior, ChainPrior) else "prior."
    weights = {name: weight for name, weight in model.state_dict().items() if not name.startswith(of_prior)}
    new.load_state_dict(weights, strict=False)
    if model.may_be_missing:
        new.allow_missing()
    if isinstance(new.prior, VampPrior):
        with seeded(seed, "prior"):
            new.prior.learn_from(data)
    return new.to(model.any_weight.device).eval()


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


def _mixture_of_numbers(model: LatentVariableModel, data: Dataset, components: int | None, seed: int) -> FittedPrior:
    z = _codes(model, data, "train", seed)
    few = [count for count in _COMPONENTS if count * _CODES_EACH <= len(z)] or [1]
    found = MixturePrior(z.shape[1], few if components is None else components, "diag")
    found.fit(z, seed)
    new = _rebuilt(model, "mixture", len(found.weights), data, seed)
    prior = _top(new)
    assert isinstance(prior, NormalMixturePrior)
    with torch.no_grad():
        prior.log_weights.copy_(found.weights.log())
        prior.means.copy_(found.means)
        prior.log_scales.copy_(0.5 * found.covariances.diagonal(dim1=-2, dim2=-1).log())
    return FittedPrior(new, ", ".join(filter(None, (f"mixture of {len(found.weights)} components", found.choice()))))


def _mixture_of_bits(model: LatentVariableModel, data: Dataset, components: int | None, seed: int) -> FittedPrior:
    splits = {name: Split(_codes(model, data, name, seed).numpy().astype(np.uint8)) for name in ("train", "validation")}
    codes = Dataset("codes", splits | {"test": splits["validation"]}, "binary", scale=1)
    mixture = bernoulli_mixture(codes, components=components or "auto", selection="bic", seed=seed)
    fit(mixture, codes, seed=seed, device="cpu")
    found: Any = mixture.distribution()
    new = _rebuilt(model, "mixture", len(found.log_weights), data, seed)
    prior = _top(new)
    assert isinstance(prior, BernoulliMixturePrior) and isinstance(found.components, Bernoulli)  # noqa: PT018
    with torch.no_grad():
        prior.log_weights.copy_(found.log_weights)
        prior.logits.copy_(found.components.logits)
    chosen = "" if components else ", chosen by BIC"
    return FittedPrior(new, f"mixture of {len(found.log_weights)} components{chosen}")


def _by_gradients(
    model: LatentVariableModel, data: Dataset, prior: str, components: int | None, seed: int, training: dict[str, Any]
) -> FittedPrior:
    new = _rebuilt(model, prior, components, data, seed)
    weights = list(_top(new).parameters())

    def of_prior(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.Adam(weights, lr=_RATE)

    estimator = ScoreFunction(new) if new.code == "bits" else None
    result = fit(new, data, estimator=estimator, optimizer=of_prior, seed=seed, **training)
    return FittedPrior(new, f"{prior}, trained for {result.steps:,} steps")

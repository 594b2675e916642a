"""Whether an estimator, a model and an objective fit together: one sentence about what does not."""

from __future__ import annotations

from vaelab.distributions import Bernoulli, DiagonalNormal
from vaelab.errors import InputError
from vaelab.estimators.contract import Estimator
from vaelab.inference import MeanFieldPosterior
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective, check_objective

__all__ = ["check_together"]


def check_together(estimator: Estimator, model: LatentVariableModel, objective: Objective) -> None:
    """Refuse a model and an objective with which an estimator cannot work.

    Raises:
        InputError: what does not fit, and what does.
    """
    check_objective(model, objective)
    if model.code not in estimator.codes:
        wanted = " or ".join(sorted(estimator.codes))
        raise InputError(
            f"estimator: {estimator.name!r} needs codes of kind {wanted}; the model's codes are of kind {model.code!r}"
        )
    if len(model.layers) > 1 and not estimator.layered:
        raise InputError(
            f"estimator: {estimator.name!r} needs a code of one layer; "
            f"the model's posterior is a chain of layers of sizes {list(model.layers)}"
        )
    if objective.combination not in estimator.combinations:
        able = _able(model, objective)
        raise InputError(
            f"estimator: {estimator.name!r} is defined for the objective {_listed(estimator.objectives())}; got "
            f"{objective.name!r}" + (f", which goes with {_listed(able)}" if able else "")
        )
    objective.require_samples(estimator.samples)
    _check_kl(estimator, model, objective)
    _check_inference(estimator, model)
    if (size := model.latent_dim) != estimator.sizes.latent_dim:
        raise InputError(
            f"estimator: {estimator.name!r} was made for a model with codes of {estimator.sizes.latent_dim} numbers; "
            f"the codes of this model have {size}, so make another: {type(estimator).__name__}(model)"
        )
    if (layers := max(1, len(model.layers))) != estimator.sizes.layers:
        raise InputError(
            f"estimator: {estimator.name!r} was made for a model with codes of {estimator.sizes.layers} layers; "
            f"the codes of this model have {layers}, so make another: {type(estimator).__name__}(model)"
        )


def _check_kl(estimator: Estimator, model: LatentVariableModel, objective: Objective) -> None:
    """Refuse a weight of the KL, a rise of it, or free bits where they would have no effect."""
    name = estimator.name
    if not estimator.supports_beta and objective.beta != 1:
        raise InputError(f"objective.beta: expected 1 for the estimator {name!r}; got {objective.beta:g}")
    if not estimator.supports_beta and objective.warm_up:
        raise InputError(
            f"objective.warm_up: expected 0 for the estimator {name!r}, which does not use beta; got "
            f"{objective.warm_up}"
        )
    if not objective.free_bits:
        return
    prior = model.prior()
    if len(model.layers) > 1 or not isinstance(prior, DiagonalNormal | Bernoulli):
        code = "a chain of layers" if len(model.layers) > 1 else f"codes with the prior {type(prior).__name__}"
        raise InputError(
            f"objective.free_bits: expected 0 for {code}, because the KL of each unit has no closed form; got "
            f"{objective.free_bits:g}"
        )
    if not estimator.supports_free_bits:
        raise InputError(
            f"objective.free_bits: expected 0 for the estimator {name!r}, whose gradient has no KL in closed form; got "
            f"{objective.free_bits:g}, which goes with {_listed(_able(model, objective, free_bits=True))}"
        )


def _able(model: LatentVariableModel, objective: Objective, free_bits: bool = False) -> list[str]:
    """Return the names of the estimators that are defined for an objective and the codes of a model."""
    from vaelab.estimators import ESTIMATORS  # this file is read before the table

    inference = "mean-field" if isinstance(model.posterior, MeanFieldPosterior) else "network"
    return [
        name
        for name, kind in ESTIMATORS.items()
        if model.code in kind.codes
        and objective.combination in kind.combinations
        and (kind.layered or len(model.layers) < 2)
        and kind.inference in ("any", inference)
        and (kind.supports_free_bits or not free_bits)
    ]


def _listed(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _check_inference(estimator: Estimator, model: LatentVariableModel) -> None:
    """Refuse a q(z|x) that the estimator cannot train."""
    is_field = isinstance(model.posterior, MeanFieldPosterior)
    if estimator.inference == "mean-field" and not is_field:
        raise InputError(
            f"estimator: {estimator.name!r} needs mean-field inference (model sbn, inference=mean-field); "
            f"the model's q(z|x) is a {type(model.posterior).__name__}"
        )
    learns = any(weight.requires_grad for weight in model.posterior.parameters())
    if estimator.inference == "network" and not learns:
        raise InputError(
            f"estimator: {estimator.name!r} trains a recognition network; q(z|x) of this model has no parameters "
            "(inference=mean-field goes with estimator.name=mean-field)"
        )

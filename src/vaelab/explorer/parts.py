"""A model as the page computes it: its prior, posterior and likelihood as JSON, their arrays in the tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn

from vaelab.distributions import FlowedNormal, FullNormal
from vaelab.distributions.flowed_normal import fixed_noise
from vaelab.errors import InputError
from vaelab.explorer.networks import Export, plain, same_forward
from vaelab.explorer.precision import choose_precision
from vaelab.explorer.tensors import Tensors
from vaelab.inference import MeanFieldPosterior
from vaelab.likelihoods import (
    BernoulliLikelihood,
    BottomLayer,
    CategoricalLikelihood,
    ColumnLikelihood,
    ContinuousBernoulliLikelihood,
    GaussianLikelihood,
    MultinomialLikelihood,
    ProductLikelihood,
    SharedGaussianLikelihood,
    TreeLikelihood,
)
from vaelab.models import LatentVariableModel
from vaelab.posteriors import (
    BernoulliPosterior,
    ChainPosterior,
    DeltaPosterior,
    FlowPosterior,
    FullPosterior,
    GaussianPosterior,
)
from vaelab.priors import (
    BernoulliPrior,
    ChainPrior,
    FlowPrior,
    GaussianPrior,
    MixturePrior,
    NormalMixturePrior,
    StandardisedFlowPrior,
    VampPrior,
)

__all__ = ["LIKELIHOODS", "POSTERIORS", "PRIORS", "describe"]

Json = dict[str, Any]
_COVARIANCES = 4_000_000  # numbers: 16 megabytes of the page
_OWN = ("conditional", "split", "log_density", "log_likelihood")  # methods with which the page computes


def describe(model: LatentVariableModel, tensors: Tensors, rows: Tensor | None = None) -> Json:
    """Return a model as JSON for the page, and store its arrays.

    Weights are int16 where that changes no probability by more than the tolerance of ``precision``, else float32.

    Args:
        model: the model.
        tensors: the store of arrays.
        rows: observations (B, X + Y) on which the change is measured; draws from the model if None.

    Raises:
        InputError: a part that the page cannot compute; the sentence names it and what can be computed.
    """
    kind = type(model)
    if own := [name for name in _OWN if getattr(kind, name) is not getattr(LatentVariableModel, name)]:
        raise InputError(
            f"explore: the page cannot compute a model whose {own[0]} is its own ({kind.__name__}.{own[0]}); it "
            "computes models that are a prior, a likelihood and a posterior"
        )
    _write(model, Export(Tensors()))  # before anything is measured: a part that cannot be computed is refused
    precision = choose_precision(model, rows)
    content = _write(model, Export(tensors, precision.coarseness))
    return {**content, "weights": "int16" if precision.coarseness else "float32", "deviation": precision.deviation}


def _write(model: LatentVariableModel, export: Export) -> Json:
    prior, posterior, likelihood = plain(model.prior), plain(model.posterior), plain(model.likelihood)
    return {
        "name": "" if model.built_with is None else model.built_with.name,
        "code": model.code,
        "ex_post": model.code == "point" or bool(model.ex_post_prior),
        "dim": model.latent_dim,
        "layers": list(model.layers) if len(model.layers) > 1 else [],
        "given": model.given,
        "missing": model.may_be_missing,
        "prior": _part(export, prior, PRIORS, "prior"),
        "posterior": _part(export, posterior, POSTERIORS, "posterior"),
        "likelihood": _likelihood(export, likelihood),
    }


def _part(export: Export, module: nn.Module, table: dict[type[nn.Module], Callable[..., Json]], part: str) -> Json:
    module = plain(module)
    for kind, write in table.items():
        if same_forward(module, kind):
            return write(export, module)
    raise _refused(part, module, table)


def _likelihood(export: Export, module: nn.Module) -> Json:
    """Return p(x|z), with the columns of x, and the number of columns of z that it reads if not the whole code."""
    if same_forward(module, BottomLayer):
        assert isinstance(module, BottomLayer)
        return {**_likelihood(export, plain(module.conditional)), "reads": module.sizes[0]}
    if not isinstance(module, ColumnLikelihood) or not same_forward(module, ColumnLikelihood):
        raise _refused("likelihood", module, LIKELIHOODS)
    numbers = _numbers(export, module)
    network = export.network(module.network, "likelihood")
    return {**numbers, "network": network, "size": module.spec.dim, "reads": None}


def _numbers(export: Export, module: nn.Module) -> Json:
    """Return how the numbers of a network become the parameters of a distribution."""
    for kind, write in LIKELIHOODS.items():
        if isinstance(module, kind) and type(module).distribution is kind.distribution:
            return {"kind": module.name, **write(export, module)}
    raise _refused("likelihood", module, LIKELIHOODS)


def _refused(part: str, module: nn.Module, known: Collection[type[nn.Module]]) -> InputError:
    names = ", ".join(kind.__name__ for kind in known)
    return InputError(f"explore: the page cannot compute the {part} {type(module).__name__}; it computes {names}")


def _mixture(export: Export, prior: Any) -> Json:
    prior()  # refused if it is not fitted yet
    return {"kind": "mixture", **{name: export.vector(array) for name, array in prior.arrays().items()}}


def _normal_mixture(export: Export, prior: Any) -> Json:
    with torch.no_grad():
        p = prior()
        if isinstance(p.components, FlowedNormal):
            raise InputError(
                "explore: the page cannot compute prior=vamp with posterior=flow; it computes prior=vamp with "
                "posterior=diagonal or full, and posterior=flow with the other priors"
            )
        count, size = p.components.loc.shape
        if count * size**2 > _COVARIANCES:
            raise InputError(
                f"explore: expected at most {_COVARIANCES:,} numbers in the covariances of the prior's components; got "
                f"{count:,} x {size:,} x {size:,}; train with a smaller prior_components or latent_dim"
            )
        factor = p.components.stddev.diag_embed()
        if isinstance(p.components, FullNormal):  # of a VampPrior
            factor = p.components.log_scale.exp().unsqueeze(-1) * p.components.factor
        covariances = factor @ factor.mT
    arrays = {"weights": p.log_weights.exp(), "means": p.components.loc, "covariances": covariances}
    return {"kind": "mixture", **{name: export.vector(array.detach()) for name, array in arrays.items()}}


def _flow(export: Export, prior: Any) -> Json:
    layers = [_flow_layer(export, prior.latent_dim, layer) for layer in prior.flow.transform.transforms]
    return {"kind": "flow", "dim": prior.latent_dim, "layers": layers, "units": None}


def _standardised_flow(export: Export, prior: Any) -> Json:
    prior()  # refused if it is not fitted yet
    return {**_flow(export, prior), "units": [export.vector(prior.shift), export.vector(prior.scale)]}


def _flow_layer(export: Export, inputs: int, layer: Any) -> Json:
    """Return a layer of a flow: the network of its parameters, or their constants if the code is one number."""
    if not hasattr(layer, "hyper"):
        return {"constants": export.vector(torch.cat(list(layer.phi), -1))}
    steps: list[Json] = []
    for part in layer.hyper:
        if not hasattr(part, "weight"):  # a class of zuko or of torch
            steps += export.program(part, "flow")
            continue
        weight = part.weight * getattr(part, "mask", 1)
        steps.append({"op": "linear", "weight": export.vector(weight.T), "bias": export.vector(part.bias)})
    network = {"inputs": inputs, "shift": None, "scale": None, "encode_mask": False, "layers": steps}
    return {"passes": getattr(layer, "passes", 1), "network": network}


def _chain_prior(export: Export, prior: Any) -> Json:
    conditionals = [_part(export, part, POSTERIORS, "prior") for part in prior.conditionals]
    top = _part(export, prior.top, PRIORS, "prior")
    return {"kind": "chain", "top": top, "conditionals": conditionals, "sizes": list(prior.layers)}


def _of_network(kind: str) -> Callable[[Export, Any], Json]:
    return lambda export, part: {"kind": kind, "network": export.network(part.network, "posterior")}


def _flow_posterior(export: Export, posterior: Any) -> Json:
    size = posterior.latent_dim
    context = posterior.network.outputs - 2 * size
    inputs = context if size == 1 else size + context
    return {
        **_of_network("flowed-normal")(export, posterior),
        "dim": size,
        "layers": [_flow_layer(export, inputs, layer) for layer in posterior.flow.layers],
        "noise": export.vector(fixed_noise(size)),
    }


def _chain_posterior(export: Export, posterior: Any) -> Json:
    conditionals = [_part(export, part, POSTERIORS, "posterior") for part in posterior.conditionals]
    return {"kind": "chain", "conditionals": conditionals, "sizes": list(posterior.layers)}


def _mean_field(export: Export, posterior: Any) -> Json:
    """Return the settings of the inference: it uses the weights of the prior and of the likelihood."""
    return {
        "kind": "mean-field",
        "field": posterior.field,
        "tolerance": posterior.tolerance,
        "sweeps": posterior.sweeps,
    }


def _groups(export: Export, likelihood: Any) -> Json:
    return {"groups": list(likelihood.groups.sizes)}


def _gaussian(export: Export, likelihood: Any) -> Json:
    p = likelihood.distribution(torch.zeros_like(likelihood.mean))  # of numbers that are zero: its mean is m
    deviation = likelihood.deviation.expand_as(likelihood.mean)
    return {
        "mean": export.vector(p.loc),
        "deviation": export.vector(deviation),
        "log_scale": export.vector(p.log_scale.expand_as(p.loc)),
    }


def _product(export: Export, likelihood: Any) -> Json:
    parts = [_numbers(export, part) for part in likelihood.parts.values()]
    columns = [likelihood.get_buffer(f"_columns_{number}") for number in range(len(parts))]
    return {"parts": [{**part, "columns": places.tolist()} for part, places in zip(parts, columns, strict=True)]}


def _tree(export: Export, likelihood: Any) -> Json:
    p = likelihood.distribution(torch.zeros(2 * likelihood.spec.dim, device=likelihood.parents.device))
    p.mean  # noqa: B018 - refused if the tree is not known
    forest = {"parents": p.forest.parents.tolist(), "order": p.forest.order.tolist()}
    return {"forest": forest, "changes": not likelihood.of_earlier}


# A part that the page computes: a row here, and one in ``web/engine/parts.js``.
PRIORS: dict[type[nn.Module], Callable[[Export, Any], Json]] = {
    GaussianPrior: lambda export, prior: {"kind": "normal", "dim": len(prior.zeros)},
    BernoulliPrior: lambda export, prior: {"kind": "bernoulli", "logits": export.vector(prior.logits)},
    MixturePrior: _mixture,
    NormalMixturePrior: _normal_mixture,
    VampPrior: _normal_mixture,
    StandardisedFlowPrior: _standardised_flow,
    FlowPrior: _flow,
    ChainPrior: _chain_prior,
}
POSTERIORS: dict[type[nn.Module], Callable[[Export, Any], Json]] = {
    GaussianPosterior: _of_network("normal"),
    BernoulliPosterior: _of_network("bernoulli"),
    DeltaPosterior: _of_network("delta"),
    FullPosterior: lambda export, part: {**_of_network("full-normal")(export, part), "dim": part.latent_dim},
    FlowPosterior: _flow_posterior,
    ChainPosterior: _chain_posterior,
    MeanFieldPosterior: _mean_field,
}
LIKELIHOODS: dict[type[ColumnLikelihood], Callable[[Export, Any], Json]] = {
    BernoulliLikelihood: lambda export, likelihood: {},
    CategoricalLikelihood: _groups,
    ContinuousBernoulliLikelihood: lambda export, likelihood: {},
    SharedGaussianLikelihood: _gaussian,
    GaussianLikelihood: _gaussian,
    MultinomialLikelihood: lambda export, likelihood: {"total": int(likelihood.total)},
    ProductLikelihood: _product,
    TreeLikelihood: _tree,
}

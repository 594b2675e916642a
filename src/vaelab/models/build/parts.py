"""The likelihood and the prior of a model: by name, built by a function, or as they are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from torch import nn

from vaelab.data import DataSpec
from vaelab.errors import InputError, require_choice, require_int
from vaelab.likelihoods import LIKELIHOODS, LikelihoodName
from vaelab.networks import Build

__all__ = ["Likelihood", "Prior", "build_likelihood", "build_prior"]

# A likelihood by name, a module, or a function from the size of the code, the data and a network to a module.
Likelihood = LikelihoodName | nn.Module | Callable[[int, DataSpec, Build], nn.Module]
Prior = nn.Module | Callable[[int], nn.Module]


def build_likelihood(likelihood: Likelihood, latent_dim: int, spec: DataSpec, network: Build) -> nn.Module:
    """Return a likelihood by name, built by a function, or as it is; it reads a code and what is given after it."""
    if isinstance(likelihood, nn.Module):
        return likelihood
    if not callable(likelihood):
        require_choice("likelihood", likelihood, ("auto", *LIKELIHOODS))
        likelihood = LIKELIHOODS[likelihood]
    part = likelihood(latent_dim + spec.given, spec, network)
    if not isinstance(part, nn.Module):
        raise InputError(f"likelihood: expected a torch module that returns a distribution; got {part!r}")
    return part


def build_prior(
    prior: str | Prior,
    table: Mapping[str, Callable[..., nn.Module]],
    latent_dim: int,
    components: int | None,
    posterior: nn.Module,
    spec: DataSpec,
) -> nn.Module:
    """Return a prior by its name in a table, built by a function, or as it is given.

    Raises:
        InputError: an unknown name, or a number of components below 1, or for a prior that has none.
    """
    takes: Mapping[str, object] = {}
    if not isinstance(prior, nn.Module) and not callable(prior):
        require_choice("prior", prior, table)
        takes = inspect.signature(table[prior]).parameters
    if components is not None:
        require_int("prior_components", components, 1)
        if "components" not in takes:
            able = " or ".join(name for name, row in table.items() if "components" in inspect.signature(row).parameters)
            got = repr(prior) if isinstance(prior, str) else "a prior of your own"
            raise InputError(f"prior_components: goes with prior={able}; got {components} and {got}")
    if isinstance(prior, nn.Module):
        return prior
    if callable(prior):
        return prior(latent_dim)
    offered = {"posterior": posterior, "spec": spec} | ({} if components is None else {"components": components})
    return table[prior](latent_dim, **{name: value for name, value in offered.items() if name in takes})

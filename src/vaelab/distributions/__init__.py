"""The distributions that networks return, each over vectors.

They are ``torch.distributions`` objects of event shape (D,), with a fast log-density for bits and closed-form
Kullback-Leibler divergences registered with ``torch.distributions.kl_divergence``. Networks may return torch's own
distributions too: ``as_vector`` converts those that have a class here.
"""

from __future__ import annotations

from vaelab.distributions.autoregressive import Autoregressive
from vaelab.distributions.bernoulli import Bernoulli
from vaelab.distributions.boltzmann import RestrictedBoltzmann
from vaelab.distributions.boltzmann_path import BoltzmannPath
from vaelab.distributions.categorical import Groups, OneHotCategorical
from vaelab.distributions.chain import Chain, log_factors
from vaelab.distributions.codes import Code, all_codes, codes_between, kind_of_code
from vaelab.distributions.continuous_bernoulli import ContinuousBernoulli
from vaelab.distributions.conversion import as_vector, detached, map_parameters
from vaelab.distributions.delta import Delta
from vaelab.distributions.divergence import by_unit, kl_by_unit
from vaelab.distributions.flow import Flow
from vaelab.distributions.flowed_normal import FlowedNormal
from vaelab.distributions.full_normal import FullNormal
from vaelab.distributions.hidden_tree import ExpectedCounts, HiddenTree
from vaelab.distributions.mixture import Mixture, Stacked
from vaelab.distributions.multinomial import Multinomial
from vaelab.distributions.normal import DiagonalNormal
from vaelab.distributions.observed import given_observed, observed_log_prob
from vaelab.distributions.product import Product
from vaelab.distributions.tree import Forest, Tree
from vaelab.distributions.vector import ParametricDistribution, Reparameterised, VectorDistribution

__all__ = [
    "Autoregressive",
    "Bernoulli",
    "BoltzmannPath",
    "Chain",
    "Code",
    "ContinuousBernoulli",
    "Delta",
    "DiagonalNormal",
    "ExpectedCounts",
    "Flow",
    "FlowedNormal",
    "Forest",
    "FullNormal",
    "Groups",
    "HiddenTree",
    "Mixture",
    "Multinomial",
    "OneHotCategorical",
    "ParametricDistribution",
    "Product",
    "Reparameterised",
    "RestrictedBoltzmann",
    "Stacked",
    "Tree",
    "VectorDistribution",
    "all_codes",
    "as_vector",
    "by_unit",
    "codes_between",
    "detached",
    "given_observed",
    "kind_of_code",
    "kl_by_unit",
    "log_factors",
    "map_parameters",
    "observed_log_prob",
]

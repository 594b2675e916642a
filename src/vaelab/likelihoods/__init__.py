"""Likelihoods p(x|z): modules whose ``forward(z)`` returns a distribution over observations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from torch import nn

from vaelab.likelihoods.auto import has_few_rows, has_rows_for_a_tree, likelihood_for
from vaelab.likelihoods.autoregressive import AutoregressiveLikelihood
from vaelab.likelihoods.bernoulli import BernoulliLikelihood
from vaelab.likelihoods.categorical import CategoricalLikelihood
from vaelab.likelihoods.chain import BottomLayer, columns_of
from vaelab.likelihoods.columns import ColumnLikelihood, Measure
from vaelab.likelihoods.continuous_bernoulli import ContinuousBernoulliLikelihood
from vaelab.likelihoods.gaussian import GaussianLikelihood, SharedGaussianLikelihood
from vaelab.likelihoods.multinomial import MultinomialLikelihood
from vaelab.likelihoods.product import ProductLikelihood
from vaelab.likelihoods.tree import TreeLikelihood

__all__ = [
    "LIKELIHOODS",
    "AutoregressiveLikelihood",
    "BernoulliLikelihood",
    "BottomLayer",
    "CategoricalLikelihood",
    "ColumnLikelihood",
    "ContinuousBernoulliLikelihood",
    "GaussianLikelihood",
    "LikelihoodName",
    "Measure",
    "MultinomialLikelihood",
    "ProductLikelihood",
    "SharedGaussianLikelihood",
    "TreeLikelihood",
    "columns_of",
    "has_few_rows",
    "has_rows_for_a_tree",
    "likelihood_for",
]

# The likelihoods that a model's option ``likelihood`` names, each built from the size of the code, the data and a
# function that builds a network from two sizes. The name ``auto`` stands for the one that suits the data.
LIKELIHOODS: dict[str, Callable[..., nn.Module]] = {
    "autoregressive": AutoregressiveLikelihood,
    "bernoulli": BernoulliLikelihood,
    "categorical": CategoricalLikelihood,
    "continuous-bernoulli": ContinuousBernoulliLikelihood,
    "gaussian": GaussianLikelihood,
    "gaussian-shared": SharedGaussianLikelihood,
    "multinomial": MultinomialLikelihood,
    "product": ProductLikelihood,
    "tree": TreeLikelihood,
}

if TYPE_CHECKING:
    LikelihoodName = str
else:
    LikelihoodName = Literal["auto", *LIKELIHOODS]  # the settings read the names of the table from here

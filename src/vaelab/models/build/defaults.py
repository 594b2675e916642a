"""The options of a model that the data choose: its likelihood and its dropout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaelab.data import Dataset, DataSpec
from vaelab.errors import require_list
from vaelab.likelihoods import has_few_rows, has_rows_for_a_tree, likelihood_for
from vaelab.models.build.networks import WIDTHS, takes

__all__ = ["auto_options"]

# Of which benchmarks/table_recipe.py measured it.
_MAY_HAVE_A_TREE = ("bernoulli-vae", "gaussian-vae")
_MAY_HAVE_DROPOUT, _DROPOUT = ("gaussian-vae",), 0.2
_GAIN_BY_DROPOUT = ("bernoulli", "tree")  # likelihoods; an autoregressive one loses


def auto_options(model: str, data: Dataset | DataSpec | int, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the data choose of a model's options: those of ``likelihood`` and ``dropout`` that are left to them.

    ``likelihood="auto"`` is that of the kinds of the columns (:func:`~vaelab.likelihoods.likelihood_for`), except for a
    gaussian-vae or a bernoulli-vae of a table of bits: with enough rows
    (:func:`~vaelab.likelihoods.has_rows_for_a_tree`) it is ``tree``. ``dropout=None`` of a gaussian-vae is 0.2 for a
    table of bits with few rows (:func:`~vaelab.likelihoods.has_few_rows`), where its network has hidden layers of
    units and the likelihood is ``bernoulli`` or ``tree``; otherwise 0. The rows of a spec are not known, and count as
    many.
    """
    found: dict[str, Any] = {}
    if options.get("likelihood") == "auto":
        has_tree = model in _MAY_HAVE_A_TREE and isinstance(data, Dataset) and has_rows_for_a_tree(data)
        found["likelihood"] = "tree" if has_tree else likelihood_for(DataSpec.of(data))
    if model in _MAY_HAVE_DROPOUT and options["dropout"] is None:
        network = options["network"]
        widths = require_list("hidden_dims", options["hidden_dims"], WIDTHS)
        has_units = isinstance(network, str) and takes(network, "dropout") and len(widths) > 0
        gains = found.get("likelihood", options["likelihood"]) in _GAIN_BY_DROPOUT
        is_few = isinstance(data, Dataset) and has_few_rows(data)
        found["dropout"] = _DROPOUT if has_units and gains and is_few else 0.0
    return found

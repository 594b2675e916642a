"""The options of all builders of models: ``data``, ``network``, ``likelihood``, ``prior`` and ``seed``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from vaelab.data import Dataset, DataSpec
from vaelab.errors import InputError, require_choice, require_int, require_list
from vaelab.likelihoods import (
    LIKELIHOODS,
    ColumnLikelihood,
    LikelihoodName,
    columns_of,
    has_few_rows,
    has_rows_for_a_tree,
    likelihood_for,
)
from vaelab.models.density import DensityModel
from vaelab.models.latent import LatentVariableModel
from vaelab.models.model import Model, building
from vaelab.models.saved import BuiltWith
from vaelab.networks import NETWORKS, Activation, Build, Dropout, NetworkName, Normalisation, standardised
from vaelab.priors import ChainPrior, VampPrior
from vaelab.seeds import seeded

__all__ = [
    "Likelihood",
    "Networks",
    "Prior",
    "auto_options",
    "bit_code_size",
    "build_likelihood",
    "build_prior",
    "builder",
    "building_again",
    "layer_sizes",
    "real_code_size",
    "start_prior",
]

P = ParamSpec("P")
M = TypeVar("M", bound=Model)
# A likelihood by name, a module, or a function from the size of the code, the data and a network to a module.
Likelihood = LikelihoodName | nn.Module | Callable[[int, DataSpec, Build], nn.Module]
Prior = nn.Module | Callable[[int], nn.Module]
_again: ContextVar[bool] = ContextVar("again", default=False)
# Of which benchmarks/table_recipe.py measured it.
_MAY_HAVE_A_TREE = ("bernoulli-vae", "gaussian-vae")
_MAY_HAVE_DROPOUT, _DROPOUT = ("gaussian-vae",), 0.2
_GAIN_BY_DROPOUT = ("bernoulli", "tree")  # likelihoods; an autoregressive one loses
_OF_EVERY_NETWORK = ("hidden_dims", "encoder_dims")  # of those with a name
_WIDTHS = "a list of layer widths, such as [200, 200]"
_OF_SOME_NETWORKS = ("activation", "normalisation", "dropout")
_LAYERS = {"normalisation": nn.LayerNorm | nn.GroupNorm, "dropout": Dropout}


def real_code_size(columns: int) -> int:
    """Return how many numbers a code has by default: half as many as columns, from 2 to 20."""
    return min(20, max(2, require_int("data", columns, 1) // 2))


def bit_code_size(columns: int) -> int:
    """Return how many bits a code has by default: as many as columns, from 2 to 200."""
    return min(200, max(2, require_int("data", columns, 1)))


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
        widths = require_list("hidden_dims", options["hidden_dims"], _WIDTHS)
        has_units = isinstance(network, str) and _takes(network, "dropout") and len(widths) > 0
        gains = found.get("likelihood", options["likelihood"]) in _GAIN_BY_DROPOUT
        is_few = isinstance(data, Dataset) and has_few_rows(data)
        found["dropout"] = _DROPOUT if has_units and gains and is_few else 0.0
    return found


def layer_sizes(layers: Sequence[int]) -> tuple[int, ...]:
    """Return the sizes of a code's layers, checked."""
    expected = "a list of layer sizes, such as [200, 200]"
    if not len(require_list("layers", layers, expected)):
        raise InputError(f"layers: expected {expected}; got {layers!r}")
    return tuple(require_int(f"layers[{index}]", size, 1) for index, size in enumerate(layers))


def builder(function: Callable[P, M]) -> Callable[P, M]:
    """Complete a function that builds a model.

    The function gets ``data`` as a :class:`~vaelab.data.DataSpec`, and what the data choose of its options
    (:func:`auto_options`), and draws its weights from ``seed``. Its parts may learn from the training rows of a data
    set. The model gets ``spec`` and, if it can be built again from plain values, ``built_with``. An option may be None
    only where None is its default, except inside :func:`building_again`.
    """
    signature = inspect.signature(function)
    name = function.__name__.replace("_", "-")

    @wraps(function)
    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}: {error}") from None  # as Python's own sentence names the function
        if not _again.get():
            _require_values(bound.arguments, signature)
        _check_network(bound.arguments, signature)
        bound.apply_defaults()
        data = bound.arguments["data"]
        spec = bound.arguments["data"] = DataSpec.of(data)
        bound.arguments.update(auto_options(name, data, bound.arguments))
        options = {name: value for name, value in bound.arguments.items() if name not in ("data", "seed")}
        with building(name):
            with seeded(bound.arguments["seed"], "weights"):
                model = function(*bound.args, **bound.kwargs)
                if isinstance(data, Dataset):
                    _learn_from(model, data)
            if isinstance(model, LatentVariableModel):
                _check_hidden_layers(model, options)
            if spec.may_be_missing:
                model.allow_missing()
        model.spec, model.built_with = spec, _recipe(name, options)
        return model

    return build


@contextmanager
def building_again() -> Iterator[None]:
    """Accept None for every option inside the block, as earlier versions did: models that they saved have it."""
    token = _again.set(True)
    try:
        yield
    finally:
        _again.reset(token)


def _learn_from(model: Model, data: Dataset) -> None:
    """Let the parts of a new model learn from the training rows what they can before the training."""
    part = columns_of(model.likelihood) if isinstance(model, LatentVariableModel) else model
    if isinstance(part, ColumnLikelihood | DensityModel):
        part.learn_from(data)
    if isinstance(model, LatentVariableModel):
        start_prior(model, data)


def start_prior(model: LatentVariableModel, data: Dataset) -> None:
    """Start the pseudo-inputs of a new VampPrior at training rows, if they are values of x; other priors stay."""
    reads_x = isinstance(model.prior, ChainPrior) and len(model.layers) == 1  # the posterior of the top layer
    prior = model.prior.top if reads_x else model.prior
    if isinstance(prior, VampPrior):
        prior.learn_from(data)


def _require_values(given: Mapping[str, Any], signature: inspect.Signature) -> None:
    """Refuse None for an option whose default is a value."""
    for name, value in given.items():
        default = signature.parameters[name].default
        if value is None and default is not None and default is not inspect.Parameter.empty:
            raise InputError(f"{name}: expected a value, such as {default!r}; got None")


def _check_network(given: Mapping[str, Any], signature: inspect.Signature) -> None:
    """Refuse options of a named network beside one that does not have them, or beside a network of the user's own."""
    network = given.get("network", "mlp")
    if isinstance(network, nn.Module):
        raise InputError(
            "network: expected a name, or a function from the sizes of input and output to a module, which is called "
            f"for the encoder and for the decoder; got the module {type(network).__name__}"
        )
    if callable(network):
        for name in (*_OF_EVERY_NETWORK, *_OF_SOME_NETWORKS):
            if name in given:
                raise InputError(
                    f"{name}: goes with a network by name ({', '.join(NETWORKS)}); a function that builds a network "
                    "decides this itself"
                )
        return
    require_choice("network", network, NETWORKS)
    for name in _OF_SOME_NETWORKS:
        if name in given and given[name] != signature.parameters[name].default and not _takes(network, name):
            able = ", ".join(other for other in NETWORKS if _takes(other, name))
            raise InputError(f"{name}: goes with network={able}; {network} has none; got {given[name]!r}")


def _takes(network: str, option: str) -> bool:
    return option in inspect.signature(NETWORKS[network]).parameters


def _check_hidden_layers(model: LatentVariableModel, options: Mapping[str, Any]) -> None:
    """Refuse options of hidden layers in a model without such layers."""
    for name, off in (("normalisation", "none"), ("dropout", 0)):
        if options.get(name, off) != off and not any(isinstance(part, _LAYERS[name]) for part in model.modules()):
            raise InputError(
                f"{name}: expected hidden layers (hidden_dims); got {options[name]!r} and a model without hidden layers"
            )


def _recipe(name: str, options: Mapping[str, Any]) -> BuiltWith | None:
    """Return how a model was built; None if an option is a module or a function, which no file can hold."""
    try:
        return BuiltWith(name, {option: _plain(value) for option, value in options.items()})
    except TypeError:
        return None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Sequence):
        return [_plain(part) for part in value]
    number = value.item() if hasattr(value, "item") else value  # of NumPy
    if not isinstance(number, int | float):
        raise TypeError
    return number


@dataclass(frozen=True)
class Networks:
    """The networks of a model: of x, to x, and between the layers of a code.

    ``hidden_dims`` of a map are given from x upwards; a network in the other direction has them in reverse. Networks of
    x get it centred at the mean of the data, real numbers and counts in units of their standard deviations, and with
    ``encode_mask`` which of its values are observed. Codes of bits are read as -1 and +1.
    """

    spec: DataSpec
    network: NetworkName | Build
    activation: Activation
    encode_mask: bool = False
    bits: bool = False
    normalisation: Normalisation = "none"
    dropout: float = 0.0

    @property
    def inputs(self) -> tuple[int, ...]:
        """The size of what the encoder reads: of an observation, or of a row with what is given."""
        return (self.spec.dim + self.spec.given,) if self.spec.given else self.spec.event_shape

    def encoder(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network of x, and of what is given with it."""
        shift = 0.0 if self.spec.mean is None else torch.cat([self.spec.mean, torch.zeros(self.spec.given)])
        return standardised(self._build(self.network, hidden_dims), shift, self._scale, self.encode_mask)

    def decoder(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network from a code to x."""
        return self._of_code(self._build(self.network, _reverse(hidden_dims)))

    def upwards(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network from a layer of the code to the layer above."""
        return self._of_code(self._build(self._inner, hidden_dims))

    def downwards(self, hidden_dims: Sequence[int]) -> Build:
        """Return what builds a network from a layer of the code to the layer below."""
        return self._of_code(self._build(self._inner, _reverse(hidden_dims)))

    @property
    def _scale(self) -> Tensor | float:
        """The factor of each centred input: for real numbers and counts 1 over their standard deviation."""
        numbers = [slice(start, stop) for kind, start, stop in self.spec.groups if kind in ("real", "count")]
        if not numbers:
            return 1.0
        scale, deviation = torch.ones(self.spec.dim + self.spec.given), self.spec.deviation
        if deviation is not None:
            for columns in numbers:
                scale[columns] = torch.where(deviation[columns] > 0, deviation[columns], 1).reciprocal()
        return scale

    @property
    def _inner(self) -> NetworkName | Build:
        """The network between layers of a code, which are vectors: instead of one for images an MLP."""
        if isinstance(self.network, str) and getattr(NETWORKS[self.network], "for_images", False):
            return "mlp"
        return self.network

    def _build(self, network: NetworkName | Build, hidden_dims: Sequence[int]) -> Build:
        if not isinstance(network, str):
            return network
        if getattr(NETWORKS[network], "for_images", False) and len(self.spec.event_shape) == 1:
            raise InputError(
                f"network: {network!r} expects data with an image shape, such as (28, 28); these data are a table of "
                f"{self.spec.dim} columns; network=mlp works for any data"
            )
        options = {name: getattr(self, name) for name in _OF_SOME_NETWORKS if _takes(network, name)}
        return partial(NETWORKS[network], hidden_dims=hidden_dims, **options)

    def _of_code(self, build: Build) -> Build:
        return standardised(build, 0.5, 2.0) if self.bits else standardised(build)


def _reverse(hidden_dims: Sequence[int]) -> Sequence[int]:
    """Return the widths of the hidden layers in the other direction."""
    return require_list("hidden_dims", hidden_dims, _WIDTHS)[::-1]


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

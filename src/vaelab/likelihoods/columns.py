"""The base of vaelab's likelihoods: a network of z returns one number for each column of x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.data import Dataset, DataSpec
from vaelab.data.variables import ColumnKind
from vaelab.errors import InputError
from vaelab.networks import MLP, Build, Size, build_network, output_bias

__all__ = ["ColumnLikelihood", "Measure"]

# What log p(x|z) is the logarithm of; numbers of different measures do not compare.
Measure = Literal["probability", "density", "probability given the sum", "probability and density"]

_WORDS: dict[ColumnKind, str] = {
    "binary": "bits",
    "categorical": "levels, one column each",
    "unit": "real numbers in [0, 1]",
    "real": "real numbers",
    "count": "counts",
}


class ColumnLikelihood(nn.Module, ABC):
    """p(x|z) of some kinds of columns: a network of z returns X numbers, and they are the parameters of p(x|z).

    A subclass says in ``name`` what it is called, in ``kinds`` which columns it is for, in ``by_groups`` whether it
    depends on how they are grouped, in ``has_marginals`` whether some columns have a density without the others, in
    ``measure`` what p(x|z) is, in ``numbers`` how many numbers of the network each column has: of several, the first of
    all columns come first. It turns the numbers into a distribution (:meth:`distribution`), and may say where they
    start (:meth:`start`). It may have parameters of its own, and learn from the training rows before the training
    (:meth:`learn_from`). Where the data have a mean, and the network ends in a bias for each number, that bias starts
    there.

    Args:
        latent_dim: size of the code D.
        data: the data set, its spec, or the number of columns X.
        network: from the sizes of input and output to a module; a linear map by default. None if another module has the
            network, and this one is a part of it, such as of a :class:`ProductLikelihood`.

    Raises:
        InputError: columns of another kind.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[ColumnKind, ...]]
    by_groups: ClassVar[bool] = False
    has_marginals: ClassVar[bool] = True
    numbers: ClassVar[int] = 1
    measure: Measure = "probability"

    def __init__(self, latent_dim: Size, data: Dataset | DataSpec | int, network: Build | None = MLP) -> None:
        super().__init__()
        self.spec = spec = DataSpec.of(data)
        self._require_kinds(spec)
        self.network = None if network is None else build_network(network, latent_dim, self._outputs)
        self.start_at(self.start(spec))

    @property
    def _outputs(self) -> tuple[int, ...]:
        """The size of what the network returns: of an image with several numbers per pixel, as many planes."""
        shape = self.spec.event_shape
        if self.numbers == 1:
            return shape
        return (self.numbers, *shape) if len(shape) > 1 else (self.numbers * self.spec.dim,)

    @abstractmethod
    def distribution(self, numbers: Tensor) -> Distribution:
        """Return p(x|z) for the numbers of each code, (..., X): batch shape (...), event shape (X,)."""

    @classmethod
    def start(cls, spec: DataSpec) -> Tensor | None:
        """Return the numbers (X,) for which the mean of p(x|z) is that of the data; None if the mean is not known."""
        return None

    def at_moments(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """Return the numbers (X,) for which p(x) has this mean, and take on these standard deviations if it has any.

        Of bits and levels they are exact; others are clipped as where a network starts.
        """
        numbers = self.start(replace(self.spec, mean=mean, deviation=deviation))
        if numbers is None:
            raise InputError(f"likelihood: expected one whose mean can be chosen; {self.name} is none")
        return numbers

    def start_at(self, numbers: Tensor | None) -> None:
        """Give the bias of the network these numbers, if it ends in one for each of them."""
        bias = None if self.network is None else output_bias(self.network)
        if bias is not None and numbers is not None and bias.shape == numbers.shape:
            with torch.no_grad():
                bias.copy_(numbers)

    def learn_from(self, data: Dataset) -> None:
        """Learn from the training rows what the training does not change; most likelihoods learn nothing."""

    def forward(self, z: Tensor) -> Distribution:
        """Return p(x|z) for codes of shape (..., D): batch shape (...), event shape (X,)."""
        return self.distribution(z if self.network is None else self.network(z))

    def require_columns(self, spec: DataSpec) -> None:
        """Raise an :class:`~vaelab.errors.InputError` for data whose columns are not those that it is built for."""
        self._require_kinds(spec)
        if self.by_groups and spec.groups != self.spec.groups:
            expected, got = (_described(part) for part in (self.spec, spec))
            raise InputError(
                f"likelihood: expected the columns that {self.name} is built for, {expected}; the data have {got}"
            )

    def _require_kinds(self, spec: DataSpec) -> None:
        """Refuse columns of another kind, with the choices for them."""
        for kind, start, _ in spec.groups:
            if kind in self.kinds:
                continue
            several = len(spec.groups) > 1 and spec.columns is not None
            which = f"column {spec.columns[start]!r} has" if several and spec.columns is not None else "the data have"
            way = ""
            if spec.kind == "grey":
                way = "; or binarise the grey levels: binarisation=dynamic, static or threshold"
            elif spec.kind == "binary" and spec.columns is None:
                way = "; for X columns of numbers give DataSpec((X,), kind='real') as data"
            raise InputError(
                f"likelihood: {self.name} is for {' or '.join(_WORDS[kind] for kind in self.kinds)}, and {which} "
                f"{_WORDS[kind]}; expected {_CHOICES[kind]}, or auto, which chooses by the kinds of the columns{way}"
            )


def _described(spec: DataSpec) -> str:
    """Return the kinds of the first groups of columns, with the number of their columns."""
    parts = [f"{kind} ({stop - start})" for kind, start, stop in spec.groups[:6]]
    return ", ".join(parts) + (", ..." if len(spec.groups) > 6 else "")


# What each kind of column can have as its likelihood, in words for an error.
_CHOICES: dict[ColumnKind, str] = {
    "binary": "bernoulli, tree or autoregressive",
    "categorical": "categorical (product, if there are other columns too)",
    "unit": "continuous-bernoulli, gaussian or gaussian-shared",
    "real": "gaussian or gaussian-shared",
    "count": "multinomial, gaussian or gaussian-shared",
}

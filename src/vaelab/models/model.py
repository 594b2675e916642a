"""What every model of observations has: its data, its checks, its samples; with codes or without."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data import DataSpec, Split
from vaelab.data.variables import require_same_columns, require_same_levels
from vaelab.distributions import ParametricDistribution, observed_log_prob
from vaelab.errors import InputError, shown
from vaelab.inputs import as_observations
from vaelab.models.pretrained import Pretrained

__all__ = ["Model", "SampleKind", "building", "require_model", "statistic"]

SampleKind = Literal["draw", "mean", "mode"]
_log = logging.getLogger("vaelab")
_being_built: ContextVar[str | None] = ContextVar("being_built", default=None)


@contextmanager
def building(name: str) -> Iterator[None]:
    """Give the models that are made meanwhile the name of a row of the table of models, which errors then state.

    Of a builder that calls another one the outer name counts, which is that of the model in the end.
    """
    token = _being_built.set(_being_built.get() or name)
    try:
        yield
    finally:
        _being_built.reset(token)


class Model(Pretrained, ABC):
    """A model of observations: a :class:`LatentVariableModel`, or a :class:`DensityModel`, which has no codes.

    ``given`` is the number of columns that a conditional model is given after those of x, and ``may_be_missing`` says
    whether NaN in x marks a missing value.
    """

    given: int = 0
    may_be_missing: bool = False
    where_missing: ClassVar[str] = "they are left out of log p(x)"

    @property
    def name(self) -> str:
        """What the model is called: its name in the table of models, or that of its class."""
        if self.built_with is not None:
            return self.built_with.name
        return _being_built.get() or type(self).__name__

    @property
    def known_options(self) -> Mapping[str, Any]:
        """The options that it was built with, as far as they are known."""
        return {} if self.built_with is None else self.built_with.options

    @property
    def any_weight(self) -> Tensor:
        """Any weight: it has the type and the device to which observations are brought."""
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.is_floating_point():
                return tensor
        return torch.zeros(())

    @property
    @abstractmethod
    def data_dim(self) -> int:
        """The columns X + Y of a row that the model gets."""

    @property
    def spec_of_columns(self) -> DataSpec | None:
        """What is known of the columns of x."""
        return self.spec

    def observations(self, x: object) -> Tensor:
        """Return observations of any kind of number (B, X) in the model's type, checked.

        Raises:
            InputError: no table of numbers, numbers that the columns cannot have (of bits outside [0, 1]), a tensor on
                another device, or NaN in a model that does not allow missing values.
        """
        rows = as_observations(x, self.any_weight, "", self.may_be_missing, self.spec_of_columns)
        checked = self.given and self.may_be_missing and not torch.compiler.is_compiling()
        if checked and bool(rows[:, -self.given :].isnan().any()):
            raise InputError(
                f"x: expected the {self.given} columns that the model is given, the last ones, in every row; got NaN"
            )
        return rows

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the observations and what is given with them: rows (..., X + Y) as (..., X) and (..., Y)."""
        if not self.given:
            return x, x[..., :0]
        return x[..., : -self.given], x[..., -self.given :]

    def allow_missing(self) -> Self:
        """Let values of x be missing: NaN in x is left out of the density.

        Raises:
            InputError: a model that has no density of some of the columns.
        """
        self.may_be_missing = True
        if self.spec is not None:
            self.spec = replace(self.spec, may_be_missing=True)
        return self

    def accept(self, spec: DataSpec) -> None:
        """Prepare for data of this form: missing values are allowed, and said in the log, if the data have some.

        Raises:
            InputError: data that do not give with each row what the model is given, or whose columns are of kinds that
                it is not for, or have other names, another order or other levels.
        """
        self._require_columns(spec)
        self.require_same_table(spec)
        built_for = None if self.spec is None else self.spec.condition
        if spec.given != self.given or (built_for is not None and built_for != spec.condition):
            names = [built_for.words if built_for is not None else self.given or None]
            got = None if spec.condition is None else spec.condition.words
            raise InputError(
                f"condition: expected {names[0]}, for which the model was built; the data have {got}; "
                "data.with_condition(...) changes it"
            )
        if spec.may_be_missing and not self.may_be_missing:
            self.allow_missing()
            _log.warning("values are missing, but the model was built for complete data: %s", self.where_missing)

    def require_same_table(self, data: DataSpec | Split) -> None:
        """Refuse data whose columns have other names, another order or other levels than those of the model.

        Raises:
            InputError: such data. Columns without names, of the data or of the model, are matched by place.
        """
        if self.spec is not None:
            require_same_levels(self.spec.variables, data.variables, self.spec.columns)
            require_same_columns(self.spec.columns, data.columns)

    @abstractmethod
    def _require_columns(self, spec: DataSpec) -> None:
        """Raise an InputError for data whose columns are not those that the model is for."""

    @abstractmethod
    def sample(self, n: int, kind: SampleKind = "draw", seed: int | None = None, given: object = None) -> Tensor:
        """Return n observations that the model makes, shape (n, X)."""

    def log_density(self, distribution: Distribution, x: Tensor) -> Tensor:
        """Return the log-density of observations x (B, X) under a distribution over them; of the observed values alone.

        The shape is that of the distribution's batch and the B rows, broadcast: (K, B) for p(x|z) of K codes.
        """
        if distribution.event_shape != x.shape[-1:]:
            raise InputError(
                f"x: expected {distribution.event_shape[0]} columns, as {self._density} of the model has; got "
                f"{x.shape[-1]}"
            )
        if not isinstance(distribution, ParametricDistribution):  # some, such as flows, do not broadcast the value
            x = x.expand(*torch.broadcast_shapes(distribution.batch_shape, x.shape[:-1]), -1)
        log_density: Tensor = observed_log_prob(distribution, x) if self.may_be_missing else distribution.log_prob(x)
        return log_density

    _density: ClassVar[str] = "p(x)"


def require_model(model: object) -> Model:
    """Return a model, or raise an :class:`~vaelab.errors.InputError` for anything else."""
    if not isinstance(model, Model):
        raise InputError(
            f"model: expected a model, such as gaussian_vae(data) or vaelab.load(path); got {shown(model)}"
        )
    return model


def statistic(part: str, distribution: Distribution, name: str) -> Tensor:
    """Return the mean or the mode of a distribution, or refuse one that torch has none of."""
    try:
        value: Tensor = getattr(distribution, name)
    except NotImplementedError:
        kind = type(distribution).__name__
        raise InputError(f"{part}: expected a distribution whose {name} is known; {kind} has no {name}") from None
    return value

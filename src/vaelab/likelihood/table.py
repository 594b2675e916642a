"""The table of likelihood estimates. A new one is a function in a file of this folder, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from vaelab.errors import InputError
from vaelab.inference import MAX_BITS
from vaelab.likelihood.ais import annealed_importance
from vaelab.likelihood.contract import BoundEstimate, Effort
from vaelab.likelihood.elbo import elbo
from vaelab.likelihood.exact import exact, require_few_bits
from vaelab.likelihood.gap import annealed_gap
from vaelab.likelihood.importance import importance_weighted
from vaelab.likelihood.prior import prior_average
from vaelab.likelihood.quadrature import quadrature, require_small_code
from vaelab.models import DensityModel, LatentVariableModel, Model

__all__ = ["BOUNDS", "Bound", "BoundName", "of_density"]

_MOST = 10  # codes of the ELBO: more only reduce its noise, and the average over observations needs few
_MOVE = {"real": 10.0, "bits": 2.5}  # work of a move of a chain, measured on MNIST, in codes drawn
_GRID = 150  # work of a numerical integration, measured on MNIST, in codes drawn per observation


@dataclass(frozen=True)
class Bound:
    """A row of the table: an estimate of log p(x), or a bound on it.

    Attributes:
        name: what users type.
        estimate: the function, with the signature of ``contract``; some have further arguments.
        formula: its formula, in LaTeX, for the documentation.
        is_bound: in what sense it is a bound, for the documentation.
        default: whether an evaluation includes it unless others are asked for.
        samples: the codes that it draws for each observation; None where it draws none.
        options: further arguments of the function.
        named_after: the effort that is part of its name, because its expectation depends on it; None for none.
        work: the work of the estimate, in codes that are drawn for each observation.
        check: raises an :class:`~vaelab.errors.InputError` for a model with codes that it is not defined for.
    """

    name: str
    estimate: Callable[..., BoundEstimate]
    formula: str
    is_bound: str
    work: Callable[[LatentVariableModel, Effort], float]
    default: bool = False
    samples: Callable[[Effort], int] | None = None
    options: Callable[[Effort], dict[str, Any]] = lambda effort: {}
    named_after: Literal["samples", "temperatures"] | None = None
    check: Callable[[LatentVariableModel], object] = LatentVariableModel.require_likelihood

    def require(self, model: Model) -> None:
        """Raise an :class:`~vaelab.errors.InputError` for a model that it is not defined for."""
        if isinstance(model, LatentVariableModel):
            self.check(model)
        elif isinstance(model, DensityModel) and self.name != (own := of_density(model)):
            why = "known" if model.is_exact else "known but for its log Z"
            raise InputError(
                f"bound: expected {own}, as {model.name} has no codes and its log p(x) is {why}; got {self.name!r}"
            )

    def effort_of(self, model: Model, effort: Effort) -> float:
        """Return the work for a model, in codes that are drawn for each observation; 1 without codes."""
        return self.work(model, effort) if isinstance(model, LatentVariableModel) else 1.0

    def label(self, effort: Effort) -> str:
        """Return the name of the number, such as ``iwae-100``."""
        return self.name if self.named_after is None else f"{self.name}-{getattr(effort, self.named_after)}"


def of_density(model: DensityModel) -> str:
    """Return the name of the one estimate that a density model has: of its log p(x), or of the constant in it."""
    return "exact" if model.is_exact else "ais"


def _enumeration(model: LatentVariableModel, effort: Effort) -> float:
    """A code that all observations share takes about a twentieth of the work of one that is drawn for each."""
    return max(1.0, 2.0 ** min(model.latent_dim, MAX_BITS) / 20)


BOUNDS: dict[str, Bound] = {
    bound.name: bound
    for bound in (
        Bound(
            "elbo",
            elbo,
            r"$\frac{1}{K}\sum_k \log p(x\mid z_k) - \operatorname{KL}[q \,\Vert\, p]$ with $z_k \sim q(z\mid x)$",
            "lower bound, in expectation",
            work=lambda model, effort: min(effort.samples, _MOST),
            default=True,
            samples=lambda effort: min(effort.samples, _MOST),
        ),
        Bound(
            "iwae",
            importance_weighted,
            r"$\log \frac{1}{K}\sum_k p(x, z_k)/q(z_k\mid x)$ with $z_k \sim q(z\mid x)$",
            "lower bound in expectation, tighter as $K$ grows",
            work=lambda model, effort: effort.samples,
            default=True,
            samples=lambda effort: effort.samples,
            named_after="samples",
        ),
        Bound(
            "prior",
            prior_average,
            r"$\log \frac{1}{K}\sum_k p(x\mid z_k)$ with $z_k \sim p(z)$",
            "lower bound in expectation; do not quote it",
            work=lambda model, effort: effort.samples,
            samples=lambda effort: effort.samples,
            named_after="samples",
        ),
        Bound(
            "ais",
            annealed_importance,
            r"$\log \frac{1}{K}\sum_k \prod_i [p(x, z_{ki})/q(z_{ki}\mid x)]^{t_i - t_{i-1}}$ along a path from "
            r"$q(z\mid x)$ to $p(x, z)$",
            "lower bound in expectation, tighter with more temperatures",
            work=lambda model, effort: _MOVE[model.code] * effort.chains * effort.temperatures,
            samples=lambda effort: effort.chains,
            options=lambda effort: {"temperatures": effort.temperatures, "start": effort.start},
            named_after="temperatures",
        ),
        Bound(
            "ais-gap",
            annealed_gap,
            r"$-\log \frac{1}{K}\sum_k 1/w_k' - \log \frac{1}{K}\sum_k w_k$, with $w_k$ of `ais`, $w_k'$ of the same "
            r"path backwards, for $x \sim p(x)$",
            "no: at least 0 in expectation; a bound on the error of `ais`, on rows that the model draws",
            work=lambda model, effort: 2 * _MOVE[model.code] * effort.chains * effort.temperatures,
            samples=lambda effort: effort.chains,
            options=lambda effort: {"temperatures": effort.temperatures, "start": effort.start},
            named_after="temperatures",
        ),
        Bound(
            "exact",
            exact,
            r"$\log p(x)$ of a density model, or $\log \sum_z p(z)\,p(x\mid z)$",
            r"$\log p(x)$ itself; only for density models and at most 20 bits",
            work=_enumeration,
            check=require_few_bits,
        ),
        Bound(
            "quadrature",
            quadrature,
            r"$\log \int p(z)\,p(x\mid z)\,dz$ on a grid, or over points spread over $p(z)$",
            r"$\log p(x)$ itself, up to the error that is reported with it; only for codes of at most 4 real numbers",
            work=lambda model, effort: _GRID,
            check=require_small_code,
        ),
    )
}

if TYPE_CHECKING:
    BoundName = str
else:
    BoundName = Literal[tuple(BOUNDS)]

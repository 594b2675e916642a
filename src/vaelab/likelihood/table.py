"""The table of likelihood estimates. A new one is a function in a file of this folder, and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from vaelab.inference import MAX_BITS
from vaelab.likelihood.contract import BoundEstimate, Callback, Observed
from vaelab.likelihood.elbo import elbo
from vaelab.likelihood.exact import exact, require_few_bits
from vaelab.likelihood.importance import importance_weighted
from vaelab.likelihood.prior import prior_average
from vaelab.likelihood.quadrature import quadrature, require_small_code
from vaelab.models import LatentVariableModel

__all__ = ["BOUNDS", "Bound", "BoundName"]

_MOST = 10  # codes of the ELBO: more only reduce its noise, and the average over observations needs few
_GRID = 150  # work of a numerical integration, measured on MNIST, in codes drawn per observation


class EstimateFunction(Protocol):
    """The signature of every likelihood estimate."""

    def __call__(
        self,
        model: LatentVariableModel,
        observed: Observed,
        samples: int = 1,
        seed: int = 0,
        callback: Callback | None = None,
    ) -> BoundEstimate: ...


@dataclass(frozen=True)
class Bound:
    """A row of the table: an estimate of log p(x), or a bound on it.

    Attributes:
        name: what users type.
        estimate: the function.
        formula: its formula, in LaTeX, for the documentation.
        is_bound: in what sense it is a bound, for the documentation.
        default: whether an evaluation includes it unless others are asked for.
        samples: the codes that it draws, of the K asked for; None where it draws none.
        named_after_samples: whether K is part of its name, because its expectation depends on K.
        work: the work of the estimate, in codes that are drawn for each observation.
        check: raises an :class:`~vaelab.errors.InputError` for a model that it is not defined for.
    """

    name: str
    estimate: EstimateFunction
    formula: str
    is_bound: str
    work: Callable[[LatentVariableModel, int], float]
    default: bool = False
    samples: Callable[[int], int] | None = None
    named_after_samples: bool = False
    check: Callable[[LatentVariableModel], object] = LatentVariableModel.require_likelihood

    def label(self, samples: int | str) -> str:
        """Return the name of the number for K ``samples``, such as ``iwae-100``."""
        return f"{self.name}-{samples}" if self.named_after_samples else self.name


def _enumeration(model: LatentVariableModel, samples: int) -> float:
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
            work=lambda model, samples: min(samples, _MOST),
            default=True,
            samples=lambda samples: min(samples, _MOST),
        ),
        Bound(
            "iwae",
            importance_weighted,
            r"$\log \frac{1}{K}\sum_k p(x, z_k)/q(z_k\mid x)$ with $z_k \sim q(z\mid x)$",
            "lower bound in expectation, tighter as $K$ grows",
            work=lambda model, samples: samples,
            default=True,
            samples=lambda samples: samples,
            named_after_samples=True,
        ),
        Bound(
            "prior",
            prior_average,
            r"$\log \frac{1}{K}\sum_k p(x\mid z_k)$ with $z_k \sim p(z)$",
            "lower bound in expectation; do not quote it",
            work=lambda model, samples: samples,
            samples=lambda samples: samples,
            named_after_samples=True,
        ),
        Bound(
            "exact",
            exact,
            r"$\log \sum_z p(z)\,p(x\mid z)$",
            r"$\log p(x)$ itself; only for at most 20 bits",
            work=_enumeration,
            check=require_few_bits,
        ),
        Bound(
            "quadrature",
            quadrature,
            r"$\log \int p(z)\,p(x\mid z)\,dz$ on a grid",
            r"$\log p(x)$ itself, up to the error of the grid; only for codes of one or two real numbers",
            work=lambda model, samples: _GRID,
            check=require_small_code,
        ),
    )
}

if TYPE_CHECKING:
    BoundName = str
else:
    BoundName = Literal[tuple(BOUNDS)]

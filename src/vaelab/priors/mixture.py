"""A density for the codes of a deterministic auto-encoder: a Gaussian mixture, fitted after training."""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vaelab.distributions import Code
from vaelab.errors import InputError, require_choice, require_int, require_list

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

__all__ = ["CANDIDATES", "Covariance", "MixturePrior"]

Covariance = Literal["full", "diag"]
CANDIDATES = (10, 20, 30, 40)  # numbers of components with which a search for the lowest BIC begins
_log = logging.getLogger("vaelab")
_MOST, _CODES_EACH = 100, 10  # largest number of components of a search, and codes per component
_STARTS, _FEW = 3, 10_000  # starts of a fit, and codes on which they are compared and the best converges first,
_FIRST = 0.1  # until an iteration gains so many nats of those codes together
_TOLERANCE, _ITERATIONS = 0.2, 2000  # the same of all codes at the end; most iterations
_ROUGH, _CLOSE = 1.0, 200  # the same of a rough fit, and how near to the lowest BIC it has to come to be gone on with


class MixturePrior(nn.Module):
    """`p(z) = sum_c pi_c N(z; mu_c, Sigma_c)`, fitted to training codes by expectation-maximisation.

    Args:
        latent_dim: code size D.
        components: how many components, or several numbers of which the lowest BIC chooses. Where the largest of
            several is the best, larger ones are tried, by half as many more, up to 100 and a tenth of the codes; where
            the smallest is, its halves.
        covariance: ``full`` matrices or ``diag``.

    The fit is scikit-learn's ``GaussianMixture``; what is kept are arrays (``weights`` (C,), ``means``
    (C, D), ``covariances`` (C, D, D)), never a pickle. Sources: Dempster, Laird & Rubin (1977),
    https://doi.org/10.1111/j.2517-6161.1977.tb01600.x; ex-post density: Ghosh et al. (2020),
    https://arxiv.org/abs/1903.12436; BIC: Schwarz (1978), https://doi.org/10.1214/aos/1176344136.

    >>> codes = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> prior = MixturePrior(2, components=[1, 4])
    >>> bic = prior.fit(codes)
    >>> prior().event_shape, min(bic, key=bic.get)
    (torch.Size([2]), 1)
    """

    code: ClassVar[Code] = "point"
    weights: Tensor
    means: Tensor
    covariances: Tensor

    def __init__(
        self, latent_dim: int, components: int | Sequence[int] = (10,), covariance: Covariance = "full"
    ) -> None:
        super().__init__()
        self.latent_dim = require_int("latent_dim", latent_dim, 1)
        expected = "an integer or a list of integers"
        candidates = (
            [components] if isinstance(components, Integral) else require_list("components", components, expected)
        )
        if not candidates:
            raise InputError(f"components: expected {expected}; got an empty list")
        self.candidates = sorted({require_int("components", count, 1) for count in candidates})
        require_choice("covariance", covariance, get_args(Covariance))
        self.covariance: Covariance = covariance
        for name, shape in self._shapes(0).items():
            self.register_buffer(name, torch.empty(shape), persistent=False)

    def _shapes(self, count: int) -> dict[str, tuple[int, ...]]:
        dim = self.latent_dim
        return {"weights": (count,), "means": (count, dim), "covariances": (count, dim, dim)}

    def fit(self, codes: Tensor, seed: int = 0) -> dict[int, float]:
        """Fit to codes (N, D) and return the BIC of every number of components tried; the lowest was kept.

        Each fit is the best of three starts on 10 000 codes. It converges on those, where an iteration is cheap, then
        runs on all codes until an iteration raises their total log-likelihood by less than one nat. If the BIC of
        several fits is within 200 of the lowest, these run until by less than 0.2, so that the tolerance does not
        choose between them; so does a single fit. With a tolerance per code, as in scikit-learn, the total tolerance
        would grow with the number of codes beyond the differences between BIC values.

        Raises:
            InputError: fewer codes than components, codes that are not finite, or that no mixture fits.
        """
        array = codes.detach().cpu().double().numpy()
        if not np.isfinite(array).all():
            raise InputError("codes: expected finite numbers to fit the mixture to; got NaN or infinite codes")
        if len(array) < max(self.candidates):
            raise InputError(f"components: expected at most {len(array)}, the number of codes; got {self.candidates}")
        search = _Search(array, self.covariance, seed % 2**32)  # scikit-learn takes no larger one
        for count in self.candidates:
            search.fit(count)
        if not search.bic:
            raise InputError(f"components: expected fewer; no mixture of {self.candidates} fits these codes")
        search.finish()
        while len(self.candidates) > 1:
            further = self._wider(search.bic, len(array))
            if further is None or not search.fit(further):
                break
            search.finish()
        best = search.mixtures[search.best]
        if not best.converged_:
            _log.warning("components: the fit of %d did not converge in %d iterations", best.n_components, _ITERATIONS)
        covariances = best.covariances_
        if self.covariance == "diag":
            covariances = np.stack([np.diag(row) for row in covariances])
        self.load({"weights": best.weights_, "means": best.means_, "covariances": covariances})
        return dict(sorted(search.bic.items()))

    def _wider(self, bic: Mapping[int, float], codes: int) -> int | None:
        """Return the next number of components to try, if the best is the largest or smallest of those tried."""
        best = min(bic, key=lambda count: bic[count])
        step = max(self.candidates[-1] - self.candidates[-2], best // 2)
        if best == max(bic):
            if best + step <= min(_MOST, codes // _CODES_EACH):
                return best + step
            _log.warning("components: the lowest BIC is that of %d, the most that are tried; more may be better", best)
        elif best == min(bic) and best > 1:
            return best // 2
        return None

    def choice(self) -> str:
        """Return how the number of components was chosen, in a few words; empty if it was given."""
        if len(self.candidates) == 1:
            return ""
        count, candidates = len(self.weights), ", ".join(map(str, self.candidates))
        if count in self.candidates:
            return f"chosen by the BIC among {candidates}"
        return f"chosen by the BIC (tried from {candidates} on)"

    def load(self, arrays: Mapping[str, np.ndarray | Tensor]) -> None:
        """Set the arrays of a fitted mixture, after checking their shapes."""
        if set(arrays) != set(self._shapes(0)):
            raise InputError(f"density: expected arrays {sorted(self._shapes(0))}; got {sorted(arrays)}")
        count = len(arrays["weights"])
        for name, shape in self._shapes(count).items():
            value = torch.as_tensor(arrays[name], dtype=self.means.dtype, device=self.means.device)
            if tuple(value.shape) != shape:
                raise InputError(f"density: expected {name} of shape {shape}; got {tuple(value.shape)}")
            setattr(self, name, value)

    def arrays(self) -> dict[str, Tensor]:
        """Return the arrays of the fitted mixture."""
        return {name: getattr(self, name).contiguous() for name in self._shapes(0)}

    @property
    def is_fitted(self) -> bool:
        """Whether there are components: before the first fit there are none."""
        return len(self.weights) > 0

    def forward(self) -> MixtureSameFamily:
        """Return p(z), event shape (D,), or refuse if nothing has been fitted yet."""
        if not self.is_fitted:
            raise InputError(
                "density: this auto-encoder has no density of its codes yet; "
                "a training that ends fits it; after a loop of your own, call "
                "model.prior.fit(vaelab.evaluation.encode_means(model, x)) with the training rows x"
            )
        return MixtureSameFamily(
            Categorical(logits=self.weights.log(), validate_args=False),  # of probabilities it rounds up tiny ones
            MultivariateNormal(self.means, self.covariances, validate_args=False),
            validate_args=False,
        )

    def component(self, z: Tensor) -> Tensor:
        """Return the most responsible component of each code, integers of shape (...), for codes (..., D)."""
        mixture = self()
        joint = mixture.component_distribution.log_prob(z.unsqueeze(-2)) + self.weights.log()  # (..., C)
        component: Tensor = joint.argmax(-1)
        return component


class _Search:
    """Mixtures of several numbers of components, fitted to codes (N, D), with the BIC of each."""

    def __init__(self, codes: npt.NDArray[Any], covariance: Covariance, seed: int) -> None:
        self.codes, self.covariance, self.seed = codes, covariance, seed
        self.mixtures: dict[int, GaussianMixture] = {}
        self.bic: dict[int, float] = {}
        self.rough: set[int] = set()

    @property
    def best(self) -> int:
        """The number of components of the lowest BIC."""
        return min(self.bic, key=lambda count: self.bic[count])

    def fit(self, count: int) -> bool:
        """Fit roughly: the best of several starts on some codes, then on all codes; return whether a fit was found."""
        some = self.codes
        if len(some) > (few := max(_FEW, 10 * count)):
            some = some[np.random.default_rng(self.seed).permutation(len(some))[:few]]
        mixture = _gaussian_mixture()(
            count, covariance_type=self.covariance, random_state=self.seed, n_init=_STARTS, max_iter=_ITERATIONS
        )
        self.rough.add(count)
        return (
            self._gone_on(mixture, some, None)
            and self._gone_on(mixture, some, _FIRST)
            and self._gone_on(mixture, self.codes, _ROUGH)
        )

    def finish(self) -> None:
        """Run the fits that may be the best to convergence, unless one is far better than all others."""
        while self.rough & (close := self._close()) and (len(close) > 1 or len(self.bic) == 1):
            self.rough.remove(count := min(self.rough & close, key=lambda count: self.bic[count]))
            self._gone_on(self.mixtures[count], self.codes, _TOLERANCE)

    def _close(self) -> set[int]:
        """Return the numbers of components whose BIC is near the lowest."""
        return {count for count, bic in self.bic.items() if bic < self.bic[self.best] + _CLOSE}

    def _gone_on(self, mixture: GaussianMixture, codes: npt.NDArray[Any], nats: float | None) -> bool:
        """Continue a fit until an iteration gains less than ``tolerance`` nats; return whether the fit is valid."""
        from sklearn.exceptions import ConvergenceWarning

        if nats is not None:
            mixture.set_params(warm_start=True, tol=nats / len(codes))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the best is asked whether it converged
            try:
                mixture.fit(codes)
            except ValueError:  # a component has collapsed to a point
                return False
        if nats is not None and codes is self.codes:
            count = int(mixture.n_components)
            self.mixtures[count], self.bic[count] = mixture, float(mixture.bic(codes))
        return True


def _gaussian_mixture() -> Any:
    """Return scikit-learn's class. Its first import draws from Python's generator, which is then set back.

    It is imported here, because it takes a second and only fitting needs it.
    """
    before = random.getstate()
    from sklearn.mixture import GaussianMixture

    random.setstate(before)
    return GaussianMixture

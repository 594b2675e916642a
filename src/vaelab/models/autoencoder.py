"""A density for the codes of a deterministic auto-encoder: a Gaussian mixture, fitted after training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from vaelab.conditionals import Code
from vaelab.refusals import Refusal, require_choice, require_int

__all__ = ["Covariance", "MixturePrior"]

Covariance = Literal["full", "diag"]


class MixturePrior(nn.Module):
    """p(z) = sum_c pi_c N(z; mu_c, Sigma_c), fitted to training codes by expectation-maximisation.

    Args:
        latent_dim: code size D.
        components: how many components, or several numbers of which the lowest BIC chooses.
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
        candidates = [components] if isinstance(components, int) else list(components)
        if not candidates:
            raise Refusal("components: expected a number or a list of numbers; got an empty list")
        self.candidates = [require_int("components", count, 1) for count in candidates]
        require_choice("covariance", covariance, get_args(Covariance))
        self.covariance: Covariance = covariance
        for name, shape in self._shapes(0).items():
            self.register_buffer(name, torch.empty(shape), persistent=False)

    def _shapes(self, count: int) -> dict[str, tuple[int, ...]]:
        dim = self.latent_dim
        return {"weights": (count,), "means": (count, dim), "covariances": (count, dim, dim)}

    def fit(self, codes: Tensor, seed: int = 0) -> dict[int, float]:
        """Fit to codes (N, D) and return the BIC of every candidate; the lowest was kept.

        Raises:
            Refusal: fewer codes than components, or codes that are not finite.
        """
        from sklearn.exceptions import ConvergenceWarning  # a second to import, which fitting alone need spend
        from sklearn.mixture import GaussianMixture

        array = codes.detach().cpu().double().numpy()
        if not np.isfinite(array).all():
            raise Refusal("codes: expected finite numbers to fit the mixture to; got NaN or infinite codes")
        if len(array) < max(self.candidates):
            raise Refusal(f"components: expected at most {len(array)}, the number of codes; got {self.candidates}")
        fitted: dict[int, tuple[float, GaussianMixture]] = {}
        for count in self.candidates:
            mixture = GaussianMixture(count, covariance_type=self.covariance, random_state=seed, max_iter=200)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # BIC judges the fit that was reached
                mixture.fit(array)
            fitted[count] = (float(mixture.bic(array)), mixture)
        best = min(fitted.values(), key=lambda pair: pair[0])[1]
        covariances = best.covariances_
        if self.covariance == "diag":
            covariances = np.stack([np.diag(row) for row in covariances])
        self.load({"weights": best.weights_, "means": best.means_, "covariances": covariances})
        return {count: bic for count, (bic, _) in fitted.items()}

    def load(self, arrays: Mapping[str, np.ndarray | Tensor]) -> None:
        """Take the arrays of a fitted mixture, after checking their shapes."""
        if set(arrays) != set(self._shapes(0)):
            raise Refusal(f"density: expected arrays {sorted(self._shapes(0))}; got {sorted(arrays)}")
        count = len(arrays["weights"])
        for name, shape in self._shapes(count).items():
            value = torch.as_tensor(arrays[name], dtype=self.means.dtype, device=self.means.device)
            if tuple(value.shape) != shape:
                raise Refusal(f"density: expected {name} of shape {shape}; got {tuple(value.shape)}")
            setattr(self, name, value)

    def arrays(self) -> dict[str, Tensor]:
        """Return the arrays of the fitted mixture."""
        return {name: getattr(self, name).contiguous() for name in self._shapes(0)}

    def forward(self) -> MixtureSameFamily:
        """Return p(z), event shape (D,), or refuse if nothing has been fitted yet."""
        if len(self.weights) == 0:
            raise Refusal(
                "density: this auto-encoder has no density of its codes yet; "
                "finish its training, or fit it with prior.fit(codes)"
            )
        return MixtureSameFamily(
            Categorical(
                logits=self.weights.log(), validate_args=False
            ),  # by probabilities it would round up a tiny one
            MultivariateNormal(self.means, self.covariances, validate_args=False),
            validate_args=False,
        )

    def component(self, z: Tensor) -> Tensor:
        """Return the most responsible component of each code, integers of shape (...), for codes (..., D)."""
        mixture = self()
        joint = mixture.component_distribution.log_prob(z.unsqueeze(-2)) + self.weights.log()  # (..., C)
        component: Tensor = joint.argmax(-1)
        return component

"""Imputation: the missing values of observations, given those that are observed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.data import DataSpec
from vaelab.data.streaming.observations import Streamed
from vaelab.data.weights import weighted_median
from vaelab.distributions import given_observed
from vaelab.errors import InputError, require_choice, require_int
from vaelab.likelihood import Callback, Observed, as_split, effective_samples
from vaelab.models import DensityModel, LatentVariableModel, Model, require_latent, require_model
from vaelab.models.model import statistic
from vaelab.networks import evaluation_mode
from vaelab.objectives import log_weights
from vaelab.seeds import seeded

__all__ = ["Imputation", "ImputeKind", "impute"]

ImputeKind = Literal["mean", "mode"]
_ELEMENTS = 4_000_000  # numbers of decoded codes at once: 16 MB in float32
_ROWS = 1000  # observations at once


@dataclass(frozen=True)
class Imputation:
    """Observations whose missing values are filled.

    Attributes:
        values: the observations (N, X); what was observed is as it was.
        observed: where a value was observed, booleans (N, X).
        effective_samples: of the codes of each observation, (N,), from 1 to the number of codes. Where it is small, the
            filled values of the observation rest on few codes. None of a density model, whose conditionals are exact.
        draws: multiple imputations, (n_draws, N, X): in each of them the missing values are one draw from p(x_missing |
            x_observed). None unless ``n_draws`` asked for them.
        weights: of the observations, (N,), as those of a split; None where all count the same.
    """

    values: Tensor
    observed: Tensor
    effective_samples: Tensor | None = None
    draws: Tensor | None = None
    weights: Tensor | None = None

    @property
    def median_effective_samples(self) -> float | None:
        """The median of the effective samples, in which an observation of weight 2 is two; None of a density model."""
        if self.effective_samples is None:
            return None
        return float(weighted_median(self.effective_samples, self.weights))

    def __repr__(self) -> str:
        """Return a line with the shape, the share of missing values and the median of the effective samples."""
        share = 100 * float((~self.observed).double().mean())
        draws = "" if self.draws is None else f", {len(self.draws)} draws"
        rows, columns = self.values.shape
        filled = f"{rows:,} rows of {columns}, {share:.3g} % filled"
        if self.effective_samples is None:
            return f"Imputation({filled}, exactly{draws})"
        return f"Imputation({filled}; median {self.median_effective_samples:.3g} effective samples{draws})"


def impute(
    model: Model,
    x: Observed,
    samples: int = 500,
    kind: ImputeKind = "mean",
    n_draws: int = 0,
    seed: int = 0,
    callback: Callback | None = None,
) -> Imputation:
    """Fill the missing values of observations with their expectation given the observed ones.

    Formula, by self-normalised importance sampling:

    `E[x_missing | x_observed] = sum_k v_k E[x_missing | z_k, x_observed]`, `v_k = w_k / sum_j w_j`

    `w_k = p(x_observed|z_k) p(z_k) / q(z_k|x_observed)`, `z_k ~ q(z|x_observed)`.

    A draw takes a code with probability v_k, and then x_missing from p(x_missing|z_k, x_observed), which is p(x|z_k)
    where the columns are independent given z. Of a density model `E[x_missing | x_observed]` and the draws are exact:
    ``samples`` has no effect. The estimate approaches the expectation as K grows;
    ``effective_samples``, `(sum_k w_k)^2 / sum_k w_k^2`, says for each observation how many codes count. Source: Mattei
    & Frellsen (2019), https://arxiv.org/abs/1812.02633, section 3.4. A model that was built for complete data allows
    missing values from then on (:meth:`~vaelab.models.LatentVariableModel.allow_missing`).

    Args:
        model: a model with a likelihood that has a density of some of the columns.
        x: observations (N, X), in which NaN marks a missing value, or a split.
        samples: K, codes for each observation.
        kind: ``mean`` fills in expectations, ``mode`` the most probable value of each bit and each categorical
            variable (of other kinds the expectation).
        n_draws: how many multiple imputations to draw as well.
        seed: of the codes and the draws.
        callback: called with the observations done and all observations.

    Raises:
        InputError: a deterministic auto-encoder, a split on the disk, or arguments out of range.

    >>> from vaelab.models import gaussian_vae
    >>> x = torch.tensor([[1.0, 0.0, torch.nan]])
    >>> imputed = impute(gaussian_vae(3, latent_dim=2).allow_missing(), x, samples=10, n_draws=5)
    >>> imputed.values.isnan().any(), imputed.draws.shape
    (tensor(False), torch.Size([5, 1, 3]))
    """
    require_int("samples", samples, 1)
    require_int("n_draws", n_draws, 0)
    require_choice("kind", kind, get_args(ImputeKind))
    if isinstance(require_model(model), LatentVariableModel):
        require_latent(model, "impute").require_likelihood()
    if not model.may_be_missing:
        model.allow_missing()
    split = as_split(model, x)
    if isinstance(split, Streamed):
        raise InputError("x: expected observations in memory; these are read from the disk")
    parts: list[tuple[Tensor, ...]] = []
    rows = _rows_at_once(model, samples)
    with torch.no_grad(), evaluation_mode(model):
        for number, start in enumerate(range(0, len(split), rows)):
            with seeded(seed, "impute", number):
                chunk = split.bits(slice(start, start + rows)).to(model.any_weight)
                if isinstance(model, LatentVariableModel):
                    parts.append(_impute_rows(model, chunk, samples, kind, n_draws))
                else:
                    parts.append(_impute_exactly(cast(DensityModel, model), chunk, kind, n_draws))
            if callback is not None:
                callback(min(start + rows, len(split)), len(split))
    values, observed = (torch.cat([part[index] for part in parts]).cpu() for index in range(2))
    draws = torch.cat([part[2] for part in parts], 1).cpu() if n_draws else None
    effective = torch.cat([part[3] for part in parts]).cpu() if isinstance(model, LatentVariableModel) else None
    weights = None if split.weights is None else split.weights.cpu()
    return Imputation(values, observed, effective, draws, weights)


def _rows_at_once(model: Model, samples: int) -> int:
    """Return how many observations are filled at once."""
    if isinstance(model, LatentVariableModel):
        return max(1, min(_ROWS, _ELEMENTS // model.data_dim, _ELEMENTS // (samples * model.latent_dim)))
    return cast(DensityModel, model).rows_at_once


def _impute_exactly(model: DensityModel, x: Tensor, kind: ImputeKind, n_draws: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the filled rows, where they were observed and the draws, from p(x_missing|x_observed) itself."""
    observed, conditional = _observed(x, model.spec), given_observed(model(), x)
    mean = statistic("model", conditional, "mean").expand_as(x)
    filled = mean if kind == "mean" else _modes(mean, model.spec)
    shape = torch.Size((n_draws, *(() if conditional.batch_shape else (len(x),))))
    draws = torch.where(observed, x, conditional.sample(shape)) if n_draws else x[:0].unsqueeze(0)
    return torch.where(observed, x, filled), observed, draws


def _impute_rows(
    model: LatentVariableModel, rows: Tensor, samples: int, kind: ImputeKind, n_draws: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the filled rows, where they were observed, the draws and the effective samples of some observations."""
    x, y = model.split(rows)
    observed, q = _observed(x, model.spec), model.posterior(rows)
    drawn = [q.sample((count,)) for count in _chunks(samples, x)]
    log_w = torch.cat([log_weights(model, rows, q, z) for z in drawn])  # (K, B)
    z, weights = torch.cat(drawn), log_w.softmax(0)  # (K, B, D), (K, B)
    mean, start = torch.zeros_like(x), 0
    for codes in drawn:
        conditional = given_observed(model.conditional(codes, y), x)
        means = statistic("likelihood", conditional, "mean")  # (k, B, X)
        mean += torch.einsum("kb,kbx->bx", weights[start : start + len(codes)], means)
        start += len(codes)
    filled = mean if kind == "mean" else _modes(mean, model.spec)
    chosen = torch.multinomial(weights.T, n_draws, replacement=True).T if n_draws else x.new_empty(0, len(x)).long()
    picked = z.gather(0, chosen.unsqueeze(-1).expand(-1, -1, z.shape[-1]))  # (n_draws, B, D)
    draws = [given_observed(model.conditional(code.unsqueeze(0), y), x).sample()[0] for code in picked]
    several = torch.stack([torch.where(observed, x, draw) for draw in draws]) if draws else x[:0].unsqueeze(0)
    return torch.where(observed, x, filled), observed, several, effective_samples(log_w)


def _observed(x: Tensor, spec: DataSpec | None) -> Tensor:
    """Return where values are observed, (B, X); a categorical variable is, if all of its columns are."""
    observed = ~x.isnan()
    for kind, start, stop in () if spec is None else spec.groups:
        if kind == "categorical":
            observed[:, start:stop] = observed[:, start:stop].all(1, keepdim=True)
    return observed


def _chunks(samples: int, x: Tensor) -> Iterator[int]:
    """Yield numbers of codes that are decoded at once, which add up to ``samples``."""
    size = max(1, _ELEMENTS // x.numel())
    yield from (min(size, samples - done) for done in range(0, samples, size))


def _modes(mean: Tensor, spec: DataSpec | None) -> Tensor:
    """Return the most probable value of each bit and categorical variable, given its probabilities; others stay."""
    groups = (("binary", 0, mean.shape[-1]),) if spec is None else spec.groups
    modes = mean.clone()
    for kind, start, stop in groups:
        part = mean[..., start:stop]
        if kind == "binary":
            modes[..., start:stop] = (part > 0.5).to(mean.dtype)
        elif kind == "categorical":
            modes[..., start:stop] = F.one_hot(part.argmax(-1), stop - start).to(mean.dtype)
    return modes

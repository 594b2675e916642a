"""The codes of a whole split."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaelab.data import Observations
from vaelab.data.streaming.observations import Streamed
from vaelab.likelihood import Observed, as_split
from vaelab.models import LatentVariableModel, require_latent
from vaelab.priors import MixturePrior

__all__ = ["chunks", "encode", "encode_means"]

_ROWS = 2000
Arrays = dict[str, npt.NDArray[Any]]


def encode_means(model: LatentVariableModel, observed: Observed, rows: int = _ROWS) -> Tensor:
    """Return the posterior means of all observations, (N, D), on the processor.

    >>> from vaelab.models import gaussian_vae
    >>> encode_means(gaussian_vae(6, latent_dim=2), torch.ones(3, 6)).shape
    torch.Size([3, 2])
    """
    return torch.cat([model.encode(x).cpu() for x in chunks(as_split(model, observed), rows)])


def encode(model: LatentVariableModel, observed: Observed, rows: int = _ROWS) -> Arrays:
    """Return the codes of all observations, in their order, with further quantities for some models.

    ``codes`` (N, D) are posterior means (probabilities for bits). A real-valued code also has ``stddev`` (N, D), an
    auto-encoder ``log_density`` (nats) and, with a mixture, ``component``, (N,) each. For a split on the disk the
    arrays are in temporary files, which are removed together with the arrays.

    Raises:
        InputError: a posterior whose mean is not known, or observations that do not fit the model.

    >>> from vaelab.models import gaussian_vae
    >>> {name: array.shape for name, array in encode(gaussian_vae(6, latent_dim=2), torch.ones(3, 6)).items()}
    {'codes': (3, 2), 'stddev': (3, 2)}
    """
    split = as_split(require_latent(model, "encode"), observed)
    allocate = _on_disk if isinstance(split, Streamed) else np.empty
    arrays: Arrays = {}
    start = 0
    with torch.no_grad():
        for x in chunks(split, rows):
            for name, part in _codes(model, x).items():
                if name not in arrays:
                    arrays[name] = allocate((len(split), *part.shape[1:]), part.dtype)
                arrays[name][start : start + len(part)] = part
            start += len(x)
    return arrays


def chunks(split: Observations, rows: int) -> Iterator[Tensor]:
    """Yield the observations in their order, (B, X)."""
    if isinstance(split, Streamed):
        yield from split.parts(rows)
        return
    for start in range(0, len(split), rows):
        yield split.bits(slice(start, start + rows))


def _codes(model: LatentVariableModel, x: Tensor) -> Arrays:
    codes = model.encode(x)
    arrays: Arrays = {"codes": codes.cpu().numpy()}
    if model.code == "real":
        arrays["stddev"] = model.posterior(x).stddev.cpu().numpy()
    if isinstance(model.prior, MixturePrior):
        arrays["component"] = model.prior.component(codes).cpu().numpy()
    if model.code == "point":
        arrays["log_density"] = model.prior().log_prob(codes).cpu().numpy()
    return arrays


def _on_disk(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    with tempfile.TemporaryFile() as file:  # the mapping keeps the file until the array is deleted
        return np.memmap(file, dtype, "w+", shape=shape)

"""Seeds. Everything random derives from a named seed and never from what happened before.

A training step draws from (seed, step): which rows, their bits, the codes of the estimator. A checkpoint
therefore needs no generator state, and a resumed run is the same run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["derive_seed", "seed_step", "seeded"]


def derive_seed(seed: int, *path: object) -> int:
    """Return a 63-bit seed that depends on ``seed`` and on every word of ``path``.

    >>> derive_seed(0, "step", 1) == derive_seed(0, "step", 1) != derive_seed(0, "step", 2)
    True
    """
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seed the default generator of ``device`` for one step (a tenth of the cost of ``torch.manual_seed``)."""
    value = derive_seed(seed, "step", step)
    if device.type == "cuda":
        torch.cuda.manual_seed(value)
    else:
        torch.default_generator.manual_seed(value)


@contextmanager
def seeded(seed: int, *path: object) -> Iterator[None]:
    """Seed the default generators inside the block, and put their states back after it."""
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, *path))
        yield

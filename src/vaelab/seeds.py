"""Seeds. All random numbers derive from a named seed and never from the history.

The random numbers of a training step (its rows, their bits, the codes of the estimator) derive from the seed and the
step. So a checkpoint needs no generator state, and a resumed run is the same run.

torch has one generator per device, shared by all threads of a process. So only one thread at a time draws from seeds:
a training keeps the generators until it ends, and other trainings, evaluations and seeded samples of the process wait
for it. This rule does not cover draws that another thread makes directly from torch; they change the training.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vaelab.errors import require_seed

__all__ = ["DATA_SEED", "derive_seed", "own_generators", "seed_step", "seeded"]

DATA_SEED = 777  # seed of the splits of a file and of bits that are drawn once: the same in every run
_lock = threading.RLock()  # reentrant, because a training validates and a callback may sample


def _new_lock() -> None:
    """Replace the lock in a forked process, where the thread that held it does not exist."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_new_lock)


def derive_seed(seed: int, *path: object) -> int:
    """Return a 63-bit seed that depends on ``seed`` and on every word of ``path``.

    >>> derive_seed(0, "step", 1) == derive_seed(0, "step", 1) != derive_seed(0, "step", 2)
    True
    """
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seed the default generator of ``device`` for one step (a tenth of the cost of ``torch.manual_seed``).

    Call it inside :func:`own_generators`.
    """
    value = derive_seed(seed, "step", step)
    if device.type == "cuda":
        torch.cuda.manual_seed(value)
    else:
        torch.default_generator.manual_seed(value)


@contextmanager
def own_generators() -> Iterator[None]:
    """Reserve the default generators for this thread inside the block, and restore their states after it.

    Other threads that enter such a block wait until this one has left it.
    """
    with _lock, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


@contextmanager
def seeded(seed: int | None, *path: object) -> Iterator[None]:
    """Seed the default generators inside the block, and restore their states after it; do nothing for None.

    Threads wait for each other, as in :func:`own_generators`.

    Args:
        seed: the seed.
        path: words that name the use, so that one seed gives independent draws for different uses.

    Raises:
        InputError: a seed that is no integer from 0 to 2^63 - 1.

    >>> with seeded(1):
    ...     first = torch.rand(2)
    >>> with seeded(1):
    ...     print(torch.equal(torch.rand(2), first))
    True
    """
    if seed is None:
        yield
        return
    value = derive_seed(require_seed(seed), *path)
    with own_generators():
        torch.manual_seed(value)
        yield

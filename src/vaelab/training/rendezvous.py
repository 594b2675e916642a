"""The rendezvous of the ranks: from the environment of a launcher to a store in which all of them meet.

``init_process_group("env://")`` is not enough: it separates the starts of a training by the number of restarts that
torchrun counts, and each host counts its own.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import torch.distributed as dist

from vaelab.errors import InputError

__all__ = ["Launched", "meet"]

_MOST, _PORTS = 10**6, 2**16 - 1  # ranks, and the number of the last port
_POLL = 0.02  # seconds between two looks of rank 0 for ranks that ask
Store = Any  # torch.distributed.Store, which torch does not export to type checkers
_kept: dict[int, Store] = {}  # the stores that this process keeps for the other ranks, by port


@dataclass(frozen=True)
class Launched:
    """What a launcher says of this process: its rank, the number of ranks, and the port where they meet."""

    rank: int
    count: int
    port: int

    @classmethod
    def from_environment(cls) -> Launched | None:
        """Read RANK, WORLD_SIZE and MASTER_PORT; None if this process is the only one.

        Raises:
            InputError: values that no launcher sets.
        """
        if "WORLD_SIZE" not in os.environ or (count := _number("WORLD_SIZE", 1)) == 1:
            return None
        if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
            raise InputError(f"WORLD_SIZE is {count}, so {' and '.join(missing)} must be set; see torchrun")
        return cls(_number("RANK", 0, count - 1), count, _number("MASTER_PORT", 1, _PORTS))


def _number(name: str, low: int, high: int = _MOST) -> int:
    text = os.environ[name]
    if not text.isdecimal() or not low <= int(text) <= high:
        raise InputError(f"{name}: expected a whole number from {low} to {high}, as torchrun sets it; got {text!r}")
    return int(text)


def meet(launched: Launched, timeout: timedelta) -> Store:
    """Return a store with a new key prefix for this start of the ranks, so that earlier addresses are not used.

    torchrun keeps its store when it restarts the ranks, so neither the content of the store nor a count of restarts
    shows which ranks are running. Each rank asks under a random key, and rank 0 answers every request with the prefix
    that it has chosen, until all ranks have arrived.

    Raises:
        RuntimeError: a rank did not arrive in ``timeout``.
    """
    store = _shared_store(launched, timeout)
    key = f"vaelab/{uuid4().hex}"
    if launched.rank == 0:
        _answer(store, key, launched.count, timeout.total_seconds())
        return dist.PrefixStore(key, store)  # type: ignore[attr-defined]
    store.set(f"vaelab/asks/{launched.rank}", key)
    prefix = store.get(key).decode()
    store.set(f"{prefix}/arrived/{launched.rank}", "")
    return dist.PrefixStore(prefix, store)  # type: ignore[attr-defined]


def _shared_store(launched: Launched, timeout: timedelta) -> Store:
    """Connect to the store of torchrun, or to that of rank 0 under another launcher."""
    of_torchrun = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    host = not of_torchrun and launched.rank == 0
    store = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"], launched.port, launched.count, host, timeout=timeout, multi_tenant=True
    )
    if host:  # kept until the process ends: another rank may already ask for the next training
        _kept.setdefault(launched.port, store)
    return store


def _answer(store: Store, prefix: str, count: int, seconds: float) -> None:
    """Give the prefix to every rank that asks, until all have arrived."""
    missing, end = set(range(1, count)), time.monotonic() + seconds
    while missing := {rank for rank in missing if not store.check([f"{prefix}/arrived/{rank}"])}:
        if time.monotonic() > end:
            raise RuntimeError(f"rank {', '.join(map(str, sorted(missing)))} did not come in {seconds:g} s")
        for question in (f"vaelab/asks/{rank}" for rank in missing):
            if store.check([question]):
                store.set(store.get(question).decode(), prefix)
        time.sleep(_POLL)

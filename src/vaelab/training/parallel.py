"""Several processes that train one model: rendezvous, exchange of gradients, and detection of missing ranks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

import torch
import torch.distributed as dist
from torch import Tensor

from vaelab.distributed import ALONE, PeerLost, Ranks, all_gather, all_reduce, broadcast, sharing
from vaelab.errors import InputError, require_number

__all__ = ["TIMEOUT", "ProcessGroup", "joined"]

T = TypeVar("T")
TIMEOUT = 600.0  # seconds to wait for a rank; compiling a step or validating takes less
_LONGEST, _MOST, _PORTS = 1e6, 10**6, 2**16 - 1  # seconds, ranks, number of the last port
_ROLL_CALL = 5.0  # seconds to answer the roll call when a rank is missing
_LOOK = 0.02  # seconds between two polls of rank 0 for new ranks
_kept: dict[int, Any] = {}  # the stores that this process keeps for the other ranks, by port


class ProcessGroup:
    """Communication between the ranks of a training; without other ranks its methods have no effect.

    Raises:
        PeerLost: from any exchange, if a rank does not answer in time or has left.
    """

    def __init__(self, ranks: Ranks = ALONE, roll: dist.ProcessGroup | None = None) -> None:
        self.ranks, self._roll = ranks, roll

    @property
    def is_rank_zero(self) -> bool:
        """Whether this is rank 0. Only rank 0 writes files and prints messages."""
        return self.ranks.rank == 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Draw and take means as this rank inside the block."""
        if self.ranks.count == 1:
            yield
            return
        with sharing(self.ranks), self._roll_call():
            yield

    def average(self, means: Tensor, parameters: Sequence[Tensor], stop: bool) -> tuple[Tensor, Tensor | None]:
        """Average the means and, in place, the gradients of a step over the ranks: a single message.

        Returns the means and, of several ranks, the share of them that ask to stop. Call it inside :meth:`step`.
        """
        if self.ranks.count == 1:
            return means, None
        found = [parameter for parameter in parameters if parameter.grad is not None]
        gradients = [parameter.grad.flatten() for parameter in found if parameter.grad is not None]
        flat = torch.cat([means, means.new_full((1,), float(stop)), *gradients])
        all_reduce(flat)
        flat /= self.ranks.count
        means, asked, *parts = flat.split([len(means), 1, *(len(gradient) for gradient in gradients)])
        for parameter, part in zip(found, parts, strict=True):
            parameter.grad = part.view(parameter.shape)
        return means, asked

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the ranks."""
        if self.ranks.count == 1:
            return tensor
        with self._roll_call():
            all_reduce(tensor)
        return tensor

    def all_gather(self, said: T) -> list[T]:
        """Return the objects of all ranks, by rank, on every rank."""
        if self.ranks.count == 1:
            return [said]
        with self._roll_call():
            return all_gather(said, self.ranks.count)

    def on_rank_zero(self, action: Callable[[], T]) -> T:
        """Call a function on rank 0 and return its result on every rank; an error of rank 0 is raised on every rank."""
        if self.ranks.count == 1:
            return action()
        said: list[Any] = [None, None]
        if self.is_rank_zero:
            try:
                said = [action(), None]
            except Exception as error:
                said = [None, error]
        with self._roll_call():
            broadcast(said)
        if said[1] is not None:
            said[1].of_rank_0 = not self.is_rank_zero  # only rank 0 reports it
            raise said[1]
        return said[0]  # type: ignore[no-any-return]

    def leave(self) -> None:
        """Release the groups that this object created, in a process group that continues to exist."""
        if self._roll is not None:
            dist.destroy_process_group(self._roll)

    @contextmanager
    def _roll_call(self) -> Iterator[None]:
        """Report the missing ranks when an exchange failed."""
        try:
            yield
        except PeerLost as lost:
            raise PeerLost(f"ranks: {self._missing()} ({lost})") from lost

    def _missing(self) -> str:
        """Return the ranks that do not answer a roll call, in which every rank asks every other rank."""
        if self._roll is None:
            return "one did not answer in time, or left"
        others = [rank for rank in range(self.ranks.count) if rank != self.ranks.rank]
        with ThreadPoolExecutor(
            len(others)
        ) as pool:  # all at the same time: after one time-out, gloo receives no further messages
            answered = list(pool.map(partial(_answers, self._roll), others))
        missing = [str(rank) for rank, there in zip(others, answered, strict=True) if not there]
        if not missing:
            return "all answer, but one was too slow"
        return f"rank{'s' if len(missing) > 1 else ''} {' and '.join(missing)} did not answer in time, or left"


def _answers(group: dist.ProcessGroup, other: int) -> bool:
    """Exchange a message with another rank, and return whether it answered."""
    limit = timedelta(seconds=_ROLL_CALL)
    word, heard = torch.zeros(1), torch.zeros(1)
    try:
        saying, hearing = dist.isend(word, other, group), dist.irecv(heard, other, group)
        hearing.wait(limit)  # type: ignore[union-attr]
        saying.wait(limit)  # type: ignore[union-attr]
    except (RuntimeError, ValueError):
        return False
    return True


@contextmanager
def joined(timeout: float = TIMEOUT) -> Iterator[ProcessGroup]:
    """Join the other processes of the training inside the block: those of torchrun, or of an existing process group.

    The environment variables of torchrun (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT) may be set by another launcher.
    An existing process group, as in Ray Train or a notebook, is used and not closed; its own time-out applies.

    Raises:
        InputError: a time-out that is not a number of seconds, or an environment that no launcher sets.
        PeerLost: the processes did not come together in ``timeout`` seconds.
    """
    wait = timedelta(seconds=require_number("rank_timeout", timeout, 1, _LONGEST))
    if dist.is_available() and dist.is_initialized():
        processes = _processes(wait)
        try:
            yield processes
        finally:
            processes.leave()
        return
    if "WORLD_SIZE" not in os.environ or _number("WORLD_SIZE", 1) == 1 or not dist.is_available():
        yield ProcessGroup()
        return
    if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise InputError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, so {' and '.join(missing)} must be set; see torchrun"
        )
    count = _number("WORLD_SIZE", 1)
    rank, port = _number("RANK", 0, count - 1), _number("MASTER_PORT", 1, _PORTS)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(
            backend, store=_store(rank, count, port, wait), rank=rank, world_size=count, timeout=wait
        )
    except (RuntimeError, ValueError) as error:
        raise PeerLost(f"ranks: they did not come together ({str(error).splitlines()[0]})") from error
    try:
        yield _processes(wait)
    finally:
        dist.destroy_process_group()


def _number(name: str, low: int, high: int = _MOST) -> int:
    said = os.environ[name]
    if not said.isdecimal() or not low <= int(said) <= high:
        raise InputError(f"{name}: expected a whole number from {low} to {high}, as torchrun sets it; got {said!r}")
    return int(said)


def _store(rank: int, count: int, port: int, wait: timedelta) -> Any:
    """Return a store with a new key prefix for this start of the ranks, so that earlier addresses are not used.

    torchrun keeps its store when it restarts the ranks, and each host counts its own restarts. So neither the content
    of the store nor a count shows which ranks are running. Each rank asks under a random key, and rank 0 answers every
    request with the prefix that it has chosen, until all ranks have arrived.
    """
    agent = (
        os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    )  # torchrun keeps the store; without torchrun, rank 0 does
    store = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"],
        port,
        count,
        is_master=not agent and rank == 0,
        timeout=wait,
        multi_tenant=True,
    )
    if not agent and rank == 0:  # kept until the process ends: another rank may already ask for the next training
        _kept.setdefault(port, store)
    word = f"vaelab/{uuid4().hex}"
    if rank > 0:
        store.set(f"vaelab/asks/{rank}", word)
        place = store.get(word).decode()
        store.set(f"{place}/came/{rank}", "")
        return dist.PrefixStore(place, store)  # type: ignore[attr-defined]
    missing, end = set(range(1, count)), time.monotonic() + wait.total_seconds()
    while missing := {other for other in missing if not store.check([f"{word}/came/{other}"])}:
        if time.monotonic() > end:
            raise RuntimeError(
                f"rank {', '.join(map(str, sorted(missing)))} did not come in {wait.total_seconds():g} s"
            )
        for asks in (f"vaelab/asks/{other}" for other in missing):
            if store.check([asks]):
                store.set(store.get(asks).decode(), word)
        time.sleep(_LOOK)
    return dist.PrefixStore(word, store)  # type: ignore[attr-defined]


def _processes(wait: timedelta) -> ProcessGroup:
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    # a second group for the roll call, because a failure breaks the first one
    roll = dist.new_group(backend="gloo", timeout=wait) if ranks.count > 1 else None
    return ProcessGroup(ranks, roll)

"""Several processes that train one model: rendezvous, exchange of gradients, and detection of missing ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from vaelab.distributed import ALONE, PeerLost, Ranks, all_gather, all_reduce, broadcast, sharing
from vaelab.errors import ReportedOnRankZero, require_number
from vaelab.training.rendezvous import Launched, meet

__all__ = ["TIMEOUT", "ProcessGroup", "joined"]

T = TypeVar("T")
TIMEOUT = 600.0  # seconds to wait for a rank; compiling a step or validating takes less
_LONGEST = 1e6  # seconds
_ROLL_CALL = 5.0  # seconds to answer the roll call when a rank is missing


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

    def all_gather(self, value: T) -> list[T]:
        """Return the objects of all ranks, by rank, on every rank."""
        if self.ranks.count == 1:
            return [value]
        with self._roll_call():
            return all_gather(value, self.ranks.count)

    def on_rank_zero(self, action: Callable[[], T]) -> T:
        """Call a function on rank 0 and return its result on every rank; an error of it is raised on every rank.

        On the other ranks the cause of the error is :class:`ReportedOnRankZero`, so that it is reported once.
        """
        if self.ranks.count == 1:
            return action()
        result: list[Any] = [None, None]
        if self.is_rank_zero:
            try:
                result = [action(), None]
            except Exception as error:
                result = [None, error]
        with self._roll_call():
            broadcast(result)
        value, raised = result
        if raised is None:
            return value  # type: ignore[no-any-return]
        if self.is_rank_zero:
            raise raised
        raise raised from ReportedOnRankZero()

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
        # All at the same time: after one time-out, gloo receives no further messages.
        with ThreadPoolExecutor(len(others)) as pool:
            answered = list(pool.map(partial(_answers, self._roll), others))
        missing = [str(rank) for rank, there in zip(others, answered, strict=True) if not there]
        if not missing:
            return "all answer, but one was too slow"
        return f"rank{'s' if len(missing) > 1 else ''} {' and '.join(missing)} did not answer in time, or left"


def _answers(group: dist.ProcessGroup, other: int) -> bool:
    """Exchange a message with another rank, and return whether it answered."""
    limit = timedelta(seconds=_ROLL_CALL)
    try:
        sending, receiving = dist.isend(torch.zeros(1), other, group), dist.irecv(torch.zeros(1), other, group)
        receiving.wait(limit)  # type: ignore[union-attr]
        sending.wait(limit)  # type: ignore[union-attr]
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
    launched = Launched.from_environment() if dist.is_available() else None
    if launched is None:
        yield ProcessGroup()
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        store, size = meet(launched, wait), launched.count
        dist.init_process_group(backend, store=store, rank=launched.rank, world_size=size, timeout=wait)
    except (RuntimeError, ValueError) as error:
        raise PeerLost(f"ranks: they did not come together ({str(error).splitlines()[0]})") from error
    try:
        yield _processes(wait)
    finally:
        dist.destroy_process_group()


def _processes(wait: timedelta) -> ProcessGroup:
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    # a second group for the roll call, because a failure breaks the first one
    roll = dist.new_group(backend="gloo", timeout=wait) if ranks.count > 1 else None
    return ProcessGroup(ranks, roll)

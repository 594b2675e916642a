"""The device of a training, and torch's global state during it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from vaelab.errors import InputError
from vaelab.models import Model
from vaelab.networks import matmul_precision
from vaelab.seeds import own_generators

__all__ = ["choose_device", "own_torch", "require_ordinary", "require_trainable"]


def choose_device(name: str) -> str:
    """Return the device, with ``auto`` resolved, or refuse one that is not available."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # a GPU for each rank of this host
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        if torch.empty(0, device=name).is_meta:
            raise RuntimeError("tensors without numbers")
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device: expected auto, cpu or an available accelerator; got {name!r} ({reason})") from None
    return name


@contextmanager
def own_torch() -> Iterator[None]:
    """Use torch with its default global settings inside the block, and restore the session's settings after it.

    These are the grad mode, inference mode, automatic mixed precision, the precision of matrix products (the steps have
    their own), the default type, the default device, and the random generators, for which other threads wait (see
    :mod:`vaelab.seeds`).
    """
    with ExitStack() as kept:
        kept.enter_context(own_generators())
        kept.enter_context(matmul_precision("highest"))
        kept.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
        if torch.get_default_device() != torch.device("cpu"):
            kept.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                kept.enter_context(torch.autocast(kind, enabled=False))
        kept.enter_context(torch.inference_mode(False))
        kept.enter_context(torch.enable_grad())
        yield


def require_trainable(model: Model) -> None:
    """Refuse a model whose weights cannot be trained.

    Raises:
        InputError: no weight requires gradients, or see :func:`require_ordinary`.
    """
    require_ordinary("model", model)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise InputError(
            "model: expected weights to train; none of them requires gradients "
            "(model.requires_grad_(True) changes that)"
        )


def require_ordinary(what: str, module: nn.Module) -> None:
    """Refuse weights of another type than float32, made under ``torch.inference_mode``, or without numbers."""
    for name, weight in module.named_parameters():
        if weight.is_inference():
            raise InputError(
                f"{what}: {name} was made under torch.inference_mode() and cannot be trained; "
                f"build the {what} outside of it"
            )
        if weight.is_meta:
            raise InputError(
                f"{what}: {name} is on the device 'meta', so it has no numbers; "
                f"build the {what} under torch.device('cpu')"
            )
        if weight.dtype != torch.float32:
            kind = str(weight.dtype).removeprefix("torch.")
            raise InputError(
                f"{what}: expected weights of type float32; {name} is {kind} ({what}.float() converts them)"
            )

"""Weights and other arrays as safetensors, with a SHA-256 of their own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vaelab.refusals import Refusal
from vaelab.runs.files import write_file

__all__ = ["load_tensors", "save_tensors"]


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors by name."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, safetensors.torch.save(plain, metadata={"sha256": _checksum(plain)}))


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file, or refuse one that is missing or damaged."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            expected = (file.metadata() or {}).get("sha256")
    except FileNotFoundError:
        raise Refusal(f"{path}: expected the weights of the run; the file is missing") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise Refusal(f"{path}: expected a safetensors file; it is damaged ({error})") from error
    if expected != _checksum(tensors):
        raise Refusal(f"{path}: expected the SHA-256 written with it; the file is damaged")
    return tensors

"""Weights and other arrays as safetensors files with a SHA-256, which identifies the weights of a number."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vaelab.errors import InputError
from vaelab.storage.files import write_file

__all__ = ["load_tensors", "save_tensors", "sha256_of"]

_HEADER = 2**27  # bytes; the header of every model is smaller


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Write tensors by name, and return their SHA-256."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    checksum = _checksum(plain)
    write_file(path, safetensors.torch.save(plain, metadata={"sha256": checksum}))
    return checksum


def load_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file and their SHA-256, or refuse a file that is missing or damaged.

    The file is read in one go, so that all tensors are of one version even if the file is replaced meanwhile.
    """
    try:
        content = path.read_bytes()
        tensors = safetensors.torch.load(content)
        expected = _digest_in(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except FileNotFoundError:
        raise InputError(f"{path}: expected the weights of the model; the file is missing") from None
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: expected a safetensors file; it is damaged ({error})") from error
    if expected is None or expected != _checksum(tensors):
        raise InputError(f"{path}: expected the SHA-256 written with it; the file is damaged")
    return tensors, expected


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 in the header of a file, without reading its tensors; None if there is no such file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            return _digest_in(file.read(min(size, _HEADER)))
    except (OSError, ValueError):
        return None


def _digest_in(header: bytes) -> str | None:
    """Return the SHA-256 in the header of a safetensors file."""
    content = json.loads(header)
    metadata = content.get("__metadata__") if isinstance(content, dict) else None
    digest = metadata.get("sha256") if isinstance(metadata, dict) else None
    return digest if isinstance(digest, str) else None


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

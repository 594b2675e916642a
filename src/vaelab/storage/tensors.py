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

__all__ = ["load_tensors", "save_tensors", "sha256_of", "step_of"]

_HEADER = 2**27  # bytes; the header of every model is smaller


def save_tensors(path: Path, tensors: dict[str, Tensor], step: int | None = None) -> str:
    """Write tensors by name, with the step of a training that they are of, and return their SHA-256."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    checksum = _checksum(plain)
    of_step = {} if step is None else {"step": str(step), "step_sha256": _step_checksum(checksum, str(step))}
    write_file(path, _in_order(safetensors.torch.save(plain, metadata={"sha256": checksum, **of_step})))
    return checksum


def _in_order(content: bytes) -> bytes:
    """Return a safetensors file with its metadata in order: the library writes them in a random one."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def load_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a file and their SHA-256, or refuse a file that is missing or damaged.

    The file is read in one go, so that all tensors are of one version even if the file is replaced meanwhile.
    """
    try:
        content = path.read_bytes()
        tensors = safetensors.torch.load(content)
        expected, _ = _facts_in(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except FileNotFoundError:
        raise InputError(f"{path}: expected the weights of the model; the file is missing") from None
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path}: expected a safetensors file; it is damaged ({error})") from error
    if expected is None or expected != _checksum(tensors):
        raise InputError(f"{path}: expected the SHA-256 written with it; the file is damaged")
    return tensors, expected


def sha256_of(path: Path) -> str | None:
    """Return the SHA-256 in the header of a file, without reading its tensors; None if there is no such file."""
    return _header_of(path)[0]


def step_of(path: Path) -> int | None:
    """Return the step of the weights in a file, without reading them; None if there is no file, or no step in it."""
    return _header_of(path)[1]


def _header_of(path: Path) -> tuple[str | None, int | None]:
    """Return the SHA-256 and the step in the header of a file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            return _facts_in(file.read(min(size, _HEADER)))
    except (OSError, ValueError):
        return None, None


def _facts_in(header: bytes) -> tuple[str | None, int | None]:
    """Return the SHA-256 and the step in the header of a safetensors file; a ValueError for a damaged step."""
    content = json.loads(header)
    metadata = content.get("__metadata__") if isinstance(content, dict) else None
    digest = metadata.get("sha256") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(digest, str):
        return None, None
    step = metadata.get("step")
    if step is None and "step_sha256" not in metadata:
        return digest, None
    if metadata.get("step_sha256") != _step_checksum(digest, step):
        raise ValueError("the step of the weights does not match its checksum")
    return digest, int(str(step))


def _step_checksum(weights: str, step: object) -> str:
    return hashlib.sha256(f"{weights} of step {step}".encode()).hexdigest()[:16]


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()

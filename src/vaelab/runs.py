"""The run directory: everything a training leaves behind, written so that no crash can spoil it.

    config.json           every setting, resolved; format_version; versions; data name, SHA-256, protocol
    model.safetensors     the selected (best validation bound) weights
    density.safetensors   the mixture, for auto-encoders: arrays, never a pickle
    metrics.jsonl         one object for each logged step
    evaluation.json       every evaluation made
    gradients.json        the gradient estimators, measured on one batch
    tightness.json        the bounds of every inference on the same weights, of a belief network of few bits
    checkpoints/last.pt   model, optimiser, estimator, step: loaded with weights_only=True
    checkpoints/previous.pt   the one before it, in case the last is damaged
    checkpoints/next.pt   only where a training was killed between writing a checkpoint and renaming it to last.pt
    lock                  held by the process that trains into the directory, and by the system alone: a crash frees it

Every file is written to a temporary name, synced and renamed; metrics.jsonl is appended to.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

import vaelab
from vaelab.data import Dataset, load_data
from vaelab.data.binarise import BINARISATION_SEED, protocol_of
from vaelab.models import LatentVariableModel, MixturePrior
from vaelab.refusals import Refusal, require_int
from vaelab.settings import Settings, resolve

__all__ = ["FORMAT_VERSION", "Run", "locked", "replaced", "write_file"]

FORMAT_VERSION = 1
# Ends a checkpoint, before its SHA-256. torch checks no sums: a damaged size made it read uninitialised memory.
_SEAL = b"\nsha256:"
_LOCK = "lock"
_OF_TRAINING = ("config.json", "model.safetensors", "density.safetensors", "metrics.jsonl", "checkpoints/*")


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Hand out a file to write, which takes the place of ``path`` when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: bytes | str) -> None:
    """Write ``content`` so that ``path`` holds the old content or the new, never a part of it."""
    with replaced(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Hold a run directory, made if need be, against any other training; the end of the process frees it.

    What a training that was killed left half-written under a temporary name is removed.

    Raises:
        Refusal: another process holds it, or it holds other things than a run.
    """
    path = Path(path)
    if _entries(path) and not (path / "config.json").is_file():
        raise Refusal(f"out: {str(path)!r} is not empty and no run directory; it is left alone")
    path.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path / _LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise Refusal(f"out: another process is training into {str(path)!r}; wait for it, or choose another") from None
    try:
        for name in _OF_TRAINING:
            for left in path.glob(f"{name}.tmp" if name.endswith("*") else f"{name}.*.tmp"):
                left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _entries(path: Path) -> list[Path]:
    """Return what a directory holds but for locks and half-written files, or the path itself if it is a file."""
    if not path.is_dir():
        return [path] if path.exists() else []
    return [entry for entry in path.iterdir() if entry.suffix != ".tmp" and entry.name != _LOCK]


def _save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, safetensors.torch.save(plain, metadata={"sha256": _checksum(plain)}))


def _checksum(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _load_tensors(path: Path) -> dict[str, Tensor]:
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


def _read_json(path: Path, kind: type) -> Any:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: expected readable JSON; it is damaged ({error})") from error
    if not isinstance(content, kind):
        raise Refusal(f"{path}: expected a JSON {kind.__name__}; got {type(content).__name__}")
    return content


class Run:
    """A run directory: written by a training, read by everything after it.

    It can be moved and read on another machine. ``Run(path)`` opens one, or refuses in one sentence what is
    none, damaged, or of a newer format; :meth:`create` starts one.

    Args:
        path: the directory.
        config: what its config.json holds, for a directory that only another host sees.
    """

    def __init__(self, path: str | Path, config: dict[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._whole: Path | None = None  # the checkpoint that was written or read last
        where = self.path / "config.json"
        if config is None:
            if not self.path.is_dir():
                raise Refusal(f"run: there is no run directory {str(path)!r}")
            if not where.is_file():
                raise Refusal(f"run: {str(path)!r} is no run directory (it has no config.json)")
            config = _read_json(where, dict)
        self.config: dict[str, Any] = config
        version = self.config.get("format_version")
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise Refusal(f"{where}: expected a format_version; it is damaged, or no vaelab run")
        if version > FORMAT_VERSION:
            raise Refusal(
                f"{where}: expected format_version up to {FORMAT_VERSION}; got {version}, written by a newer vaelab"
            )
        try:
            values = self.config["settings"]
            self.settings: Settings = resolve(values["model"], values)
            self.data_dim = require_int("data.dim", self.config["data"]["dim"], 1)
        except Refusal as refusal:
            raise Refusal(f"{where}: {refusal}") from refusal
        except (KeyError, TypeError) as error:
            raise Refusal(f"{where}: expected settings and data; it is damaged ({error!r})") from error

    @classmethod
    def create(cls, path: str | Path, settings: Settings, data: Dataset, overwrite: bool = False) -> Run:
        """Start a run directory, refusing one that is not empty unless ``overwrite`` (which empties it)."""
        path = Path(path)
        if left := _entries(path):
            if not overwrite:
                raise Refusal(
                    f"out: expected a new or empty directory; {str(path)!r} is not empty "
                    "(--resume continues it, --overwrite replaces it)"
                )
            if not (path / "config.json").is_file():
                raise Refusal(f"out: {str(path)!r} is not empty and no run directory; it is left alone")
            for entry in sorted(left, key=lambda entry: entry.name == "config.json"):  # last: with it, it is a run
                # Of a link, the link: what it leads to may be anybody's.
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        versions = {"vaelab": vaelab.__version__, "torch": torch.__version__, "numpy": np.__version__}
        config = {
            "format_version": FORMAT_VERSION,
            "versions": {**versions, "python": platform.python_version()},
            "settings": settings.model_dump(mode="json"),
            "data": {
                "name": data.name,
                "sha256": data.sha256(),
                "kind": data.kind,
                "dim": data.dim,
                "image_shape": data.image_shape,
                "splits": {name: len(split) for name, split in data.splits.items()},
                "binarisation": protocol_of(data, settings.binarisation),
                "binarisation_seed": BINARISATION_SEED,
            },
        }
        write_file(path / "config.json", json.dumps(config, indent=2) + "\n")
        return cls(path)

    def load_data(self, check: bool = True) -> Dataset:
        """Load the data that the run was trained on, and refuse other data under the same name."""
        data = load_data(self.settings.data)
        expected = self.config["data"].get("sha256")
        if check and data.sha256() != expected:
            raise Refusal(f"data: {self.settings.data!r} is not the data that {self.path} was trained on (SHA-256)")
        return data

    def save_weights(self, weights: dict[str, Tensor]) -> None:
        """Write the selected weights, by name."""
        _save_tensors(self.path / "model.safetensors", weights)

    def save_density(self, prior: MixturePrior) -> None:
        """Write the mixture over the codes of an auto-encoder."""
        _save_tensors(self.path / "density.safetensors", prior.arrays())

    def load_model(self) -> LatentVariableModel:
        """Rebuild the model from the config and load the selected weights, in evaluation mode."""
        model = self.settings.build_model(self.data_dim)
        path = self.path / "model.safetensors"
        try:
            model.load_state_dict(_load_tensors(path))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise Refusal(f"{path}: the weights do not fit the model of config.json ({reason})") from error
        density = self.path / "density.safetensors"
        if isinstance(model.prior, MixturePrior) and density.exists():
            model.prior.load(_load_tensors(density))
        return model.eval()

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write what a resumed training needs, and keep the checkpoint before it."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        metrics = self.path / "metrics.jsonl"
        if metrics.exists():  # on the disk before a checkpoint that says these rows were logged
            with metrics.open("a") as file:
                os.fsync(file.fileno())
        fresh, last, previous = self._checkpoints()
        if self._whole == fresh:  # the training goes on from one that a kill left before it was renamed
            self._whole = fresh.replace(last)
        write_file(fresh, content + _SEAL + hashlib.sha256(content).digest())
        if self._whole is not None and self._whole.exists():  # a damaged one takes the place of none
            self._whole.replace(previous)
        self._whole = fresh.replace(last)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint, or None if the training stopped before its first one.

        Where the last is damaged, a line in the log of Python's ``logging`` says so and the one before it is returned.

        Raises:
            Refusal: no checkpoint is left that is whole.
        """
        refused: Refusal | None = None
        for path in filter(Path.exists, self._checkpoints()):
            try:
                state = self._read_checkpoint(path)
            except Refusal as refusal:
                refused = refusal
                continue
            if refused is not None:
                said = "%s; going on from the one before it, step %s"
                logging.getLogger("vaelab").warning(said, refused, state["step"])
            self._whole = path
            return state
        if refused is not None:
            raise refused
        return None

    def _checkpoints(self) -> list[Path]:
        """Return where checkpoints may be, the newest first."""
        return [self.path / "checkpoints" / f"{name}.pt" for name in ("next", "last", "previous")]

    def _read_checkpoint(self, path: Path) -> dict[str, Any]:
        try:
            content, seal, expected = path.read_bytes().rpartition(_SEAL)
            if not seal or hashlib.sha256(content).digest() != expected:
                raise Refusal("the SHA-256 written with it is another")
            state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a file that is no checkpoint
            raise Refusal(f"{path}: expected a checkpoint; it is damaged ({error})") from error
        return state

    def log(self, row: dict[str, Any]) -> None:
        """Append one object to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def metrics(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """Return the logged rows, up to a step; a last line that a crash cut short is left out."""
        path = self.path / "metrics.jsonl"
        rows = []
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else []):
            try:
                rows.append(json.loads(line))
            except ValueError:
                if number == len(path.read_text().splitlines()) - 1:
                    break
                raise Refusal(f"{path}: line {number + 1} is damaged") from None
        return [row for row in rows if up_to is None or row["step"] <= up_to]

    def forget_after(self, step: int) -> None:
        """Drop the rows logged after ``step``, which a resumed training will log again."""
        rows = self.metrics(up_to=step)
        write_file(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def evaluations(self) -> list[dict[str, Any]]:
        """Return every evaluation made of this run."""
        path = self.path / "evaluation.json"
        return _read_json(path, list) if path.exists() else []

    def add_evaluations(self, records: list[dict[str, Any]]) -> None:
        """Add evaluations; one of the same name, split, protocol and seed is replaced."""

        def identity(record: dict[str, Any]) -> tuple[Any, ...]:
            return tuple(record.get(key) for key in ("name", "samples", "split", "binarisation", "data", "seed"))

        new = {identity(record) for record in records}
        kept = [record for record in self.evaluations() if identity(record) not in new]
        write_file(self.path / "evaluation.json", json.dumps(kept + records, indent=2) + "\n")

    def gradients(self) -> dict[str, Any] | None:
        """Return the measured gradient estimators, or None if they were not measured."""
        path = self.path / "gradients.json"
        return _read_json(path, dict) if path.exists() else None

    def tightness(self) -> dict[str, Any] | None:
        """Return the measured bounds of every inference, or None if they were not measured."""
        path = self.path / "tightness.json"
        return _read_json(path, dict) if path.exists() else None

    def save_tightness(self, result: dict[str, Any]) -> None:
        """Write the measured bounds of every inference, in place of earlier ones."""
        write_file(self.path / "tightness.json", json.dumps(result, indent=2) + "\n")

    def save_gradients(self, result: dict[str, Any]) -> None:
        """Write the measured gradient estimators, in place of earlier ones."""
        write_file(self.path / "gradients.json", json.dumps(result, indent=2) + "\n")

    @property
    def finished(self) -> bool:
        """Whether the training ran to its end."""
        return any(row.get("finished") for row in self.metrics())

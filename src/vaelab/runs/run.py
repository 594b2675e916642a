"""A run: its directory opened, or a new one started."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import vaelab
from vaelab.data import Dataset
from vaelab.data.binarise import BINARISATION_SEED, protocol_of
from vaelab.models import LatentVariableModel, MixturePrior
from vaelab.refusals import Refusal, require_int
from vaelab.runs.checkpoints import Checkpoints
from vaelab.runs.directory import entries
from vaelab.runs.files import read_json, write_file
from vaelab.runs.metrics import Metrics
from vaelab.runs.tensors import load_tensors, save_tensors
from vaelab.settings import Settings, resolve

__all__ = ["FORMAT_VERSION", "Run"]

FORMAT_VERSION = 1


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
        self._checkpoints = Checkpoints(self.path / "checkpoints")
        self._metrics = Metrics(self.path / "metrics.jsonl")
        where = self.path / "config.json"
        if config is None:
            if not self.path.is_dir():
                raise Refusal(f"run: there is no run directory {str(path)!r}")
            if not where.is_file():
                raise Refusal(f"run: {str(path)!r} is no run directory (it has no config.json)")
            config = read_json(where, dict)
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
        if left := entries(path):
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
        data = self.settings.load_data()
        expected = self.config["data"].get("sha256")
        if check and data.sha256() != expected:
            raise Refusal(f"data: {self.settings.data!r} is not the data that {self.path} was trained on (SHA-256)")
        return data

    def save_weights(self, weights: dict[str, Tensor]) -> None:
        """Write the selected weights, by name."""
        save_tensors(self.path / "model.safetensors", weights)

    def save_density(self, prior: MixturePrior) -> None:
        """Write the mixture over the codes of an auto-encoder."""
        save_tensors(self.path / "density.safetensors", prior.arrays())

    def load_model(self) -> LatentVariableModel:
        """Rebuild the model from the config and load the selected weights, in evaluation mode."""
        model = self.settings.build_model(self.data_dim)
        path = self.path / "model.safetensors"
        try:
            model.load_state_dict(load_tensors(path))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise Refusal(f"{path}: the weights do not fit the model of config.json ({reason})") from error
        density = self.path / "density.safetensors"
        if isinstance(model.prior, MixturePrior) and density.exists():
            model.prior.load(load_tensors(density))
        return model.eval()

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write what a resumed training needs, and keep the checkpoint before it."""
        self._metrics.sync()  # on the disk before a checkpoint that says these rows were logged
        self._checkpoints.save(state)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last checkpoint that is whole, or None if the training stopped before its first one."""
        return self._checkpoints.load()

    def log(self, row: dict[str, Any]) -> None:
        """Append one object to metrics.jsonl."""
        self._metrics.log(row)

    def metrics(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """Return the logged rows, up to a step; a last line that a crash cut short is left out."""
        return self._metrics.rows(up_to)

    def forget_after(self, step: int) -> None:
        """Drop the rows logged after ``step``, which a resumed training will log again."""
        self._metrics.forget_after(step)

    def evaluations(self) -> list[dict[str, Any]]:
        """Return every evaluation made of this run."""
        path = self.path / "evaluation.json"
        return read_json(path, list) if path.exists() else []

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
        return read_json(path, dict) if path.exists() else None

    def tightness(self) -> dict[str, Any] | None:
        """Return the measured bounds of every inference, or None if they were not measured."""
        path = self.path / "tightness.json"
        return read_json(path, dict) if path.exists() else None

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

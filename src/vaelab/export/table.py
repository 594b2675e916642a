"""The table of formats that models are exported to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vaelab.export.onnx import ONNX_FILES, to_onnx
from vaelab.export.pretrained import to_pretrained
from vaelab.models import Model
from vaelab.models.pretrained import PRETRAINED_FILES
from vaelab.runs import Run

__all__ = ["EXPORTERS", "Exporter"]


@dataclass(frozen=True)
class Exporter:
    """A row of the table: what is written, its files, and the function that writes them.

    ``write`` gets a model, a directory, and the run of the model if it has one. It replaces an earlier export, and
    returns for each file what it holds.
    """

    what: str
    files: tuple[str, ...]
    write: Callable[[Model, Path, Run | None], dict[str, str]]


EXPORTERS: dict[str, Exporter] = {
    "onnx": Exporter(
        "an export to ONNX",
        ONNX_FILES,
        lambda model, folder, run: to_onnx(model, folder, overwrite=True),
    ),
    "hub": Exporter(
        "a saved model", PRETRAINED_FILES, lambda model, folder, run: to_pretrained(model, folder, run, overwrite=True)
    ),
}

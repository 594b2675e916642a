"""Models written for other programs."""

from __future__ import annotations

from vaelab.export.onnx import to_onnx
from vaelab.export.pretrained import to_pretrained, training_of
from vaelab.export.table import EXPORTERS, Exporter

__all__ = ["EXPORTERS", "Exporter", "to_onnx", "to_pretrained", "training_of"]

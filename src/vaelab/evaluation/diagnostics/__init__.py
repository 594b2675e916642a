"""Diagnostics of a model: what its code does on data, in numbers, figures and plain words, with advice."""

from __future__ import annotations

from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.diagnose import ROWS, diagnose
from vaelab.evaluation.diagnostics.result import Diagnostics
from vaelab.evaluation.diagnostics.table import DIAGNOSTICS, Diagnostic, DiagnosticName

__all__ = [
    "DIAGNOSTICS",
    "ROWS",
    "Diagnosis",
    "Diagnostic",
    "DiagnosticName",
    "Diagnostics",
    "Sample",
    "diagnose",
]

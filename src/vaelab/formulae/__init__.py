"""Formulae of reports and of the documentation: plain text into LaTeX, LaTeX into MathML.

A formula in a docstring, a table or a text of a report is plain text for a terminal. A page typesets it.
"""

from __future__ import annotations

from pathlib import Path

from vaelab.formulae.mathml import mathml, typeset
from vaelab.formulae.plain import DENSITY, latex_of

__all__ = ["DENSITY", "STYLE", "latex_of", "mathml", "typeset"]

STYLE = Path(__file__).with_name("formulae.css").read_text(encoding="utf-8")

"""The explorer: one HTML page, from one file, in which the networks of a model run and its codes can be walked."""

from __future__ import annotations

from vaelab.explorer.content import rows_of
from vaelab.explorer.notebook import ExplorerPage, explore
from vaelab.explorer.page import bundle, explorer_page, write_explorer
from vaelab.explorer.parts import describe
from vaelab.explorer.subject import Subject
from vaelab.explorer.tensors import Tensors

__all__ = [
    "ExplorerPage",
    "Subject",
    "Tensors",
    "bundle",
    "describe",
    "explore",
    "explorer_page",
    "rows_of",
    "write_explorer",
]

"""The explorer: one page in which a model is computed and looked at, without a server."""

from __future__ import annotations

from vaelab.explorer.parts import describe
from vaelab.explorer.tensors import Tensors

__all__ = ["Tensors", "describe"]

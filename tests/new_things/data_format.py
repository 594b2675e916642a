"""A data format for test_new_things: lines of the characters 0 and 1."""

from __future__ import annotations

import numpy as np

from vaelab.data.content import Content
from vaelab.data.opening import Opened
from vaelab.data.values import ReadOptions
from vaelab.errors import InputError

__all__ = ["read"]


def read(opened: Opened, options: ReadOptions) -> Content:
    """Read observations of equal length, one a line."""
    lines = opened.stream.read().split()
    if len({len(line) for line in lines}) != 1 or set(b"".join(lines)) - set(b"01"):
        raise InputError(f"{opened.path}: expected lines of 0 and 1 of one length")
    return Content({"x": np.array([list(line) for line in lines], np.uint8) - ord("0")})

"""Colours, axes and files of all figures."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["CLASS_COLOURS", "INK", "LINE_COLOURS", "Array", "legible", "plain", "png"]


Array = npt.NDArray[Any]

# Paul Tol's muted scheme and a dark grey: ten colours that can be distinguished with any common colour vision.
CLASS_COLOURS = (
    *("#332288", "#CC6677", "#117733", "#DDCC77", "#88CCEE"),
    *("#882255", "#44AA99", "#999933", "#AA4499", "#555555"),
)
# The same scheme without its pale colours, for lines.
LINE_COLOURS = ("#332288", "#CC6677", "#117733", "#882255", "#44AA99", "#999933", "#AA4499", "#555555")
INK = "#222222"


def legible(name: str, longest: int = 60) -> str:
    r"""Return a user's name in a form that matplotlib prints literally and that is not too long.

    Matplotlib reads text between two dollar signs as a formula, and leaves labels that begin with ``_`` out of legends.

    >>> legible("_price in $ and $")
    ' _price in \\$ and \\$'
    """
    name = name.encode("utf-8", "backslashreplace").decode()  # a file name need not be valid text
    shown = " ".join(name.split())
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    return (" " if shown[:1] in ("", "_") else "") + shown.replace("$", r"\$")


def png(figure: Figure, dpi: int = 130) -> bytes:
    """Return the figure as PNG bytes, the same for the same figure; they say that vaelab wrote them.

    A character that the font does not have is shown as a box; matplotlib's warning of it is not passed on.
    """
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": "vaelab"})
    return buffer.getvalue()


def plain(axes: Axes) -> None:
    """Remove the sides of the frame that have no scale."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, colors=INK)

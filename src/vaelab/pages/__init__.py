"""What the pages of vaelab look like: one style sheet, light and dark, for the report and the explorer."""

from __future__ import annotations

from pathlib import Path

from vaelab.pages.colours import CLASS_COLOURS, COLOURS, colours_css

__all__ = ["CLASS_COLOURS", "COLOURS", "theme"]


def theme() -> str:
    """Return the style sheet of every page: colours as variables, type, tables, controls, focus.

    >>> "--class-9: " in theme()
    True
    """
    return colours_css() + Path(__file__).with_name("theme.css").read_text(encoding="utf-8")

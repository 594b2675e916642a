"""What to do about values whose meaning is not clear, as the end of a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaelab.data.values import ReadOptions, Summary

__all__ = ["way_out"]


def way_out(summary: Summary, options: ReadOptions, named: bool) -> str:
    """Return what to do with values that are neither bits nor grey levels; ``named`` if their columns have names."""
    numbers = options.way("--values real or count", "values='real' or 'count'")
    kinds = options.way("--columns FILE, a YAML file with lines such as ", "columns=")
    low, high = float(summary.low.min()), float(summary.high.max())
    if (summary.two and low != 0) or low == high:
        two_levels = named and (summary.low < summary.high).all()  # in each column
        return "recode them as 0 and 1" + (f", or say so with {kinds}{_every(options, 'binary')}" if two_levels else "")
    if low < 0 or (not summary.whole.all() and high < 1.01):
        near = ", with numpy.clip if they are rounding errors" if low > -0.01 and high < 1.01 else ""
        missing = ""
        if summary.whole.all():
            say = f"say so with {kinds}{_every(options, {'missing': [int(low)]})}"
            if not named:
                of_table = "" if summary.images else options.way("", f", or {say}")
                say = f"put NaN there, in an array of real numbers{of_table}"
            missing = f"; if {low:g} marks a missing answer, {say}"
        return f"bring them into [0, 1] yourself{near}{missing}, or keep them as real numbers with {numbers}"
    white = next((usual for usual in (255, 65535) if usual // 2 < high <= usual), high)
    other = " or 255" if summary.byte else ""
    recode = "recode them as 0 and 1; " if summary.two else ""
    way = f"--scale {white:g}{other} (in Python and in settings scale={white:g})"
    grey = options.way(way, f"scale={white:g}{other}")
    levels = (
        f"; if they are levels, say so with {kinds}{_every(options, 'categorical')} (or a name for *)" if named else ""
    )
    return f"{recode}if they are grey levels, say which value is white: {grey}; if they are counts, {numbers}{levels}"


def _every(options: ReadOptions, what: object) -> str:
    """Return how to say what every column is, in YAML or in Python."""
    line = str(what).replace("'", "")
    return options.way(f'"*": {line}', str({"*": what}))

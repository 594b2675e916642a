"""The colours of every page in two themes: a table of variables of the style sheet.

The reader's system chooses between light and dark; ``data-theme="light"`` or ``"dark"`` on the root element overrides
it. On paper a page is light.
"""

from __future__ import annotations

__all__ = ["CLASS_COLOURS", "COLOURS", "colours_css"]

# name -> (light, dark)
COLOURS: dict[str, tuple[str, str]] = {
    "ground": ("#f6f6f9", "#14141a"),  # behind everything
    "panel": ("#ffffff", "#1d1d25"),  # a sheet on the ground; controls
    "inset": ("#eeeef3", "#282832"),  # a field inside a panel: code, the empty part of a bar
    "paper": ("#ffffff", "#f5f5f2"),  # behind figures in dark ink
    "ink": ("#1c1c24", "#ececf2"),
    "soft": ("#5a5a68", "#a9a9b8"),  # text that explains
    "line": ("#dedee6", "#363641"),  # between rows, around panels
    "edge": ("#83838f", "#757585"),  # around controls
    "accent": ("#3d2f9e", "#a79cf7"),  # links, the chosen control, the first series of a chart
    "on-accent": ("#ffffff", "#14141a"),  # text on the accent
    "accent-2": ("#a33a62", "#f08bac"),  # the second series: what is compared with the first
    "good": ("#156b31", "#62c683"),
    "bad": ("#a8283a", "#f2808c"),
    "warn": ("#8a6100", "#e0b64f"),
    "up": ("#b2182b", "#f4826f"),  # a probability that rises; a positive weight
    "down": ("#2166ac", "#6db1ee"),  # a probability that falls; a negative weight
}

# The classes: the hues of Paul Tol's muted scheme and grey, as in the figures, moved until any two can be distinguished
# with any common colour vision, and each from the panel behind it.
CLASS_COLOURS: tuple[tuple[str, str], ...] = (
    ("#2e2b8b", "#675ecd"),
    ("#d06476", "#d2757a"),
    ("#0f783a", "#81bb64"),
    ("#b09e55", "#d4ce85"),
    ("#498ec3", "#90c8ed"),
    ("#852958", "#d41368"),
    ("#2fafa7", "#26b0ac"),
    ("#918408", "#a19428"),
    ("#90558b", "#a74899"),
    ("#333333", "#686868"),
)

_LIGHT, _DARK = 0, 1


def colours_css() -> str:
    """Return the variables of the style sheet: ``--ground``, ``--ink``, ..., ``--class-0`` to ``--class-9``."""
    light, dark = _variables(_LIGHT), _variables(_DARK)
    return (
        f":root {{ color-scheme: light; --round: 6px;\n{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{\n"
        f':root:not([data-theme="light"]) {{ color-scheme: dark;\n{dark}}}\n}}\n'
        f'@media screen {{\n:root[data-theme="dark"] {{ color-scheme: dark;\n{dark}}}\n}}\n'
    )


def _variables(theme: int) -> str:
    colours = COLOURS | {f"class-{index}": pair for index, pair in enumerate(CLASS_COLOURS)}
    return "".join(f"  --{name}: {pair[theme]};\n" for name, pair in colours.items())

"""Room: pages. Text is legible on every ground and classes can be distinguished, in both themes."""

import itertools
import math
import re

import pytest

from vaelab.pages import CLASS_COLOURS, COLOURS, theme

THEMES = {"light": 0, "dark": 1}
TEXT = ("ink", "soft", "accent", "accent-2", "good", "bad", "warn", "up", "down")
# Linear colours as a person without one kind of cone sees them (Machado, Oliveira and Fernandes, 2009, severity 1).
VISIONS = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}


def linear(colour: str) -> list[float]:
    values = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2."""
    low, high = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(linear, (first, second)))
    return (high + 0.05) / (low + 0.05)


def oklab(rgb: list[float]) -> list[float]:
    """Coordinates in which distances are about as large as they look (Ottosson, 2020)."""
    cones = (
        (0.41222147, 0.53633254, 0.05144599),
        (0.2119035, 0.68069955, 0.10739696),
        (0.08830246, 0.28171884, 0.6299787),
    )
    roots = [math.cbrt(sum(map(math.prod, zip(row, rgb, strict=True)))) for row in cones]
    axes = (
        (0.21045426, 0.79361778, -0.00407205),
        (1.9779985, -2.42859221, 0.45059371),
        (0.02590404, 0.78277177, -0.80867577),
    )
    return [sum(map(math.prod, zip(row, roots, strict=True))) for row in axes]


@pytest.mark.parametrize(("theme", "ground"), list(itertools.product(THEMES, ("ground", "panel", "inset"))))
def test_text_is_legible(theme, ground):
    behind = COLOURS[ground][THEMES[theme]]
    faint = {name: contrast(COLOURS[name][THEMES[theme]], behind) for name in TEXT}
    assert {name: value for name, value in faint.items() if value < 4.5} == {}
    assert contrast(COLOURS["edge"][THEMES[theme]], behind) >= 3  # the border of a control


@pytest.mark.parametrize("theme", THEMES)
def test_text_on_the_accent_is_legible(theme):
    assert contrast(COLOURS["on-accent"][THEMES[theme]], COLOURS["accent"][THEMES[theme]]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_classes_differ_from_the_panel(theme):
    panel = COLOURS["panel"][THEMES[theme]]
    assert min(contrast(pair[THEMES[theme]], panel) for pair in CLASS_COLOURS) > 2.6


@pytest.mark.parametrize(("theme", "vision"), list(itertools.product(THEMES, VISIONS)))
def test_any_two_classes_can_be_distinguished(theme, vision):
    seen = []
    for pair in CLASS_COLOURS:
        rgb = linear(pair[THEMES[theme]])
        seen.append(oklab([min(1, max(0, sum(map(math.prod, zip(row, rgb, strict=True))))) for row in VISIONS[vision]]))
    assert min(math.dist(first, second) for first, second in itertools.combinations(seen, 2)) > 0.065


def test_every_variable_that_is_used_is_defined():
    sheet = theme()
    assert set(re.findall(r"var\(--([\w-]+)", sheet)) <= set(re.findall(r"--([\w-]+):", sheet))

"""LaTeX turned into MathML when a page is built: the page needs no script, no font and no network.

The reports and the documentation use it. A formula that latex2mathml does not understand is an error, so that no page
shows LaTeX to the reader. Many machines have no mathematical font. Therefore single letters are set in the italics of a
text font, the style sheet ``formulae.css`` enlarges sums and integrals, and formulae should not need brackets
that grow.
"""

from __future__ import annotations

import contextlib
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup, escape

from vaelab.formulae.plain import DENSITY, latex_of

__all__ = ["mathml", "typeset"]

_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
_THIN = {"width": "0.167em"}
_LETTER = re.compile("[A-Za-zα-ωϑϕϵ]")
_LARGE = {"∑", "∏", "∫"}
_PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
_CLOSING = set(")]}")
_BARS = {"∣": ("|", "0.15em"), "|": ("|", "0"), "‖": ("||", "0")}
_SYMBOLS = {"∇", "∂", "∞"}
_FORMULA = re.compile(rf"`[^`\n]+`|{DENSITY.pattern}")
_UPRIGHT = {"𝔼": "E", "𝒩": "N"}  # letters that text fonts lack


def mathml(latex: str, display: str = "inline") -> str:
    r"""Return a formula as a <math> element; ``display`` is "inline" or "block".

    Raises:
        ValueError: latex2mathml does not understand the formula.

    >>> mathml("x")
    '<math display="inline"><mrow><mi class="italic" mathvariant="normal">x</mi></mrow></math>'
    """
    source = latex.strip().replace("{aligned}", "{split}")  # latex2mathml knows the other name alone
    try:
        root = ElementTree.fromstring(convert(source, display=display))
    except Exception as error:
        raise ValueError(f"formula: latex2mathml cannot convert {latex!r}: {error}") from error
    for element in root.iter():
        element.tag = element.tag.removeprefix(_NAMESPACE)
        if "\\" in (element.text or ""):
            raise ValueError(f"formula: latex2mathml does not know {element.text} in {latex!r}")
        if len(element) != _PARTS.get(element.tag, len(element)):
            raise ValueError(f"formula: an argument is missing in {latex!r}")
        _mend(element)
    for element in list(root.iter()):
        _mark_signs(element)
        _space_function_names(element)
    return ElementTree.tostring(root, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    """Give one symbol the element, the class and the space around it that browsers need."""
    text = element.text or ""
    if element.tag == "mi" and text == "~":
        element.tag, element.text = "mo", "∼"
    elif element.tag == "mi" and _LETTER.fullmatch(text) and "mathvariant" not in element.attrib:
        element.attrib |= {"class": "italic", "mathvariant": "normal"}
    elif text in _UPRIGHT:
        element.text = _UPRIGHT[text]
        element.attrib |= {"mathvariant": "normal"}
    elif element.tag == "mo" and text.isalpha() and text.isascii():
        element.tag = "mi"
        element.attrib = {"mathvariant": "normal"}
    elif element.tag == "mo" and text in _LARGE:
        element.attrib |= {"class": "large", "largeop": "false", "lspace": "0.12em"}
    elif element.tag == "mo" and text in _BARS:  # those of text fonts are as light as the letters
        element.text, space = _BARS[text]
        element.attrib = {"lspace": space, "rspace": space, "stretchy": "false"}
    elif element.tag == "mo" and text in _SYMBOLS:
        element.tag, element.attrib = "mi", {"mathvariant": "normal"}
    elif text in {"/", ".", "…"}:
        element.tag, element.attrib = "mo", {"lspace": "0", "rspace": "0"}
    elif element.tag == "msup" and element[1].text == "′":  # in text fonts the sign is raised already
        element.tag, element[1].tag, element[1].attrib = "mrow", "mo", {"lspace": "0", "rspace": "0"}


def _mark_signs(row: ElementTree.Element) -> None:
    """Mark a minus sign that stands before a number, not between two: it takes no space."""
    before = None
    for element in row:
        follows_operator = before is not None and before.tag == "mo" and before.text not in _CLOSING
        if element.text == "−" and element.tag == "mo" and (follows_operator or before is None):
            element.attrib |= {"form": "prefix", "lspace": "0", "rspace": "0"}
        if element.tag != "mi" or element.text:  # an empty one stands at the start of a cell
            before = element


def _space_function_names(row: ElementTree.Element) -> None:
    """Put a thin space beside a function's name, as in log p, but not between it and a bracket."""
    if row.tag not in {"math", "mrow", "mtd", "mstyle"}:
        return
    for number in range(len(row) - 1, -1, -1):
        if not _is_function_name(row[number]):
            continue
        after = row[number + 1] if number + 1 < len(row) else None
        before = row[number - 1] if number else None
        if after is not None and after.tag != "mspace" and (after.tag != "mo" or after.text in _LARGE):
            row.insert(number + 1, ElementTree.Element("mspace", _THIN))
        if before is not None and (before.tag not in {"mo", "mspace"} or before.text in _CLOSING):
            row.insert(number, ElementTree.Element("mspace", _THIN))


def _is_function_name(element: ElementTree.Element) -> bool:
    base = element[0] if element.tag in {"msub", "msup", "munder"} else element
    while base.tag == "mrow" and len(base) == 1:
        base = base[0]
    upright = base.get("mathvariant") == "normal" and base.get("class") is None
    return base.tag == "mi" and str(base.text).isalpha() and (upright or len(str(base.text)) > 1)


def typeset(text: str) -> Markup:
    """Return text as HTML in which the formulae are MathML: densities anywhere, others between single backticks.

    Text that is HTML already, a ``Markup``, is not escaped again.

    >>> typeset("the number of `K`")[:42]
    Markup('the number of <math display="inline"><mrow')
    """
    parts, place = [], 0
    for match in _FORMULA.finditer(text):
        formula: str = escape(match[0])
        with contextlib.suppress(ValueError):  # backticks in a title need not be a formula
            formula = Markup(mathml(latex_of(match[0].strip("`"))))
        parts += [escape(text[place : match.start()]), formula]
        place = match.end()
    return Markup("").join([*parts, escape(text[place:])])

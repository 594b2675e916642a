"""Formulae of the pages: LaTeX is turned into MathML when a page is built. No script, no font, no network.

A formula that latex2mathml does not understand stops the build: the page never shows LaTeX to the reader.
Many machines have no mathematical font. So single letters are set in the italics of a text font, sums and integrals are
enlarged by the style sheet, and formulae are best written without brackets that have to grow.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
THIN = {"width": "0.167em"}
LETTER = re.compile("[A-Za-zα-ωϑϕϵ]")
LARGE = {"∑", "∏", "∫"}
PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}
CLOSING = set(")]}")
BARS = {"∣": ("|", "0.15em"), "|": ("|", "0"), "‖": ("||", "0")}
SYMBOLS = {"∇", "∂", "∞"}
UPRIGHT = {"𝔼": "E", "𝒩": "N"}  # letters that text fonts lack


def mathml(latex: str, display: str = "inline") -> str:
    r"""Return a formula as a <math> element; ``display`` is "inline" or "block".

    >>> mathml("x")
    '<math display="inline"><mrow><mi class="italic" mathvariant="normal">x</mi></mrow></math>'
    """
    source = latex.strip().replace("{aligned}", "{split}")  # latex2mathml knows the other name alone
    try:
        root = ElementTree.fromstring(convert(source, display=display))
    except Exception as error:
        raise ExtensionError(f"formula: latex2mathml cannot convert {latex!r}: {error}") from error
    for element in root.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
        if "\\" in (element.text or ""):
            raise ExtensionError(f"formula: latex2mathml does not know {element.text} in {latex!r}")
        if len(element) != PARTS.get(element.tag, len(element)):
            raise ExtensionError(f"formula: an argument is missing in {latex!r}")
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
    elif element.tag == "mi" and LETTER.fullmatch(text) and "mathvariant" not in element.attrib:
        element.attrib |= {"class": "italic", "mathvariant": "normal"}
    elif text in UPRIGHT:
        element.text = UPRIGHT[text]
        element.attrib |= {"mathvariant": "normal"}
    elif element.tag == "mo" and text.isalpha() and text.isascii():
        element.tag = "mi"
        element.attrib = {"mathvariant": "normal"}
    elif element.tag == "mo" and text in LARGE:
        element.attrib |= {"class": "large", "largeop": "false", "lspace": "0.12em"}
    elif element.tag == "mo" and text in BARS:  # those of text fonts are as light as the letters
        element.text, space = BARS[text]
        element.attrib = {"lspace": space, "rspace": space, "stretchy": "false"}
    elif element.tag == "mo" and text in SYMBOLS:
        element.tag, element.attrib = "mi", {"mathvariant": "normal"}
    elif text in {"/", ".", "…"}:
        element.tag, element.attrib = "mo", {"lspace": "0", "rspace": "0"}
    elif element.tag == "msup" and element[1].text == "′":  # in text fonts the sign is raised already
        element.tag, element[1].tag, element[1].attrib = "mrow", "mo", {"lspace": "0", "rspace": "0"}


def _mark_signs(row: ElementTree.Element) -> None:
    """Mark a minus sign that stands before a number, not between two: it takes no space."""
    before = None
    for element in row:
        follows_operator = before is not None and before.tag == "mo" and before.text not in CLOSING
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
        if after is not None and after.tag != "mspace" and (after.tag != "mo" or after.text in LARGE):
            row.insert(number + 1, ElementTree.Element("mspace", THIN))
        if before is not None and (before.tag not in {"mo", "mspace"} or before.text in CLOSING):
            row.insert(number, ElementTree.Element("mspace", THIN))


def _is_function_name(element: ElementTree.Element) -> bool:
    base = element[0] if element.tag in {"msub", "msup", "munder"} else element
    while base.tag == "mrow" and len(base) == 1:
        base = base[0]
    upright = base.get("mathvariant") == "normal" and base.get("class") is None
    return base.tag == "mi" and str(base.text).isalpha() and (upright or len(str(base.text)) > 1)


def _inline(self, node: nodes.math) -> None:
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(self, node: nodes.math_block) -> None:
    anchor = f' id="{node["ids"][0]}"' if node["ids"] else ""
    number = ""
    if node["number"]:
        number = f'<a class="number" href="#{node["ids"][0]}" title="Link to this formula">({node["number"]})</a>'
    formula = mathml(node.astext(), "block")
    self.body.append(f'<div class="formula"{anchor}><div class="scrolls" tabindex="0">{formula}</div>{number}</div>\n')
    raise nodes.SkipNode


def _keep_together(app, document: nodes.document, name: str) -> None:
    """Keep a comma or a full stop on the line of the formula before it."""
    for formula in list(document.findall(nodes.math)):
        line, place = formula.parent, formula.parent.index(formula)
        after = line[place + 1] if place + 1 < len(line) else None
        if isinstance(after, nodes.Text) and after[:1] in set(",.;:)"):
            line[place : place + 2] = [
                nodes.inline("", "", formula.deepcopy(), nodes.Text(after[:1]), classes=["together"]),
                nodes.Text(after[1:]),
            ]


def setup(app) -> dict[str, bool]:
    """Make this the renderer of formulae in HTML, with its style sheet."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect(
        "builder-inited", lambda app: app.config.html_static_path.append(str(Path(__file__).parent / "_static"))
    )
    app.connect("doctree-resolved", _keep_together)
    app.add_css_file("derivations.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

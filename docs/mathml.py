"""Formulae of the documentation; ``vaelab.formulae`` turns their LaTeX into MathML.

In a page of Markdown a formula is LaTeX between dollar signs. In a docstring it is plain text between single backticks,
which a terminal shows as it is: `log 1/K sum_k w_k`. Densities such as p(x|z) are recognised without backticks. A
paragraph that consists of one formula is displayed. A formula that cannot be converted stops the build.
"""

from __future__ import annotations

import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import roles
from sphinx.errors import ExtensionError

from vaelab import formulae
from vaelab.formulae import DENSITY, latex_of, mathml

LONG = 60  # characters of plain text above which a formula in a line may be wider than a telephone
LEFT_ALONE = re.compile(r"(``[^`]+``|`[^`]+`|^ *(?:>>>|\.\.\. ).*$)", re.MULTILINE)
STYLE = Path(formulae.__file__).with_name("formulae.css")


def with_formulae(markdown: str) -> str:
    """Return generated Markdown with its densities as LaTeX; code and formulae are not changed."""
    density = re.compile(DENSITY.pattern.replace(r"\|", r"\\?\|"))  # in a table, a bar has a backslash
    parts = re.split(r"(```.*?```|`[^`]*`|\$[^$]*\$)", markdown, flags=re.DOTALL)
    parts[::2] = [
        density.sub(lambda match: f"${latex_of(match[0].replace(chr(92), ''))}$", part) for part in parts[::2]
    ]
    return "".join(parts)


def _converted(latex: str, display: str = "inline") -> str:
    try:
        return mathml(latex, display)
    except ValueError as error:
        raise ExtensionError(str(error)) from error


def _inline(self, node: nodes.math) -> None:
    formula = _converted(node.astext())
    self.body.append(f'<span class="long">{formula}</span>' if node.get("long") else formula)
    raise nodes.SkipNode


def _block(self, node: nodes.math_block) -> None:
    anchor = f' id="{node["ids"][0]}"' if node["ids"] else ""
    number = ""
    if node["number"]:
        number = f'<a class="number" href="#{node["ids"][0]}" title="Link to this formula">({node["number"]})</a>'
    formula = _converted(node.astext(), "block")
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


def _role(name, rawtext, text, lineno, inliner, options=None, content=()):
    """Return the plain formula between the backticks of a docstring as a formula."""
    return [nodes.math(rawtext, latex_of(text.replace("\n", " ")), long=len(text) > LONG)], []


def _mark_formulae(app, what, name, object_, options, lines: list[str]) -> None:
    """Put backticks around the densities of a docstring, and escape signs that would be links."""
    parts = LEFT_ALONE.split("\n".join(lines))
    for number in range(0, len(parts), 2):
        text = parts[number].replace("_-", "\\_-")
        pieces = re.split(f"({DENSITY.pattern})", text)
        pieces[::2] = [piece.replace("|", "\\|") for piece in pieces[::2]]
        pieces[1::2] = [f"`{piece}`" for piece in pieces[1::2]]
        parts[number] = "".join(pieces)
    lines[:] = "".join(parts).split("\n")


def _display(app, document: nodes.document) -> None:
    """Display a formula that is a paragraph of its own, with the comma or full stop after it."""
    for paragraph in list(document.findall(nodes.paragraph)):
        formula, *after = paragraph.children or [None]
        sign = "".join(part.astext() for part in after).strip()
        if isinstance(paragraph.parent, nodes.entry | nodes.list_item) or not isinstance(formula, nodes.math):
            continue
        if sign in ("", ",", ".", ":", ";"):
            latex = formula.astext() + sign
            paragraph.replace_self(nodes.math_block(latex, latex, number=None, ids=[]))


def setup(app) -> dict[str, bool]:
    """Make this the renderer of formulae in HTML, with its style sheet."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    roles.register_local_role("formula", _role)
    folders = [str(Path(__file__).parent / "_static"), str(STYLE)]
    app.connect("builder-inited", lambda app: app.config.html_static_path.extend(folders))
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", _mark_formulae)
    app.connect("doctree-read", _display)
    app.connect("doctree-resolved", _keep_together)
    app.add_css_file("formulae.css")
    app.add_css_file("derivations.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}

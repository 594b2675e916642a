"""The directive ``code-and-tests``: functions of the repository by name, each with its source, folded.

    ```{code-and-tests}
    src/vaelab/distributions/normal.py: _kl_normal
    tests/test_distributions.py: test_kl_of_bits_is_torchs_and_the_sum_over_every_code
    ```

A name is that of a function or class, or ``Class.method``. A name that is not found stops the build, so the links
cannot go out of date when a file is edited.
"""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"([\w/]+\.py): ([\w.]+)")


def source_of(path: str, name: str) -> str:
    """Return the source of a function, class or method of a file of the repository, decorators included.

    Raises:
        ValueError: no such file, or no such name in it.

    >>> source_of("docs/named_code.py", "source_of").splitlines()[0]
    'def source_of(path: str, name: str) -> str:'
    """
    if not (ROOT / path).is_file():
        raise ValueError(f"code-and-tests: the repository has no file {path}")
    text = (ROOT / path).read_text(encoding="utf-8")
    node: ast.AST = ast.parse(text)
    for part in name.split("."):
        found = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        if not found:
            raise ValueError(f"code-and-tests: {path} has no {name}")
        node = found[0]
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "\n".join(line[node.col_offset :] for line in text.splitlines()[first - 1 : node.end_lineno])


class CodeAndTests(Directive):
    """Show what computes a formula, and the tests that prove it."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return one folded source for each line of the directive."""
        shown = nodes.container(classes=["code-and-tests"])
        for line in self.content:
            match = NAME.fullmatch(line.strip())
            if not match:
                raise self.error(f"code-and-tests: expected 'path/to/file.py: name'; got {line!r}")
            try:
                source = source_of(*match.groups())
            except ValueError as mistake:
                raise self.error(str(mistake)) from mistake
            kind = "Test" if line.startswith("tests/") else "Code"
            shown_name = escape(match[0]).replace("_", "_<wbr>")  # where a narrow screen may break it
            summary = f"<summary><b>{kind}</b> <code>{shown_name}</code></summary>"
            shown += nodes.raw("", f"<details>{summary}", format="html")
            shown += nodes.literal_block(source, source, language="python")
            shown += nodes.raw("", "</details>", format="html")
            self.state.document.settings.env.note_dependency(str(ROOT / match[1]))
        return [shown]


def setup(app) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("code-and-tests", CodeAndTests)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

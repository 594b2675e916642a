"""Tables as text: Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence

__all__ = ["NOTES", "csv_table", "latex_table", "markdown_table"]

_LATEX = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",
    "†": r"$\dagger$",
    **{sign: f"${sign}$" for sign in "<>|"},
}


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown.

    >>> print(markdown_table(["model", "ELBO"], [["a|b", "-90"]]), end="")
    | model | ELBO |
    |---|---|
    | a\\|b | -90 |
    """
    lines = [header, *rows]
    cells = [[_in_markdown(cell) for cell in line] for line in lines]
    written = [f"| {' | '.join(line)} |" for line in cells]
    return "\n".join([written[0], "|" + "---|" * len(header), *written[1:]]) + "\n"


def latex_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in LaTeX, which needs no package.

    >>> print(latex_table(["model", "ELBO"], [["a_1", "-90.1 ± 0.2"]]), end="")
    \\begin{tabular}{lr}
    \\hline
    model & ELBO \\\\
    \\hline
    a\\_1 & $-$90.1 $\\pm$ 0.2 \\\\
    \\hline
    \\end{tabular}
    """
    written = [" & ".join(map(_in_latex, line)) + r" \\" for line in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\hline", written[0], r"\hline", *written[1:], r"\hline"]
    return "\n".join([*lines, r"\end{tabular}"]) + "\n"


def csv_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as comma-separated values.

    >>> csv_table(["model", "ELBO"], [["a, b", "-90"]])
    'model,ELBO\\n"a, b",-90\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _latex_notes(sentences: Sequence[str]) -> str:
    return "".join(f"\n\\par\\noindent {_in_latex(sentence)}\n" for sentence in sentences)


def _markdown_notes(sentences: Sequence[str]) -> str:
    return "".join(f"- {_in_markdown(sentence)}\n" for sentence in sentences)


def _csv_notes(sentences: Sequence[str]) -> str:
    return csv_table(["note"], [[sentence] for sentence in sentences])


def _in_markdown(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _in_latex(cell: str) -> str:
    """Return a cell with the signs of LaTeX escaped, and the minus of numbers as one."""
    escaped = "".join(_LATEX.get(sign, sign) for sign in cell)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)


# Sentences below tables, for the ending of a file.
NOTES: dict[str, Callable[[Sequence[str]], str]] = {".md": _markdown_notes, ".tex": _latex_notes, ".csv": _csv_notes}

r"""Formulae in the plain notation of docstrings and tables, turned into LaTeX.

A terminal shows ``log 1/K sum_k w_k``; a page shows the same formula typeset. The notation is that of the code:
``log p(x|z)``, ``E_q[f(z)]``, ``KL[q || p]``, ``grad_phi``, ``z~``, ``e^(-t)``, ``<S_i>``. Other words stand upright.
"""

from __future__ import annotations

import itertools
import re

__all__ = ["DENSITY", "latex_of"]

# Densities and their logarithms are recognised in any text: nothing else is written like them.
_VARIABLE = r"[a-z]'?(?:_\w+(?:[+-]\w+)?)?"
DENSITY = re.compile(rf"(?<![\w`/.])(?:log )?[pq]\({_VARIABLE}(?:(?:, ?|\|){_VARIABLE})*\)(?!\w)")

_COMMANDS = (  # words that are LaTeX once a backslash stands before them
    *("alpha", "beta", "gamma", "delta", "eta", "theta", "lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau"),
    *("chi", "psi", "omega", "Phi", "Sigma", "Delta", "log", "exp", "max", "min", "tanh", "sin", "arcsin"),
    *("sum", "prod", "int", "in"),
)
_WORDS = {word: rf"\{word}" for word in _COMMANDS}
_WORDS |= {"eps": r"\epsilon", "phi": r"\varphi", "grad": r"\,\nabla", "inf": r"\infty"}
_SIGNS = {
    "<-": r"\leftarrow", "->": r"\to", "<=": r"\le", ">=": r"\ge", "!=": r"\ne", "||": r"\,\|\,", "...": r"\dots",
    "+-": r"\pm", " . ": r"\cdot", " ~ ": r"\sim", " * ": r"\cdot", "{": r"\{", "}": r"\}", "%": r"\%",
}  # fmt: skip
_TOKEN = re.compile(
    r"(?P<accent>d?[A-Za-z]~)|(?P<word>[^\W\d_]+)|(?P<number>\d+(?:\.\d+)?)|(?P<script>[_^])"
    r"|(?P<sign><-|->|<=|>=|!=|\|\||\.\.\.|\+-| [.~*] |[{}%])|(?P<left><(?=\S))|(?P<right>(?<=\S)>)"
    r"|(?P<bar>\|)|(?P<space>\s+)|(?P<other>.)"
)
_FRACTION = re.compile(r"(\d+|[A-Z])/(\d+|[A-Z]|\([^()]+\))(?![\w(])")
_INDEX = re.compile(r"[+-]?\w+(?:[+-]\w+)*")  # y_l+1 and z_-k: an index has no spaces


def latex_of(plain: str) -> str:
    r"""Return a plain formula as LaTeX.

    Raises:
        ValueError: a sign that has another meaning in LaTeX.

    >>> latex_of("log p(x) >= log 1/K sum_k w_k")
    '\\log p(x)\\ge \\log \\frac{1}{K}\\sum _{k}w_{k}'
    """
    text, place, depth, open_bar, parts = plain.strip(), 0, 0, False, []
    while place < len(text):
        if (fraction := _FRACTION.match(text, place)) and not text[:place][-1:].isalnum():
            below = fraction[2].removeprefix("(").removesuffix(")")
            parts.append(rf"\frac{{{fraction[1]}}}{{{latex_of(below)}}}")
            place = fraction.end()
            continue
        (token,) = itertools.islice(_TOKEN.finditer(text, place), 1)
        kind, symbol, place = str(token.lastgroup), token[0], token.end()
        if kind == "script":
            place, inside = _script(text, place)
            parts.append(f"{symbol}{{{inside}}}")
        elif kind == "bar":
            is_condition = not open_bar and text[: place - 1][-1:].isalnum()
            open_bar ^= not is_condition
            parts.append(r"\mid " if is_condition else "|")
        elif symbol == "sqrt" and text[place : place + 1] == "(":
            place, inside = _script(text, place)
            parts.append(rf"\sqrt{{{inside}}}")
        else:
            parts.append(_symbol(kind, symbol, text[place : place + 1]))
            depth += (symbol in "([{") - (symbol in ")]}")
            if symbol == "," and depth == 0:
                parts.append(r"\quad ")
    return "".join(parts).strip()


def _script(text: str, start: int) -> tuple[int, str]:
    """Return the end and the LaTeX of what stands in brackets or without spaces from ``start`` on."""
    opening = text[start : start + 1]
    if opening in ("(", "{"):
        depth, closing = 0, {"(": ")", "{": "}"}[opening]
        for end in range(start, len(text)):
            depth += (text[end] == opening) - (text[end] == closing)
            if depth == 0:
                return end + 1, latex_of(text[start + 1 : end])
    index = _INDEX.match(text, start)
    if index is None:
        return start + 1, latex_of(opening)
    words = re.sub(r"[^\W\d_]+", lambda word: _word(word[0]) + " ", index[0])
    return index.end(), words.strip()


def _word(word: str) -> str:
    """Return a word of an index: a pair of letters is a pair of indices, a longer one a name."""
    return _WORDS.get(word, word if len(word) < 3 else rf"\text{{{word}}}")


def _symbol(kind: str, text: str, after: str) -> str:
    if kind == "accent":
        return rf"{text[:-2]}\tilde{{{text[-2]}}}"
    if kind == "word":
        if text == "E" and after in ("_", "["):
            return r"\mathbb{E}"
        if text == "N" and after == "(":
            return r"\mathcal{N}"
        if text in _WORDS:
            return _WORDS[text] + " "
        is_letter = len(text) == 1 or (len(text) == 2 and text[0] == "d")  # x, or dx of an integral or a derivative
        return text if is_letter else rf"\operatorname{{{text}}}"
    if kind == "sign":
        return _SIGNS[text] + " "
    if text in "\\$&#":
        raise ValueError(f"formula: expected plain text such as 'log p(x)'; got {text!r}")
    return {"left": r"\langle ", "right": r"\rangle ", "space": ""}.get(kind, text)

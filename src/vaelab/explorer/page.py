"""The page of the explorer: modules of JavaScript put together, styles, content and tensors in one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vaelab.explorer.content import ROWS, page_content
from vaelab.explorer.subject import Subject
from vaelab.explorer.tensors import as_text
from vaelab.formulae import STYLE, typeset
from vaelab.pages import theme
from vaelab.storage import write_file, write_ours

__all__ = ["FORMULAE", "bundle", "explorer_page", "write_explorer"]

_WEB = Path(__file__).with_name("web")
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.MULTILINE)

# Formulae of the page, by name: plain text, typeset when the page is written.
FORMULAE = {
    "elbo": "`ELBO(x) = E_q[log p(x|z)] - KL[q(z|x) || p(z)] <= log p(x)`",
    "sample": "`z ~ p(z), x ~ p(x|z)`",
    "imputation": "`E[x_missing | x_observed] = sum_k v_k E[x_missing | z_k, x_observed]`, `v_k = w_k / sum_j w_j`, "
    "`w_k = p(x_observed|z_k) p(z_k) / q(z_k|x_observed)`",
    "joint": "`log p(x, z) = log p(z) + log p(x|z)`",
    "layer-up": "`q(y_l|y_l-1)`",
    "layer-down": "`p(y_l|y_l+1)`",
    "gibbs": "`p(y_lj = 1|rest) = a_1 / (a_0 + a_1)`, `a_v = p(y_l-1|y_l) p(y_l|y_l+1)` with `y_lj = v`",
    "bit-effect": "`E[p(x|z, z_j = 1) - p(x|z, z_j = 0)]`",
    "elbo-gradient": "`grad_l ELBO = grad_l E_q[f(z)] - grad_l KL[q || p]`",
    "toy": "`p(x_i = 1|z) = sigma(c (2 sum_j s_ij z_j - 1))`",
    "score-function": "`grad_l E_q[f(z)] ~ 1/K sum_k (f(z_k) - b) (z_k - p)`",
    "leave-one-out": "`grad_l E_q[f(z)] ~ 1/K sum_k (f(z_k) - 1/(K - 1) sum_(j != k) f(z_j)) (z_k - p)`",
    "arm": "`grad_l E_q[f(z)] ~ (f(z) - f(z')) (u - 1/2)`",
    "disarm": "`grad_l E_q[f(z)] ~ 1/2 (f(z) - f(z')) (z - z') sigma(|l|)`",
    "bitflip": "`grad_l E_q[f(z)] ~ D p_j (1 - p_j) (f(z) - f(z^j)) (2 z_j - 1)`",
    "rebar": "`grad_l E_q[f(z)] ~ (f(z) - c(v~)) (z - p) + grad_l c(v) - grad_l c(v~)`",
    "concrete": "`grad_l E_q[f(z)] ~ grad_l f(sigma((l + log u - log(1 - u))/t))`",
    "straight-through": "`grad_l E_q[f(z)] ~ 1/K sum_k f'(z_k) p (1 - p)`",
    "half": "`grad_l E_q[f(z)] ~ 1/2 f'(z) (z (1 - p) + (1 - z) p)`",
    "gumbel-straight-through": "`grad_l E_q[f(z)] ~ f'(z) grad_l sigma((l + log u - log(1 - u))/t)`",
}


def explorer_page(subjects: Sequence[Subject], title: str | None = None, rows: int = ROWS) -> str:
    """Return the page of some models as HTML that needs no other file and no network.

    Raises:
        InputError: a model with a part that the page cannot compute.
    """
    content, blob = page_content(title or ", ".join(subject.title for subject in subjects), subjects, rows)
    script, style = bundle(_WEB / "main.js"), _style()
    environment = Environment(loader=FileSystemLoader(_WEB), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html").render(
        title=content["title"],
        policy=_policy(script, style),
        style=Markup(style),
        script=Markup(script),
        content=Markup(_json(content)),
        tensors=Markup(as_text(blob)),
        formulae={name: typeset(text) for name, text in FORMULAE.items()},
    )


def write_explorer(
    out: Path, subjects: Sequence[Subject], title: str | None = None, rows: int = ROWS, replace: bool = False
) -> Path:
    """Write the page to a file, and return its path.

    Args:
        out: the file.
        subjects: the models.
        title: of the page; the titles of the models by default.
        rows: of each split, at most.
        replace: whether to replace a file of that name which vaelab did not write.

    Raises:
        InputError: such a file and not ``replace``, or a model that the page cannot compute.
    """
    write = write_file if replace else write_ours
    write(out, explorer_page(subjects, title, rows).encode("utf-8", "backslashreplace"))
    return out


@cache
def _style() -> str:
    return theme() + STYLE + (_WEB / "style.css").read_text(encoding="utf-8")


def _policy(script: str, style: str) -> str:
    """Return a content security policy: this script, these styles, images of the page itself, and nothing else."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(content: Any) -> str:
    """Return JSON that no text in it can end: signs of HTML are written as escapes. NaN becomes null."""
    text = json.dumps(_without_nan(content), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _without_nan(content: Any) -> Any:
    if isinstance(content, float):
        return content if abs(content) < float("inf") else None
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    return [_without_nan(value) for value in content] if isinstance(content, list | tuple) else content


@cache
def bundle(entry: Path) -> str:
    """Return one script of a module and all that it imports: each becomes a function that returns what it exports.

    The modules have named imports and exports only, of functions, classes and constants, and no circle of imports.
    """
    parts: dict[Path, str] = {}
    _collect(entry.resolve(), parts, ())
    script = '"use strict";\n' + "".join(parts.values())
    return script.replace("</script", "<\\/script")


def _collect(path: Path, parts: dict[Path, str], above: tuple[Path, ...]) -> None:
    if path in above:
        raise ValueError(f"{path.name}: modules that import each other in a circle: {[file.name for file in above]}")
    if path in parts:
        return
    source = path.read_text(encoding="utf-8")

    def constants(found: re.Match[str]) -> str:
        other = (path.parent / found[2]).resolve()
        _collect(other, parts, (*above, path))
        return f"const {{{found[1].replace(' as ', ': ')}}} = {_variable(other)};\n"

    body = _IMPORT.sub(constants, source)
    exported = ", ".join(found[1] for found in _EXPORT.finditer(body))
    body = _EXPORT.sub("", body)
    if left := re.search(r"^(?:import|export)\b.*", body, re.MULTILINE):
        raise ValueError(f"{path.name}: expected named imports and exports only; got {left[0]!r}")
    parts[path] = f"const {_variable(path)} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def _variable(path: Path) -> str:
    return "$" + re.sub(r"\W", "_", str(path.relative_to(_WEB.resolve()).with_suffix("")))

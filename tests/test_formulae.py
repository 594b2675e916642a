"""Formulae are typeset on the pages of the documentation, in docstrings and in reports, without a script."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vaelab.formulae import DENSITY, latex_of, mathml, typeset

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CODE = re.compile(r"^```.*?^```$|^    [^\n]*$|`[^`]+`", re.M | re.S)
PAGES = {path.stem: CODE.sub("", path.read_text(encoding="utf-8")) for path in sorted(DOCS.glob("*.md"))}
DISPLAYED = re.compile(r"^ *\$\$\n(.*?)^ *\$\$", re.M | re.S)
INLINE = re.compile(r"\$((?:[^$\n]|\n(?!\n))+)\$")


def formulae_of(text: str) -> list[str]:
    """The LaTeX of a page."""
    return DISPLAYED.findall(text) + INLINE.findall(DISPLAYED.sub("", text))


FORMULAE = {page: formulae_of(text) for page, text in PAGES.items() if "$" in text}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_no_formula_is_plain_text(page):
    text = INLINE.sub("", DISPLAYED.sub("", PAGES[page]))
    assert DENSITY.findall(text) == []
    assert re.findall(r"[Σ∇∫‖ₖσμℓ]|KL\[|E_q|log [wpq]\b", text) == []


def test_every_formula_is_converted_without_a_rest_of_latex():
    formulae = [formula for page in FORMULAE.values() for formula in page]
    assert len(formulae) > 500
    for formula in formulae:
        assert not re.search(r"[\\&$]", re.sub(r"&(lt|gt|amp);", "", mathml(formula))), formula
    for wrong in (r"\unknown{x}", r"a & b", r"\frac{1}"):
        with pytest.raises(ValueError, match="formula"):
            mathml(wrong)


def test_names_of_functions_are_upright_and_set_apart():
    thin = '<mspace width="0.167em" />'
    x = '<mi class="italic" mathvariant="normal">x</mi>'
    assert mathml(r"\log x") == f'<math display="inline"><mrow><mi>log</mi>{thin}{x}</mrow></math>'
    assert thin not in mathml(r"\log(x)")
    assert mathml(r"x\log(x)").count(thin) == 1


@pytest.mark.parametrize(
    ("plain", "latex"),
    [
        ("log p(x|z)", r"\log p(x\mid z)"),
        ("1/K sum_k w_k", r"\frac{1}{K}\sum _{k}w_{k}"),
        ("1/(K - 1)", r"\frac{1}{K-1}"),
        ("E_q[f(z)] <= KL[q || p]", r"\mathbb{E}_{q}[f(z)]\le \operatorname{KL}[q\,\|\, p]"),
        ("softplus(-|l_j|)", r"\operatorname{softplus}(-|l_{j}|)"),
        ("c(z~) ~ N(0, I)", r"c(\tilde{z})\sim \mathcal{N}(0,I)"),
        ("sum_{j != k} e^(-xi z_j)", r"\sum _{j\ne k}e^{-\xi z_{j}}"),
        ("q(y_l+1|y_l), L(z_-k)", r"q(y_{l+1}\mid y_{l}),\quad L(z_{-k})"),
        ("dz~/dl f(x, z)", r"d\tilde{z}/dlf(x,z)"),
        ("<S_i> < sqrt(v) / 2", r"\langle S_{i}\rangle<\sqrt{v}/2"),
    ],
)
def test_plain_formulae_become_latex(plain, latex):
    assert latex_of(plain).replace(" ", "") == latex.replace(" ", "")
    mathml(latex_of(plain))


def test_formulae_in_docstrings_are_plain_text_that_can_be_converted():
    """A formula of a docstring stands in single backticks, in a notation that a terminal shows."""
    count = 0
    for path in (ROOT / "src").rglob("*.py"):
        text = re.sub(r"``[^`]+``|:\w+:`[^`]+`", "", path.read_text(encoding="utf-8"))
        for docstring in re.findall(r'r?"""(.*?)"""', text, re.S):
            for formula in re.findall(r"`([^`]+)`", docstring) + DENSITY.findall(docstring):
                mathml(latex_of(formula.replace("\n", " ")))
                count += 1
    assert count > 100


def test_a_text_with_formulae_becomes_html():
    html = typeset("a < b: log p(x|z, y) over `K` codes")
    assert re.sub(r"<math.*?</math>", "F", html) == "a &lt; b: F over F codes"
    assert typeset(typeset("a < b")) == "a &lt; b"
    assert typeset(r"a run called `\frac`") == r"a run called `\frac`"


SMALL_CONF = """
extensions, html_theme, root_doc = ["myst_parser", "mathml", "named_code"], "furo", "derivations"
myst_enable_extensions, myst_heading_anchors, myst_update_mathjax = ["dollarmath", "substitution"], 3, False
myst_substitutions = dict.fromkeys(["settings", "study", "throughput", "quality", "scaling"], "")
suppress_warnings = ["myst.xref_missing", "toc", "image", "myst.reference"]  # other pages and pictures are left out
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The pages with formulae, built as `make docs` builds them but without the other pages."""
    folder = tmp_path_factory.mktemp("pages")
    for page in FORMULAE:
        shutil.copy(DOCS / f"{page}.md", folder)
    search = re.findall(r"^html_show_search_summary = \w+", (DOCS / "conf.py").read_text(encoding="utf-8"), re.M)
    (folder / "conf.py").write_text("\n".join([SMALL_CONF, *search]), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", folder, folder / "html"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(DOCS), str(ROOT / "src")])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.parametrize("page", sorted(FORMULAE))
def test_a_page_has_no_script_for_its_formulae(built, page):
    html = (built / f"{page}.html").read_text(encoding="utf-8")
    assert "mathjax" not in html.lower()
    assert not re.search(r"""(src|href)=["']?(https?:)?//[^"']*\.(js|css|woff2?)""", html)
    assert html.count("<math") == len(FORMULAE[page])


OUTSIDE = """all => all.filter(part => part.getBoundingClientRect().right > window.innerWidth + 1
    && !part.closest('.scrolls, .long, .table-wrapper, .highlight, .sidebar-drawer, .toc-drawer')).length"""


@pytest.mark.parametrize(("width", "script"), [(1200, True), (390, False)], ids=["desktop", "telephone without script"])
def test_a_browser_sets_the_formulae_and_the_pages_fit_the_screen(browser, built, width, script):
    context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
    tab = context.new_page()
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    for page, formulae in FORMULAE.items():
        tab.goto((built / f"{page}.html").as_uri())
        sizes = "all => all.map(f => [f.getBoundingClientRect(), f.getAttribute('display')])"
        sizes = [(box["width"], box["height"], display) for box, display in tab.eval_on_selector_all("math", sizes)]
        assert len(sizes) == len(formulae)
        assert all(wide > 3 and 6 < high < 300 for wide, high, _ in sizes)
        assert all(high > 12 for _, high, display in sizes if display == "block"), page
        assert not re.findall(r"\\[a-z]+|\$", tab.inner_text("article")), page
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), page
        assert tab.eval_on_selector_all("article *", OUTSIDE) == 0, page
        cut = "all => all.filter(box => box.scrollHeight > box.clientHeight + 1).length"  # at the top or the bottom
        assert tab.eval_on_selector_all(".formula .scrolls", cut) == 0, page
    tab.goto((built / "derivations.html").as_uri())
    assert tab.is_hidden(".code-and-tests pre")
    tab.click(".code-and-tests summary")
    assert "def log_prob" in tab.inner_text(".code-and-tests pre")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_the_search_works_from_a_folder(browser, built):
    """Without a server: the pages are found, and nothing is fetched."""
    tab, errors = browser.new_page(), []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.goto((built / "search.html").as_uri() + "?q=reparameterisation")
    tab.get_by_role("link", name="The derivations").first.wait_for()
    assert errors == []
    tab.close()


GLYPHS = """formulae => {
    const draw = (family, letter) => {
        const canvas = Object.assign(document.createElement('canvas'), {width: 60, height: 60}).getContext('2d');
        canvas.font = '30px ' + family;
        canvas.fillText(letter, 10, 40);
        return canvas.canvas.toDataURL();
    };
    const pairs = new Set();
    for (const symbol of formulae.flatMap(formula => [...formula.querySelectorAll('mi, mo, mn, mtext')]))
        for (const letter of symbol.textContent + '\u0379') pairs.add(letter + getComputedStyle(symbol).fontFamily);
    const missing = [...pairs].map(pair => [pair[0], pair.slice(1)])
        .filter(([letter, family]) => draw(family, letter) === draw(family, '\u0378'));
    return [...new Set(missing.map(([letter]) => letter))];
}"""


def test_every_sign_has_a_glyph(browser, built):
    """No sign is drawn as the box that stands for a character without one; U+0379, which has none, is found."""
    tab = browser.new_page()
    for page in FORMULAE:
        tab.goto((built / f"{page}.html").as_uri())
        assert tab.eval_on_selector_all("math", GLYPHS) == ["\u0379"], page
    tab.close()

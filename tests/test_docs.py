"""README and documentation are true where they are code: Python runs as it stands, command lines can be typed."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import nbformat
import pytest
import typer

import vaelab
from tests.test_architecture import ORDER
from vaelab.cli import app
from vaelab.cli.usage import COMMANDS as TABLE_OF_COMMANDS
from vaelab.data import Dataset
from vaelab.data.load import DATASETS
from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS, Estimator, Exact, Sizes
from vaelab.evaluation import DIAGNOSTICS
from vaelab.formulae import latex_of
from vaelab.likelihoods import LIKELIHOODS
from vaelab.models import MODELS
from vaelab.objectives import ELBO, IWAE, OBJECTIVES
from vaelab.settings import parse_overrides, resolve
from vaelab.studies.sweep import read_space

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("tutorials/*.md")))
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}
TEXTS |= {
    str(path.relative_to(ROOT)): "\n\n".join(
        cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
    )
    for path in sorted(DOCS.glob("tutorials/*.ipynb"))  # their code is run by test_tutorials.py
}
BLOCKS = {page: re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) for page, text in TEXTS.items()}
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", sorted(page for page, blocks in BLOCKS.items() if blocks))
def test_the_python_blocks_of_a_page_run(
    page: str, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code stays as it stands, on fewer rows of MNIST, so that the test is fast."""
    if page != "docs/own_loop.md":  # which takes 100 batches of one epoch
        monkeypatch.setitem(DATASETS, "mnist", lambda: digits)
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page}
    for number, block in enumerate(BLOCKS[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_paths_named_on_a_page_exist(page: str) -> None:
    for path in set(re.findall(r"\b(?:src|docs|tests|benchmarks)/[\w/]+\.\w+", TEXTS[page])):
        assert (ROOT / path).exists(), f"{page} names {path}"


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_names_of_vaelab_on_a_page_exist(page: str) -> None:
    for name in set(re.findall(r"`(vaelab(?:\.\w+)+)", TEXTS[page])):
        found: Any = vaelab
        for part in name.split(".")[1:]:
            assert hasattr(found, part), f"{page} names {name}"
            found = getattr(found, part)


def prose(text: str) -> list[str]:
    """Return the lines of a page outside of code, tables, pictures and headings."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return [line for line in text.splitlines() if not line.startswith(("|", "    ", "!", "#"))]


@pytest.mark.parametrize("page", sorted(TEXTS))
def test_lines_of_prose_are_short(page: str) -> None:
    assert [line for line in prose(TEXTS[page]) if len(line) > 135] == []


# Phrases that this project wrote once, and that readers had to read twice.
RIDDLES = re.compile(
    r"unless told|told otherwise|nobody|\b(comes|came) to\b(?! an end)|\bsays (other|so where)|goes nowhere|of whatever"
    r"|as it stands|by its own word|what it (makes|has become) of|at their word|Soon good|half-written|left alone"
)


def test_sentences_are_literal() -> None:
    files = [*TEXTS.items(), *((str(path), path.read_text(encoding="utf-8")) for path in (ROOT / "src").rglob("*.py"))]
    found = [(name, match[0]) for name, text in files for match in RIDDLES.finditer(text)]
    assert found == []


def command_lines(text: str) -> list[str]:
    """Return the command lines of a page: in blocks, and between backquotes."""
    text = text.replace("\\\n", " ")
    start = r"(?:\S.* -m )?vaelab (?=[a-z-])"
    fenced = "\n".join(re.findall(r"^```(?!python)\w*\n(.*?)^```", text, re.M | re.S))
    lines = re.findall(rf"^(?:\$ )?({start}.*)$", fenced, re.M) + re.findall(rf"^    ({start}.*)$", text, re.M)
    return lines + re.findall(rf"`({start}[^`]+)`", text)


# All but the line with the estimator that docs/extending.md makes.
LINES = sorted(
    {(page, line) for page, text in TEXTS.items() for line in command_lines(text) if "self-critical" not in line}
)


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_of_a_page_can_be_typed(page: str, line: str) -> None:
    words = shlex.split(line.rpartition("vaelab ")[2] if " -m vaelab " in line else line[7:], comments=True)
    if words[0].startswith("-"):
        return
    command, *words = words
    assert command in COMMANDS, f"{page}: there is no command {command}"
    known = {name for parameter in COMMANDS[command].params for name in parameter.opts} | {"--help", "-h", "--debug"}
    known |= {f"--no-{name[2:]}" for name in known}
    options = [word.partition("=")[0] for word in words if word.startswith("-")]
    assert set(options) <= known, f"{page}: {command} has no {set(options) - known}"
    settings = [word for word in words if re.match(r"[a-z_.]+=[^.]", word) and "|" not in word]
    if command in ("train", "sweep") and words and words[0] in MODELS and settings:
        layer = parse_overrides(settings)
        try:
            resolve(words[0], layer)
        except InputError:
            assert command == "sweep"
            read_space(words[0], layer)


def test_lines_are_found() -> None:
    assert len(LINES) > 40
    assert {line.split()[1] for _, line in LINES if line.startswith("vaelab ")} >= {"train", "sweep", "compare", "data"}


@pytest.mark.parametrize("kind", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_table_of_estimators(kind: type[Estimator]) -> None:
    """Every estimator has a row: its cost is that of a step, its source is there, and a bias has a reason."""
    tables = runpy.run_path(str(DOCS / "estimators_table.py"))
    row = next(line for line in tables["estimators"]().splitlines() if line.startswith(f"| `{kind.name}` |"))
    cost, source = row.split(" | ")[4], row.split(" | ")[6]
    for objective, plain in ((ELBO(), kind.cost), (IWAE(), kind.cost_of_others or kind.cost)):
        text = str(plain)
        assert f"${latex_of(text)}$" in cost
        formula = (
            text.replace("2^D", "2 ** 3").replace(" K", " * 4").replace("K", "4").replace("L", "2").replace("D", "3")
        )
        assert kind(Sizes(5, 3, layers=2), samples=4).decoder_evaluations(objective) == eval(formula), (kind, text)
    assert "https://" in source or kind is Exact
    assert bool(kind.biased) == bool(kind.bias) == (f"| `{kind.name}` |" in tables["biases"]())


# ---------------------------------------------------------------- tables and lists of names


NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
]
NUMBERS += ["seventeen", "eighteen", "nineteen", "twenty"]


def test_reference_has_every_public_name() -> None:
    """A name stands in the module that defines it, or in one that lists it if it does not say which."""
    pages = runpy.run_path(str(DOCS / "api_page.py"))
    assert pages["rooms"]() == ORDER
    listed = {module: found for room in ORDER for module, found in pages["names"](room).items()}
    for room in ORDER:
        for module in pages["modules"](room):
            for name in module.__all__:
                home = str(getattr(getattr(module, name), "__module__", None))
                places = [home] if home.startswith("vaelab.") else list(listed)
                assert any(name in listed.get(place, ()) for place in places), f"{module.__name__}.{name}"


def test_table_of_models_and_commands() -> None:
    tables = runpy.run_path(str(DOCS / "names_table.py"))
    assert re.findall(r"^\| `([\w-]+)` \|", tables["models"](), re.M) == list(MODELS)
    assert re.findall(r"^\| `([\w-]+)` \|", tables["commands"](), re.M) == list(TABLE_OF_COMMANDS)
    assert all("\n" not in line and line.count(" | ") == 3 for line in tables["commands"]().splitlines()[2:])
    diagnostics = runpy.run_path(str(DOCS / "diagnostics_table.py"))["markdown"]()
    assert re.findall(r"^\| `([\w-]+)` \|", diagnostics, re.M) == list(DIAGNOSTICS)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in diagnostics.splitlines())


def test_table_of_objectives_has_every_one() -> None:
    table = runpy.run_path(str(DOCS / "estimators_table.py"))["objectives"]()
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.M) == list(OBJECTIVES)
    assert all(row.count("$") >= 4 for row in table.splitlines()[2:])  # a formula of the bound, and one of the signal


def test_table_of_likelihoods_has_every_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    table = runpy.run_path(str(DOCS / "likelihoods_table.py"))["markdown"]()
    assert re.findall(r"^\| `([\w-]+)` \|", table, re.M) == list(LIKELIHOODS)
    assert all(row.count("$") == 2 and row.count(" | ") == 3 for row in table.splitlines()[2:])


def test_readme_and_index_count_the_models() -> None:
    models = re.search(r"\*\*(\w+) models\*\*: (.*?)\. ", TEXTS["README.md"], re.S)
    assert models is not None
    assert models[1].lower() == NUMBERS[len(MODELS)]
    assert set(re.findall(r"`([\w-]+)`", models[2])) == set(MODELS)
    counted = re.search(r"there are (\w+) models", TEXTS["docs/index.md"])
    assert counted is not None
    assert counted[1] == NUMBERS[len(MODELS)]

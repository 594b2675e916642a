"""All rooms. A new estimator, likelihood, network, prior, objective, format, panel, diagnostic, view: a file and a row.

Each file of ``tests/new_things`` goes into a copy of the package, and a table of the copy gets one import and one row.
No other file of the copy changes. Then the command line reads, trains, evaluates and reports with all of them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands import run_commands

PACKAGE = Path(__file__).parents[1] / "src" / "vaelab"
TESTS = Path(__file__).parent
PIECES = TESTS / "new_things"
LAWS = "tests/laws/table.py"


@dataclass(frozen=True)
class NewThing:
    """A file of ``new_things``, where it goes, and the import and the row (above ``before``) that ``table`` gets."""

    piece: str
    target: str
    table: str
    imported: str
    row: str
    before: str


NEW_THINGS = (
    NewThing(
        "estimator",
        "estimators/paired_scores.py",
        "estimators/__init__.py",
        "from vaelab.estimators.paired_scores import PairedScores",
        "        PairedScores,",
        "        Exact,",
    ),
    NewThing(
        "likelihood",
        "likelihoods/noisy.py",
        "likelihoods/__init__.py",
        "from vaelab.likelihoods.noisy import NoisyBernoulli",
        '    "noisy": NoisyBernoulli,',
        '    "bernoulli": BernoulliLikelihood,',
    ),
    NewThing(
        "network",
        "networks/skip.py",
        "networks/__init__.py",
        "from vaelab.networks.skip import SkipNetwork",
        '    "skip": SkipNetwork,',
        '    "mlp": MLP,',
    ),
    NewThing(
        "prior",
        "priors/two_bits.py",
        "priors/__init__.py",
        "from vaelab.priors.two_bits import TwoBits",
        '    "two": TwoBits,',
        '    "uniform": BernoulliPrior,',
    ),
    NewThing(
        "objective",
        "objectives/half_renyi.py",
        "objectives/__init__.py",
        "from vaelab.objectives.half_renyi import HalfRenyi",
        "        HalfRenyi,",
        "        ELBO,",
    ),
    NewThing(
        "data_format",
        "data/formats/bit_strings.py",
        "data/formats/table.py",
        "from vaelab.data.formats import bit_strings",
        '    Format((".bits",), "a file of bit strings", "lines of the characters 0 and 1", bit_strings.read),',
        "    Format(",
    ),
    NewThing(
        "panel",
        "report/column_means.py",
        "report/sections.py",
        "from vaelab.report.column_means import column_means",
        "    column_means,",
        "    latent_map,",
    ),
    NewThing(
        "diagnostic",
        "evaluation/diagnostics/longest_code.py",
        "evaluation/diagnostics/table.py",
        "from vaelab.evaluation.diagnostics.longest_code import longest_code",
        r'        Diagnostic("longest", longest_code, "How long are codes?", r"$\max \lVert z\rVert$"),',
        "        Diagnostic(",
    ),
    NewThing(
        "view",
        "explorer/web/views/column_means.js",
        "explorer/web/views/table.js",
        'import { columnMeansView } from "./column_means.js";',
        "  columnMeansView,",
        "];",
    ),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package with every new thing in it."""
    root = tmp_path_factory.mktemp("copy")
    unfinished = shutil.ignore_patterns("*.pyc.*")  # what is compiled is copied, so that it need not be compiled again
    shutil.copytree(PACKAGE, root / "vaelab", ignore=unfinished)
    for new in NEW_THINGS:
        assert not (root / "vaelab" / new.target).exists()
        shutil.copy((PIECES / new.piece).with_suffix(Path(new.target).suffix), root / "vaelab" / new.target)
        table = root / "vaelab" / new.table
        lines = table.read_text(encoding="utf-8").splitlines()
        lines.insert(lines.index(new.before), new.row)
        before = "from __future__ import annotations" if new.table.endswith(".py") else ""  # there imports begin
        lines.insert(lines.index(before) + 1, new.imported)
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copytree(TESTS, root / "tests", ignore=shutil.ignore_patterns("*.pyc.*", "new_things", "golden"))
    shutil.copy(TESTS.parent / "pyproject.toml", root)
    laws = (root / LAWS).read_text(encoding="utf-8")
    first = "ROWS: list[Row] = [\n"
    assert laws.count(first) == 1
    law = '    Row("paired-scores", "elbo", codes, samples=2),\n'
    (root / LAWS).write_text(laws.replace(first, first + law), encoding="utf-8")
    rng = np.random.default_rng(0)
    rows = (rng.random((200, 6)) < rng.random((200, 1))).astype(int)
    (root / "answers.bits").write_text("\n".join("".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return root


def test_the_laws_of_estimators_prove_a_new_row(copy: Path) -> None:
    words = ("tests/test_estimator_laws.py", "-k", "paired-scores", "-p", "no:cacheprovider", "-o", "addopts=")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.fixture(scope="module")
def printed(copy: Path) -> list[str]:
    """Return what commands of the copy print: of a run of bits with all new parts, one under the new objective."""
    train, data = "train", ("--data", "answers.bits", "training.steps=20", "hidden_dims=[4]")
    parts = ("likelihood=noisy", "network=skip", "prior=two", "estimator.name=paired-scores")
    out, _ = run_commands(
        (train, "bernoulli-vae", *data, "latent_dim=3", *parts, "--out", "run"),
        ("evaluate", "run", "--bound", "elbo", "--bound", "exact"),
        (train, "gaussian-vae", *data, "latent_dim=2", "objective.name=half-renyi", "--out", "renyi"),
        ("explore", "renyi", "--no-open"),
        ("settings",),
        ("diagnose", "run", "--only", "longest", "--no-report"),
        path=copy,
        folder=copy,
    )
    return out.split("code 0\n")


def test_they_work_together_from_the_command_line(copy: Path, printed: list[str]) -> None:
    config = json.loads((copy / "run" / "config.json").read_text(encoding="utf-8"))["settings"]
    assert config["estimator"] == {"name": "paired-scores", "samples": 2}
    assert [config[name] for name in ("likelihood", "network", "prior")] == ["noisy", "skip", "two"]
    assert "elbo" in printed[1]
    assert "exact" in printed[1]
    report = (copy / "run" / "report.html").read_text(encoding="utf-8")
    assert "Means of the columns" in report
    assert "The longest code has the length " in printed[5]


def test_an_objective_trains_with_the_estimators_that_take_any(copy: Path, printed: list[str]) -> None:
    rows = [json.loads(line) for line in (copy / "renyi" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert np.isfinite(rows[-1]["val/bound"])


def test_a_view_of_the_explorer_shows_a_run(copy: Path, printed: list[str], browser: Any) -> None:
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((copy / "renyi" / "explorer.html").as_uri())
    page.get_by_role("tab", name="Column means").click()
    assert page.get_by_role("listitem").count() == 6
    page.close()
    assert errors == []


def test_the_view_is_that_of_the_documentation() -> None:
    text = (TESTS.parent / "docs" / "extending.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```js\n(.*?)```", text, re.S)
    assert (PIECES / "view.js").read_text(encoding="utf-8").endswith(shown)


def test_the_settings_list_them(printed: list[str]) -> None:
    names = printed[4].replace(",", " ").split()
    new = ("paired-scores", "half-renyi", "noisy", "skip", "two")
    assert [name for name in new if name not in names] == []

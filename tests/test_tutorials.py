"""The notebooks of docs/tutorials run from a clean kernel, and their checks tell right answers from wrong ones."""

from __future__ import annotations

import math
import re
import runpy
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from nbformat import NotebookNode

HERE = Path(__file__).parents[1] / "docs" / "tutorials"
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
SECTIONS = re.split(r"^## .*$", (HERE / "solutions.md").read_text(encoding="utf-8"), flags=re.M)[1:]
SOLUTIONS = [re.findall(r"^```python\n(.*?)^```", section, re.M | re.S) for section in SECTIONS]
UNANSWERED = "Not answered yet: replace the dots.\n"


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def outputs(cell: NotebookNode) -> list[list[str]]:
    """Return the kinds of the outputs of a cell."""
    return [sorted(output.get("data", {output.get("name"): 0})) for output in cell.outputs]


def exercises(notebook: NotebookNode) -> list[int]:
    """Return the places of the cells that a reader completes; the cell after each checks it."""
    return [n for n, cell in enumerate(notebook.cells) if "exercise" in cell.metadata.get("tags", ())]


@pytest.mark.parametrize(
    ("path", "solutions"), list(zip(NOTEBOOKS, SOLUTIONS, strict=True)), ids=[path.stem for path in NOTEBOOKS]
)
def test_a_notebook_runs_from_a_clean_kernel_and_its_solutions_are_right(path: Path, solutions: list[str]) -> None:
    """The solution of each exercise, and the check again, are run after the cells of the notebook."""
    execute = runpy.run_path(str(HERE / "execute.py"))["execute"]
    notebook, count = read(path), len(read(path).cells)
    places = exercises(notebook)
    for place, solution in zip(places, solutions, strict=True):
        notebook.cells += [nbformat.v4.new_code_cell(text) for text in (solution, notebook.cells[place + 1].source)]
    done = execute(notebook).cells
    for place in places:
        assert done[place + 1].outputs[0].text == UNANSWERED
    assert [cell.outputs[0].text for cell in done[count + 1 :: 2]] == ["Correct.\n"] * len(places)
    for cell, kept in zip(done, read(path).cells, strict=False):
        if cell.cell_type == "code":
            assert outputs(cell) == outputs(kept), f"{path.name} has other outputs now: run docs/tutorials/execute.py"


def test_there_are_six_notebooks_each_with_three_exercises_and_every_check_is_used() -> None:
    checks = set(re.findall(r"@exercise\ndef (\w+)", (HERE / "course.py").read_text(encoding="utf-8")))
    used = [cell.source for path in NOTEBOOKS for cell in read(path).cells if cell.source.startswith("course.")]
    assert {re.match(r"course\.(\w+)", line)[1] for line in used} == checks  # type: ignore[index]
    assert [len(exercises(read(path))) for path in NOTEBOOKS] == [3] * 6


# A wrong answer, and a part of what its check says.
WRONG: dict[str, tuple[Any, str]] = {
    "kl_of_normal": (
        lambda loc, log_scale: 0.5 * (loc**2 + log_scale.exp() - 1 - log_scale).sum(-1),
        "signs and factors",
    ),
    "importance_weighted_bound": (lambda log_w: log_w.exp().mean(0).log(), "use torch.logsumexp"),
    "prior_average": (10, "1/sqrt(K)"),
    "score_function": (lambda values, bits, p, c: (values * (bits - p)).mean(), "baseline"),
    "best_baseline": (2.6, "the mean of the values"),
    "straight_through_fixed_point": (0.5, "Where is E"),
    "posterior_of_codes": (lambda log_joint: log_joint.softmax(1), "each column sums to 1"),
    "gap_of_bound": (lambda log_q, log_joint: (log_q.exp() * (log_q - log_joint)).sum(0), "minus the ELBO"),
    "sleep_loss": (lambda q, z: q.log_prob(z).mean(), "minus the mean"),
    "parameters_of_mixture": (lambda count, dim: count * (dim + dim**2) + count - 1, "dim = 2 there are 5"),
    "bic": (lambda total, parameters, count: -2 * total + 2 * parameters, "log N"),
    "change_of_units": (-math.log(10), "10^D"),
    "standard_error": (torch.std, "the standard deviation of one value"),
    "paired_difference": (
        lambda a, b: ((b - a).mean(), math.hypot(a.std(), b.std()) / math.sqrt(len(a))),
        "row by row",
    ),
    "may_be_compared": ("BD", "think again about D"),
    "log_probability_of_columns": (lambda x, p: (x * np.log(p)).sum(1), "for each row"),
    "brier_score": (lambda probability, truth, hidden: ((probability - truth) ** 2).mean(), "hidden cells alone"),
    "pooled": (lambda estimates, errors: (estimates.mean(), np.sqrt((errors**2).mean())), "the tables differ"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_check_says_what_is_wrong_with_an_answer(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check = runpy.run_path(str(HERE / "course.py"))[name]
    answer, said = WRONG[name]
    for given, expected in ((answer, said), (..., UNANSWERED), (lambda *_: ..., "Not"), (object(), "Not yet: ")):
        check(given)
        printed = capsys.readouterr().out
        assert printed.startswith("Not ")
        assert expected in printed
        assert printed.count("\n") == 1

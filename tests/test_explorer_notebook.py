"""The explorer from Python: in a notebook that is executed, as a file, and of everything that has a model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from playwright.sync_api import expect

import vaelab
from tests.commands import CommandLine
from tests.golden.make import HERE, data_of
from vaelab.data import Split
from vaelab.errors import InputError
from vaelab.explorer import ExplorerPage
from vaelab.sklearn import BernoulliVAE
from vaelab.training import FitResult, History

ROOT = Path(__file__).parents[1]
CELLS = (
    "import numpy as np, vaelab\n"
    "rows = np.random.default_rng(0).integers(0, 2, (60, 16))\n"
    "data = vaelab.Dataset.from_arrays(rows, image_shape=(4, 4))\n"
    "model = vaelab.bernoulli_vae(data, latent_dim=4, hidden_dims=[8])",
    "vaelab.explore(model, data, title='<script>16 pixels</script>', height=900)",
)


@pytest.fixture(scope="module")
def executed() -> str:
    """Return the HTML of the last cell of a notebook that a kernel executed."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[-1].outputs
    assert output["data"]["text/plain"].startswith("ExplorerPage(title=")
    return str(output["data"]["text/html"])


def test_a_notebook_shows_the_page_and_its_views_work_in_the_frame(executed: str, browser: Any, tmp_path: Path) -> None:
    (tmp_path / "notebook.html").write_text(f"<!doctype html><title>notebook</title><p>In [2]:</p>{executed}", "utf-8")
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    page.goto((tmp_path / "notebook.html").as_uri())
    assert page.locator("iframe").get_attribute("title") == "<script>16 pixels</script>"
    frame = page.frame_locator("iframe")
    expect(frame.locator("h1")).to_have_text("<script>16 pixels</script>")
    expect(frame.locator("footer")).to_have_text(
        "This file holds 6 of the 6 test rows of arrays, and the weights of the model."
    )
    tabs = frame.get_by_role("tab")
    opened = 0
    for tab in tabs.all():
        if tab.get_attribute("aria-disabled") == "true":
            continue
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        expect(frame.get_by_role("tabpanel")).not_to_be_empty()
        opened += 1
    assert opened >= 5
    frame.get_by_role("tab", name="Sample").click()
    with page.expect_download() as saved:
        frame.get_by_role("button", name="Save PNG").click()
    assert saved.value.suggested_filename.endswith(".png")
    before = frame.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    frame.get_by_role("button", name="Draw again").click()
    page.wait_for_timeout(200)  # the address would be written now
    assert frame.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()") != before
    page.close()
    assert said == []


# ---------------------------------------------------------------- what it takes


def titles_of(page: ExplorerPage) -> list[str]:
    """Return the titles of the runs in a page."""
    (content,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', page.html, re.S)
    return [run["title"] for run in json.loads(content)["runs"]]


def test_it_takes_a_model_a_run_a_path_and_several_of_them() -> None:
    path, data = HERE / "bernoulli-vae" / "run", data_of("bernoulli-vae")
    run, saved, model = vaelab.Run(path), HERE / "bernoulli-vae" / "saved", vaelab.load(path)
    assert titles_of(vaelab.explore(model, data)) == ["model"]
    assert titles_of(vaelab.explore(run, data)) == ["run"]
    assert titles_of(vaelab.explore(str(saved), data)) == ["saved"]
    assert titles_of(vaelab.explore([run, model, saved], data)) == ["run", "model 2", "saved"]
    page = vaelab.explore({"first": run, "second": model}, data)
    assert titles_of(page) == ["first", "second"]
    assert page.title == "first, second"
    assert vaelab.explore(model, data, title="mine").title == "mine"


@pytest.mark.parametrize(
    ("splits", "shown"),
    [(("train", "validation", "test"), "test"), (("train", "validation"), "validation"), (("train",), "train")],
)
def test_without_test_rows_others_are_shown_and_named(splits: tuple[str, ...], shown: str) -> None:
    rows = np.eye(6, dtype=np.float32).repeat(3, 0)
    data = vaelab.Dataset("small", {name: Split(rows) for name in splits}, "binary", 1)
    page = vaelab.explore(vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[4]), data)
    assert f'"split":"{shown}"' in page.html


def test_it_takes_an_estimator_of_scikit_learn_with_rows() -> None:
    X = np.random.default_rng(0).integers(0, 2, (40, 5))
    estimator = BernoulliVAE(latent_dim=2, hidden_dims=[4], steps=5, random_state=0).fit(X)
    assert titles_of(vaelab.explore(estimator, X)) == ["BernoulliVAE"]
    shown = estimator.as_dataset(X).split("all").observations().bits(slice(None))
    assert torch.equal(shown, torch.tensor(X, dtype=shown.dtype))  # in the order of X


def test_a_run_finds_its_file_also_where_it_was_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, run = tmp_path / "rows.npy", tmp_path / "run"
    np.save(rows, np.random.default_rng(0).integers(0, 2, (100, 6), dtype=np.uint8))
    words = ("training.steps=5", "latent_dim=2", "hidden_dims=[4]", "--data", rows, "--out", run)
    assert CommandLine(capsys, monkeypatch)("train", "bernoulli-vae", *words).code == 0
    said = CommandLine(capsys, monkeypatch)("explore", run, "--no-open", "--rows", "7").err
    assert re.search(r"it holds the weights of the model and 7 of the \d+ test rows of rows", said)
    shown = vaelab.explore(run)
    assert titles_of(shown) == ["run"]
    moved = rows.rename(tmp_path / "moved.npy")
    assert vaelab.explore(run, moved).html == shown.html


REFUSED = {
    "a number": (lambda model, data: vaelab.explore(3), "shown: expected a model with its data"),
    "a list of nothing": (lambda model, data: vaelab.explore([]), "got an empty list"),
    "no data": (lambda model, data: vaelab.explore(model), "explore(model, data); got None"),
    "an array": (lambda model, data: vaelab.explore(model, np.eye(6)), "Dataset.from_arrays(x) makes a data set of it"),
    "other columns": (
        lambda model, data: vaelab.explore(model, vaelab.Dataset.from_arrays(np.eye(5).repeat(9, 0))),
        "expected rows of 6 columns, as the model reads; 'arrays' has 5",
    ),
    "no directory": (lambda model, data: vaelab.explore("nowhere"), "no run directory 'nowhere'"),
    "a run without its data": (lambda model, data: vaelab.explore(HERE / "sbn" / "run"), "explore(run, data)"),
    "a run with others": (
        lambda model, data: vaelab.explore(HERE / "sbn" / "run", vaelab.Dataset.from_arrays(np.eye(6).repeat(9, 0))),
        "is not the data that",
    ),
    "a run with rows": (lambda model, data: vaelab.explore(HERE / "sbn" / "run", np.eye(6)), "got ndarray"),
    "a result": (
        lambda model, data: vaelab.explore(FitResult(1, 0.0, 1, 0.0, "finished", History()), data),
        "give the model",
    ),
    "no rows": (lambda model, data: vaelab.explore(model, data, rows=0), "rows: expected"),
    "a path of a picture": (lambda model, data: vaelab.explore(model, data).save("page.png"), "ends in .html"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_in_one_sentence(case: str) -> None:
    model, data = vaelab.load(HERE / "bernoulli-vae" / "saved"), data_of("bernoulli-vae")
    call, sentence = REFUSED[case]
    with pytest.raises(InputError) as refusal:
        call(model, data)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_page_is_saved_over_its_own_file_only_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = vaelab.explore(vaelab.load(HERE / "bernoulli-vae" / "saved"), data_of("bernoulli-vae"))
    target = page.save(tmp_path / "page.html")
    assert target.read_text(encoding="utf-8") == page.html
    page.save(target)
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"page\.html"):
        page.save(target)
    page.save(target, overwrite=True)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert [page.open().as_uri()] == opened


def test_the_documentation_has_the_views_and_its_keys_exist() -> None:
    text = (ROOT / "docs" / "explorer.md").read_text(encoding="utf-8")
    web = ROOT / "src" / "vaelab" / "explorer" / "web" / "views"
    sources = {path.name: path.read_text(encoding="utf-8") for path in web.glob("*.js")}
    order = re.findall(r"(\w+)View\b", sources["table.js"].partition("VIEWS")[2])
    listed = re.findall(r"^\| (\w+) \|", text.partition("## The views")[2].partition("## Links")[0], re.M)
    assert [name.lower() for name in listed[1:]] == order
    keys = set(re.findall(rf"\b(?:{'|'.join(order)})\.[a-z_]+\b", text.partition("## Links")[2]))
    assert len(keys) > 10
    assert [key for key in keys if not any(f'"{key}"' in source for source in sources.values())] == []

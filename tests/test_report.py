"""The report: in a real browser, complete, self-contained, legible on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine
from vaelab import plots
from vaelab.data import load_data
from vaelab.data.load import DATASETS
from vaelab.explorer import Subject, write_explorer
from vaelab.report import ReportedRun, write_report
from vaelab.report.priors import _panel, priors_compared
from vaelab.report.sections import sections
from vaelab.settings import resolve
from vaelab.training import train

SMALL = {"hidden_dims": [32], "training": {"steps": 120, "validate_every": 40, "log_every": 40}}


@pytest.fixture(scope="module")
def members(digits, tmp_path_factory) -> Iterator[list[ReportedRun]]:
    folder = tmp_path_factory.mktemp("runs")
    wanted = {
        "plane": ("gaussian-vae", {"latent_dim": 2}),
        "bits": ("bernoulli-vae", {"latent_dim": 12}),
        "codes": ("autoencoder", {"latent_dim": 2, "components": 5}),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "mnist", lambda: digits)  # which the runs read again
        yield [
            ReportedRun(name, train(resolve(model, SMALL, options), folder / name)[0])
            for name, (model, options) in wanted.items()
        ]


@pytest.fixture(scope="module")
def made(members):
    """The sections of the report by name."""
    return {section.name: section for section in sections(members)[0]}


@pytest.fixture(scope="module")
def page(members, tmp_path_factory) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), "A <small> report", members)


@pytest.mark.parametrize(("width", "theme"), [(1200, "light"), (390, "dark")])
def test_the_page_opens_whole_offline_and_fits_the_screen(browser, page, width, theme):
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    faults: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(page.as_uri())
    assert faults == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert tab.title() == "A <small> report"
    images = tab.eval_on_selector_all("img", "all => all.map(i => [i.complete, i.naturalWidth, i.alt])")
    assert len(images) == 8
    assert all(complete and natural > 300 and alt for complete, natural, alt in images)
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    heights = tab.eval_on_selector_all("math", "all => all.map(f => f.getBoundingClientRect().height)")
    assert len(heights) >= 5
    assert min(heights) > 6  # a browser has set the formulae: nothing is left of their plain text
    text = re.sub(r"<(pre|math).*?</\1>", "", page.read_text(), flags=re.S)
    assert not re.findall(r"[pq]\(\w\|\w\)|\\[a-z]+|`", text)
    for link in tab.eval_on_selector_all("nav a", "all => all.map(a => a.getAttribute('href'))"):
        assert tab.query_selector(link) is not None
    tab.close()


CUT = """() => [...document.querySelectorAll("th, td, h2, li, pre, figure, img")].filter(part => {
  const inside = part.getBoundingClientRect();
  const panel = part.closest("section, nav")?.getBoundingClientRect();
  return panel && inside.width > 0 && (inside.right > panel.right || inside.left < panel.left);
}).map(part => part.outerHTML.slice(0, 80))"""


def test_nothing_is_cut_off_at_any_width_nor_in_print(browser, page):
    """Every cell of every table is inside its panel, and no table has to be scrolled."""
    tab = browser.new_page(viewport={"width": 360, "height": 900})
    tab.goto(page.as_uri())
    shown = {}
    for width in (360, 480, 640, 768, 900, 960, 1024, 1100, 1200, 1300, 1440, 1600, 1920, 2560):
        tab.set_viewport_size({"width": width, "height": 900})
        shown[width] = tab.evaluate("getComputedStyle(document.querySelector('.models')).display")
        assert tab.evaluate(CUT) == [], width
        assert tab.evaluate("[...document.querySelectorAll('.scroll')].every(b => b.scrollWidth <= b.clientWidth)"), (
            width
        )
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
    assert (shown[360], shown[1300]) == ("block", "table")  # a card for each model, or a row
    tab.emulate_media(media="print")
    tab.set_viewport_size({"width": 700, "height": 900})  # about A4
    assert tab.evaluate(CUT) == []
    tab.close()


def test_without_an_explorer_the_page_names_the_command(page):
    text = page.read_text(encoding="utf-8")
    assert re.search(r"<code>vaelab explore (\S+/plane) \S+/bits \S+/codes</code>", text)
    assert "explorer.html" not in text


def test_the_links_open_the_views_of_the_explorer_beside_the_page(browser, members, tmp_path):
    write_explorer(tmp_path / "explorer.html", [Subject.of_run(member) for member in members], rows=50)
    tab = browser.new_page()
    tab.goto(write_report(tmp_path, "A report", members).as_uri())
    links = tab.eval_on_selector_all("a[href^=explorer]", "all => all.map(link => link.getAttribute('href'))")
    assert len(links) > len(members)
    for link in sorted(set(links)):
        tab.goto(f"{tmp_path.as_uri()}/{link}")
        tab.wait_for_selector(".view")
        address = dict(part.split("=") for part in link.partition("#")[2].split("&"))
        if "view" in address:
            assert tab.get_attribute("#panel", "data-view") == address["view"], link
        assert tab.input_value("header select") == address["run"]
        tab.goto("about:blank")
    tab.close()


def test_every_section_applies_and_says_what_these_runs_show(made):
    assert list(made) == [
        "latent-map",
        "sample-means",
        "sample-modes",
        "codes-and-mixture",
        "mixture-samples",
        "training-curves",
        "reconstructions",
        "plane",
    ]
    for section in made.values():
        assert any(letter.isdigit() for letter in section.finding), section.name


def test_sentences_are_computed_from_the_runs(members, made):
    """The same builders on other runs give other numbers."""
    first = {section.name: section.finding for section in sections(members[:1])[0]}
    assert first["training-curves"] != made["training-curves"].finding
    assert "bits: " in made["reconstructions"].finding
    assert "bits: " not in first["reconstructions"]


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_what_is_true_of_the_standard_normal_prior_is_said_of_it_alone(digits, made, prior, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "mnist", lambda: digits)
    options = {"latent_dim": 2, "prior": prior, "prior_components": 3, "training": {"steps": 2}}
    run, _ = train(resolve("gaussian-vae", {"hidden_dims": [8]}, options), tmp_path / prior)
    found = {section.name: section for section in sections([ReportedRun(prior, run)])[0]}
    of_normal = made["latent-map"].guide + made["latent-map"].finding
    of_learned = found["latent-map"].guide + found["latent-map"].finding
    for words in ("the prior's is 1", "towards the origin"):
        assert words in of_normal
        assert words not in of_learned
    assert "plane" not in found


def test_priors_of_the_same_code_are_drawn_beside_the_codes(digits, members, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "mnist", lambda: digits)
    options = {"latent_dim": 2, "prior": "flow", "training": {"steps": 2}}
    run, _ = train(resolve("gaussian-vae", {"hidden_dims": [8]}, options), tmp_path / "flow")
    flow = ReportedRun("flow", run)
    section = priors_compared([*members, flow])
    assert section is not None
    assert [line.partition(":")[0] for line in section.finding.splitlines()] == ["plane", "flow"]
    assert priors_compared(members) is None  # one prior
    for member in (members[0], flow):  # a density: its integral over a square around nearly all draws is nearly 1
        panel = _panel(member)
        assert 0.98 < panel.density.sum() * (panel.axis[1] - panel.axis[0]) ** 2 < 1.001


def test_the_same_runs_give_the_same_bytes(members, page, tmp_path):
    again = write_report(tmp_path, "A <small> report", members)
    assert again.read_bytes() == page.read_bytes()


def test_pictures_stand_beside_the_page(page):
    assert {path.stem for path in (page.parent / "figures").glob("*.png")} >= {"latent-map", "plane"}


def test_rows_without_image_shape_and_classes_are_reported_too(tmp_path):
    np.save(tmp_path / "table.npy", (np.random.default_rng(0).random((300, 9)) < 0.4).astype(np.uint8))
    settings = resolve("gaussian-vae", SMALL, {"latent_dim": 2, "data": str(tmp_path / "table.npy")})
    run, _ = train(settings, tmp_path / "run")
    names = [section.name for section in sections([ReportedRun("table", run)])[0]]
    assert names == ["latent-map", "training-curves"]


def test_images_of_a_table_are_refused_in_one_sentence(tmp_path, capsys, monkeypatch):
    vaelab = CommandLine(capsys, monkeypatch)
    np.save(tmp_path / "table.npy", (np.random.default_rng(0).random((300, 9)) < 0.4).astype(np.uint8))
    words = ("latent_dim=2", "hidden_dims=[8]", "training.steps=20", "--data", tmp_path / "table.npy")
    assert vaelab("train", "gaussian-vae", *words, "--out", tmp_path / "run").code == 0
    assert "are not images of a known shape" in vaelab.refused("sample", tmp_path / "run")
    assert vaelab("sample", tmp_path / "run", "--out", tmp_path / "s.npz").code == 0


def test_tile_lays_images_out_in_rows():
    sheet = plots.tile(np.stack([np.full((2, 2), value) for value in (0.1, 0.2, 0.3)]), columns=2)
    expected = [[0.1, 0.1, 0, 0.2, 0.2]] * 2 + [[0] * 5] + [[0.3, 0.3, 0, 0, 0]] * 2
    np.testing.assert_allclose(sheet, expected)


def test_the_plane_runs_rightwards_and_upwards():
    values = np.array([0.1, 0.2, 0.3, 0.4]).reshape(4, 1, 1)  # (z2, z1) = (low, low), (low, high), (high, low), ...
    sheet = plots.plane(values, 2, "").axes[0].images[0].get_array()
    np.testing.assert_allclose(sheet, [[0.3, 0.4], [0.1, 0.2]])


def test_mnist_stays_as_it_is():
    """Reports read the packaged data; none may write to it."""
    data = load_data("mnist")
    before = data.sha256()
    load_data("mnist").splits["test"].x.sum()
    assert data.sha256() == before

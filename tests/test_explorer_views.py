"""The views of samples, trainings and runs side by side, in a browser: they show what torch and numpy compute."""

from __future__ import annotations

import csv
import re
from functools import cache

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from tests.golden.make import HERE, RUNS, data_of
from vaelab.data import Dataset
from vaelab.evaluation.advice import advice
from vaelab.explorer import Subject, explorer_page
from vaelab.explorer.content import page_content
from vaelab.explorer.subject import selection
from vaelab.models import bernoulli_vae, gaussian_vae
from vaelab.report import ReportedRun
from vaelab.runs import Run

PAIR = ("gaussian-vae", "bernoulli-vae")
OPEN = """
const content = JSON.parse(document.getElementById("content").textContent);
const tensors = document.getElementById("tensors").textContent;
const page = $ui_page.openPage(content, await $engine_tensors.openTensors(content.tensors, tensors));
const run = page.runs[0];
"""
SETTINGS = "{ n: 8, temperature: 1, seed: 3, component: null, given: run.data.givenRows(8), ...change }"


@cache
def of_run(kind):
    member = ReportedRun(kind, Run(HERE / kind / "run"))
    member.__dict__["data"] = data_of(kind)  # a run cannot read again what was made in Python
    return Subject.of_run(member)


class Pages:
    """Pages of golden runs, each in a tab that is kept: an address after # shows another view of the same page."""

    def __init__(self, browser, folder):
        self.context, self.folder = browser.new_context(), folder
        self.tabs, self.errors = {}, []

    def __call__(self, *kinds, at="", width=1200):
        subjects = [of_run(kind) if isinstance(kind, str) else kind for kind in kinds]
        key = tuple(subject.title for subject in subjects)
        path = self.folder / f"{'-'.join(key)[:80]}.html"
        if key not in self.tabs:
            path.write_text(explorer_page(subjects), encoding="utf-8")
            self.tabs[key] = self.open()
        self.tabs[key].set_viewport_size({"width": width, "height": 900})
        self.tabs[key].bring_to_front()
        self.tabs[key].goto(f"{path.as_uri()}#{at}")
        self.tabs[key].locator("#panel").wait_for()
        return self.tabs[key]

    def open(self):
        tab = self.context.new_page()
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        return tab


@pytest.fixture(scope="module")
def pages(browser, tmp_path_factory):
    pages = Pages(browser, tmp_path_factory.mktemp("pages"))
    yield pages
    pages.context.close()


@pytest.fixture
def show(pages):
    """Open the page of golden runs at an address; what the browser reports as an error fails the test."""
    yield pages
    assert pages.errors == []


def compute(tab, result, **given):
    """Return what JavaScript computes from the page's content, with ``page`` and its first ``run``."""
    names = ", ".join(given)
    return tab.evaluate(f"async ({{ {names} }}) => {{ {OPEN} return {result}; }}", given)


def drawn(tab, **change):
    """Return samples of the page's first run: their codes, means, modes and draws, a row for each."""
    source = f"Object.entries($views_sample_draws.drawSamples(run, {SETTINGS})).map(([name, x]) => [name, [...x]])"
    return {
        name: torch.tensor(x, dtype=torch.float32).reshape(8, -1) for name, x in compute(tab, source, change=change)
    }


def until(tab, *parts):
    """Wait until the address has these parts."""
    for _ in range(200):
        if all(part in tab.evaluate("location.hash") for part in parts):
            return
        tab.wait_for_timeout(20)
    pytest.fail(f"{parts} are not in {tab.evaluate('location.hash')}")


def settled(tab):
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.parametrize("view", ["sample", "training", "compare"])
def test_every_kind_of_model_has_the_view(show, view):
    tab = show(*RUNS, at=f"view={view}", width=390)
    for index in range(len(RUNS)):
        tab.locator("select[aria-label=Run]").select_option(str(index))
        assert tab.locator("#panel").get_attribute("data-view") == view
        assert tab.locator(f".view-{view}").inner_text().strip()
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), list(RUNS)[index]


# Samples.


@pytest.mark.parametrize("kind", RUNS)
def test_samples_are_what_torch_makes_of_the_same_codes(show, kind):
    subject = of_run(kind)
    found, model = drawn(show(kind, at="view=sample")), subject.model
    x, y = model.split(subject.data.test.batch(8))
    with torch.no_grad():
        p = model.conditional(found["z"], y)
    size = 1 + p.mean.abs()
    assert ((found["mean"] - p.mean).abs() / size).max() < 2e-3
    other = (found["mode"] - p.mode).abs() / size > 2e-3  # a bit whose probability is 1/2, but for the rounded weights
    assert ((p.mean[other] - 0.5).abs() < 2e-3).all()
    assert found["draw"].shape == x.shape
    assert torch.isfinite(model.log_density(p, found["draw"])).all()


def test_the_seed_decides_the_codes_and_the_temperature_scales_them(show):
    tab = show("gaussian-vae", at="view=sample")
    first, again, hot, other = drawn(tab), drawn(tab), drawn(tab, temperature=2), drawn(tab, seed=4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert hot["z"] == pytest.approx(2 * first["z"], abs=1e-6)
    assert not torch.equal(first["z"], other["z"])


@pytest.mark.parametrize("kind", ["gaussian-vae", "bernoulli-vae", "sbn", "deep-gaussian-vae", "autoencoder"])
def test_at_temperature_zero_codes_are_the_centre_of_the_prior(show, kind):
    z, prior = drawn(show(kind, at="view=sample"), temperature=0)["z"], of_run(kind).model.prior()
    if kind == "autoencoder":
        assert torch.cdist(z, prior.component_distribution.mean).min(1).values.max() < 1e-5
        return
    with torch.no_grad():
        expected = prior.mode if kind in ("bernoulli-vae", "sbn") else prior.mean
    assert z == pytest.approx(expected.expand(8, -1).numpy(), abs=2e-3)


def test_a_component_of_the_mixture_is_drawn_alone(show):
    tab = show("autoencoder", at="view=sample")
    means = of_run("autoencoder").model.prior().component_distribution.mean
    for place, mean in enumerate(means):
        assert drawn(tab, component=place, temperature=0)["z"] == pytest.approx(mean.expand(8, -1).numpy(), abs=1e-5)
    choice = tab.get_by_label("Component")
    choice.select_option("1")
    settled(tab)
    numbers = re.findall(r"−?\d[\d.]*", tab.locator(".sample-detail .code-numbers").inner_text())
    at_one = compute(
        tab, "[...$views_sample_draws.drawSamples(run, { n: 8, temperature: 1, seed: 0, component: 1 }).z]"
    )
    assert [float(text.replace("−", "-")) for text in numbers] == pytest.approx(at_one[:2], abs=0.006)


def test_a_class_that_is_given_is_decoded(show):
    tab = show("conditional", at="view=sample&sample.kind=mean&sample.n=4")
    model = of_run("conditional").model
    for place, name in enumerate(("0", "1")):
        tab.get_by_label("Given class").select_option(label=name)
        settled(tab)
        z = compute(
            tab,
            "[...$views_sample_draws.drawSamples(run, { n: 4, temperature: 1, seed: 0, component: null, given }).z]",
            given=[0] * 8,
        )
        expected = model.decode(torch.tensor(z).reshape(4, -1), given=place)
        cells = tab.locator(".sample-panel:not([hidden]) td").all_inner_texts()
        assert (
            pytest.approx(expected.numpy(), abs=0.006) == torch.tensor([float(cell) for cell in cells]).reshape(-1, 4).T
        )
        assert f"class {name}" in tab.locator(".sample-detail").inner_text()


def test_the_saved_picture_is_that_of_the_grid(show, tmp_path):
    tab = show("conv", at="view=sample&sample.kind=mean&sample.n=9&sample.seed=5")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save PNG").click()
    download.value.save_as(tmp_path / "samples.png")
    picture = imread(tmp_path / "samples.png")
    cell, gap = 8 * 4, 4
    assert picture.shape[:2] == (3 * (cell + gap) + gap, 3 * (cell + gap) + gap)
    means = drawn_means(tab)
    ink, paper = (np.array(compute(tab, f'$ui_colours.openTheme().rgb("image-{name}")')) for name in ("ink", "paper"))
    for place in range(9):
        top, left = gap + place // 3 * (cell + gap), gap + place % 3 * (cell + gap)
        shown = 255 * picture[top + 2 : top + cell : 4, left + 2 : left + cell : 4, :3]
        assert shown == pytest.approx(paper + means[place][..., None] * (ink - paper), abs=1.01)


def test_a_copied_picture_is_on_the_clipboard(show):
    tab = show("conv", at="view=sample&sample.kind=all&sample.n=9")
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.get_by_role("button", name="Copy picture").click()
    tab.get_by_text("The picture is on the clipboard.").first.wait_for()
    read = "navigator.clipboard.read().then(([item]) => item.getType('image/png')).then(createImageBitmap)"
    width, height = tab.evaluate(f"{read}.then((picture) => [picture.width, picture.height])")
    one = 3 * (8 * 4 + 4) + 4
    assert (width, height) == (3 * (one + 16) + 16, one + 2 * 16)


def drawn_means(tab):
    settings = "{ n: 9, temperature: 1, seed: 5, component: null, given: null }"
    means = compute(tab, f"[...$views_sample_draws.drawSamples(run, {settings}).mean]")
    return np.array(means).reshape(9, 8, 8)


def test_a_table_is_saved_with_its_names_and_levels(show, tmp_path):
    tab = show("mixed", at="view=sample&sample.n=8&sample.seed=3")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save CSV: draws").click()
    download.value.save_as(tmp_path / "samples.csv")
    head, *rows = csv.reader((tmp_path / "samples.csv").read_text().splitlines())
    assert head == ["height", "answer", "colour", "share"]
    x = drawn(tab)["draw"]
    for row, values in zip(rows, x, strict=True):
        levels = ("blue", "green", "red")
        assert float(row[0]) == pytest.approx(float(values[0]), rel=1e-5)
        assert row[1:3] == [("no", "yes")[int(values[1])], levels[int(values[2:5].argmax())]]


def test_the_nearest_row_is_that_of_numpy(show):
    tab = show("gaussian-vae", at="view=sample&sample.kind=draw&sample.n=8&sample.seed=3")
    x, rows = drawn(tab)["draw"].numpy(), data_of("gaussian-vae").test.batch(12).numpy()
    for place in range(8):
        tab.get_by_role("button", name=f"Draws, sample {place + 1}").click()
        settled(tab)
        distances = (rows != x[place]).sum(1)
        text = tab.locator(".sample-detail").inner_text()
        assert f"the nearest row: {distances.argmin()}, class" in text
        assert f"{distances.min()} of 6 columns differ (Hamming distance)" in text


def test_keys_choose_a_sample_and_the_address_keeps_it(show):
    tab = show("conv", at="view=sample&sample.kind=mean&sample.n=9")
    canvas = tab.locator(".sample-cell canvas").nth(4).element_handle()
    tab.locator(".sample-cell").first.focus()
    for key in ("ArrowRight", "ArrowDown"):
        tab.keyboard.press(key)
    settled(tab)
    assert tab.locator(".sample-detail h2").inner_text() == "Sample 5"
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == "Means, sample 5"
    assert canvas.evaluate("(canvas) => canvas.isConnected")  # the pictures are drawn anew, not made anew
    tab.get_by_role("button", name="Draw again").click()
    assert tab.get_by_label("Seed").input_value() == "1"
    until(tab, "sample.pick=4", "sample.seed=1")
    code = tab.locator(".sample-detail .code-numbers").inner_text()
    tab.reload()
    tab.locator("#panel").wait_for()
    assert tab.locator(".sample-detail h2").inner_text() == "Sample 5"
    assert tab.locator(".sample-detail .code-numbers").inner_text() == code


def test_a_sample_is_opened_in_other_views(show):
    for kind, text, view, shown in (
        ("gaussian-vae", "Code in Map", "map", "map.pin=at"),
        ("sbn", "Nearest row in Map", "map", "map.pin=row"),
        ("sbn", "Code in Bits", "bits", "bits.code=x"),
        ("sbn", "Code in Layers", "layers", "layers.y2="),
        ("conditional", "Open in Draw", "draw", "draw.row="),
        ("mixed", "Open in Draw", "draw", "draw.cells="),
    ):
        tab = show(kind, at="view=sample&sample.pick=2")
        tab.get_by_role("button", name=text, exact=True).click()
        assert tab.locator("#panel").get_attribute("data-view") == view
        until(tab, shown)


def test_the_code_of_a_sample_is_that_of_the_other_view(show):
    tab = show("sbn", at="view=sample&sample.seed=3&sample.n=8&sample.pick=2")
    z = drawn(tab)["z"][2].tolist()
    code = compute(tab, "$ui_numbers.numbersToText(z)", z=z)
    tab.get_by_role("button", name="Code in Bits").click()
    until(tab, f"bits.code={code}")


@pytest.mark.parametrize("values", [[0, 1, 1, 0, 1], [1], [0.5, -1.25, np.nan, 3e-7], [170.0, 0, 1]])
def test_numbers_pass_through_the_address(show, values):
    tab = show("gaussian-vae")
    source = "$ui_numbers.textToNumbers($ui_numbers.numbersToText(x), x.length + more)"
    assert compute(tab, f"[...{source}]", x=values, more=0) == pytest.approx(values, rel=1e-3, nan_ok=True)
    assert compute(tab, source, x=values, more=4) is None


@pytest.mark.parametrize("value", ["-3", "1.5", "99999", "NaN", "x", ""])
def test_an_address_with_odd_values_shows_the_view(show, value):
    keys = ["kind", "n", "temperature", "component", "given", "pick"]
    tab = show("conditional", "autoencoder", at="view=sample&" + "&".join(f"sample.{key}={value}" for key in keys))
    assert tab.locator(".sample-panel:visible").count() >= 1
    assert tab.locator(".sample-detail h2").inner_text().startswith("Sample ")
    keys = ["row", "a", "b", "axis", "value", "flip", "kind", "pick"]
    tab = show("conditional", "autoencoder", at="view=compare&" + "&".join(f"compare.{key}={value}" for key in keys))
    assert "NaN" not in tab.locator(".compare").inner_text()
    assert tab.locator(".compare-card").count() == 3


def test_what_is_said_of_the_only_row_of_a_page(browser, tmp_path):
    path = tmp_path / "one.html"
    path.write_text(explorer_page([of_run(kind) for kind in PAIR], rows=1), encoding="utf-8")
    with browser.new_context() as context:
        tab = context.new_page()
        for address, words in (
            ("view=compare", "One row does not tell which run is better."),
            ("view=sample", "The page holds no other row to compare this distance with."),
            ("view=map", "The page holds one row: what varies between rows cannot be said."),
            ("view=bits&run=1&bits.part=use", "The page holds one row, so that no bit can change."),
        ):
            tab.goto(f"{path.as_uri()}#{address}")
            tab.get_by_text(words).first.wait_for()
            assert not re.search("NaN|Infinity|undefined", tab.locator("#panel").inner_text())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([3.0], "as is that of each"),
        ([1.0, 2.0, 3.0, 3.0], "lower than that of all"),
        ([4.0, 5.0, 6.0, 7.0], "higher than that of all"),
        ([3.0, 3.0, 4.0, 5.0], "lower than that of 50"),
        ([2.0, 3.0, 3.0, 3.0], "higher than that of 25"),
    ],
)
def test_equal_values_are_neither_higher_nor_lower(show, values, words):
    value = (
        0.0
        if words.startswith("lower than that of all")
        else 8.0
        if words.startswith("higher than that of all")
        else 3.0
    )
    tab = show("gaussian-vae")
    call = (
        '$views_draw_words.typicality("ELBO", value, { values: Float64Array.from(values), rows: "rows" }, '
        "$views_draw_words.BOUNDS)"
    )
    assert words in compute(tab, call, values=values, value=value)
    far = (
        '$views_draw_words.codeWords({ code: "real", dim: 1 }, Float32Array.of(value), Float32Array.from(values), '
        'values.length, "rows")'
    )
    assert words.replace("lower", "nearer to 0").replace("higher", "farther from 0").replace(
        "as is that of each", "as far from 0 as"
    ).replace("than that of", "than") in compute(tab, far, values=values, value=value)


def test_a_layer_above_x_follows_what_the_model_is_given(show):
    tab = show(of_conditional_bits())
    call = """(() => {
        const net = $views_layers_numbers.layersOf(run.model);
        const x = run.data.row(0);
        const givens = [[1, 0], [0, 1]].map((y) => Float32Array.from(y));
        return givens.flatMap((y) => [net.up(0, [], x, y), run.model.posterior(x, 1, y)].map((q) => [...q.mean()]));
    })()"""
    first, expected, second, other = compute(tab, call)
    assert (first, second) == (expected, other)
    assert first != second


@cache
def of_conditional_bits():
    data = data_of("conditional")
    return Subject("conditional bits", bernoulli_vae(data, latent_dim=3, hidden_dims=[4]), data)


def test_only_bits_are_counted_as_wrong(show):
    rng = np.random.default_rng(0)
    data = Dataset.from_arrays(rng.normal(0, 9, (60, 4, 4)).astype(np.float32), values="real")
    subjects = [Subject(name, gaussian_vae(data, latent_dim=2, hidden_dims=[4]), data) for name in ("one", "other")]
    assert "wrong" not in show(*subjects, at="view=compare").locator(".compare-cards").first.inner_text()


def test_names_in_a_saved_table_are_no_formulae(show, tmp_path):
    names = ["=HYPERLINK(1)", "+a", "-b", "@c", "d=1", "-7"]
    data = Dataset.from_arrays(np.eye(6, dtype=np.uint8).repeat(20, 0), columns=names)
    tab = show(Subject("formulae", gaussian_vae(data, latent_dim=2, hidden_dims=[4]), data), at="view=sample")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save CSV: means").click()
    download.value.save_as(tmp_path / "means.csv")
    head, *rows = csv.reader((tmp_path / "means.csv").read_text().splitlines())
    assert head == ["'=HYPERLINK(1)", "'+a", "'-b", "'@c", "d=1", "-7"]
    assert all(0 < float(value) < 1 for row in rows for value in row)


def test_what_is_left_out_of_a_long_table_is_said(show):
    rng = np.random.default_rng(0)
    data = Dataset.from_arrays((rng.random((300, 250)) < 0.5).astype(np.uint8), np.arange(300) % 20)
    one = Subject("long", bernoulli_vae(data, latent_dim=20, hidden_dims=[4]), data)
    tab = show(one, at="view=map&map.area=p:-9,-9;9,-9;9,9;-9,9")
    assert "The 12 most frequent of" in tab.locator(".map-selection").inner_text()
    tab = show(one, at="view=layers&layers.part=films")
    assert "The first 200 of 250 columns." in tab.locator(".films").inner_text()
    tab = show(one, at="view=bits&bits.part=code")
    tab.get_by_text("The first 12 of 20 in this order.").wait_for()


# Training.


def records_of(kind):
    return Run(HERE / kind / "run").all_evaluations()


def text_of(value, digits):
    return f"{value:,.{digits}f}".replace("-", "−")


@pytest.mark.parametrize("kind", ["gaussian-vae", "mixed", "sbn", "autoencoder"])
def test_the_evaluations_are_those_of_the_run(show, kind):
    tab = show(kind, at="view=training")
    rows = [
        row.locator("th, td").all_inner_texts() for row in tab.locator(".evaluations tbody tr:not(.note-row)").all()
    ]
    for (name, samples, value, *_), record in zip(rows, records_of(kind), strict=True):
        assert (name, samples) == (record.name, "–" if record.samples is None else str(record.samples))
        if record.standard_error is not None:
            assert value == f"{text_of(record.value, 3)} ± {text_of(record.standard_error, 3)}"
    protocol = tab.locator(".training-evaluations").inner_text()
    assert "split test" in protocol
    assert "data golden" in protocol
    assert "seed of the codes 0" in protocol
    assert "not recorded: " in protocol  # files of an earlier version
    assert all(sentence in protocol for sentence in advice(records_of(kind)))


def test_the_curves_are_those_of_the_log(show):
    tab = show("gaussian-vae", at="view=training")
    log = Run(HERE / "gaussian-vae" / "run").metrics()
    chart = tab.locator(".training-chart").first
    chart.locator("summary").click()
    chart.locator("tr").first.wait_for()
    head, *rows = [row.locator("th, td").all_inner_texts() for row in chart.locator("tr").all()]
    assert head == ["step", "training", "validation"]
    for cells, row in zip(rows, log, strict=True):
        assert cells == [str(row["step"]), text_of(row["train/bound"], 2), text_of(row["val/bound"], 2)]
    best = max(log, key=lambda row: row["val/bound"])
    words = tab.locator(".findings").inner_text()
    assert f"The weights of step {best['step']} of {log[-1]['step']} were selected" in words
    assert f"{text_of(abs(best['train/bound'] - best['val/bound']), 2)} nats" in words
    assert f"the KL is {text_of(log[-1]['train/kl'], 2)} nats" in words


def test_the_curves_of_all_runs_are_shown_over_seconds(show):
    tab = show(*PAIR, at="view=training&training.runs=all&training.across=seconds")
    chart = tab.locator(".training-chart").first
    assert chart.locator(".chart-legend li").all_inner_texts() == list(PAIR)
    chart.locator("summary").click()
    chart.locator("tr").first.wait_for()
    shown = [row.locator("th, td").all_inner_texts() for row in chart.locator("tr").all()]
    expected = {
        (float(f"{row['seconds']:.4g}"), text_of(row["val/bound"], 2))
        for kind in PAIR
        for row in Run(HERE / kind / "run").metrics()
    }
    assert shown[0][1:] == [f"{kind}, {what}" for kind in PAIR for what in ("training", "validation")]
    assert {(float(row[0]), row[place]) for row in shown[1:] for place in (2, 4) if row[place] != "–"} == expected


def test_the_selected_step_is_not_one_of_the_warm_up():
    run = Run(HERE / "gaussian-vae" / "run")
    rows = [
        {"step": step, "steps": 4, "val/bound": bound} for step, bound in ((1, -1.0), (2, -3.0), (3, -2.0), (4, -2.0))
    ]
    training = run.settings.training.model_copy(update={"warmup": 0, "schedule": "constant"})
    settings = run.settings.model_copy(update={"objective": {"name": "elbo", "warm_up": 2}, "training": training})
    assert selection(rows, settings) == (3, None)
    selected, verdict = selection([*rows[:-1], rows[-1] | {"finished": True}], settings)
    assert selected == 3
    assert verdict is not None
    assert "bound" in verdict


def test_keys_read_the_values_of_a_chart(show):
    tab = show("gaussian-vae", at="view=training")
    log = Run(HERE / "gaussian-vae" / "run").metrics()
    chart = tab.locator(".training-chart").first
    chart.locator(".chart-box").focus()
    for row, key in ((log[0], "ArrowRight"), (log[-1], "End"), (log[0], "Home")):
        tab.keyboard.press(key)
        bounds = text_of(row["train/bound"], 2), text_of(row["val/bound"], 2)
        expected = f"step {row['step']}: training {bounds[0]} · validation {bounds[1]}"
        assert chart.locator(".chart-reading").inner_text() == expected
    tab.keyboard.press("Escape")
    assert chart.locator(".chart-reading").inner_text() == ""


def test_a_model_without_its_run_has_no_training(show):
    subject = of_run("gaussian-vae")
    tab = show(Subject("saved", subject.model, subject.data), at="view=training")
    assert tab.locator("#panel").get_attribute("data-view") != "training"
    name = tab.locator("#tab-training")
    assert name.get_attribute("aria-disabled") == "true"
    assert "saved without its training" in (name.get_attribute("title") or "")


def test_a_histogram_counts_as_numpy_does(show):
    values = np.random.default_rng(0).normal(size=500)
    found = compute(
        show("gaussian-vae"), "$ui_chart.counts({ values, bins: 13, range: [-2, 2] })", values=values.tolist()
    )
    assert list(found["counts"]) == np.histogram(values, 13, (-2, 2))[0].tolist()


@pytest.mark.parametrize(("low", "high", "count"), [(0, 1, 5), (-187.3, -98.1, 4), (3, 3.0004, 5), (0, 12e6, 3)])
def test_ticks_are_round_and_inside(show, low, high, count):
    ticks = compute(show("gaussian-vae"), "$ui_numbers.roundNumbers(low, high, count)", low=low, high=high, count=count)
    steps = np.diff(ticks)
    assert 2 <= len(ticks) <= 2 * count + 1
    assert low <= min(ticks)
    assert max(ticks) <= high
    assert steps == pytest.approx(steps[0])
    assert f"{steps[0]:e}"[0] in "125"


# Runs side by side.


def stored_bounds(*kinds):
    content, blob = page_content("", [of_run(kind) for kind in kinds])
    for run in content["runs"]:
        entry = content["tensors"][run["bounds"]]
        yield np.frombuffer(blob, "<f4", count=entry["shape"][0], offset=entry["offset"]).astype(float)


def test_the_paired_difference_is_that_of_numpy(show):
    tab = show(*PAIR, at="view=compare")
    bounds = compute(tab, "page.runs.map((each) => [...each.bounds])")
    difference = np.subtract(*map(np.array, bounds))
    error = difference.std(ddof=1) / len(difference) ** 0.5
    words = tab.locator(".compare-words").inner_text()
    assert f"is {text_of(difference.mean(), 2)} ± {text_of(error, 2)} nats per observation" in words
    assert f"higher bound in {(difference > 0).sum()} of {len(difference)} rows" in words
    apart = np.hypot(*(np.std(each, ddof=1) / len(each) ** 0.5 for each in bounds))
    assert f"it would be ± {text_of(apart, 2)}" in words
    order = np.argsort(-difference, kind="stable")
    ends = [
        [int(each.get_attribute("data-row")) for each in half.locator("button").all()]
        for half in tab.locator(".compare-ends > div").all()
    ]
    assert [difference[row] for row in ends[0]] == pytest.approx(difference[order[:4]])
    assert [difference[row] for row in ends[1]] == pytest.approx(difference[order[::-1][:4]])


def test_the_first_runs_that_compare_are_shown_first(show):
    tab = show("autoencoder", "conditional", *PAIR, at="view=compare")
    assert tab.locator(".compare-words").is_visible()
    assert [tab.get_by_label(label).input_value() for label in ("First", "minus second")] == ["2", "3"]


def test_the_bounds_of_a_row_are_those_of_the_page(show):
    tab = show(*PAIR, at="view=compare&compare.row=5")
    for card, bounds in zip(tab.locator(".compare-bound").all(), stored_bounds(*PAIR), strict=True):
        shown = float(card.inner_text().removeprefix("ELBO ").removesuffix(" nats").replace("−", "-"))
        assert shown == pytest.approx(bounds[5], abs=0.5)  # drawn anew for each page


def test_a_row_is_reconstructed_by_every_run(show):
    tab = show(*PAIR, at="view=compare&compare.row=7")
    x = data_of(PAIR[0]).test.batch(8)[7:]
    expected = [of_run(kind).model.reconstruct(x)[0] for kind in PAIR]
    section = tab.locator(".compare > section").first
    rows = [row.locator("td").all_inner_texts() for row in section.locator(".variables tbody tr").all()]
    for place, (mean, card) in enumerate(zip(expected, section.locator(".compare-card").all(), strict=True), start=1):
        assert [float(row[place]) for row in rows] == pytest.approx(mean.tolist(), abs=0.007)
        wrong = (mean > 0.5) != (x[0] > 0.5)
        assert f"{int(wrong.sum())} of 6 values wrong" in card.inner_text()
        marked = section.locator(f".variables tbody td:nth-of-type({place + 1})").all()
        assert ["differs" in (cell.get_attribute("class") or "") for cell in marked] == wrong.tolist()
    assert [float(row[0]) for row in rows] == x[0].tolist()


def test_a_code_is_decoded_by_every_run_with_such_codes(show):
    tab = show("gaussian-vae", "sbn", "conditional", at="view=compare&compare.value=1.5&compare.axis=1")
    section = tab.locator(".compare > section").nth(2)
    z = [
        float(text.replace("−", "-"))
        for text in re.findall(r"−?\d[\d.]*", section.locator(".code-numbers").inner_text())
    ]
    assert z[1] == 1.5
    assert section.locator("thead th").all_inner_texts() == ["Column", "gaussian-vae", "conditional"]
    shown = section.locator("tbody td:nth-of-type(1)").all_inner_texts()
    decoded = of_run("gaussian-vae").model.decode(torch.tensor([z]))[0]
    assert [float(text) for text in shown] == pytest.approx(decoded.tolist(), abs=0.02)


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (("gaussian-vae", "conditional"), "The runs differ in condition"),
        (("gaussian-vae", "conv"), "The runs differ in SHA-256 of the data"),
        (("gaussian-vae", "autoencoder"), "autoencoder is an auto-encoder without noise"),
    ],
)
def test_numbers_that_do_not_compare_are_refused(show, kinds, reason):
    tab = show(*kinds, at="view=compare")
    assert reason in tab.locator(".compare .note").inner_text()
    assert not tab.locator(".compare-words").is_visible()
    assert tab.locator(".compare > section").first.locator(".compare-card").count() == 2


def test_multinomial_bounds_do_not_compare_with_others(show):
    source = """((kinds) => $views_compare_rules.whyNotComparable(...kinds.map((kind, place) => ({
      title: `run ${place}`, bounds: [0],
      compared: kind === null ? [] : [["measure of the likelihood", kind]] }))))(kinds)"""
    tab = show("gaussian-vae")
    assert compute(tab, source, kinds=["given the sum", "given the sum"]) is None
    assert compute(tab, source, kinds=["density", None]) is None  # what is not known is taken to agree
    assert "The runs differ in measure of the likelihood (run 0: density; run 1: given the sum)" in compute(
        tab, source, kinds=["density", "given the sum"]
    )


def test_the_address_restores_what_is_compared(show):
    tab = show(*PAIR, at="view=compare")
    tab.locator(".row-choice input").fill("1")
    tab.keyboard.press("Tab")
    tab.get_by_label("First").select_option("1")
    tab.get_by_label("minus second").select_option("0")
    until(tab, "compare.row=1", "compare.a=1", "compare.b=0")
    settled(tab)
    before = tab.locator(".compare").inner_text()
    tab.reload()
    tab.locator("#panel").wait_for()
    assert tab.locator(".compare").inner_text() == before
    assert "row 1, class" in tab.locator(".compare .variables thead").first.inner_text()


def test_one_run_is_not_compared(show):
    name = show("gaussian-vae", at="view=compare").locator("#tab-compare")
    assert name.get_attribute("aria-disabled") == "true"
    assert "vaelab explore RUN RUN" in (name.get_attribute("title") or "")

"""The Draw view in a real browser: what is drawn with mouse, fingers and keys, and what the page computes of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import vaelab
from tests.engine_page import EnginePage
from tests.golden.make import HERE, RUNS, data_of
from vaelab.explorer import Subject, write_explorer
from vaelab.likelihood import objective_bound
from vaelab.objectives import ELBO, IWAE, Terms

KINDS = sorted(RUNS)
BOUNDED = [kind for kind in KINDS if kind != "autoencoder"]
NAN = float("nan")


def model_of(kind):
    return vaelab.load(HERE / kind / "saved")


def rows_of(kind):
    return data_of(kind).test.observations().bits(slice(0, 12))


@pytest.fixture(scope="module")
def engine(browser):
    page = EnginePage(browser)
    yield page
    page.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """One page with every kind of model of the golden files."""
    subjects = [Subject(kind, model_of(kind), data_of(kind)) for kind in KINDS]
    return write_explorer(tmp_path_factory.mktemp("draw") / "page.html", subjects)


class View:
    """The Draw view of a page in a tab."""

    def __init__(self, browser, path, **options):
        self.path, self.faults = path, []
        self.tab = browser.new_page(**options)
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)

    def open(self, kind, **state):
        keys = {"view": "draw", "run": KINDS.index(kind) if kind in KINDS else 0, **state}
        self.go("&".join(f"{key.replace('_', '.')}={value}" for key, value in keys.items()))
        return self

    def go(self, address):
        if self.tab.url.startswith("about:"):
            self.tab.goto(f"{self.path.as_uri()}#{address}")
        else:
            self.tab.evaluate("address => { location.hash = address }", address)
        self.settle()

    def settle(self):
        """Wait until all that is drawn is computed."""
        self.tab.wait_for_timeout(20)
        self.tab.wait_for_selector(".draw[aria-busy=false]")

    def number(self, selector):
        return float(self.tab.locator(selector).first.get_attribute("data-value"))

    @property
    def elbo(self):
        return self.number(".draw-number")

    @property
    def words(self):
        return self.tab.locator(".draw-words").inner_text()

    def dark(self):
        """Return the rows and columns of the pixels with ink."""
        pixels = self.tab.evaluate(
            "() => { const c = document.querySelector('.draw-canvas');"
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, i) => i % 4 === 0) }"
        )
        shape = self.tab.evaluate("() => [...document.querySelectorAll('.draw-canvas')].map(c => [c.height, c.width])")
        return {tuple(place) for place in np.argwhere(np.array(pixels).reshape(shape[0]) < 100).tolist()}

    def at(self, row, column):
        """Return where a pixel of the drawing is on the screen."""
        box = self.tab.locator(".draw-canvas").bounding_box()
        return box["x"] + (column + 0.5) * box["width"] / 8, box["y"] + (row + 0.5) * box["height"] / 8

    @property
    def address(self):
        self.tab.wait_for_timeout(200)
        return self.tab.evaluate("location.hash").removeprefix("#")


@pytest.fixture(scope="module")
def view(browser, file):
    opened = View(browser, file, viewport={"width": 1200, "height": 900})
    yield opened
    assert not opened.faults
    opened.tab.close()


def test_every_kind_of_model_has_the_view(view):
    for kind in KINDS:
        view.open(kind)
        assert view.tab.locator(".panel").get_attribute("data-view") == "draw"
        assert np.isfinite(view.elbo)
        assert view.tab.locator(".draw-canvas, .form-row").count() > 0
        assert len(view.words.splitlines()) >= 4
        assert not view.faults


@pytest.mark.parametrize("kind", BOUNDED)
def test_the_bound_of_a_row_is_that_of_python(view, kind):
    """The ELBO is that of K = 10 codes: within 5 standard errors of its mean, which Python estimates from 4000."""
    model, rows = model_of(kind), rows_of(kind)[2:3]
    view.open(kind, draw_row=2)
    with torch.no_grad():
        q = model.posterior(rows)
        terms = ELBO().terms(model, rows, q, q.sample((4000,)))
    values = terms.log_weights if terms.kl.ndim == 2 else terms.log_likelihood - terms.kl
    assert view.elbo == pytest.approx(float(values.mean()), abs=5 * float(values.std()) / 10**0.5 + 1e-3)
    reconstruction, kl, _ = (
        float(part.get_attribute("data-value")) for part in view.tab.locator(".draw-parts dd").all()
    )
    assert reconstruction - kl == pytest.approx(view.elbo, abs=1e-9)
    if terms.kl.ndim == 1:  # in closed form
        assert kl == pytest.approx(float(terms.kl), abs=1e-3)


WEIGHED = """
const { model, x, y, samples } = given;
const codes = engine.weighing(model, x, y, engine.random(1));
for (let done = 0; done < samples; done += 100) codes.add(100);
const { elbo, iwae, reconstruction, kl, error } = codes.bounds();
const numbers = [elbo, iwae, reconstruction, kl, error, codes.effective()];
return { numbers, filled: codes.mean(), drawn: codes.draws(1000, engine.random(2)) };
"""


def hidden(kind):
    """Return a row of a golden data set with some variables hidden, as x and y, and the whole row."""
    row = rows_of(kind)[2:3].clone()
    x, _ = model_of(kind).split(row)
    gaps = {"mixed": [0, 2, 3, 4], "conv": list(range(20, 44))}.get(kind, [0, 2])
    x[0, gaps] = NAN
    return row


@pytest.mark.parametrize("kind", [kind for kind in BOUNDED if kind != "counts"])
def test_hidden_values_are_filled_as_python_fills_them(engine, kind):
    """1000 codes against 20 000 (of images 2000): 5 standard errors of both, sd / sqrt(effective samples)."""
    model, row = model_of(kind).allow_missing(), hidden(kind)
    x, y = model.split(row)
    found = engine.run(WEIGHED, model=model, rows=rows_of(kind), x=x[0], y=y[0] if model.given else None, samples=1000)
    expected = vaelab.impute(model, row, samples=2000 if kind == "conv" else 20_000, n_draws=1000)
    gaps = x[0].isnan()
    filled, drawn = torch.tensor(found["filled"]), torch.tensor(found["drawn"]).float().reshape(1000, -1)
    assert torch.equal(filled[~gaps], x[0, ~gaps].float())
    width = x.shape[1]
    spread = expected.draws[:, 0, :width].std(0)[gaps]
    effective = found["numbers"][5]
    error = 5 * spread * (1 / effective + 1 / float(expected.effective_samples)) ** 0.5 + 1e-3
    assert ((filled - expected.values[0, :width].float()).abs()[gaps] < error).all()
    assert ((drawn.mean(0) - expected.values[0, :width].float()).abs()[gaps] < error + 5 * spread / 1000**0.5).all()
    assert torch.equal(drawn[:, ~gaps], x[:, ~gaps].float().expand(1000, -1))
    if model.code == "bits":  # of real codes the weights have no bound
        assert effective / 1000 == pytest.approx(float(expected.effective_samples) / 20_000, rel=0.1)


@pytest.mark.parametrize("kind", ["gaussian-vae", "sbn", "sbn-mean-field", "mixed", "conditional"])
def test_bounds_of_many_codes_are_those_of_python(engine, kind):
    """5 standard errors of each estimate; the IWAE varies less than the mean of its log-weights."""
    model, row = model_of(kind).allow_missing(), hidden(kind)
    x, y = model.split(row)
    found = engine.run(WEIGHED, model=model, rows=rows_of(kind), x=x[0], y=y[0] if model.given else None, samples=4000)
    elbo, iwae, reconstruction, kl, error, _ = found["numbers"]
    expected = float(objective_bound(model, row, ELBO(), 4000).values)
    assert elbo == pytest.approx(expected, abs=5 * 2**0.5 * error + 1e-3)
    assert elbo == pytest.approx(reconstruction - kl, abs=1e-9)
    assert iwae == pytest.approx(float(objective_bound(model, row, IWAE(), 4000).values), abs=5 * 2**0.5 * error + 1e-3)
    assert iwae > elbo
    with torch.no_grad():
        q = model.posterior(row)
        spread = float(Terms.score(model, row, q, q.sample((4000,)), closed_form=True).log_weights.std())
    assert error == pytest.approx(spread / 4000**0.5, rel=0.15)


def test_hidden_columns_of_a_table_are_filled_in_the_page(view):
    """Against 20 000 codes of Python: 5 standard errors of 500 codes."""
    view.open("mixed", draw_row=2, draw_cells="0:?,2:?")
    row = rows_of("mixed")[2:3].clone()
    row[0, [0, 2, 3, 4]] = NAN
    expected = vaelab.impute(model_of("mixed"), row, samples=20_000, n_draws=1000)
    spread = expected.draws[:, 0].std(0)
    effective = view.number(".draw-panel p[data-value].small")
    height, colour = view.tab.locator(".draw-filled tbody tr td:nth-child(2)").all_inner_texts()
    assert float(height) == pytest.approx(
        float(expected.values[0, 0]), abs=5 * float(spread[0]) / effective**0.5 + 0.05
    )
    shares = dict(part.split() for part in colour.split(", "))
    for place, level in enumerate(["blue", "green", "red"], 2):
        tolerance = 5 * float(spread[place]) / effective**0.5 + 0.005
        assert float(shares[level]) == pytest.approx(float(expected.values[0, place]), abs=tolerance)
    assert f"{round(effective)} of 500 codes count" in view.tab.inner_text(".draw")


def test_the_mouse_draws_erases_and_hides(view):
    view.open("conv", draw_row=-1, draw_brush=1)
    assert view.dark() == set()
    before = view.elbo
    view.tab.mouse.move(*view.at(1, 1))
    view.tab.mouse.down()
    view.tab.mouse.move(*view.at(1, 6), steps=3)
    view.tab.mouse.up()
    view.settle()
    assert view.dark() == {(1, column) for column in range(1, 7)}
    assert view.elbo != before
    view.tab.get_by_role("button", name="Erase").click()
    view.tab.mouse.click(*view.at(1, 3))
    view.settle()
    assert view.dark() == {(1, column) for column in (1, 2, 4, 5, 6)}
    view.tab.get_by_role("button", name="Hide", exact=True).click()
    view.tab.mouse.click(*view.at(1, 4))
    view.settle()
    assert "1 hidden pixel of 64" in view.tab.inner_text(".draw")
    view.tab.get_by_role("button", name="Clear").click()
    view.settle()
    assert view.dark() == set()
    assert view.elbo == before


def test_fingers_draw_and_do_not_scroll(browser, file):
    view = View(browser, file, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    view.open("conv", draw_row=-1, draw_brush=1)
    view.tab.locator(".draw-canvas").scroll_into_view_if_needed()
    view.tab.touchscreen.tap(*view.at(2, 2))
    view.settle()
    assert view.dark() == {(2, 2)}
    session, top = view.tab.context.new_cdp_session(view.tab), view.tab.evaluate("scrollY")
    for kind, place in [("Start", (4, 1)), ("Move", (4, 3)), ("Move", (7, 3)), ("End", None)]:
        points = [] if place is None else [dict(zip("xy", view.at(*place), strict=True))]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    view.settle()
    assert view.dark() == {(2, 2), (4, 1), (4, 2), (4, 3), (5, 3), (6, 3), (7, 3)}
    assert view.tab.evaluate("scrollY") == top
    assert view.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not view.faults
    view.tab.close()


def test_the_keys_draw_and_are_spoken(view):
    view.open("conv", draw_row=-1, draw_brush=1)
    view.tab.locator(".draw-canvas").focus()
    press = view.tab.keyboard.press
    for key in ("ArrowUp", "ArrowLeft", " "):
        press(key)
    view.settle()
    assert view.dark() == {(3, 3)}
    assert view.tab.locator(".spoken").inner_text() == "row 4, column 4: ink"
    press("Shift+ArrowRight")
    press("Shift+ArrowDown")
    view.settle()
    assert view.dark() == {(3, 3), (3, 4), (4, 4)}
    press(" ")
    view.settle()
    assert view.dark() == {(3, 3), (3, 4)}
    assert view.tab.locator(".spoken").inner_text() == "row 5, column 5: paper"
    for _ in range(9):
        press("ArrowRight")
    assert view.tab.locator(".spoken").inner_text() == "row 5, column 8: paper"


def test_the_address_restores_a_drawing(browser, file, view):
    view.open("conv", draw_row=5, draw_brush=2)
    for tool, place in [("Draw", (2, 2)), ("Erase", (6, 6)), ("Hide", (4, 4))]:
        view.tab.get_by_role("button", name=tool, exact=True).click()
        view.tab.mouse.click(*view.at(*place))
    view.settle()
    address, dark, elbo, words = view.address, view.dark(), view.elbo, view.words
    assert len(address) < 150
    other = View(browser, file)
    other.go(address)
    assert (other.dark(), other.elbo, other.words) == (dark, elbo, words)
    assert not other.faults
    other.tab.close()


def test_an_address_of_something_else_shows_the_row(view):
    view.open("conv", draw_row=3)
    dark = view.dark()
    for text in ("%25", "AAAA", "AYA", "//8", "A" * 400):
        view.open("conv", draw_row=3, draw_pixels=text)
        assert view.dark() == dark


def test_runs_of_bytes_are_read_as_they_were_written(engine):
    """Packed and unpacked by the module of the page: random bytes, long runs, one value, none."""
    rng = np.random.default_rng(0)
    cases = [
        rng.integers(0, 256, 300),
        rng.integers(0, 2, 784) * 255,
        np.zeros(20_000, int),
        np.array([7]),
        np.array([], int),
    ]
    source = """const { packRuns, unpackRuns } = await import("/ui/pack.js");
    const again = (bytes) => unpackRuns(packRuns(Uint8Array.from(bytes)), bytes.length);
    return given.cases.map((bytes) => String(again(bytes)) === String(bytes));"""
    assert engine.run(source, cases=[case.tolist() for case in cases]) == [True] * len(cases)


def test_a_drawing_is_centred_when_that_is_asked_for(view):
    view.open("conv", draw_row=-1, draw_brush=1)
    view.tab.mouse.click(*view.at(0, 1))
    view.settle()
    assert view.dark() == {(0, 1)}  # nothing moves by itself
    view.tab.get_by_role("button", name="Centre it").click()
    view.settle()
    ((row, column),) = view.dark()
    assert {row, column} <= {3, 4}
    assert "middle" in view.tab.locator(".draw-entry [role=status]").inner_text()


def test_what_is_least_expected_of_a_row_is_named(view):
    model, row = model_of("mixed"), rows_of("mixed")[2:3]
    view.open("mixed", draw_row=2)
    mean = model.reconstruct(row)[0]
    answer, colour = int(row[0, 1]), int(row[0, 2:5].argmax())
    chances = {
        f"answer = {['no', 'yes'][answer]}": float(mean[1] if answer else 1 - mean[1]),
        f"colour = {['blue', 'green', 'red'][colour]}": float(mean[2 + colour]),
    }
    least = min(chances, key=chances.get)
    assert f"least expected is {least}, with probability {chances[least]:.2f}" in view.words


def test_another_row_replaces_the_drawing(view):
    view.open("conv", draw_row=1, draw_brush=3)
    expected = {tuple(place) for place in np.argwhere(rows_of("conv")[2].reshape(8, 8).numpy() == 1).tolist()}
    view.tab.mouse.click(*view.at(4, 4))
    view.settle()
    view.tab.get_by_role("button", name=re.compile("next")).click()
    view.settle()
    assert view.dark() == expected


@pytest.mark.parametrize("row", [2, 4, 6])
def test_what_is_typical_is_said_with_the_share_of_the_rows(view, row):
    model, rows = model_of("gaussian-vae"), rows_of("gaussian-vae")
    bounds = objective_bound(model, rows, ELBO(), 10).values
    view.open("gaussian-vae", draw_row=row)
    below = int((bounds.float() < view.elbo).sum())
    share, side = (below, "higher") if below >= len(bounds) / 2 else (len(bounds) - below, "lower")
    shown = {0: "none", len(bounds): "all"}.get(share, f"{round(100 * share / len(bounds))} %")
    assert f"nats, {side} than that of {shown} of the {len(bounds)} test rows" in view.words.replace("\u00a0", " ")


def test_an_input_with_hidden_values_is_compared_with_the_same_values_of_the_rows(view):
    """The rows with all values that the input has; the ELBO of the one that is named, within 5 standard errors."""
    model, rows = model_of("mixed"), data_of("mixed").test.observations().bits(slice(0, 20))
    view.open("mixed", draw_row=2, draw_cells="0:?,2:?")
    others = rows[:, [1, 5]].isnan().any(1)
    assert f"of the {int((~others).sum())} test rows (of the same observed values)" in view.words
    near, value = re.search(r"nearest ELBO is that of row (\d+): (\S+) nats", view.words).groups()
    assert not others[int(near)]
    row = rows[int(near)][None].clone()
    row[0, [0, 2, 3, 4]] = NAN
    with torch.no_grad():
        q = model.posterior(row)
        terms = ELBO().terms(model, row, q, q.sample((4000,)))
    values = terms.log_likelihood - terms.kl
    expected = pytest.approx(float(values.mean()), abs=5 * float(values.std()) / 10**0.5 + 0.005)
    assert float(value.replace("\u2212", "-")) == expected


def test_an_unlikely_input_is_called_unusual(browser, tmp_path):
    """A model that has learned two patterns: a row of noise between them is below all rows."""
    rng = np.random.default_rng(0)
    patterns = np.array([[1] * 8 + [0] * 8, [0] * 8 + [1] * 8])
    x = (patterns[rng.integers(0, 2, 400)] ^ (rng.random((400, 16)) < 0.01)).astype(np.uint8)
    data = vaelab.Dataset.from_arrays(x, name="two patterns")
    model = vaelab.gaussian_vae(data, 2, [16], seed=0)
    vaelab.fit(model, data, steps=150, learning_rate=1e-2)
    view = View(browser, write_explorer(tmp_path / "two.html", [Subject("two", model, data)]))
    view.open("two", draw_cells=",".join(f"{place}:{place % 2}" for place in range(16)))
    assert "lower than that of all of the 40 test rows: the model finds it very unusual" in view.words
    view.tab.close()


def test_an_auto_encoder_has_an_error_and_a_density(view):
    model, rows = model_of("autoencoder"), rows_of("autoencoder")
    view.open("autoencoder", draw_row=3)
    with torch.no_grad():
        z = model.posterior(rows[3:4]).mean
        assert view.elbo == pytest.approx(float(model.prior().log_prob(z)), abs=1e-3)
        error = -float(model.log_likelihood(rows[3:4], z.unsqueeze(0)))
    assert view.number(".draw-parts dd") == pytest.approx(error, abs=1e-3)
    text = view.tab.inner_text(".draw")
    assert "no likelihood" in text
    assert "ELBO" not in text


@pytest.mark.parametrize(("kind", "reason"), [("counts", "multinomial"), ("autoencoder", "has no likelihood")])
def test_what_allows_no_missing_values_says_why(view, kind, reason):
    view.open(kind, draw_row=0, draw_cells="0:?")
    assert reason in view.tab.inner_text(".draw")
    assert view.tab.locator("option", has_text="not observed").count() == 0
    assert view.tab.locator(".form-row.missing").count() == 0
    if kind == "counts":
        view.tab.locator(".form-row input").first.fill("")
        assert "this model needs every value" in view.tab.locator(".form-fault").first.inner_text()


def test_a_conditional_model_is_given_a_class(view):
    model, row = model_of("conditional"), rows_of("conditional")[4:5]
    found = {}
    for chosen in ("0", "1"):
        view.open("conditional", draw_row=4)
        view.tab.get_by_label("class", exact=True).select_option(label=chosen)
        view.settle()
        with torch.no_grad():
            y = torch.tensor([[float(chosen == "0"), float(chosen == "1")]])
            kl = model.kl(model.posterior(torch.cat([row[:, :-2], y], 1)))
        found[chosen] = view.number(".draw-parts div:nth-child(2) dd")
        assert found[chosen] == pytest.approx(float(kl), abs=1e-3)
    assert found["0"] != found["1"]


def test_a_value_that_does_not_fit_is_refused_in_a_sentence(view):
    view.open("mixed", draw_row=2)
    before = view.elbo
    share = view.tab.get_by_label("share", exact=True)
    share.fill("1.4")
    assert "share: expected a number from 0 to 1; got 1.4" in view.tab.inner_text(".form-rows")
    view.settle()
    assert view.elbo == before
    share.fill("0.25")
    view.settle()
    assert view.elbo != before
    assert view.tab.locator(".form-fault:not(:empty)").count() == 0
    assert "draw.cells=3%3A0.25" in view.address


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A page of a table of 1000 columns."""
    x = np.random.default_rng(0).integers(0, 2, (60, 1000)).astype(np.uint8)
    data = vaelab.Dataset.from_arrays(x, columns=[f"question {place}" for place in range(1000)], name="wide")
    return write_explorer(
        tmp_path_factory.mktemp("wide") / "wide.html",
        [Subject("wide", vaelab.gaussian_vae(data, 2, [8], seed=0), data)],
    )


def test_a_table_of_1000_columns_is_searched_and_paged(browser, wide):
    view = View(browser, wide)
    view.open("wide")
    assert view.tab.locator(".form-row").count() <= 40
    before = view.elbo
    search = view.tab.get_by_label("Find a variable")
    search.fill("question 731")
    assert view.tab.locator(".form-row").count() == 1
    view.tab.get_by_label("question 731", exact=True).select_option(label="not observed")
    view.settle()
    assert view.elbo != before
    assert "1 variable of 1,000 not observed" in view.tab.inner_text(".draw")
    search.fill("")
    view.tab.get_by_role("button", name="Next", exact=True).click()
    assert "41 to 80 of 1000 variables" in view.tab.inner_text(".form-find")
    assert view.tab.get_by_label("question 40", exact=True).is_visible()
    assert not view.faults
    view.tab.close()


@pytest.mark.parametrize("values", ["unit", "real", "count"])
def test_images_of_any_shape_and_values_are_painted(browser, tmp_path, values):
    """Ink is the highest value of the rows; paper is 0, or the lowest."""
    rng = np.random.default_rng(0)
    x = {
        "unit": rng.random((60, 5, 12)),
        "real": 3 * rng.normal(size=(60, 5, 12)),
        "count": rng.poisson(2, (60, 5, 12)),
    }
    options = {"binarisation": "none"} if values == "unit" else {"values": values}
    data = vaelab.Dataset.from_arrays(x[values], name=values, **options)
    model = vaelab.gaussian_vae(data, 2, [4], seed=0)
    view = View(browser, write_explorer(tmp_path / "page.html", [Subject("images", model, data)]))
    view.open("images", draw_row=1, draw_brush=1)
    rows = data.test.observations().bits(slice(0, len(data.test)))
    row = rows[1:2].clone()

    def check():
        with torch.no_grad():
            kl = float(model.kl(model.posterior(row)))
        assert view.number(".draw-parts div:nth-child(2) dd") == pytest.approx(kl, rel=2e-3)

    check()
    box = view.tab.locator(".draw-canvas").bounding_box()
    assert box["width"] / box["height"] == pytest.approx(12 / 5, rel=0.01)
    view.tab.mouse.click(box["x"] + 11.5 * box["width"] / 12, box["y"] + 0.5 * box["height"] / 5)
    view.settle()
    row[0, 11] = 1 if values == "unit" else rows.max()
    check()
    assert (0, 11) in view.dark()
    assert not view.faults
    view.tab.close()


def test_iwae_is_computed_on_request(view):
    model, rows = model_of("gaussian-vae"), rows_of("gaussian-vae")
    view.open("gaussian-vae", draw_row=1)
    assert "IWAE-500" not in view.tab.inner_text(".draw")
    view.tab.get_by_label("Also IWAE-K").check()
    view.settle()
    found = float(view.tab.locator("[data-iwae]").get_attribute("data-iwae"))
    expected = float(objective_bound(model, rows[1:2], IWAE(), 4000).values)
    assert found == pytest.approx(expected, abs=0.05)  # log-weights of this model vary by 0.1: 5 errors are 0.03
    assert "IWAE-500" in view.tab.inner_text(".draw")

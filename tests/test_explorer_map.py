"""The map of codes, in a real browser: what is drawn, decoded and selected is what the codes and the model say."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from matplotlib.path import Path as Polygon
from scipy.stats import ttest_ind
from sklearn.neighbors import NearestNeighbors

import vaelab
from tests.golden.make import HERE, RUNS, data_of
from vaelab.evaluation import encode_means
from vaelab.explorer import Subject, explorer_page
from vaelab.explorer.planes import planes

SIZE = {"width": 1200, "height": 1000}
IMAGE = (6, 5)
MAP = ".map-over"
# Keeps the starts of the segments, in pixels, of every line of the strength of a contour that is drawn from now on.
RECORDED_CONTOURS = """() => {
  const { beginPath, moveTo, stroke } = CanvasRenderingContext2D.prototype;
  let path = [];
  window.recorded = [];
  Object.assign(CanvasRenderingContext2D.prototype, {
    beginPath() { path = []; beginPath.call(this); },
    moveTo(x, y) { path.push([x, y]); moveTo.call(this, x, y); },
    stroke() { if (Math.abs(this.globalAlpha - 0.9) < 0.01) recorded.push(path); stroke.call(this); },
  });
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def show(browser, folder):
    """Open the map of a subject at an address; what the page reports as an error fails the test."""
    opened, errors = [], []

    def open_map(subject, address="", rows=2000, **options):
        path = folder / f"{subject.title}.html"
        if not path.exists():
            path.write_text(explorer_page([subject], rows=rows), encoding="utf-8")
        page = browser.new_page(viewport=SIZE, color_scheme="light", **options)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"{path.as_uri()}#view=map&{address}")
        page.wait_for_selector(MAP)
        opened.append(page)
        return page

    yield open_map
    for page in opened:
        page.close()
    assert not errors


def golden(kind):
    return Subject(kind, vaelab.load(HERE / kind / "saved"), data_of(kind))


def images(count=600):
    """Return small images of bits in three groups, an eighth of each flipped; a tenth of them are test rows."""
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 3, count)
    rows = rng.integers(0, 2, (3, *IMAGE))[groups] ^ (rng.random((count, *IMAGE)) < 0.12)
    return vaelab.Dataset.from_arrays(rows.astype(np.uint8), groups, name="groups")


def subject(build, title, data=None, **options):
    torch.manual_seed(3)
    data = data or images()
    model = build(data, **options).eval()
    with torch.no_grad():
        for weight in model.posterior.parameters():
            weight.mul_(2.5)  # codes that are not trained lie close together
    return Subject(title, model, data)


def codes_of(one):
    """Return the codes of the rows of the page, (N, D)."""
    with torch.no_grad():
        return encode_means(one.model, one.data.split(one.split).observations().bits(slice(None)))


def state(page):
    """Return the keys of the map that stand in the address."""
    page.wait_for_timeout(200)  # the address follows after an eighth of a second
    values = parse_qs(page.evaluate("location.hash.slice(1)"))
    return {key.removeprefix("map."): value[0] for key, value in values.items() if key.startswith("map.")}


def numbers(text):
    return np.array([[float(value) for value in corner.split(",")] for corner in text.split(";")])


def ink(page, place=0):
    """Return the picture that is shown at a place of the details, as a share of ink between the paper and the ink."""
    pixels = page.evaluate(
        "place => { const canvas = document.querySelectorAll('.map-details canvas')[place];"
        "return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]; }",
        place,
    )
    red = np.array(pixels).reshape(-1, 4)[:, 0]
    paper, dark = (
        page.evaluate("name => $ui_colours.openTheme().rgb(name)[0]", f"image-{n}") for n in ("paper", "ink")
    )
    return (paper - red) / (paper - dark)


def point(page, x, y):
    """Return a place of the window, for parts of the width and height of the map."""
    box = page.locator(MAP).bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def selected(page):
    """Return the rows that the page lists as selected."""
    text = page.locator(".map-rows").input_value()
    return [int(row) for row in text.split(", ")] if text else []


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_model_has_a_map(show, kind):
    page = show(golden(kind))
    assert page.locator(".map-canvas").count() == 2
    assert page.locator(".map-words li").count() > 0
    assert "NaN" not in page.locator(".view-map").inner_text()


def test_what_is_decoded_under_the_mouse_is_what_torch_decodes(show):
    one = subject(vaelab.gaussian_vae, "five", latent_dim=5, hidden_dims=[8])
    page = show(one)
    page.mouse.move(*point(page, 0.7, 0.3))
    x, y = numbers(state(page)["at"])[0]
    (plane,) = planes(codes_of(one))
    decoded = one.model.decode((plane.mean + x * plane.axes[0] + y * plane.axes[1]).float())
    assert ink(page) == pytest.approx(decoded.numpy(), abs=4e-3)  # a step of a colour is 1/227


def test_the_plane_through_a_pinned_row_keeps_its_other_coordinates(show):
    one = subject(vaelab.gaussian_vae, "five", latent_dim=5, hidden_dims=[8])
    page = show(one, "map.pin=row:7&map.x=u1&map.y=u3&map.at=0.25,-0.5")
    code = codes_of(one)[7].clone()
    code[1], code[3] = 0.25, -0.5
    assert ink(page) == pytest.approx(one.model.decode(code).numpy(), abs=4e-3)
    assert ink(page, 1) == pytest.approx(one.data.test.batch(8)[7].numpy(), abs=4e-3)
    assert ink(page, 2) == pytest.approx(one.model.decode(codes_of(one)[7]).numpy(), abs=4e-3)


def test_bits_under_the_mouse_are_the_likelier_ones(show):
    one = subject(vaelab.bernoulli_vae, "bits", latent_dim=6, hidden_dims=[8])
    page = show(one, "map.at=0.1,0.05")
    (plane,) = planes(codes_of(one))
    bits = (plane.mean + 0.1 * plane.axes[0] + 0.05 * plane.axes[1] > 0.5).float()
    assert ink(page) == pytest.approx(one.model.decode(bits).numpy(), abs=4e-3)


def test_an_upper_layer_is_decoded_through_the_means_of_the_lower(show):
    one = subject(vaelab.deep_gaussian_vae, "deep", layers=[4, 3], hidden_dims=[[6], [5]])
    page = show(one, "map.layer=1&map.x=u0&map.y=u2&map.at=0.5,-1")
    top = codes_of(one)[:, 4:].mean(0)
    top[0], top[2] = 0.5, -1
    with torch.no_grad():
        below = one.model.prior.conditionals[0](top[None]).mean
        decoded = one.model.decode(torch.cat([below, top[None]], 1))[0]
    assert ink(page) == pytest.approx(decoded.numpy(), abs=4e-3)


def test_a_lasso_selects_exactly_the_rows_inside(show):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    page = show(one)
    page.get_by_role("button", name="Select", exact=True).click()
    corners = [(0.2, 0.2), (0.8, 0.25), (0.75, 0.55), (0.5, 0.5), (0.3, 0.8)]
    page.mouse.move(*point(page, *corners[0]))
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*point(page, *corner), steps=4)
    page.mouse.up()
    polygon = numbers(state(page)["area"].removeprefix("p:"))
    inside = np.flatnonzero(Polygon(polygon).contains_points(codes_of(one).numpy()))
    assert 0 < len(inside) < len(codes_of(one))
    assert selected(page) == inside.tolist()
    assert page.locator(".map-selection h2").inner_text() == f"{len(inside)} of {len(codes_of(one))} rows selected"


def test_keys_move_the_cursor_pin_a_row_and_select_a_rectangle(show):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    page = show(one)
    page.locator(MAP).focus()
    before = page.evaluate("document.querySelector('.map-details p').textContent")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert page.evaluate("document.querySelector('.map-details p').textContent") != before
    page.locator("[aria-live]", has_text="nearest row").wait_for(state="attached")
    page.keyboard.press("Enter")
    assert re.fullmatch(r"(row:\d+|at:.*)", state(page)["pin"])
    page.keyboard.press("Escape")
    assert "pin" not in state(page)
    page.get_by_role("button", name="Select", exact=True).press("Enter")
    page.locator(MAP).focus()
    page.keyboard.press("Enter")
    for key in ["Shift+ArrowRight"] * 4 + ["Shift+ArrowDown"] * 4 + ["Enter"]:
        page.keyboard.press(key)
    polygon = numbers(state(page)["area"].removeprefix("p:"))
    inside = np.flatnonzero(Polygon(polygon).contains_points(codes_of(one).numpy()))
    assert len(polygon) == 4
    assert 0 < len(inside) < len(codes_of(one))
    assert selected(page) == inside.tolist()


def test_a_class_can_be_selected_and_hidden_without_a_mouse(show):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    page = show(one)
    labels = np.asarray(one.data.test.labels)
    page.get_by_label("Select all of").select_option("1")
    assert selected(page) == np.flatnonzero(labels == 1).tolist()
    page.locator('[data-group="1"]').press("Enter")
    assert state(page)["off"] == "1"
    assert page.locator('[data-group="1"]').get_attribute("aria-pressed") == "false"
    assert page.locator(".map-selection").get_attribute("data-count") == "0"
    page.keyboard.press("Enter")
    assert "off" not in state(page)


def test_the_address_restores_the_view(show):
    one = subject(vaelab.gaussian_vae, "five", latent_dim=5, hidden_dims=[8])
    page = show(one)
    page.get_by_label("Across").select_option("u3")
    page.get_by_label("Colour").select_option("bound")
    page.mouse.move(*point(page, 0.6, 0.4))
    page.mouse.wheel(0, -300)
    page.mouse.click(*point(page, 0.5, 0.5))
    state(page)
    again = show(one, page.evaluate("location.hash.slice(1)").replace("view=map&", ""))
    for place in (".map-canvas:first-child", MAP):
        drawn = "place => document.querySelector(place).toDataURL()"
        again.evaluate("document.activeElement.blur()")
        assert page.evaluate(drawn, place) == again.evaluate(drawn, place)
    assert page.locator(".map-right").inner_text() == again.locator(".map-right").inner_text()


def test_the_wheel_zooms_where_the_mouse_is_and_the_whole_map_comes_back(show):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    page = show(one)
    page.mouse.move(*point(page, 0.3, 0.6))
    before = numbers(state(page)["at"])[0]
    page.mouse.wheel(0, -400)
    page.mouse.move(*point(page, 0.3, 0.6), steps=2)
    found = state(page)
    assert float(found["zoom"]) > 1.5
    assert numbers(found["at"])[0] == pytest.approx(before, abs=0.02)
    page.get_by_role("button", name="Whole map").click()
    assert "zoom" not in state(page)


def test_fingers_move_the_cursor_tap_to_pin_and_pinch_to_zoom(show):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    page = show(one, has_touch=True)
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *places):
        points = [{"x": point(page, *place)[0], "y": point(page, *place)[1]} for place in places]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (0.4, 0.4))
    fingers("touchMove", (0.5, 0.6))
    fingers("touchEnd")
    moved = state(page)
    assert "at" in moved
    assert "pin" not in moved
    page.touchscreen.tap(*point(page, 0.1, 0.1))
    assert "pin" in state(page)
    fingers("touchStart", (0.4, 0.5), (0.6, 0.5))
    fingers("touchMove", (0.3, 0.5), (0.7, 0.5))
    fingers("touchEnd")
    assert float(state(page)["zoom"]) == pytest.approx(2, rel=0.05)
    page.get_by_role("button", name="Whole map").tap()
    page.get_by_role("button", name="Select", exact=True).tap()
    fingers("touchStart", (0.2, 0.2))
    for corner in ((0.8, 0.25), (0.75, 0.55), (0.3, 0.8)):
        fingers("touchMove", corner)
    fingers("touchEnd")
    polygon = numbers(state(page)["area"].removeprefix("p:"))
    inside = np.flatnonzero(Polygon(polygon).contains_points(codes_of(one).numpy()))
    assert selected(page) == inside.tolist()


def test_it_says_that_a_flow_was_fitted_after_the_training_and_draws_its_contours(show):
    rows = images()
    rows = vaelab.Dataset.from_arrays(rows.split("train").observations().bits(slice(None)).numpy().astype(np.uint8))
    one = subject(vaelab.autoencoder, "flow", rows, latent_dim=2, hidden_dims=[8], prior="flow")
    one.model.prior.standardise(codes_of(one))
    page = show(one)
    assert "The prior was fitted to the codes after the training: codes drawn" in page.locator("body").inner_text()
    assert page.get_by_role("heading", name="What to look for").count() == 1
    assert page.get_by_role("heading", name="What this run shows").count() == 0  # there are no classes, and no mixture
    page.evaluate(RECORDED_CONTOURS)
    for _ in range(2):  # hidden, and shown again
        page.get_by_label("Contours of the density").click()
        page.wait_for_timeout(100)
    paths = [np.array(path) for path in page.evaluate("recorded.slice(-3)")]
    deviations = one.model.prior.scale.numpy()  # f is the identity: the density is normal, and a contour an ellipse
    radii = [np.linalg.norm((path - (path.min(0) + path.max(0)) / 2) / deviations, axis=1) for path in paths]
    unit = radii[0].mean() / np.sqrt(-2 * np.log(1 - 0.5))  # pixels
    for found, share in zip(radii, (0.5, 0.8, 0.95), strict=True):
        assert found / unit == pytest.approx(np.full(len(found), np.sqrt(-2 * np.log(1 - share))), rel=0.05)


def test_a_component_is_chosen_by_its_number_and_drawn_from(show):
    one = subject(vaelab.autoencoder, "mixture", latent_dim=3, hidden_dims=[8], components=2)
    one.model.prior.fit(codes_of(one))
    page = show(one, "map.contours=1")
    (plane,) = planes(codes_of(one))
    middle = (one.model.prior.means.double() - plane.mean) @ plane.axes[:2].T
    page.evaluate("place => { location.hash = `view=map&map.zoom=3&map.mid=${place}`; }", middle[1].tolist())
    page.wait_for_timeout(100)
    box = page.locator(MAP).bounding_box()
    plot = box["x"] + (46 + box["width"] - 10) / 2, box["y"] + (10 + box["height"] - 40) / 2  # within the margins
    page.mouse.click(*plot)
    assert state(page)["component"] == "2"
    assert page.locator(".map-thumbs canvas").count() == 12
    before = page.locator(".map-thumbs canvas").first.evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("button", name="Draw again").click()
    assert page.locator(".map-thumbs canvas").first.evaluate("canvas => canvas.toDataURL()") != before


@pytest.mark.parametrize("missing", [False, True])
def test_differences_of_a_selection_are_those_of_scipy(show, missing):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 4)).astype(np.float32)
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    chosen = (rng.random(40) < 0.3).astype(int)
    page = show(one)
    found = page.evaluate(
        "([x, chosen]) => { const data = { x: Float32Array.from(x, value => value ?? NaN), count: 40, size: 4 };"
        "const found = $views_map_selection.compareRows(data, Uint8Array.from(chosen));"
        "return Object.fromEntries(Object.entries(found).map(([k, v]) => [k, v.length ? [...v] : v])); }",
        [[None if np.isnan(value) else float(value) for value in x.flatten()], chosen.tolist()],
    )
    inside, others = x[chosen == 1].astype(float), x[chosen == 0].astype(float)
    expected = ttest_ind(inside, others, equal_var=False, nan_policy="omit")
    assert np.array(found["difference"]) / found["error"] == pytest.approx(np.asarray(expected.statistic), rel=1e-5)
    assert found["mean"] == pytest.approx(np.nanmean(inside, 0), rel=1e-5)
    assert found["deviation"] == pytest.approx(np.nanstd(x.astype(float), 0), rel=1e-5)


def test_contours_hold_their_share_of_a_gaussian(show):
    one = subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8])
    page = show(one)
    covariance = [2.0, 0.6, 0.5]
    lines = page.evaluate(
        "covariance => $views_map_prior.contoursOf([{ weight: 1, mean: [1, -2], covariance }])", covariance
    )
    inverse = np.linalg.inv(np.array([[2.0, 0.6], [0.6, 0.5]]))
    for segments, share in zip(lines, (0.5, 0.8, 0.95), strict=True):
        away = np.array(segments).reshape(-1, 2) - [1, -2]
        squared = np.einsum("ni,ij,nj->n", away, inverse, away)
        assert squared == pytest.approx(np.full(len(away), -2 * np.log(1 - share)), rel=0.05)  # of chi-squared with 2


@pytest.mark.parametrize("deviation", [1.0, 0.1, 0.02, 0.005])
def test_contours_hold_their_share_of_components_of_unlike_widths(show, deviation):
    """Of draws from the mixture, the share with a density above that of the contours."""
    page = show(subject(vaelab.gaussian_vae, "two", latent_dim=2, hidden_dims=[8]))
    places, widths = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([1.0, deviation])
    parts = [
        {"weight": 0.5, "mean": place.tolist(), "covariance": [width**2, 0, width**2]}
        for place, width in zip(places, widths, strict=True)
    ]
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 2, 20000)
    draws = places[chosen] + widths[chosen, None] * rng.normal(size=(20000, 2))

    def density(x):
        squared = ((x[:, None] - places) ** 2).sum(-1)
        return (0.5 * np.exp(-squared / (2 * widths**2)) / (2 * np.pi * widths**2)).sum(1)

    lines = page.evaluate("parts => $views_map_prior.contoursOf(parts)", parts)
    for segments, share in zip(lines, (0.5, 0.8, 0.95), strict=True):
        height = np.median(density(np.array(segments).reshape(-1, 2)))
        assert (density(draws) >= height).mean() == pytest.approx(share, abs=0.035)


@pytest.mark.parametrize(("rows", "size"), [(2, 1), (12, 1), (2, 2), (2, 4)])
def test_few_rows_and_equal_codes_have_a_map(show, rows, size):
    one = subject(vaelab.gaussian_vae, f"few-{rows}-{size}", latent_dim=size, hidden_dims=[4])
    with torch.no_grad():
        for weight in one.model.posterior.parameters():
            weight.zero_()  # the posterior is the same for every row
    page = show(one, rows=rows)
    page.mouse.move(*point(page, 0.4, 0.4))
    assert "at" in state(page)
    assert "No unit varies between rows" in page.locator(".map-words").inner_text()
    assert "NaN" not in page.locator(".view-map").inner_text()


def test_principal_axes_are_those_of_numpy():
    codes = torch.randn(50, 4, dtype=torch.float64) @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5]).double())
    (plane,) = planes(codes)
    centred = codes.numpy() - codes.numpy().mean(0)
    _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
    assert np.abs((plane.axes.numpy() * vectors).sum(1)) == pytest.approx(np.ones(4))
    assert plane.variances.numpy() == pytest.approx(singular**2 / 50)
    assert plane.total == pytest.approx(centred.var(0).sum())


def test_places_on_the_page_are_projections_of_the_codes(show):
    one = subject(vaelab.gaussian_vae, "five", latent_dim=5, hidden_dims=[8])
    codes = codes_of(one).double().numpy()
    _, _, vectors = np.linalg.svd(codes - codes.mean(0), full_matrices=False)
    expected = (codes - codes.mean(0)) @ vectors[:2].T
    for axis, row in ((0, 3), (1, 11)):
        page = show(one, f"map.pin=row:{row}")
        shown = page.locator(".map-details figure").first.locator("p").inner_text()
        coordinates = [float(text.replace("−", "-")) for text in re.findall(r"[−\d.]+", shown)[:2]]
        assert abs(coordinates[axis]) == pytest.approx(abs(expected[row, axis]), abs=0.006)


def test_shares_of_classes_are_those_of_some_of_many_rows():
    labels = torch.arange(4500) % 3
    (plane,) = planes(10.0 * labels[:, None] + torch.rand(4500, 2), labels=labels)
    assert (plane.neighbours.rows, plane.neighbours.share) == (2000, 1.0)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_equal_codes_have_axes_and_no_variance(rows):
    first, second = planes(torch.ones(rows, 5), (3, 2), torch.arange(rows) % 2)
    assert first.axes.numpy() @ first.axes.numpy().T == pytest.approx(np.eye(3))
    assert (first.variances == 0).all()
    assert second.axes.shape == (2, 2)
    if rows == 5:
        assert first.neighbours.share == pytest.approx(first.neighbours.chance)  # all others are equally near


def test_shares_of_classes_are_those_of_the_nearest_codes():
    codes, labels = torch.randn(60, 3), torch.randint(0, 3, (60,))
    (plane,) = planes(codes, labels=labels)
    near = NearestNeighbors(n_neighbors=6).fit(codes.numpy()).kneighbors(return_distance=False)[:, :5]
    assert plane.neighbours.share == pytest.approx((labels[near] == labels[:, None]).double().mean().item())

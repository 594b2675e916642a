"""The whole page of the explorer, in a real browser: every view of every kind of model.

Nothing is requested, nothing fails, names stay text, everything works by keyboard and fits the window.
"""

from __future__ import annotations

import re
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaelab
from tests.golden.make import HERE, RUNS, data_of
from tests.tabs import barriers
from vaelab.data import Column, Split
from vaelab.explorer import Subject, explorer_page, rows_of
from vaelab.models import bernoulli_vae, gaussian_vae

VIEWS = ("map", "bits", "layers", "draw", "sample", "compare", "estimators", "training")
WIDTHS = (360, 390, 1024, 1600)
HOSTILE = "</script><script>window.injected=1</script><img src=x onerror=window.injected=2>\"'`${1}\u2028&lt;"
# For tests that need not see every kind: two runs on images, a table of several kinds, two runs with every view.
PAIRS = (("conv", "gaussian-vae"), ("mixed",), ("sbn", "bernoulli-vae"))


def golden(kind: str) -> Subject:
    records = vaelab.runs.Run(HERE / kind / "run")
    return Subject(
        kind,
        vaelab.load(HERE / kind / "saved"),
        data_of(kind),
        metrics=records.metrics(),
        evaluations=records.all_evaluations(),
    )


def hostile() -> Subject:
    """A small table whose data, columns, levels, classes and run have names that are a script if read as HTML."""
    rng = np.random.default_rng(0)
    columns = (
        Column(HOSTILE, "real"),
        Column(f"b{HOSTILE}", "binary", (f"no{HOSTILE}", f"yes{HOSTILE}"), "str"),
        Column(f"c{HOSTILE}", "categorical", (f"x{HOSTILE}", f"y{HOSTILE}", f"z{HOSTILE}"), "str"),
    )
    rows = np.concatenate([rng.normal(size=(60, 1)), rng.integers(0, 2, (60, 1)), np.eye(3)[rng.integers(0, 3, 60)]], 1)
    splits = {name: Split(rows.astype(np.float32), rng.integers(0, 2, 60)) for name in ("train", "validation", "test")}
    names = (f"class 0 {HOSTILE}", f"class 1 {HOSTILE}")
    data = vaelab.Dataset(HOSTILE, splits, "mixed", 1, variables=columns, classes=names)
    return Subject(HOSTILE, gaussian_vae(data, latent_dim=2, hidden_dims=[4]), data, facts=[(HOSTILE, HOSTILE)])


class Opened:
    """A page of the explorer, with all that the browser reports of it."""

    def __init__(self, context, path: Path, address: str = "") -> None:
        self.url, self.reports, self.requests = path.as_uri(), [], []
        self.page = context.new_page()
        self.page.on("console", lambda message: self.reports.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.reports.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.reports.append("dialog"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{self.url}#{address}")
        self.page.wait_for_selector(".view")

    def applying(self) -> list[str]:
        """The views that apply to the run that is shown."""
        tabs = self.page.eval_on_selector_all(
            "[role=tab]:not([aria-disabled=true])", "tabs => tabs.map(tab => tab.id.replace('tab-', ''))"
        )
        return list(tabs)

    def settle(self, milliseconds: int = 20) -> None:
        """Wait until the page has been drawn, twice: a change of size is noticed when the page is drawn."""
        drawn = "setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), wait)"
        self.page.evaluate(f"wait => new Promise(done => {drawn})", milliseconds)

    def show(self, view: str) -> None:
        self.page.click(f"#tab-{view}")
        self.settle()
        assert self.page.get_attribute("#panel", "data-view") == view
        self.page.wait_for_function("view => location.hash.includes(`view=${view}`)", arg=view)

    def assert_quiet(self) -> None:
        assert self.reports == []
        assert [url for url in self.requests if not url.startswith((self.url, "data:", "blob:"))] == []


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The path of the page of some subjects; each page is written once."""
    folder, made = tmp_path_factory.mktemp("pages"), {}

    def write(*kinds: str) -> Path:
        if kinds not in made:
            made[kinds] = folder / f"{len(made)}.html"
            subjects = [hostile() if kind == "hostile" else golden(kind) for kind in kinds]
            made[kinds].write_text(explorer_page(subjects), encoding="utf-8", errors="backslashreplace")
        return made[kinds]

    return write


@pytest.fixture
def context(browser):
    with browser.new_context(viewport={"width": 1200, "height": 900}) as opened:
        yield opened


def wider(page) -> list[str]:
    """What is wider than the window, outside boxes that scroll."""
    if page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
        return []
    return page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.tagName + '.' + e.className).slice(0, 5)"
    ) or ["the page"]


def test_the_list_of_views_is_complete(context, written):
    tabs = Opened(context, written("sbn")).page.eval_on_selector_all("[role=tab]", "tabs => tabs.map(tab => tab.id)")
    assert tabs == [f"tab-{view}" for view in VIEWS]


@pytest.mark.parametrize("kind", RUNS)
def test_every_view_of_every_model_works_and_fits_the_window(kind, context, written):
    opened = Opened(context, written(kind))
    views = opened.applying()
    assert {"map", "draw", "sample", "training"} <= set(views)
    for view in views:
        opened.show(view)
        for width in (1600, 360):
            opened.page.set_viewport_size({"width": width, "height": 900})
            opened.settle()
            assert wider(opened.page) == [], (view, width)
    opened.settle(200)  # for what a view computes later
    opened.assert_quiet()


@pytest.mark.parametrize("kinds", PAIRS[1:], ids=" ".join)
def test_a_window_of_another_size_keeps_the_state(kinds, context, written):
    opened = Opened(context, written(*kinds), "map.x=1")
    for view in opened.applying():
        opened.show(view)
        address = opened.page.evaluate("location.hash")
        opened.page.evaluate("document.querySelector('.view').dataset.mounted = 'once'")
        for width in WIDTHS:
            opened.page.set_viewport_size({"width": width, "height": 800})
            opened.settle()
            assert wider(opened.page) == [], (view, width)
        assert opened.page.evaluate("location.hash") == address
        assert opened.page.get_attribute(".view", "data-mounted") == "once"  # not built anew
    opened.assert_quiet()


def barriers_of(page, *rules: str) -> list[tuple[str, str]]:
    """The barriers that all rules find, or these, with an element of each."""
    found = barriers(page, **({"runOnly": list(rules)} if rules else {}))
    return [(each["id"], each["nodes"][0]["html"][:160]) for each in found]


@pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
def test_no_barrier_is_serious(kinds, context, written):
    """axe-core, all its rules in the light theme, and that of colours in the dark one."""
    opened = Opened(context, written(*kinds), "theme=light")
    for view in opened.applying():
        opened.show(view)
        assert barriers_of(opened.page) == [], view
        opened.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        assert barriers_of(opened.page, "color-contrast") == [], view
        opened.page.evaluate("document.documentElement.dataset.theme = 'light'")
    opened.page.evaluate("document.getElementById('panel').append(document.createElement('button'))")
    assert [name for name, _ in barriers_of(opened.page)] == ["button-name"]  # a button without a name is found


REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
  .filter(element => element.tabIndex >= 0 && !element.disabled && element.checkVisibility({ visibilityProperty: true })
  && !(element.type === "radio" && !element.checked))"""


@pytest.mark.parametrize("kinds", PAIRS, ids=" ".join)
def test_everything_is_reached_and_used_by_keyboard_alone(kinds, context, written):
    opened = Opened(context, written(*kinds))
    page = opened.page
    page.evaluate("document.addEventListener('focusin', event => window.seen?.add(event.target))")
    for view in opened.applying():
        page.focus("[role=tab][aria-selected=true]")
        for _ in VIEWS:  # arrow keys move between the tabs
            if page.evaluate("document.activeElement.id") == f"tab-{view}":
                break
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        opened.settle()
        assert page.get_attribute("#panel", "data-view") == view
        expected = page.evaluate(f"(window.reachable = ({REACHABLE})()).length")
        page.evaluate("document.activeElement.blur(); window.seen = new Set()")
        for _ in range(expected + 3):
            page.keyboard.press("Tab")
        missed = page.evaluate(
            "window.reachable.filter(e => !window.seen.has(e) && e.isConnected).map(e => e.outerHTML.slice(0, 120))"
        )
        assert missed == [], view
    opened.assert_quiet()


UNMARKED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter(element => !element.disabled && element.checkVisibility()).filter(element => {
    element.focus({ focusVisible: true });
    const style = getComputedStyle(document.activeElement);
    return document.activeElement === element && style.outlineStyle === "none" && style.boxShadow === "none";
  }).map(element => element.outerHTML.slice(0, 120))"""


def test_what_has_the_keyboard_is_marked(context, written):
    opened = Opened(context, written("conv", "gaussian-vae"))
    for view in opened.applying():
        opened.show(view)
        assert opened.page.evaluate(UNMARKED) == [], view


def changed_by_hand(page) -> None:
    """Move what a view offers: another choice in its first list, a slider, by keyboard."""
    for control in ("#panel select:enabled:visible", "#panel input[type=range]:enabled:visible"):
        if page.locator(control).count():
            page.locator(control).first.press("ArrowDown" if "select" in control else "ArrowRight")


@pytest.mark.parametrize("kinds", PAIRS[1:], ids=" ".join)
def test_an_address_shows_the_same_picture_again(kinds, browser, written):
    with browser.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce") as context:
        opened = Opened(context, written(*kinds))
        for view in opened.applying():
            opened.show(view)
            changed_by_hand(opened.page)
            opened.settle(300)
            again = Opened(context, written(*kinds), opened.page.evaluate("location.hash").removeprefix("#"))
            again.settle(300)
            assert difference(opened, again) <= 4, view  # of 255: the edge of a panel may be drawn otherwise
            again.page.close()
            opened.page.bring_to_front()  # what lies behind is drawn once a second


# What moved by a fraction of a pixel is painted where it was, until the page is laid out anew.
LAID_OUT_ANEW = """() => {
  const { style } = document.documentElement;
  style.display = "none";
  document.documentElement.getBoundingClientRect();
  style.display = "";
}"""


PARTS = {"bits": ("code", "path", "use"), "layers": ("climb", "fields", "films")}


def keys_of(view: str) -> list[str]:
    """The keys of the address that the modules of a view read."""
    files = Path(vaelab.explorer.__file__).with_name("web").joinpath("views").glob("*.js")
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    found = set(re.findall(rf'"({view}\.[\w-]+)"', source)) - {f"{view}.part"}
    if view == "map":
        found |= {f"map.{name}" for name in re.findall(r'\bget\("(\w+)"', source)} | {"map.x", "map.y"}
    return sorted(found)


@pytest.mark.parametrize("value", ["0.5", "1e16", "1e16,-1e16", "constructor"])
def test_no_address_breaks_a_view(value, context, written):
    page = Opened(context, written("sbn", "conditional"))
    for view, run in ((view, run) for view in VIEWS for run in (0, 1)):
        keys = keys_of(view)
        assert keys
        for part in PARTS.get(view, ("",)):
            address = "&".join([f"run={run}&view={view}&{view}.part={part}", *(f"{key}={value}" for key in keys)])
            page.page.evaluate("address => { location.hash = address; }", address)
            page.settle()
    for key in ("run", "view", "theme"):
        page.page.evaluate("address => { location.hash = address; }", f"{key}={value}")
        page.settle()
        assert page.page.locator(".view").is_visible()
    assert page.reports == []


def difference(*pages: Opened) -> int:
    """The largest difference of a pixel between two pages, without what the pointer and the keyboard mark."""
    pictures = []
    for opened in pages:
        opened.page.bring_to_front()
        opened.page.mouse.move(0, 0)
        opened.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        opened.page.evaluate(LAID_OUT_ANEW)
        opened.settle()
        pictures.append(np.asarray(Image.open(BytesIO(opened.page.screenshot())).convert("RGB")).astype(int))
    return int(np.abs(pictures[0] - pictures[1]).max())


def test_names_stay_text(context, written):
    opened = Opened(context, written("hostile", "hostile"))
    for view in opened.applying():
        opened.show(view)
        assert opened.page.evaluate("window.injected") is None, view
        assert opened.page.locator("img[src=x]").count() == 0
    assert HOSTILE.replace("\u2028", "") in opened.page.inner_text("h1").replace("\u2028", "")
    opened.assert_quiet()


INJECT = """() => {
  const script = document.createElement("script");
  script.textContent = "window.injected = 1";
  document.body.append(script);
  document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='window.injected = 2'>");
  return new Promise(resolve => setTimeout(() => resolve(window.injected ?? null), 100));
}"""


def test_the_policy_stops_scripts_of_others(browser, written):
    ran = {}
    for without_policy in (False, True):  # without the policy they run: this test can fail
        with browser.new_context(bypass_csp=without_policy) as context:
            ran[without_policy] = Opened(context, written("gaussian-vae")).page.evaluate(INJECT)
    assert ran[False] is None
    assert ran[True] in (1, 2)
    policy = re.search(
        r'<meta http-equiv="Content-Security-Policy" content="([^"]+)"', written("gaussian-vae").read_text()
    )
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe" not in policy[1]


def test_who_wants_no_motion_sees_none(browser, written):
    with browser.new_context(reduced_motion="reduce") as context:
        opened = Opened(context, written("sbn"))
        for view in opened.applying():
            opened.page.click(f"#tab-{view}")
            longest = opened.page.evaluate(
                "Math.max(0, ...document.getAnimations().map(each => each.effect.getComputedTiming().activeDuration))"
            )
            assert longest <= 1, view


def test_the_page_of_a_large_model_is_small_and_opens_at_once(mnist, browser, tmp_path):
    model = bernoulli_vae(mnist, latent_dim=200)
    page = tmp_path / "page.html"
    page.write_text(explorer_page([Subject("digits", model, mnist)], rows=500), encoding="utf-8")
    assert page.stat().st_size < 6e6
    with browser.new_context() as context:
        started = time.perf_counter()
        opened = Opened(context, page)
        assert time.perf_counter() - started < 6  # 1.5 on an idle machine: benchmarks/explorer.py
        opened.assert_quiet()


def test_rows_of_grey_levels_that_stay_numbers_are_fewer():
    """They take 32 times the space of bits."""
    grey = np.random.default_rng(0).integers(0, 256, (6000, 784)).astype(np.uint8)
    data = vaelab.Dataset.from_arrays(grey, image_shape=(28, 28))
    model = gaussian_vae(data, latent_dim=2, hidden_dims=[4])
    real = data.with_binarisation("none")
    assert rows_of(Subject("bits", model, data)) == 600
    assert rows_of(Subject("real", gaussian_vae(real, latent_dim=2, hidden_dims=[4]), real)) == 1_500_000 // (4 * 784)

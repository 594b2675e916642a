"""The explorer's views of bits and of layers in a real browser: their numbers are torch's, and their parts work."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import vaelab
from tests.engine_page import EnginePage
from tests.golden.make import HERE, RUNS, data_of
from tests.tabs import barriers
from vaelab.explorer import Subject, write_explorer
from vaelab.inference.mean_field import linear_weights
from vaelab.models import LatentVariableModel

BITS = ["bernoulli-vae", "sbn", "sbn-wake-sleep", "sbn-mean-field", "counts"]
LAYERS = [*BITS, "deep-gaussian-vae"]
NUMBERS = (
    'const { codeOfText, correlations, flips, meaningOf, pathFlips, usage } = await import("/views/bits-numbers.js");'
)
NET = """const { effectOf, gibbsSweep, layersOf, siteLogits, weightsOf } = await import("/views/layers-numbers.js");
const net = layersOf(given.model);"""


@pytest.fixture(scope="module")
def engine(browser):
    page = EnginePage(browser)
    yield page
    page.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Return a function from the name of a golden run to its page, written once."""
    folder, written = tmp_path_factory.mktemp("pages"), {}

    def page(name: str) -> str:
        if name not in written:
            subject = Subject(name, vaelab.load(HERE / name / "saved"), data_of(name))
            written[name] = write_explorer(folder / f"{name}.html", [subject]).as_uri()
        return written[name]

    return page


@pytest.fixture
def tab(browser):
    """A tab that fails the test for any message of the console and any error of a page."""
    page = browser.new_page(viewport={"width": 1024, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    page.close()
    assert said == []


def golden(kind: str) -> tuple[LatentVariableModel, Tensor]:
    """Return a model and eight rows, in float32 as in the page."""
    return vaelab.load(HERE / kind / "saved").eval(), data_of(kind).test.batch(8)


def codes_of(model: LatentVariableModel) -> Tensor:
    """Return all codes of a model of bits, (2^D, D)."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=model.latent_dim)))


@torch.no_grad()
def log_joint(model: LatentVariableModel, x: Tensor, z: Tensor) -> Tensor:
    """Return log p(x, z) of one row and many codes, (n,)."""
    return model.log_joint(x[None], z[:, None])[:, 0]


@pytest.mark.parametrize("kind", BITS)
@torch.no_grad()
def test_a_flip_changes_what_it_changes_in_torch(engine, kind):
    model, rows = golden(kind)
    x, z = rows[0], (model.encode(rows)[0] > 0.5).float()
    flipped = (z + torch.eye(len(z))) % 2
    means, units = model.decode(torch.cat([z[None], flipped])), torch.full((rows.shape[1],), 2.0)
    nearest = (*model.layers, len(z))[0]  # p(x|z) reads these bits only, which the page makes use of
    source = f"{NUMBERS} const places = [...given.z.keys()]; const all = [...flips({{ ...given, places }})];"
    source += "return { effect: all.map((f) => f.effect), nats: all.map((f) => f.nats) };"
    found = engine.run(source, model, rows, x=x, z=z, units=units, nearest=nearest)
    torch.testing.assert_close(
        torch.tensor(found["effect"]), (means[1:] - means[0]).abs().mean(-1) / 2, atol=1e-4, rtol=1e-3
    )
    nats = log_joint(model, x, flipped) - log_joint(model, x, z[None])
    torch.testing.assert_close(torch.tensor(found["nats"]), nats, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("order", ["likely", "small", "large", "index"])
@torch.no_grad()
def test_a_path_flips_each_bit_that_differs_once_the_best_of_its_order_first(engine, order):
    model = vaelab.bernoulli_vae(6, latent_dim=7, hidden_dims=[5], seed=3)
    a, b, x = torch.zeros(7), torch.tensor([1.0, 0, 1, 1, 0, 1, 1]), torch.tensor([1.0, 0, 1, 1, 0, 0])
    source = f"{NUMBERS} let path = []; for (const one of pathFlips(given)) path = one.slice(); return path;"
    path = engine.run(source, model, a=a, b=b, x=x, order=order, units=torch.ones(6))
    assert sorted(path) == torch.nonzero(a != b).flatten().tolist()  # as many flips as the Hamming distance
    end = a.clone()
    end[path] = 1 - end[path]
    assert torch.equal(end, b)
    flipped = (a + torch.eye(7)) % 2
    effect = (model.decode(flipped) - model.decode(a[None])).abs().mean(-1)
    scores = {"likely": log_joint(model, x, flipped), "small": -effect, "large": effect, "index": -torch.arange(7)}
    places = torch.nonzero(a != b).flatten()
    assert path[0] == places[scores[order][places].argmax()]


def test_correlation_and_usage_are_numpys(engine):
    rng = np.random.default_rng(0)
    base = rng.random((75, 3))
    codes = np.concatenate([base, base[:, :1], 1 - base[:, 1:2], np.full((75, 1), 0.9)], 1).astype(np.float32)
    source = f"""{NUMBERS} const {{ codes, count, dim }} = given;
    const of = (bit) => [bit.mean, bit.share, bit.entropy, bit.information, +bit.changes];
    return {{ matrix: correlations(codes, count, dim), mean: usage(codes, count, dim).map(of) }};"""
    found = engine.run(source, codes=codes, count=75, dim=6)
    bits = codes > 0.5
    with np.errstate(invalid="ignore"):
        expected = np.corrcoef(bits, rowvar=False)
    np.testing.assert_allclose(np.array(found["matrix"], float).reshape(6, 6), expected, atol=1e-6)

    def entropy(p: Any) -> Any:
        p = np.clip(p, 1e-12, 1 - 1e-12)
        return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))

    q, share = codes.astype(float), bits.mean(0)
    information = entropy(q.mean(0)) - entropy(q).mean(0)
    columns = [q.mean(0), share, entropy(share), information, (share > 0) & (share < 1)]
    np.testing.assert_allclose(np.array(found["mean"]), np.stack(columns, 1), atol=1e-6)


def test_only_a_text_of_as_many_bits_names_a_code(engine):
    source = f"{NUMBERS} return [['x5', 4], ['x50', 4], ['0.5,1,0,1', 4], [null, 4], ['1,0,1', 3], ['xzz', 8]]"
    found = engine.run(f"{source}.map(([text, dim]) => {{ const z = codeOfText(text, dim); return z && [...z]; }});")
    assert found == [[0, 1, 0, 1], None, None, None, [1, 0, 1], None]


@torch.no_grad()
def test_what_a_bit_does_is_the_mean_over_rows(engine):
    model, rows = golden("bernoulli-vae")
    q = model.encode(rows)
    on, off = (q > 0.5).float(), (q > 0.5).float()
    on[:, 1], off[:, 1] = 1, 0
    source = f"{NUMBERS} return meaningOf({{ ...given, rows: 8, bit: 1, givenOf: () => null }});"
    found = engine.run(source, model, rows, codes=q, units=torch.ones(rows.shape[1]))
    expected = (model.decode(on) - model.decode(off)).mean(0)
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-4, rtol=1e-3)


def conditional(model: LatentVariableModel, x: Tensor | None, z: Tensor, place: int) -> float:
    """Return p(bit = 1 | all other bits, x), from the joint probabilities of both values; without x from p(z)."""
    both = z.repeat(2, 1)
    both[:, place] = torch.tensor([0.0, 1.0])
    joint = model.prior().log_prob(both) if x is None else log_joint(model, x, both)
    return float(joint.softmax(0)[1])


@pytest.mark.parametrize("observed", [True, False], ids=["x observed", "x not observed"])
@pytest.mark.parametrize("layer", [0, 1])
@torch.no_grad()
def test_a_bit_given_all_others_has_the_enumerated_probability(engine, layer, observed):
    model, rows = golden("sbn")
    x = rows[0] if observed else None
    start, size = (0, 3) if layer == 0 else (3, 2)
    source = (
        f"{NET} return [...siteLogits(net, {layer}, [given.z.slice(0, 3), given.z.slice(3)], given.x, null)].at(-1);"
    )
    for z in codes_of(model)[::5]:
        logits = torch.tensor(engine.run(source, model, rows, z=z, x=x))
        expected = torch.tensor([conditional(model, x, z, start + place) for place in range(size)])
        torch.testing.assert_close(logits.sigmoid(), expected, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("layer", [0, 1])
@torch.no_grad()
def test_a_gibbs_sweep_draws_each_bit_from_its_conditional(engine, layer):
    """The random numbers are handed to the page and the draws compared one by one, so there is no false alarm."""
    model, rows = golden("sbn")
    start, size = (0, 3) if layer == 0 else (3, 2)
    uniforms = np.random.default_rng(layer).random((40, size))
    source = f"""{NET} let place = 0; const rng = {{ uniform: () => given.uniforms[place++], fork: () => rng }};
    let layers = [given.z.slice(0, 3), given.z.slice(3)]; const found = [];
    for (let sweep = 0; sweep < 40; sweep += 1) {{
      layers[{layer}] = gibbsSweep(net, {layer}, layers, given.x, null, rng);
      found.push([...layers[{layer}]]);
    }}
    return found;"""
    z = torch.zeros(5)
    found = engine.run(source, model, rows, z=z, x=rows[0], uniforms=torch.tensor(uniforms))
    drawn = []
    for sweep in uniforms:
        for place, uniform in enumerate(sweep):
            p = conditional(model, rows[0], z, start + place)
            # the engine draws whether a bit flips, so the number is compared with the probability of a flip
            flip = 1 - p if z[start + place] == 1 else p
            z[start + place] = 1 - z[start + place] if uniform < flip else z[start + place]
        drawn.append(z[start : start + size].tolist())
    assert found == drawn
    assert len({tuple(row) for row in drawn}) > 2  # the sweeps move


@torch.no_grad()
def test_the_field_of_a_unit_is_its_weights_and_its_effect_is_the_expectation(engine):
    model, rows = golden("sbn")
    J, _ = linear_weights(model.likelihood.conditional)
    found = engine.run(f"{NET} return weightsOf(net);", model, rows)
    torch.testing.assert_close(torch.tensor(found).reshape(3, 6), J.T, atol=2e-3, rtol=1e-3)
    source = f"""{NET} const {{ code, draws, l, unit, units, rng }} = {{ ...given, rng: engine.random(1) }};
    return effectOf({{ net, l, unit, codes: [code], givens: [null], low: 0, high: 1, draws, rng, units }});"""
    codes, ends = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3))), torch.tensor([[1.0, 0], [1, 1]])
    first = model.decode(torch.tensor([[1.0, 0, 1, 0, 0], [1, 1, 1, 0, 0]]))
    found = engine.run(source, model, rows, code=torch.tensor([1.0, 0, 1]), draws=1, l=0, unit=1, units=torch.ones(6))
    torch.testing.assert_close(torch.tensor(found), first[1] - first[0], atol=1e-3, rtol=1e-3)
    means = model.decode(torch.cat([codes, torch.zeros(8, 2)], 1))
    p = model.prior.conditionals[0](ends).logits  # (2, 3)
    weights = torch.distributions.Bernoulli(logits=p[:, None]).log_prob(codes).sum(-1).exp()  # (2, 8)
    second = weights @ means
    found = engine.run(source, model, rows, code=torch.tensor([1.0, 0]), draws=4000, l=1, unit=1, units=torch.ones(6))
    # the draws of both ends share their numbers; 5 / (2 sqrt(4000)) is over 5 standard errors: a false alarm in 10^6
    torch.testing.assert_close(torch.tensor(found), second[1] - second[0], atol=5 / (2 * 4000**0.5), rtol=0)


@pytest.mark.parametrize(("theme", "rules"), [("light", {}), ("dark", {"runOnly": ["color-contrast"]})])
def test_no_part_has_a_serious_barrier(tab, pages, theme, rules):
    tab.goto(f"{pages('sbn')}#theme={theme}")
    for view, part in [("bits", "path"), ("bits", "use"), ("layers", "fields"), ("layers", "films")]:
        tab.evaluate("hash => { location.hash = hash; }", f"theme={theme}&view={view}&{view}.part={part}")
        until(tab, "!document.querySelector('.part').textContent.includes('being computed')")
        assert [each["id"] for each in barriers(tab, **rules)] == [], (view, part)


@pytest.mark.parametrize("kind", LAYERS)
def test_every_part_of_the_views_shows_every_kind_of_model(tab, pages, kind):
    views = {"bits": ("code", "path", "use"), "layers": ("climb", "fields", "films")}
    if RUNS[kind][0] == "deep-gaussian-vae":
        tab.goto(f"{pages(kind)}#view=bits")
        assert tab.get_attribute("#tab-bits", "aria-disabled") == "true"
        del views["bits"]
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(pages(kind))
    for view, parts in views.items():
        for part in parts:
            tab.evaluate("hash => { location.hash = hash; }", f"view={view}&{view}.part={part}")
            tab.wait_for_selector(f".view-{view} .part :is(canvas, .columns, .changes, .switch)")
            until(tab, "!document.querySelector('.part').textContent.includes('being computed')")
            tab.wait_for_timeout(30)
            text = tab.inner_text(f".view-{view}")
            assert not re.search(r"NaN|undefined|null|Infinity|\[object", text), text
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), (view, part)


def until(tab: Any, condition: str) -> None:
    """Wait until a condition holds; the security policy of the page forbids playwright's own way."""
    for _ in range(400):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(25)
    raise AssertionError(f"not within 10 seconds: {condition}")


def number_of(tab: Any, name: str) -> float:
    """Return the number that a view shows under a name."""
    text = tab.inner_text(f".numbers div:has(dt:text-is('{name}')) dd").replace("\u2212", "-")
    return float(re.match(r"-?[\d.]+", text)[0])


def pressed(tab: Any) -> list[int]:
    return tab.eval_on_selector_all(".switch", "all => all.map((one) => Number(one.ariaPressed === 'true'))")


@torch.no_grad()
def test_a_bit_flips_by_keyboard_and_the_address_keeps_it(tab, pages):
    model, rows = golden("sbn")
    code = (model.encode(rows)[2] > 0.5).int().tolist()
    tab.goto(f"{pages('sbn')}#view=bits&bits.row=2&bits.bit=0")
    assert pressed(tab) == code
    assert number_of(tab, "log p(x, z)") == pytest.approx(
        float(log_joint(model, rows[2], torch.tensor([code], dtype=torch.float32))), abs=0.06
    )
    tab.focus(".switch[tabindex='0']")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Space")
    code[1] = 1 - code[1]
    assert pressed(tab) == code
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == "layer 1 bit 1, flipped"
    joint = float(log_joint(model, rows[2], torch.tensor([code], dtype=torch.float32)))
    assert number_of(tab, "log p(x, z)") == pytest.approx(joint, abs=0.06)
    assert "layer 1 bit 1 is now" in tab.inner_text(".spoken")
    until(tab, "location.hash.includes('bits.code=')")
    address = tab.url
    tab.goto("about:blank")
    tab.goto(address)
    assert pressed(tab) == code
    tab.click("text=Code of the row")
    assert pressed(tab) == (model.encode(rows)[2] > 0.5).int().tolist()


@torch.no_grad()
def test_the_path_between_two_rows_ends_at_their_codes(tab, pages):
    model, rows = golden("sbn")
    bits = (model.encode(rows) > 0.5).int()
    far = int((bits != bits[0]).sum(1).argmax())
    distance = int((bits[far] != bits[0]).sum())
    assert distance > 0
    for step, row in ((0, 0), (distance, far)):
        tab.goto("about:blank")
        tab.goto(f"{pages('sbn')}#view=bits&bits.part=path&bits.a=0&bits.b={far}&bits.step={step}")
        tab.wait_for_selector(f"text=differ in {distance} of 5 bits, so the path has {distance}")
        assert tab.inner_text(".stepper output") == f"{step} of {distance}"
        for name, end in (("log p(row A, z)", 0), ("log p(row B, z)", far)):
            expected = float(log_joint(model, rows[end], bits[row][None].float()))
            assert number_of(tab, name) == pytest.approx(expected, abs=0.06)


def test_the_layers_of_the_address_are_shown_and_drawn_again_by_keyboard(tab, pages):
    model, rows = golden("sbn")
    tab.goto(f"{pages('sbn')}#view=layers&layers.row=1&layers.y1=xa&layers.y2=x4")
    z = torch.tensor([[1.0, 0, 1, 0, 1]])
    assert number_of(tab, "log p(x, y₁, y₂)") == pytest.approx(float(log_joint(model, rows[1], z)), abs=0.06)
    tab.check("text=x is not observed")
    with torch.no_grad():
        assert number_of(tab, "log p(y₁, y₂)") == pytest.approx(float(model.prior().log_prob(z)), abs=0.06)
    tab.focus("button[aria-label='Layer 2: draw from p(y₂)']")
    tab.keyboard.press("Enter")
    assert "Layer 2 is drawn from p(y₂)" in tab.inner_text(".spoken")
    until(tab, "location.hash.includes('layers.draw=1')")


def test_of_very_many_columns_those_that_change_most_are_shown(tab, tmp_path):
    rows = np.random.default_rng(0).integers(0, 2, (30, 130)).astype(np.uint8)
    data = vaelab.Dataset.from_arrays(rows, columns=[f"c{place}" for place in range(130)], name="wide")
    model = vaelab.bernoulli_vae(data, latent_dim=3, hidden_dims=[4], seed=0).eval()
    tab.goto(f"{write_explorer(tmp_path / 'wide.html', [Subject('wide', model, data)]).as_uri()}#view=bits&bits.row=1")
    tab.click(".switch >> nth=2")
    assert "100 of 130 columns" in tab.inner_text(".split")
    z = (model.encode(data.test.batch(2))[1] > 0.5).float()
    other = z.clone()
    other[2] = 1 - z[2]
    with torch.no_grad():
        before, after = model.decode(torch.stack([z, other]))
    most = (
        (after - before).abs().argsort(descending=True)[:95]
    )  # the page's weights are rounded: near the limit, others
    names = tab.eval_on_selector_all(".columns th[scope=row]", "all => all.map(one => one.textContent)")
    assert len(names) == 100
    assert {f"c{place}" for place in most.tolist()} <= set(names)

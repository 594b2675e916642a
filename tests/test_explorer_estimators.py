"""The estimators of the explorer: in a real browser they are those of vaelab, and the view shows what they draw."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from playwright.sync_api import expect
from torch import Tensor, nn

import vaelab
from tests.engine_page import EnginePage
from tests.golden.make import HERE, data_of
from vaelab.distributions import Bernoulli
from vaelab.estimators import ESTIMATORS, Concrete, Estimator, Exact, Expectation, Rebar, ScoreFunction
from vaelab.explorer import Subject, write_explorer
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO, IWAE, Objective

STROKES = ("000111000", "010010010", "100010001")
IMAGE = "011010110"
LOGITS = (0.8, -0.4, -0.9)
CONTRAST, EXTRA, BASELINE, TEMPERATURE, K = 1.5, 10, -9.0, 0.6, 4
MEMORIES = {  # what a running average has seen; the constant baseline is one that has seen this number alone
    "running-average": {"total": -5.4, "weight": 0.6},
    "constant": {"total": BASELINE, "weight": 1.0},
}
OBJECTIVES: dict[str, Objective] = {"elbo": ELBO(), "iwae": IWAE()}
BIASED = {"concrete", "straight-through", "half", "gumbel-straight-through"}
DRAWS = 20_000
SETUP = """
const { ESTIMATORS, sampler, toyModel, exact, random } = engine;
const model = toyModel(given.toy);
const settings = given.settings;
const estimator = ESTIMATORS.find(({ name }) => name === given.name);
"""


class Posterior(nn.Module):
    """q(z|x) with logits of its own for each row, so that each row has a gradient of its own."""

    code = "bits"

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(LOGITS, dtype=torch.float64).repeat(rows, 1))

    def forward(self, x: Tensor) -> Bernoulli:
        return Bernoulli(logits=self.logits)


class Uniform(nn.Module):
    """p(z): every code has the same probability."""

    def forward(self) -> Bernoulli:
        return Bernoulli(logits=torch.zeros(len(LOGITS), dtype=torch.float64))


class Strokes(nn.Module):
    """p(x|z) of the page: a logit of each pixel from the strokes on it, and pixels that no bit changes."""

    def __init__(self) -> None:
        super().__init__()
        strokes = torch.tensor([[float(on) for on in stroke] for stroke in STROKES], dtype=torch.float64)
        self.register_buffer("weight", torch.cat([2 * CONTRAST * strokes.T, torch.zeros(EXTRA, len(LOGITS))]))
        self.register_buffer("bias", torch.cat([-CONTRAST * torch.ones(9), torch.zeros(EXTRA)]).double())

    def forward(self, z: Tensor) -> Bernoulli:
        return Bernoulli(logits=z @ self.weight.T + self.bias)


def toy(rows: int) -> tuple[LatentVariableModel, Tensor]:
    """Return the model of the page in Python, and its observation so many times."""
    model = LatentVariableModel(Uniform(), Strokes(), Posterior(rows)).double()
    x = torch.tensor([float(pixel) for pixel in IMAGE] + [0.0] * EXTRA, dtype=torch.float64)
    return model, x.repeat(rows, 1)


def estimator_of(name: str, model: LatentVariableModel) -> Estimator:
    """Return vaelab's estimator of a row of the page, in evaluation mode: nothing is learned."""
    kind, _, baseline = name.partition(", ")
    if kind == "score-function":
        chosen = ScoreFunction(model, K, "running-average" if baseline == "constant" else baseline)
        if baseline in MEMORIES:
            average = chosen.baselines[0].average
            average.total.fill_(MEMORIES[baseline]["total"])
            average.weight.fill_(MEMORIES[baseline]["weight"])
        return chosen.eval()
    if kind == "rebar":
        rebar = Rebar(model, K, TEMPERATURE)
        nn.init.zeros_(rebar.baseline[2].weight)  # its baseline network, which the page does not have
        nn.init.zeros_(rebar.baseline[2].bias)
        nn.init.constant_(rebar.log_temperature, math.log(TEMPERATURE))  # in double precision
        return rebar.eval()
    if kind == "concrete":
        return Concrete(model, K, TEMPERATURE, prior_temperature=TEMPERATURE).eval()
    if kind == "gumbel-straight-through":
        return ESTIMATORS[kind](model, K, temperature=TEMPERATURE).eval()
    return ESTIMATORS[kind](model, K).eval()


def gradients(model: LatentVariableModel, surrogate: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(surrogate.sum(), model.posterior.logits)
    return found


def of_page(name: str, objective: str) -> dict[str, Any]:
    """Return the model and the settings for the engine."""
    model = {
        "weights": [2 * CONTRAST * float(stroke[pixel]) for pixel in range(9) for stroke in STROKES],
        "bias": [-CONTRAST] * 9,
        "x": [float(pixel) for pixel in IMAGE],
        "logits": list(LOGITS),
        "constant": -EXTRA * math.log(2),
    }
    settings = {"objective": objective, "samples": K, "baseline": BASELINE, "temperature": TEMPERATURE}
    return {"toy": model, "settings": settings, "name": name}


ROWS = [
    (name, objective)
    for objective, names in {
        "elbo": ("arm", "bitflip", "rebar", "straight-through", "half", "gumbel-straight-through"),
        "iwae": (),
    }.items()
    for name in (
        *(f"score-function, {baseline}" for baseline in ("none", "constant", "running-average", "leave-one-out")),
        *("disarm", "concrete", *names),
    )
]


@pytest.fixture(scope="module")
def engine(browser):
    page = EnginePage(browser)
    yield page
    page.close()


def test_the_page_has_these_estimators_and_costs(engine):
    listed = engine.run(
        "return engine.ESTIMATORS.map(({ name, objectives, decodes, biased }) =>"
        " [name, objectives.map((objective) => [objective, decodes(4, objective)]), Boolean(biased)])"
    )
    assert {(name, objective) for name, objectives, _ in listed for objective, _ in objectives} == set(ROWS)
    model, _ = toy(1)
    for name, objectives, biased in listed:
        estimator = estimator_of(name, model)
        assert biased == bool(estimator.biased)
        costs = {objective: estimator.decoder_evaluations(OBJECTIVES[objective]) for objective, _ in objectives}
        assert dict(map(tuple, objectives)) == costs, name


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_exact_gradient_is_that_of_vaelab(engine, objective):
    model, x = toy(1)
    estimate = Exact(model, K)(model, OBJECTIVES[objective], x)
    found = engine.run(SETUP + "return exact(model, settings.objective, settings.samples)", **of_page("arm", objective))
    assert found["bound"] == pytest.approx(float(estimate.bound), rel=1e-10)
    assert found["gradient"] == pytest.approx(gradients(model, estimate.surrogate)[0].tolist(), rel=1e-9)


def expectation_of(model: LatentVariableModel, objective: str, x: Tensor) -> Expectation:
    return Expectation(model, OBJECTIVES[objective], x, model.posterior(x))


@pytest.mark.parametrize(("name", "objective"), ROWS)
def test_an_estimate_from_the_same_noise_is_that_of_vaelab(engine, name, objective):
    """Python draws for 50 estimates, and the page computes each from what was drawn: equal to rounding."""
    model, x = toy(50)
    estimator, expectation = estimator_of(name, model), expectation_of(model, objective, x)
    drawn = estimator.draw(expectation)
    found = engine.run(
        SETUP + "return given.drawn.map((drawn) =>"
        " [...estimator.gradient(model, Float64Array.from(drawn), settings, { ...given.memory })])",
        drawn=drawn.transpose(0, 1).flatten(1).tolist(),
        memory=MEMORIES["running-average"],
        **of_page(name, objective),
    )
    wanted = gradients(model, estimator.score(expectation, drawn).surrogate)
    torch.testing.assert_close(torch.tensor(found, dtype=torch.float64), wanted, rtol=1e-9, atol=1e-9)


def moments(values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the mean, its standard error, the variance and its standard error, of each column."""
    centred = values - values.mean(0)
    variance, fourth = centred.square().mean(0), centred.pow(4).mean(0)
    count = len(values)
    return values.mean(0), (variance / count).sqrt(), variance, ((fourth - variance.square()) / count).sqrt()


def test_a_tally_has_the_moments_of_the_numbers(engine):
    values = torch.tensor([3.0, -1.0, 0.5, 8.0, 2.0, 2.0], dtype=torch.float64)
    mean, _, variance, spread = (float(moment) for moment in moments(values.unsqueeze(1)))
    found = engine.run(
        "const tally = engine.openTally(); given.values.forEach(tally.add);"
        " return [tally.count, tally.mean, tally.variance, tally.varianceError]",
        values=values.tolist(),
    )
    assert found == pytest.approx([6, mean, variance * 6 / 5, spread / variance])


def test_what_the_page_draws_has_the_mean_and_the_variance_of_vaelab(engine):
    """z-scores of the page's own draws: means of unbiased estimators against the exact gradient; variances, and means
    of biased estimators, against Python's draws. By chance one of 108 lies above 4.7 in one of 3500 runs.
    """
    scores = []
    for name, objective in ROWS:
        found = engine.run(
            SETUP
            + """
            const next = sampler(estimator, model, settings, random(1).fork(given.name));
            const tallies = [0, 1, 2].map(() => engine.openTally());
            for (let drawn = 0; drawn < given.count; drawn += 1) {
              next().forEach((value, bit) => tallies[bit].add(value));
            }
            return tallies.map((each) => [each.mean, each.error, each.variance, each.variance * each.varianceError]);
            """,
            count=DRAWS,
            **of_page(name, objective),
        )
        mean, error, variance, spread = torch.tensor(found, dtype=torch.float64).T
        python = moments(python_draws(name, objective))
        if name in BIASED:
            scores += ((mean - python[0]) / (error**2 + python[1] ** 2).sqrt()).tolist()
        else:
            scores += ((mean - exact_gradient(objective)) / error).tolist()
        scores += ((variance - python[2]) / (spread**2 + python[3] ** 2).sqrt()).tolist()
    assert len(scores) == 6 * len(ROWS) == 108
    assert max(map(abs, scores)) < 4.7


def exact_gradient(objective: str) -> Tensor:
    model, x = toy(1)
    return gradients(model, Exact(model, K)(model, OBJECTIVES[objective], x).surrogate)[0]


def python_draws(name: str, objective: str) -> Tensor:
    """Return estimates of vaelab, (draws, D), with gradients of their own for each row of one batch."""
    if name.endswith("running-average"):  # sees one estimate after the other, as on the page
        model, x = toy(1)
        estimator = estimator_of(name, model).train()
        return torch.cat([drawn_once(estimator, objective, model, x) for _ in range(1000)])
    model, x = toy(DRAWS)
    return drawn_once(estimator_of(name, model), objective, model, x)


def drawn_once(estimator: Estimator, objective: str, model: LatentVariableModel, x: Tensor) -> Tensor:
    expectation = expectation_of(model, objective, x)
    return gradients(model, estimator.score(expectation, estimator.draw(expectation)).surrogate)


# ---------------------------------------------------------------- the view


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    model, data = vaelab.load(HERE / "bernoulli-vae" / "saved"), data_of("bernoulli-vae")
    return write_explorer(tmp_path_factory.mktemp("page") / "page.html", [Subject("bits", model, data)])


@pytest.fixture
def opened(browser, page_file):
    """Return a function that opens the view with some state; what the console says is an error."""
    pages, said = [], []

    def open_view(state: str = "", **options: Any) -> Any:
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{page_file.as_uri()}#view=estimators{state}")
        return page

    yield open_view
    for page in pages:
        page.close()
    assert said == []


def count_of(page: Any) -> int:
    return int(page.locator(".drawn .count").inner_text().split()[0].replace(",", ""))


def numbers_of(page: Any) -> list[str]:
    return page.locator(".estimates tbody .value").all_inner_texts()


def test_the_estimates_grow_until_they_are_paused_and_one_more_is_one_more(opened):
    page = opened()
    expect(page.locator(".drawn .count")).to_have_text(re.compile(r"^\d\d"))
    page.get_by_role("button", name="Pause").click()
    drawn = count_of(page)
    page.wait_for_timeout(150)
    assert count_of(page) == drawn
    page.get_by_role("button", name="One more").click()
    assert count_of(page) == drawn + 1
    assert page.get_by_role("button", name="Run").is_visible()


def test_without_motion_nothing_moves_and_a_link_gives_the_same_numbers(opened):
    still = {"reduced_motion": "reduce"}
    first = opened("&estimators.k=8&estimators.seed=3&estimators.temperature=0.3", **still)
    shown = numbers_of(first)
    assert count_of(first) == 1000
    first.wait_for_timeout(150)
    assert numbers_of(first) == shown
    assert numbers_of(opened("&estimators.k=8&estimators.seed=3&estimators.temperature=0.3", **still)) == shown
    assert numbers_of(opened("&estimators.k=8&estimators.seed=4&estimators.temperature=0.3", **still)) != shown


def test_settings_change_the_picture_and_keep_the_exact_gradient_where_they_must(opened):
    page = opened(reduced_motion="reduce")
    exact = page.locator(".estimates thead .what").first
    before, shown, rows = exact.inner_text(), numbers_of(page), page.locator(".estimates tbody tr")
    assert rows.count() == 12
    page.get_by_label("Pixels that no bit changes").fill("60")
    assert exact.inner_text() == before  # a constant in log p(x|z) changes no gradient
    changed = numbers_of(page)
    assert changed[:4] != shown[:4]  # but the score function without a baseline scatters more
    assert changed[-4:] == shown[-4:]  # and the slopes of a biased estimator do not see it
    page.get_by_label("Zoom").fill("3")
    assert numbers_of(page) == changed
    page.get_by_role("button", name="pixel in row 2, column 1").press("Enter")
    assert exact.inner_text() != before
    page.get_by_label("Objective").select_option("iwae")
    assert rows.count() == 6
    page.get_by_role("button", name="Start values").click()
    assert (numbers_of(page), exact.inner_text()) == (shown, before)


def within(page: Any, element: Any, width: int) -> bool:
    """Wait until an element that opens is inside the window."""
    for _ in range(40):
        box = element.bounding_box()
        if box["x"] >= 0 and box["x"] + box["width"] <= width:
            return True
        page.wait_for_timeout(25)
    return False


def test_each_estimator_is_explained_with_its_formula_and_source(opened):
    page = opened(reduced_motion="reduce", viewport={"width": 390, "height": 844})
    for row in page.locator(".estimates tbody tr").all():
        row.locator(".explain summary").click()
        text = row.locator(".explanation")
        assert text.locator("math").count() == 1
        assert text.get_by_role("link").get_attribute("href").startswith("https://")
        assert within(page, text, 390)
        row.locator(".explain summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_model_of_real_codes_has_no_such_view(browser, tmp_path):
    model, data = vaelab.load(HERE / "gaussian-vae" / "saved"), data_of("gaussian-vae")
    page = browser.new_page()
    page.goto(write_explorer(tmp_path / "page.html", [Subject("real", model, data)]).as_uri())
    tab = page.get_by_role("tab", name="Estimators")
    assert tab.get_attribute("aria-disabled") == "true"
    assert "no bits" in page.content()
    page.close()

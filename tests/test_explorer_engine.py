"""The engine of the explorer: in a real browser it computes what torch computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import vaelab
from tests.engine_page import EnginePage
from tests.golden.make import HERE, RUNS, data_of
from vaelab.distributions import Multinomial
from vaelab.models import LatentVariableModel
from vaelab.objectives import ELBO, IWAE

K = 4  # codes of a bound
PARITY = """
const { model, x, y, z, codes, n, samples } = given;
const q = model.posterior(x, n, y);
const p = model.likelihood(model.best(q), n, y);
return {
  code: q.mean(),
  decoded: model.decode(model.best(q), n, y),
  mode: p.mode(),
  log_likelihood: p.logProb(x),
  log_prior: model.prior(n).logProb(z),
  ...(model.hasBound ? { log_posterior: q.logProb(z), ...model.bound(x, n, { samples, codes, given: y }) } : {}),
};
"""


@pytest.fixture(scope="module")
def engine(browser):
    page = EnginePage(browser)
    yield page
    page.close()


def expected(model: LatentVariableModel, rows: Tensor, z: Tensor, codes: Tensor) -> dict[str, Tensor]:
    """Return what torch computes for rows (n, X + Y), codes z (n, D) of the prior, and codes (K, n, D) of q."""
    _, y = model.split(rows)
    q = model.posterior(rows)
    code = q.mean
    best = (code > 0.5).to(code) if model.code == "bits" else code
    p = model.conditional(best, y)
    found = {
        "code": code,
        "decoded": p.mean,
        "mode": p.mode,
        "log_likelihood": model.log_likelihood(rows, best.unsqueeze(0))[0],
        "log_prior": model.prior().log_prob(z),
    }
    if model.code != "point":
        found["log_posterior"] = q.log_prob(z)
        for name, objective in (("elbo", ELBO()), ("iwae", IWAE())):
            found[name] = objective.bound(objective.terms(model, rows, q, codes))
    return found


def check(engine: EnginePage, model: LatentVariableModel, rows: Tensor) -> dict[str, float]:
    """Compare the engine with torch on some rows, and return the largest difference of each quantity."""
    model.eval()
    with torch.no_grad():
        rows = model.observations(rows)
        x, y = model.split(rows)
        z, q = model.prior().sample((len(x),)), model.posterior(rows)
        codes = q.sample((K,))
        torch_found = expected(model, rows, z, codes)
        p = model.conditional(z, y)
    given: dict[str, Any] = {"y": y if model.given else None, "z": z, "codes": codes, "n": len(x), "samples": K}
    found = engine.run(PARITY, model, rows, x=x, **given)
    counts = float(p.total) if isinstance(p, Multinomial) else 1.0  # a mean count is a probability times their number
    deviations = {}
    for name, values in torch_found.items():
        size = counts if name == "decoded" else 1 + values.abs().flatten() if "log" in name or "wae" in name else 1.0
        size = 1 + values.abs().flatten() if name in ("elbo", "decoded", "code") and model.code != "bits" else size
        deviations[name] = float(((torch.tensor(found[name]) - values.flatten()).abs() / size).max())
    assert max(deviations.values()) <= 1e-3, deviations
    return deviations


@pytest.mark.parametrize("kind", RUNS)
def test_it_agrees_with_torch_on_every_kind_of_model(engine, kind):
    check(engine, vaelab.load(HERE / kind / "saved"), data_of(kind).test.batch(8))

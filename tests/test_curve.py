"""Room: likelihood. The bounds of fewer codes from the same weights, and their limit as the number of codes grows."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom

from tests.laws import BITS, X, binary_data, build, observations_of
from vaelab.data import Dataset, Split
from vaelab.evaluation import EvaluationRecord, evaluate
from vaelab.likelihood import exact, importance_weighted, pareto_shape
from vaelab.likelihood.curve import SLOW, block_means, decades, limit_of, log_blocks
from vaelab.models import gaussian_vae
from vaelab.objectives import IWAE


def lognormal(spread, codes, rows, seed=0):
    """Log-weights whose weights have the mean 1, so that the limit is zero."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(codes, rows, generator=generator, dtype=torch.float64)
    return spread * noise - spread**2 / 2


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (10, (1, 10)),
        (11, (1, 10, 11)),
        (1000, (1, 10, 100, 1000)),
        (2500, (1, 10, 100, 1000, 2500)),
    ],
)
def test_the_curve_is_the_mean_over_disjoint_blocks_of_codes(samples, expected):
    log_weights = 300 * torch.randn(samples, 3, dtype=torch.float64)  # most vanish beside the largest
    assert decades(samples) == expected
    blocks = [log_weights[: samples // size * size].split(size) for size in expected]
    means = [torch.stack([IWAE()(block) for block in each]).mean(0) for each in blocks]
    assert torch.allclose(block_means(log_weights), torch.stack(means), atol=1e-10)


def test_each_point_of_the_curve_has_the_expectation_of_its_bound():
    """Weights with two values, so that the expectation is a sum; 4000 rows, within 5 standard errors."""
    share, logs = 0.1, torch.tensor([0.0, 3.0], dtype=torch.float64)
    drawn = logs[(torch.rand(100, 4000) < share).long()]
    for size, values in zip(decades(100), block_means(drawn), strict=True):
        count = np.arange(size + 1)
        expected = binom.pmf(count, size, share) @ np.log((size - count + math.exp(3) * count) / size)
        assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / math.sqrt(4000)


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("samples", [64, 1000])
def test_the_limit_is_the_log_of_the_mean_weight_within_its_error(spread, samples):
    """Weights with a variance: over 20 repetitions the distance is a standard error, and a fraction of the gap."""
    found = [limit_of(log_blocks(lognormal(spread, samples, 200, seed))) for seed in range(20)]
    z = torch.tensor([limit.value / limit.standard_error for limit in found])
    assert z.square().mean().sqrt() < 1.3
    assert z.abs().max() < 4
    gap = -float(block_means(lognormal(spread, samples, 200))[-1].mean())
    if gap > 0.01:
        assert abs(sum(limit.value for limit in found) / 20) < gap / 2


def test_the_gap_of_weights_with_a_variance_falls_as_one_over_k_and_of_others_slower():
    """The gap of a Pareto tail of shape s above 1/2 falls as K^(1 - 1/s); the exponents are known to about 0.05."""
    assert limit_of(log_blocks(lognormal(0.5, 256, 4000))).exponent > 0.9
    for shape in (0.6, 0.7, 0.8):
        weights = torch.rand(256, 8000, generator=torch.Generator().manual_seed(1)).double().pow(-shape)
        found = limit_of(log_blocks(weights.log()))
        assert abs(found.exponent - (1 / shape - 1)) < 0.15
        assert abs(found.value + math.log(1 - shape)) < 2 * found.standard_error  # the mean weight is 1 / (1 - s)


def test_equal_weights_have_their_value_as_limit_and_a_rising_curve_has_none():
    flat = limit_of(log_blocks(torch.full((64, 5), -3.0).double()))
    assert (flat.value, flat.standard_error, flat.exponent) == (pytest.approx(-3), 0, 1)
    tail = torch.zeros(32, 400).double()
    tail[torch.arange(400) % 32, torch.arange(400)] = 60.0  # one weight of all, so that each doubling adds the same
    assert limit_of(tail) is None
    assert limit_of(torch.full((32, 5), -math.inf).double()) is None


def test_a_weight_counts_rows():
    blocks, weights = log_blocks(lognormal(1.0, 640, 6)), torch.tensor([1.0, 3.0, 0.0, 2.0, 1.0, 1.0])
    repeated = limit_of(blocks.repeat_interleave(weights.long(), 1))
    assert limit_of(blocks, weights).value == pytest.approx(repeated.value)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("name", BITS)
def test_the_limit_of_a_model_of_bits_is_its_exact_density(name, missing):
    model, x = build(name), observations_of(200)
    if missing:
        model.allow_missing()
        x = torch.where(torch.rand(x.shape) < 0.3, torch.nan, x)
    estimate, truth = importance_weighted(model, x, 640), exact(model, x).mean
    limit, error = estimate.details["limit"], estimate.details["limit_standard_error"]
    assert abs(limit - truth) < 4 * error
    assert error < 0.05
    assert [point["samples"] for point in estimate.details["curve"]] == [1, 10, 100, 640]
    assert estimate.details["curve"][-1]["value"] == pytest.approx(estimate.mean)
    assert estimate.details["curve"][-1]["standard_error"] == pytest.approx(estimate.standard_error)


def test_codes_of_bits_that_are_drawn_repeatedly_make_no_heavy_tail():
    """The largest weight a hundred times, the next one everywhere: nothing but these two can be drawn."""
    log_weights = torch.zeros(4000, 1).double()
    log_weights[::40] = 1.0
    assert pareto_shape(log_weights).item() < 0.5


def test_a_curve_that_is_too_slow_is_marked_and_names_what_to_use_instead():
    model, x = gaussian_vae(X, 2, [], seed=0), torch.ones(20, X)
    with torch.no_grad():
        model.posterior.network.layers[0].bias[2:] = -2.0  # a posterior that is too narrow
    data = Dataset("ones", {"test": Split(x.to(torch.uint8).numpy())}, "binary", 1)
    result = evaluate(model, data, bounds=("iwae",), samples=1000)
    assert result["iwae"].heavy_tailed > 0.1 or result["iwae"].exponent < SLOW
    assert "iwae-1000: do not quote it: " in result.advice()[0]
    assert result.advice()[0].endswith("Quote quadrature, which is log p(x) itself.")


def test_an_evaluation_keeps_and_prints_the_curve():
    record = evaluate(gaussian_vae(X, 2, [4], seed=0), binary_data(), samples=100)["iwae"]
    assert [point.samples for point in record.curve] == [1, 10, 100]
    assert EvaluationRecord.model_validate_json(record.model_dump_json()) == record
    assert EvaluationRecord.model_validate(record.to_dict()) == record
    words = " ".join(record.remarks())
    assert f"with fewer codes: {record.curve[0].value:.2f} (1), {record.curve[1].value:.2f} (10)" in words
    assert f"as K grows, to {record.limit:.2f} ± {record.limit_standard_error:.2f}, extrapolated" in words
    assert evaluate(gaussian_vae(X, 2, [4], seed=0), binary_data(), samples=1)["iwae"].remarks() == []


def test_many_codes_take_no_more_memory_than_a_chunk_of_them():
    """6000 codes of 20 rows, decoded in 24 chunks of 16 MB: what is kept is 4 MB."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        pytest.skip("the peak of the memory is read from /proc")

    def peak():
        return int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1]) / 1000

    model, x = gaussian_vae(784, 1, [], seed=0), torch.ones(20, 784)
    importance_weighted(model, x, 600)
    clear.write_text("5")  # the peak starts anew
    before = peak()
    importance_weighted(model, x, 6000)
    assert peak() - before < 60

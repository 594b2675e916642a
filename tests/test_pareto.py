"""Room: likelihood. The shape of the tail of importance weights."""

import pytest
import torch
from scipy.stats import genpareto

import vaelab
from vaelab.likelihood import importance_weighted, pareto_shape


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2, 0.5, 0.7, 1.0])
def test_it_finds_the_shape_of_pareto_weights(shape):
    """The mean over 200 samples of 5000 weights; its standard error is below 0.01, its bias below 0.05."""
    weights = genpareto.rvs(shape, size=(5000, 200), random_state=1)
    assert abs(float(pareto_shape(torch.from_numpy(weights).log()).mean()) - shape) < 0.06


def test_weights_of_a_wide_proposal_have_no_heavy_tail_and_of_a_narrow_one_do():
    """p = N(0, 1): for a proposal of standard deviation s the shape is 1 - s^2 where s < 1."""
    torch.manual_seed(0)
    shapes = {}
    for scale in (0.5, 2.0):
        z = scale * torch.randn(20_000, 50, dtype=torch.float64)
        shapes[scale] = float(pareto_shape(-0.5 * z**2 + 0.5 * (z / scale) ** 2).mean())
    assert shapes[2.0] < 0
    assert 0.6 < shapes[0.5] < 0.9  # 0.75 in the limit


def test_equal_few_and_impossible_weights():
    assert torch.equal(pareto_shape(torch.zeros(100, 2)), torch.zeros(2).double())
    assert pareto_shape(torch.zeros(24, 2)).isnan().all()
    assert pareto_shape(torch.randn(25, 2)).isfinite().all()


def test_an_estimate_of_a_bad_proposal_is_marked():
    model = vaelab.gaussian_vae(6, latent_dim=2, hidden_dims=[], seed=0)
    with torch.no_grad():
        model.posterior.network.layers[0].bias[2:] = -3.0  # far too narrow
    x = torch.ones(20, 6)
    bad = importance_weighted(model, x, 200)
    assert bad.details["heavy_tailed"] > 0.5
    with torch.no_grad():
        model.posterior.network.layers[0].weight.zero_()
        model.posterior.network.layers[0].bias.zero_()  # the prior, and a likelihood that changes little
    good = importance_weighted(model, x, 200)
    assert good.details["heavy_tailed"] < 0.1

"""Logistic PCA: the Gaussian VAE with a linear decoder, and a density that quadrature gives."""

import math

import numpy as np
import pytest
import torch

import vaelab
from tests.laws import binary_data
from vaelab.distributions import all_codes
from vaelab.errors import InputError
from vaelab.likelihood import quadrature
from vaelab.sklearn import LogisticPCA


def small(seed=0, **options):
    return vaelab.logistic_pca(binary_data(dim=6), latent_dim=2, encoder_dims=[4], seed=seed, **options)


def test_it_is_the_gaussian_vae_without_hidden_layers():
    data = binary_data(dim=6)
    one, other = vaelab.logistic_pca(data, 2, encoder_dims=(), seed=3), vaelab.gaussian_vae(data, 2, (), seed=3)
    assert {name: value.tolist() for name, value in one.state_dict().items()} == {
        name: value.tolist() for name, value in other.state_dict().items()
    }
    found = [vaelab.fit(model, data, steps=15, seed=1).history for model in (one, other)]
    numbers = [[row["val/elbo"] for row in history if "val/elbo" in row] for history in found]
    assert numbers[0] == numbers[1]
    x, z = data.test.batch(5), torch.randn(3, 5, 2)
    assert torch.equal(one.log_joint(x, z), other.log_joint(x, z))


def test_its_density_is_the_integral_of_logistic_regressions():
    model = small().double()
    layer = model.likelihood.network.layers[-1]
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = torch.cartesian_prod(*[torch.from_numpy(nodes)] * 2)  # (1600, 2)
    w = torch.cartesian_prod(*[torch.from_numpy(weights / math.sqrt(2 * math.pi))] * 2).prod(-1)
    x = all_codes(6, torch.zeros(()).double())  # (64, 6)
    one = torch.sigmoid(z @ layer.weight.T + layer.bias)  # (1600, 6)
    p = w @ torch.where(x.unsqueeze(1) > 0.5, one, 1 - one).prod(-1).T
    assert float(p.sum().detach()) == pytest.approx(1, abs=1e-12)
    assert torch.allclose(quadrature(model, x).values, p.log().detach(), rtol=0, atol=1e-9)


def test_the_logits_of_all_codes_lie_in_a_space_of_as_many_dimensions():
    p = small().likelihood(torch.randn(50, 2))
    assert int(torch.linalg.matrix_rank(p.logits - p.logits.mean(0), atol=1e-4)) == 2


def test_missing_values_are_left_out_as_by_every_model():
    rows = np.where(np.random.default_rng(0).random((60, 6)) < 0.2, np.nan, binary_data(dim=6).train.x[:60])
    data = vaelab.Dataset.from_arrays(rows, values="bits")
    model = vaelab.logistic_pca(data, latent_dim=2, encoder_dims=[4], seed=0)
    assert model.may_be_missing
    assert torch.allclose(model.log_joint(rows * np.nan, torch.zeros(1, 60, 2)), model.prior().log_prob(torch.zeros(2)))


def test_columns_that_are_no_bits_are_refused():
    with pytest.raises(InputError, match=r"data: logistic-pca is for columns of bits; got columns of kind real; gauss"):
        vaelab.logistic_pca(vaelab.DataSpec((3,), kind="real"))
    with pytest.raises(InputError, match="bernoulli"):
        LogisticPCA().fit(np.random.default_rng(0).normal(size=(30, 4)))


def test_components_of_the_estimator_are_the_weights_of_the_decoder():
    x = binary_data(dim=6).train.x
    pca = LogisticPCA(latent_dim=2, encoder_dims=(4,), steps=4, random_state=0).fit(x)
    codes = pca.transform(x[:7])
    decoded = pca.inverse_transform(codes)
    bias = pca.model_.likelihood.network.layers[-1].bias.detach().numpy()
    assert np.allclose(1 / (1 + np.exp(-codes @ pca.components_ - bias)), decoded, atol=1e-6)

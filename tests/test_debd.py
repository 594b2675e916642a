"""benchmarks/debd.py: the machine of scikit-learn is the same one in vaelab, and results survive being kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.contenders.debd_results import Measured, Summary, committed, keep, renewed
from benchmarks.contenders.scikit_rbm import converted

from vaelab.data import Dataset


def test_the_converted_machine_has_the_energy_of_that_of_scikit_learn():
    """log p(x) of all 32 rows, against a sum over 5 columns and 3 hidden units."""
    rng = np.random.default_rng(0)
    data = Dataset.from_arrays(rng.integers(0, 2, (60, 5)))
    weights, visible, hidden = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3)
    x, h = (np.array(np.meshgrid(*[[0, 1]] * count)).reshape(count, -1).T for count in (5, 3))
    log_f = (x @ visible)[:, None] + h @ hidden + x @ weights @ h.T  # (32, 8)
    expected = np.log(np.exp(log_f).sum(1)) - np.log(np.exp(log_f).sum())
    machine = converted(data, weights, visible, hidden)
    score = machine.log_prob(torch.tensor(x, dtype=torch.float32)).detach().double()
    assert score.numpy() == pytest.approx(expected, abs=1e-5)


def measured(model, values, seconds):
    values = np.array(values)
    numbers = {"test": float(values.mean()), "standard_error": 0.1, "range_of_seeds": 0.0, "validation": -2.0}
    return Measured("nltcs", model, "deep", "exact", 1, **numbers, processor_seconds=seconds, values=values)


def test_results_that_are_kept_are_read_again_and_new_ones_replace_those_of_their_model(tmp_path):
    assert committed(tmp_path) == []
    first = [measured("vae", [-1.25, -3.75], 7.0), measured("rbm", [-1.5, -2.5], 2.0)]
    keep(Summary(first), [], tmp_path)
    old = {each.model: each for each in committed(tmp_path)}
    assert {name: (each.test, each.values.tolist()) for name, each in old.items()} == {
        "vae": (-2.5, [-1.25, -3.75]),
        "rbm": (-2.0, [-1.5, -2.5]),
    }
    assert (old["vae"].below_best, old["rbm"].below_best) == (0.5, 0.0)
    new = renewed(list(old.values()), [measured("vae", [-1.0, -2.0], None)])  # on another device
    keep(Summary(new), [], tmp_path)
    again = {each.model: each for each in committed(tmp_path)}
    assert (again["vae"].test, again["vae"].processor_seconds) == (-1.5, 7.0)
    assert again["rbm"].values.tolist() == [-1.5, -2.5]

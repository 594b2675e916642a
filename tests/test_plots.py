"""Figures: names of classes do not lie on each other."""

from __future__ import annotations

import numpy as np
import pytest

from vaelab.plots.codes import moved_apart


@pytest.mark.parametrize("count", [1, 2, 10, 60])
def test_names_at_one_point_are_moved_apart_and_far_ones_stay(count):
    places = np.concatenate([np.zeros((count, 2)), [[500.0, 0.0]]])
    moved = moved_apart(places, 14.0)
    distance = np.linalg.norm(moved[:, None] - moved, axis=-1) + 100 * np.eye(count + 1)
    assert distance.min() > 0.95 * 14
    assert np.linalg.norm(moved[-1] - places[-1]) < 0.1
    assert np.linalg.norm(moved[:count], axis=1).max() < 14 * np.sqrt(count)
    assert (moved == moved_apart(places, 14.0)).all()

"""What every test starts from: one thread, so that results are bitwise the same whatever runs beside it."""

import pytest
import torch

from vaelab.data import load_data

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mnist():
    return load_data("mnist")

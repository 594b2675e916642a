"""What every test starts from: one thread, so that results are bitwise the same whatever runs beside it."""

import os
import shutil
from dataclasses import replace

import pytest
import torch

from tests.tabs import reuse
from vaelab.data import Dataset, Split, load_data

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mnist():
    return load_data("mnist")


@pytest.fixture(scope="session")
def digits(mnist) -> Dataset:
    """MNIST with the first 300 images of each split, for tests that need real digits and not many."""

    def first(split: Split) -> Split:
        return replace(split, x=split.x[:300], labels=split.labels[:300])

    return replace(mnist, splits={name: first(split) for name, split in mnist.splits.items()})


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium. Without one these tests are skipped with a reason at home, and fail in CI."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        message = "no chromium on this machine (apt-get install chromium): no page was opened"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=flags)
        reuse(chromium)
        yield chromium
        chromium.close()

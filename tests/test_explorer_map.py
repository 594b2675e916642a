"""The map of codes, in a real browser: what is drawn, decoded and selected is what the codes and the model say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import vaelab
from tests.golden.make import HERE, RUNS, data_of
from vaelab.explorer import Subject, explorer_page
from vaelab.explorer.planes import planes

SIZE = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def show(browser, tmp_path_factory):
    """Open the map of a subject at an address; what the page reports as errors fails the test."""
    folder = tmp_path_factory.mktemp("pages")
    written, opened, errors = {}, [], []

    def open_map(subject, address="", name=None):
        key = name or subject.title
        if key not in written:
            written[key] = folder / f"{key}.html"
            written[key].write_text(explorer_page([subject]), encoding="utf-8")
        page = browser.new_page(viewport=SIZE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(f"{written[key].as_uri()}#view=map&{address}")
        opened.append(page)
        assert not errors
        return page

    yield open_map
    for page in opened:
        page.close()
    assert not errors


def golden(kind):
    return Subject(kind, vaelab.load(HERE / kind / "saved"), data_of(kind))


@pytest.mark.parametrize("kind", RUNS)
def test_every_kind_of_model_has_a_map(show, kind):
    page = show(golden(kind))
    assert page.locator(".map-canvas").count() == 2
    assert page.locator(".map-words li").count() > 0


def test_principal_axes_are_those_of_numpy():
    codes = torch.randn(50, 4, dtype=torch.float64) @ torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5]).double())
    (plane,) = planes(codes)
    centred = codes.numpy() - codes.numpy().mean(0)
    _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
    assert np.abs((plane.axes.numpy() * vectors).sum(1)) == pytest.approx(np.ones(4))
    assert plane.variances.numpy() == pytest.approx(singular**2 / 50)
    assert plane.total == pytest.approx(centred.var(0).sum())


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_equal_codes_have_axes_and_no_variance(rows):
    first, second = planes(torch.ones(rows, 5), (3, 2), torch.arange(rows) % 2)
    assert first.axes.numpy() @ first.axes.numpy().T == pytest.approx(np.eye(3))
    assert (first.variances == 0).all()
    assert second.axes.shape == (2, 2)
    if rows == 5:
        assert first.neighbours.share == pytest.approx(first.neighbours.chance)  # all others are equally near


def test_shares_of_classes_are_those_of_the_nearest_codes():
    codes, labels = torch.randn(60, 3), torch.randint(0, 3, (60,))
    (plane,) = planes(codes, labels=labels)
    near = NearestNeighbors(n_neighbors=6).fit(codes.numpy()).kneighbors(return_distance=False)[:, :5]
    assert plane.neighbours.share == pytest.approx((labels[near] == labels[:, None]).double().mean().item())

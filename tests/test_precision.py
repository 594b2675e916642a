"""Room: evaluation. Products of matrices in bfloat16, on request: what changes, what says so, what is refused."""

import sys

import pytest
import torch

from tests.laws import binary_data
from vaelab.errors import InputError
from vaelab.evaluation import evaluate
from vaelab.models import gaussian_vae
from vaelab.networks import has_bfloat16

CPU = torch.device("cpu")
needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(CPU), reason="this processor does not multiply bfloat16")
DATA = binary_data(rows=(20, 20, 200))


def evaluated(precision, **options):
    return evaluate(gaussian_vae(DATA, 2, [64], seed=0), DATA, samples=20, precision=precision, **options)


@needs_bfloat16
def test_rounded_products_change_a_bound_a_little_and_every_number_says_so():
    """The factors have 8 bits, so that a sum of some nats changes by less than a hundredth of it."""
    plain, rounded = evaluated("float32"), evaluated("bfloat16")
    moved = (plain.values["iwae-20"] - rounded.values["iwae-20"]).abs()
    assert 0 < moved.max() < 0.05
    assert moved.dtype == torch.float64
    assert {record.precision for record in plain} == {"float32"}
    assert {record.precision for record in rounded} == {"bfloat16"}
    assert "matrix products in bfloat16" in " ".join(str(rounded).split())
    assert "matrix products in float32" in " ".join(str(plain).split())


@needs_bfloat16
def test_the_precision_of_the_process_neither_counts_nor_changes():
    plain = evaluated("float32")
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(evaluated("float32").values["iwae-20"], plain.values["iwae-20"])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("precision", "wide", "hardware", "sentence"),
    [
        ("float16", False, True, "precision: expected one of float32, bfloat16; got 'float16'"),
        ("bfloat16", True, True, "precision: expected a model in float32 for bfloat16; got one in torch.float64"),
        ("bfloat16", False, False, "this hardware does not multiply bfloat16"),
    ],
)
def test_a_precision_that_is_not_there_is_refused(precision, wide, hardware, sentence, monkeypatch):
    monkeypatch.setattr(sys.modules[evaluate.__module__], "has_bfloat16", lambda device: hardware)
    model = gaussian_vae(DATA, 2, [4], seed=0)
    with pytest.raises(InputError, match=sentence):
        evaluate(model.double() if wide else model, DATA, samples=1, precision=precision)

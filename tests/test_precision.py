"""Products of matrices in bfloat16: what changes, what says so, what is refused, and what the hardware does."""

from contextlib import nullcontext
from unittest.mock import patch

import pytest
import torch

from tests.laws import binary_data
from vaelab.errors import InputError
from vaelab.evaluation import evaluate
from vaelab.models import gaussian_vae
from vaelab.networks import has_bfloat16, matmul_precision, products_in
from vaelab.networks.precision import _rounds
from vaelab.settings import resolve
from vaelab.training import ProcessGroup, fit, fitting, train

CPU = torch.device("cpu")
needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(CPU), reason="this processor does not multiply bfloat16")
HARDWARE = "vaelab.networks.precision._rounds"  # what has_bfloat16 asks of a processor
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
    monkeypatch.setattr(HARDWARE, lambda device: hardware)
    model = gaussian_vae(DATA, 2, [4], seed=0)
    with pytest.raises(InputError, match=sentence):
        evaluate(model.double() if wide else model, DATA, samples=1, precision=precision)


# ---------------------------------------------------------------- what the hardware does


SESSIONS = {
    "plain": nullcontext,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no device by default": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("session", SESSIONS)
def test_a_processor_has_bfloat16_exactly_where_its_products_are_rounded(session):
    """By the error of products of numbers with 24 bits: of bfloat16 it is about 2e-3, of float32 below 1e-6."""
    _rounds.cache_clear()
    with SESSIONS[session]():
        found = has_bfloat16(CPU)
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.rand(*shape, generator=generator) for shape in ((100, 784), (784, 200)))
    with matmul_precision("medium"):
        error = ((one @ other).double() / (one.double() @ other.double()) - 1).abs().max()
    assert (error > 1e-5) == found


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_computes_bfloat16_through_float32_does_not_have_it(native, monkeypatch):
    """As torch tells of a GPU before Ampere: supported with emulation, not without."""
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert has_bfloat16(torch.device("cuda")) == native


@pytest.mark.parametrize(
    ("precision", "instructions", "rounded", "expected"),
    [
        ("bfloat16", True, True, "medium"),
        ("float32", True, True, "highest"),
        ("float32", True, False, "medium"),
        ("float32", False, False, "highest"),
    ],
)
def test_products_of_float32_are_never_rounded(precision, instructions, rounded, expected):
    able = {"avx512_bf16": instructions}
    with patch(HARDWARE, lambda kind: rounded), patch("torch.cpu.get_capabilities", lambda: able, create=True):
        assert products_in(precision, CPU) == expected


@pytest.mark.parametrize(("rounded", "recorded"), [(True, "bfloat16"), (False, "float32")])
def test_a_run_records_the_precision_of_its_products_and_goes_on_with_it_elsewhere(rounded, recorded, tmp_path, caplog):
    def train_on(rounded, **training):
        length = {"steps": 2, "batch_size": 10, **training}
        settings = resolve("gaussian-vae", {"hidden_dims": [3], "device": "cpu", "training": length})
        with patch(HARDWARE, lambda kind: rounded):
            return train(settings, tmp_path / "run", data=DATA, resume=(tmp_path / "run").exists())

    assert train_on(rounded)[0].settings.training.precision == recorded
    for elsewhere in (not rounded, rounded):
        caplog.clear()
        assert train_on(elsewhere)[0].settings.training.precision == recorded
        assert train_on(elsewhere, precision=recorded)[0].settings.training.precision == recorded
        said = [record.getMessage() for record in caplog.records if "precision" in record.getMessage()]
        assert all(sentence.endswith("it goes on in float32") for sentence in said)
        assert len(said) == (2 if rounded and not elsewhere else 0)


@pytest.mark.parametrize("door", ["fit", "train"])
def test_bfloat16_is_refused_where_products_would_be_in_float32(door, tmp_path):
    settings = resolve("gaussian-vae", {"device": "cpu", "training": {"steps": 2, "precision": "bfloat16"}})
    doors = {
        "fit": lambda: fit(gaussian_vae(DATA, 2, [4], seed=0), DATA, settings=settings.training, device="cpu"),
        "train": lambda: train(settings, tmp_path / "run", data=DATA),
    }
    with (
        patch(HARDWARE, lambda kind: False),
        pytest.raises(InputError, match="this hardware does not multiply bfloat16"),
    ):
        doors[door]()
    assert not (tmp_path / "run").exists()


class WithOther(ProcessGroup):
    """A rank that hears of another one, which does not multiply bfloat16."""

    def all_gather(self, value):
        return [value, False]


GROUPS = {"alone": ProcessGroup(), "with another": WithOther()}


def products_on(monkeypatch, group, here=True, **training):
    """Return the precisions of the products of a training, on hardware that multiplies bfloat16 if ``here``."""
    asked = []
    monkeypatch.setattr(HARDWARE, lambda kind: here)
    monkeypatch.setattr(fitting, "products_in", lambda precision, device: asked.append(precision) or "highest")
    fit(gaussian_vae(DATA, 2, [4], seed=0), DATA, steps=1, device="cpu", processes=GROUPS[group], **training)
    return asked


@pytest.mark.parametrize(("group", "chosen"), [("alone", "bfloat16"), ("with another", "float32")])
def test_ranks_that_call_fit_multiply_in_one_precision(group, chosen, monkeypatch):
    assert products_on(monkeypatch, group) == [chosen]


def test_a_rank_that_multiplies_bfloat16_refuses_it_for_one_that_does_not(monkeypatch):
    with pytest.raises(InputError, match="as a rank does not multiply bfloat16"):
        products_on(monkeypatch, "with another", precision="bfloat16")


def test_a_rank_that_lacks_bfloat16_says_so_to_the_others_before_it_refuses(monkeypatch):
    """Otherwise the others wait for it."""
    told = []
    monkeypatch.setattr(WithOther, "all_gather", lambda self, value: told.append(value) or [value, True])
    with pytest.raises(InputError, match="as this hardware does not multiply bfloat16"):
        products_on(monkeypatch, "with another", False, precision="bfloat16")
    assert told == [False]

"""Products of matrices in bfloat16: what changes, what says so, what is refused, and what the hardware does."""

from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import pytest
import torch
from torch.overrides import TorchFunctionMode

from tests.laws import binary_data
from vaelab.errors import InputError
from vaelab.evaluation import evaluate
from vaelab.models import MODELS, Counted, gaussian_vae
from vaelab.networks import has_bfloat16, matmul_precision, products_in, products_of_steps
from vaelab.networks.precision import _rounds
from vaelab.settings import resolve
from vaelab.training import ProcessGroup, fit, fitting, train
from vaelab.training.setup import Setup

CPU = torch.device("cpu")
needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(CPU), reason="this processor does not multiply bfloat16")
HARDWARE = "vaelab.networks.precision._rounds"  # what has_bfloat16 asks of a processor
DATA, TINY = binary_data(rows=(20, 20, 200)), binary_data(rows=(50, 4, 4))


class Products(TorchFunctionMode):
    """Hands every product of tensors to a function, with its number, its name, its factors and how to compute it."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if (name := function.__name__) not in ("__matmul__", "matmul", "mm", "addmm", "bmm", "baddbmm", "linear"):
            return function(*args, **(kwargs or {}))
        self.count += 1
        return self.function(self.count - 1, name, args, lambda *new: function(*new, **(kwargs or {})))


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


def probed(rounds, sides=(0, 1)):
    """Probe exact products, of which those that ``rounds`` chooses have factors in bfloat16; return what is found."""

    def multiply(number, name, factors, product):
        if rounds(number, name, factors):
            factors = [factor.bfloat16() if side in sides else factor for side, factor in enumerate(factors)]
        return product(*(factor.double() for factor in factors)).float()

    _rounds.cache_clear()
    try:
        with Products(multiply) as products:
            return has_bfloat16(CPU), products.count
    finally:
        _rounds.cache_clear()


FORMS = {
    "an inner size of 2": lambda name, one, *others: one.shape[-1] == 2,
    "an inner size of 36": lambda name, one, *others: one.shape[-1] == 36,
    "an inner size of 784": lambda name, one, *others: one.shape[-1] == 784,
    "4096 rows": lambda name, one, *others: len(one) == 4096,
    "784 columns": lambda name, one, other, *bias: (len(other) if name == "linear" else other.shape[-1]) == 784,
    "a layer": lambda name, *factors: name == "linear" and len(factors) == 2,
    "a layer with a bias": lambda name, *factors: name == "linear" and len(factors) == 3,
    "a transposed factor": lambda name, *factors: name != "linear" and factors[1].stride(-1) != 1,
    "the other transposed": lambda name, one, *others: one.stride(-1) != 1,
    "a stack": lambda name, *factors: factors[0].ndim == 3,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_probe_tries_products_of_every_form(form):
    for sides in ((0, 1), (0,), (1,)):
        assert probed(lambda number, name, factors: FORMS[form](name, *factors), sides)[0]


def test_the_probe_finds_a_single_rounded_product():
    found, count = probed(lambda *product: False)
    assert not found
    assert all(probed(lambda number, *product, each=each: number == each)[0] for each in range(count))


EPYC, XEON, OLDER = {"avx512_bf16": True}, {"avx512_bf16": True, "amx_bf16": True}, {"avx512_bf16": False}
PROCESSORS = [
    # instructions, whether the probe finds rounding, products of training steps in float32
    (EPYC, False, "medium"),
    (EPYC, True, "highest"),
    (XEON, False, "highest"),
    (XEON, True, "highest"),
    (OLDER, False, "highest"),
    ({}, False, "highest"),
]


@contextmanager
def processor(able, rounded):
    with patch(HARDWARE, lambda kind: rounded), patch("torch.cpu.get_capabilities", lambda: able, create=True):
        yield


@pytest.mark.parametrize(("able", "rounded", "expected"), PROCESSORS)
def test_steps_in_float32_have_the_faster_products_only_where_nothing_rounds(able, rounded, expected):
    with processor(able, rounded):
        assert products_of_steps("float32", CPU) == expected
        assert products_of_steps("bfloat16", CPU) == products_in("bfloat16") == "medium"


@pytest.fixture(scope="module")
def models():
    """Return every model of the table, and one with a code to integrate over; with the bounds to compute."""
    built = [(MODELS[name].build(TINY), None) for name in MODELS]
    for model, _ in built:
        if isinstance(model, Counted) or model.name == "autoencoder":
            fit(model, TINY, device="cpu", **({} if isinstance(model, Counted) else {"steps": 1}))
    return [*built, (gaussian_vae(TINY, 1, [3], seed=0), ("quadrature", "ais"))]


@pytest.mark.parametrize(("able", "rounded", "faster"), PROCESSORS)
def test_an_evaluation_in_float32_asks_for_exact_products_on_every_processor(able, rounded, faster, models):
    """In every product, of every model."""
    asked = set()

    def multiply(number, name, factors, product):
        asked.add((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return product(*factors)

    with processor(able, rounded), matmul_precision("medium"), Products(multiply):
        for model, bounds in models:
            evaluate(model, TINY, bounds=bounds, samples=2, chains=1, temperatures=2)
    assert asked == {("highest", False)}


def test_a_training_has_exact_products_outside_its_steps_whatever_the_session_has_set(monkeypatch):
    """In validations and in the callback, also where the steps have others."""
    asked, validate = [], Setup.validate

    def ask(*of):
        asked.append(torch.get_float32_matmul_precision())

    monkeypatch.setattr(Setup, "validate", lambda *of: ask() or validate(*of))
    with processor(EPYC, False), matmul_precision("medium"):
        fit(gaussian_vae(TINY, 1, [3], seed=0), TINY, steps=1, device="cpu", callback=ask)
        assert torch.get_float32_matmul_precision() == "medium"
    assert asked == ["highest", "highest"]


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
    monkeypatch.setattr(fitting, "products_of_steps", lambda precision, device: asked.append(precision) or "highest")
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

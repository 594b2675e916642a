"""Room: data. What the numbers of a file mean, in every format alike; what a data set checks; bits of any scale."""

import io
import math
import re
import struct

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import torch

from tests.commands import CommandLine
from vaelab.data import Dataset, Split, load_data
from vaelab.data.binarisation import draw_bits, redraw_bits
from vaelab.data.streaming import read
from vaelab.data.streaming.observations import Streamed
from vaelab.errors import InputError

GENERATOR = np.random.default_rng(0)
BITS = GENERATOR.integers(0, 2, (40, 6))
GREYS = GENERATOR.integers(0, 256, (40, 6))
GREYS[0, :2] = 0, 255
ANSWERS = GENERATOR.integers(1, 6, (40, 6))
REALS = GREYS / 255


def npy(path, array):
    np.save(path / "x.npy", array)
    return path / "x.npy"


def npz(path, array):
    np.savez(path / "x.npz", x=array)
    return path / "x.npz"


def idx(path, array):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    (path / "x.idx").write_bytes(header + array.astype(np.uint8).tobytes())
    return path / "x.idx"


def csv(path, array):
    text = io.StringIO()
    np.savetxt(text, array, "%s" if array.dtype.kind == "f" else "%d", ",", header="a,b,c,d,e,f", comments="")
    (path / "x.csv").write_text(text.getvalue())
    return path / "x.csv"


def parquet(path, array):
    pq.write_table(pa.table({name: array[:, place] for place, name in enumerate("abcdef")}), path / "x.parquet")
    return path / "x.parquet"


def shards(path, array):
    (path / "shards").mkdir(exist_ok=True)
    for number, part in enumerate(np.split(array, [7, 30])):
        np.save(path / "shards" / f"{number}.npy", part)
    return path / "shards"


WRITERS = [npy, npz, csv, parquet, shards]
BYTES = [*WRITERS[:2], idx, *WRITERS[3:]]
WHOLE = r"expected bits .*; got whole numbers in \[1, 5\]; if they are grey levels, say .*: --scale 5 .*scale=5"

# name -> (numbers, what the user says, what is read: kind, scale, type, or a part of the refusal)
MEANINGS = {
    "bits": (BITS, {}, ("binary", 1, np.uint8)),
    "bits as real numbers": (BITS * 1.0, {}, ("binary", 1, np.uint8)),
    "bits as bytes": (BITS.astype(np.uint8), {}, ("binary", 1, np.uint8)),
    "zeros": (BITS * 0, {}, ("binary", 1, np.uint8)),
    "real grey levels": (REALS, {}, ("grey", 1, np.float32)),
    "answers": (ANSWERS, {}, WHOLE),
    "answers as real numbers": (ANSWERS * 1.0, {}, WHOLE),
    "grey levels of no type": (GREYS, {}, r"in \[0, 255\]; .* --scale 255 "),
    "grey levels of two bytes": (GREYS * 257, {}, r"in \[0, 65535\]; .* --scale 65535"),
    "bits coded 1 and 2": (BITS + 1, {}, "two values, 1 and 2; recode them as 0 and 1"),
    "bits coded -1 and 1": (BITS * 2 - 1, {}, "two values, -1 and 1; recode them as 0 and 1"),
    "a constant": (BITS * 0 + 3, {}, "one value, 3; recode"),
    "below zero": (ANSWERS - 3, {}, r"in \[-2, 2\]; bring them into \[0, 1\] yourself"),
    "said bits": (BITS, {"values": "bits"}, ("binary", 1, np.uint8)),
    "said bits, are answers": (ANSWERS, {"values": "bits"}, "expected 0 and 1, as values=bits says; got whole numbers"),
    "said bits, are real": (REALS, {"values": "bits"}, "expected 0 and 1, as values=bits says; got real numbers"),
    "said unit": (REALS, {"values": "unit"}, ("grey", 1, np.float32)),
    "said unit, are bits": (BITS, {"values": "unit"}, ("grey", 1, np.float32)),
    "said unit, are answers": (ANSWERS, {"values": "unit"}, r"expected real numbers in \[0, 1\], as values=unit says"),
    "said grey": (GREYS, {"values": "grey"}, ("grey", 255, np.uint8)),
    "said grey, are real": (REALS, {"values": "grey"}, ("grey", 1, np.float32)),
    "said grey, are bits": (
        BITS,
        {"values": "grey"},
        r"as values=grey says; got whole numbers in \[0, 1\]; leave it out",
    ),
    "said grey, are more": (GREYS * 2, {"values": "grey"}, "expected whole numbers 0...255 or .*, as values=grey says"),
    "scale": (ANSWERS, {"scale": 5}, ("grey", 5, np.uint8)),
    "scale of real numbers": (REALS * 9, {"scale": 9}, ("grey", 1, np.float32)),
    "scale of two bytes": (GREYS * 257, {"scale": 65535}, ("grey", 1, np.float32)),
    "scale that is not whole": (ANSWERS, {"scale": 5.5}, ("grey", 1, np.float32)),
    "scale and grey": (ANSWERS, {"scale": 255, "values": "grey"}, ("grey", 255, np.uint8)),
    "scale too small": (ANSWERS, {"scale": 4}, r"expected values in \[0, 4\], as scale=4 says; got whole numbers"),
    "scale below zero": (ANSWERS - 3, {"scale": 5}, r"expected values in \[0, 5\], as scale=5 says"),
}
OF_BYTES = {
    "grey levels": (GREYS, {}, ("grey", 255, np.uint8)),
    "black and white": (BITS * 255, {}, ("grey", 255, np.uint8)),
    "levels 0...16": (GREYS // 16 + BITS * 0, {}, r"got uint8 numbers in \[0, 15\]; .* --scale 15 or 255"),
    "answers": (ANSWERS, {}, r"got uint8 numbers in \[1, 5\]; .* --scale 5 or 255"),
    "bits coded 1 and 2": (BITS + 1, {}, "two values, 1 and 2; recode them as 0 and 1"),
    "dark": (GREYS // 2, {}, r"got uint8 numbers in \[0, 127\]"),
    "dark, said": (GREYS // 2, {"scale": 255}, ("grey", 255, np.uint8)),
}


def check(path, numbers, said, meaning):
    if isinstance(meaning, str):
        with pytest.raises(InputError, match=meaning) as refused:
            load_data(path, **said)
        assert str(path.parent) in str(refused.value)
        assert "\n" not in str(refused.value)
        return
    data = load_data(path, split=False, **said)
    pixels = data.split("all").x[:]
    assert (data.kind, data.scale, pixels.dtype) == meaning
    scale = said.get("scale", 255 if data.scale == 255 else 1)
    assert np.allclose(pixels / data.scale, numbers / scale, rtol=1e-6, atol=0)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize(("numbers", "said", "meaning"), MEANINGS.values(), ids=MEANINGS)
def test_numbers_mean_the_same_in_every_format(write, numbers, said, meaning, tmp_path):
    if numbers.dtype == np.uint8 and write is csv:
        numbers = numbers.astype(int)
    check(write(tmp_path, numbers), numbers, said, meaning)


@pytest.mark.parametrize("write", BYTES, ids=lambda write: write.__name__)
@pytest.mark.parametrize(("numbers", "said", "meaning"), OF_BYTES.values(), ids=OF_BYTES)
def test_bytes_mean_the_same_in_every_format(write, numbers, said, meaning, tmp_path):
    check(write(tmp_path, numbers.astype(np.uint8)), numbers, said, meaning)


def test_the_kind_is_that_of_all_shards_and_a_shard_at_fault_is_named(tmp_path):
    dark, bright = GREYS // 3, GREYS
    for number, part in enumerate((dark, bright)):
        np.save(tmp_path / f"{number}.npy", part.astype(np.uint8))
    assert load_data(tmp_path).scale == 255
    np.save(tmp_path / "0.npy", REALS)
    np.save(tmp_path / "1.npy", REALS * 3)
    with pytest.raises(InputError, match=r"1\.npy: .* in \[0, 3\]"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"values": "gray"},
            r"values: expected one of grey, bits, unit, real, count; got 'gray' \(did you mean 'grey'\?\)",
        ),
        ({"scale": 0}, "scale: expected a number above 0"),
        ({"scale": -1}, "scale: expected a number of at least 0; got -1"),
        ({"scale": math.nan}, "scale: expected a number of at least 0; got nan"),
        (
            {"scale": 255, "values": "bits"},
            "scale: expected no scale beside values=bits, which are never divided; got 255",
        ),
        ({"scale": 1, "values": "unit"}, "scale: expected no scale beside values=unit"),
    ],
)
def test_what_contradicts_itself_is_refused(said, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        load_data(npy(tmp_path, BITS), **said)


def test_a_named_data_set_takes_no_options():
    with pytest.raises(InputError, match="for a file; 'mnist' needs none"):
        load_data("mnist", scale=255)


def test_the_command_line_and_the_settings_say_it_too(tmp_path, capsys, monkeypatch):
    run = CommandLine(capsys, monkeypatch)
    path, out = csv(tmp_path, ANSWERS), tmp_path / "r"
    words = ["latent_dim=2", "hidden_dims=[4]", "training.steps=5", "--data", path, "--out", out]
    assert "--scale 5 (in Python and in settings scale=5)" in run.refused("train", "gaussian-vae", *words)
    assert not out.exists()
    assert run("train", "gaussian-vae", *words, "--scale", "5").code == 0
    assert run("evaluate", out, "--samples", "2", "--no-report").code == 0
    assert "scale" in run.refused("train", "gaussian-vae", *words, "--values", "bits", "--scale", "5", "--overwrite")
    assert "expected 0 and 1, as values=bits says" in run.refused("data", path, "--values", "bits")
    assert "meaning       grey levels, 5 is white" in run("data", path, "--scale", "5").out


LEVELS = np.arange(17)


@pytest.mark.parametrize(
    ("levels", "scale"),
    [
        (LEVELS.astype(np.uint8), 16),
        (LEVELS.astype(np.int64), 16),
        (LEVELS.astype(np.uint8), 255),
        (LEVELS.astype(np.uint8), 16.5),
        (LEVELS.astype(np.float64), 16),
        ((LEVELS / 16).astype(np.float32), 1),
        (LEVELS.astype(np.int32) * 4000, 64000),
        ((LEVELS == 3).astype(np.uint8), 1),
    ],
    ids=["uint8/16", "int64/16", "uint8/255", "uint8/16.5", "float64/16", "float32/1", "int32/64000", "uint8/1"],
)
@pytest.mark.parametrize("where", ["memory", "disk"])
def test_a_bit_is_one_with_probability_pixel_over_scale(levels, scale, where, tmp_path):
    """4 000 rows of 17 levels: chi-squared of at most 15 inner levels below 60, false alarm about 1e-7."""
    rows = np.tile(levels, (4000, 1))
    if where == "disk":
        np.save(tmp_path / "x.npy", rows)
        rows = np.load(tmp_path / "x.npy", mmap_mode="r")
    data = Dataset("levels", {"train": Split(rows)}, "grey", scale)
    p = np.asarray(levels, float) / scale
    assert np.allclose(data.spec.mean, p, atol=1e-6)
    for protocol, again in (("dynamic", True), ("static", False), ("threshold", False)):
        observed = data.with_binarisation(protocol).train.observations()
        assert isinstance(observed, Streamed) == (where == "disk")
        bits, more = observed.bits(slice(None)), observed.bits(slice(None))
        inner = (p > 0) & (p < 1)
        assert torch.equal(bits, more) == (not again or not inner.any())
        found = bits.double().mean(0).numpy()
        if protocol == "threshold":
            assert np.array_equal(found, p > 0.5)
            assert np.allclose(observed.mean(), p > 0.5)
            continue
        assert np.array_equal(found[~inner], p[~inner])
        assert float(((found - p)[inner] ** 2 * 4000 / (p * (1 - p))[inner]).sum()) < 60
        assert np.allclose(observed.mean(), p if again else found, atol=1e-6)


@pytest.mark.parametrize("draw", [draw_bits, redraw_bits])
def test_white_is_always_one_and_black_never(draw):
    for scale in (1, 7, 16, 255):
        pixels = torch.tensor([[0, scale]], dtype=torch.uint8).repeat(20_000, 1)
        assert draw(pixels, scale).mean(0).tolist() == [0, 1]
        assert draw(pixels.float(), scale).mean(0).tolist() == [0, 1]


def of(pixels, kind="grey", scale=1, labels=None, **options):
    return Dataset("mine", {"train": Split(pixels, labels)}, kind, scale, **options)


NAN = REALS.copy()
NAN[3, 4] = np.nan
MASKED = np.ma.masked_array(REALS, REALS > 0.5)
UNFIT = {
    "infinite": (lambda: of(np.where(REALS > 0.9, np.inf, REALS)), "expected finite numbers; got inf in row"),
    "masked": (lambda: of(MASKED), "got a masked array"),
    "not bits": (lambda: of(REALS, "binary"), "expected 0 and 1, as kind='binary' says; got real numbers"),
    "bits of 255": (lambda: of((BITS * 255).astype(np.uint8), "binary"), "expected 0 and 1, as kind='binary' says"),
    "above the scale": (lambda: of(GREYS, scale=100), r"expected values in \[0, 100\], as scale=100 says; got .* 255"),
    "below zero": (lambda: of(REALS - 0.5), r"expected values in \[0, 1\], as scale=1 says; got values in \[-0\.5"),
    "scale of bits": (lambda: of(BITS, "binary", 255), "scale: expected 1, as the data are bits; got 255"),
    "no scale": (lambda: of(GREYS, scale=0), "scale: expected a number above 0; got 0"),
    "endless scale": (lambda: of(GREYS, scale=math.inf), "scale: expected a number of at least 0; got inf"),
    "unknown kind": (lambda: of(BITS, "bits"), "kind: expected one of binary, grey, real, count, mixed; got 'bits'"),
    "objects": (lambda: of(BITS.astype(object)), "got dtype object"),
    "words": (lambda: of(BITS.astype(str)), r"got dtype <U\d+ \(words, not numbers\)"),
    "complex": (lambda: of(BITS * 1j), "got dtype complex128"),
    "a tensor": (lambda: of(torch.ones(3, 2)), r"in a NumPy array; got Tensor; take numpy.asarray\(x\)"),
    "a list": (lambda: of([[0, 1]]), "in a NumPy array; got list"),
    "real labels": (lambda: of(BITS, "binary", labels=np.ones(40)), "expected integer labels"),
    "words as labels": (lambda: of(BITS, "binary", labels=np.array(["a"] * 40)), r"<U1 \(words\)"),
    "a list of labels": (lambda: of(BITS, "binary", labels=[1] * 40), "expected labels in a NumPy array"),
    "image shape": (lambda: of(BITS, "binary", image_shape=(2, 2)), r"image_shape \(H, W\) of 6 pixels; got \(2, 2\)"),
    "image axes": (lambda: of(BITS, "binary", image_shape=(6,)), r"image_shape \(H, W\) of 6 pixels; got \(6,\)"),
    "names": (lambda: of(BITS, "binary", columns=("a", "b")), "expected 6 different names of columns; got 2 names"),
    "equal names": (lambda: of(BITS, "binary", columns=tuple("abcdea")), "got 6 names, 5 of them different"),
}


@pytest.mark.parametrize(("build", "sentence"), UNFIT.values(), ids=UNFIT)
def test_a_data_set_checks_what_it_is_given(build, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        build()
    assert str(refused.value).startswith("data 'mine'")
    assert "\n" not in str(refused.value)


def test_a_memory_map_is_checked_in_parts(tmp_path):
    with pytest.raises(InputError, match=r"as scale=1 says; got values in \[0, 255\]"):
        of(np.load(npy(tmp_path, GREYS), mmap_mode="r"))
    assert of(np.load(npy(tmp_path, NAN), mmap_mode="r")).spec.may_be_missing
    mapped = of(np.load(npy(tmp_path, BITS), mmap_mode="r"), "binary")
    copied = of(BITS, "binary")
    assert mapped.sha256() == copied.sha256()
    assert torch.equal(mapped.spec.mean, copied.spec.mean)
    bits = mapped.train.observations().bits(slice(None))
    assert torch.equal(bits, copied.train.observations().bits(slice(None)))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(">f8"),
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(np.float16).astype(np.float64),
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: x[::-1, ::-1],
        lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    ],
    ids=["big-endian", "Fortran", "float64", "broadcast", "reversed", "read-only"],
)
def test_arrays_of_any_layout_are_stored_alike(change):
    changed = change(REALS)
    data = of(changed)
    pixels = data.split("train").x
    assert np.array_equal(pixels, changed.astype(np.float32))
    assert (pixels.dtype, pixels.flags.c_contiguous, pixels.flags.writeable) == (np.float32, True, True)
    assert data.sha256() == of(np.array(changed, np.float32)).sha256()
    assert data.train.observations().bits(slice(0, 3)).shape == (3, 6)


def test_a_right_array_is_not_copied():
    pixels = BITS.astype(np.uint8)
    assert of(pixels, "binary").split("train").x is pixels


def test_large_files_are_divided_as_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "STREAM_FROM", 0)
    for numbers, scale in ((GREYS * 257, 65535), (ANSWERS, 5), (REALS * 9, 9)):
        data = load_data(npy(tmp_path, numbers), scale=scale)
        train = data.split("train").x
        assert isinstance(data.train.observations(), Streamed)
        grey = np.concatenate([data.split(name).x[:] for name in data.splits]) / data.scale
        assert np.allclose(np.sort(grey.ravel()), np.sort(numbers.ravel()) / scale, rtol=1e-6)
        assert np.allclose(data.spec.mean, train[:].mean(0) / data.scale, rtol=1e-6)


# ---------------------------------------------------------------- real numbers and counts


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.float64, np.uint8])
@pytest.mark.parametrize("sparse", [False, True])
def test_counts_are_stored_as_they_are(dtype, sparse):
    """More than 255 of a thing are not stored in a byte."""
    high = 200 if dtype == np.uint8 else 70_000 if dtype != np.uint16 else 60_000
    rows = np.random.default_rng(0).integers(0, high, (50, 3)).astype(dtype)
    x = scipy.sparse.csr_array(rows) if sparse else rows
    data = Dataset.from_arrays(x, validation=x, test=x, values="count")
    assert (data.kind, data.spec.groups) == ("count", (("count", 0, 3),))
    assert np.array_equal(data.train.batch(50).numpy(), rows.astype(np.float32))
    direct = Dataset("mine", {"train": Split(x)}, "count", 1)
    assert np.array_equal(direct.train.batch(50).numpy(), rows.astype(np.float32))
    expected = rows.astype(float).std(0)
    assert np.allclose(data.spec.deviation, expected, rtol=1e-5)


def test_negative_whole_numbers_of_kind_real_are_stored_as_they_are():
    rows = np.array([[-3, 400], [7, -1]], np.int32)
    for data in (
        Dataset("mine", {"train": Split(rows)}, "real", 1),
        Dataset.from_arrays(rows, validation=rows, test=rows, values="real"),
    ):
        assert data.train.batch(2).tolist() == rows.tolist()


def test_a_memory_map_of_real_numbers_is_read_into_memory(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1000, 2], [3, -4]]))
    rows = np.load(tmp_path / "x.npy", mmap_mode="r+")
    data = Dataset("mine", {"train": Split(rows)}, "real", 1)
    assert not isinstance(data.train.x, np.memmap)
    assert data.train.batch(2).tolist() == rows.tolist()


@pytest.mark.parametrize(
    ("rows", "options", "sentence"),
    [
        ([[0, -1]], {"values": "count"}, "expected whole numbers from 0 to 16,777,216, as values=count says"),
        ([[0, 1.5]], {"values": "count"}, "expected whole numbers from 0 to 16,777,216, as values=count says"),
        ([[0, 2**25]], {"values": "count"}, "expected whole numbers from 0 to 16,777,216, as values=count says"),
        ([[0, 2]], {"values": "real", "scale": 2}, "scale: expected no scale beside values=real"),
        ([[0, 7]], {}, "if they are counts, values='real' or 'count'"),
        ([[0.5, -7], [0.3, 2]], {}, "or keep them as real numbers with values='real' or 'count'"),
    ],
)
def test_numbers_that_are_no_counts_are_refused_and_others_have_a_way_out(rows, options, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        Dataset.from_arrays(np.array(rows * 20), **options)

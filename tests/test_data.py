"""Room: data. The packaged digits, binarisation, batches; users' files are in test_readers.py."""

import gzip
import hashlib
import math
import shutil
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import torch

from tests.laws import assert_batches_have_no_history, binary_data
from vaelab.data import Batches, Dataset, Split, describe
from vaelab.data.binarisation import draw_bits, redraw_bits
from vaelab.data.division import divide
from vaelab.data.mnist import _split
from vaelab.data.splitting import Splitting
from vaelab.errors import InputError
from vaelab.models import gaussian_vae

SPLITS = ("train", "validation", "test")


def grey_data(scale=255, rows=(60, 20, 20), dim=16):
    generator = np.random.default_rng(0)
    pixels = [generator.integers(0, 256, (count, dim)).astype(np.uint8) for count in rows]
    if scale == 1:
        pixels = [(part / 255).astype(np.float32) for part in pixels]
    return Dataset("greys", dict(zip(SPLITS, map(Split, pixels), strict=True)), "grey", scale)


def test_mnist_is_mnist(mnist):
    assert {name: split.x.shape for name, split in mnist.splits.items()} == {
        "train": (50_000, 784),
        "validation": (10_000, 784),
        "test": (10_000, 784),
    }
    assert (mnist.dim, mnist.kind, mnist.scale, mnist.image_shape) == (784, "grey", 255, (28, 28))
    assert mnist.split("train").labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]  # the file begins so
    assert mnist.split("test").labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert np.bincount(mnist.split("test").labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # MD5 of the pixels of the original files, header left out, joined again from the splits
    whole = np.concatenate([mnist.split("train").x, mnist.split("validation").x])
    header = bytes.fromhex("000008030000ea600000001c0000001c")
    assert hashlib.md5(header + whole.tobytes()).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"


@pytest.mark.parametrize("damage", ["flip 0", "flip 30", "flip 900000", "flip -3", "cut", "other", "missing"])
def test_a_damaged_packaged_file_is_refused(damage, tmp_path):
    with resources.as_file(resources.files("vaelab.data") / "packaged" / "mnist") as folder:
        shutil.copytree(folder, tmp_path / "mnist")
    path = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    if damage.startswith("flip"):
        content[int(damage.split()[1])] ^= 8
    if damage == "cut":
        del content[1_000_000:]
    if damage == "other":
        content = gzip.compress(b"something else", mtime=0)
    path.write_bytes(content)
    if damage == "missing":
        path.unlink()
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz: expected .* reinstall vaelab"):
        _split(tmp_path / "mnist", "t10k")


def test_a_bit_is_one_with_probability_pixel_over_255_exactly():
    """The rule u < pixel counts to the pixel; the noise is the generator's own u on 0...254."""
    pixels = torch.arange(256, dtype=torch.uint8)
    u = torch.arange(255, dtype=torch.uint8).unsqueeze(-1)
    assert torch.equal((u < pixels).sum(0), torch.arange(256))
    grid = pixels.repeat(2000, 1)
    noise = torch.randint(0, 255, grid.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    drawn = draw_bits(grid, 255, torch.Generator().manual_seed(3))
    assert torch.equal(drawn, (noise < grid).float())


@pytest.mark.parametrize("draw", [draw_bits, redraw_bits])
@pytest.mark.parametrize("scale", [255, 1])
def test_the_frequencies_of_drawn_bits(scale, draw):
    """20 000 draws of each level; chi-squared of 254 levels below its mean + 6 s.d.: false alarm about 1e-7."""
    count = 20_000
    levels = torch.arange(256)
    pixels = levels.to(torch.uint8) if scale == 255 else (levels / 255).float()
    frequency = torch.stack([draw(pixels.repeat(1000, 1), scale) for _ in range(20)]).double().mean((0, 1))
    assert frequency[0] == 0
    assert frequency[255] == 1
    p = levels[1:255].double() / 255
    chi_squared = float(((frequency[1:255] - p) ** 2 * count / (p * (1 - p))).sum())
    assert chi_squared < 254 + 6 * math.sqrt(2 * 254)


def test_redrawn_bits_use_every_byte_of_the_noise_once():
    """Bits of white, middle and black in rows of odd length: no byte is 255, none is left out, none used twice."""
    torch.manual_seed(0)
    drawn = torch.stack([redraw_bits(torch.full((7, 11), 255, dtype=torch.uint8), 255) for _ in range(500)])
    assert bool((drawn == 1).all())  # a byte of 255 that stayed would give a zero: 150 are expected before the redraw
    middle = torch.stack([redraw_bits(torch.full((7, 11), 128, dtype=torch.uint8), 255) for _ in range(4000)])
    correlation = torch.corrcoef(middle.flatten(1).T)[~torch.eye(77, dtype=torch.bool)]
    assert float(correlation.abs().max()) < 6 / math.sqrt(4000)  # 2926 pairs: false alarm about 6e-6


def test_dynamic_redraws_training_pixels_and_fixes_the_others(mnist):
    train = mnist.train.observations()
    rows = torch.arange(50)
    assert not torch.equal(train.bits(rows), train.bits(rows))
    assert torch.allclose(
        train.mean(), torch.from_numpy(mnist.split("train").x).double().mean(0).float() / 255, atol=1e-5
    )
    for split in ("validation", "test"):
        held_out = mnist.split(split).observations()
        assert torch.equal(held_out.bits(slice(None)), mnist.split(split).observations().bits(slice(None)))
        assert torch.equal(held_out.bits(rows), held_out.bits(slice(0, 50)))
        pixels = torch.from_numpy(mnist.split(split).x)
        bits = held_out.bits(slice(None))
        assert not bits[pixels == 0].any()
        assert bits[pixels == 255].all()
        assert bits.dtype == torch.float32


@pytest.mark.parametrize("scale", [255, 1])
def test_static_and_threshold_are_drawn_once(scale):
    data = grey_data(scale)
    for split in SPLITS:
        static = data.with_binarisation("static").split(split).observations()
        assert torch.equal(
            static.bits(slice(None)), data.with_binarisation("static").split(split).observations().bits(slice(None))
        )
        grey = data.split(split).x / data.scale
        threshold = data.with_binarisation("threshold").split(split).observations()
        assert np.array_equal(threshold.bits(slice(None)).numpy(), (grey > 0.5).astype(np.float32))
        assert np.array_equal(threshold.mean().numpy(), (grey > 0.5).astype(np.float32).mean(0))
    same = Dataset("same", dict.fromkeys(SPLITS, data.split("train")), "grey", scale)
    drawn = [same.with_binarisation("static").split(split).observations().values for split in SPLITS]
    assert not torch.equal(drawn[0], drawn[1])  # one seed, but not the same noise on every split
    assert not torch.equal(drawn[1], drawn[2])


def test_bits_are_taken_as_they_are():
    data = binary_data()
    assert data.binarisation == data.with_binarisation("none").binarisation == "none"
    for split in SPLITS:
        assert np.array_equal(data.split(split).observations().bits(slice(None)).numpy(), data.split(split).x)


@pytest.mark.parametrize("scale", [255, 1])
def test_a_protocol_that_does_not_fit_is_refused(scale):
    greys, bits = grey_data(scale), binary_data()
    for change in (greys.with_binarisation, lambda protocol: replace(greys, binarisation=protocol)):
        with pytest.raises(InputError, match="did you mean 'dynamic'"):
            change("dynamc")
    for protocol in ("dynamic", "static", "threshold"):
        with pytest.raises(InputError, match=f"expected none .*, as the data 'patterns' are bits; got '{protocol}'"):
            bits.with_binarisation(protocol)
    with pytest.raises(InputError, match="did you mean 'validation'"):
        greys.split("valid")


@pytest.mark.parametrize("scale", [255, 1])
def test_grey_levels_without_binarisation_are_real_numbers(scale):
    greys = grey_data(scale).with_binarisation("none")
    for split in greys.splits.values():
        assert torch.equal(split.observations().bits(slice(None)), torch.from_numpy(split.x).float() / scale)
    assert greys.spec.groups == (("unit", 0, greys.dim),)
    torch.testing.assert_close(greys.spec.mean, torch.from_numpy(greys.train.x / scale).float().mean(0))
    with pytest.raises(InputError, match=r"likelihood: bernoulli is for bits, and the data have real numbers in"):
        gaussian_vae(greys, latent_dim=2, likelihood="bernoulli")


def test_a_batch_is_the_first_rows_as_an_evaluation_sees_them():
    for protocol in ("dynamic", "static", "threshold"):
        data = grey_data().with_binarisation(protocol)
        for split in (data.train, data.validation, data.test):
            x = split.batch(8)
            assert (x.shape, x.dtype) == ((8, 16), torch.float32)
            assert torch.equal(x, split.batch(20)[:8])
            if protocol != "dynamic" or split is not data.train:
                assert torch.equal(x, split.observations().bits(slice(0, 8)))
    static = grey_data().with_binarisation("static")
    assert torch.equal(grey_data().train.batch(30), static.train.batch(30))
    with pytest.raises(InputError, match="size: expected at most 20, the rows of the split; got 21"):
        static.test.batch(21)
    with pytest.raises(InputError, match=r"expected a split of a data set, such as data\.test; got one that belongs"):
        Split(static.test.x).batch(1)


def test_the_batches_of_an_epoch_hold_every_row_once():
    data = binary_data(rows=(64, 20, 20), dim=12)
    rows = torch.cat(list(data.train.batches(16, seed=3)))
    assert rows.shape == (64, 12)
    assert sorted(map(bytes, rows.byte().numpy())) == sorted(map(bytes, data.train.x))
    assert not torch.equal(rows, torch.cat(list(data.train.batches(16, seed=4))))
    assert [len(x) for x in data.test.batches(8)] == [8, 8]


def test_the_mean_of_a_spec_is_that_of_the_bits_a_model_sees():
    greys = grey_data()
    for protocol in ("dynamic", "static", "threshold"):
        data = greys.with_binarisation(protocol)
        assert torch.equal(data.spec.mean, data.train.observations().mean())
    assert not torch.equal(greys.spec.mean, greys.with_binarisation("static").spec.mean)
    assert data.with_binarisation("threshold") is data
    assert greys.binarisation == "dynamic"


@pytest.mark.parametrize("batch_size", [1, 7, 30, 60, 1000])
def test_an_epoch_shows_every_row_once_in_a_new_order(batch_size):
    pixels = np.unpackbits(np.arange(60, dtype=np.uint8).reshape(60, 1), axis=1)  # each row is its own number
    data = Dataset("rows", dict.fromkeys(SPLITS, Split(pixels)), "binary", 1)
    batches = Batches(data.train.observations(), batch_size, seed=5)
    size = min(batch_size, 60)
    assert batches.steps_per_epoch == 60 // size
    epochs = []
    for epoch in range(3):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        rows = [int(row) for step in steps for row in np.packbits(batches(step).numpy() == 1, axis=1)[:, 0]]
        assert len(rows) == len(set(rows)) == 60 // size * size
        epochs.append(rows)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != sorted(epochs[0])


def test_a_batch_depends_on_the_seed_and_the_step_alone():
    observed = grey_data().train.observations()
    assert_batches_have_no_history(observed, 8)


def test_the_checksum_tells_data_apart():
    data = binary_data()
    assert data.sha256() == binary_data().sha256() != binary_data(seed=1).sha256()
    train = data.split("train")
    changed = train.x.copy()
    changed[3, 2] ^= 1
    labels = train.labels.copy()
    labels[0] += 1
    for other in (Split(changed, train.labels), Split(train.x, labels), Split(train.x)):
        assert Dataset("x", {**data.splits, "train": other}, "binary", 1).sha256() != data.sha256()
    assert Dataset("x", data.splits, "grey", 1).sha256() != data.sha256()


def test_shuffled_splits_are_a_partition_and_the_same_each_time():
    split = Split(np.arange(137).reshape(137, 1), np.arange(137))
    parts, _ = divide("data", split, Splitting())
    assert {name: len(part) for name, part in parts.items()} == {"train": 111, "validation": 13, "test": 13}
    rows = np.concatenate([part.x[:, 0] for part in parts.values()])
    assert sorted(rows) == list(range(137))
    assert all(np.array_equal(part.x[:, 0], part.labels) for part in parts.values())
    assert np.array_equal(parts["test"].x, divide("data", split, Splitting())[0]["test"].x)


BIT = np.ones((3, 2), np.uint8)


@pytest.mark.parametrize(
    ("splits", "sentence"),
    [
        ({"train": Split(BIT), "test": Split(BIT[:0])}, ", split 'test': expected at least one row; got none"),
        ({"train": Split(BIT), "test": Split(BIT[:, :1])}, r": expected splits of one width; got \[1, 2\]"),
        ({"train": Split(BIT[0])}, r", split 'train': expected x of shape \(N, X\); got \(2,\)"),
        (
            {"train": Split(BIT, np.zeros(2, int))},
            r", split 'train': expected integer labels of shape \(3,\); got",
        ),
        ({}, ": expected at least one split; got none"),
    ],
)
def test_splits_that_do_not_fit_together_are_refused(splits, sentence):
    with pytest.raises(InputError, match=f"data 'mine'{sentence}"):
        Dataset("mine", splits, "binary", 1)


def test_the_mean_of_the_facts_is_that_of_all_rows():
    ones, zeros = np.ones((30, 2), np.uint8), np.zeros((10, 2), np.uint8)
    data = Dataset("x", {"train": Split(ones), "validation": Split(zeros), "test": Split(zeros)}, "binary", 1)
    assert describe(data)["mean"] == 0.6

"""Room: data. Rows that stay on the disk: how they are found, split, shuffled and drawn from, and what is refused."""

import os
import re
import struct
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.commands import CommandLine
from tests.laws import assert_batches_have_no_history
from tests.processes import run_python
from vaelab.data import Batches, Dataset, Split, load_data
from vaelab.data.streaming import order, read, rows
from vaelab.data.streaming.observations import Streamed
from vaelab.data.streaming.order import WINDOW_BYTES as WINDOW
from vaelab.data.streaming.order import Order
from vaelab.data.streaming.rows import BLOCK_BYTES as BLOCK
from vaelab.data.streaming.rows import Rows
from vaelab.errors import InputError
from vaelab.runs import Run
from vaelab.settings import resolve
from vaelab.training import train

COUNT, WIDTH = 400, 8
GENERATOR = np.random.default_rng(0)
GREYS = GENERATOR.integers(0, 256, (COUNT, WIDTH), dtype=np.uint8)
GREYS[:, 1], GREYS[:, 2] = np.arange(COUNT) // 256, np.arange(COUNT) % 256  # two pixels number the row
LABELS = np.arange(COUNT) % 2


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Blocks of 5 rows and windows of 40, and every .npy and IDX file stays on the disk."""
    monkeypatch.setattr(rows, "BLOCK_BYTES", 5 * WIDTH)
    monkeypatch.setattr(order, "WINDOW_BYTES", 40 * WIDTH)
    monkeypatch.setattr(read, "STREAM_FROM", 0)


def cut(array, parts=4):
    return np.split(array, [7, 7, 150, 151][: parts - 1] + [len(array) - 3] * (parts == 6))


def one_npy(path, array, labels=None):
    np.save(path / "x.npy", array)
    return path / "x.npy"


def one_idx(path, array, labels=None):
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    (path / "x-ubyte").write_bytes(header + array.tobytes())
    return path / "x-ubyte"


def npy_shards(path, array, labels=None):
    for number, part in enumerate(cut(array)):
        np.save(path / f"{number}.npy", part)
    return path


def npz_shards(path, array, labels=None):
    for number, (part, mine) in enumerate(zip(cut(array), cut(LABELS), strict=True)):
        np.savez_compressed(path / f"{number}.npz", x=part, **({} if labels is None else {"y": mine}))
    return path


def parquet_columns(path, array, labels=None):
    for number, (part, mine) in enumerate(zip(cut(array), cut(LABELS), strict=True)):
        columns = {f"p{column}": part[:, column] for column in range(part.shape[1])}
        pq.write_table(pa.table(columns | ({} if labels is None else {"y": mine})), path / f"{number}.parquet")
    return path


def parquet_lists(path, array, labels=None):
    table = pa.table({"pixels": list(array)} | ({} if labels is None else {"label": labels}))
    pq.write_table(table, path / "x.parquet", row_group_size=90)
    return path / "x.parquet"


def parquet_fixed_lists(path, array, labels=None):
    column = pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), array.shape[1])
    pq.write_table(pa.table({"pixels": column}), path / "x.parquet", row_group_size=90)
    return path / "x.parquet"


def parquet_bytes(path, array, labels=None):
    column = pa.array([row.tobytes() for row in array], pa.binary(array.shape[1]))
    pq.write_table(pa.table({"pixels": column}), path / "x.parquet", row_group_size=90)
    return path / "x.parquet"


WRITERS = [one_npy, one_idx, npy_shards, npz_shards, parquet_columns, parquet_lists, parquet_fixed_lists, parquet_bytes]


def numbers(pixels):
    """Return the row numbers that two pixels hold."""
    return np.asarray(pixels[:, 1]).astype(int) * 256 + np.asarray(pixels[:, 2]).astype(int)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_rows_on_the_disk_are_split_once_and_are_all_there(write, tmp_path):
    data = load_data(write(tmp_path, GREYS, LABELS))
    train, validation, test = (data.split(name).x for name in ("train", "validation", "test"))
    assert isinstance(train, Rows)
    assert isinstance(validation, np.ndarray)
    assert (len(train), len(validation), len(test)) == (320, 40, 40)
    found = [numbers(part) for part in (train[:], validation, test)]
    assert sorted(np.concatenate(found)) == list(range(COUNT))
    for part in (validation, test):
        assert np.array_equal(part, GREYS[numbers(part)])
        assert 4 < numbers(part).mean() / COUNT * 10 < 6  # from all over the file
    assert np.array_equal(train[:], GREYS[numbers(train[:])])
    assert np.array_equal(train[37:222], train[:][37:222])
    assert torch.allclose(data.spec.mean, torch.from_numpy(train[:].mean(0) / 255).float())
    labels = data.split("test").labels
    if write in (npz_shards, parquet_columns, parquet_lists):
        assert np.array_equal(labels, LABELS[numbers(test)])
    else:
        assert labels is None


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_the_same_rows_are_the_same_data_in_every_format(write, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    data = load_data(write(tmp_path / "a", GREYS))
    again = load_data(npy_shards(tmp_path / "b", GREYS))
    assert data.sha256() == again.sha256()
    other = GREYS.copy()
    other[200, 5] ^= 1
    (tmp_path / "c").mkdir()
    assert load_data(npy_shards(tmp_path / "c", other)).sha256() != data.sha256()


@pytest.mark.parametrize("array", [GREYS > 99, (GREYS > 99).astype(np.int64), (GREYS > 99) * 1.0, GREYS / 255])
def test_bits_and_real_numbers_become_what_they_become_in_memory(array, tmp_path, monkeypatch):
    file = one_npy(tmp_path, array.reshape(COUNT, 4, 2))
    data = load_data(file, split=False)
    monkeypatch.setattr(read, "STREAM_FROM", 2**30)
    resident = load_data(file, split=False)
    assert (data.kind, data.scale, data.image_shape) == (resident.kind, resident.scale, (4, 2))
    pixels, expected = data.split("all").x, resident.split("all").x
    assert (isinstance(pixels, Rows), isinstance(expected, Rows)) == (True, False)
    assert pixels[:].dtype == expected.dtype
    assert np.array_equal(pixels[:], expected)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 150, 1000])
@pytest.mark.parametrize("write", [one_npy, npy_shards, npz_shards], ids=lambda write: write.__name__)
def test_an_epoch_shows_every_row_once_in_a_new_order(write, batch_size, tmp_path):
    observed = load_data(write(tmp_path, GREYS)).train.observations()
    batches = Batches(observed, batch_size, seed=5)
    size = min(batch_size, 320)
    assert batches.steps_per_epoch == 320 // size
    epochs = []
    for epoch in range(3):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        shown = torch.cat([batches.rows(step) for step in steps]).tolist()
        assert len(shown) == len(set(shown)) == 320 // size * size
        assert set(shown) <= set(range(320))
        epochs.append(shown)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs[0] != sorted(epochs[0])


BITS = np.unpackbits(np.arange(COUNT, dtype=">u2").view(np.uint8)).reshape(COUNT, 16)  # each row is its own number


def of_bits(bits):
    return np.packbits(bits.numpy().astype(np.uint8), axis=1).reshape(-1).view(">u2").astype(int)


@pytest.mark.parametrize("write", [one_npy, npz_shards, parquet_columns], ids=lambda write: write.__name__)
def test_a_batch_holds_the_rows_it_says_and_any_share_of_them(write, tmp_path):
    data = load_data(write(tmp_path, BITS))
    every = of_bits(torch.from_numpy(data.split("train").x[:]))
    batches = Batches(data.train.observations(), 30, seed=1)
    for step in (0, 1, 9, 3, 25, 10):  # 320 rows of windows of about 20: most batches are of two or three
        chosen = batches.rows(step)
        assert np.array_equal(of_bits(batches(step)), every[chosen])
        assert np.array_equal(of_bits(batches.bits(step, chosen[1::2])), every[chosen[1::2]])


def test_a_batch_depends_on_the_seed_and_the_step_alone(tmp_path):
    observed = load_data(npy_shards(tmp_path, GREYS)).train.observations()
    assert_batches_have_no_history(observed, 30)


def test_the_shuffle_of_a_sorted_file_is_as_good_as_documented():
    """1 GiB of rows of 784 bytes in ten sorted classes, default blocks and windows; see docs/streaming.md."""
    count, batch, window = 2**30 // 784, 100, WINDOW // 784
    order = Order(np.append(np.arange(0, count, BLOCK // 784), count), window, seed=0)
    shown = np.concatenate([order.rows((0, number)).numpy() for number in range(order.count(0))])
    assert np.array_equal(np.sort(shown), np.arange(count))

    def distance(rows):
        classes = rows[: count // batch * batch].reshape(-1, batch) * 10 // count
        return sum(np.abs((classes == number).mean(1) - 0.1) for number in range(10)).mean() / 2

    exact = distance(np.random.default_rng(0).permutation(count))
    assert 1.02 < distance(shown) / exact < 1.08
    where = np.empty(count, int)
    where[shown] = np.arange(count) // batch
    met = (where[1:] == where[:-1]).mean()
    assert met == pytest.approx((batch - 1) / (window - 1), rel=0.1)  # about 1590 pairs: 4 standard deviations


def test_no_more_than_two_windows_are_in_memory(tmp_path):
    batches = Batches(load_data(npy_shards(tmp_path, GREYS)).train.observations(), 10, seed=0)
    for step in range(100):
        batches(step)
        held = [window.result().stored for window in batches._order._windows.values()]
        assert len(held) <= 2
        assert max(map(len, held)) < 40 + 5


@pytest.mark.parametrize("protocol", ["static", "threshold"])
def test_bits_drawn_once_are_the_same_wherever_they_are_read(protocol, tmp_path):
    data = load_data(npz_shards(tmp_path, GREYS))
    observed = data.with_binarisation(protocol).train.observations()
    bits = observed.bits(slice(None))
    pixels = torch.from_numpy(data.split("train").x[:])
    assert torch.equal(observed.bits(slice(31, 207)), bits[31:207])
    chosen = torch.tensor([300, 2, 77, 3])
    assert torch.equal(observed.bits(chosen), bits[chosen])
    assert torch.equal(observed.first(40).bits(slice(None)), bits[:40])
    assert torch.allclose(observed.mean(), bits.mean(0))
    batches = Batches(observed, 50, seed=0)
    assert torch.equal(batches(3), bits[batches.rows(3)])
    if protocol == "threshold":
        assert torch.equal(bits, (pixels > 127.5).float())
    else:
        assert not bits[pixels == 0].any()
        p = pixels.double() / 255
        z = float((bits - p).sum() / (p * (1 - p)).sum().sqrt())
        assert abs(z) < 5  # false alarm below 1e-6


def test_what_needs_many_rows_at_once_gets_enough_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr("vaelab.data.streaming.observations._SAMPLE_ROWS", 100)
    observed = load_data(npy_shards(tmp_path, BITS)).train.observations()
    sample = observed.sample()
    found = of_bits(sample.bits(slice(None)))
    assert 100 <= len(set(found)) == len(found) <= 105
    assert found.max() > 300


@pytest.mark.parametrize("place", [slice(None), slice(33, 333)])
def test_a_memory_map_stays_on_the_disk(place, tmp_path):
    np.save(tmp_path / "x.npy", GREYS.reshape(COUNT, 4, 2))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r").reshape(COUNT, WIDTH)[place]
    data = Dataset("mine", {"train": Split(mapped), "validation": Split(GREYS[:20])}, "grey", 255)
    copied = Dataset("mine", {"train": Split(GREYS[place]), "validation": Split(GREYS[:20])}, "grey", 255)
    assert data.sha256() == copied.sha256()
    observed = data.train.observations()
    assert isinstance(observed, Streamed)
    assert np.array_equal(observed.rows[:], GREYS[place])
    assert torch.allclose(observed.mean(), copied.spec.mean)
    assert torch.equal(data.spec.mean, copied.spec.mean)


def test_a_private_map_or_one_across_its_rows_is_taken_as_an_array(tmp_path):
    np.save(tmp_path / "x.npy", GREYS)
    for mapped in (np.load(tmp_path / "x.npy", mmap_mode="c"), np.load(tmp_path / "x.npy", mmap_mode="c")[:, ::2]):
        data = Dataset("mine", {"train": Split(mapped)}, "grey", 255, binarisation="static")
        copied = Dataset("mine", {"train": Split(np.array(mapped))}, "grey", 255, binarisation="static")
        assert not isinstance(data.train.observations(), Streamed)
        assert torch.equal(data.train.batch(COUNT), copied.train.batch(COUNT))
        assert torch.equal(data.spec.mean, copied.spec.mean)


@pytest.mark.parametrize("protocol", ["dynamic", "static", "threshold"])
def test_the_spec_of_rows_on_the_disk(protocol, tmp_path):
    """Its mean is that of the bits of training, also where another device is the default: a model is built on meta."""
    np.save(tmp_path / "x.npy", GREYS)
    with torch.device("meta"):
        data = Dataset("mine", {"train": Split(np.load(tmp_path / "x.npy", mmap_mode="r"))}, "grey", 255)
        mean = data.with_binarisation(protocol).spec.mean
    observed = data.with_binarisation(protocol).train.observations()
    assert isinstance(observed, Streamed)
    expected = torch.from_numpy(GREYS / 255) if protocol == "dynamic" else observed.bits(slice(None))
    torch.testing.assert_close(mean, expected.double().mean(0).float())


def damaged(folder, array=GREYS, **shards):
    """Write ten shards of .npy, some of them otherwise."""
    for number, part in enumerate(np.split(array, 10)):
        np.save(folder / f"{number}.npy", shards.get(f"shard{number}", part))
    return folder


REALS = np.ones((40, WIDTH), np.float32) / 3
NAN = REALS.copy()
NAN[5, 5] = np.nan


def parquet_of(**columns):
    return lambda path: pq.write_table(pa.table(columns), path / "x.parquet")


REFUSED = {
    "empty": (lambda path: None, r"expected shards ending in .npy, .npz, .parquet, or images; got none"),
    "mixed": (lambda path: (npy_shards(path, GREYS), npz_shards(path, GREYS)), "of one format; got .npy and .npz"),
    "another width": (
        lambda path: damaged(path, shard7=GREYS[:40, 1:]),
        r"7\.npy: expected rows of 8 values of uint8 as in 0\.npy; got 7 of uint8",
    ),
    "another type": (lambda path: damaged(path, shard7=REALS), r"7\.npy: .*; got 8 of float32"),
    "out of range": (
        lambda path: damaged(path, np.repeat(REALS, 10, 0), shard7=REALS * 9),
        r"7\.npy: .*got one value, 3; recode",
    ),
    "words": (lambda path: np.save(path / "0.npy", GREYS.astype(str)), "got dtype <U"),
    "a vector": (lambda path: np.save(path / "0.npy", GREYS[0]), r"expected rows \(N, X\) or images"),
    "few rows": (lambda path: np.save(path / "0.npy", GREYS[:9]), "expected at least 10 rows"),
    "no rows": (lambda path: np.save(path / "0.npy", GREYS[:0]), "expected a readable file|expected at least one row"),
    "across rows": (lambda path: np.save(path / "0.npy", np.asfortranarray(GREYS)), "lie one after another"),
    "truncated": (
        lambda path: (one_npy(path, GREYS), os.truncate(path / "x.npy", 900)),
        r"x\.npy: expected a readable file of numbers",
    ),
    "no x": (
        lambda path: np.savez(path / "0.npz", images=GREYS[0, 0]),
        r"expected an array x, .* got \['images'\]",
    ),
    "no zip": (lambda path: (path / "0.npz").write_bytes(b"PK"), "expected a readable .npz file of numbers"),
    "labels missing": (
        lambda path: (npz_shards(path, GREYS, LABELS), np.savez(path / "9.npz", x=GREYS)),
        r"9\.npz: expected labels as in the other shards; got none",
    ),
    "labels too few": (
        lambda path: np.savez(path / "9.npz", x=GREYS, y=LABELS[1:]),
        r"expected integer labels of shape \(400,\); got int64 of shape \(399,\)",
    ),
    "no parquet": (lambda path: (path / "x.parquet").write_bytes(b"PAR1"), "expected a readable Parquet file"),
    "words in parquet": (parquet_of(a=["b", "c"] * 9), "got 'a' of string"),
    "images in parquet": (parquet_of(image=[b"PNG"] * 18), "got 'image' of binary"),
    "dates in parquet": (parquet_of(a=np.zeros(18, "M8[s]")), "got 'a' of timestamp"),
    "nothing in parquet": (parquet_of(a=pa.nulls(18)), "got 'a' of null"),
    "two types in parquet": (
        parquet_of(a=np.ones(18, np.uint8), b=np.ones(18)),
        "columns of one type of number; .*; got 'a' of uint8 and 'b' of double",
    ),
    "missing in parquet": (parquet_of(a=pa.array([1, None] * 9, pa.uint8())), "no missing values; column 'a' has 9"),
    "ragged in parquet": (parquet_of(a=[[1, 0], [1], [1, 0, 1]] * 6), "expected lists of 2 numbers in 'a'"),
    "rows counted in parquet": (
        parquet_of(a=np.tile([0, 200], 20).astype(np.uint8), respondent=np.arange(40, dtype=np.uint8)),
        r"column 'respondent' counts 0\.\.\.39, as row numbers do",
    ),
    "shuffled numbers of rows": (
        parquet_of(a=np.tile([0, 200], 20).astype(np.uint8), id=np.arange(40, dtype=np.uint8)[::-1].copy()),
        r"column 'id' holds whole numbers in \[0, 39\] and looks like numbers of rows",
    ),
    "bits beside grey shards": (
        lambda path: [np.save(path / f"{n}.npy", np.full((20, 6), value, np.uint8)) for n, value in ((0, 1), (1, 200))],
        "expected one scale in all parts; 0.npy goes up to 1 and 1.npy to 200",
    ),
    "tables of text": (lambda path: (path / "a.csv").write_text("0"), r"got files ending in '\.csv'"),
    "no values in parquet": (parquet_of(y=np.ones(18, np.uint8)), "got no columns of values"),
}


@pytest.mark.parametrize(("write", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_data_is_refused_in_one_sentence(write, sentence, tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=sentence) as refused:
        load_data(tmp_path)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_shard_too_large_to_be_unpacked_is_refused_before_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("vaelab.data.streaming.sources._UNPACKED", 2**10)
    npz_shards(tmp_path, GREYS)
    with pytest.raises(InputError, match=r"npz: expected at most 1\.0 kB unpacked; got 1\.1 kB; write smaller shards"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            lambda file: os.truncate(file, 1000),
            "the file has changed since it was opened (3,328 bytes then, 1,000 now)",
        ),
        (lambda file: file.write_bytes(file.read_bytes()), "the file has changed since it was opened"),
        (lambda file: file.unlink(), "the file is gone since it was opened"),
    ],
)
def test_a_file_that_changes_while_it_is_trained_on_ends_the_training_in_a_sentence(damage, sentence, tmp_path):
    file = one_npy(tmp_path, GREYS)
    batches = Batches(load_data(file).train.observations(), 20, seed=0)
    batches(0)
    assert all(window.result() for window in batches._order._windows.values())  # nothing is being read
    damage(file)
    with pytest.raises(InputError, match=re.escape(sentence)):
        [batches(step) for step in range(100)]


class Killed(Exception):
    pass


@pytest.mark.parametrize("model", ["gaussian-vae", "autoencoder"])
def test_a_resumed_training_is_the_training_that_was_never_stopped(model, tmp_path):
    (tmp_path / "data").mkdir()
    training = {"steps": 40, "batch_size": 30, "log_every": 5, "validate_every": 15, "warmup": 5}
    options = {"latent_dim": 2, "hidden_dims": [6], "data": str(npz_shards(tmp_path / "data", GREYS)), "device": "cpu"}
    settings = resolve(model, {**options, "training": training})

    def killed(row):
        if row["step"] == 20:
            raise Killed

    straight, fitted = train(settings, tmp_path / "straight")
    with pytest.raises(Killed):
        train(settings, tmp_path / "resumed", callback=killed)
    resumed, again = train(settings, tmp_path / "resumed", resume=True)
    assert (fitted.steps, fitted.best_bound) == (again.steps, again.best_bound)
    expected, found = straight.load_model().state_dict(), resumed.load_model().state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_commands_on_a_directory_of_shards(tmp_path, capsys, monkeypatch, caplog):
    run = CommandLine(capsys, monkeypatch)
    folder = tmp_path / "shards"
    folder.mkdir()
    npz_shards(folder, GREYS, LABELS)
    looked = []
    read_through = read._read_through
    monkeypatch.setattr(read, "_read_through", lambda *given: looked.append(1) or read_through(*given))
    out = tmp_path / "run"
    words = ["latent_dim=2", "hidden_dims=[6]", "training.steps=10"]
    trained = run("train", "gaussian-vae", *words, "--data", folder, "--out", out)
    assert trained.code == 0, trained.err
    assert f"{folder} stays on the disk: 320 rows to train, 40 to validate and 40 to test" in caplog.text
    shown = run("data", folder)
    assert re.search(r"rows +320 train, 40 validation, 40 test\n", shown.out)
    assert re.search(r"training rows +on the disk\n", shown.out)
    assert re.search(r"values +uint8 in \[0, 255\]\n", shown.out)
    assert re.search(r"classes +2\n", shown.out)
    assert run("evaluate", out, "--samples", "5").code == 0
    assert run("gradients", out, "--draws", "3", "--rows", "5").code == 0
    assert run("reconstruct", out, "--split", "train", "--out", tmp_path / "r.npz").code == 0
    assert looked == [1]  # the file is looked through once by a process, however many commands it runs
    assert "'train' of shards is on the disk (320 rows)" in run.refused("evaluate", out, "--split", "train")
    encoded = run("encode", out, "--data", folder, "--out", tmp_path / "codes.npz")
    assert encoded.code == 0, encoded.err
    with np.load(tmp_path / "codes.npz") as file:
        codes = dict(file)
    assert codes["codes"].shape == codes["stddev"].shape == (COUNT, 2)
    assert np.array_equal(codes["labels"], LABELS)
    one = Run(out).load_model().encode(load_data(folder, split=False).split("all").observations().bits(slice(9, 10)))
    assert np.allclose(codes["codes"][9], one.numpy(), atol=1e-6)


def test_data_larger_than_the_memory_they_may_have_train(tmp_path):
    """500 MB of bits in a process that may take 350 MB more than it has before they are loaded."""
    file = tmp_path / "shards" / "0.npy"
    file.parent.mkdir()
    np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(640_000, 784)).flush()  # sparse
    script = f"""
        import re, resource, numpy as np, torch, vaelab
        from pathlib import Path
        from vaelab.data import Dataset, Split
        from vaelab.models import gaussian_vae
        from vaelab.training import fit
        torch.set_num_threads(1)
        fit(gaussian_vae(8, 2, [4]), Dataset("x", dict.fromkeys(["train", "validation"],
            Split(np.eye(8, dtype=np.uint8))), "binary", 1), steps=2)  # what the first step loads
        now = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (now + (350 << 20),) * 2)
        try:
            np.ones((640_000, 784), np.uint8)
            raise SystemExit("the limit does not hold")
        except MemoryError:
            pass
        data = vaelab.load_data({str(file.parent)!r})
        print(fit(gaussian_vae(784, 2, [8]), data, steps=5).steps, len(data.split("train")))
    """
    done = run_python("-c", textwrap.dedent(script))
    assert done.stdout == "5 620000\n"


def test_rows_of_another_step_are_not_given(tmp_path):
    batches = Batches(load_data(npy_shards(tmp_path, GREYS)).train.observations(), 10, seed=0)
    with pytest.raises(IndexError, match="expected rows of this step"):
        batches.bits(0, batches.rows(25))


def test_empty_shards_are_passed_over(tmp_path):
    npz_shards(tmp_path, GREYS)
    np.savez(tmp_path / "9.npz", x=GREYS[:0])
    assert len(load_data(tmp_path).split("train")) == 320
    (tmp_path / "p").mkdir()
    parquet_lists(tmp_path / "p", GREYS)
    empty = pa.table({"pixels": pa.array([], pa.list_(pa.uint8()))})
    pq.write_table(empty, tmp_path / "p" / "y.parquet")
    assert len(load_data(tmp_path / "p").split("train")) == 320

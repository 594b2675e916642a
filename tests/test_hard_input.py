"""Hard input is read as what it says or refused in one sentence: generated cases, and what the system adds to them.

VAELAB_CASES=5000 runs so many random cases of each property instead of the few that are the same in every run.
"""

from __future__ import annotations

import gzip
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.hard_input import PROPERTIES, READ, REFUSED, command, read, require_rows, require_sentence, run
from tests.laws import binary_data
from vaelab.data import Dataset, load_data
from vaelab.errors import InputError
from vaelab.models import gaussian_vae

CASES = {"arrays": 350, "training": 40, "tables of text": 300, "binary files": 35, "vaelab data FILE": 35}
ASKED = os.environ.get("VAELAB_CASES")
BITS = np.random.default_rng(0).integers(0, 2, (40, 3))


@pytest.mark.timeout(0 if ASKED else 300)
@pytest.mark.parametrize("name", PROPERTIES)
def test_each_case_is_read_as_what_it_says_or_refused_in_a_sentence(name: str) -> None:
    counted = run(name, int(ASKED or CASES[name]), random=ASKED is not None)
    assert min(counted[READ], counted[REFUSED]) > 0.1 * sum(counted.values())


def test_the_checks_fail_for_a_value_that_is_not_the_users() -> None:
    """A row too few, a value changed, a gap filled, a column out of place, a column dropped without a word."""
    rows = [[0, 1, None], [1, 1, 0], [1, 0, 0]]
    x = np.array([[0, 1, np.nan], [1, 1, 0], [1, 0, 0]])
    whole = read(lambda: Dataset.from_arrays(x, validation=x, columns=list("abc")))
    assert whole is not None
    require_rows(whole, "train", rows, "abc", 1)
    wrong = [rows[:2], [*rows[:2], [1, 1, 0]], [[0, 1, 0], *rows[1:]], [[1, 0, None], *rows[1:]]]
    for others in wrong:
        with pytest.raises(AssertionError):
            require_rows(whole, "train", others, "abc", 1)
    with pytest.raises(AssertionError):
        require_rows(whole, "train", [[*row, 1] for row in rows], "abcd", 1)
    for sentence in ("short", "two\nlines of some length", "x" * 2000, "Traceback (most recent call last): x"):
        with pytest.raises(AssertionError):
            require_sentence(InputError(sentence))


SECONDS = 1.7e9 + 60.0 * np.arange(40)
FEW_LARGE = np.where(np.arange(40) < 3, 1e9, np.arange(40) / 7)


def as_real(values: np.ndarray, frame: bool) -> Dataset:
    """Return a data set of one column of real numbers, in an array or in a frame."""
    if frame:
        return Dataset.from_arrays(pd.DataFrame({"time": values, "b": np.arange(40) % 2}), columns={"time": "real"})
    return Dataset.from_arrays(values[:, None], values="real")


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("values", [SECONDS, SECONDS.astype(int), SECONDS * 1e6, SECONDS * 1e-55])
def test_real_numbers_that_float32_cannot_tell_apart_are_refused(values: np.ndarray, frame: bool) -> None:
    with pytest.raises(InputError, match="expected numbers that differ by more than the rounding of float32"):
        as_real(values, frame)


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("values", [SECONDS - 1.7e9, FEW_LARGE, np.full(40, 0.1)])
def test_rounding_that_is_small_beside_the_deviation_of_a_column_is_no_loss(values: np.ndarray, frame: bool) -> None:
    assert as_real(values, frame).kind in ("real", "mixed")


def test_a_hundred_thousand_columns_are_read(tmp_path: Path) -> None:
    wide = np.random.default_rng(0).integers(0, 2, (12, 10**5), np.uint8)
    names = [f"c{place}" for place in range(10**5)]
    data = Dataset.from_arrays(wide, validation=wide, columns=names)
    assert np.array_equal(data.train.x, wide)
    lines = [",".join(names), *(",".join(map(str, row)) for row in wide.tolist())]
    (tmp_path / "wide.csv").write_text("\n".join(lines))
    of_file = load_data(tmp_path / "wide.csv", split=False)
    assert np.array_equal(of_file.splits["all"].x, wide)
    assert of_file.columns == tuple(names)


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody inside the block, if this is root, whom no permission stops."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, BITS)
    path.chmod(0)
    with without_rights():
        code, out, err = command("data", path)
    assert (code, out) == (2, "")
    assert "you have no permission to read it" in err


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "folder").symlink_to(tmp_path / "folder")
    for path in (tmp_path / "a.csv", tmp_path / "folder"):
        code, out, err = command("data", path)
        assert (code, out, len(err.splitlines())) == (2, "", 1), err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.npy.gz", gzip.compress(b"\0" * 2**24)),
        ("x.csv.gz", gzip.compress(b"0," * 2**18 + b"\n")),
        ("x.csv.gz", gzip.compress(b"a\n" + b"\n" * 2**21)),
        ("x.idx.gz", gzip.compress(b"\0\0\x08\x02\x7f\xff\xff\xff\x7f\xff\xff\xff" + b"\0" * 2**24)),
    ],
    ids=["zeros", "one line", "empty lines", "a header that promises more"],
)
def test_a_bomb_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    """A megabyte at most, which grows by a factor of a thousand; tests/test_bounds.py measures the memory."""
    assert len(content) < 2**20
    (tmp_path / name).write_bytes(content)
    code, out, err = command("data", tmp_path / name)
    assert (code, out, len(err.splitlines())) == (2, "", 1), err


@contextmanager
def full_disk(size: int = 0) -> Iterator[None]:
    """Let no file grow beyond a size inside the block, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("words", [("encode", "--out", "codes.npz"), ("sample", "--out", "samples.npz")])
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = binary_data()
    np.save("x.npy", data.train.x)
    gaussian_vae(data, latent_dim=2, hidden_dims=[4]).save("model")
    Path(words[-1]).write_text("mine")
    name, *others = words
    more = ("--data", "x.npy", "--split", "test") if name == "encode" else ()
    with full_disk():
        code, out, err = command(name, "model", *others, *more, "--overwrite")
    assert (code, out) == (1, ""), err
    assert err.splitlines()[-1].startswith("error: ")
    assert "what was written before is intact" in err.splitlines()[-1]
    assert Path(words[-1]).read_text() == "mine"
    assert not list(tmp_path.glob(".vaelab-*"))

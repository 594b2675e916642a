"""Room: data. Files that never end, never begin, or unpack to more than memory holds are refused in time."""

import gzip
import io
import os
import socket
import struct
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vaelab.data import load_data, opening
from vaelab.data.formats import text as text_format
from vaelab.data.streaming import read
from vaelab.errors import InputError

BITS = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.uint8)


def fifo(path):
    os.mkfifo(path)


def sock(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def loop(path):
    path.symlink_to(path.name)


def directory(path):
    path.mkdir()


def nowhere(path):
    path.symlink_to("nothing")


def device(path):
    path.symlink_to("/dev/zero")


ODD = {
    fifo: r"expected a file; got a pipe \(FIFO\)",
    sock: "expected a file; got a socket",
    device: "expected a file; got a device",
    loop: "its symbolic links lead back to themselves|there is no file",
    nowhere: "there is no file",
    directory: "expected shards ending in",
}


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv", "x.gz", "x.parquet", "x-ubyte", "x"])
@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_what_is_no_file_is_refused_and_not_waited_for(make, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 108 bytes
    make(tmp_path.joinpath(name).relative_to(tmp_path) if make is sock else tmp_path / name)
    with pytest.raises(InputError, match=f"{ODD[make]}|expected mnist or a file"):
        load_data(tmp_path / name)


@pytest.mark.parametrize("make", [fifo, directory, device], ids=lambda make: make.__name__)
@pytest.mark.parametrize("ending", [".npy", ".npz", ".parquet"])
def test_a_shard_that_is_no_file_is_refused(make, ending, tmp_path):
    make(tmp_path / f"a{ending}")
    with pytest.raises(InputError, match="expected a file; got a"):
        load_data(tmp_path)


def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(read, "STREAM_FROM", 0)
    np.save(tmp_path / "x.npy", BITS)
    train = load_data(tmp_path / "x.npy").split("train").x
    (tmp_path / "x.npy").unlink()
    fifo(tmp_path / "x.npy")
    with pytest.raises(InputError, match="got a pipe"):
        train[:]


@pytest.mark.parametrize("name", ["a\0b.npy", "x" * 300 + ".npy", "\udcff.csv"])
def test_names_that_cannot_be_are_refused(name):
    with pytest.raises(InputError, match="data: expected"):
        load_data(name)


def npy_header(shape, descr="|u1"):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def zipped(content, name="x.npy", size=None):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as file,
    ):
        file.write(content)
        for _ in range(size or 0):
            file.write(bytes(2**20))
    return buffer.getvalue()


def gzipped(content, megabytes):
    """Pack zeros behind the content, a thousandth of their size."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as file:
        file.write(content)
        for _ in range(megabytes):
            file.write(bytes(2**20))
    return buffer.getvalue()


IDX = struct.pack(">HBB3I", 0, 8, 3, 10**6, 100, 100)
PROMISES = {
    "npy": (
        "x.npy",
        npy_header((10**12, 784)) + bytes(100),
        r"promises shape \(1000000000000, 784\) of uint8, .* and 100 follow",
    ),
    "npy, axes": ("x.npy", npy_header((2**31, 2**31, 2**31)), "promises shape"),
    "npy, below zero": ("x.npy", npy_header((-1, 6)), r"its header says shape \(-1, 6\)"),
    "npy, brackets": ("x.npy", b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10000, "expected a readable array"),
    "npy, longer": ("x.npy", npy_header((4, 2)) + bytes(9), "expected 8 bytes of data for shape .*; got more"),
    "idx": ("x.idx", IDX + bytes(100), r"expected 10,000,000,000 bytes of data .*; got 100"),
    "gz of idx": ("x.gz", gzip.compress(IDX + bytes(100)), r"expected at most 2\.1 GB unpacked; got 10\.0 GB"),
    "gz of npy": ("x.npy.gz", gzip.compress(npy_header((10**12, 784))), r"at most 2\.1 GB unpacked; got 784\.0 TB"),
    "gz that goes on": ("x.gz", gzipped(struct.pack(">HBB2I", 0, 8, 2, 40, 6), 50), "expected 240 bytes .*; got more"),
    "npz": ("x.npz", zipped(npy_header((10**12, 784)) + bytes(100)), "array 'x': .* promises shape .* and 100 follow"),
    "npz of doubles": ("x.npz", zipped(npy_header((10**9, 8), "<f8")), "promises shape .* and 0 follow"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("name", "content", "sentence"), PROMISES.values(), ids=PROMISES)
def test_headers_that_promise_too_much_are_refused(name, content, sentence, streamed, tmp_path, monkeypatch):
    monkeypatch.setattr(read, "STREAM_FROM", 0 if streamed else 2**30)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence if not streamed else "expected"):
        load_data(tmp_path / name)
    if name.endswith((".npy", ".npz")):
        (tmp_path / "shards").mkdir()
        (tmp_path / "shards" / name).write_bytes(content)
        with pytest.raises(InputError, match="expected"):
            load_data(tmp_path / "shards")


def test_a_row_group_that_promises_too_much_is_refused(tmp_path, monkeypatch):
    pq.write_table(pa.table({"a": np.zeros(2**22), "b": np.zeros(2**22)}), tmp_path / "x.parquet", row_group_size=2**22)
    assert (tmp_path / "x.parquet").stat().st_size < 2**16
    monkeypatch.setattr("vaelab.data.streaming.sources._UNPACKED", 2**25)
    with pytest.raises(InputError, match=r"expected at most 33\.6 MB unpacked; got 67\.1 MB; .*row_group_size"):
        load_data(tmp_path / "x.parquet")


def test_bombs_are_refused_within_a_tenth_of_their_size(tmp_path):
    """Small files that unpack to gigabytes, read by a process that may have 400 MB beside its libraries."""
    ones = gzip.compress(b"1," * 2**19)
    (tmp_path / "line.csv.gz").write_bytes(ones * 300)  # one line of 300 MB
    rows = gzip.compress(b"1,0,1,1,0,1,1,0\n" * 2**16)
    (tmp_path / "rows.csv.gz").write_bytes(
        b"".join([gzip.compress(b"a,b,c,d,e,f,g,h\n"), rows * 300])
    )  # 160 MB of bits
    (tmp_path / "x.npz").write_bytes(zipped(npy_header((600, 2**20)), size=600))
    (tmp_path / "x.gz").write_bytes(gzipped(struct.pack(">HBB2I", 0, 8, 2, 2**20, 2**10), 10))  # of 1 GiB, 10 MB
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10**7
    script = f"""
        import re, resource, sys
        from pathlib import Path
        from vaelab.data import load_data, opening
        from vaelab.errors import InputError
        now = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (now + (400 << 20),) * 2)
        try:
            bytearray(500 << 20)
            raise SystemExit("the limit does not hold")
        except MemoryError:
            pass
        for name, limit in zip(sys.argv[1::2], map(int, sys.argv[2::2])):
            opening.MEMORY = limit
            try:
                load_data(Path({str(tmp_path)!r}) / name)
            except InputError as refusal:
                print(refusal)
    """
    expected = {
        "line.csv.gz": (2**31, "line 1 is longer than 64 MB"),
        "rows.csv.gz": (2 * 10**7, "expected at most 20.0 MB unpacked; got 2"),
        "x.npz": (6 * 10**8, "expected at most 600.0 MB unpacked; got 629.1 MB"),
        "x.gz": (10**9, "expected at most 1.0 GB unpacked; got 1.1 GB"),
    }
    words = [str(word) for name, (limit, _) in expected.items() for word in (name, limit)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    for line, (_, sentence) in zip(done.stdout.splitlines(), expected.values(), strict=True):
        assert sentence in line


def test_a_table_counts_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MEMORY", 1000)
    monkeypatch.setattr(text_format, "_BLOCK", 100)
    (tmp_path / "x.csv").write_text("1,0\n" * 600)
    with pytest.raises(
        InputError, match=r"x\.csv: expected at most 1\.0 kB unpacked; got 1\.1 kB; save the rows as .npy"
    ):
        load_data(tmp_path / "x.csv")
    monkeypatch.setattr(text_format, "_LINE", 1000)
    (tmp_path / "x.csv").write_text("a,b\n0,1\n" + "1,0," * 600)
    with pytest.raises(InputError, match="line 3 is longer than"):
        load_data(tmp_path / "x.csv")


def test_files_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("1,0\n" * 20)

    def denied(*given, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # the tests may be run by one who has every permission
    with pytest.raises(InputError, match=r"x\.csv: expected a readable file; you have no permission to read it"):
        load_data(tmp_path / "x.csv")

"""Room: data. Packed files: gzip, bzip2, xz and zip around any format; damaged, large and doubled ones are refused."""

import bz2
import gzip
import io
import lzma
import zipfile
from contextlib import suppress

import numpy as np
import pytest

from tests.test_readers import BITS, FILES, GREYS, csv, idx, npy, npz, ordered, read, whole
from vaelab.data import opening
from vaelab.errors import InputError


def zipped(content, name="x", others=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in others:
            archive.writestr(other, b"1,0\n" * 20)
        archive.writestr(name, content)
    return buffer.getvalue()


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
NAMED = csv(BITS, "a,b,c,d,e,f")


@pytest.mark.parametrize("ending", [*PACK, ".zip"])
@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("x.csv", NAMED, BITS),
        ("x.tsv", NAMED.replace(b",", b"\t"), BITS),
        ("x.npy", npy(GREYS), GREYS),
        ("x.idx", idx(GREYS), GREYS),
        ("x-ubyte", idx(GREYS), GREYS),
        ("x", idx(GREYS), GREYS),
    ],
)
def test_a_packed_file_is_read_as_what_is_in_it(ending, name, content, rows, tmp_path):
    packed = zipped(content, name) if ending == ".zip" else PACK[ending](content)
    assert np.array_equal(whole(read(tmp_path, name + ending, packed)), ordered(rows))


def test_a_zip_archive_is_known_by_its_name_and_its_one_file(tmp_path):
    packed = zipped(NAMED, "folder/Table.CSV", ["__MACOSX/x.csv", "folder/.DS_Store", "folder/"])
    assert np.array_equal(whole(read(tmp_path, "download.ZIP", packed)), ordered(BITS))


DAMAGED = zipped(NAMED, "x.csv")
ENCRYPTED = bytearray(DAMAGED)
ENCRYPTED[6] |= 1  # the flag of a password, in the header and in the directory
ENCRYPTED[ENCRYPTED.index(b"PK\x01\x02") + 8] |= 1
REFUSED = {
    "several files": (
        "x.zip",
        zipped(NAMED, "a.csv", ["b.csv"]),
        "expected one file in a zip archive; got 'b.csv', 'a",
    ),
    "no file": ("x.zip", zipped(b"", "folder/"), "expected one file in a zip archive; got none"),
    "no format": ("x.zip", zipped(b"hello", "x.docx"), "the packed file holds none of them"),
    "a password": ("x.zip", bytes(ENCRYPTED), "expected a readable zip archive .*(password|encrypted)"),
    "half a zip": ("x.zip", DAMAGED[:-30], "expected a readable zip archive"),
    "a zip of zeros": ("x.zip", DAMAGED[:40] + bytes(40) + DAMAGED[80:], "damaged|expected a readable"),
    "half a bz2": ("x.csv.bz2", bz2.compress(NAMED)[:-30], "it is damaged"),
    "half an xz": ("x.csv.xz", lzma.compress(NAMED)[:-30], "it is damaged"),
    "no bz2": ("x.csv.bz2", b"BZh9....", "it is damaged"),
    "packed twice": ("x.csv.gz.xz", lzma.compress(gzip.compress(NAMED)), "packed twice"),
    "packed twice, called once": ("x.csv.bz2", bz2.compress(gzip.compress(NAMED)), "it is packed twice"),
    "npz packed": (
        "x.npz.xz",
        lzma.compress(npz(x=BITS)),
        "expected an .npz archive of arrays as it is, .*; unpack it",
    ),
    "zip called npz": ("x.npz", zipped(NAMED, "x.csv"), r"expected an array x.*got \['x.csv'\]"),
    "zip called csv": ("x.csv", zipped(NAMED, "x.csv"), "expected a table of text, as its name says; it is a zip"),
}


@pytest.mark.parametrize(("name", "content", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_unpacked_is_refused_in_one_sentence(name, content, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence) as refused:
        read(tmp_path, name, content)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ending", [*PACK, ".zip"])
def test_what_unpacks_to_more_than_memory_is_refused(ending, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MEMORY", 10**5)
    zeros = idx(np.zeros((1000, 1000), np.uint8))
    packed = zipped(zeros, "x.idx") if ending == ".zip" else PACK[ending](zeros)
    assert len(packed) < 10**4
    with pytest.raises(InputError, match=r"expected at most 100\.0 kB unpacked; got 1\.0 MB"):
        read(tmp_path, "x.idx" + ending, packed)


@pytest.mark.parametrize("ending", [*PACK, ".zip"])
def test_any_bit_flipped_in_a_packed_file_ends_in_data_or_one_sentence(ending, tmp_path):
    content = FILES["x.csv"]
    packed = zipped(content, "x.csv") if ending == ".zip" else PACK[ending](content)
    for place in range(0, len(packed), 3):
        damaged = bytearray(packed)
        damaged[place] ^= 1 << place % 8
        with suppress(InputError):
            assert read(tmp_path, "x.csv" + ending, bytes(damaged)).dim >= 1

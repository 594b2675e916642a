"""Room: runs. Commands killed at points of their writing: every file stays whole, and the next command cleans up."""

import fcntl
import os

import pytest
from benchmarks.kill_points import CASES, kill, points, prepare

from vaelab.storage.files import is_temporary, remove_leftovers, replaced, write_file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("kills") / "trained")


@pytest.mark.parametrize(
    ("name", "parts"), [("train", 8), ("train --overwrite", 6), ("evaluate --no-report", 11), ("encode --out", 8)]
)
def test_a_command_killed_while_it_writes_leaves_whole_files_and_the_next_one_cleans_up(name, parts, trained, tmp_path):
    """At points spread over its writing; benchmarks/kill_points.py takes every point of every command."""
    case = next(case for case in CASES if case.name == name)
    count = points(case, trained, tmp_path)
    tried = sorted({round(1 + number * (count - 1) / (parts - 1)) for number in range(parts)})
    assert {at: kill(case, trained, tmp_path, at) for at in tried} == {at: [] for at in tried}


def test_a_temporary_file_is_created_by_its_writer_alone_and_follows_no_link(tmp_path):
    path, names = tmp_path / "f", set()
    for _ in range(20):
        with replaced(path) as file:
            (name,) = (entry for entry in tmp_path.iterdir() if is_temporary(entry))
            assert os.path.samestat(os.fstat(file.fileno()), name.stat())
            file.write(b"x")
        names.add(name.name)
    assert len(names) == 20, "names that can be foreseen"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_of_a_link_the_link_is_replaced(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "link").symlink_to(tmp_path / "thesis")
    write_file(tmp_path / "link", "new")
    assert (tmp_path / "thesis").read_text() == "years of work"
    assert (tmp_path / "link").read_text() == "new"
    assert not (tmp_path / "link").is_symlink()


def test_what_is_being_written_and_what_is_not_ours_is_not_removed(tmp_path):
    """A lock tells a file that is written from one that a killed process has left."""
    for name in ("mine.tmp", "config.json.123.tmp", ".vaelab-notes", ".vaelab-0.tmp", ".vaelab-1.tmp"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".vaelab-2.tmp").symlink_to(tmp_path / "mine.tmp")
    with (tmp_path / ".vaelab-1.tmp").open("r+") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        remove_leftovers(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mine.tmp", "config.json.123.tmp", ".vaelab-notes", ".vaelab-1.tmp", ".vaelab-2.tmp"}
    remove_leftovers(tmp_path)
    assert not (tmp_path / ".vaelab-1.tmp").exists()
    assert (tmp_path / "mine.tmp").read_text() == "x"


def test_writers_side_by_side_do_not_remove_each_others_files(tmp_path):
    """Each clears the directory while the other writes, again and again."""
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for turn in range(60):
                    write_file(tmp_path / f"{number}", f"{turn}")
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "59", "1": "59", "2": "59"}

"""docs/architecture.md is true: the order of the rooms, what each imports, and the rules that go with them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "vaelab"
FILES = sorted(SOURCE.rglob("*.py"))
FRONT_DOOR = {"__init__", "__main__"}  # the package's face and `python -m vaelab`: they may import every room

ROW = re.compile(r"^\| `(\w+)` \| .* \| (.*)\|$", re.MULTILINE)
TABLE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("\n## ")[1]
LISTED = {room: set(re.findall(r"`(\w+)`", imports)) for room, imports in ROW.findall(TABLE)}
ORDER = list(LISTED)


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports, at its top or inside a function."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("vaelab.")}
    return rooms - {"__version__"}


def relative(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def test_every_room_is_listed_once() -> None:
    assert {room_of(path) for path in FILES} - FRONT_DOOR == set(ORDER)
    assert len(ROW.findall(TABLE)) == len(ORDER)


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_imports_only_from_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    if room in FRONT_DOOR:
        return
    above = set(ORDER[: ORDER.index(room)])
    assert imported_rooms(path) - {room} <= above


@pytest.mark.parametrize("room", ORDER)
def test_the_listed_imports_are_the_real_ones(room: str) -> None:
    real = set().union(*(imported_rooms(path) for path in FILES if room_of(path) == room))
    assert real - {room} == LISTED[room]


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", [path for path in FILES if path.name != "__main__.py"], ids=relative)
def test_every_module_says_what_is_public(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    assert any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)

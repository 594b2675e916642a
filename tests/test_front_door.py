"""`import vaelab`: its names, its rooms, and how long it takes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import vaelab
from tests.processes import run_python
from tests.test_architecture import ORDER
from vaelab.models import MODELS


def fresh(code: str) -> str:
    """Run code in a new Python process and return what it prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


FORGET = """
import sys
for name in [name for name in sys.modules if name.partition(".")[0] == "vaelab"]:
    del sys.modules[name]
"""


def anew(code: str) -> str:
    """Run code in a process that has PyTorch, and imports vaelab anew; return what it prints."""
    return run_python("-c", FORGET + code).stdout


def test_dir_lists_the_public_names_and_rooms_only() -> None:
    assert set(dir(vaelab)) == {*vaelab.__all__, *ORDER}
    assert set(anew("import vaelab, vaelab.models; print(*dir(vaelab))").split()) == set(dir(vaelab))


@pytest.mark.parametrize("name", sorted({*vaelab.__all__, *ORDER}))
def test_every_name_is_an_attribute(name: str) -> None:
    assert getattr(vaelab, name) is not None


@pytest.mark.parametrize("room", ["data", "estimators", "settings"])
def test_a_room_is_an_attribute_without_an_import_of_its_own(room: str) -> None:
    code = f"import vaelab; print('vaelab.{room}' in sys.modules, vaelab.{room}.__name__)"
    assert anew(code).split() == ["False", f"vaelab.{room}"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vaelab.nothing  # noqa: B018


def test_every_model_has_its_builder_at_the_front_door() -> None:
    builders: list[Any] = [getattr(vaelab, name.replace("-", "_")) for name in MODELS]
    assert builders == [row.build for row in MODELS.values()]


def test_import_is_instant_and_loads_no_torch() -> None:
    """Under 0.15 s in the best of five processes: the machine may be busy in the others."""
    code = (
        "import sys, time; start = time.perf_counter(); import vaelab; seconds = time.perf_counter() - start\n"
        "print(seconds, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    found = [fresh(code).split() for _ in range(5)]
    assert all(imported == ["False", "False"] for _, *imported in found)
    assert min(float(seconds) for seconds, *_ in found) < 0.15

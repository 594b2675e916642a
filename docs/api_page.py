"""The reference in docs/api.md, read off the code: `python docs/api_page.py` prints it.

Every name in the ``__all__`` of a module stands once, in the module that defines it. The rooms are in the order of
docs/architecture.md.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import vaelab

__all__ = ["markdown", "names"]

ARCHITECTURE = Path(__file__).parent / "architecture.md"


def rooms() -> list[str]:
    """Return the rooms in reading order."""
    table = ARCHITECTURE.read_text(encoding="utf-8").split("\n## ")[1]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def modules(room: str) -> list[ModuleType]:
    """Return the modules of a room: the room itself, then its files."""
    whole = importlib.import_module(f"vaelab.{room}")
    inner = pkgutil.walk_packages(getattr(whole, "__path__", []), f"vaelab.{room}.")
    return [whole, *(importlib.import_module(module.name) for module in inner)]


def names(room: str) -> dict[str, list[str]]:
    """Return the public names of each module of a room that defines any."""
    parts = {module.__name__: module for module in modules(room)}
    listed: dict[str, list[str]] = {}
    for path, module in parts.items():
        below = [part for other, part in parts.items() if other.startswith(f"{path}.")]
        listed[path] = [name for name in module.__all__ if _is_defined_in(module, name, below)]
    return {path: found for path, found in listed.items() if found}


def _is_defined_in(module: ModuleType, name: str, below: list[ModuleType]) -> bool:
    """Return whether a module defines a name; if the name does not say, the deepest module that lists it does."""
    home = getattr(getattr(module, name), "__module__", None)
    if isinstance(home, str) and home.startswith("vaelab."):
        return home == module.__name__
    return not any(name in part.__all__ for part in below)


def markdown() -> str:
    """Return a section for each room."""
    parts = []
    for room in rooms():
        parts += [f"## {room}", ""]
        for path, found in names(room).items():
            parts += ["```{eval-rst}", f".. automodule:: {path}", f"   :members: {', '.join(found)}", "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    print(f"vaelab {vaelab.__version__}\n\n{markdown()}")

"""JSON files that contain the SHA-256 of their content, and the schemas of their content."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from vaelab.errors import InputError

__all__ = ["FORMAT_VERSION", "Schema", "parse_json", "seal", "unseal", "versions"]

# Files of this version and of all since _FIRST_KEPT are read: tests/golden has one of each kind.
FORMAT_VERSION = _FIRST_KEPT = 2


class Schema(BaseModel):
    """The required content of a file; further content is kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)


def seal(content: dict[str, Any]) -> str:
    """Return the text of a JSON file: its format version, its SHA-256, then the content.

    >>> print(seal({"draws": 3}), end="")
    {
      "format_version": 2,
      "sha256": "231e93f182f03fb132a1387d2d84767dba798f7dfbd6b4661dd0a2bae8313880",
      "draws": 3
    }
    """
    inside = {key: value for key, value in content.items() if key not in ("format_version", "sha256")}
    plain = json.loads(json.dumps({"format_version": FORMAT_VERSION, **inside}))
    version = {"format_version": FORMAT_VERSION, "sha256": _checksum(plain)}
    return json.dumps({**version, **plain}, indent=2) + "\n"


def unseal(path: Path, schema: type[Schema]) -> dict[str, Any]:
    """Return the content of a JSON file, checked against its SHA-256 and the schema.

    Raises:
        InputError: a file that is damaged, cut, changed by hand, of a newer or an earlier format, or another kind of
            file.
    """
    content = parse_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object; got {_kind_of(content)}")
    version = content.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(f"{path}: expected a format_version; it is damaged, or not a file of vaelab")
    if version < _FIRST_KEPT:
        raise InputError(
            f"{path}: expected format_version {_FIRST_KEPT} or later; got {version}, written by an earlier version of "
            "vaelab, whose files are not read; make it again"
        )
    if version > FORMAT_VERSION:
        raise InputError(
            f"{path}: expected format_version up to {FORMAT_VERSION}; got {version}, written by a newer vaelab"
        )
    sha256 = content.pop("sha256", None)
    if sha256 != _checksum(content):
        raise InputError(f"{path}: expected the SHA-256 written with it; the file is damaged, or was changed by hand")
    try:
        schema.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        message = fault["msg"][0].lower() + fault["msg"][1:]
        raise InputError(f"{path}: {where}: {message}; it is damaged, or not a file of vaelab") from None
    return content


def versions() -> dict[str, str]:
    """Return the versions of vaelab, torch, numpy and Python that write a file."""
    versions_by_name = {name: import_module(name).__version__ for name in ("vaelab", "torch", "numpy")}
    return {**versions_by_name, "python": platform.python_version()}


def parse_json(path: Path) -> Any:
    """Return the content of a JSON file, or refuse a file that is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected readable JSON; it is damaged ({error})") from error


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _kind_of(value: object) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "true or false"}.get(type(value), "a number")

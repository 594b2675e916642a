"""Settings read from arguments and from files.

Arguments and YAML files have the same reader. It follows the core schema of YAML 1.2
(https://yaml.org/spec/1.2.2/#103-core-schema): 010 is ten and 1e-3 is a number; on, 1:30 and 2024-01-01 are text.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from vaelab.errors import InputError, shown
from vaelab.settings.earlier import present_names
from vaelab.settings.layers import nested
from vaelab.settings.syntax import TABLES, Layer, Syntax

__all__ = ["parse_overrides", "read_config", "read_content"]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {"true": True, "false": False, "null": None}
_WORDS |= {form: value for word, value in _WORDS.items() for form in (word.title(), word.upper())}
_WORDS |= {"": None, "~": None}

_LONGEST_NUMBER = 400  # characters: enough for every number, and few enough for Python to convert
_DEEPEST = 8  # levels of nested lists and tables
_LARGEST = {"json": 2**24, "yaml": 2**18, "toml": 2**18}  # bytes of a file; the config.json of a run names columns
_NO_SETTING = "any-other-key"
_FORMATS: dict[str, Syntax] = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


class _Unreadable(ValueError):
    """Text that is not a value, with the reason."""


def parse_overrides(words: list[str]) -> Layer:
    """Turn ``key.sub=value`` words into nested settings; a value is read as in a YAML file.

    Raises:
        InputError: a word that is not ``key=value``, a value that cannot be read, a setting with two values.

    >>> parse_overrides(["latent_dim=010", "estimator.samples=4", "hidden_dims=[200, 200]"])
    {'latent_dim': 10, 'estimator': {'samples': 4}, 'hidden_dims': [200, 200]}
    """
    return Layer(nested(map(_pair, words)), "words")


def _pair(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals or not key.strip():
        raise InputError(f"settings: expected key=value; got {shown(word)}")
    text = text.strip()
    try:
        return key, _read_yaml(text) if text[:1] in ("[", "{", '"', "'") else _scalar(text)
    except (_Unreadable, yaml.YAMLError) as error:
        reason = f" ({error})" if isinstance(error, _Unreadable) else ""
        raise InputError(
            f"{shown(key)[1:-1]}: expected a value such as 20, relu or [200, 200]; got {shown(text)}{reason}"
        ) from None


def read_config(path: Path) -> Layer:
    """Read settings from a .yaml, .yml, .toml or .json file; from the config.json of a run, its ``settings``.

    A dotted key has the same meaning as on the command line: ``training.steps: 10`` is ``training: {steps: 10}``.

    Raises:
        InputError: a missing file, another kind of file, content that is not keys and values.
    """
    content = read_content(path, "config")
    try:
        return Layer(nested(content.items()), *content.place)
    except InputError as refusal:
        raise InputError(f"config: {shown(str(path))}: {refusal}") from None


def read_content(path: Path, what: str) -> Layer:
    """Read the keys and values of a .yaml, .yml, .toml or .json file.

    Args:
        path: the file.
        what: the argument that names it, for messages. With ``config``, of the config.json of a run its settings are
            read.

    Raises:
        InputError: a missing file, another kind of file, content that is not keys and values.
    """
    kind, text = _text_of(path, what)
    try:
        content = _READERS[kind](text)
    except InputError as refusal:
        raise InputError(f"{what}: {shown(str(path))}: {refusal}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{what}: {shown(str(path))} is not readable as {kind} ({_reason(error)})") from None
    if what == "config" and isinstance(content, dict) and "format_version" in content:
        content = content.get("settings")
        content = present_names(content) if isinstance(content, dict) else content
    if not isinstance(content, dict):
        got = "nothing" if content is None else type(content).__name__
        raise InputError(f"{what}: expected {shown(str(path))} to hold keys and values; got {got}")
    tables = [table for table in TABLES if isinstance(content.get(table), dict)]
    return Layer(content, kind, [table for table in tables if kind != "toml" or _is_closed(text, table)])


def _is_closed(text: str, table: str) -> bool:
    """Return whether a TOML file has a table under a header or in braces, to which ``table.key = 0`` cannot add."""
    try:
        tomllib.loads(f"{table}.{_NO_SETTING} = 0\n{text}")
    except tomllib.TOMLDecodeError:
        return True
    return False


def _text_of(path: Path, what: str) -> tuple[Syntax, str]:
    """Return the format and the text of a file; ``what`` is read of it, for messages."""
    name = shown(str(path))
    hint = "; a setting is one word, key=value without spaces" if what == "config" else ""
    try:
        if not path.is_file():
            if path.exists():
                raise InputError(f"{what}: expected a file; {name} is a directory or a device")
            raise InputError(f"{what}: there is no file {name}{hint}")
        if path.suffix.lower() not in _FORMATS:
            raise InputError(f"{what}: expected a file ending in {', '.join(_FORMATS)}; got {name}")
        kind = _FORMATS[path.suffix.lower()]
        with path.open("rb") as file:
            content = file.read(_LARGEST[kind] + 1)
    except OSError as error:
        raise InputError(f"{what}: {name} cannot be read ({error.strerror})") from None
    if len(content) > _LARGEST[kind]:
        raise InputError(f"{what}: expected at most {_LARGEST[kind]:,} bytes of settings; {name} is larger")
    try:
        return kind, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: {name} is not readable as {kind} (no UTF-8 text: {error.reason})") from None


def _reason(error: Exception) -> str:
    """Return the error of a parser, on one line."""
    if isinstance(error, RecursionError):
        return "lists or tables are nested too deeply"
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def _read_yaml(text: str) -> Any:
    """Read one YAML document by the core schema, without tags, anchors and aliases."""
    open_items: list[list[Any]] = [[]]  # the content of each list and table that is still open, the outermost first
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None) is not None:
            raise _Unreadable("anchors and aliases are not read")
        if (tag := getattr(event, "tag", None)) is not None:
            raise _Unreadable(f"tags such as {shown(tag)[1:-1]} are not read")
        if isinstance(event, yaml.DocumentStartEvent) and open_items[0]:
            raise _Unreadable("expected one document; got several")
        if isinstance(event, yaml.CollectionStartEvent):
            open_items.append([])
            if len(open_items) > _DEEPEST:
                raise _Unreadable("lists or tables are nested too deeply")
        elif isinstance(event, yaml.SequenceEndEvent):
            closed = open_items.pop()
            open_items[-1].append(closed)
        elif isinstance(event, yaml.MappingEndEvent):
            closed = open_items.pop()
            open_items[-1].append(_table(zip(closed[::2], closed[1::2], strict=True)))
        elif isinstance(event, yaml.ScalarEvent):
            open_items[-1].append(_scalar(event.value) if event.style is None else event.value)
    return open_items[0][0] if open_items[0] else None


def _table(pairs: Iterable[tuple[object, Any]]) -> dict[str, Any]:
    """Return a table; refuse a key that occurs twice or is not text."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise _Unreadable(f"expected names as keys; got {shown(key)}")
        if key in table:
            raise _Unreadable(f"{shown(key)} occurs twice")
        table[key] = value
    return table


def _scalar(text: str) -> Any:
    """Read a value without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if not any(form.fullmatch(text) for form in (_INTEGER, _OCTAL, _HEXADECIMAL, _NUMBER)):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise _Unreadable(f"a number of {len(text):,} characters")
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16)
    return int(text) if _INTEGER.fullmatch(text) else float(text if text[-1].isdigit() else text.replace(".", "", 1))


def _read_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_table)


_READERS: dict[str, Callable[[str], Any]] = {"yaml": _read_yaml, "toml": tomllib.loads, "json": _read_json}

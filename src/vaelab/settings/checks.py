"""The check of settings: one sentence about the first error, with what to write instead."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from vaelab.errors import require_choice, shown
from vaelab.settings.hints import hint_for_key, hint_for_name
from vaelab.settings.reading import parse_overrides
from vaelab.settings.schema import Settings, TrainingSettings
from vaelab.settings.syntax import Hint, Names, Place, SettingError, Syntax, place_of

__all__ = ["refusal", "require_name", "validate"]

# The expectation in words for each type of pydantic's errors; {limit} stands for the numbers in it.
_EXPECTED = {
    "int_parsing": "an integer",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a word",
    "list_type": "a list",
    "sequence_str": "a list",
    "is_instance_of": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
}
_OF_DENSITIES = ("training", "seed", "device")  # what ``fit`` takes for a density model
_LONGEST = 80  # characters of a value that a hint repeats
_IN_PYTHON: tuple[Syntax, ...] = ("python", "fit", "sklearn")
_NULL: Mapping[Syntax, str] = {"words": "null", "yaml": "null", "json": "null", **dict.fromkeys(_IN_PYTHON, "None")}
_LEFT_OUT: Mapping[Syntax, str] = {
    **{syntax: f" ({word} is the word for a setting that is left out)" for syntax, word in _NULL.items()},
    "toml": " (leave the line out for a setting without a value)",
}
_LINES = " (write the lines of that file here)"
_COLUMNS: Mapping[Syntax, str] = {
    "yaml": _LINES,
    "toml": _LINES,
    "json": _LINES,
    "python": " (give the content of that file as a dictionary)",
}
_ALL: Mapping[Syntax, str] = {
    **dict.fromkeys(get_args(Syntax), "; vaelab settings MODEL lists all"),
    "fit": "; help(vaelab.training.TrainingSettings) lists all",
}


def require_name(key: str, name: object, table: Mapping[str, Any]) -> None:
    """Refuse a name that a table does not have; for names of other libraries and of papers, give vaelab's name."""
    if isinstance(name, str) and name not in table and (hint := hint_for_name(key, name)):
        raise SettingError(key, Hint(f"there is no {shown(name)}; ") + hint, Place("words"))
    require_choice(key, name, table)


def validate(kind: type[BaseModel], values: Mapping[str, Any], where: str = "") -> BaseModel:
    """Check values against a class; a :class:`SettingError` says in one sentence what is wrong first."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise refusal(kind, error, values, where) from None


def refusal(kind: type[BaseModel], error: ValidationError, values: Mapping[str, Any], where: str = "") -> SettingError:
    """Return the sentence about the first error of values of a class, which stand in the table ``where``."""
    faults = error.errors()
    fault = faults[0]
    path = _path(fault["loc"])
    key = ".".join(part for part in (where, path) if part) or "settings"
    if fault["type"] == "extra_forbidden":
        return SettingError(key, Hint("no such setting") + _instead(kind, key, where), place_of(values))
    if fault["type"] == "missing":
        return SettingError(key, Hint("expected a value, as there is no default; got none"), place_of(values))
    if fault["type"] in ("value_error", "bool", "large"):
        message = fault["msg"].removeprefix("Value error, ")
    elif fault["type"] in _EXPECTED:
        message = "expected " + _expected(fault, faults)
    else:
        message = f"{fault['msg'][0].lower()}{fault['msg'][1:]}"
    got = "" if fault["type"] == "value_error" else f"; got {shown(fault['input'])}"
    as_expected = _as_expected(key if _of_a_run(kind, where) else path, fault)
    return SettingError(key, Hint(message, got) + as_expected, place_of(values))


def _expected(first: ErrorDetails, faults: Sequence[ErrorDetails]) -> str:
    """Return what was expected in the place of the first error: of a value of several types, each of them."""
    of_place = [
        fault for fault in faults if fault["input"] is first["input"] and _path(fault["loc"]) == _path(first["loc"])
    ]
    words = [
        _EXPECTED[fault["type"]].format(**fault.get("ctx", {})) for fault in of_place if fault["type"] in _EXPECTED
    ]
    if len(words) > 1:  # one of a single word is that word
        words = [word if " or " in word or "," in word else word.removeprefix("one of ") for word in words]
    return " or ".join(dict.fromkeys(words))


_OF_UNIONS = ("function", "list[", "constrained", "lax-or-strict", "literal[")  # pydantic's names of types in a union


def _path(parts: Iterable[int | str]) -> str:
    """Return the place of an error as it is written: ``training.steps``, ``hidden_dims[0]``."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in ("int", "float", "str") and not part.startswith(_OF_UNIONS):
            path += f".{part}"
    return path.removeprefix(".")


def _as_expected(key: str, fault: ErrorDetails) -> Hint:
    """Return how to write the value: as the expected list, the columns of a file, or a setting that is left out."""
    value = fault["input"]
    if key == "columns" and isinstance(value, str):
        return Hint({**_COLUMNS, "words": f" (write --columns {shown(value)})"})
    if isinstance(value, str) and value.lower() == "none":
        return Hint(_LEFT_OUT)
    text = _in_list(value) if _EXPECTED.get(fault["type"]) == "a list" else ""
    if key.endswith("]"):  # of a list in a list, which has no key of its own
        return Hint(f" (write {text})" if text else "")
    return Hint(" (write ", ((key, text),), ")") if text else Hint()


def _in_list(value: object) -> str:
    """Return a list with a value, as it is written in every syntax; nothing for a value that is long, or of a table."""
    if not isinstance(value, int | float | str):
        return ""
    try:
        text = json.dumps([value], ensure_ascii=False, allow_nan=False)
    except ValueError:  # not a number
        return ""
    return text if len(text) <= _LONGEST else ""


def _of_a_run(kind: type[BaseModel], where: str) -> bool:
    """Return whether a class has the settings of a run, or one of their tables."""
    return issubclass(kind, Settings) or where in Settings.model_fields


def _instead(kind: type[BaseModel], key: str, where: str) -> Hint:
    """Return what to write instead of an unknown key: a synonym, or up to three similar keys."""
    if hint := hint_for_key(key, partial(_accepts, kind)):
        return Hint(f"; {'' if _of_a_run(kind, where) else 'under settings '}") + hint
    known = [f"{where}.{name}" if where else name for name in _leaves(kind)]
    last = key.rpartition(".")[2]
    tails = {name.rpartition(".")[2]: name for name in known}
    close = [tails[tail] for tail in difflib.get_close_matches(last, tails, n=3, cutoff=0.55)]
    close += difflib.get_close_matches(key, known, n=1, cutoff=0.8)
    if close:
        return Hint(Names(" (did you mean ", list(dict.fromkeys(close))[:3], " or ", "?)", _ALL))
    if issubclass(kind, Settings | TrainingSettings):
        return Hint(_ALL)
    return Hint(f"; known are {', '.join(known)}" if known else f"; this {where} has no options")


def _accepts(kind: type[BaseModel], words: str) -> bool:
    """Return whether every model, or this one, has the settings of a hint with these types."""
    known = _OF_DENSITIES if kind is TrainingSettings else Settings.model_fields
    for key, value in parse_overrides(words.split()).items():
        if key in getattr(kind, "absent", ()):
            return False
        spec = kind.model_fields.get(key)
        if spec is None and key not in known:
            return False
        try:
            if spec is not None and not isinstance(value, Mapping):
                TypeAdapter[Any](spec.annotation or Any).validate_python(value)
        except ValidationError:
            return False
    return True


def _leaves(kind: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, spec in kind.model_fields.items():
        if name in getattr(kind, "absent", ()):
            continue
        inner = spec.annotation
        if inspect.isclass(inner) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix + name

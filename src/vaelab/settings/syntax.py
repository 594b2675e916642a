"""How settings are written where they are given: as words of a command, in a file, or in Python.

Sentences about settings say what to write, such as ``estimator.name=rebar``. The reader of a file needs the same in the
syntax of that file, so an error keeps these settings apart until the place of the mistake is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from vaelab.errors import InputError, shown
from vaelab.estimators import ESTIMATORS
from vaelab.objectives import OBJECTIVES
from vaelab.settings.layers import nested

__all__ = [
    "TABLES",
    "Hint",
    "Layer",
    "Names",
    "Pairs",
    "Place",
    "SettingError",
    "Syntax",
    "pairs_of",
    "place_of",
    "written",
]

Syntax = Literal["words", "yaml", "toml", "json", "python", "fit", "sklearn"]
Pairs = Sequence[tuple[str, str]]  # keys with dots, and values as they are typed after a command
TABLES = ("training", "objective", "estimator")  # a file may have their settings in a section
_LITERAL = re.compile(r"[-+.]?\d.*|\[.*|true|false")  # written the same in every syntax, but for Python's True
_NEXT_LINE = " and in the next line "
_OF_FIT, _OF_DATA = ("seed", "device"), ("data", "binarisation")
_KEYWORDS: tuple[Syntax, ...] = ("fit", "sklearn")  # where settings of the training are arguments with their last word


class Place(NamedTuple):
    """How settings are written where they are given, and which of :data:`TABLES` are written out as a table there."""

    syntax: Syntax
    tables: frozenset[str] = frozenset()


_PYTHON = Place("python")


class Layer(dict[str, Any]):
    """Settings that were given in one place."""

    def __init__(self, settings: Mapping[str, Any], syntax: Syntax, tables: Iterable[str] = ()) -> None:
        super().__init__(settings)
        self.place = Place(syntax, frozenset(tables))


def place_of(layer: object) -> Place:
    """Return the place of a layer; a plain dictionary is one of Python."""
    if isinstance(layer, Layer):
        return layer.place
    given = layer if isinstance(layer, Mapping) else {}
    return Place("python", frozenset(table for table in TABLES if isinstance(given.get(table), Mapping)))


class Names(NamedTuple):
    """A list of settings by name: ``before``, the names with ``joint`` between them, ``after``.

    Where settings are arguments, only those of the training are named, unless the mistake is in a table such as
    ``estimator``. Without any, ``otherwise`` is said.
    """

    before: str
    keys: Sequence[str]
    joint: str
    after: str = ""
    otherwise: Mapping[Syntax, str] = {}

    def written(self, place: Place, key: str) -> str:
        """Return the list for a place, and the mistake in the setting ``key``."""
        keys = self.keys
        if place.syntax in _KEYWORDS:
            in_table = "." in key.removeprefix("training.")
            keys = [name for name in keys if in_table or name.startswith("training.")]
            keys = [name.removeprefix("training.") for name in keys]
        if not keys:
            return self.otherwise.get(place.syntax, "")
        return self.before + self.joint.join(_named(name, place, key) for name in keys) + self.after


def _named(name: str, place: Place, key: str) -> str:
    """Return the name of a setting as it is written at a place; a table that is written out takes its last word."""
    table, _, last = name.partition(".")
    if table not in place.tables or not last:
        return repr(name)
    return repr(last) if table == _table_at(place, key) else f"{last!r} in the table {table}"


def _table_at(place: Place, key: str) -> str:
    """Return the table, written out at a place, in which the setting ``key`` stands; none for the top level."""
    table, dot, _ = key.partition(".")
    return table if dot and table in place.tables else ""


Part = str | Names | Mapping[Syntax, str] | Pairs


class Hint:
    """A sentence about settings, in parts: text, names, text that is another one in each syntax, settings to write.

    str() gives it as for a command.
    """

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def __add__(self, other: Hint) -> Hint:
        return Hint(*self.parts, *other.parts)

    def written(self, place: Place, key: str = "") -> str:
        """Return the sentence for a place; ``key`` is that of the mistake."""
        return "".join(_part(part, place, key) for part in self.parts)

    def __str__(self) -> str:
        return self.written(Place("words"))


def _part(part: Part, place: Place, key: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Names):
        return part.written(place, key)
    return part.get(place.syntax, "") if isinstance(part, Mapping) else written(part, place, key)


class SettingError(InputError):
    """A mistake in the setting ``key``, told in the syntax of the place of the mistake.

    The sentence begins with the key, or with ``start`` instead.
    """

    def __init__(self, key: str, hint: Hint, place: Place = _PYTHON, start: str | None = None, about: str = "") -> None:
        named = key.removeprefix("training.") if place.syntax in _KEYWORDS else key
        super().__init__(f"{about}{start or shown(named)[1:-1]}: {hint.written(place, key)}")
        self.key, self.hint, self.place, self.start, self.before = key, hint, place, start, about

    def given_in(self, place: Place) -> SettingError:
        """Return the error of the same mistake in another place."""
        return SettingError(self.key, self.hint, place, self.start, self.before)

    def about(self, what: str) -> SettingError:
        """Return the error with a name of what the settings are of."""
        return SettingError(self.key, self.hint, self.place, self.start, f"{what}: {self.before}")


def pairs_of(words: str) -> Pairs:
    """Return words of a command, ``key=value`` each, as pairs; no value has a space.

    >>> pairs_of("estimator.name=rebar estimator.samples=4")
    (('estimator.name', 'rebar'), ('estimator.samples', '4'))
    """
    return tuple((key, text) for key, _, text in (word.partition("=") for word in words.split()))


def written(pairs: Pairs, place: Place, key: str = "") -> str:
    """Return settings as they are written at a place, where a mistake is in the setting ``key``.

    In a file they belong into the table that is written out there, or to the top level.

    >>> pairs = pairs_of("estimator.name=rebar estimator.samples=4")
    >>> written(pairs, Place("yaml", frozenset({"estimator"})))
    'name: rebar and in the next line samples: 4 in the table estimator'
    >>> print(written(pairs, Place("python")))
    estimator={"name": "rebar", "samples": 4}
    >>> written(pairs, Place("fit"))
    'estimator=Rebar(model, samples=4)'
    """
    return _WRITERS[place.syntax](pairs, place, key)


def _words(pairs: Pairs, place: Place, key: str) -> str:
    return " ".join(f"{name}={text}" if text else name for name, text in pairs)


def _lines(form: str, joint: str, top: str, quoted: bool) -> Callable[[Pairs, Place, str], str]:
    """Return what writes each setting as a line of a file; ``top`` names the top level where the mistake is in a table.

    Lines in one table follow each other.
    """

    def write(pairs: Pairs, place: Place, key: str) -> str:
        lines: dict[str, list[str]] = {}
        for name, text in pairs:
            table, _, last = name.partition(".")
            inside = last and table in place.tables
            line = form.format(key=last if inside else name, value=_quoted(text) if quoted else text)
            lines.setdefault(table if inside else "", []).append(line)
        at_top = f" at the top level of the settings{top}" if _table_at(place, key) or len(lines) > 1 else ""
        return ", and ".join(
            joint.join(group) + (f" in the table {table}" if table else at_top) for table, group in lines.items()
        )

    return write


def _quoted(text: str) -> str:
    return text if _LITERAL.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _arguments(pairs: Pairs, place: Place, key: str) -> str:
    """Return settings as arguments of Python; a table is a dictionary."""
    return _keywords(nested(pairs))


def _of_sklearn(pairs: Pairs, place: Place, key: str) -> str:
    """Return settings as arguments of an estimator of scikit-learn; those of the training have their last word."""
    return _keywords(nested((name.removeprefix("training."), text) for name, text in pairs))


def _keywords(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}: {_value(inner)}' for key, inner in value.items())}}}"
    return str(value).title() if value in ("true", "false") else _quoted(value)


def _of_fit(pairs: Pairs, place: Place, key: str) -> str:
    """Return settings as arguments of ``fit``, whose objective and estimator are objects, or where they belong."""
    settings = nested(pairs)
    parts = [_keywords(settings.pop("training"))] if "training" in settings else []
    if "objective" in settings:
        options = {"name": "elbo", **settings.pop("objective")}
        parts.append(f"objective={OBJECTIVES[options.pop('name')].__name__}({_keywords(options)})")
    if "estimator" in settings:
        options = settings.pop("estimator")
        made = ESTIMATORS[options.pop("name")].__name__ if "name" in options else ""
        arguments = ", ".join(["model", *([_keywords(options)] if options else [])])
        parts.append(f"estimator={made}({arguments})" if made else f"{_keywords(options)} where the estimator is made")
    for name, value in settings.items():
        where = "" if name in _OF_FIT else f" where the {'data are loaded' if name in _OF_DATA else 'model is built'}"
        parts.append(_keywords({name: value}) + where)
    return ", ".join(parts)


_WRITERS: dict[Syntax, Callable[[Pairs, Place, str], str]] = {
    "words": _words,
    "yaml": _lines("{key}: {value}", _NEXT_LINE, "", quoted=False),
    "toml": _lines("{key} = {value}", _NEXT_LINE, ", above its tables", quoted=True),
    "json": _lines('"{key}": {value}', ", ", "", quoted=True),
    "python": _arguments,
    "fit": _of_fit,
    "sklearn": _of_sklearn,
}

"""How settings are written where they are given: as words of a command, in a file, or in Python.

Sentences about settings say what to write, such as ``estimator.name=rebar``. The reader of a file needs the same in the
syntax of that file, so an error keeps these settings apart until the place of the mistake is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from vaelab.errors import InputError
from vaelab.estimators import ESTIMATORS
from vaelab.objectives import OBJECTIVES
from vaelab.settings.layers import nested

__all__ = ["Hint", "Layer", "Pairs", "SettingError", "Syntax", "pairs_of", "syntax_of", "written"]

Syntax = Literal["words", "yaml", "toml", "json", "python", "fit"]
Pairs = Sequence[tuple[str, str]]  # keys with dots, and values as they are typed after a command
_LITERAL = re.compile(r"[-+.]?\d.*|\[.*|true|false")  # written the same in every syntax, but for Python's True
_TABLES = ("training", "objective", "estimator")  # a file may have their settings in a section
_NEXT_LINE = " and in the next line "
_OF_FIT, _OF_DATA = ("seed", "device"), ("data", "binarisation")


class Layer(dict[str, Any]):
    """Settings that were given in one place, and how settings are written there."""

    def __init__(self, settings: Mapping[str, Any], syntax: Syntax) -> None:
        super().__init__(settings)
        self.syntax = syntax


def syntax_of(layer: object) -> Syntax:
    """Return how settings are written where a layer was given; a plain dictionary is one of Python."""
    return layer.syntax if isinstance(layer, Layer) else "python"


class Hint(NamedTuple):
    """A sentence that contains settings, ``pairs``; str() gives it as for a command.

    ``by_syntax`` is a part after ``before`` that is another one in each syntax.
    """

    before: str
    pairs: Pairs = ()
    after: str = ""
    by_syntax: Mapping[Syntax, str] = {}

    def written(self, syntax: Syntax, key: str = "") -> str:
        """Return the sentence with its settings in a syntax; ``key`` is that of the mistake."""
        settings = written(self.pairs, syntax, key) if self.pairs else ""
        return f"{self.before}{self.by_syntax.get(syntax, '')}{settings}{self.after}"

    def __str__(self) -> str:
        return self.written("words")


class SettingError(InputError):
    """A mistake in the setting ``key`` that says what to write, in the syntax of the place of the mistake."""

    def __init__(self, key: str, hint: Hint, syntax: Syntax = "python") -> None:
        super().__init__(hint.written(syntax, key))
        self.key, self.hint, self.syntax = key, hint, syntax

    def given_in(self, syntax: Syntax) -> SettingError:
        """Return the error of the same mistake in another place."""
        return SettingError(self.key, self.hint, syntax)

    def about(self, what: str) -> SettingError:
        """Return the error with a name of what the settings are of."""
        return SettingError(self.key, self.hint._replace(before=f"{what}: {self.hint.before}"), self.syntax)


def pairs_of(words: str) -> Pairs:
    """Return words of a command, ``key=value`` each, as pairs; no value has a space.

    >>> pairs_of("estimator.name=rebar estimator.samples=4")
    (('estimator.name', 'rebar'), ('estimator.samples', '4'))
    """
    return tuple((key, text) for key, _, text in (word.partition("=") for word in words.split()))


def written(pairs: Pairs, syntax: Syntax, key: str = "") -> str:
    """Return settings as they are written where a mistake is in the setting ``key``.

    In a file a mistake may stand in a table: so it says where the lines belong, unless all are at the top level.

    >>> pairs = pairs_of("estimator.name=rebar estimator.samples=4")
    >>> written(pairs, "yaml", "estimator.kind")
    'name: rebar and in the next line samples: 4 in the table estimator'
    >>> print(written(pairs, "python"))
    estimator={"name": "rebar", "samples": 4}
    >>> written(pairs, "fit")
    'estimator=Rebar(model, samples=4)'
    """
    table, dot, _ = key.partition(".")
    return _WRITERS[syntax](pairs, table if dot and table in _TABLES else "")


def _words(pairs: Pairs, table: str) -> str:
    return " ".join(f"{key}={text}" if text else key for key, text in pairs)


def _lines(form: str, joint: str, quoted: bool) -> Callable[[Pairs, str], str]:
    """Return what writes each setting as a line of a file, and the table of the mistake if there is one."""

    def write(pairs: Pairs, table: str) -> str:
        inside = bool(table) and all(key.startswith(f"{table}.") for key, _ in pairs)
        place = f" in the table {table}" if inside else " at the top level of the settings" if table else ""
        start = f"{table}." if inside else ""
        lines = [
            form.format(key=key.removeprefix(start), value=_quoted(text) if quoted else text) for key, text in pairs
        ]
        return joint.join(lines) + place

    return write


def _quoted(text: str) -> str:
    return text if _LITERAL.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _arguments(pairs: Pairs, table: str) -> str:
    """Return settings as arguments of Python; a table is a dictionary."""
    return _keywords(nested(pairs))


def _keywords(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_value(value)}" for key, value in settings.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}: {_value(inner)}' for key, inner in value.items())}}}"
    return str(value).title() if value in ("true", "false") else _quoted(value)


def _of_fit(pairs: Pairs, table: str) -> str:
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
    for key, value in settings.items():
        place = "" if key in _OF_FIT else f" where the {'data are loaded' if key in _OF_DATA else 'model is built'}"
        parts.append(_keywords({key: value}) + place)
    return ", ".join(parts)


_WRITERS: dict[Syntax, Callable[[Pairs, str], str]] = {
    "words": _words,
    "yaml": _lines("{key}: {value}", _NEXT_LINE, quoted=False),
    "toml": _lines("{key} = {value}", _NEXT_LINE, quoted=True),
    "json": _lines('"{key}": {value}', ", ", quoted=True),
    "python": _arguments,
    "fit": _of_fit,
}

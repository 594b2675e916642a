"""How settings are written where they are given: as words of a command, in a file, or in Python.

Sentences about settings contain words, such as ``estimator.name=rebar``. The reader of a file needs the same in the
syntax of that file, so an error keeps its words apart until the place of the mistake is known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from vaelab.errors import InputError
from vaelab.settings.layers import nested

__all__ = ["Hint", "Layer", "SettingError", "Syntax", "syntax_of", "written"]

Syntax = Literal["words", "yaml", "toml", "json", "python", "fit"]
_NEXT_WORD = re.compile(r" (?=[a-z_]+(?:\.[a-z_]+)*=)")
_LITERAL = re.compile(r"[-+.]?\d.*|\[.*|true|false")  # written the same in every syntax, but for Python's True


class Layer(dict[str, Any]):
    """Settings that were given in one place, and how settings are written there."""

    def __init__(self, settings: Mapping[str, Any], syntax: Syntax) -> None:
        super().__init__(settings)
        self.syntax = syntax


def syntax_of(layer: object) -> Syntax:
    """Return how settings are written where a layer was given; a plain dictionary is one of Python."""
    return layer.syntax if isinstance(layer, Layer) else "python"


class Hint(NamedTuple):
    """A sentence that contains ``words``, settings as they are typed after a command; str() gives that form."""

    before: str
    words: str = ""
    after: str = ""

    def written(self, syntax: Syntax) -> str:
        """Return the sentence with its settings in a syntax."""
        return f"{self.before}{written(self.words, syntax)}{self.after}"

    def __str__(self) -> str:
        return self.written("words")


class SettingError(InputError):
    """A mistake in the setting ``key`` that says what to write, in the syntax of the place of the mistake."""

    def __init__(self, key: str, hint: Hint, syntax: Syntax = "python") -> None:
        super().__init__(hint.written(syntax))
        self.key, self.hint, self.syntax = key, hint, syntax

    def given_in(self, syntax: Syntax) -> SettingError:
        """Return the error of the same mistake in another place."""
        return SettingError(self.key, self.hint, syntax)

    def about(self, what: str) -> SettingError:
        """Return the error with a name of what the settings are of."""
        return SettingError(self.key, self.hint._replace(before=f"{what}: {self.hint.before}"), self.syntax)


def written(words: str, syntax: Syntax) -> str:
    """Return words of a command, ``key=value`` each, as the settings are written elsewhere.

    ``fit`` is the syntax of its arguments, where those of the training have no table.

    >>> written("estimator.name=rebar estimator.samples=4", "yaml")
    'estimator.name: rebar and estimator.samples: 4'
    >>> print(written("estimator.name=rebar estimator.samples=4 hidden_dims=[8]", "python"))
    estimator={"name": "rebar", "samples": 4}, hidden_dims=[8]
    """
    return words if "=" not in words else _WRITERS[syntax](words)


def _pairs(words: str) -> list[tuple[str, str]]:
    return [(key, text) for key, _, text in (word.partition("=") for word in _NEXT_WORD.split(words))]


def _lines(form: str, quoted: bool) -> Callable[[str], str]:
    """Return what writes each word as a line of a file."""
    return lambda words: " and ".join(
        form.format(key=key, value=_quoted(text) if quoted else text) for key, text in _pairs(words)
    )


def _quoted(text: str) -> str:
    return text if _LITERAL.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _arguments(words: str) -> str:
    """Return words as arguments of Python; a table is a dictionary."""
    return ", ".join(f"{key}={_value(value)}" for key, value in nested(_pairs(words)).items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}: {_value(inner)}' for key, inner in value.items())}}}"
    return str(value).title() if value in ("true", "false") else _quoted(value)


_WRITERS: dict[Syntax, Callable[[str], str]] = {
    "words": str,
    "yaml": _lines("{key}: {value}", quoted=False),
    "toml": _lines("{key} = {value}", quoted=True),
    "json": _lines('"{key}": {value}', quoted=True),
    "python": _arguments,
    "fit": lambda words: _arguments(words.replace("training.", "")),
}

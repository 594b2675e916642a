"""Settings read from words and from files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml

from vaelab.refusals import Refusal
from vaelab.settings.layers import merge

__all__ = ["parse_overrides", "read_config"]


def read_config(path: Path) -> dict[str, Any]:
    """Read settings from a .yaml, .yml, .toml or .json file (a run's config.json: its ``settings``)."""
    if not path.is_file():
        raise Refusal(f"config: there is no file {str(path)!r}")
    try:
        text = path.read_text()
        content = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise Refusal(f"config: {path} is not readable as {path.suffix[1:] or 'YAML'} ({reason})") from error
    if isinstance(content, dict) and "format_version" in content:
        content = content.get("settings")
    if not isinstance(content, dict):
        raise Refusal(f"config: expected {path} to hold keys and values; got {type(content).__name__}")
    return content


def parse_overrides(words: list[str]) -> dict[str, Any]:
    """Turn ``key.sub=value`` words into nested settings; values are read as YAML.

    >>> parse_overrides(["latent_dim=2", "estimator.samples=4", "hidden_dims=[200, 200]"])
    {'latent_dim': 2, 'estimator': {'samples': 4}, 'hidden_dims': [200, 200]}
    """
    settings: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise Refusal(f"settings: expected key=value; got {word!r}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise Refusal(f"{key}: expected a value such as 20, relu or [200, 200]; got {text!r}") from None
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        settings = merge(settings, nested)
    return settings

"""The content of config.json: every setting, and a description of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from vaelab.data import DATASETS, Dataset, DataSpec
from vaelab.errors import InputError
from vaelab.models.saved import MODEL_FILE
from vaelab.seeds import DATA_SEED
from vaelab.settings import Settings, present_names, resolve
from vaelab.storage import Schema, unseal, versions
from vaelab.storage.sealed import parse_json

__all__ = ["DataSource", "configuration", "read_config", "settings_in", "source_of", "spec_in"]


class DataSource(Schema):
    """The source of data: a known name, a file, or given in Python; with the path as given and the absolute path."""

    kind: Literal["named", "file", "python"]
    given: str
    path: str | None = None


class DataFacts(Schema):
    """What a run must know of its data; ``spec`` is what :meth:`~vaelab.data.DataSpec.to_json` gives."""

    name: str
    sha256: str
    spec: dict[str, Any]
    splits: dict[str, int]
    binarisation_seed: int
    scale: float
    labels: bool
    source: DataSource


class ConfigFile(Schema):
    """The file config.json."""

    format_version: int
    versions: dict[str, str]
    settings: dict[str, Any]
    data: DataFacts


_EARLIER = {"gaussian-vae": {"dropout": 0.0}}  # of a run that was written before the data chose it


def source_of(name: str, given: Dataset | None = None) -> DataSource:
    """Return the source of data: Python if they are given as an object, else the data set or file ``name``."""
    if given is not None:
        return DataSource(kind="python", given=given.name)
    if name in DATASETS:
        return DataSource(kind="named", given=name)
    return DataSource(kind="file", given=name, path=str(Path(name).resolve()))


def configuration(settings: Settings, data: Dataset, source: DataSource) -> dict[str, Any]:
    """Return the content of config.json for a new run."""
    return {
        "versions": versions(),
        "settings": settings.model_dump(mode="json"),
        "data": {
            "name": data.name,
            "sha256": data.sha256(),
            "spec": data.spec.to_json(),
            "scale": data.scale,
            "labels": any(split.labels is not None for split in data.splits.values()),
            "splits": {name: len(split) for name, split in data.splits.items()},
            "binarisation_seed": DATA_SEED,
            "source": source.model_dump(),
        },
    }


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of the config.json of a run directory, or refuse a directory that is not a run."""
    where = path / "config.json"
    if not path.is_dir():
        raise InputError(f"run: there is no run directory {str(path)!r}")
    if not where.is_file() and (path / MODEL_FILE).is_file():
        raise InputError(
            f"run: expected a run directory; {str(path)!r} is a saved model, which has no record of its training "
            "(evaluate, sample, reconstruct and encode take it)"
        )
    if not where.is_file():
        raise InputError(f"run: {str(path)!r} is not a run directory (it has no config.json)")
    _require_spec(path, parse_json(where))
    config = unseal(where, ConfigFile)
    settings_in(config, where)
    spec_in(config, where)
    return config


def _require_spec(path: Path, content: Any) -> None:
    """Refuse the run of a version of vaelab that did not write the spec of the data."""
    facts = content.get("data") if isinstance(content, dict) else None
    if isinstance(facts, dict) and "sha256" in facts and "spec" not in facts:
        raise InputError(
            f"run: {str(path)!r} was written by an earlier version of vaelab, whose runs are not read; train it again "
            "(--overwrite replaces it)"
        )


def spec_in(config: dict[str, Any], where: Path) -> DataSpec:
    """Return the spec of the data in a configuration, without the mean; an InputError if there is none."""
    try:
        return DataSpec.from_json(config["data"]["spec"])
    except InputError as error:
        raise InputError(f"{where}: data.{error}; the file is damaged") from error


def settings_in(config: dict[str, Any], where: Path) -> Settings:
    """Return the settings of a configuration, or refuse invalid ones."""
    try:
        values = present_names(config["settings"])
        return resolve(values["model"], {**_EARLIER.get(values["model"], {}), **values})
    except InputError as refusal:
        raise InputError(f"{where}: {refusal}") from refusal
    except (KeyError, TypeError) as error:
        raise InputError(f"{where}: expected settings and data; it is damaged ({error!r})") from error

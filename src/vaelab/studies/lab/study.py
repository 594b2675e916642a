"""What a study trains and measures: the content of its file, checked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import Field

from vaelab.data import DataSpec
from vaelab.errors import InputError, shown
from vaelab.likelihood import BoundName
from vaelab.models import MODELS
from vaelab.settings import (
    OBSERVATIONS,
    Checked,
    Hint,
    Place,
    SettingError,
    Settings,
    read_content,
    require_name,
    resolve,
    validate,
)

__all__ = ["Entry", "Study", "packaged_study", "read_study"]

_NAME = re.compile(r"\w[\w.+-]*")
_QUICK = {"training": {"epochs": 2, "compile": False}}


class Entry(Checked):
    """One model of a study; the file has its settings as they are in one of ``vaelab train``."""

    model: str
    title: str | None = Field(default=None, description="its name in the report; by default the name of its run")
    settings: dict[str, Any] = Field(default={}, description="those that differ from the defaults")
    quick: dict[str, Any] = Field(default={}, description="further settings of the quick study")
    bounds: list[BoundName] | None = Field(
        default=None, description="what `vaelab evaluate` computes; its default if unset"
    )
    measure: list[Literal["gradients", "tightness"]] = Field(default=[], description="commands that measure the run")
    optional: bool = Field(
        default=False, description="whether it is left out, with a warning, where it cannot be trained"
    )
    together: bool = Field(default=True, description="whether it is on the page of the explorer with several models")


class Study(Checked):
    """The models of a study, in the order of its report, and the settings that all of them have.

    Raises:
        InputError: no model, two models of one title, settings of one model that define the data.
    """

    title: str | None = Field(default=None, description="of the report; by default it names the data")
    settings: dict[str, Any] = Field(default={}, description="of every model, such as the data and the seed")
    longest: list[str] = Field(default=[], description="models that are trained first, so that two end together")
    models: dict[str, Any]

    @property
    def entries(self) -> dict[str, Entry]:
        """The models by the names of their runs."""
        return {name: cast(Entry, validate(Entry, table, f"models.{name}")) for name, table in self.models.items()}

    @property
    def titles(self) -> dict[str, str]:
        """The title of each model by the name of its run."""
        return {name: entry.title or name for name, entry in self.entries.items()}

    def settings_of(self, name: str, quick: bool = False) -> Settings:
        """Return the settings of a model; those of the quick study replace others.

        Raises:
            InputError: settings that the model does not have, with the name of the model.
        """
        entry = self.entries[name]
        shorter = [_QUICK] if quick and "training" not in MODELS[entry.model].absent else []
        try:
            return resolve(entry.model, self.settings, entry.settings, *shorter, *([entry.quick] if quick else []))
        except SettingError as refusal:
            raise refusal.about(f"models.{name}") from None
        except InputError as refusal:
            raise InputError(f"models.{name}: {refusal}") from None

    def without(self, names: Collection[str]) -> Study:
        """Return the study without some models."""
        models = {name: table for name, table in self.models.items() if name not in names}
        return self.model_copy(
            update={"models": models, "longest": [name for name in self.longest if name not in names]}
        )

    def on(self, given: Mapping[str, Any]) -> Study:
        """Return the study with other settings of all models, such as the data."""
        return self.model_copy(update={"settings": {**self.settings, **given}})


def read_study(path: Path) -> Study:
    """Read a study from a .yaml, .yml, .toml or .json file.

    Raises:
        InputError: a missing file, or content that is not a study; the sentence names the key.
    """
    content = read_content(path, "config")
    try:
        return _study_of(content)
    except SettingError as refusal:
        place = Place(content.place.syntax, refusal.place.tables)  # those of the model that has the mistake
        raise refusal.given_in(place).about(f"config: {shown(str(path))}") from None
    except InputError as refusal:
        raise InputError(f"config: {shown(str(path))}: {refusal}") from None


def packaged_study(spec: DataSpec) -> tuple[Study, str]:
    """Return the study that comes with vaelab for data of a kind, and the text of its file."""
    kinds = {kind for kind, _, _ in spec.groups}
    name = "images" if spec.image_shape is not None else "bits" if kinds == {"binary"} else "columns"
    file = resources.files(__package__).joinpath(f"{name}.yaml")
    with resources.as_file(file) as path:
        return read_study(path), file.read_text("utf-8")


def _study_of(content: Mapping[str, Any]) -> Study:
    study = cast(Study, validate(Study, content))
    if not study.models:
        raise InputError("models: expected at least one model; got none")
    for name, table in study.models.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"models: expected names of directories, of letters, digits and .+-; got {shown(name)}")
        if not isinstance(table, Mapping):
            example = (("model", "gaussian-vae"),)
            hint = Hint("expected a table with a model, such as ", example, f"; got {shown(table)}")
            raise SettingError(f"models.{name}", hint)
    for name, entry in study.entries.items():
        require_name(f"models.{name}.model", entry.model, MODELS)
        if defined := [key for key in OBSERVATIONS if key in {**entry.settings, **entry.quick}]:
            raise InputError(
                f"models.{name}.settings.{defined[0]}: numbers on different data do not compare; write it under "
                "settings of the study, for all models"
            )
        if "gradients" in entry.measure and not MODELS[entry.model].has_codes:
            raise InputError(f"models.{name}.measure: gradients is for models with codes; got {entry.model}")
        if "tightness" in entry.measure and entry.model != "sbn":
            raise InputError(f"models.{name}.measure: tightness is for sbn; got {entry.model}")
        study.settings_of(name)
    titles = list(study.titles.values())
    for title in titles:
        if titles.count(title) > 1:
            raise InputError(f"models: expected a title for each model; {shown(title)} is that of two")
    for name in study.longest:
        require_name("longest", name, study.models)
    return study

"""Opening a run to resume it: its settings and its data must be those that it was started with."""

from __future__ import annotations

from pathlib import Path

from vaelab.data import Column, Dataset
from vaelab.data.variables import require_same_levels
from vaelab.errors import InputError
from vaelab.models import MODELS
from vaelab.runs import DataSource, Run, require_run
from vaelab.settings import Settings

__all__ = ["columns_of", "reopen"]


# The SHA-256 identifies the data, however they are read, and a device changes steps only by rounding.
_OF_DATA = ("data", "values", "scale", "label_column", "weight_column", "columns", "drop")
_OF_SPLITS = ("validation", "test", "split_column", "group_column", "stratify", "split_seed")
_MAY_DIFFER = ("device", *_OF_DATA, *_OF_SPLITS)


def reopen(out: str | Path, settings: Settings, data: Dataset, source: DataSource) -> Run:
    """Open a run to resume it, or refuse settings or data other than those that it was started with.

    Only settings without effect on completed steps may differ: the device, the path of the data and how they are read,
    and the options that the model's row in ``MODELS`` names as ``after_training``: those of an auto-encoder's mixture,
    which is then fitted again. The latter are written to the run.
    """
    run = Run(out)
    started, requested = settings_by_name(run.settings), settings_by_name(settings)
    after = MODELS[settings.model].after_training
    for name in [*started, *(name for name in requested if name not in started)]:
        if name.partition(".")[0] not in (*_MAY_DIFFER, *after) and started.get(name) != requested.get(name):
            raise InputError(
                f"resume: {name} is {started.get(name)!r} in {str(out)!r} and {requested.get(name)!r} in this command; "
                f"a run goes on with its own settings ({', '.join(('device', *after))} may differ)"
            )
    if run.config["data"].get("sha256") != data.sha256():
        require_same_levels(run.spec.variables, data.variables)
        raise InputError(f"resume: the data are not those that {str(out)!r} was started with (SHA-256)")
    if source.kind == "file" and source != run.source:
        run.moved_data(source)
    if any(started[name] != requested[name] for name in after):
        run.change_settings(run.settings.model_copy(update={name: getattr(settings, name) for name in after}))
    return run


def columns_of(out: Path, settings: Settings) -> tuple[Column, ...] | tuple[str, ...] | None:
    """Return the columns that a run has stored with their levels, by which its table is read again.

    A run of an earlier vaelab may have levels in another order than a new reading of its file gives. None if there is
    no run, no table, or if the settings say something else of the columns than those of the run.

    Raises:
        InputError: a directory with a config.json that is not that of a run.
    """
    if not (out / "config.json").exists():
        return None
    require_run(out)
    run = Run(out)
    alike = (run.settings.columns, run.settings.drop) == (settings.columns, settings.drop)
    return run.spec.columns_to_read() if alike else None


def settings_by_name(settings: Settings) -> dict[str, object]:
    """Return every setting under its full name, such as ``training.steps``."""
    by_name: dict[str, object] = {}
    for key, value in settings.model_dump(mode="json").items():
        nested = value if isinstance(value, dict) else {"": value}
        by_name |= {f"{key}.{sub}".rstrip("."): leaf for sub, leaf in nested.items()}
    return by_name

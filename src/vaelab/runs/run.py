"""A run: open its directory, or create a new one."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vaelab.data import Binarisation, Dataset, DataSpec, order_columns
from vaelab.errors import InputError
from vaelab.evaluation import Diagnosis, EvaluationRecord
from vaelab.models import Model
from vaelab.priors import MixturePrior
from vaelab.runs.checkpoints import Checkpoints
from vaelab.runs.config import DataSource, configuration, read_config, settings_in, source_of, spec_in
from vaelab.runs.directory import entries, remove_run, require_removable, require_run
from vaelab.runs.metrics import Metrics
from vaelab.runs.results import Results
from vaelab.settings import Settings
from vaelab.storage.files import write_file
from vaelab.storage.sealed import seal
from vaelab.storage.tensors import load_tensors, save_tensors, sha256_of, step_of

__all__ = ["Loaded", "Run"]

_TRIES = 20  # attempts to read weights that a training replaces at the same time


@dataclass(frozen=True)
class Loaded:
    """A model with the selected weights; their SHA-256 and step are stored with numbers computed from them.

    The step is None for the weights of an earlier vaelab, which did not store it.
    """

    model: Model
    weights: str
    step: int | None = None


class Run:
    """A run directory, written by a training and read by other commands.

    It can be moved and read on another machine. ``Run(path)`` opens one; a directory that is not a run, is damaged or
    has a newer format is refused in one sentence. :meth:`create` starts one.

    Args:
        path: the directory.
        config: the content of config.json, for a directory that only another host can read.
    """

    def __init__(self, path: str | Path, config: dict[str, Any] | None = None) -> None:
        self.path = Path(path)
        self.config: dict[str, Any] = read_config(self.path) if config is None else config
        self.settings: Settings = settings_in(self.config, self.path / "config.json")
        self.spec: DataSpec = spec_in(self.config, self.path / "config.json")
        self._checkpoints = Checkpoints(self.path / "checkpoints")
        self._metrics = Metrics(self.path / "metrics.jsonl")
        self._results = Results(self.path)

    @classmethod
    def create(
        cls,
        path: str | Path,
        settings: Settings,
        data: Dataset,
        overwrite: bool = False,
        source: DataSource | None = None,
    ) -> Run:
        """Start a run directory, refusing one that is not empty unless ``overwrite``.

        ``overwrite`` removes the files that vaelab wrote into a run directory, and nothing else. ``source`` is the
        source of the data; the default means that they were given in Python.
        """
        path = Path(path)
        source = source if source is not None else source_of(data.name, data)
        if entries(path):
            if not overwrite:
                raise InputError(
                    f"out: expected a new or empty directory; {str(path)!r} is not empty "
                    "(--resume continues it, --overwrite replaces it)"
                )
            require_run(path)
            require_removable(path, [*([source.path] if source.path else []), *settings.held_out_files])
            remove_run(path, config=False)  # it is replaced atomically, so that the directory is always a run
        write_file(path / "config.json", seal(configuration(settings, data, source)))
        return cls(path)

    def load_data(self, *names: str | Path) -> Dataset:
        """Load the data that the run was trained on; see :meth:`find_data`."""
        return self.find_data(*names)[0]

    def find_data(self, *names: str | Path) -> tuple[Dataset, str | Path]:
        """Return the data that the run was trained on, found by their SHA-256, and where they are.

        The path from config.json is tried from the working directory, as an absolute path, and from the run directory
        and its parents; or only ``names``, files or named data sets.

        Raises:
            InputError: the data are missing, cannot be read, or are different data.
        """
        facts, others = self.config["data"], []
        refused: InputError | None = None
        for place in names or self.data_places():
            try:
                data = self._in_order(self.read_data(place))
            except InputError as refusal:
                refused = refused or (refusal if names or Path(place).exists() else None)
                continue
            if data.sha256() == facts["sha256"]:
                data = data.with_binarisation(self.binarisation)
                named = data.name == facts["name"]
                return data if named else dataclasses.replace(data, name=facts["name"]), place
            others.append(place)
        if others:
            raise InputError(
                f"data: {str(others[0])!r} is not the data that {self.path} was trained on (SHA-256); "
                "--data FILE says where they are"
            )
        if refused is not None:
            raise refused
        came = "were given in Python" if self.source.kind == "python" else f"were read from {self.source.given!r}"
        reason = f"the data {facts['name']!r} of {self.path} {came} and are not found"
        raise InputError(f"data: {reason}; --data FILE says where they are")

    def read_data(self, place: str | Path, split: bool = True) -> Dataset:
        """Read data as the run's settings say, whatever data they are; their binarisation is the default.

        Columns of a table with kinds are encoded by the levels that they had in the training.
        """
        held_out = {name: _found_beside(place, getattr(self.settings, name)) for name in ("validation", "test")}
        settings = self.settings.model_copy(update={"binarisation": None, "condition": None, **held_out})
        beside = settings.split_column is not None or settings.group_column is not None
        columns = self.spec.columns_to_read(plain=settings.drop or (beside and not split))
        return settings.load_data(place, split, columns).with_condition(self.spec.condition)

    @property
    def binarisation(self) -> Binarisation:
        """How the grey levels of the data became bits in the training."""
        if self.spec.binarisation is None:
            raise InputError(f"{self.path}: expected the binarisation of the data in config.json; the file is damaged")
        return self.spec.binarisation

    @property
    def name(self) -> str:
        """The name of the directory, even if the path is ``.``."""
        return Path(os.path.abspath(self.path)).name

    @property
    def source(self) -> DataSource:
        """The source of the data."""
        return DataSource(**self.config["data"]["source"])

    def data_places(self) -> Iterator[str | Path]:
        """Yield the possible paths of the data."""
        source, folder_of_run = self.source, self.path.resolve()
        yield source.given
        places = [Path(source.path)] if source.path else []
        if source.kind == "file":
            places += [folder / source.given for folder in (folder_of_run, *folder_of_run.parents)]
        yield from dict.fromkeys(place for place in places if place.exists())

    def _in_order(self, data: Dataset) -> Dataset:
        """Return the data with their columns in the run's order, if they are the run's columns."""
        try:
            return order_columns(data, self.spec.columns)
        except InputError:
            return data

    def moved_data(self, source: DataSource) -> None:
        """Store the present path of the data in config.json."""
        self.config["data"]["source"] = source.model_dump()
        self._write_config()

    def change_settings(self, settings: Settings) -> None:
        """Write changed settings to config.json; only for settings that have no effect on the training."""
        self.settings = settings
        self.config["settings"] = settings.model_dump(mode="json")
        self._write_config()

    def _write_config(self) -> None:
        write_file(self.path / "config.json", seal(self.config))

    def save_weights(self, weights: dict[str, Tensor], step: int | None = None) -> None:
        """Write the selected weights, by name, with the step that they are of."""
        save_tensors(self.path / "model.safetensors", weights, step)

    def save_density(self, prior: MixturePrior) -> None:
        """Write the mixture over the codes of an auto-encoder."""
        save_tensors(self.path / "density.safetensors", prior.arrays())

    def load_model(self) -> Model:
        """Rebuild the model from the config and load the selected weights, in evaluation mode."""
        return self.load().model

    def load(self) -> Loaded:
        """Return the model with the selected weights, in evaluation mode, and the SHA-256 of these weights.

        If a training replaces them meanwhile, they are read again until all files are of one version.

        Raises:
            InputError: weights that are missing, damaged, or of another model.
        """
        for _ in range(_TRIES):
            before = self._stamps()
            try:
                loaded = self._load()
            except InputError:
                if self._stamps() == before:
                    raise
                continue
            if self._stamps() == before:
                return loaded
        raise InputError(f"{self.path}: the weights were replaced {_TRIES} times while they were read; try again later")

    def _load(self) -> Loaded:
        model = self.settings.build_model(self.spec)
        path, density = self._weights
        tensors, weights = load_tensors(path)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: the weights do not fit the model of config.json ({reason})") from error
        prior = getattr(model, "prior", None)
        if isinstance(prior, MixturePrior) and density.exists():
            arrays, mixture = load_tensors(density)
            prior.load(arrays)
            weights = _joint(weights, mixture)
        return Loaded(model.eval(), weights, step_of(path))

    def weights(self) -> str | None:
        """Return the SHA-256 of the present weights, or None if there are none yet."""
        path, density = self._weights
        digest, mixture = sha256_of(path), sha256_of(density)
        return _joint(digest, mixture) if digest and mixture else digest

    @property
    def _weights(self) -> tuple[Path, Path]:
        return self.path / "model.safetensors", self.path / "density.safetensors"

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        """Return file attributes that change when a file of weights is replaced."""
        return [_stamp(path) for path in self._weights]

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, and keep the one before it."""
        self._metrics.sync()  # rows must be on the disk before a checkpoint that counts on them
        self._checkpoints.save(state)

    def load_checkpoint(self) -> dict[str, Any] | None:
        """Return the last intact checkpoint, or None if the training stopped before its first one."""
        return self._checkpoints.load()

    def log(self, row: dict[str, Any]) -> None:
        """Append one object to metrics.jsonl."""
        self._metrics.log(row)

    def metrics(self, up_to: int | None = None) -> list[dict[str, Any]]:
        """Return the logged rows, up to a step; a last line that a crash truncated is left out."""
        return self._metrics.rows(up_to)

    def forget_after(self, step: int) -> None:
        """Drop the rows logged after ``step``, which a resumed training will log again."""
        self._metrics.forget_after(step)

    def evaluations(self) -> list[EvaluationRecord]:
        """Return the evaluations of the present weights."""
        present = self.weights()
        return [record for record in self.all_evaluations() if present and record.weights == present]

    def all_evaluations(self) -> list[EvaluationRecord]:
        """Return every evaluation; ``weights`` is the SHA-256 of its weights."""
        return self._results.evaluations()

    def add_evaluations(
        self, records: Iterable[EvaluationRecord], weights: str, values: Mapping[str, Tensor] | None = None
    ) -> None:
        """Add evaluations of weights; one of the same name, weights, split, protocol and seed is replaced.

        ``values`` has the values of the observations, (N,), for the names of some of them.
        """
        self._results.add_evaluations(records, weights, values)

    def values(self, record: EvaluationRecord) -> Tensor | None:
        """Return the values of the observations of a stored number, (N,), or None if they were not stored."""
        return self._results.values(record)

    def diagnoses(self, split: str = "test") -> list[Diagnosis]:
        """Return the diagnoses of the present weights on a split, with the arrays of their figures."""
        present = self.weights()
        found = [] if present is None else self._results.diagnoses(present)
        return [diagnosis for diagnosis in found if diagnosis.split == split]

    def add_diagnoses(self, diagnoses: Iterable[Diagnosis], weights: str) -> None:
        """Add diagnoses of weights; those of other weights, and one of the same name and split, are replaced."""
        self._results.add_diagnoses(diagnoses, weights)

    def gradients(self) -> dict[str, Any] | None:
        """Return the gradient estimators measured on the present weights, or None if they were not measured."""
        return self._of_present(self._results.measured("gradients"))

    def tightness(self) -> dict[str, Any] | None:
        """Return the bounds of all inference methods on the present weights, or None if they were not measured."""
        return self._of_present(self._results.measured("tightness"))

    def _of_present(self, result: dict[str, Any] | None) -> dict[str, Any] | None:
        return result if result is not None and result.get("weights") in {self.weights()} - {None} else None

    def save_gradients(self, result: dict[str, Any], weights: str) -> None:
        """Write the gradient estimators measured on weights; earlier ones are replaced."""
        self._results.save_measured("gradients", result, weights)

    def save_tightness(self, result: dict[str, Any], weights: str) -> None:
        """Write the bounds of all inference methods measured on weights; earlier ones are replaced."""
        self._results.save_measured("tightness", result, weights)

    @property
    def finished(self) -> bool:
        """Whether the training is complete."""
        return any(row.get("finished") for row in self.metrics())


def _found_beside(place: str | Path, file: str | None) -> str | None:
    """Return where a further file of the data is: as it was given, or in the folder of the data."""
    if file is None or Path(file).exists():
        return file
    beside = Path(place).parent / Path(file).name
    return str(beside) if beside.exists() else file


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _joint(weights: str, mixture: str) -> str:
    """Return the SHA-256 of the weights of an auto-encoder and of the mixture of its codes."""
    return hashlib.sha256(f"{weights}{mixture}".encode()).hexdigest()

"""The model that a command line names: that of a run, or a saved one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
from torch import Tensor

from vaelab.data import DATASETS, Dataset, DataSpec, load_data, order_columns
from vaelab.errors import InputError
from vaelab.evaluation import encode
from vaelab.models import Model, require_latent
from vaelab.models.saved import MODEL_FILE
from vaelab.runs import Run, encode_with_run, load, rows_for_run

__all__ = ["OpenedModel", "is_saved_model"]


def is_saved_model(path: Path) -> bool:
    """Return whether a directory holds a saved model, and not a run."""
    return (path / MODEL_FILE).is_file() and not (path / "config.json").is_file()


@dataclass(frozen=True)
class OpenedModel:
    """A model with the path that a user gave; ``file`` is where the data are, if the user says so.

    Raises:
        InputError: there is neither a run nor a saved model; from its parts, data that are not given or do not fit.
    """

    path: Path
    file: str | None = None

    @cached_property
    def run(self) -> Run | None:
        """The run, or None for a saved model."""
        return None if is_saved_model(self.path) else Run(self.path)

    @cached_property
    def model(self) -> Model:
        """The model, in evaluation mode."""
        return load(self.path) if self.run is None else self.run.load_model()

    @property
    def name(self) -> str:
        """The name of the directory, also where the path is ``.``."""
        return self.path.absolute().name

    @property
    def spec(self) -> DataSpec | None:
        """The form of the data that the model is for, if it is known."""
        return self.model.spec if self.run is None else self.run.spec

    @cached_property
    def data(self) -> Dataset:
        """The data of the run, or those that the user names, under the binarisation of the training."""
        if self.run is not None:
            return self.run.load_data(*([] if self.file is None else [self.file]))
        if self.file is None:
            raise InputError(f"data: expected --data FILE; {str(self.path)!r} is a saved model, which names no data")
        if self.spec is None:
            return load_data(self.file)
        data = load_data(self.file, columns=self.spec.columns_to_read())
        data = order_columns(data.with_condition(self.spec.condition), self.spec.columns)
        if data.dim != self.spec.dim:
            raise InputError(
                f"data: the model {str(self.path)!r} expects {self.spec.dim} columns; {self.file!r} has {data.dim}"
            )
        return data.with_binarisation(self.spec.binarisation) if data.kind == self.spec.kind else data

    def places(self) -> Iterable[str | Path]:
        """Return where the data are or may be: no command writes there."""
        held_out = [] if self.run is None else self.run.settings.held_out_files
        if self.file is not None:
            return [self.file, *held_out]
        return [] if self.run is None else [*self.run.data_places(), *held_out]

    @property
    def data_words(self) -> str:
        """What a command that reads data needs beside the path."""
        return "" if self.run is not None else f" --data {shlex.quote(self.file or 'FILE')}"

    def out_words(self, name: str) -> str:
        """What a command that shows observations needs beside the path, where they are not images."""
        return "" if self.spec is not None and self.spec.image_shape else f" --out {name}.csv"

    def figure(self, name: str) -> Path:
        """Return where a figure is written by default: in the run, or for a saved model in the working directory."""
        return Path(f"{self.name}-{name}") if self.run is None else self.path / "figures" / name

    def images(self, rows: Tensor) -> npt.NDArray[Any]:
        """Return rows (N, X) as images (N, H, W), without what a conditional model is given."""
        shape = None if self.spec is None else self.spec.image_shape
        if self.spec is None or shape is None:
            raise InputError(
                f"images: the data of {str(self.path)!r} are not images of a known shape; --out FILE.csv writes a "
                "table, and FILE.npz arrays"
            )
        return rows[:, : self.spec.dim].reshape(-1, *shape).cpu().numpy()

    def table(self, rows: Tensor) -> dict[str, npt.NDArray[Any]]:
        """Return rows (N, X) as columns by name, those of the user's table where the data are one."""
        spec = self.spec if self.spec is not None else DataSpec.of(self.model.data_dim - self.model.given)
        return spec.decode(rows[:, : spec.dim])

    @cached_property
    def _found(self) -> str | Path | None:
        """Where the data are: what the user names, or where the data of the run are found; they are read for it."""
        return self.file if self.file is not None or self.run is None else self.run.find_data()[1]

    @property
    def place(self) -> Path | None:
        """The file of the data: the one that the user names, or that of the run; None for a named data set."""
        return None if self._found is None or str(self._found) in DATASETS else Path(self._found)

    def shown(self, split: str | None) -> tuple[Dataset, str]:
        """Return the data to show rows of, and the name of a split: of other data than the run's all rows, in order."""
        if self.run is None or self.file is None or split is not None:
            return self.data, split or "test"
        try:
            return self.data, "test"
        except InputError:  # not the data of the run
            return self.rows()

    def rows(self) -> tuple[Dataset, str]:
        """Return all rows of the file in their order, as the model reads them, and the name of their split.

        Of a file that has splits itself it is the test split.
        """
        if self.run is not None:
            return rows_for_run(self.run, self._found)
        if self.file is None:
            return self.data, "test"  # an InputError: a saved model names no data
        columns = None if self.spec is None else self.spec.columns_to_read()
        data = load_data(self.file, split=False, columns=columns)
        if self.spec is not None:
            data = order_columns(data.with_condition(self.spec.condition), self.spec.columns)
        return data, "all" if "all" in data.splits else "test"

    def encode(self, split: str | None) -> dict[str, npt.NDArray[Any]]:
        """Return the codes of a split of the data, or of those of a file."""
        if self.run is not None:
            return encode_with_run(self.run, self.file, split)
        chosen = self.data.split(split or "test")
        arrays = encode(require_latent(self.model, "encode"), chosen.observations())
        labels = self.data.named_labels(split or "test")
        return arrays if labels is None else arrays | {"labels": labels}

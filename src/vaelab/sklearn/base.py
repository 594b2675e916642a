"""What the estimators have in common: everything but their parameters."""

from __future__ import annotations

import copy
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from vaelab.data import Column, Dataset, DataSpec, Split
from vaelab.data.sparse import SparseRows
from vaelab.data.values import Array, Kind, has_missing
from vaelab.data.variables import kind_of
from vaelab.data.weights import require_weights, weighted_mean
from vaelab.evaluation import SAMPLES, Evaluation, ImputeKind, evaluate, impute
from vaelab.likelihood import BoundName, Callback, Effort, Start
from vaelab.models import LatentVariableModel, Model
from vaelab.models.saved import MODEL_FILE, WEIGHTS_FILE
from vaelab.networks import Precision
from vaelab.seeds import derive_seed, seeded
from vaelab.settings import Layer, Settings, resolve
from vaelab.sklearn.reading import as_given, filled_frame, frame_of, read_first, read_more
from vaelab.sklearn.storing import ESTIMATOR_FILE, model_bytes, model_of, read_estimator, sealed_estimator
from vaelab.sklearn.tables import data_of, kind_of_rows, require_kind, stored_rows, tensors_of, values_of
from vaelab.storage import require_free, write_file
from vaelab.training import fit
from vaelab.training.length import for_data
from vaelab.training.result import FitResult, History, Row, objective_label

__all__ = ["ModelEstimator", "Rows", "array_of"]

_log = logging.getLogger("vaelab")
Rows = npt.NDArray[np.float64]
_TRAINING = ("epochs", "steps", "batch_size", "learning_rate")
_OF_THE_ESTIMATOR = ("columns", "validation_fraction", "bound", "bound_samples", "device", "random_state", "verbose")
_FITTED = ("n_iter_", "history_", "n_features_in_", "feature_names_in_", "_seed", "_frame")


class ModelEstimator(DensityMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """Base of the estimators. A subclass has a constructor, whose arguments are settings of the model ``_model``."""

    _model: ClassVar[str]
    model_: Model
    n_iter_: int
    history_: History

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train a new model on X (N, features): an array, a sparse matrix or a data frame of numbers.

        Args:
            X: the rows.
            y: not used; there for pipelines.
            sample_weight: how much each row counts, (N,): a row of weight 2 is two rows. Of weights that are not whole
                numbers the weighted mean is maximised.

        Raises:
            ValueError: values that the likelihood is not for, or arguments that do not fit.
        """
        rows, variables = read_first(self, X, self.columns)
        weights = require_weights("sample_weight", sample_weight, len(rows))
        self._seed, self._frame = self._new_seed(), as_given(X)
        data = self._data(rows, weights, variables, getattr(self, "validation_fraction", 0.0))
        settings = for_data(self._settings(len(data.train)), data)
        with seeded(self._seed, "weights"):
            model = settings.build_model(data)
        result = self._train(model, data, settings, self._seed)
        self.model_, self.n_iter_, self.history_ = model, result.steps, result.history
        if result.warning:
            _log.warning("%s", result.warning)
        if result.stop_reason == "interrupted":
            raise KeyboardInterrupt
        return self

    @abstractmethod
    def score_samples(self, X: Any) -> Rows:
        """Return log p(x) of each row, or a lower bound on it, in nats, (N,)."""

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the mean of :meth:`score_samples`, in nats per row; the weighted mean with ``sample_weight``."""
        values = torch.from_numpy(self.score_samples(X))
        weights = require_weights("sample_weight", sample_weight, len(values))
        return float(weighted_mean(values, None if weights is None else torch.from_numpy(weights)))

    def evaluate(
        self,
        X: Any,
        bounds: Sequence[BoundName] | None = None,
        samples: int = SAMPLES,
        seed: int = 0,
        callback: Callback | None = None,
        *,
        sample_weight: Any = None,
        rows: int | None = None,
        chains: int = Effort.chains,
        temperatures: int = Effort.temperatures,
        start: Start = Effort.start,
        precision: Precision = "float32",
    ) -> Evaluation:
        """Return what :func:`vaelab.evaluate` returns, of rows X: numbers with errors, protocol and advice.

        The arguments are those of that function, with the same defaults; the codes are drawn from ``seed``.

        Args:
            X: the rows.
            bounds, samples, seed, callback, rows, chains, temperatures, start, precision: as there.
            sample_weight: weights of the rows, (N,), for weighted means.

        Raises:
            ValueError: rows of other columns or values than in the fit, or arguments that do not fit.
        """
        data = self.as_dataset(X, sample_weight)
        model = copy.deepcopy(self.model_).allow_missing() if data.has_missing else self.model_
        effort: Any = {"chains": chains, "temperatures": temperatures, "start": start, "precision": precision}
        return evaluate(model, data, "all", bounds, samples, seed, callback, rows=rows, **effort)

    def anomaly_score(self, X: Any) -> Rows:
        """Return minus :meth:`score_samples`, in nats, (N,): high for rows that are unlikely under the model."""
        return -self.score_samples(X)

    def impute(self, X: Any, *, kind: ImputeKind = "mean", samples: int = 500, n_draws: int = 0) -> Any:
        """Return X with its missing values, which are NaN, filled in: with their expectation given the observed ones.

        :func:`vaelab.impute` does it, and called with ``model_`` also gives the effective samples of each row.

        Args:
            X: the rows.
            kind: ``mean``, or ``mode`` for the likelier value of each bit.
            samples: K, codes drawn for each row.
            n_draws: where it is above 0, so many multiple imputations are returned instead: (n_draws, N, features), or
                a list of frames.
        """
        check_is_fitted(self)
        rows = self._checked(X)
        model = self._precise(rows)
        parts = [
            impute(model, x, samples, kind, n_draws, derive_seed(self._seed, "impute", number))
            for number, x in enumerate(tensors_of(rows, model.any_weight))
        ]
        if not n_draws:
            return self._filled(X, array_of(torch.cat([part.values for part in parts])))
        draws = array_of(torch.cat([part.draws for part in parts if part.draws is not None], 1))
        filled = [self._filled(X, draw) for draw in draws]
        return np.stack(filled) if self._spec.variables is None else filled

    def as_dataset(self, X: Any, sample_weight: Any = None) -> Dataset:
        """Return rows as a data set of one split, ``all``, as the model reads them: for :func:`vaelab.explore`.

        ``sample_weight`` (N,) are weights of the rows.

        Raises:
            ValueError: rows of other columns or values than in the fit.
        """
        check_is_fitted(self)
        rows, spec = self._checked(X), self._spec
        binarisation: Any = "none" if spec.kind == "grey" else None
        weights = require_weights("sample_weight", sample_weight, len(rows))
        split = Split(stored_rows(rows, spec.kind), weights=weights)
        facts: Any = {"columns": spec.columns if spec.variables is None else None, "variables": spec.variables}
        return Dataset("X", {"all": split}, spec.kind, 1, binarisation=binarisation, **facts)

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the estimator to a directory, without a pickle; ``load`` reads it, and ``vaelab.load`` its model.

        Raises:
            InputError: something else is there, or an argument of the constructor that no file can hold.
        """
        check_is_fitted(self)
        folder = Path(path)
        fitted = {name: getattr(self, name) for name in _FITTED if hasattr(self, name)}
        content = sealed_estimator(type(self).__name__, self.get_params(deep=False), fitted)
        require_free(folder, (ESTIMATOR_FILE, MODEL_FILE, WEIGHTS_FILE), overwrite, "a saved estimator")
        (folder / ESTIMATOR_FILE).unlink(missing_ok=True)
        self.model_.save(folder, overwrite=overwrite)
        write_file(folder / ESTIMATOR_FILE, content)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the estimator that :meth:`save` wrote to a directory."""
        content = read_estimator(Path(path), cls.__name__, cls._get_param_names(), _FITTED)
        estimator = cls(**content.parameters)
        for name, value in content.fitted.items():
            setattr(estimator, name, value)
        estimator.model_ = model_of({name: (Path(path) / name).read_bytes() for name in (MODEL_FILE, WEIGHTS_FILE)})
        return estimator

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a pickle, in which the model is bytes of safetensors and JSON."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = model_bytes(state["model_"])
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        state = dict(state)
        if "model_" in state:
            state["model_"] = model_of(state["model_"])
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.input_tags.allow_nan = True
        return tags

    @property
    def _spec(self) -> DataSpec:
        """What is known of the rows that the model was fitted to."""
        return DataSpec.of(self.n_features_in_) if self.model_.spec is None else self.model_.spec

    def _data(
        self,
        rows: Array | SparseRows,
        weights: npt.NDArray[np.float32] | None,
        variables: tuple[Column, ...] | None,
        fraction: object,
        kind: Kind | None = None,
    ) -> Dataset:
        """Return rows as a data set; of a kind that is given, or that the values and the likelihood show."""
        if kind is None:
            kind = kind_of_rows(rows, getattr(self, "likelihood", "auto")) if variables is None else kind_of(variables)
        names = getattr(self, "feature_names_in_", None)
        names = None if names is None else tuple(map(str, names))
        return data_of(rows, weights, kind, fraction, self._seed, names, variables)

    def _new_seed(self) -> int:
        """Return a seed from ``random_state``: the same each time for a number."""
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _settings(self, rows: int) -> Settings:
        """Return the settings of a training on so many rows, without arguments that are None by default."""
        defaults = inspect.signature(type(self)).parameters
        parameters = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        given = {
            name: value for name, value in parameters.items() if value is not None or defaults[name].default is not None
        }
        layer: dict[str, Any] = {name: value for name, value in given.items() if name not in _OF_THE_ESTIMATOR}
        layer["training"] = {name: layer.pop(name) for name in _TRAINING if name in layer}
        layer["estimator"] = {"samples": layer.pop("samples")} if "samples" in layer else {}
        for name in ("estimator", "objective"):
            if name in given:
                chosen = given[name] if isinstance(given[name], Mapping) else {"name": given[name]}
                layer[name] = {**(layer[name] if name == "estimator" else {}), **chosen}
        return resolve(self._model, Layer(self._completed(layer, rows), "sklearn"))

    def _completed(self, layer: dict[str, Any], rows: int) -> dict[str, Any]:
        """Return the settings with those whose default depends on the number of rows."""
        return layer

    def _train(self, model: Model, data: Dataset, settings: Settings, seed: int) -> FitResult:
        latent = isinstance(model, LatentVariableModel)
        return fit(
            model,
            data,
            estimator=settings.build_estimator(model) if latent else None,
            objective=settings.build_objective() if latent else None,
            settings=None if "training" in settings.absent else settings.training,
            seed=seed,
            device=self.device,
            callback=self._print if self.verbose else None,
        )

    def _print(self, row: Row) -> None:
        label = objective_label([row])
        parts = {f"train/{label}": f"training {label}", f"val/{label}": f"validation {label}"}
        values = [f"{words} {row[key]:.3f}" for key, words in parts.items() if key in row]
        place = f"step {row['step']:,.0f} of {row['steps']:,.0f}"
        print(f"[{type(self).__name__}] {place}, {row['seconds']:.1f} s: {', '.join(values)}")

    def _precise(self, rows: Array | SparseRows | None = None) -> Model:
        """Return the model in float64, in which a row has the same values in every batch; also for missing values."""
        model = copy.deepcopy(self.model_).double().eval()
        return model.allow_missing() if rows is not None and has_missing(values_of(rows)) else model

    def _checked(self, X: Any) -> Array | SparseRows:
        """Return rows of the kind that the model was fitted to."""
        rows = read_more(self, X, self._spec.variables)
        require_kind(rows, self._spec.kind, "as those that the estimator was fitted to")
        return rows

    def _as_given(self, rows: Array) -> Any:
        """Return rows as the kind of table that X was in the fit."""
        return frame_of(self.model_.spec, rows, self._frame)

    def _filled(self, X: Any, rows: Array) -> Any:
        """Return rows as the kind of table that X was in the fit, with the observed values of X as they are there."""
        spec = self._spec
        if spec.variables is not None:
            return filled_frame(X, spec, rows, self._frame)
        given = self._checked(X)[:]
        return np.where(np.isnan(given), rows, given)


def array_of(values: Tensor) -> Any:
    """Return a tensor as an array, without its gradient."""
    return values.detach().cpu().numpy()


def _plain(value: Any) -> Any:
    """Return numbers of NumPy as Python's, also within lists."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value

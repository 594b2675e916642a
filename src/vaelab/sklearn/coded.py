"""What the estimators of models with codes have in common: codes, bounds, reconstructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from vaelab.data.values import Array
from vaelab.data.weights import require_weights
from vaelab.errors import InputError, require_int
from vaelab.likelihood import score_rows
from vaelab.models import LatentVariableModel, require_latent
from vaelab.seeds import derive_seed, seeded
from vaelab.sklearn.base import ModelEstimator, Rows, array_of
from vaelab.sklearn.reading import as_given, frame_of, read_first
from vaelab.sklearn.tables import tensors_of
from vaelab.training.length import for_data
from vaelab.training.result import History

__all__ = ["Estimator"]


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ModelEstimator):  # type: ignore[misc]
    """Base of the estimators of models with codes."""

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one more epoch, on X alone; the first call makes a new model, from the mean of its rows.

        Nothing is held out, the learning rate is constant, and the optimiser starts anew.
        """
        new = not hasattr(self, "model_")
        if new:
            rows, variables = read_first(self, X, self.columns)
            self._seed, self._frame, self.n_iter_, self.history_ = self._new_seed(), as_given(X), 0, History()
            kind = None
        else:
            rows, variables, kind = self._checked(X), self._spec.variables, self._spec.kind
        weights = require_weights("sample_weight", sample_weight, len(rows))
        data = self._data(rows, weights, variables, 0.0, kind)
        settings = for_data(self._settings(len(data.train)), data)
        if rise := settings.build_objective().warm_up:
            raise InputError(
                f"objective.warm_up: expected 0 for partial_fit, each call of which begins anew; got {rise}"
            )
        one = {"epochs": 1, "steps": None, "schedule": "constant", "warmup": 0, "average": False, "patience": None}
        settings = settings.model_copy(update={"training": settings.training.model_copy(update=one)})
        if new:
            with seeded(self._seed, "weights"):
                self.model_ = settings.build_model(data)
        result = self._train(self.model_, data, settings, derive_seed(self._seed, "partial", self.n_iter_))
        self.history_ = History([*self.history_, *result.history])
        self.n_iter_ += result.steps
        if result.stop_reason == "interrupted":
            raise KeyboardInterrupt
        return self

    def transform(self, X: Any) -> Array:
        """Return the posterior means of the codes of X, (N, D); for bits, the probabilities of ones."""
        return self._map(X, lambda model, x: model.encode(x))

    def inverse_transform(self, X: Any) -> Any:
        """Return the mean of p(x|z) for codes z, (N, features), from codes (N, D) as :meth:`transform` gives them."""
        check_is_fitted(self)
        model = require_latent(self._precise(), "inverse_transform")
        codes = np.asarray(X, np.float64)
        if codes.ndim != 2 or codes.shape[1] != model.latent_dim:
            raise InputError(f"X: expected codes of shape (N, {model.latent_dim}); got {codes.shape}")
        return self._as_given(array_of(torch.cat([model.decode(z) for z in tensors_of(codes, model.any_weight)])))

    def score_samples(self, X: Any, *, bound: str | None = None) -> Rows:
        """Return a lower bound on log p(x) of each row, in nats, (N,): the one that ``bound`` names.

        All rows use the same noise, so that the value of a row does not depend on the rows beside it. Of a row with
        missing values it is a bound on the log-density of the observed ones: do not compare it with that of a row in
        which more or fewer are observed.

        Args:
            X: the rows.
            bound: instead of the parameter of the constructor.
        """
        return self._scores(X, self.bound if bound is None else bound)

    def reconstruct(self, X: Any) -> Any:
        """Return the mean of p(x|z) at the most probable code of each row, (N, features)."""
        decoded = self._map(X, lambda model, x: model.reconstruct(x))
        return frame_of(self.model_.spec, decoded, self._frame, X)

    def sample(self, n_samples: int = 1) -> tuple[Any, Array]:
        """Draw rows from the model: X (n, features), and y, the code z that each was drawn from, (n, D).

        scikit-learn's ``GaussianMixture`` returns the component there, which is its latent variable.
        """
        check_is_fitted(self)
        model = require_latent(self._precise(), "sample")
        with torch.no_grad(), seeded(self._new_seed(), "sample"):
            z, y = self._draw(model, require_int("n_samples", n_samples, 1))
            x = model.likelihood(z).sample()
        return self._as_given(array_of(x)), array_of(y)

    @property
    def _n_features_out(self) -> int:
        """Size of a code, for the names of the columns of ``transform``."""
        return require_latent(self.model_, "transform").latent_dim

    def _map(self, X: Any, function: Callable[[LatentVariableModel, Tensor], Tensor]) -> Array:
        """Return a function of the model and of the rows, part by part, float32 for X of that type, else float64."""
        check_is_fitted(self)
        rows = self._checked(X)
        model = require_latent(self._precise(rows), "transform")
        with torch.no_grad():
            values: Array = array_of(torch.cat([function(model, x) for x in tensors_of(rows, model.any_weight)]))
        return values.astype(np.float32) if rows.dtype == np.float32 else values

    def _scores(self, X: Any, bound: str) -> Rows:
        check_is_fitted(self)
        rows = self._checked(X)
        model = self._precise(rows)
        parts = tensors_of(rows, model.any_weight)
        scores: Rows = array_of(torch.cat([score_rows(model, x, bound, self.bound_samples, self._seed) for x in parts]))
        return scores

    def _draw(self, model: LatentVariableModel, count: int) -> tuple[Tensor, Tensor]:
        """Return codes from p(z), and what :meth:`sample` returns with the rows."""
        z = model.prior().sample((count,))
        return z, z

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

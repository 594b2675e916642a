"""Whether a density model is better than independent columns, and one sentence where it is not."""

from __future__ import annotations

import torch

from vaelab.data import Dataset
from vaelab.models import DensityModel, Differentiable, Independent, independent

__all__ = ["below_independent_columns"]

_LEAST = 0.01  # nats a row: a smaller difference may be that of two smoothings


def below_independent_columns(model: DensityModel, data: Dataset, log_likelihood: float) -> str:
    """Return a sentence if a mean log p(x) of the validation rows is below that of independent columns.

    The text is empty if it is not, or if the two numbers do not compare.

    >>> from vaelab.models import rbm
    >>> data = Dataset.from_arrays(torch.tensor([[0, 1], [1, 0]]).repeat(50, 1).numpy())
    >>> below_independent_columns(rbm(data, hidden=2), data, -9.0).partition(",")[0]
    'rbm ends 7.61 nats a row below independent columns on the validation rows (-9.00'
    """
    floor = independent(data)
    if isinstance(model, Independent) or floor.measure != model.measure:
        return ""
    fixed = data.with_binarisation("static") if data.binarisation == "dynamic" else data
    with torch.no_grad():
        (found,) = floor.learn(fixed.train.observations().sample(), fixed.validation.observations(), seed=0)
    gap = found.validation - log_likelihood
    if gap < _LEAST:
        return ""
    way = "try another model"
    if isinstance(model, Differentiable):
        way = "try a lower learning_rate, or another model"
    return (
        f"{model.name} ends {gap:.2f} nats a row below independent columns on the validation rows "
        f"({log_likelihood:.2f}, they {found.validation:.2f}), so what it says about how columns go together does not "
        f"hold there: {way} (vaelab suggest compares them)"
    )

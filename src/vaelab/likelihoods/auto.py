"""The choice of a likelihood by the kinds of the columns."""

from __future__ import annotations

from vaelab.data import DataSpec
from vaelab.likelihoods.product import OF_KIND

__all__ = ["likelihood_for"]


def likelihood_for(spec: DataSpec) -> str:
    """Return the name of the likelihood that ``auto`` stands for, by the kinds of the columns.

    Columns of one kind have the likelihood of that kind, and columns of several a ``product``: bits and binarised grey
    levels ``bernoulli``, categorical columns ``categorical``, real numbers in [0, 1] ``continuous-bernoulli``, other
    real numbers ``gaussian``. Counts are ``multinomial`` if all columns are, there are several, and no value may be
    missing; otherwise ``gaussian``.

    >>> likelihood_for(DataSpec((784,))), likelihood_for(DataSpec((3,), kind="real"))
    ('bernoulli', 'gaussian')
    """
    kinds = {kind for kind, _, _ in spec.groups}
    if kinds == {"count"} and spec.dim > 1 and not spec.may_be_missing:
        return "multinomial"
    names = {OF_KIND[kind].name for kind in kinds}
    return names.pop() if len(names) == 1 else "product"

"""The recommendation: the simplest model that is as good as the best, in words."""

from __future__ import annotations

from collections.abc import Sequence

from vaelab.studies.suggestion.result import Tried

__all__ = ["recommend"]

_ERRORS = 2.0  # standard errors of a difference within which two models count as equally good
_BASELINE = "independent"


def recommend(rows: Sequence[Tried], order: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Return the name of the model to use, and why, in sentences.

    It is the simplest model whose validation mean is within two standard errors of that of the best; the standard error
    is that of the paired difference. (Breiman et al., 1984, Classification and regression trees, choose the simplest
    within one standard error; two keep the simple model unless the data speak clearly against it.)

    Args:
        rows: from :func:`~vaelab.studies.suggestion.result.compared`, the best first.
        order: the names of all models, from simple to deep.

    >>> rows = [Tried("vae", "gaussian-vae", deep=True, number="iwae-100", validation=-6.0, below=0.0)]
    >>> rows += [Tried("tree", "chow-liu", number="exact", validation=-6.1, below=0.1, below_error=0.2, seconds=1.0)]
    >>> recommend(rows, ["tree", "vae"])[0]
    'tree'
    """
    known = [row for row in rows if row.validation is not None]
    if not known:
        return None, ("No model has a number, so none is recommended.",)
    best = known[0]
    equal = [row for row in known if row is best or _is_equal(row)]
    chosen = min(equal, key=lambda row: order.index(row.name))
    simple, deep = ([row for row in known if row.deep == kind] for kind in (False, True))
    sentences = [_choice(chosen, best, simple)]
    baseline = next((row for row in known if row.name == _BASELINE), None)
    if baseline is not None and chosen is not baseline and simple != [baseline]:
        sentences.append(f"It is {_gain(chosen, baseline):.2f} nats a row better than independent columns.")
    if chosen.deep and simple and simple[0] is not baseline:
        sentences.append(_simpler(simple[0], chosen, baseline))
    if deep and not best.deep and not deep[0].exact:
        sentences.append("The numbers of deep models are lower bounds: these may be a little better than shown.")
    unfinished = [row.name for row in known if row.cut]
    if unfinished:
        sentences.append(f"More seconds may change this: the training of {_listed(unfinished)} was cut short.")
    return chosen.name, tuple(sentences)


def _is_equal(row: Tried) -> bool:
    """Return whether a model is within two standard errors of the best; so it is if no error is known."""
    return row.below is not None and (row.below_error is None or row.below <= _ERRORS * row.below_error)


def _choice(chosen: Tried, best: Tried, simple: Sequence[Tried]) -> str:
    """Return which model to use, and how it compares with the best of the others."""
    if chosen.name == _BASELINE:
        return f"Use {chosen.name}: no model found a dependence between the columns that holds on new rows."
    if chosen is not best:
        kind = "deep model" if best.deep and not chosen.deep else "best model"
        exact = " and gives log p(x) exactly" if chosen.exact and not best.exact else ""
        return (
            f"Use {chosen.name}: it is as good as the {kind} {best.name} (the difference of {_nats(chosen)} is within "
            f"two standard errors){exact}."
        )
    if not (chosen.deep and simple):
        return f"Use {chosen.name}: it is the best of the models that were tried."
    bounded = simple[0].exact and not chosen.exact
    bound = " Its number is a lower bound, so the true difference may be larger." if bounded else ""
    return (
        f"Use {chosen.name}: a deep model pays here. It is {_nats(simple[0])} better than {simple[0].name}, the best "
        f"simple model.{bound}"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[:-1] else names)


def _nats(row: Tried) -> str:
    error = "" if row.below_error is None else f" ± {row.below_error:.2f}"
    return f"{row.below:.2f}{error} nats a row"


def _gain(row: Tried, baseline: Tried) -> float:
    """Return how much better a model is than independent columns."""
    return (row.validation or 0.0) - (baseline.validation or 0.0)


def _simpler(row: Tried, chosen: Tried, baseline: Tried | None) -> str:
    """Return when to use the best simple model instead, and how much of the gain it has."""
    when = "exact log p(x) matters more" if row.exact else "a simpler model is wanted"
    if baseline is None:
        return f"Where {when}, use {row.name}."
    share = _gain(row, baseline) / _gain(chosen, baseline)
    return f"Where {when}, use {row.name}: it has {share:.0%} of that gain."

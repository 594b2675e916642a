"""The content of a page: JSON with the models, the rows and the numbers, and the tensors to which it refers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaelab.data import Column, Condition, Dataset, DataSpec
from vaelab.evaluation import encode_means
from vaelab.evaluation.advice import advice
from vaelab.evaluation.protocol import compared_in_words, in_words, shared_facts
from vaelab.explorer.parts import describe
from vaelab.explorer.planes import planes
from vaelab.explorer.subject import Subject
from vaelab.explorer.tensors import Tensors
from vaelab.inference import MeanFieldPosterior
from vaelab.likelihood import objective_bound
from vaelab.models import LatentVariableModel
from vaelab.networks import evaluation_mode
from vaelab.objectives import ELBO
from vaelab.posteriors import FlowPosterior

__all__ = ["ROWS", "page_content", "rows_of"]

ROWS = 2000  # rows of a split that a page shows, at most
_BYTES = 1_500_000  # of the rows of a split; fewer rows are shown where a row is long
_SAMPLES = 10  # codes of a row's bound
_FEW = 20_000  # numbers of the codes of all rows; more are computed by the page, if that is quick
_METRICS = 400  # logged steps, at most
Json = dict[str, Any]


def page_content(title: str, subjects: Sequence[Subject], rows: int = ROWS) -> tuple[Json, bytes]:
    """Return the JSON of a page, and the bytes of its tensors.

    Raises:
        InputError: a model with a part that the page cannot compute.
    """
    tensors = Tensors()
    places: dict[tuple[str, str, str, str], int] = {}
    data: list[Json] = []
    runs: list[Json] = []
    for subject in subjects:
        x = _rows(subject, rows)
        key = (subject.data.sha256(), subject.split, str(subject.data.binarisation), str(subject.data.condition))
        if key not in places:
            places[key] = len(data)
            data.append(_data(subject, x, tensors))
        runs.append(_run(subject, x, tensors) | {"data": places[key]})
    return {"version": 1, "title": title, "data": data, "runs": runs, "tensors": tensors.index()}, tensors.blob()


def rows_of(subject: Subject, most: int = ROWS) -> int:
    """Return how many rows of its split a page holds, of at most ``most``: fewer where a row is long."""
    data = subject.data
    bits = (data.kind == "binary" or (data.kind == "grey" and data.binarisation != "none")) and not data.has_missing
    size = data.dim * (0.125 if bits else 4)
    return max(1, min(most, len(subject.data.split(subject.split)), int(_BYTES / size)))


def _rows(subject: Subject, most: int) -> Tensor:
    """Return the first rows of the split, (N, X + Y), as the model reads them."""
    return subject.data.split(subject.split).observations().bits(slice(0, rows_of(subject, most)))


def _data(subject: Subject, rows: Tensor, tensors: Tensors) -> Json:
    data, spec = subject.data, subject.data.spec
    x, given = subject.model.split(rows)
    bits = bool(((x == 0) | (x == 1)).all())
    classes, labels = _labels(data, subject.split, len(x))
    return {
        "name": data.name,
        "sha256": data.sha256(),
        "split": subject.split,
        "total": len(data.split(subject.split)),
        "kind": data.kind,
        "binarisation": str(data.binarisation),
        "image": spec.image_shape,
        "columns": None if spec.image_shape else _names(spec),
        "variables": [] if spec.image_shape else _variables(spec),
        "rows": tensors.add(x, "bits" if bits else "float32"),
        "mean": None if spec.mean is None else tensors.add(spec.mean),
        "classes": classes,
        "labels": None if labels is None else tensors.add(labels, "int32"),
        "given": tensors.add(given) if given.shape[1] else None,
        "given_variables": [] if spec.condition is None else _given(spec.condition),
        "condition": None if spec.condition is None else _words(spec.condition),
        "may_be_missing": spec.may_be_missing,
    }


def _labels(data: Dataset, split: str, count: int) -> tuple[list[str] | None, np.ndarray[Any, Any] | None]:
    """Return the names of the classes, and the class of each row; None without labels."""
    named = data.named_labels(split)
    if named is None:
        return None, None
    classes, labels = np.unique(np.asarray(named), return_inverse=True)
    return [str(name) for name in classes], labels[:count]


def _given(condition: Condition) -> list[Json]:
    """Return what a conditional model is given as columns of a table; labels are one column of levels."""
    if condition.variables is not None:
        return _described(condition.variables)
    if condition.on == "labels":
        levels = list(condition.names)
        return [{"name": "class", "kind": "categorical", "levels": levels, "start": 0, "stop": len(levels)}]
    return [
        {"name": name, "kind": "unit", "levels": None, "start": place, "stop": place + 1}
        for place, name in enumerate(condition.names)
    ]


def _words(condition: Condition) -> str:
    return condition.words if isinstance(condition.words, str) else ", ".join(condition.words)


def _names(spec: DataSpec) -> list[str]:
    return list(spec.columns) if spec.columns is not None else [f"column {place + 1}" for place in range(spec.dim)]


def _variables(spec: DataSpec) -> list[Json]:
    """Return the columns of the user's table: name, kind, levels, and which columns of the model they are."""
    if spec.variables is None:
        kinds = [kind for kind, start, stop in spec.groups for _ in range(start, stop)]
        return [
            {"name": name, "kind": kind, "levels": None, "start": place, "stop": place + 1}
            for place, (name, kind) in enumerate(zip(_names(spec), kinds, strict=True))
        ]
    return _described(spec.variables)


def _described(variables: Sequence[Column]) -> list[Json]:
    described, start = [], 0
    for column in variables:
        levels = None if column.levels is None else [str(level) for level in column.levels]
        stop = start + column.width
        described.append({"name": column.name, "kind": column.kind, "levels": levels, "start": start, "stop": stop})
        start = stop
    return described


def _computed_there(model: LatentVariableModel, codes: Tensor) -> bool:
    """Return whether the page computes q(z|x) of the rows: many numbers, of networks that take it little time."""
    slow = any(isinstance(part, nn.Conv2d | MeanFieldPosterior | FlowPosterior) for part in model.posterior.modules())
    return codes.numel() > _FEW and not slow


def _run(subject: Subject, rows: Tensor, tensors: Tensors) -> Json:
    model = subject.model
    with torch.no_grad(), evaluation_mode(model):
        codes = encode_means(model, rows)
        spreads = model.posterior(rows).stddev if model.code == "real" else None
        there = _computed_there(model, codes)
        bounds = None if model.code == "point" else objective_bound(model, rows, ELBO(), _SAMPLES).values
    return {
        "title": subject.title,
        "model": describe(model, tensors, rows),
        "codes": None if there else tensors.add(codes),
        "spreads": None if there or spreads is None else tensors.add(spreads),
        "bounds": None if bounds is None else tensors.add(bounds),
        "bound_samples": _SAMPLES,
        "planes": _planes(codes, model.layers, subject, tensors),
        "parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "facts": [list(pair) for pair in subject.facts],
        "selected": subject.selected,
        "verdict": subject.verdict,
        "metrics": _thinned(subject.metrics),
        "evaluations": [record.to_dict() | {"protocol": in_words(record)} for record in subject.evaluations],
        "advice": advice(subject.evaluations),
        "compared": compared_in_words({"split": subject.split, **_facts(subject)}),
    }


def _facts(subject: Subject) -> Json:
    """Return the facts of the protocol that every number of a run has."""
    data = subject.data
    return shared_facts(subject.model, data.sha256(), str(data.binarisation), data.condition)


def _planes(codes: Tensor, layers: Sequence[int], subject: Subject, tensors: Tensors) -> list[Json]:
    """Return the principal axes of each layer of the codes, and how often near codes have the same class."""
    _, labels = _labels(subject.data, subject.split, len(codes))
    found = planes(codes, layers, None if labels is None else torch.as_tensor(labels))
    return [
        {
            "mean": tensors.add(plane.mean),
            "axes": tensors.add(plane.axes),
            "variances": plane.variances.tolist(),
            "total": plane.total,
            "neighbours": None if plane.neighbours is None else asdict(plane.neighbours),
        }
        for plane in found
    ]


def _thinned(metrics: Sequence[Json]) -> list[Json]:
    """Return the logged steps, evenly thinned, with every validation and the last."""
    every = max(1, -(-len(metrics) // _METRICS))
    last = len(metrics) - 1
    return [row for place, row in enumerate(metrics) if place % every == 0 or place == last or "val/bound" in row]

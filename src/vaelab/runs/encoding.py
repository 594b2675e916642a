"""From data to codes: encode rows with the model of a run, in their order."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data import Dataset, order_columns
from vaelab.errors import InputError
from vaelab.evaluation import encode
from vaelab.models import require_latent
from vaelab.runs.run import Run
from vaelab.seeds import DATA_SEED, seeded

__all__ = ["encode_with_run", "rows_for_run"]


def encode_with_run(run: Run, name: str | None = None, split: str | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return the codes of a split, or of all rows of a file of one array, in the order of the rows.

    Without a ``name`` the data are the run's. Columns are matched by their names, where both sides have names.

    ``codes`` (N, D) are posterior means (probabilities for bits). A Gaussian code also has ``stddev``, an auto-encoder
    with a mixture ``component`` and ``log_density`` (nats). ``labels`` are included if the data have them.
    The rows are binarised like the run's data, drawn once with the same seed as any held-out split. For rows on the
    disk the codes are also on the disk, in temporary files that are removed together with the arrays.
    """
    data, chosen = rows_for_run(run, name, split)
    model = require_latent(run.load_model(), "encode")
    model.accept(data.spec)
    observed = data.split(chosen).observations()
    with seeded(DATA_SEED, "encode"):
        arrays = encode(model, observed)
    labels = data.named_labels(chosen)
    if labels is not None:
        arrays["labels"] = np.asarray(labels)
    return arrays


def rows_for_run(run: Run, name: str | Path | None = None, split: str | None = None) -> tuple[Dataset, str]:
    """Return data as the model of a run reads them, and the name of the split: all rows in their order without one.

    Without a ``name`` they are the data of the run. Columns are matched by their names, where both sides have names,
    and rows are binarised like the run's data.

    Raises:
        InputError: data that are not found, or of another number of columns.
    """
    place = name if name is not None else run.find_data()[1]
    data = order_columns(run.read_data(place, split=split is not None), run.spec.columns)
    chosen = split or ("all" if "all" in data.splits else "test")
    if data.dim != run.spec.dim:
        raise InputError(
            f"data: the run {str(run.path)!r} expects {run.spec.dim} columns; {str(place)!r} has {data.dim}"
        )
    if data.kind == run.spec.kind:
        data = data.with_binarisation(run.binarisation)
    elif data.kind == "grey":
        message = "%s: the run was trained on bits and these are grey levels, so bits are made of them (%s)"
        logging.getLogger("vaelab").warning(message, place, data.binarisation)
    return data, chosen

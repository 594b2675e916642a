"""The run directory: all files of a training, written so that a crash cannot damage them.

    config.json           every setting; format_version; versions; data name, SHA-256, protocol
    model.safetensors     the selected (best validation bound) weights
    density.safetensors   the mixture, for auto-encoders: arrays, never a pickle
    metrics.jsonl         one object for each logged step
    evaluation.json       every evaluation made
    values.safetensors    for the means in it, the values of all observations
    diagnostics.json      what the code of the model does, in numbers and words, and advice
    diagnostics.safetensors   the arrays of their figures
    gradients.json        the gradient estimators, measured on one batch
    tightness.json        the bounds of all inference methods on the weights of a belief network of few bits
    checkpoints/last.pt   model, optimiser, estimator, step: loaded with weights_only=True
    checkpoints/previous.pt   the checkpoint before it, in case the last is damaged
    checkpoints/next.pt   only if a training was killed between writing a checkpoint and renaming it to last.pt
    lock                  locked by the process that trains in the directory; a crash frees the lock

Every file is written to a temporary name, synced and renamed; metrics.jsonl is appended to.
"""

from __future__ import annotations

from vaelab.runs.config import DataSource, source_of
from vaelab.runs.directory import (
    is_run,
    locked,
    remove_emptied,
    remove_report,
    remove_run,
    require_own_page,
    require_removable,
    require_run,
)
from vaelab.runs.encoding import encode_with_run, rows_for_run
from vaelab.runs.loading import from_pretrained, load
from vaelab.runs.metrics import read_metrics
from vaelab.runs.run import Loaded, Run

__all__ = [
    "DataSource",
    "Loaded",
    "Run",
    "encode_with_run",
    "from_pretrained",
    "is_run",
    "load",
    "locked",
    "read_metrics",
    "remove_emptied",
    "remove_report",
    "remove_run",
    "require_own_page",
    "require_removable",
    "require_run",
    "rows_for_run",
    "source_of",
]

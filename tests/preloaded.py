"""What every process of :mod:`tests.processes` and every training of a sweep finds loaded; it takes 2 to 4 seconds."""

from importlib import import_module

import torch

import vaelab

_ROOMS = (
    "cli",
    "cli.training",
    "cli.evaluation",
    "data",
    "evaluation",
    "models",
    "report",
    "runs",
    "settings",
    "training",
)
for _module in (*(f"vaelab.{room}" for room in _ROOMS), "tests.laws", "torch.distributed.run"):
    import_module(_module)
_ = vaelab.load_data("mnist").spec
torch.set_num_threads(1)

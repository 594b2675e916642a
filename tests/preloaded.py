"""What every process of :mod:`tests.processes` finds loaded; loading it takes two to four seconds of a processor."""

from importlib import import_module

import torch

import vaelab

_ROOMS = ("cli.training", "cli.evaluation", "data", "evaluation", "models", "report", "runs", "settings", "training")
for _module in (*(f"vaelab.{room}" for room in _ROOMS), "tests.laws", "torch.distributed.run"):
    import_module(_module)
_ = vaelab.load_data("mnist").spec
torch.set_num_threads(1)

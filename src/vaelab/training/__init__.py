"""Training: the loop, and a whole run from its settings."""

from __future__ import annotations

from vaelab.distributed import PeerLost
from vaelab.settings import TrainingSettings
from vaelab.training.checks import check_settings
from vaelab.training.fitting import fit
from vaelab.training.from_settings import train
from vaelab.training.length import for_data
from vaelab.training.log import Diverged
from vaelab.training.parallel import ProcessGroup, joined
from vaelab.training.prior import FittedPrior, fit_prior
from vaelab.training.result import FitResult, History, Row
from vaelab.training.surroundings import choose_device
from vaelab.training.tensorboard import TensorBoardLog
from vaelab.training.verdict import Verdict

__all__ = [
    "Diverged",
    "FitResult",
    "FittedPrior",
    "History",
    "PeerLost",
    "ProcessGroup",
    "Row",
    "TensorBoardLog",
    "TrainingSettings",
    "Verdict",
    "check_settings",
    "choose_device",
    "fit",
    "fit_prior",
    "for_data",
    "joined",
    "train",
]

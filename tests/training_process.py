"""A small training in a process of its own, for the tests that interrupt or kill it.

python -m tests.training_process OUT [SECONDS]: train into OUT (resume if it is there), tell 0 and every logged step on
standard output, and rest for SECONDS after telling.
"""

import sys
import time
from pathlib import Path

import torch

from tests.laws import binary_data
from tests.processes import Python
from vaelab.evaluation import EvaluationRecord
from vaelab.settings import resolve
from vaelab.training import train

OPTIONS = {
    "latent_dim": 3,
    "hidden_dims": [8],
    "binarisation": "none",
    "device": "cpu",
    "training": {
        "steps": 70,
        "batch_size": 32,
        "log_every": 4,
        "validate_every": 20,
        "learning_rate": 0.02,
        "warmup": 10,
    },
}
ESTIMATOR = {"name": "score-function", "baseline": "running-average", "samples": 2}

RECORD = EvaluationRecord(name="elbo", samples=10, split="test", binarisation="none", data="x", seed=0, value=1.0)


def changed(**fields):
    """Return the record with other values of some fields."""
    return RECORD.model_copy(update=fields)


def run_training(out, callback=None, model="bernoulli-vae", more=None, **options):
    """Train the small model into ``out``; with the running average, the estimator has a state to lose as well."""
    layers = [OPTIONS, {"estimator": ESTIMATOR} if model == "bernoulli-vae" else {}, more or {}]
    return train(resolve(model, *layers), out, data=binary_data(), callback=callback, **options)


def start(out, pace="0.05", **more):
    """Start it; what it tells and what it complains of are there to be read."""
    return Python("-m", "tests.training_process", out, pace, folder=Path(__file__).parents[1], strict=True, **more)


def wait_for_step(process, step):
    """Read what the process tells until it has logged ``step``."""
    for line in process.stdout:
        if line.strip() == str(step):
            return
    raise AssertionError(f"the process ended before step {step}: {process.stderr.read()}")


def main(out, seconds="0"):
    torch.set_num_threads(1)

    def tell(row):
        print(row["step"], flush=True)
        time.sleep(float(seconds))

    print(0, flush=True)  # everything is imported
    _, fitted = run_training(out, tell, resume=Path(out).exists())
    print(fitted.stop_reason, fitted.steps, flush=True)
    if fitted.signal is not None:
        sys.exit(128 + fitted.signal)  # as ``vaelab train``; torchrun would wait half a minute for a rank that returns


if __name__ == "__main__":
    main(*sys.argv[1:])

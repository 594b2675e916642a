"""When is a deep model worth it? Thirteen binary tables, every simple and deep model, and the peers, by test log p(x).

    python benchmarks/debd.py --tables DIR [--names nltcs plants ...] [--models made gaussian-vae ...] [--seeds 0 1 2]
                              [--workers 2] [--device cpu] [--seconds 400] [--out debd]
    python benchmarks/debd.py --tables DIR --peers [--peers-python PYTHON]
    python benchmarks/debd.py --summary

DIR holds NAME.npz with arrays train, validation and test of bits: the binary data sets of density estimation (Lowd &
Davis, 2010, https://doi.org/10.1109/ICDM.2010.128; Van Haaren & Davis, 2012, https://doi.org/10.1609/aaai.v26i1.8317).
Every model is trained with its defaults, or with one setting for all tables that is written in ``CONTENDERS``; whatever
is chosen (components, the stop, one model of several) is chosen on the validation split. The number is log p(x) of the
test rows: exact, or a lower bound from 1000 codes a row, or with an estimated log Z, as its name says.

OUT/parts holds a JSON file for each table, model and seed, with the log p(x) of every test row; what is there is not
measured again, so a run that was stopped goes on. Each training has one thread. ``--peers`` measures the other
libraries in their own environment (``contenders/debd_peers.py``), into the same folder. scikit-learn is in this
environment too; log Z of its RBM is estimated as that of ``rbm``, by walks backwards and forwards.

``--summary`` writes benchmarks/results/debd.json, debd_rows.npz (log p(x) of each test row), debd.md (the table) and
debd.png (the figure) from OUT/parts: the mean over the seeds, its standard error over the test rows, and the mean
difference from the best of the table, paired over the rows. What those files have of a model and a table that are not
in OUT/parts stays as it is, so that a few trainings can be measured again. Cells of which only the mean was kept have
differences without a standard error.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders.debd_results import NAMES
from contenders.debd_summary import write_summary
from contenders.jobs import Job, run_jobs

if TYPE_CHECKING:
    from vaelab.data import Dataset
    from vaelab.models import Model

SAMPLES = 1000
# One setting for all tables, from before the defaults were fitted to tables: 4 000 steps of one hidden layer of 200.
_PATIENT = {
    "latent_dim": 20,
    "hidden_dims": [200],
    "dropout": 0.0,
    "training": {"steps": 4000, "learning_rate": 2e-3, "validate_every": 50, "patience": 20},
}


@dataclass(frozen=True)
class Contender:
    """A model of the table ``MODELS``, its kind (``debd_summary.KINDS``), what is not its default, and its cost."""

    model: str
    kind: str
    options: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0  # relative seconds, to start the longest first
    last: bool = False  # after the others, where the time may not suffice for all


CONTENDERS = {
    "independent": Contender("independent", "simple", weight=0.01),
    "chow-liu": Contender("chow-liu", "simple", weight=0.1),
    "bernoulli-mixture": Contender("bernoulli-mixture", "simple", weight=1.0),
    "tree-mixture": Contender("tree-mixture", "simple", weight=1.5),
    "hidden-chow-liu": Contender("hidden-chow-liu", "simple", weight=2.0),
    "logistic-pca": Contender("logistic-pca", "deep", weight=1.0),
    "rbm": Contender("rbm", "network", weight=2.0),
    "made": Contender("made", "network", weight=2.0),
    "gaussian-vae": Contender("gaussian-vae", "deep", {"likelihood": "bernoulli"}, weight=2.0),
    "gaussian-vae, tree": Contender("gaussian-vae", "deep", {"likelihood": "tree"}, weight=3.0),
    "gaussian-vae, tree, iwae": Contender(
        "gaussian-vae", "deep", {"likelihood": "tree", "objective": {"name": "iwae"}}, weight=5.0
    ),
    "gaussian-vae, autoregressive": Contender("gaussian-vae", "deep", {"likelihood": "autoregressive"}, weight=5.0),
    "patient": Contender("gaussian-vae", "deep", {**_PATIENT, "likelihood": "bernoulli"}, weight=2.0),
    "patient, tree": Contender("gaussian-vae", "deep", {**_PATIENT, "likelihood": "tree"}, weight=3.0),
    "deep-gaussian-vae": Contender("deep-gaussian-vae", "deep", weight=3.0, last=True),
    "bernoulli-vae": Contender("bernoulli-vae", "deep", {"likelihood": "bernoulli"}, weight=6.0, last=True),
    "sbn": Contender("sbn", "deep", weight=6.0, last=True),
    "scikit-learn: BernoulliRBM": Contender("rbm", "peer", weight=1.0),  # its weights, evaluated as those of an rbm
}


def measure(job: Job, tables: Path, device: str) -> dict[str, Any]:
    """Train one model on one table, and return log p(x) of the validation and the test rows."""
    import torch

    from contenders import scikit_rbm
    from vaelab import evaluate
    from vaelab.data import load_data
    from vaelab.models import LatentVariableModel

    data = load_data(tables / f"{job.table}.npz")
    contender = CONTENDERS[job.model]
    started, processor = time.perf_counter(), time.process_time()
    model, facts = (
        scikit_rbm.fitted(data, job.seed) if contender.kind == "peer" else trained(contender, data, job.seed, device)
    )
    result: dict[str, Any] = {
        "kind": contender.kind,
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(time.process_time() - processor, 1) if device == "cpu" else None,
        "device": device,
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__,
        **facts,
    }
    model.to(device)
    started = time.process_time()
    bounds = ("iwae",) if isinstance(model, LatentVariableModel) else None
    for split in ("validation", "test"):
        found = evaluate(model, data, split, bounds, samples=SAMPLES, seed=job.seed)
        record = found[0]
        result |= {split: record.value, f"{split}_error": record.standard_error, "bound": record.name}
    result["evaluation_seconds"] = round(time.process_time() - started, 1)
    return result | {"values": [round(value, 4) for value in found.values[record.name].tolist()]}


def trained(contender: Contender, data: Dataset, seed: int, device: str) -> tuple[Model, dict[str, Any]]:
    """Train a model of vaelab, and return it with its settings and the length of its training."""
    from vaelab.models import LatentVariableModel
    from vaelab.seeds import seeded
    from vaelab.settings import resolve
    from vaelab.training import fit, for_data

    settings = for_data(resolve(contender.model, {"seed": seed}, contender.options), data)
    with seeded(seed, "weights"):
        model = settings.build_model(data)
    with_codes = isinstance(model, LatentVariableModel)
    fitted = fit(
        model,
        data,
        estimator=settings.build_estimator(model) if with_codes else None,
        objective=settings.build_objective() if with_codes else None,
        settings=None if "training" in settings.absent else settings.training,
        seed=seed,
        device=device,
    )
    if fitted.stop_reason == "interrupted":
        raise KeyboardInterrupt
    facts = {"steps": fitted.steps, "best_step": fitted.best_step, "settings": settings.model_dump(mode="json")}
    return model, facts


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """Return what is asked for: one seed of everything before the next, the longest first."""
    from vaelab.models import MODELS

    def order(job: Job) -> tuple[bool, float]:
        contender, file = CONTENDERS[job.model], options.tables / f"{job.table}.npz"
        return contender.last, -contender.weight * file.stat().st_size

    found = []
    for seed in options.seeds:
        of_seed = [
            Job(table, name, seed)
            for table in options.names
            for name in options.models
            if CONTENDERS[name].model in MODELS
        ]
        found += sorted(of_seed, key=order)
    return found


def run_peers(options: argparse.Namespace) -> None:
    """Measure the other libraries, in their own environment."""
    from contenders.environment import PEERS, peers_python

    python = options.peers_python or peers_python(PEERS.with_name(".peers-tables"), "tables.txt")
    command = [str(python), "-m", "contenders.debd_peers", "--tables", str(options.tables.absolute())]
    command += ["--out", str((options.out / "parts").absolute()), "--workers", str(options.workers)]
    command += ["--names", *options.names, "--seeds", *map(str, options.seeds)]
    command += ["--seconds", str(options.seconds)] if options.seconds else []
    subprocess.run(command, check=True, cwd=Path(__file__).parent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, help="where NAME.npz files are")
    parser.add_argument("--names", nargs="+", default=list(NAMES))
    parser.add_argument("--models", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="of the trainings; seconds are kept of cpu alone")
    parser.add_argument("--seconds", type=float, help="stop after so many; the next call goes on")
    parser.add_argument("--out", type=Path, default=Path("debd"))
    parser.add_argument("--peers", action="store_true", help="measure the other libraries instead")
    parser.add_argument("--peers-python", type=Path, help="an interpreter that has them; by default one is made")
    parser.add_argument("--summary", action="store_true", help="only write table and figure of what is measured")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    if options.summary:
        write_summary(options.out / "parts", options.results)
        return
    if options.tables is None:
        parser.error("--tables: expected the folder of the NAME.npz files")
    if options.peers:
        run_peers(options)
    else:
        task = partial(measure, device=options.device)
        run_jobs(jobs_of(options), task, options.tables, options.out / "parts", options.workers, options.seconds)


if __name__ == "__main__":
    main()

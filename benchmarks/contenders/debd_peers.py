"""Other libraries on the binary tables, run in their own environment by ``debd.py --peers``.

    python -m contenders.debd_peers --tables DIR --out DIR [--names ...] [--models ...] [--workers 2] [--seconds 400]

Each peer is fitted as its documentation recommends, stops on the validation split, and its sizes are chosen there; the
grids are below. A gradient fit also stops after ``LONGEST`` seconds of its processor, longer than most trainings of
vaelab. log p(x) is exact.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from contenders.jobs import Job, Tables, read_table, run_jobs

__all__ = ["PEERS"]

LONGEST = 60.0
# log p(x) of (N, X) rows, (N,)
Density = Callable[[np.ndarray], np.ndarray]
Fitted = tuple[dict[str, Any], Density]


def stepmix_mixture(data: Tables, seed: int) -> Iterator[Fitted]:
    """Yield mixtures of 2 to 300 Bernoulli components by EM: stepmix's latent classes, which have no smoothing."""
    from scipy.special import logsumexp
    from stepmix.stepmix import StepMix

    for components in (2, 5, 20, 100, 300):
        if 2 * components > len(data["train"]):
            return
        model = StepMix(
            components, measurement="bernoulli", random_state=seed, progress_bar=0, max_iter=150, abs_tol=1e-3
        )
        model.fit(data["train"].astype(float))

        def density(x: np.ndarray, model: StepMix = model) -> np.ndarray:
            p = np.clip(model.get_parameters()["measurement"]["pis"], 1e-15, 1 - 1e-15)  # (C, X)
            joint = np.log(model.weights_) + x @ np.log(p).T + (1 - x) @ np.log1p(-p).T
            found: np.ndarray = logsumexp(joint, axis=1)
            return found

        yield {"components": components}, density


def pyjuice_tree(data: Tables, seed: int) -> Iterator[Fitted]:
    """Yield a hidden Chow-Liu tree of 32 states in each node by mini-batch EM: pyjuice's, which needs a GPU."""
    import pyjuice
    import torch

    torch.manual_seed(seed)
    train, validation = (torch.from_numpy(data[split]).long().cuda() for split in ("train", "validation"))
    tree = pyjuice.structures.HCLT(
        train.float(), num_latents=32, num_bins=2, sigma=0.1, input_node_params={"num_cats": 2}
    )
    circuit = pyjuice.TensorCircuit(tree).to(torch.device("cuda"))  # by cuda() it would not know where it is
    optimizer = pyjuice.optim.MiniBatchEM(circuit, step_size=0.1, pseudocount=0.1)

    def density(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            parts = [circuit(part.cuda()).flatten() for part in torch.from_numpy(x).long().split(500)]
        return torch.cat(parts).double().cpu().numpy()

    best, waited, kept, started = -np.inf, 0, {}, time.process_time()
    for epoch in range(200):
        for batch in train[torch.randperm(len(train))].split(256):
            circuit(batch).mean().backward()
            optimizer.step(step_size=max(0.02, 0.2 * 0.98**epoch))
        value = float(density(validation.cpu().numpy()).mean())
        if value > best:
            best, waited, kept = value, 0, {key: w.clone() for key, w in circuit.state_dict().items()}
        else:
            waited += 1
        if waited >= 8 or time.process_time() - started > LONGEST:
            break
    circuit.load_state_dict(kept)
    yield {"states": 32, "epochs": epoch + 1}, density


def hidden_chow_liu(data: Tables, seed: int) -> Iterator[Fitted]:
    """Yield a hidden Chow-Liu tree of 16 states in each node (8 of 400 columns or more), by Adam: libcirkit's."""
    import torch
    from cirkit.pipeline import compile as compiled
    from cirkit.templates import data_modalities, utils

    weights = utils.Parameterization(activation="softmax", initialization="normal")
    layer = {"name": "categorical", "args": {"num_categories": 2}}
    units = 16 if data["train"].shape[1] < 400 else 8
    torch.manual_seed(seed)
    symbolic = data_modalities.tabular_data(
        "chow-liu-tree",
        data=torch.from_numpy(data["train"]).long(),
        input_layers=layer,
        num_input_units=units,
        sum_product_layer="cp",
        num_sum_units=units,
        sum_weight_param=weights,
    )
    circuit = compiled(symbolic)
    yield {"units": units}, _by_adam(circuit, lambda x: circuit(x.long()).flatten(), data, 0.05)


def continuous_mixture(data: Tables, seed: int) -> Iterator[Fitted]:
    """Yield a continuous mixture of independent columns, 4 latent numbers, 1024 points: spflow's."""
    import torch
    from spflow.zoo.cms.continuous_mixtures import learn_continuous_mixture_factorized

    train, validation = (torch.from_numpy(data[split]).float() for split in ("train", "validation"))
    steps = min(4000, int(LONGEST * 10_000 / train.shape[1]))  # about as many as fit into LONGEST
    epochs = int(np.ceil(steps * 128 / len(train)))
    model = learn_continuous_mixture_factorized(
        train,
        leaf="bernoulli",
        latent_dim=4,
        num_points_train=128,
        num_points_eval=1024,
        num_epochs=epochs,
        val_data=validation,
        seed=seed,
    )

    def density(x: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(x).float()
        with torch.no_grad():
            parts = [model.log_likelihood(part).sum(1).flatten() for part in rows.split(200)]
        return torch.cat(parts).double().numpy()

    yield {"latent_dim": 4, "points": 1024, "epochs": epochs}, density


def _by_adam(module: Any, log_prob: Any, data: Tables, rate: float, epochs: int = 200, patience: int = 5) -> Density:
    """Maximise log p(x) by Adam in batches of 256, until five epochs do not raise it on the validation split."""
    import torch

    train, validation = (torch.from_numpy(data[split]) for split in ("train", "validation"))
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)

    def density(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            parts = [log_prob(part) for part in torch.from_numpy(x).split(500)]
        return torch.cat(parts).double().numpy()

    best, waited, kept, started = -np.inf, 0, {}, time.process_time()
    for _ in range(epochs):
        for batch in train[torch.randperm(len(train))].split(256):
            if time.process_time() - started > LONGEST:
                break
            loss = -log_prob(batch).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        value = float(density(validation.numpy()).mean())
        if value > best:
            best, waited, kept = value, 0, {key: w.clone() for key, w in module.state_dict().items()}
        else:
            waited += 1
        if waited >= patience or time.process_time() - started > LONGEST:
            break
    module.load_state_dict(kept)
    return density


PEERS: dict[str, Callable[[Tables, int], Iterator[Fitted]]] = {
    "stepmix: mixture": stepmix_mixture,
    "libcirkit: hidden Chow-Liu tree": hidden_chow_liu,
    "pyjuice: hidden Chow-Liu tree": pyjuice_tree,
    "spflow: continuous mixture": continuous_mixture,
}


def measure(job: Job, tables: Path) -> dict[str, Any]:
    """Fit a peer on a table, and return log p(x) of the rows for what is best on the validation split."""
    data = read_table(tables, job.table)
    started, processor = time.perf_counter(), time.process_time()
    best: tuple[float, dict[str, Any], Density] | None = None
    tried = []
    for chosen, density in PEERS[job.model](data, job.seed):
        value = float(density(data["validation"]).mean())
        tried.append(chosen | {"validation": round(value, 4)})
        if best is None or value > best[0]:
            best = (value, chosen, density)
    if best is None:
        raise ValueError("too few rows for the smallest model")
    result = {
        "kind": "peer",
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": None if _used_gpu() else round(time.process_time() - processor, 1),
        "settings": best[1],
        "tried": tried,
        "validation": best[0],
    }
    values = best[2](data["test"])
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    result |= {"test": float(values.mean()), "test_error": error, "bound": "exact"}
    return result | {"values": [round(value, 4) for value in values.tolist()]}


def _used_gpu() -> bool:
    """Return whether a peer computed on a GPU: then processor seconds say little."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--names", nargs="+", required=True)
    parser.add_argument("--models", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    jobs = [Job(table, name, seed) for seed in options.seeds for name in options.models for table in options.names]
    run_jobs(jobs, measure, options.tables, options.out, options.workers, options.seconds)


if __name__ == "__main__":
    main()

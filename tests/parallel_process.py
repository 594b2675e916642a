"""Small trainings of every kind that ranks could disagree about, one after the other, for the tests of several ranks.

torchrun ... -m tests.parallel_process OUT SHARDS: train each into OUT/NAME, all ranks together.
"""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from tests.laws import binary_data
from vaelab.data import load_data
from vaelab.settings import resolve
from vaelab.training import joined, train

# name -> model, settings: real codes and bits, a chain, averages of a baseline, a variance that is learned from, dreams
CASES = {
    "pathwise": ("gaussian-vae", {"latent_dim": 2}),
    "iwae": ("gaussian-vae", {"latent_dim": 2, "objective": {"name": "iwae"}, "estimator": {"samples": 4}}),
    "free": ("gaussian-vae", {"latent_dim": 2, "objective": {"free_bits": 0.02, "warm_up": 6}}),
    "targets": ("gaussian-vae", {"latent_dim": 2, "objective": {"name": "piwae"}, "estimator": {"samples": 4}}),
    "dropout": ("gaussian-vae", {"latent_dim": 2, "dropout": 0.3, "prior": "vamp", "estimator": {"samples": 3}}),
    "average": ("bernoulli-vae", {"estimator": {"name": "score-function", "baseline": "running-average"}}),
    "network": ("bernoulli-vae", {"estimator": {"name": "score-function", "baseline": "network"}}),
    "rebar": ("bernoulli-vae", {"estimator": {"name": "rebar"}}),
    "arms": ("bernoulli-vae", {"estimator": {"name": "arms"}}),
    "chain": ("sbn", {"layers": [4, 3], "estimator": {"name": "disarm"}}),
    "dreams": ("sbn", {"layers": [4, 3], "inference": "wake-sleep"}),
    "autoencoder": ("autoencoder", {"latent_dim": 2}),
    "weights": ("gaussian-vae", {"latent_dim": 2}),  # of rows, 0, 1 and 2
    "stream": ("gaussian-vae", {"latent_dim": 2}),  # from shards on the disk
}
COMMON = {"device": "cpu"}
TRAINING = {"steps": 24, "batch_size": 32, "log_every": 4, "validate_every": 12, "warmup": 4, "precision": "float32"}


def weighted_data():
    data = binary_data()
    splits = {name: replace(split, weights=np.arange(len(split)) % 3) for name, split in data.splits.items()}
    return replace(data, splits=splits)


def train_all(out, shards):
    for name, (model, layer) in CASES.items():
        hidden = {} if model == "sbn" else {"hidden_dims": [8]}
        codes = {"latent_dim": 3} if model == "bernoulli-vae" else {}
        more = {"log_gradient_variance": True, "clip": 5.0} if name == "rebar" else {}
        settings = resolve(model, COMMON, hidden, codes, layer, {"training": {**TRAINING, **more}})
        data = {"stream": lambda: load_data(shards), "weights": weighted_data}.get(name, binary_data)()
        train(settings, Path(out) / name, data=data)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined():  # one process group for all of them, which each training finds and leaves as it is
        groups = len(dist.distributed_c10d._world.pg_map)
        with suppress(KeyboardInterrupt), joined():
            raise KeyboardInterrupt  # leaves the group as it is, too
        train_all(*sys.argv[1:])
        assert len(dist.distributed_c10d._world.pg_map) == groups

"""Two workers of Ray Train, one model of vaelab: python docs/examples/ray_train.py [OUT].

Ray starts the workers and their process group; vaelab finds the group and trains in it. OUT has to be where rank 0 can
write it.
"""

import sys
from pathlib import Path

import ray
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer


def worker(config: dict[str, str]) -> None:
    from vaelab.settings import resolve
    from vaelab.training import train

    words = {"latent_dim": 2, "hidden_dims": [64], "training": {"steps": 400, "batch_size": 100, "log_every": 100}}
    run, fitted = train(resolve("gaussian-vae", words), config["out"], resume=True, callback=print)
    rank = ray.train.get_context().get_world_rank()
    ray.train.report({"bound": fitted.best_bound, "steps": fitted.steps})
    print(f"rank {rank}: {fitted.steps} steps, validation bound {fitted.best_bound:.2f} nats, {run.path}")


if __name__ == "__main__":
    out = str(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/ray").absolute())
    result = TorchTrainer(worker, train_loop_config={"out": out}, scaling_config=ScalingConfig(num_workers=2)).fit()
    print(result.metrics)

"""pythae as its users train with it: its TrainingPipeline, hence its BaseTrainer, paused by a callback.

Its VAE or IWAE with encoder and decoder of the case's sizes, ``reconstruction_loss="bce"``, Adam. The training set is
one tensor of images, as in its README: bits drawn once, or grey levels where weights are kept to be evaluated on bits
drawn anew; or, with ``--dynamic``, a data set of its own kind that draws bits whenever an image is fetched. There is no
evaluation set, so nothing but training is timed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models import IWAE, VAE, IWAEConfig, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

from contenders import PIXELS, Case
from contenders.arguments import Told, told
from contenders.turns import Turns

__all__ = ["Decoder", "Encoder", "Pause", "Redrawn"]


def layers(sizes: list[int]) -> list[nn.Module]:
    return [module for below, above in pairwise(sizes) for module in (nn.Linear(below, above), nn.ReLU())]


class Encoder(BaseEncoder):  # type: ignore[misc]
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers([PIXELS, *case.hidden_dims]))
        self.embedding = nn.Linear(case.hidden_dims[-1], case.latent_dim)
        self.log_var = nn.Linear(case.hidden_dims[-1], case.latent_dim)

    def forward(self, x: Tensor) -> ModelOutput:
        hidden = self.layers(x.reshape(-1, PIXELS))
        return ModelOutput(embedding=self.embedding(hidden), log_covariance=self.log_var(hidden))


class Decoder(BaseDecoder):  # type: ignore[misc]
    def __init__(self, case: Case) -> None:
        super().__init__()
        sizes = [case.latent_dim, *case.hidden_dims[::-1]]
        self.layers = nn.Sequential(*layers(sizes), nn.Linear(sizes[-1], PIXELS), nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z).reshape(-1, 1, 28, 28))


class Redrawn(BaseDataset):  # type: ignore[misc]
    """A data set of pythae's that binarises an image whenever it is fetched."""

    def __getitem__(self, index: int) -> DatasetOutput:
        return DatasetOutput(data=torch.bernoulli(self.data[index]), labels=self.labels[index])


class Pause(TrainingCallback):  # type: ignore[misc]
    """Ends a slice after every so many steps; the trainer calls this after each of them."""

    def __init__(self, turns: Turns, options: Told, model: VAE) -> None:
        self.turns, self.options, self.model = turns, options, model
        self.step = 0

    def on_train_step_end(self, training_config: BaseTrainerConfig, **kwargs: Any) -> None:
        self.step += 1
        if self.step % self.options.steps == 0:
            keep = self.options.keeping(self.step, lambda: weights(self.model))
            self.turns.pause(keep, step=self.step)

    def on_train_begin(self, training_config: BaseTrainerConfig, **kwargs: Any) -> None:
        self.turns.begin()


def weights(model: VAE) -> dict[str, Any]:
    """Return the weights under names that do not depend on who trained them."""
    encoder, decoder = ([m for m in net.layers if isinstance(m, nn.Linear)] for net in (model.encoder, model.decoder))
    return {
        "encoder": [dict(m.state_dict()) for m in encoder],
        "mean": dict(model.encoder.embedding.state_dict()),
        "log_variance": dict(model.encoder.log_var.state_dict()),
        "decoder": [dict(m.state_dict()) for m in decoder],
    }


def main() -> None:
    turns = Turns()
    options = told()
    case = options.case
    common = {"input_dim": (1, 28, 28), "latent_dim": case.latent_dim, "reconstruction_loss": "bce"}
    nets = Encoder(case), Decoder(case)
    if case.objective == "iwae":
        model = IWAE(IWAEConfig(**common, number_samples=case.samples), *nets)
    else:
        model = VAE(VAEConfig(**common), *nets)
    images = (options.pixels if options.save else options.bits()).reshape(-1, 1, 28, 28)
    training = BaseTrainerConfig(
        output_dir=str(options.folder),
        num_epochs=10**6,
        per_device_train_batch_size=case.batch_size,
        learning_rate=1e-3,
        seed=options.seed,
        no_cuda=True,
    )
    pipeline = TrainingPipeline(model=model, training_config=training)
    train_data = Redrawn(images, torch.ones(len(images))) if options.dynamic else images
    pipeline(train_data=train_data, callbacks=[Pause(turns, options, model)])


if __name__ == "__main__":
    main()

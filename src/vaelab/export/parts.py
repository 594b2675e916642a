"""The encoder and the decoder of a model as functions of plain tensors, with the noise as an input."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaelab.distributed import noise_from
from vaelab.errors import InputError
from vaelab.inference import MeanFieldPosterior
from vaelab.likelihoods import AutoregressiveLikelihood
from vaelab.models import LatentVariableModel
from vaelab.models.latent import columns_of
from vaelab.seeds import seeded

__all__ = ["Decoder", "Encoder", "Part"]


class Part(nn.Module):
    """A part of a model: tensors in, a tuple of tensors out. Its ``inputs`` and ``outputs`` have names."""

    name: str
    inputs: list[str]
    outputs: list[str]

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def example(self, rows: int) -> tuple[Tensor, ...]:
        """Return inputs as the model may get them, of so many rows."""
        model = self.model
        like = model.any_weight
        with seeded(0, "export"):
            normal = torch.randn(rows, model.latent_dim).to(like)
            uniform = torch.rand(rows, model.latent_dim).to(like)
            z = (uniform < 0.5).to(like) if model.code == "bits" else normal
            y = torch.zeros(rows, model.given).to(like)
            x = model.conditional(z, y).mean
            mask = torch.rand(x.shape) < 0.7
            noise = uniform if model.code == "bits" else normal
            given = {"x": x, "mask": mask.to(like.device), "y": y, "z": z, "noise": noise}
        return tuple(given[name] for name in self.inputs)


class Encoder(Part):
    """From x, and noise, to the mean of q(z|x) and a draw from it.

    >>> from vaelab.models import gaussian_vae
    >>> encoder = Encoder(gaussian_vae(6, latent_dim=2))
    >>> encoder.inputs, encoder.outputs
    (['x', 'noise'], ['mean', 'stddev', 'z'])
    """

    name = "encoder"

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__(model)
        if isinstance(model.posterior, MeanFieldPosterior):
            raise InputError(
                "model: expected a recognition network; mean-field inference repeats its sweeps until the bound of a "
                "row has converged, which has no form in ONNX (train with another inference, such as amortised)"
            )
        draws = model.code != "point"
        mask, y, noise = (["mask"] * model.may_be_missing, ["y"] * bool(model.given), ["noise"] * draws)
        self.inputs = ["x", *mask, *y, *noise]
        spread = ["stddev"] if model.code == "real" else []
        self.outputs = ["mean", *spread, "z"] if draws else ["z"]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that ``outputs`` names."""
        given = dict(zip(self.inputs, inputs, strict=True))
        x = given["x"]
        x = torch.where(given["mask"], x, torch.nan) if "mask" in given else x
        x = torch.cat([x, given["y"]], -1) if "y" in given else x
        q = self.model.posterior(x)
        if "noise" not in given:
            return (q.mean,)
        with noise_from(given["noise"]):
            found = {"mean": q.mean, "z": q.sample()}
        if "stddev" in self.outputs:
            found["stddev"] = q.stddev
        return tuple(found[name] for name in self.outputs)


class Decoder(Part):
    """From a code z to the mean of p(x|z).

    >>> from vaelab.models import gaussian_vae
    >>> decoder = Decoder(gaussian_vae(6, latent_dim=2))
    >>> decoder(*decoder.example(4))[0].shape
    torch.Size([4, 6])
    """

    name = "decoder"
    outputs = ["mean"]  # noqa: RUF012

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__(model)
        if isinstance(columns_of(model.likelihood), AutoregressiveLikelihood):
            raise InputError(
                "likelihood: expected one whose mean has a formula, to write it in ONNX; autoregressive estimates it "
                "from draws (tree and bernoulli have one)"
            )
        self.inputs = ["z", *(["y"] if model.given else [])]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the mean of p(x|z), shape (B, X)."""
        z, y = inputs if len(inputs) == 2 else (inputs[0], inputs[0][:, :0])
        return (self.model.conditional(z, y).mean,)

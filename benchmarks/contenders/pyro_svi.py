"""pyro as its users train with it: a model, a guide, and SVI.step over a DataLoader, as its tutorial on VAEs has it.

Trace_ELBO with one particle, or RenyiELBO with alpha = 0 and K particles at once, which is its importance-weighted
bound; pyro's Adam; its argument checks off, as in that tutorial. Bits are drawn once, before the training.
"""

from __future__ import annotations

from itertools import pairwise

import pyro
import pyro.distributions as dist
from pyro.infer import SVI, RenyiELBO, Trace_ELBO
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from contenders import PIXELS, Case
from contenders.arguments import told
from contenders.turns import Turns

__all__ = ["Model"]


def layers(sizes: list[int]) -> nn.Sequential:
    return nn.Sequential(
        *(module for below, above in pairwise(sizes) for module in (nn.Linear(below, above), nn.ReLU()))
    )


class Model(nn.Module):
    def __init__(self, case: Case) -> None:
        super().__init__()
        hidden = case.hidden_dims
        self.latent_dim = case.latent_dim
        self.encoder = nn.ModuleList(
            [layers([PIXELS, *hidden]), *(nn.Linear(hidden[-1], self.latent_dim) for _ in "12")]
        )
        self.decoder = nn.Sequential(layers([self.latent_dim, *hidden[::-1]]), nn.Linear(hidden[0], PIXELS))

    def model(self, x: Tensor) -> None:
        pyro.module("decoder", self.decoder)
        with pyro.plate("images", x.shape[0]):
            zeros = x.new_zeros(x.shape[0], self.latent_dim)
            z = pyro.sample("code", dist.Normal(zeros, 1.0).to_event(1))
            pyro.sample("pixels", dist.Bernoulli(logits=self.decoder(z)).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        pyro.module("encoder", self.encoder)
        trunk, mean, log_scale = self.encoder
        with pyro.plate("images", x.shape[0]):
            hidden = trunk(x)
            pyro.sample("code", dist.Normal(mean(hidden), log_scale(hidden).exp()).to_event(1))


def main() -> None:
    turns = Turns()
    options = told()
    case = options.case
    pyro.enable_validation(False)
    pyro.clear_param_store()
    model = Model(case)
    if case.objective == "iwae":
        loss = RenyiELBO(alpha=0, num_particles=case.samples, vectorize_particles=True, max_plate_nesting=1)
    else:
        loss = Trace_ELBO()
    svi = SVI(model.model, model.guide, pyro.optim.Adam({"lr": 1e-3}), loss=loss)
    loader = DataLoader(TensorDataset(options.bits()), batch_size=case.batch_size, shuffle=True)
    step, total = 0, 0.0
    turns.begin()
    while True:
        for (x,) in loader:
            total += svi.step(x)
            step += 1
            if step % options.steps == 0:
                turns.pause(step=step)


if __name__ == "__main__":
    main()

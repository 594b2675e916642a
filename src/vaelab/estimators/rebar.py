"""REBAR and RELAX: a relaxed code as control variate, its parameters following the variance's gradient."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.conditionals import Code
from vaelab.distributions import Bernoulli
from vaelab.estimators.contract import Estimate, Estimator, require_bernoulli, require_prepared
from vaelab.estimators.relaxation import conditional_noise, logistic, require_temperature, tied_slope, uniform
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Objective

__all__ = ["Rebar", "Relax"]

Relaxed = tuple[Tensor, Tensor, Tensor]


class _RelaxedControl(Estimator):
    """The estimator the two papers share; they differ in the control variate c(z) and in its noise.

    Formula: with z = l + logit(u), the bit b = 1(z > 0) and z~ a draw of z given b,
    grad_l E_q[f(b)] ~ (f(b) - c(z~)) grad_l log q(b|x) + grad_l c(z) - grad_l c(z~).
    The parameters of c follow the gradient of the mean square of the estimate, which is the gradient of its
    variance.
    """

    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})

    def __init__(self, samples: int, temperature: float) -> None:
        super().__init__(samples)
        temperature = require_temperature("estimator.temperature", temperature)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.scale = nn.Parameter(torch.ones(()))

    @abstractmethod
    def relax(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Bernoulli, drawn: Tensor
    ) -> Relaxed:
        """Return b (K, B, D), c(z~) (K, B), and grad_l c(z) - grad_l c(z~) (B, D), summed over K; q is a constant."""

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is the objective plus l times the estimate of its gradient."""
        q = require_bernoulli(self.name, q)
        held = q.map_parameters(torch.Tensor.detach)
        bits, control, path = self.relax(model, objective, x, held, drawn)
        terms = objective.terms(model, x, q, bits)
        signal = objective.integrand(terms).detach() - control  # (K, B)
        scored = (signal.unsqueeze(-1) * (bits - held.mean)).sum(0)
        gradient = (scored + path) / self.samples  # (B, D)
        auxiliary = self._for_own(gradient.square().sum(-1).mean()) if self.training else None
        surrogate = objective(objective.values(terms)) + (gradient.detach() * q.logits).sum(-1)
        return Estimate.of(objective, terms, surrogate, auxiliary)

    def _for_own(self, loss: Tensor) -> Tensor:
        """Return a scalar whose gradient is that of ``loss`` for the control variate, and nothing for the model."""
        own = list(self.parameters())
        found = torch.autograd.grad(loss, own, retain_graph=True)
        return torch.stack([(gradient * weight).sum() for gradient, weight in zip(found, own, strict=True)]).sum()


class Rebar(_RelaxedControl):
    """REBAR: the decoder at a relaxed code as control variate, temperature and scale adapted.

    Formula: grad_l E_q[f(b)] ~ (f(b) - c(z~)) grad_l log q(b|x) + grad_l c(z) - grad_l c(z~), with
    z = l + logit(u), b = 1(z > 0), z~ a draw of z given b, and c(z) = scale f(sigmoid(z_t / t)) + C(x), where
    z_t = z + l t^2 / (t + 1): as the temperature t grows the relaxed code tends to the mean, as it falls to b.
    z~ takes the value of z (common random numbers) but depends on l as a draw of z given b does, so that one relaxed
    code serves both: grad_l c(z) - grad_l c(z~) = c'(z) (1 - dz~/dl). C is a baseline, 100 tanh units. Temperature,
    scale and C follow the gradient of the variance, ten times as fast as the model, Adam's second decay 0.99999, as
    in the authors' code; they have a scale for each layer of weights, and measure the variance there.
    Shapes: u (K, B, D). Source: Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein (2017), https://arxiv.org/abs/1703.07370.

    Args:
        samples: K, independent estimates averaged; two decoder evaluations each.
        temperature: t at the start, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> Rebar()(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(5, 6)).auxiliary.shape
    torch.Size([])
    """

    name: ClassVar[str] = "rebar"
    learning_rate_factor: ClassVar[float] = 10.0
    betas: ClassVar[tuple[float, float]] = (0.9, 0.99999)

    def __init__(self, samples: int = 1, temperature: float = 0.5) -> None:
        super().__init__(samples, temperature)
        self.baseline: nn.Sequential | None = None

    def prepare(self, x: Tensor, q: Distribution) -> None:
        """Create C for observations (B, X)."""
        if self.baseline is None:
            self.baseline = nn.Sequential(nn.Linear(x.shape[-1], 100), nn.Tanh(), nn.Linear(100, 1)).to(x)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw the noise u of z, (K, B, D)."""
        return uniform(q, self.samples)

    def relax(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Bernoulli, drawn: Tensor
    ) -> Relaxed:
        """Decode one relaxed code for z and z~."""
        baseline = require_prepared(self.name, self.baseline)
        z = logistic(drawn, q.logits).requires_grad_()  # (K, B, D)
        t = self.log_temperature.exp()
        relaxed = torch.sigmoid((z + q.logits * (t * t / (t + 1))) / t)
        control = self.scale * objective.integrand(objective.terms(model, x, q, relaxed))  # (K, B)
        (slope,) = torch.autograd.grad(control.sum(), z, create_graph=self.training)
        # What z_t owes to l directly is in both gradients, and falls out.
        path = (slope * (1 - tied_slope(z.detach(), q.logits))).sum(0)
        return (z > 0).to(z.dtype), control + baseline(x).squeeze(-1), path

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """The bits, and the relaxed code."""
        return 2 * self.samples


class Relax(_RelaxedControl):
    """RELAX: REBAR's control variate plus a free-form network, all of it adapted.

    Formula: grad_l E_q[f(b)] ~ (f(b) - c(z~)) grad_l log q(b|x) + grad_l c(z) - grad_l c(z~), with
    z = l + logit(u), b = 1(z > 0), z~ a draw of z given b, and c(z) = scale f(sigmoid(z / t)) + r(x, z),
    r a network of one hidden layer. Network, temperature and scale follow the gradient of the variance.
    Shapes: the noise of z and of z~ (2, K, B, D). Source: Grathwohl, Choi, Wu, Roeder & Duvenaud (2018),
    https://arxiv.org/abs/1711.00123; independent noise for z and z~, the sizes, Adam's first decay of 0.999 and the
    learning rate, the model's own, are those of the code of Dong, Mnih & Tucker (2020),
    https://arxiv.org/abs/2006.10680.

    Args:
        samples: K, independent estimates averaged; three decoder evaluations each.
        temperature: t at the start, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> Relax()(bernoulli_vae(6, latent_dim=3), ELBO(), torch.ones(5, 6)).auxiliary.shape
    torch.Size([])
    """

    name: ClassVar[str] = "relax"
    betas: ClassVar[tuple[float, float]] = (0.999, 0.999)

    def __init__(self, samples: int = 1, temperature: float = 0.1) -> None:
        super().__init__(samples, temperature)
        self.network: _FreeForm | None = None

    def prepare(self, x: Tensor, q: Distribution) -> None:
        """Create r for observations (B, X) and codes (B, D)."""
        if self.network is None:
            self.network = _FreeForm(x.shape[-1], q.event_shape[-1]).to(x)

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Draw the noise of z and of z~, (2, K, B, D)."""
        return uniform(q, 2, self.samples)

    def relax(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Bernoulli, drawn: Tensor
    ) -> Relaxed:
        """Decode both relaxed codes in one call."""
        network = require_prepared(self.name, self.network)
        logits = q.logits.requires_grad_()  # (B, D)
        z = logistic(drawn[0], logits)
        bits = (z > 0).to(z.dtype)
        both = torch.cat([z, conditional_noise(drawn[1], logits, bits)])  # (2 K, B, D)
        relaxed = torch.sigmoid(both / self.log_temperature.exp())
        value = objective.integrand(objective.terms(model, x, q, relaxed))  # (2 K, B)
        free, conditional = (self.scale * value + network(x, both)).chunk(2)
        (path,) = torch.autograd.grad((free - conditional).sum(), logits, create_graph=self.training)
        return bits, conditional, path

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """The bits, the relaxed code and the relaxed code given the bits."""
        return 3 * self.samples


class _FreeForm(nn.Module):
    """r(x, z): a linear layer of 137 units on x and z side by side, leaky ReLU, one output."""

    def __init__(self, data_dim: int, latent_dim: int, hidden: int = 137) -> None:
        super().__init__()
        self.of_x = nn.Linear(data_dim, hidden)
        self.of_z = nn.Linear(latent_dim, hidden, bias=False)  # apart from x, which is never copied K times
        self.activation: nn.Module = nn.LeakyReLU(0.3)
        self.output = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map x (B, X) and z (..., B, D) to (..., B)."""
        value: Tensor = self.output(self.activation(self.of_x(x) + self.of_z(z))).squeeze(-1)
        return value

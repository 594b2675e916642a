"""REBAR and RELAX: a relaxed code as control variate, whose parameters follow the gradient of the variance."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from vaelab.distributions import Bernoulli
from vaelab.estimators.baselines import observation_network
from vaelab.estimators.contract import BernoulliEstimator, Cost, Expectation, Sizes
from vaelab.estimators.relaxation import conditional_noise, logistic, require_temperature, tied_slope, uniform
from vaelab.models.latent import LatentVariableModel
from vaelab.objectives import Terms

__all__ = ["Rebar", "Relax"]

Relaxed = tuple[Tensor, Tensor, Tensor]


class _RelaxedControl(BernoulliEstimator):
    """The estimator that the two papers share; they differ in the control variate c(z) and in its noise.

    Formula: with `z = l + logit(u)`, the bit `b = 1(z > 0)` and a draw `z~` of `z` given `b`,

    `grad_l E_q[f(b)] ~ (f(b) - c(z~)) grad_l log q(b|x) + grad_l c(z) - grad_l c(z~)`.

    The parameters of `c` follow the gradient of the mean square of the estimate, which is the gradient of its
    variance.
    """

    def __init__(self, model: LatentVariableModel | Sizes, samples: int, temperature: float) -> None:
        super().__init__(model, samples)
        temperature = require_temperature("temperature", temperature)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.scale = nn.Parameter(torch.ones(()))

    @abstractmethod
    def relax(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> Relaxed:
        """Return b (K, B, D), `c(z~)` (K, B), and `grad_l c(z) - grad_l c(z~)` (B, D), summed over K; q is constant."""

    def gradient(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> tuple[Terms, Tensor, Tensor | None]:
        """The auxiliary loss has the gradient of the mean square of the estimate."""
        held = q.map_parameters(torch.Tensor.detach)
        bits, control, path = self.relax(expectation, held, drawn)
        terms = expectation.terms(bits)
        signal = terms.signal_terms.detach() - control  # (K, B)
        scored = (signal.unsqueeze(-1) * (bits - held.mean)).sum(0)
        gradient = (scored + path) / self.samples  # (B, D)
        return terms, gradient, self._for_parameters(gradient.square().sum(-1).mean()) if self.training else None

    def _for_parameters(self, loss: Tensor) -> Tensor:
        """Return a scalar whose gradient is that of ``loss`` for the control variate, and nothing for the model."""
        parameters = list(self.parameters())
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
        products = [(gradient * weight).sum() for gradient, weight in zip(gradients, parameters, strict=True)]
        return torch.stack(products).sum()


class Rebar(_RelaxedControl):
    """REBAR: the decoder at a relaxed code as control variate, with adapted temperature and scale.

    Formula: with `z = l + logit(u)`, the bit `b = 1(z > 0)` and a draw `z~` of `z` given `b`,

    `grad_l E_q[f(b)] ~ (f(b) - c(z~)) grad_l log q(b|x) + grad_l c(z) - grad_l c(z~)`

    `c(z) = scale f(sigmoid(z_t / t)) + C(x), z_t = z + l t^2 / (t + 1)`

    As the temperature `t` grows, the relaxed code tends to the mean; as it falls, to `b`. `z~` has the value of `z`
    (common random numbers) but depends on `l` as a draw of `z` given `b` does. So one relaxed code is enough: `grad_l
    c(z) - grad_l c(z~) = c'(z) (1 - dz~/dl)`. `C` is a baseline of 100 tanh units. Temperature, scale and `C` follow
    the gradient of the variance with ten times the learning rate of the model and Adam's second decay at 0.99999, as in
    the authors' code; theirs has a scale for each layer of weights, and measures the variance there.

    Shapes: u (K, B, D). Source: Tucker, Mnih, Maddison, Lawson & Sohl-Dickstein (2017),
    https://arxiv.org/abs/1703.07370.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, independent estimates averaged; two decoder evaluations each.
        temperature: t at the start, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> Rebar(model)(model, ELBO(), torch.ones(5, 6)).auxiliary.shape
    torch.Size([])
    """

    name: ClassVar[str] = "rebar"
    learns: ClassVar[str] = "temperature, scale and a network of the observation"
    learning_rate_factor: ClassVar[float] = 10.0
    betas: ClassVar[tuple[float, float]] = (0.9, 0.99999)
    cost: ClassVar[Cost] = Cost(2)  # the bits, and the relaxed code

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 1, temperature: float = 0.5) -> None:
        super().__init__(model, samples, temperature)
        self.baseline = observation_network(self.sizes.data_dim)
        self.to(self.sizes.like)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw the noise u of z, (K, B, D)."""
        return uniform(expectation.q, self.samples)

    def relax(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> Relaxed:
        """Decode one relaxed code for z and z~."""
        z = logistic(drawn, q.logits).requires_grad_()  # (K, B, D)
        t = self.log_temperature.exp()
        relaxed = torch.sigmoid((z + q.logits * (t * t / (t + 1))) / t)
        control = self.scale * expectation.terms(relaxed, q).signal_terms  # (K, B)
        (slope,) = torch.autograd.grad(control.sum(), z, create_graph=self.training)
        # The part of z_t that depends on l directly is in both gradients, so it cancels.
        path = (slope * (1 - tied_slope(z.detach(), q.logits))).sum(0)
        return (z > 0).to(z.dtype), control + self.baseline(expectation.filled).squeeze(-1), path


class Relax(_RelaxedControl):
    """RELAX: REBAR's control variate plus a free-form network, all of it adapted.

    Formula: with `z = l + logit(u)`, the bit `b = 1(z > 0)` and a draw `z~` of `z` given `b`,

    `grad_l E_q[f(b)] ~ (f(b) - c(z~)) grad_l log q(b|x) + grad_l c(z) - grad_l c(z~)`

    `c(z) = scale f(sigmoid(z / t)) + r(x, z)`

    where `r` is a network with one hidden layer. Network, temperature and scale follow the gradient of the variance.

    Shapes: the noise of z and of z~ (2, K, B, D). Source: Grathwohl, Choi, Wu, Roeder & Duvenaud (2018),
    https://arxiv.org/abs/1711.00123. The independent noise for z and z~, the sizes, Adam's first decay of 0.999 and the
    learning rate, which is the model's, are those of the code of Dong, Mnih & Tucker (2020),
    https://arxiv.org/abs/2006.10680.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, independent estimates averaged; three decoder evaluations each.
        temperature: t at the start, above 0.

    Raises:
        InputError: a temperature of zero or less.

    >>> from vaelab.models import bernoulli_vae
    >>> from vaelab.objectives import ELBO
    >>> model = bernoulli_vae(6, latent_dim=3)
    >>> Relax(model)(model, ELBO(), torch.ones(5, 6)).auxiliary.shape
    torch.Size([])
    """

    name: ClassVar[str] = "relax"
    learns: ClassVar[str] = "temperature, scale and a network of the observation and the relaxed code"
    betas: ClassVar[tuple[float, float]] = (0.999, 0.999)
    cost: ClassVar[Cost] = Cost(3)  # the bits, the relaxed code, and the relaxed code given the bits

    def __init__(self, model: LatentVariableModel | Sizes, samples: int = 1, temperature: float = 0.1) -> None:
        super().__init__(model, samples, temperature)
        self.network = _FreeForm(self.sizes.data_dim, self.sizes.latent_dim)
        self.to(self.sizes.like)

    def draw(self, expectation: Expectation) -> Tensor:
        """Draw the noise of z and of z~, (2, K, B, D)."""
        return uniform(expectation.q, 2, self.samples)

    def relax(self, expectation: Expectation, q: Bernoulli, drawn: Tensor) -> Relaxed:
        """Decode both relaxed codes in one call."""
        logits = q.logits.requires_grad_()  # (B, D)
        z = logistic(drawn[0], logits)
        bits = (z > 0).to(z.dtype)
        both = torch.cat([z, conditional_noise(drawn[1], logits, bits)])  # (2 K, B, D)
        relaxed = torch.sigmoid(both / self.log_temperature.exp())
        value = expectation.terms(relaxed, q).signal_terms  # (2 K, B)
        free, conditional = (self.scale * value + self.network(expectation.filled, both)).chunk(2)
        (path,) = torch.autograd.grad((free - conditional).sum(), logits, create_graph=self.training)
        return bits, conditional, path


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

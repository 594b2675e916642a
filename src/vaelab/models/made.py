"""The masked autoregressive network: each bit of a row given those before it, in several orders of the columns."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.data import Dataset, DataSpec
from vaelab.distributions import Autoregressive, Bernoulli, Mixture, Stacked
from vaelab.errors import require_int
from vaelab.models.build import builder
from vaelab.models.density import Differentiable
from vaelab.networks import dropped, require_share
from vaelab.objectives import Estimate

__all__ = ["Made", "made"]

_FEW = 5000  # rows
# Shares of hidden units and of inputs that a step leaves out, for few rows and for more: by the validation rows of one
# table each, of 1 600 and 12 758 rows.
_OF_FEW, _OF_MANY = (0.5, 0.2), (0.2, 0.0)


class Made(Differentiable):
    """p(x) as the mean of the densities of several networks, each with its own order of the columns.

    Every network is an :class:`~vaelab.distributions.Autoregressive` distribution, whose log p(x) is exact; so is that
    of their mixture. The networks are trained beside each other, each to maximise its own log p(x).

    Args:
        data: the data set, its spec, or the number of columns X, which are bits.
        hidden: hidden units of each network, H.
        orderings: number of networks, R.
        dropout: share of the hidden units that a step of the training leaves out; None is chosen by the number of rows.
        input_dropout: share of the inputs that a step replaces by the mean of the column; None likewise.

    Raises:
        InputError: an option out of range, or columns that are no bits.
    """

    has_marginals = False
    trained_as: ClassVar[str] = "made"
    orders: Tensor
    centre: Tensor
    rates: Tensor

    def __init__(
        self,
        data: Dataset | DataSpec | int,
        hidden: int = 200,
        orderings: int = 4,
        dropout: float | None = None,
        input_dropout: float | None = None,
    ) -> None:
        super().__init__(data)
        self._given = (_share("dropout", dropout), _share("input_dropout", input_dropout))
        columns, units = self.data_dim, require_int("hidden", hidden, 1)
        count = require_int("orderings", orderings, 1)
        mean = DataSpec.of(data).mean
        centre = torch.full((columns,), 0.5) if mean is None else mean.float().clamp(0.001, 0.999)
        drawn = [torch.randperm(columns) for _ in range(count - 1)]
        self.register_buffer("orders", torch.stack([torch.arange(columns), *drawn]))  # (R, X)
        self.register_buffer("centre", centre)  # (X,)
        self.register_buffer("rates", self._rates(_OF_MANY))  # (2,), saved with the weights
        self.logits = nn.Parameter(torch.logit(centre).repeat(count, 1))
        self.shifts = nn.Parameter(torch.zeros(count, units))
        self.direct = nn.Parameter(torch.zeros(count, columns, columns))
        self.inward = nn.Parameter(torch.randn(count, units, columns) / columns**0.5)
        self.outward = nn.Parameter(torch.zeros(count, columns, units))

    def learn_from(self, data: Dataset) -> None:
        """Choose the shares of dropout that are not given by the number of training rows."""
        self.rates = self._rates(_OF_FEW if len(data.train) < _FEW else _OF_MANY).to(self.rates)

    def _rates(self, usual: tuple[float, float]) -> Tensor:
        return torch.tensor(
            [chosen if given is None else given for given, chosen in zip(self._given, usual, strict=True)]
        )

    def networks(self) -> list[Autoregressive]:
        """Return p_r(x) of each network, batch shape ()."""
        parts = (self.logits, self.shifts, self.direct, self.inward, self.outward, self.orders)
        return [Autoregressive(*of_one).around(self.centre) for of_one in zip(*parts, strict=True)]

    def distribution(self) -> Distribution:
        networks = self.networks()
        if len(networks) == 1:
            return networks[0]
        return Mixture(self.logits.new_zeros(len(networks)), Stacked(networks))

    def estimate(self, x: Tensor) -> Estimate:
        """Return log p(x) under dropout, and as surrogate the sum of the log-densities of all networks."""
        each = torch.stack([self._under_dropout(network, x) for network in self.networks()])  # (R, B)
        value = each.detach().logsumexp(0) - math.log(len(each))
        return Estimate(value, each.sum(0), value, torch.zeros_like(value))

    def _under_dropout(self, network: Autoregressive, x: Tensor) -> Tensor:
        of_units, of_inputs = self.rates
        read = self.centre + dropped(x - self.centre, of_inputs)
        hidden = dropped(network.hidden_units(read), of_units)
        return Bernoulli(network.logits_of(read, hidden)).log_prob(x)


def _share(name: str, value: float | None) -> float | None:
    return None if value is None else require_share(name, value)


@builder
def made(
    data: Dataset | DataSpec | int,
    hidden: int = 200,
    orderings: int = 4,
    dropout: float | None = None,
    input_dropout: float | None = None,
    seed: int | None = None,
) -> Made:
    """Build a masked autoregressive network of bits (MADE): each bit given those before it, in several orders.

    Formula: `p(x) = 1/R sum_r p_r(x)`, `p_r(x) = prod_j p_r(x_j | the columns before j in order r)`, with R networks of
    weights of their own, whose conditionals are computed at once by masks
    (:class:`~vaelab.distributions.Autoregressive`). The first order is that of the data, the others are drawn. log p(x)
    is exact, a draw takes a step for each column, and every value has to be observed.

    Sources: Germain et al. (2015), https://arxiv.org/abs/1502.03509; averages over orders: Uria, Murray & Larochelle
    (2014), https://arxiv.org/abs/1310.1757; dropout: Srivastava et al. (2014), https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
        data: the data set, its spec, or the number of columns X, which are bits. Where the data have a mean, the
            networks read the difference to it, and start as independent bits of that mean.
        hidden: hidden units of each network.
        orderings: number of networks, each with an order of its own.
        dropout: share of the hidden units that a step of the training leaves out; None is 0.5 for a data set of fewer
            than 5000 training rows, else 0.2.
        input_dropout: share of the inputs that a step replaces by the mean of the column; None is 0.2 for a data set of
            fewer than 5000 training rows, else 0.
        seed: of the weights and orders; None draws them from torch's global generator.

    Raises:
        InputError: an option out of range, columns that are no bits, or data with missing values.

    >>> model = made(6, hidden=12, orderings=2, seed=0)
    >>> model.log_prob(torch.ones(4, 6)).shape, model.sample(3).shape
    (torch.Size([4]), torch.Size([3, 6]))
    """
    return Made(data, hidden, orderings, dropout, input_dropout)

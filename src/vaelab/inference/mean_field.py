"""Mean-field inference in sigmoid belief networks: a factorised q(z|x), optimised for each observation separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Self, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaelab.distributions import Bernoulli, Code
from vaelab.errors import InputError, require_choice, require_int, require_number
from vaelab.inference.contract import InferenceModel
from vaelab.inference.fields import FIELDS, FieldName
from vaelab.inputs import Table, as_observations
from vaelab.likelihoods import BernoulliLikelihood, BottomLayer, ColumnLikelihood
from vaelab.networks import matmul_precision
from vaelab.posteriors import BernoulliPosterior
from vaelab.priors import ChainPrior
from vaelab.seeds import own_generators

__all__ = ["MeanField", "MeanFieldBernoulli", "MeanFieldPosterior", "State", "generative_parts", "linear_weights"]

_ELEMENTS = 2_000_000  # of a chunk of observations times children times parents


def linear_weights(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Return J (C, P) and h (C,) of a conditional `P(S_i = 1|S) = sigmoid(sum_j J_ij S_j + h_i)`, S the parents.

    Raises:
        InputError: the module is not a single linear layer.

    >>> from vaelab.models import sbn
    >>> J, h = linear_weights(sbn(6, layers=[3]).likelihood)
    >>> J.shape, h.shape
    (torch.Size([6, 3]), torch.Size([6]))
    """
    if isinstance(module, ColumnLikelihood) and not isinstance(module, BernoulliLikelihood):
        raise InputError(
            f"likelihood: expected bernoulli, as mean-field inference is for networks of bits; got {module.name} "
            "(inference=amortised works with every likelihood)"
        )
    network = module.network if isinstance(module, BernoulliLikelihood | BernoulliPosterior) else None
    layers = [] if network is None else list(network.layers.modules())[1:]
    if network is None or [type(layer) for layer in layers] != [nn.Linear]:
        raise InputError(
            "weights: expected a linear layer of bits, as the layers of an sbn without hidden_dims are; "
            "got one with hidden layers between"
        )
    J = layers[0].get_parameter("weight") * network.scale
    return J, layers[0].get_parameter("bias") - J @ network.shift


def generative_parts(model: InferenceModel) -> tuple[nn.Module, list[nn.Module]]:
    """Return the prior of the top layer, and the modules p(x|y_1), p(y_1|y_2), ... below it.

    >>> from vaelab.models import sbn
    >>> top, below = generative_parts(sbn(6, layers=[4, 3]))
    >>> [linear_weights(part)[0].shape for part in below]
    [torch.Size([6, 4]), torch.Size([4, 3])]
    """
    if isinstance(model.prior, ChainPrior) and isinstance(model.likelihood, BottomLayer):
        return model.prior.top, [model.likelihood.conditional, *reversed(model.prior.conditionals)]
    return model.prior, [model.likelihood]


class State(NamedTuple):
    """The variables of mean-field inference: mu (B, D_l) of each hidden layer, xi (B, C_l) of each layer with
    parents.
    """

    mu: tuple[Tensor, ...]
    xi: tuple[Tensor, ...]


class MeanField:
    """Coordinate ascent of a lower bound on log p(x) in a chain of linear layers of bits.

    Formula: with `Q = prod_i Bernoulli(mu_i)`, `S_i = x_i` for a visible unit, `z_i = sum_j J_ij S_j + h_i` and the
    logits `c` of the top layer,

    `L = sum_i [<S_i> <z_i> - cost_i(mu, xi_i)] + sum_j [mu_j c_j - log(1 + e^c_j)] + sum_j H(mu_j)`,

    where `cost_i` is the field's upper bound on `<log(1 + e^z_i)>` (see ``fields``), smallest at the best `xi_i` in [0,
    1]. No update of `mu` or of `xi` lowers `L`. NaN in x marks a missing value, whose term of `L` is left out; `L` then
    bounds the log-density of the observed ones. Shapes: x (B, X); L (B,), in nats. Source: Saul, Jaakkola & Jordan
    (1996), https://arxiv.org/abs/cs/9603102.

    Args:
        layers: (J, h) of each layer given its parents: of x given y_1, of y_1 given y_2, and so on.
        top: logits c of the last layer.
        field: ``product`` or ``gaussian``.

    Raises:
        InputError: layers whose sizes do not follow on each other, or observations of another size.

    >>> inference = MeanField([(torch.eye(3), torch.zeros(3))], top=torch.zeros(3))
    >>> x = torch.tensor([[1.0, 1.0, 0.0]])
    >>> inference.bound(x, inference.infer(x))
    tensor([-1.9264])
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], top: Tensor, field: FieldName = "product") -> None:
        require_choice("field", field, get_args(FieldName))
        for index, (J, h) in enumerate(layers):
            above = len(layers[index + 1][1]) if index + 1 < len(layers) else len(top)
            if tuple(J.shape) != (len(h), above):
                raise InputError(f"layers[{index}]: expected J of shape {(len(h), above)}; got {tuple(J.shape)}")
        self.layers, self.top, self.field = list(layers), top, FIELDS[field]()

    def start(self, x: Table) -> State:
        """Return mu = 1/2 and xi = 1/2 for every unit."""
        x = as_observations(x, self.top, may_be_missing=True)
        if x.shape[1] != len(self.layers[0][1]):
            raise InputError(f"x: expected observations of shape (B, {len(self.layers[0][1])}); got {tuple(x.shape)}")
        mu = tuple(x.new_full((len(x), J.shape[1]), 0.5) for J, _ in self.layers)
        return State(mu, tuple(x.new_full((len(x), J.shape[0]), 0.5) for J, _ in self.layers))

    def parts(self, x: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Return the visible layer's part of L and the rest, (B,) each; differentiable in J, h and c."""
        values = (x, *state.mu)
        terms = []
        for (J, h), child, mu, xi in zip(self.layers, values, state.mu, state.xi, strict=False):
            missing = child.isnan()
            cost = self.field.cost(mu, xi, J, h)  # (B, C)
            terms.append((child.masked_fill(missing, 0) * (mu @ J.T + h) - cost).masked_fill(missing, 0).sum(-1))
        rest = (state.mu[-1] * self.top - F.softplus(self.top)).sum(-1)
        for mu in state.mu:
            rest = rest + (torch.special.entr(mu) + torch.special.entr(1 - mu)).sum(-1)
        return terms[0], sum(terms[1:], rest)

    def bound(self, x: Table, state: State) -> Tensor:
        """Return L, (B,)."""
        x = as_observations(x, self.top, may_be_missing=True)
        visible, rest = self.parts(x, state)
        return visible + rest

    def updates(self, x: Tensor, state: State) -> Iterator[State]:
        """Yield the state after each update of one sweep: every layer's mu from x upwards, then every xi."""
        mu, xi = list(state.mu), list(state.xi)
        for index, (J, h) in enumerate(self.layers):
            child = x if index == 0 else mu[index - 1]
            drive = self.top
            if index + 1 < len(self.layers):
                above, bias = self.layers[index + 1]
                drive = mu[index + 1] @ above.T + bias  # (B, D_l): <z> of the layer's own units
            for better in self.field.parents(mu[index], xi[index], child, J, h, drive):
                mu[index] = better
                yield State(tuple(mu), tuple(xi))
        for index, (J, h) in enumerate(self.layers):
            xi[index] = self.field.tighten(mu[index], xi[index], J, h)
            yield State(tuple(mu), tuple(xi))

    def infer(self, x: Table, tolerance: float = 1e-2, sweeps: int = 50) -> State:
        """Sweep each observation until its L changes by less than ``tolerance`` nats, or ``sweeps`` times."""
        require_number("tolerance", tolerance, 0.0)
        require_int("sweeps", sweeps, 1)
        x = as_observations(x, self.top, may_be_missing=True)
        state = self.start(x)
        # in float32: rounded to bfloat16, L would vary by more than a tolerance
        with own_generators(), torch.no_grad(), matmul_precision("highest"):
            before, active = torch.stack(self.parts(x, state)).sum(0), torch.arange(len(x), device=x.device)
            for _ in range(sweeps):
                *_, updated = self.updates(
                    x[active], State(*(tuple(part[active] for part in parts) for parts in state))
                )
                for whole, part in zip((*state.mu, *state.xi), (*updated.mu, *updated.xi), strict=True):
                    whole[active] = part
                after = torch.stack(self.parts(x[active], updated)).sum(0)
                going = (after - before).abs() >= tolerance
                before, active = after[going], active[going]
                if not len(active):
                    break
        return state

    def rows(self) -> int:
        """Return the number of observations that are processed together, so that memory stays bounded."""
        largest = max(J.numel() if self.field.elementwise else sum(J.shape) for J, _ in self.layers)
        return max(1, _ELEMENTS // largest)


class MeanFieldBernoulli(Bernoulli):
    """The factorised q(z|x) that results from mean-field inference, and its ``xi``."""

    def __init__(self, logits: Tensor, xi: tuple[Tensor, ...] = (), validate_args: bool = False) -> None:
        super().__init__(logits, validate_args)
        self.xi = xi

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(function(self.logits), self.xi, self._validate_args)


class MeanFieldPosterior(nn.Module):
    """`q(z|x) = prod_j Bernoulli(z_j; mu_j)`, the mu of mean-field inference: no recognition network, no parameters.

    Args:
        top: the prior of the last layer, a module that returns bits.
        conditionals: the modules p(x|y_1), p(y_1|y_2), ..., each linear.
        field: ``product`` (1996) or ``gaussian`` (1999), see :class:`MeanField`.
        tolerance: nats; the inference of an observation ends when its bound changes by less in a sweep.
        sweeps: most sweeps.

    Raises:
        InputError: conditionals that are not linear, or a number out of range.
    """

    code: ClassVar[Code] = "bits"

    def __init__(
        self,
        top: nn.Module,
        conditionals: Sequence[nn.Module],
        field: Literal["product", "gaussian"] = "product",
        tolerance: float = 1e-2,
        sweeps: int = 50,
    ) -> None:
        super().__init__()
        require_choice("field", field, get_args(FieldName))
        self.tolerance = require_number("tolerance", tolerance, 0.0)
        self.sweeps = require_int("sweeps", sweeps, 1)
        self.field: FieldName = field
        # In a tuple, so that torch does not register these weights, which belong to the prior and the likelihood.
        self._generative: tuple[Any, ...] = (top, *conditionals)
        self.layers = tuple(linear_weights(part)[0].shape[1] for part in conditionals)

    def solver(self) -> MeanField:
        """Return the inference for the present weights of the network."""
        top, *conditionals = self._generative
        return MeanField([linear_weights(part) for part in conditionals], top().logits, self.field)

    def forward(self, x: Tensor) -> MeanFieldBernoulli:
        """Return q(z|x) for observations (B, X): batch shape (B,), event shape (D,)."""
        with torch.no_grad():
            solver = self.solver()
            first = solver.layers[0][0]
            if x.shape[-1:] != first.shape[:1]:
                raise InputError(f"network: expected inputs of shape (..., {first.shape[0]}); got {tuple(x.shape)}")
            states = [solver.infer(rows, self.tolerance, self.sweeps) for rows in x.to(first).split(solver.rows())]
            mu = torch.cat([torch.cat(state.mu, -1) for state in states])  # (B, D)
            xi = tuple(torch.cat(layer) for layer in zip(*(state.xi for state in states), strict=True))
            return MeanFieldBernoulli(torch.logit(mu), xi)

    def state_of(self, q: MeanFieldBernoulli) -> State:
        """Return the state of inference behind a q that this posterior returned."""
        return State(tuple(q.mean.split(self.layers, -1)), q.xi)

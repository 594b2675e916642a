"""Bits that depend on hidden states, which form a tree, as one distribution over vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import constraints

from vaelab.distributed import uniform
from vaelab.distributions.tree import Forest
from vaelab.distributions.vector import ParametricDistribution
from vaelab.errors import InputError

__all__ = ["ExpectedCounts", "HiddenTree"]

_LARGEST = 1e4  # logit of a bit: a sum of so many of them is finite
_ELEMENTS = 2_000_000  # states of all columns of the rows that are drawn at once: 8 MB


class ExpectedCounts(NamedTuple):
    """How often each state occurs in some rows, in expectation given the rows.

    Attributes:
        transitions: of each state of a column beside each state of its parent, (X, C, C); of a root beside state 0.
        ones: of each state where the column is observed to be 1, (X, C).
        observed: of each state where the column is observed, (X, C).
        log_prob: log p of what is observed of each row, (B,).
    """

    transitions: Tensor
    ones: Tensor
    observed: Tensor
    log_prob: Tensor


class HiddenTree(ParametricDistribution):
    """Bits, each with a hidden state h_j of C, where the states of the columns form a tree.

    Formula: `log p(x) = log sum_h prod_j p(h_j | h_pa(j)) p(x_j | h_j)`, where pa(j) is the parent of column j, and x_j
    is Bernoulli given h_j.

    The sum over all C^X states is exact, from the leaves to the roots. With b_j(h) the probability of what is observed
    at column j and below, given that its state is h, and u_j(g) the same given that the state of its parent is g,

    `b_j(h) = p(x_j | h) prod_c u_c(h)` over the children c, `u_j(g) = sum_h p(h_j = h | h_pa(j) = g) b_j(h)`

    and p(x) is the product of the u of the roots. A missing value has the factor 1 instead of p(x_j | h), so the
    marginals are exact too. Given what is observed, the states are again a tree: `p(h_j | h_pa(j))` times b_j(h_j),
    normalised. All rows and the columns of a level are computed at once, each b_j scaled to a largest value of 1.

    The most probable x cannot be found in general: ``mode`` is the x of the most probable x and h together, so another
    x may be more probable. The entropy has no formula.

    Sources: Choi, Tan, Anandkumar & Willsky (2011), "Learning Latent Tree Graphical Models",
    https://www.jmlr.org/papers/v12/choi11b.html, of the model; Pearl (1988), "Probabilistic Reasoning in Intelligent
    Systems", chapter 4, of the messages.

    Args:
        transitions: logits of the state of a column (last axis) for each state of its parent, (X, C, C). Of a root
            those of the first state of a parent count.
        emissions: the logit of a one for each state, (X, C).
        forest: the parents of the columns, as a :class:`Forest` or X numbers, -1 for a root.
        evidence: factors of the states, (..., X, C), at least 0 and with one above: the states have probability
            `p(h_j | h_pa(j))` times these, normalised. None: 1.
        validate_args: check the values that ``log_prob`` gets, as in torch; false by default.

    Raises:
        InputError: shapes that do not fit.

    >>> p = HiddenTree(torch.zeros(2, 2, 2), torch.tensor([[-9.0, 9.0], [-9.0, 9.0]]), [-1, 0])
    >>> p.log_prob(torch.tensor([1.0, 1.0])).exp(), p.mean
    (tensor(0.2500), tensor([0.5000, 0.5000]))
    """

    arg_constraints = {  # noqa: RUF012
        "transitions": constraints.independent(constraints.real, 3),
        "emissions": constraints.independent(constraints.real, 2),
    }
    support = constraints.independent(constraints.boolean, 1)
    has_rsample = False

    def __init__(
        self,
        transitions: Tensor,
        emissions: Tensor,
        forest: Forest | Sequence[int],
        evidence: Tensor | None = None,
        validate_args: bool = False,
    ) -> None:
        columns, states = emissions.shape
        known = forest if isinstance(forest, Forest) else Forest.of(forest)
        if transitions.shape != (columns, states, states):
            got = tuple(transitions.shape)
            raise InputError(f"transitions: expected shape {(columns, states, states)}; got {got}")
        if len(known.parents) != columns:
            raise InputError(f"forest: expected the parents of {columns} columns; got {len(known.parents)}")
        if evidence is not None and evidence.shape[-2:] != emissions.shape:
            got = tuple(evidence.shape)
            raise InputError(f"evidence: expected a shape that ends in {(columns, states)}; got {got}")
        self.transitions, self.emissions, self.evidence = transitions, emissions, evidence
        self.forest = known.to(emissions.device)
        self._tables = self._by_level(transitions.softmax(-1))
        self._logits = self._by_level(emissions.clamp(-_LARGEST, _LARGEST))
        batch = torch.Size(()) if evidence is None else evidence.shape[:-2]
        super().__init__(batch, torch.Size([columns]), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The probability of a one in each column, from the roots to the leaves."""
        states = self._downward(*self._weights(self.batch_shape))
        means = [
            (of_level * logits.sigmoid().unsqueeze(1)).sum(-1)
            for of_level, logits in zip(states, self._logits, strict=True)
        ]
        return self._joined(means).T.reshape(*self.batch_shape, -1)

    @property
    def variance(self) -> Tensor:
        mean = self.mean
        return mean * (1 - mean)

    @property
    def mode(self) -> Tensor:
        """The x of the most probable x and states together; another x may be more probable."""
        choices: list[Tensor] = []
        arriving: Tensor | float = 0.0
        weights, sums = self._weights(self.batch_shape)
        for level in reversed(range(len(self._tables))):
            best = F.logsigmoid(self._logits[level].abs()).unsqueeze(1) + _log(weights[level]) + arriving  # (n, B, C)
            joint = _log(self._tables[level]).unsqueeze(1) + best.unsqueeze(-2)  # (n, B, C of the parent, C)
            largest, chosen = (joint - _log(sums[level]).unsqueeze(-1)).max(-1)
            choices.insert(0, chosen)
            arriving = self._to_parents(largest, level)
        states: list[Tensor] = []
        bits: list[Tensor] = []
        for level, (chosen, logits) in enumerate(zip(choices, self._logits, strict=True)):
            of_parents = self._of_parents(states, level, torch.zeros_like(chosen[..., 0]))
            states.append(chosen.gather(-1, of_parents.unsqueeze(-1)).squeeze(-1))  # (n, B)
            bits.append(logits.gather(1, states[-1]) > 0)
        return self._joined(bits).T.reshape(*self.batch_shape, -1).to(self.emissions.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the states from the roots to the leaves, and each bit given its state."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            noise = uniform([*shape[:-1], 2 * shape[-1]], self.emissions).reshape(-1, 2, shape[-1])
            weights = self._weights(self.batch_shape)[0]
            rows = torch.arange(len(noise), device=noise.device) % weights[0].shape[1]  # of the evidence
            size = max(1, _ELEMENTS // self.emissions.numel())
            parts = [
                self._drawn(part, [each if each.shape[1] == 1 else each.index_select(1, of_part) for each in weights])
                for part, of_part in zip(noise.split(size), rows.split(size), strict=True)
            ]
            return torch.cat(parts).reshape(shape).to(self.emissions.dtype)

    def _drawn(self, noise: Tensor, weights: Sequence[Tensor]) -> Tensor:
        """Return the bits of some rows, (B, X), from uniform noise for the states and the bits, (B, 2, X).

        Args:
            noise: uniform in [0, 1).
            weights: the evidence of each level, (n, B, C), or (n, 1, C) where it is that of all rows.
        """
        for_states, for_bits = (self._by_level(part.T) for part in noise.unbind(1))  # (n, B)
        states: list[Tensor] = []
        bits: list[Tensor] = []
        for level, of_level in enumerate(weights):
            of_parents = self._of_parents(states, level, torch.zeros_like(for_states[level], dtype=torch.int64))
            table = self._tables[level]
            rows = table.gather(1, of_parents.unsqueeze(-1).expand(-1, -1, table.shape[-1]))  # (n, B, C)
            total = (rows * of_level).cumsum(-1)
            found = (total <= for_states[level].unsqueeze(-1) * total[..., -1:]).sum(-1)
            states.append(found.clamp_max(table.shape[-1] - 1))
            bits.append(for_bits[level] < self._logits[level].gather(1, states[-1]).sigmoid())
        return self._joined(bits).T

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._upward(value)[2]

    def log_prob_of_observed(self, value: Tensor) -> Tensor:
        return self._upward(value, value.isnan())[2]

    def given_observed(self, value: Tensor) -> Self:
        """Return p(x | the values that are not NaN), as it is in the columns that are missing.

        In an observed column x is a second draw, given its state: mean, mode and ``log_prob`` do not hold it at the
        observed value.

        >>> same = torch.stack([torch.zeros(2, 2), 9 * torch.eye(2)])
        >>> p = HiddenTree(same, torch.tensor([[-9.0, 9.0], [-2.0, 2.0]]), [-1, 0])
        >>> p.given_observed(torch.tensor([1.0, torch.nan])).mean[1]
        tensor(0.8806)
        """
        below, _, log_prob = self._upward(value, value.isnan())
        evidence = self._joined(below).transpose(0, 1).reshape(*log_prob.shape, *self.emissions.shape)
        return type(self)(self.transitions, self.emissions, self.forest, evidence, bool(self._validate_args))

    def expected_counts(self, value: Tensor, weights: Tensor) -> ExpectedCounts:
        """Return how often each state occurs in rows, in expectation given what is observed of them.

        With `q_j` the probabilities of the states of column j given the row, from the roots to the leaves,

        `q_j(g, h) = q_pa(j)(g) p(h_j = h | h_pa(j) = g) b_j(h) / u_j(g)`, `q_j(h) = sum_g q_j(g, h)`

        and the counts are sums of these over the rows, weighted.

        Args:
            value: rows (B, X), NaN where a value is missing.
            weights: of the rows, (B,).
        """
        missing = value.isnan()
        below, sums, log_prob = self._upward(value, missing)
        states = self._downward(below, sums)
        seen = torch.stack([value.masked_fill(missing, 0), (~missing).to(value)]) * weights.unsqueeze(-1)  # (2, B, X)
        transitions, emissions = [], []
        for level, of_rows in enumerate(self._by_level(seen.movedim(-1, 0))):
            ratios = self._of_parents(states, level, self._first()) / sums[level] * weights.unsqueeze(-1)  # (n, B, C)
            transitions.append(self._tables[level] * (ratios.mT @ below[level]))
            emissions.append(of_rows @ states[level])  # (n, 2, C)
        ones, observed = self._joined(emissions).unbind(1)
        return ExpectedCounts(self._joined(transitions), ones, observed, log_prob)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the tree with its evidence repeated along new axes, as views."""
        evidence = self.emissions.new_ones(()) if self.evidence is None else self.evidence
        evidence = evidence.expand(*torch.Size(batch_shape), *self.emissions.shape)
        return type(self)(self.transitions, self.emissions, self.forest, evidence, bool(self._validate_args))

    def map_parameters(self, function: Callable[[Tensor], Tensor]) -> Self:
        evidence = None if self.evidence is None else function(self.evidence)
        transitions, emissions = function(self.transitions), function(self.emissions)
        return type(self)(transitions, emissions, self.forest, evidence, bool(self._validate_args))

    def _upward(self, value: Tensor, missing: Tensor | None = None) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return b and u of each level, (n, B, C), scaled to a largest b of 1 in each row; and log p(x), (...).

        Args:
            value: x, (..., X).
            missing: where it is missing, (..., X); None if it is nowhere.
        """
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        factors = self._factors(value.expand(*shape, -1), None if missing is None else missing.expand(*shape, -1))
        weights, norms = self._weights(shape)
        least = 0.7 * math.log(_tiny(value))  # so that no product is below the smallest number, which is slow
        below: list[Tensor] = []
        sums: list[Tensor] = []
        arriving: Tensor | float = 0.0
        for level in reversed(range(len(factors))):
            logs = factors[level].add_(arriving)
            if self.evidence is not None:
                logs = logs + _log(weights[level])
            largest = logs.amax(-1, keepdim=True)
            below.insert(0, (logs - largest).clamp_min_(least).exp_())
            sums.insert(0, (below[0] @ self._tables[level].mT).clamp_min(_tiny(logs)))
            message = sums[0].log() + largest
            if self.evidence is not None:
                message = message - norms[level].log()
            arriving = self._to_parents(message, level)
        return below, sums, message[..., 0].sum(0).reshape(shape)

    def _factors(self, value: Tensor, missing: Tensor | None) -> list[Tensor]:
        """Return log p(x_j | h) of each level, (n, B, C); 0 where x_j is missing."""
        x = value if missing is None else value.masked_fill(missing, 0)
        by_level = [rows.unsqueeze(-1) for rows in self._by_level(x.reshape(-1, x.shape[-1]).T)]
        factors = [
            torch.addcmul(-F.softplus(logits), of_level, logits)
            for of_level, logits in zip(by_level, (part.unsqueeze(1) for part in self._logits), strict=True)
        ]
        if missing is None or not bool(missing.any()):
            return factors
        gaps = self._by_level(missing.reshape(-1, x.shape[-1]).T)
        return [part.masked_fill(of_level.unsqueeze(-1), 0) for part, of_level in zip(factors, gaps, strict=True)]

    def _downward(self, weights: Sequence[Tensor], sums: Sequence[Tensor]) -> list[Tensor]:
        """Return the probability of each state, (n, B, C) of each level, where a state h has the factor weights(h).

        Args:
            weights: of each state, (n, B, C) of each level.
            sums: of the weights of a column for each state of its parent, `sum_h p(h_j = h | g) weights(h)`.
        """
        states: list[Tensor] = []
        for level, table in enumerate(self._tables):
            ratios = self._of_parents(states, level, self._first()) / sums[level]
            states.append(weights[level] * (ratios @ table))
        return states

    def _weights(self, shape: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the evidence of each level, (n, B, C), of B rows of a shape, and its sums; or ones."""
        if self.evidence is None:
            ones = [logits.new_ones(()).expand(len(logits), 1, logits.shape[-1]) for logits in self._logits]
            return ones, ones
        rows = self.evidence.expand(*shape, *self.emissions.shape).reshape(-1, *self.emissions.shape)
        weights = self._by_level(rows.transpose(0, 1))
        sums = [part @ table.mT for part, table in zip(weights, self._tables, strict=True)]
        return weights, [part.clamp_min(_tiny(part)) for part in sums]

    def _first(self) -> Tensor:
        """Return the states of the parent of a root: the first is certain, (1, 1, C)."""
        return F.one_hot(self.forest.parents.new_zeros(1, 1), self.emissions.shape[-1]).to(self.emissions)

    def _of_parents(self, levels: Sequence[Tensor], level: int, first: Tensor) -> Tensor:
        """Return for each column of a level what its parent has in the level above; of the roots ``first``."""
        return levels[level - 1].index_select(0, self.forest.above[level]) if level else first

    def _to_parents(self, messages: Tensor, level: int) -> Tensor | float:
        """Return the sum of the messages to each column of the level above, (n above, B, C); 0 above the roots."""
        if not level:
            return 0.0
        none = messages.new_zeros(self.forest.sizes[level - 1], *messages.shape[1:])
        return none.index_add(0, self.forest.above[level], messages)

    def _by_level(self, values: Tensor) -> list[Tensor]:
        """Return values (X, ...) as one tensor for each level."""
        return list(values.index_select(0, self.forest.order).split(list(self.forest.sizes)))

    def _joined(self, levels: Sequence[Tensor]) -> Tensor:
        """Return the columns of all levels in the order of the columns, (X, ...)."""
        return torch.cat(list(levels)).index_select(0, self.forest.place)

    def __repr__(self) -> str:
        shapes = {name: tuple(getattr(self, name).shape) for name in ("transitions", "emissions")}
        batch = f", batch: {tuple(self.batch_shape)}" if self.batch_shape else ""
        return f"HiddenTree({', '.join(f'{name}: {shape}' for name, shape in shapes.items())}{batch})"


def _tiny(like: Tensor) -> float:
    return torch.finfo(like.dtype).tiny


def _log(weights: Tensor) -> Tensor:
    """Return the logarithm of weights, of which those that are 0 count as the smallest number."""
    return weights.clamp_min(_tiny(weights)).log()

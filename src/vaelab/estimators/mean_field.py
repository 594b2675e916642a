"""Mean-field expectation-maximisation: q(z|x) is optimised for each observation, and the model learns from it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from vaelab.distributions import Code
from vaelab.errors import InputError
from vaelab.estimators.contract import Cost, Estimate, Estimator, Expectation, Inference
from vaelab.inference import MeanFieldBernoulli, MeanFieldPosterior, State
from vaelab.objectives import Combination

__all__ = ["MeanFieldEM"]


class MeanFieldEM(Estimator):
    """Expectation-maximisation with a mean field: maximise `L(mu, xi)` over `mu` and `xi`, then follow its gradient in
    `J` and `h`.

    Formula: the gradient of `L` at fixed `mu` and `xi`, with `phi` as in ``inference.fields``:

    `dL/dh_i = <S_i> - phi_i`

    `dL/dJ_ij = (<S_i> - xi_i) mu_j + (1 - phi_i) xi_i a_ij - phi_i (1 - xi_i) b_ij`

    `a_ij = mu_j e^(-xi_i J_ij) / (1 - mu_j + mu_j e^(-xi_i J_ij))`

    and `b_ij` likewise with `1 - xi_i` for `-xi_i`. Nothing is sampled. ``bound`` is `L`, which lies below the evidence
    lower bound of the same `q`; its gradient is exact for `L`, and biased for the evidence lower bound. Shapes: mu (1,
    B, D). Source: Saul, Jaakkola & Jordan (1996), https://arxiv.org/abs/cs/9603102.

    Args:
        model: the model that it is for, or its sizes.
        samples: K, codes drawn from q where the evidence lower bound is validated.

    >>> from vaelab.models import sbn
    >>> from vaelab.objectives import ELBO
    >>> model = sbn(6, layers=[3], inference="mean-field")
    >>> MeanFieldEM(model)(model, ELBO(), torch.ones(4, 6)).bound.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "mean-field"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    layered: ClassVar[bool] = True
    inference: ClassVar[Inference] = "mean-field"
    combinations: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    biased: ClassVar[frozenset[Combination]] = frozenset({"mean"})
    bias: ClassVar[str] = "it is exact for `L`, a bound below the evidence lower bound of the same `q`"
    supports_beta: ClassVar[bool] = False  # mu and xi raise L as it is
    supports_free_bits: ClassVar[bool] = False
    cost: ClassVar[Cost] = Cost(0)

    def draw(self, expectation: Expectation) -> Tensor:
        """Return the means of q, (1, B, D): nothing is random."""
        return expectation.q.mean.detach().unsqueeze(0)

    def score(self, expectation: Expectation, drawn: Tensor) -> Estimate:
        """The surrogate is L itself, mu and xi held constant."""
        posterior, q = expectation.model.posterior, expectation.q
        if not isinstance(posterior, MeanFieldPosterior) or not isinstance(q, MeanFieldBernoulli):
            raise InputError(
                f"estimator: {self.name!r} needs mean-field inference (model sbn, inference=mean-field); "
                f"q(z|x) of this model is a {type(q).__name__}"
            )
        solver, state = posterior.solver(), posterior.state_of(q)
        rows = solver.rows()
        chunks = zip(expectation.x.split(rows), *(part.split(rows) for part in (*state.mu, *state.xi)), strict=True)
        visible, rest = [], []
        for x, *parts in chunks:
            chunk = State(tuple(parts[: len(state.mu)]), tuple(parts[len(state.mu) :]))
            of_x, others = checkpoint(solver.parts, x, chunk, use_reentrant=False)  # its graph is made when needed
            visible.append(of_x)
            rest.append(others)
        log_likelihood, remainder = torch.cat(visible), torch.cat(rest)
        bound = log_likelihood + remainder  # (B,)
        return Estimate(bound.detach(), bound, log_likelihood.detach(), -remainder.detach())

"""Mean-field expectation-maximisation: the encoder is an inference for each observation, the model learns from it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.utils.checkpoint import checkpoint

from vaelab.conditionals import Code
from vaelab.errors import InputError
from vaelab.estimators.contract import Estimate, Estimator
from vaelab.models.latent import LatentVariableModel
from vaelab.models.mean_field import MeanFieldBits, MeanFieldPosterior, State
from vaelab.objectives import Objective

__all__ = ["MeanFieldEM"]


class MeanFieldEM(Estimator):
    """Expectation-maximisation with a mean field: raise L(mu, xi) in mu and xi, then follow its gradient in J and h.

    Formula: the gradient of L at fixed mu and xi, with phi as in ``models.fields``,

        dL/dh_i = <S_i> - phi_i,    dL/dJ_ij = (<S_i> - xi_i) mu_j + (1 - phi_i) xi_i a_ij - phi_i (1 - xi_i) b_ij,
        a_ij = mu_j e^(-xi_i J_ij) / (1 - mu_j + mu_j e^(-xi_i J_ij)), b_ij likewise with 1 - xi_i for -xi_i.

    Nothing is sampled. ``bound`` is L, which lies below the evidence lower bound of the same q; its gradient is
    exact for L, and biased for the evidence lower bound. Shapes: mu (1, B, D). Source: Saul, Jaakkola & Jordan
    (1996), https://arxiv.org/abs/cs/9603102.

    Args:
        samples: K, codes drawn from q where the evidence lower bound is validated.

    >>> from vaelab.models import sbn
    >>> from vaelab.objectives import ELBO
    >>> model = sbn(6, layers=[3], inference="mean-field")
    >>> MeanFieldEM()(model, ELBO(), torch.ones(4, 6)).bound.shape
    torch.Size([4])
    """

    name: ClassVar[str] = "mean-field"
    codes: ClassVar[frozenset[Code]] = frozenset({"bits"})
    objectives: ClassVar[frozenset[str]] = frozenset({"elbo"})
    biased: ClassVar[frozenset[str]] = frozenset({"elbo"})
    layered: ClassVar[bool] = True
    supports_beta: ClassVar[bool] = False  # mu and xi raise L as it is

    def draw(self, q: Distribution, objective: Objective) -> Tensor:
        """Return the means of q, (1, B, D): nothing is random."""
        return q.mean.detach().unsqueeze(0)

    def score(
        self, model: LatentVariableModel, objective: Objective, x: Tensor, q: Distribution, drawn: Tensor
    ) -> Estimate:
        """The surrogate is L itself, mu and xi held constant."""
        if not isinstance(model.posterior, MeanFieldPosterior) or not isinstance(q, MeanFieldBits):
            raise self._refusal(model)
        solver, state = model.posterior.solver(), model.posterior.state_of(q)
        rows = solver.rows()
        chunks = zip(x.split(rows), *(part.split(rows) for part in (*state.mu, *state.xi)), strict=True)
        visible, rest = [], []
        for one, *parts in chunks:
            chunk = State(tuple(parts[: len(state.mu)]), tuple(parts[len(state.mu) :]))
            found = checkpoint(solver.parts, one, chunk, use_reentrant=False)  # its graph is made when it is needed
            visible.append(found[0])
            rest.append(found[1])
        reconstruction, others = torch.cat(visible), torch.cat(rest)
        bound = reconstruction + others  # (B,)
        return Estimate(bound.detach(), bound, reconstruction.detach(), -others.detach())

    def decoder_evaluations(self, objective: Objective, latent_dim: int, layers: int = 1) -> int:
        """No code is decoded."""
        return 0

    def check(self, model: LatentVariableModel, objective: Objective) -> None:
        """Refuse a model with a recognition network, and a KL that is weighed."""
        super().check(model, objective)
        if objective.beta != 1:
            raise InputError(f"objective.beta: expected 1 for the estimator {self.name!r}; got {objective.beta:g}")
        if not isinstance(model.posterior, MeanFieldPosterior):
            raise self._refusal(model)

    def _refusal(self, model: LatentVariableModel) -> InputError:
        return InputError(
            f"estimator: {self.name!r} needs mean-field inference (model sbn, inference=mean-field); "
            f"the model's q(z|x) is a {type(model.posterior).__name__}"
        )

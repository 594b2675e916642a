"""The table of diagnostics. A new one is a function in a file of this folder, and a row here.

Its figure is a function in ``plots``, and a row of ``report.diagnostics``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vaelab.evaluation.diagnostics.aggregate import aggregate_against_prior
from vaelab.evaluation.diagnostics.bits import use_and_correlation
from vaelab.evaluation.diagnostics.calibration import calibration
from vaelab.evaluation.diagnostics.collapse import posterior_collapse
from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample
from vaelab.evaluation.diagnostics.generalisation import generalisation
from vaelab.evaluation.diagnostics.inference_gap import inference_gap
from vaelab.evaluation.diagnostics.units import active_and_nats
from vaelab.likelihoods import columns_of
from vaelab.models import LatentVariableModel

__all__ = ["DIAGNOSTICS", "Diagnostic", "DiagnosticName"]


def _has_likelihood(model: LatentVariableModel) -> bool:
    """A deterministic auto-encoder has no q(z|x) with noise, no KL and no likelihood."""
    return model.code != "point"


def _predicts_columns(model: LatentVariableModel) -> bool:
    """Counts of a multinomial likelihood cannot be hidden one by one: they have a sum."""
    likelihood = columns_of(model.likelihood)
    return likelihood is None or likelihood.has_marginals


@dataclass(frozen=True)
class Diagnostic:
    """A row of the table.

    Attributes:
        name: what users type.
        function: from a sample to a diagnosis.
        question: what it answers, for the documentation and the help.
        formula: what it computes, in LaTeX, for the documentation.
        applies: whether it is defined for a model.
    """

    name: str
    function: Callable[[Sample], Diagnosis]
    question: str
    formula: str
    applies: Callable[[LatentVariableModel], bool] = _has_likelihood


DIAGNOSTICS: dict[str, Diagnostic] = {
    row.name: row
    for row in (
        Diagnostic(
            "units",
            active_and_nats,
            "How many units of the code carry information about $x$, and how much?",
            r"$\operatorname{E}_x \operatorname{KL}[q(z_j\mid x) \,\Vert\, p(z_j)]$; of bits also $I(z_j; x)$",
        ),
        Diagnostic(
            "collapse",
            posterior_collapse,
            "Which units ignore $x$, and which carry little?",
            r"$\operatorname{E}_x \operatorname{KL}[q(z_j\mid x) \,\Vert\, p(z_j)] < 0.01$ nat",
        ),
        Diagnostic(
            "aggregate",
            aggregate_against_prior,
            "Are the codes of the data distributed like draws from the prior?",
            r"$\sup_z \lvert Q_j(z) - P_j(z)\rvert$ of each unit; jointly $\operatorname{MMD}^2[q(z), p(z)]$",
            applies=lambda model: True,
        ),
        Diagnostic(
            "bits",
            use_and_correlation,
            "How often is each bit one, and which bits say the same?",
            r"$p_j = \operatorname{E}_x[q(z_j = 1\mid x)]$, $H(p_j)$, $\operatorname{Cor}[z_i, z_j]$",
            applies=lambda model: model.code == "bits",
        ),
        Diagnostic(
            "inference-gap",
            inference_gap,
            "How far is the ELBO below log p(x), and is the encoder or the family of q(z|x) the cause?",
            r"$[\log p(x) - \mathcal{L}(q^*)] + [\mathcal{L}(q^*) - \mathcal{L}(q)]$, $q^*$ the best of the family",
        ),
        Diagnostic(
            "generalisation",
            generalisation,
            "Does the model fit training rows better than rows that it has not seen?",
            r"$\operatorname{E}_\text{train} \mathcal{L}(x) - \operatorname{E}_\text{validation} \mathcal{L}(x)$",
            applies=lambda model: True,
        ),
        Diagnostic(
            "calibration",
            calibration,
            "Do values that are predicted with probability p occur with frequency p?",
            r"$\sum_b n_b\,\lvert f_b - p_b\rvert \,/ \sum_b n_b$ over bins $b$ of hidden values",
            applies=_predicts_columns,
        ),
    )
}

if TYPE_CHECKING:
    DiagnosticName = str
else:
    DiagnosticName = Literal[tuple(DIAGNOSTICS)]

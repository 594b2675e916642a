"""Sections of what was diagnosed: one for each diagnostic, over all runs that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from vaelab import plots
from vaelab.data.values import Array
from vaelab.report.member import ReportedRun
from vaelab.report.section import Builder, Live, Section

__all__ = ["DIAGNOSED", "Diagnosed"]


@dataclass(frozen=True)
class Diagnosed:
    """A section on one diagnostic; called with runs, it builds it.

    Attributes:
        diagnostic: the name of its row of :data:`vaelab.evaluation.DIAGNOSTICS`.
        figure: from the arrays of each run, by title, to a figure.
        guide: what to look for in it.
        view: the view of the explorer that shows more of it.
    """

    diagnostic: str
    figure: Callable[[Mapping[str, Mapping[str, Array]]], Figure]
    guide: str
    view: str | None = None

    @property
    def __name__(self) -> str:
        return self.diagnostic

    def __call__(self, members: Sequence[ReportedRun]) -> Section | None:
        """Return the section, or None where no run was diagnosed."""
        kept = {member.title: {each.name: each for each in member.diagnoses()} for member in members}
        found = {title: named[self.diagnostic] for title, named in kept.items() if self.diagnostic in named}
        if not found:
            return None
        arrays = {
            title: {name: array.numpy() for name, array in diagnosis.arrays.items()}
            for title, diagnosis in found.items()
        }
        first = next(member for member in members if member.title in found)
        return Section(
            f"diagnosis-{self.diagnostic}",
            next(iter(found.values())).title,
            self.guide,
            "\n".join(f"{title}: {' '.join(diagnosis.sentences)}" for title, diagnosis in found.items()),
            plots.png(self.figure(arrays)),
            None if self.view is None else Live(self.view, first, "See the units of any code in the explorer"),
            "\n".join(f"{title}: {diagnosis.advice}" for title, diagnosis in found.items() if diagnosis.advice),
        )


# The sections in reading order. A new one is a function in ``plots`` and a row here.
DIAGNOSED: tuple[Builder, ...] = (
    Diagnosed(
        "units",
        plots.unit_nats,
        "Each bar is one unit of the code, the one that carries most first; its height is the nats that it carries "
        "about `x`, on average over the observations. Units that are not active are grey. A steep curve that ends at "
        "zero shows a code that is larger than the model uses; a flat one shows a code in which every unit is used.",
    ),
    Diagnosed(
        "inference-gap",
        plots.inference_gaps,
        "A bar is the distance between the ELBO and log p(x). Its first part, the amortisation gap, is what the ELBO "
        "gains where `q(z|x)` is optimised for each row instead of read from the encoder; a better encoder would close "
        "it. The second, the approximation gap, is what the best `q(z|x)` of the family leaves; a better encoder "
        "cannot close it. The bars of two runs compare their inference, not their likelihoods.",
    ),
)

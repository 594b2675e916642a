"""Sections of what was diagnosed: one for each diagnostic, over all runs that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from vaelab import plots
from vaelab.data.values import Array
from vaelab.evaluation import Diagnosis
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
            "\n".join(_advice(found)),
        )


def _advice(found: Mapping[str, Diagnosis]) -> list[str]:
    """Return a line for each advice, with the titles of the runs that it is for."""
    runs: dict[str, list[str]] = {}
    for title, diagnosis in found.items():
        if diagnosis.advice:
            runs.setdefault(diagnosis.advice, []).append(title)
    return [f"{'; '.join(titles)}: {advice}" for advice, titles in runs.items()]


# The sections in reading order. A new one is a function in ``plots`` and a row here.
DIAGNOSED: tuple[Builder, ...] = (
    Diagnosed(
        "units",
        plots.unit_nats,
        "Each bar is one unit of the code, the one that carries most first. Its height is what the unit carries about "
        "`x`, on average over the observations: of a bit its mutual information with `x`, at most 0.69 nat, of a real "
        "unit its KL from the prior. Units that are not active are grey. Bars that end at zero show a code that is "
        "larger than the model uses; flat bars show that every unit is used.",
        "bits",
    ),
    Diagnosed(
        "collapse",
        plots.unit_states,
        "Collapsed: the posterior of the unit equals the prior, so the decoder gets noise from it. Constant: the "
        "posterior is not the prior, but is the same for every `x`: the unit costs nats and says nothing. Weak: it "
        "carries less than 0.1 nat. Used: it carries more. A collapsed unit does no harm, but it is not needed; where "
        "most units collapse, the decoder has learnt to do without the code.",
    ),
    Diagnosed(
        "aggregate",
        plots.aggregate_and_prior,
        "A sample of the model starts from a draw of the prior. It looks like the data only if the codes of the data, "
        "taken over all observations, are distributed like the prior. Above: each unit over the data, and under the "
        "prior. Below: codes of the data against draws from the prior, all units together. The line is their "
        "discrepancy, and the grey bars are those of random divisions of the same codes, as it would be without a "
        "difference. The farther to the right of the bars the line is, the surer is the difference.",
    ),
    Diagnosed(
        "bits",
        plots.bit_use,
        "Above: each point is a bit. A bit on the curve is noise that ignores `x`; how far it lies below the curve is "
        "its information about `x`; at the bottom, the encoder has no doubt about it. At the left and right ends, a "
        "bit is almost always the same. Below: the correlation of every pair, bits that are similar side by side. "
        "Blocks of colour are groups of bits that say the same, or the opposite.",
        "bits",
    ),
    Diagnosed(
        "inference-gap",
        plots.inference_gaps,
        "A bar is the distance between the ELBO and log p(x). Its first part, the amortisation gap, is what the ELBO "
        "gains where `q(z|x)` is optimised for each row instead of read from the encoder; a better encoder would close "
        "it. The second, the approximation gap, is what the best `q(z|x)` of the family leaves; a better encoder "
        "cannot close it. The bars of two runs compare their inference, not their likelihoods.",
    ),
    Diagnosed(
        "generalisation",
        plots.train_and_held_out,
        "On the left, the bound on training rows and on as many rows that were not trained on (of an auto-encoder the "
        "reconstruction). On the right, how much higher it is on training rows. A range that reaches 0 shows no "
        "difference; a difference of several nats shows a model that knows its training rows by heart.",
    ),
    Diagnosed(
        "calibration",
        plots.calibration_curves,
        "A tenth of the values was hidden and predicted from the rest of the row. Each filled point is a group of "
        "hidden values with similar predictions: its height is how often they were 1. On the diagonal, predictions can "
        "be taken as they are. Below, the distance from the diagonal: low on the left and high on the right is too "
        "cautious, the reverse too sure; points inside the grey bars differ by chance. Open points are reconstructions "
        "of values that the encoder has seen. Numbers are ranked among draws of the model: a flat histogram is right, "
        "one like a U too sure.",
    ),
)

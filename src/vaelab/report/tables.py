"""The tables of a report: every model in one row, and the commands and versions that repeat them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from vaelab.data import DATASETS, DataSpec
from vaelab.evaluation import EvaluationRecord
from vaelab.evaluation.advice import advice
from vaelab.evaluation.protocol import in_short, what_is_drawn
from vaelab.report.member import ReportedRun
from vaelab.report.numbers import COLUMNS, MARK, column
from vaelab.settings import words

__all__ = [
    "Row",
    "command",
    "models_advice",
    "models_finding",
    "models_protocol",
    "models_table",
    "protocol",
    "summary",
]

Row = list[str]
_SPEEDS = ("average", "compile")
_OPTIONAL = ("AIS", "log p(x)")


def models_table(members: Sequence[ReportedRun]) -> tuple[Row, list[Row]]:
    """Return a header and a row for each run: bounds on the test split in nats, ± one standard error over observations.

    The numbers of a column are of one protocol; where runs have none in common, the column is marked with a dagger. The
    columns of annealed importance sampling and of log p(x) itself are there if any run has such a number.
    """
    columns = {name: column(members, kinds) for name, kinds in COLUMNS.items()}
    rows = []
    for member in members:
        units = member.evaluation("active-units")
        reconstruction = member.evaluation("reconstruction")
        loss = member.evaluation("reconstruction-error")
        value = -loss.value if loss else reconstruction.value if reconstruction else None
        rows.append(
            [
                member.title,
                _code(member, units),
                f"{member.parameters:,}",
                f"{member.seconds / 60:.1f}",
                *(_number(each.numbers.get(member.title), bool(each.differs)) for each in columns.values()),
                _units(units),
                "-" if value is None else f"{value:.2f}",
            ]
        )
    header = ["model", "code", "parameters", "minutes", *columns, "active units", "reconstruction"]
    known = [
        place for place, name in enumerate(header) if name not in _OPTIONAL or any(row[place] != "-" for row in rows)
    ]
    return [header[place] for place in known], [[row[place] for place in known] for row in rows]


def _code(member: ReportedRun, units: EvaluationRecord | None) -> str:
    """Return the size and kind of a code."""
    if not member.has_codes:
        return "none"
    kind = {"real": "real", "bits": "bits", "point": "real, no noise"}[member.latent.code]
    return f"{units.units if units else member.latent.latent_dim} {kind}"


def _number(record: EvaluationRecord | None, mixed: bool) -> str:
    """Return a number with what its column does not say: its K, how many temperatures, which rows; and its mark."""
    if record is None:
        return "-"
    facts = []
    if record.temperatures is not None:
        facts.append(f"{record.samples} chains, {record.temperatures:,} temperatures")
    elif record.name.startswith("iwae"):
        facts.append(f"K = {record.samples}")
    if record.rows_of_split is not None:
        facts.append(f"first {record.observations:,} of {record.rows_of_split:,} rows")
    return record.cells(digits=2)[1] + (f" ({'; '.join(facts)})" if facts else "") + (MARK if mixed else "")


def models_finding(members: Sequence[ReportedRun]) -> list[str]:
    """Return sentences on the bounds of several runs: the highest, and how far each first bound lies below it.

    Only bounds of the same name are compared: an IWAE with another K is another number.
    """
    iwae = column(members, COLUMNS["IWAE"])
    same = [] if iwae.differs else list(iwae.numbers.items())
    largest = same[0][1].samples or 0 if same else 0
    lines = []
    if len(same) > 1:
        same.sort(key=lambda pair: -float(pair[1].value))
        (first, best), (second, next_best), (last, worst) = same[0], same[1], same[-1]
        lines.append(
            f"The highest IWAE with `K` = {largest:,} has {first}: {best.value:.2f} nats. "
            f"The next is {second}, {best.value - next_best.value:.2f} nats below"
            + (f"; the lowest is {last}, {best.value - worst.value:.2f} nats below." if len(same) > 2 else ".")
        )
    rises = []
    for member in members:
        elbo, tighter = member.evaluation("elbo"), member.evaluation("iwae")
        if elbo is not None and tighter is not None:
            rises.append(f"{tighter.value - elbo.value:.2f} ({member.title})")
    if rises:
        lines.append(
            f"From the ELBO to the IWAE the bound rises by {_listed(rises)} nats. The ELBO lies at least so far below "
            "log p(x), because q(z|x) is only approximate."
        )
    return lines


def models_advice(members: Sequence[ReportedRun]) -> list[str]:
    """Return which numbers of the table should not be quoted, and what to quote instead; the same lines only once."""
    columns = [column(members, kinds) for kinds in COLUMNS.values()]
    lines: dict[str, list[str]] = {}
    for member in members:
        shown = [each.numbers[member.title] for each in columns if member.title in each.numbers]
        for sentence in advice(shown):
            lines.setdefault(sentence, []).append(member.title)
    one = len(members) == 1
    return [sentence if one else f"{', '.join(titles)}: {sentence}" for sentence, titles in lines.items()]


def models_protocol(members: Sequence[ReportedRun]) -> str:
    """Return the protocol that the first number of the table shares with those beside it, in a line."""
    columns = (column(members, kinds) for kinds in reversed(COLUMNS.values()))
    numbers = [record for each in columns if not each.differs for record in each.numbers.values()]
    if not numbers:
        return ""
    same = {record.likelihood for record in numbers}
    shared = {"weights": None, "likelihood": numbers[0].likelihood if len(same) == 1 else None}
    first = next((record for record in numbers if what_is_drawn(record)), numbers[0])
    return f"(nats per observation; {in_short(first.model_copy(update=shared))})"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _units(record: EvaluationRecord | None) -> str:
    """Return how many units are active, and what each of them carries on average."""
    if record is None:
        return "-"
    nats = f", {record.nats_per_active_unit:.2f} nat each" if record.nats_per_active_unit is not None else ""
    return f"{record.value} of {record.units}{nats}"


def summary(member: ReportedRun) -> dict[str, Any]:
    """Return a run in plain values: what it is, what it cost, every evaluation of it."""
    return {
        "model": member.title,
        "run": str(member.run.path),
        "parameters": member.parameters,
        "seconds": member.seconds,
        "evaluations": [record.to_dict() for record in member.evaluations()],
    }


def command(member: ReportedRun) -> str:
    """Return the command that trains this run again; data that were given in Python are called FILE."""
    settings = member.run.settings
    unknown = member.run.source.kind == "python" and settings.data not in DATASETS
    flags = ["--data", "FILE" if unknown else settings.data, "--seed", str(settings.seed)]
    out = f"runs/{member.run.name}"
    return shlex.join(["vaelab", "train", settings.model, *words(settings), *flags, "--out", out])


def _width(spec: DataSpec) -> str:
    """Return the size of an observation in words."""
    shape = spec.image_shape
    return f"{spec.dim} columns" if shape is None else f"{' × '.join(map(str, shape))} pixels"


def _how_many(count: int, of: int) -> str:
    return "yes" if count == of else "no" if count == 0 else f"{count} of {of} trainings"


def protocol(members: Sequence[ReportedRun]) -> list[tuple[str, str]]:
    """Return the data protocol and the versions, as pairs of a name and a text."""
    first = members[0].run.config
    data, versions = first["data"], first["versions"]
    splits = ", ".join(f"{count:,} {name}" for name, count in data["splits"].items())
    stepped = [member.run.settings for member in members if "training" not in member.run.settings.absent]
    trainings = [settings.training for settings in stepped]  # a model that counts has none
    precisions = " and ".join(sorted({training.precision for training in trainings}))
    averaged, compiled = (_how_many(sum(getattr(t, name) for t in trainings), len(trainings)) for name in _SPEEDS)
    speed = f"matrix products in {precisions}; averaged weights: {averaged}; compiled steps: {compiled}"
    binarisation = members[0].run.binarisation
    given = members[0].run.spec.condition
    condition = None if given is None else given.words
    drawn = f" (held-out splits drawn once, seed {data['binarisation_seed']})" * (binarisation != "none")
    return [
        ("data", f"{data['name']}: {splits}; {_width(members[0].run.spec)}"),
        ("SHA-256", data["sha256"]),
        ("binarisation", binarisation + drawn),
        *([] if condition is None else [("condition", f"{condition}: the numbers are those of p(x|y)")]),
        ("selection", "weights of the best validation bound; nothing was chosen on the test split"),
        *([("speed", speed)] if trainings else []),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]

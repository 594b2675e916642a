"""Which numbers of several runs share a column: those of one protocol; runs and numbers of others are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vaelab.errors import InputError
from vaelab.evaluation import EvaluationRecord
from vaelab.evaluation.protocol import differences
from vaelab.report.member import ReportedRun

__all__ = [
    "COLUMNS",
    "LOG_LIKELIHOOD",
    "MARK",
    "NumberColumn",
    "column",
    "mixed_columns",
    "numbers_of",
    "require_comparable",
]

MARK = " †"  # after a number that does not compare with those beside it
LOG_LIKELIHOOD = ("exact", "quadrature")  # log p(x) itself
COLUMNS: dict[str, tuple[str, ...]] = {
    "ELBO": ("elbo",),
    "IWAE": ("iwae",),
    "AIS": ("ais",),
    "log p(x)": LOG_LIKELIHOOD,
}


@dataclass(frozen=True)
class NumberColumn:
    """A number of each run, for one column of a table.

    Attributes:
        numbers: by the title of the run; a run without such a number is left out.
        differs: in what they differ, so that they do not compare; empty if they do.
    """

    numbers: Mapping[str, EvaluationRecord]
    differs: tuple[str, ...] = ()


def numbers_of(member: ReportedRun, kinds: Iterable[str]) -> list[EvaluationRecord]:
    """Return the numbers of some kinds on the test split in this order, of all rows and the largest K first.

    Those that the user interrupted, and of rows that the model drew, are left out.
    """
    kinds = tuple(kinds)
    found = [
        record
        for record in reversed(member.evaluations())
        if (record.split, record.binarisation) == ("test", member.run.binarisation)
        and not record.interrupted
        and not record.rows_of_model
        and _kind(record) in kinds
    ]

    def place(record: EvaluationRecord) -> tuple[int, bool, int, int]:
        rows, order = record.observations or 0, kinds.index(_kind(record))
        return order, record.rows_of_split is not None, -(record.temperatures or record.samples or 0), -rows

    return sorted(found, key=place)


def _kind(record: EvaluationRecord) -> str:
    """Return the name of a number without its K or T."""
    return record.name.removesuffix(f"-{record.temperatures or record.samples}")


def column(members: Sequence[ReportedRun], kinds: Sequence[str]) -> NumberColumn:
    """Return a number of each run: those of one protocol, else the first of each run and in what these differ."""
    found = {member.title: records for member in members if (records := numbers_of(member, kinds))}
    if not found:
        return NumberColumn({})
    runs = {member.title: member for member in members if member.title in found}
    (leader, records), *_ = found.items()
    for first in records:
        fields = runs[leader].fields(first)
        chosen = {title: _like(fields, runs[title], records) for title, records in found.items()}
        known = {title: record for title, record in chosen.items() if record is not None}
        if len(known) == len(chosen):
            return NumberColumn(known)
    best = {title: records[0] for title, records in found.items()}
    return NumberColumn(best, tuple(differences({title: runs[title].fields(record) for title, record in best.items()})))


def _like(
    fields: Mapping[str, object], member: ReportedRun, records: Iterable[EvaluationRecord]
) -> EvaluationRecord | None:
    """Return the first of the numbers of a run that compares with a number; None if none does."""
    return next((each for each in records if not differences({"": fields, " ": member.fields(each)})), None)


def mixed_columns(members: Sequence[ReportedRun]) -> Iterator[str]:
    """Yield in what the numbers of a column of the table of runs differ, so that they do not compare."""
    for name, kinds in COLUMNS.items():
        yield from (f"the numbers of {name} differ in {text}" for text in column(members, kinds).differs)


def require_comparable(members: Sequence[ReportedRun], force: bool = False, *, numbers: bool = False) -> str | None:
    """Refuse runs whose numbers do not compare, unless forced; then return the mark to print.

    Before any number is computed the runs themselves are checked: their data, binarisation, likelihood and condition.
    With ``numbers``, the numbers that they have are: each column of the table has to be of one protocol.

    Raises:
        InputError: they do not compare; the sentence lists in what they differ.
    """
    found = differences({member.title: member.facts for member in members})
    texts = [f"the runs differ in {text}" for text in found]
    if numbers and not found:
        texts = list(mixed_columns(members))
    if not texts:
        return None
    message = f"{' and '.join(texts)}, so they do not compare"
    if not force:
        way = "; evaluate the runs alike (vaelab evaluate RUN --samples K)" if not found else ""
        raise InputError(f"compare: {message}{way}, or --force shows them with a mark")
    return f"Not comparable: {message}."

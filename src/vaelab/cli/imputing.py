"""The command that fills the missing values of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaelab.cli.options import DataFile, ModelPath, Overwrite
from vaelab.cli.output import require_target, say, write, write_arrays
from vaelab.cli.usage import say_next
from vaelab.errors import InputError, require_int

if TYPE_CHECKING:
    import numpy.typing as npt

    from vaelab.data import DataSpec, RawTable
    from vaelab.evaluation import Imputation

    Columns = Mapping[str, npt.NDArray[Any]]

__all__ = ["fill_table", "impute"]

_FEW = 10  # effective samples: a row with fewer is counted


def impute(
    run: ModelPath,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .csv or .npz to write.")],
    data: DataFile = None,
    samples: Annotated[int, typer.Option(metavar="K", help="Codes for each row.")] = 500,
    kind: Annotated[Literal["mean", "mode"], typer.Option(help="Expectations or most probable values.")] = "mean",
    draws: Annotated[int, typer.Option(metavar="N", help="Multiple imputations beside it.")] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the codes and draws.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Fill the missing values of a table, given the observed ones of each row.

    A .csv is the table of the file with its missing cells filled: all other cells, the names and the order stay. A
    column with levels gets its most probable level. With --draws N, N more tables stand beside it, FILE-draw-1.csv and
    so on, in which missing cells are drawn. An .npz has arrays x, observed, effective_samples and draws.
    """
    from vaelab.cli.opened import OpenedModel
    from vaelab.cli.progress import WorkProgress
    from vaelab.data import read_table
    from vaelab.evaluation import impute as fill

    require_int("draws", draws, 0)
    opened = OpenedModel(run, data)
    targets = [out, *(out.with_stem(f"{out.stem}-draw-{number}") for number in range(1, draws + 1))]
    targets = targets if out.suffix == ".csv" else targets[:1]
    for target in targets:
        require_target(target, target, (".csv", ".npz"), overwrite, opened.places())
    rows, split = opened.rows()
    opened.model.accept(rows.spec)
    with WorkProgress(f"imputing {opened.name}") as progress:
        found = fill(opened.model, rows.split(split).observations(), samples, kind, draws, seed, progress)
    if out.suffix == ".npz":
        write_arrays(out, _arrays(found))
    else:
        table = None if opened.place is None else read_table(opened.place)
        for target, values in zip(targets, [found.values, *(found.draws if draws else ())], strict=True):  # type: ignore[misc]
            _write(target, table, opened.table(values), rows.scale)
    _say_facts(found, samples, opened.model.spec)
    say_next("impute", out=out)


def _arrays(found: Imputation) -> dict[str, Any]:
    arrays = {"x": found.values, "observed": found.observed, "effective_samples": found.effective_samples}
    if found.draws is not None:
        arrays["draws"] = found.draws
    return {name: array.numpy() for name, array in arrays.items()}


def _write(target: Path, table: RawTable | None, filled: Columns, scale: float) -> None:
    """Write the user's table with its missing cells filled, or all columns where the file is no table."""
    from vaelab.cli.tables import csv_text

    columns = {name: values * scale for name, values in filled.items()} if scale != 1 else filled
    write(target, csv_text(columns if table is None else fill_table(table, columns)).encode())


def fill_table(table: RawTable, filled: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a table, their missing values replaced by those of the same row in ``filled``.

    Raises:
        InputError: columns that the table does not have, or another number of rows.

    >>> import numpy as np
    >>> from vaelab.data import RawTable
    >>> table = RawTable(("id", "a"), [np.array([7, 8]), np.array([1.0, np.nan])])
    >>> fill_table(table, {"a": np.array([0.2, 0.4])})
    {'id': array([7, 8]), 'a': array([1. , 0.4])}
    """
    import numpy as np

    columns = dict(zip(table.names, table.columns, strict=True))
    unknown = [name for name in filled if name not in columns]
    if unknown or any(len(values) != len(table) for values in filled.values()):
        raise InputError(
            f"data: expected the {len(table):,} rows of the file with the columns of the model; "
            f"got {len(next(iter(filled.values()))):,} rows{f' and no column {unknown[0]!r}' if unknown else ''}"
        )
    for name, values in filled.items():
        column = columns[name]
        if column.dtype == object:
            gaps = np.array([value is None for value in column])
            columns[name] = np.where(gaps, values.astype(object), column)
        elif column.dtype.kind == "f":
            columns[name] = np.where(np.isnan(column), values, column)
    return columns


def _say_facts(found: Imputation, samples: int, spec: DataSpec | None) -> None:
    gaps = ~(found.observed if spec is None else found.observed[:, list(spec.first_columns)])
    text = f"{int(gaps.sum()):,} of {gaps.numel():,} cells filled, in {int(gaps.any(1).sum()):,} rows"
    if bool(gaps.any()):
        effective = found.effective_samples[gaps.any(1)]
        text += f"; effective samples: median {float(effective.median()):.3g} of {samples}"
        few = int((effective < _FEW).sum())
        text += f", below {_FEW} in {few:,} rows: a larger --samples helps these" if few else ""
    say(text)

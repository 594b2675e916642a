"""The command that fills the missing values of a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaelab.cli.options import DataFile, ModelPath, Overwrite
from vaelab.cli.output import require_target, say, write_arrays
from vaelab.cli.usage import say_next
from vaelab.errors import InputError, require_int

if TYPE_CHECKING:
    import numpy as np
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
    so on, in which missing cells are drawn. An .npz has arrays x, observed, draws and,
    of a model with codes, effective_samples.
    """
    from vaelab.cli.opened import OpenedModel
    from vaelab.cli.progress import WorkProgress
    from vaelab.cli.tables import write_table
    from vaelab.data import DataSpec, read_table
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
            columns = opened.table(values * rows.scale if rows.scale != 1 else values)
            gaps = ~found.observed[:, list(DataSpec.of(opened.spec or values.shape[1]).first_columns)].numpy()
            write_table(target, columns if table is None else fill_table(table, columns, gaps))
    _say_facts(found, samples, opened.model.spec)
    say_next("impute", opened.data_words, run=run)


def _arrays(found: Imputation) -> dict[str, Any]:
    arrays = {"x": found.values, "observed": found.observed}
    if found.effective_samples is not None:
        arrays["effective_samples"] = found.effective_samples
    if found.draws is not None:
        arrays["draws"] = found.draws
    return {name: array.numpy() for name, array in arrays.items()}


def fill_table(table: RawTable, filled: Columns, gaps: npt.NDArray[np.bool_]) -> Columns:
    """Return the cells of a table as text, those that are missing replaced by the values of ``filled``.

    Columns are matched by name, or by place where no name is known to both.

    Args:
        table: the columns of the user, of which some may not be in ``filled``.
        filled: the columns of the model, by name.
        gaps: which of their values are missing, booleans (N, number of columns).

    Raises:
        InputError: columns that the table does not have, or another number of rows.

    >>> import numpy as np
    >>> from vaelab.data import RawTable
    >>> table = RawTable(("id", "a"), [np.array(["007", "008"], object), np.array(["1.0", "?"], object)])
    >>> fill_table(table, {"a": np.array([0.2, 0.4])}, np.array([[False], [True]]))["a"].tolist()
    ['1.0', '0.4']
    """
    import numpy as np

    from vaelab.cli.tables import cells_of

    if len(filled) == len(table.names) and not set(filled) & set(table.names):
        filled = dict(zip(table.names, filled.values(), strict=True))
    unknown = [name for name in filled if name not in table.names]
    if unknown or len(gaps) != len(table):
        raise InputError(
            f"data: expected the {len(table):,} rows of the file with the columns of the model; "
            f"got {len(gaps):,} rows{f' and no column {unknown[0]!r}' if unknown else ''}"
        )
    columns = {
        name: np.array(cells_of(values), object) for name, values in zip(table.names, table.columns, strict=True)
    }
    for (name, values), missing in zip(filled.items(), gaps.T, strict=True):
        computed = values[missing]
        computed = computed.astype(np.float32) if computed.dtype.kind == "f" else computed
        columns[name][missing] = cells_of(computed)
    return columns


def _say_facts(found: Imputation, samples: int, spec: DataSpec | None) -> None:
    from vaelab.data.weights import weighted_median

    gaps = ~(found.observed if spec is None else found.observed[:, list(spec.first_columns)])
    text = f"{int(gaps.sum()):,} of {gaps.numel():,} cells filled, in {int(gaps.any(1).sum()):,} rows"
    if bool(gaps.any()) and found.effective_samples is not None:
        rows = gaps.any(1)
        effective, weights = found.effective_samples[rows], None if found.weights is None else found.weights[rows]
        text += f"; effective samples: median {float(weighted_median(effective, weights)):.3g} of {samples}"
        few = int((effective < _FEW).sum())
        text += f", below {_FEW} in {few:,} rows: a larger --samples helps these" if few else ""
    say(text)

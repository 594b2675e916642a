"""Commands that show observations: what is in a data set, what a model draws, reconstructs and encodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from vaelab.cli.options import ModelPath, Overwrite
from vaelab.cli.output import require_target, write, write_arrays
from vaelab.cli.usage import say_next

__all__ = ["encode", "reconstruct", "sample"]

Kind = Literal["draw", "mean", "mode"]
OutFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help=".png, .csv or .npz  [default: .png in RUN/figures]")
]
_ENDINGS = (".png", ".csv", ".npz")


def sample(
    run: ModelPath,
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many.")] = 100,
    kind: Annotated[Kind, typer.Option(help="Draws from p(x|z), means or modes.")] = "draw",
    out: OutFile = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the draws.")] = 0,
    given: Annotated[str | None, typer.Option(metavar="Y", help="Of a conditional model: a label, or 1,0.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw observations from the model of a run: an image, a table or arrays."""
    from vaelab import plots
    from vaelab.cli.opened import OpenedModel
    from vaelab.cli.tables import write_table
    from vaelab.models import LatentVariableModel

    opened = OpenedModel(run)
    target = require_target(out, opened.figure(f"samples-{kind}.png"), _ENDINGS, overwrite, opened.places())
    drawn = opened.model.sample(n, kind, seed, given=None if given is None else _given(given))
    if target.suffix == ".npz":
        write_arrays(target, {"x": drawn.numpy()})
    elif target.suffix == ".csv":
        write_table(target, opened.table(drawn))
    else:
        columns = max(1, round(n**0.5))
        write(target, plots.png(plots.image_grids({f"{opened.name}: {kind}": opened.images(drawn)}, columns)))
    if isinstance(opened.model, LatentVariableModel):
        say_next("sample", opened.data_words + opened.out_words("reconstructed"), run=run)


def _given(text: str) -> int | str | list[float] | list[str]:
    """Read a label, or numbers or levels that are separated by commas."""
    if text.strip().lstrip("-").isdigit():
        return int(text)
    parts = text.split(",")
    try:
        return [float(part) for part in parts]
    except ValueError:
        return parts if len(parts) > 1 else text


def reconstruct(
    run: ModelPath,
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many observations.")] = 12,
    split: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which split  [default: test, or all of new rows]"),
    ] = None,
    out: OutFile = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where the data of the run are now, or other rows.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Show observations above their reconstructions.

    A .csv has the reconstructions alone.
    """
    from vaelab import plots
    from vaelab.cli.opened import OpenedModel
    from vaelab.cli.tables import write_table
    from vaelab.errors import require_int
    from vaelab.models import require_latent

    require_int("n", n, 1)
    opened = OpenedModel(run, data)
    target = require_target(out, opened.figure("reconstructed.png"), _ENDINGS, overwrite, opened.places())
    shown, split = opened.shown(split)
    opened.model.accept(shown.spec)
    x = shown.split(split).observations().bits(slice(0, n))
    decoded = require_latent(opened.model, "reconstruct").reconstruct(x)
    if target.suffix == ".npz":
        write_arrays(target, {"x": opened.model.split(x)[0].numpy(), "reconstruction": decoded.numpy()})
    elif target.suffix == ".csv":
        write_table(target, opened.table(decoded))
    else:
        rows = {split: opened.images(x), opened.name: opened.images(decoded)}
        write(target, plots.png(plots.reconstructions(rows)))
    say_next("reconstruct", opened.data_words, run=run)


def encode(
    run: ModelPath,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, .npz or .csv.")],
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Data to encode  [default: the data of the run]")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which split  [default: test, or a whole array]")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the codes of data to a file.

    Codes are posterior means; beside them stand the standard deviations of real codes, or of an auto-encoder the
    log-density of each code and its component of the mixture.
    """
    from vaelab.cli.opened import OpenedModel
    from vaelab.cli.tables import flat_columns, write_table

    opened = OpenedModel(run, data)
    target = require_target(out, out, (".npz", ".csv"), overwrite, opened.places())
    if target.suffix == ".csv":
        write_table(target, flat_columns(opened.encode(split)))
        return
    write_arrays(target, opened.encode(split))
    say_next("encode", out=target)

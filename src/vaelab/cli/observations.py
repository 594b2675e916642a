"""Commands that show observations: what is in a data set, what a model draws, reconstructs and encodes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vaelab.cli.options import (
    DataFile,
    Json,
    LabelColumn,
    ModelPath,
    Overwrite,
    ScaleOfValues,
    ValuesOfData,
    WeightColumn,
)
from vaelab.cli.output import print_json, require_target, write, write_arrays
from vaelab.cli.usage import say_next
from vaelab.errors import InputError

__all__ = ["encode", "reconstruct", "sample", "show_data"]

Kind = Literal["draw", "mean", "mode"]


def sample(
    run: ModelPath,
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many.")] = 100,
    kind: Annotated[Kind, typer.Option(help="Draws from p(x|z), means or modes.")] = "draw",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help=".png or .npz  [default: in RUN/figures]")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the draws.")] = 0,
    given: Annotated[
        str | None, typer.Option(metavar="Y", help="Of a conditional model: a label, or numbers as 1,0.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw observations from the model of a run, as an image or as arrays."""
    from vaelab import plots
    from vaelab.cli.opened import OpenedModel

    opened = OpenedModel(run)
    target = require_target(out, opened.figure(f"samples-{kind}.png"), (".png", ".npz"), overwrite, opened.places())
    drawn = opened.model.sample(n, kind, seed, given=None if given is None else _numbers(given))
    if target.suffix == ".npz":
        write_arrays(target, {"x": drawn.numpy()})
    else:
        columns = max(1, round(n**0.5))
        write(target, plots.png(plots.image_grids({f"{opened.name}: {kind}": opened.images(drawn)}, columns)))
    say_next("sample", opened.data_words, run=run)


def _numbers(given: str) -> int | list[float]:
    """Read a label, or numbers that are separated by commas."""
    try:
        return int(given) if given.strip().lstrip("-").isdigit() else [float(part) for part in given.split(",")]
    except ValueError:
        raise InputError(f"given: expected a label or numbers such as 1,0; got {given!r}") from None


def reconstruct(
    run: ModelPath,
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many observations.")] = 12,
    split: Annotated[str, typer.Option(metavar="NAME", help="train, validation or test.")] = "test",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help=".png or .npz  [default: in RUN/figures]")] = None,
    data: DataFile = None,
    overwrite: Overwrite = False,
) -> None:
    """Show observations above their reconstructions."""
    from vaelab import plots
    from vaelab.cli.opened import OpenedModel
    from vaelab.errors import require_int

    require_int("n", n, 1)
    opened = OpenedModel(run, data)
    target = require_target(out, opened.figure("reconstructed.png"), (".png", ".npz"), overwrite, opened.places())
    opened.model.accept(opened.data.spec)
    x = opened.data.split(split).observations().bits(slice(0, n))
    decoded = opened.model.reconstruct(x)
    if target.suffix == ".npz":
        write_arrays(target, {"x": opened.model.split(x)[0].numpy(), "reconstruction": decoded.numpy()})
    else:
        rows = {split: opened.images(x), opened.name: opened.images(decoded)}
        write(target, plots.png(plots.reconstructions(rows)))
    say_next("reconstruct", opened.data_words, run=run)


def encode(
    run: ModelPath,
    out: Annotated[Path, typer.Option(metavar="NPZ", help="The file to write.")],
    data: Annotated[
        str | None, typer.Option(metavar="FILE", help="Data to encode  [default: the data of the run]")
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which split  [default: test, or a whole array]")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the codes of data to a file.

    Codes are posterior means; beside them stand the standard deviations of real codes, or the component and the
    log-density of each code where a mixture was fitted.
    """
    from vaelab.cli.opened import OpenedModel

    opened = OpenedModel(run, data)
    target = require_target(out, out, (".npz",), overwrite, opened.places())
    write_arrays(target, opened.encode(split))
    say_next("encode", out=target)


def show_data(
    name: Annotated[str | None, typer.Argument(metavar="[NAME|FILE]", help="A named data set or a file.")] = None,
    values: ValuesOfData = None,
    scale: ScaleOfValues = None,
    label_column: LabelColumn = None,
    weight_column: WeightColumn = None,
    as_json: Json = False,
) -> None:
    """Describe a data set or a file; without a name, list the data sets."""
    from vaelab.data import DATASETS, describe, load_data

    read: dict[str, Any] = {
        "values": values,
        "scale": scale,
        "label_column": label_column,
        "weight_column": weight_column,
    }
    if name is None:
        if any(option is not None for option in read.values()):
            raise InputError(f"data: expected {', '.join(read)} for a file; give its name")
        described = {known: describe(load_data(known)) for known in DATASETS}
    else:
        described = {name: describe(load_data(name, **read))}
    if as_json:
        print_json(described if name is None else described[name])
        return
    for key, facts in described.items():
        print(key)
        for fact, value in facts.items():
            for line in _lines_of(value):
                print(f"  {fact.replace('_', ' '):14}{line}")
    sys.stdout.flush()
    say_next("data", data=next(iter(described)))


def _lines_of(value: object) -> list[str]:
    """Return a fact in words, without the signs of Python; what does not apply has no line."""
    if value is None or value == []:
        return []
    if isinstance(value, dict):
        return [", ".join(f"{count:,} {name}" for name, count in value.items())]
    if isinstance(value, list):
        return [" x ".join(map(str, value))] if isinstance(value[0], int) else value
    return [str(value)]

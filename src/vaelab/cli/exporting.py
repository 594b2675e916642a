"""The command that writes a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaelab.cli.options import ModelPath, Overwrite
from vaelab.cli.output import say
from vaelab.cli.usage import say_next

__all__ = ["export"]


def export(
    run: ModelPath,
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new or empty directory.")],
    format: Annotated[str, typer.Option(metavar="NAME", help="onnx or hub.")] = "onnx",
    overwrite: Overwrite = False,
) -> None:
    """Write the model of a run, or a saved model, for other programs.

    onnx: encoder.onnx and decoder.onnx, for any number of rows. The encoder gets the noise of its draws as an input.
    hub: the saved model with a model card, README.md, that shows the numbers of the run.
    """
    from vaelab.cli.opened import OpenedModel
    from vaelab.errors import require_choice
    from vaelab.export import EXPORTERS
    from vaelab.storage import require_free

    require_choice("format", format, EXPORTERS)
    exporter, opened = EXPORTERS[format], OpenedModel(run)
    require_free(out, exporter.files, overwrite, exporter.what, "out")
    for name, words in exporter.write(opened.model, out, opened.run).items():
        print(f"{name}: {words}")
    say(f"wrote {out}")
    say_next("export", run=run)

"""Run the notebooks of this folder and keep their outputs: ``python docs/tutorials/execute.py [NAME.ipynb ...]``.

The documentation shows the outputs that are in the files, so that it builds without running them. Run this after a
change of a notebook or of what it calls. Times and random names of a run are not kept, so that a file changes only
where its content does.
"""

from __future__ import annotations

import base64
import sys
from io import BytesIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run every cell in a new kernel, in this folder, and return the notebook with the outputs."""
    client = NotebookClient(
        notebook, timeout=300, kernel_name=KERNEL["name"], coalesce_streams=True
    )
    client.resources = {"metadata": {"path": str(HERE)}}
    client.execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", ()):
                output.data["image/png"] = smaller(output.data["image/png"])
    notebook.metadata = {"kernelspec": KERNEL}
    return notebook


def smaller(png: str) -> str:
    """Return a picture in base64 with 256 colours, which takes half of the space."""
    picture, file = Image.open(BytesIO(base64.b64decode(png))).convert("RGB"), BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Run the notebooks that are named, or all."""
    named = [HERE / Path(name).name for name in sys.argv[1:]]
    for path in named or sorted(HERE.glob("*.ipynb")):
        nbformat.write(execute(nbformat.read(path, as_version=4)), path)
        print(path.name)


if __name__ == "__main__":
    main()

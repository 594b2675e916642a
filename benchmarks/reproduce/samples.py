"""Draws of several runs of benchmarks/reproduce as one picture, a block of 4 x 10 each.

python benchmarks/reproduce/samples.py RUN [RUN ...] --out docs/images/reproduce-samples.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from recipes import RECIPES

from vaelab.plots import png

ROWS, COLUMNS, SIDE = 4, 10, 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    figure = Figure(figsize=(11, 2.6 * -(-len(asked.runs) // 2)), layout="constrained")
    grid = figure.subplots(-(-len(asked.runs) // 2), 2, squeeze=False)
    for axes, run in zip(grid.flat, asked.runs, strict=False):
        row = next(name for name in sorted(RECIPES, key=len, reverse=True) if run.name.startswith(name))
        images = np.load(run / "samples.npy")[: ROWS * COLUMNS].reshape(ROWS, COLUMNS, SIDE, SIDE)
        axes.imshow(images.swapaxes(1, 2).reshape(ROWS * SIDE, COLUMNS * SIDE), cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(RECIPES[row].title, fontsize=10)
    for axes in grid.flat:
        axes.set_axis_off()
    asked.out.write_bytes(png(figure))


if __name__ == "__main__":
    main()

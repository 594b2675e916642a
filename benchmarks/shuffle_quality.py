"""How well rows on the disk are shuffled, as a function of block and window; no data are needed for it.

    python benchmarks/shuffle_quality.py [--out benchmarks/results]

The file is thought of as 4 GiB of 784 bytes a row, its rows sorted by ten classes of one size: the worst that a file
can be. Over the batches of one epoch, of 100 rows each, are measured

- the distance between the class mix of a batch and that of the whole, in total variation (half the sum of the absolute
  differences), on average over the batches;
- how many of all pairs of neighbours in the file meet in a batch, over what is expected of an exact permutation;

for windows of blocks, and for an exact permutation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vaelab.data.streaming.order import WINDOW_BYTES, Order
from vaelab.data.streaming.rows import BLOCK_BYTES

HERE = Path(__file__).parent
ROWS, ROW_BYTES, BATCH, CLASSES = 2**32 // 784, 784, 100, 10
BLOCKS, WINDOWS = (2**12, 2**14, BLOCK_BYTES, 2**18, 2**20), (2**24, WINDOW_BYTES, 2**28)


def epoch(block_bytes: int, window_bytes: int, count: int = ROWS, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the rows of an epoch in their order."""
    length = max(1, block_bytes // ROW_BYTES)
    order = Order(np.append(np.arange(0, count, length), count), window_bytes // ROW_BYTES, seed)
    return np.concatenate([order.rows((0, window)).numpy() for window in range(order.count(0))])


def distance(order: npt.NDArray[np.int64]) -> float:
    """Return the mean over batches of the total variation between their class mix and the whole's."""
    batches = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)
    classes = batches * CLASSES // len(order)
    mixes = np.stack([(classes == number).mean(1) for number in range(CLASSES)])
    return float(np.abs(mixes - 1 / CLASSES).sum(0).mean() / 2)


def meetings(order: npt.NDArray[np.int64]) -> float:
    """Return how many neighbours in the file meet in a batch, over (B - 1) / (N - 1) of all."""
    batch = np.empty(len(order), np.int64)
    batch[order] = np.arange(len(order)) // BATCH
    return float((batch[1:] == batch[:-1]).mean() * (len(order) - 1) / (BATCH - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    exact = np.random.default_rng(0).permutation(ROWS)
    rows: list[dict[str, Any]] = [
        {"block": None, "window": None, "distance": distance(exact), "meetings": meetings(exact)}
    ]
    for window in WINDOWS:
        for block in BLOCKS:
            order = epoch(block, window)
            found = {"distance": distance(order), "meetings": meetings(order)}
            rows.append({"block": block, "window": window, **found})
    for row in rows:
        what = f"{row['window'] >> 20} MiB of {row['block'] >> 10} KiB" if row["window"] else "exact permutation"
        default = " (default)" if (row["block"], row["window"]) == (BLOCK_BYTES, WINDOW_BYTES) else ""
        ratio = row["distance"] / rows[0]["distance"]
        print(
            f"{what:<24}{row['distance']:.4f} ({ratio:.3f} of exact), neighbours meet {row['meetings']:.1f} x{default}"
        )
    result = {"rows": ROWS, "row_bytes": ROW_BYTES, "batch": BATCH, "classes": CLASSES, "results": rows}
    (arguments.out / "shuffle_quality.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Exact log p(x) of sigmoid belief networks on MNIST: images a second, and what single precision costs.

    python benchmarks/sbn_exact.py [--threads 2] [--bits 8 12 16] [--out benchmarks/results]

Networks of one linear layer with random weights; the images are the first of the test split. Each rate is the median
of several passes, counted by the clock on the wall, a pass before them untimed. OUT/sbn_exact.json holds the rates, the
largest difference between the two precisions and what ran them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from vaelab.data import load_data
from vaelab.likelihood import exact
from vaelab.models import sbn
from vaelab.seeds import seeded

PASSES = 5


def measure(bits: int) -> dict[str, Any]:
    """Time log p(x) with ``bits`` bits in single and in double precision; images a second."""
    count = max(10, min(5000, 2**24 // 2**bits))
    whole = load_data("mnist").test.observations()
    images = whole.first(count)
    with seeded(0, "network"):
        model = sbn(images.dim, layers=[bits])
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    row: dict[str, Any] = {"bits": bits, "images": count}
    values = {}
    for name, double in (("float32", False), ("float64", True)):
        seconds = []
        for _ in range(1 + PASSES):
            started = time.perf_counter()
            values[name] = exact(model, images, double).values
            seconds.append(time.perf_counter() - started)
        row[name] = round(count / statistics.median(seconds[1:]))
    row["difference"] = float((values["float32"] - values["float64"]).abs().max())
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 12, 16])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    print("bits   images   float32/s   float64/s   largest difference (nats)")
    for bits in options.bits:
        rows.append(measure(bits))
        print("{bits:4}{images:9,}{float32:12,}{float64:12,}{difference:28.1e}".format(**rows[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    machine = {"threads": options.threads, "cores": os.cpu_count(), "python": platform.python_version()}
    result = {"rows": rows, "machine": machine | {"torch": torch.__version__}}
    (options.out / "sbn_exact.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The memory of a training on sparse rows: 100 000 x 20 000 with 1 % ones, from the matrix to the evaluation.

    python benchmarks/sparse_memory.py [--rows 100000] [--columns 20000] [--share 0.01] [--steps 100] [--threads 2]

The matrix is made in the process, so its own memory counts. The peak of the resident memory is read from the kernel
(VmHWM) after each part: dense, the rows would take ROWS x COLUMNS bytes, and four times as much as float32.
OUT/sparse_memory.json holds the numbers and what ran them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

import vaelab
from contenders.machine import machine


def peak() -> float:
    """Return the highest resident memory of this process so far, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e9


def matrix_of(rows: int, columns: int, share: float) -> Any:
    """Return ones at random places, as float64 as scipy and scikit-learn have them; some rows of each of ten kinds."""
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(columns, 0.5), size=10)
    counts = generator.poisson(1.02 * share * columns, rows)  # some are drawn twice
    starts = np.concatenate([[0], np.cumsum(counts)])
    indices = np.empty(starts[-1], np.int32)
    cumulative = weights.cumsum(1)
    for row, kind in enumerate(generator.integers(0, 10, rows)):
        drawn = np.searchsorted(cumulative[kind], generator.random(counts[row]))
        indices[starts[row] : starts[row + 1]] = np.minimum(drawn, columns - 1)
    made = sparse.csr_array((np.ones(len(indices)), indices, starts), shape=(rows, columns))
    made.sum_duplicates()
    made.data[:] = 1
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=20_000)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    parts: list[dict[str, Any]] = []
    started = time.perf_counter()

    def done(part: str) -> None:
        parts.append({"part": part, "peak_gb": round(peak(), 3), "seconds": round(time.perf_counter() - started, 1)})
        print("{part:24}{peak_gb:8.2f} GB {seconds:8.1f} s".format(**parts[-1]), flush=True)

    done("import")
    matrix = matrix_of(options.rows, options.columns, options.share)
    done("matrix in scipy.sparse")
    data = vaelab.Dataset.from_arrays(matrix)
    done("data set")
    model = vaelab.bernoulli_vae(data, latent_dim=50, seed=0)
    result = vaelab.fit(model, data, steps=options.steps)
    done("training and validation")
    evaluation = vaelab.evaluate(model, data, bounds=("elbo",), samples=1)
    done("evaluation")
    codes = vaelab.evaluation.encode(model, data.test.observations())["codes"]
    done("encoding")
    checksum = data.sha256()
    done("checksum")
    facts = {
        "rows": options.rows,
        "columns": options.columns,
        "ones": int(matrix.nnz),
        "share_of_ones": round(matrix.nnz / (options.rows * options.columns), 5),
        "dense_gb_as_bytes": options.rows * options.columns / 1e9,
        "steps": result.steps,
        "elbo": round(evaluation["elbo"].value, 2),
        "codes": list(codes.shape),
        "sha256": checksum,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    content = {"data": facts, "parts": parts, "machine": machine() | {"threads": options.threads}}
    (options.out / "sparse_memory.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()

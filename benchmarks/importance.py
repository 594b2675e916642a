"""How fast importance sampling is, compared with its matrix products alone; in float32 and in bfloat16.

    python benchmarks/importance.py [--rounds 15] [--rows 127] [--samples 200] [--out benchmarks/results]

The model is a Gaussian VAE 784-400-20, trained for some hundred steps on MNIST. In a round each contender computes once
what one evaluation of iwae-K of some test images takes: vaelab, and `torch.mm` of the same shapes into preallocated
outputs (the encoder once, the decoder for every code; for 10, 20 and 40 codes of each image at once). Times are those
of the processor, of one thread, so that other programs count little; the rates are medians over the rounds, the ratio
the median of those within a round. The error of bfloat16 is the mean over the images of the absolute difference from
float32, with the same codes' seed, and the difference of the means. OUT/importance.json holds the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import vaelab
from contenders.machine import machine
from vaelab.data import Observations
from vaelab.likelihood import importance_weighted
from vaelab.models import LatentVariableModel
from vaelab.networks import Precision, has_bfloat16, matmul_precision, products_in

PIXELS, HIDDEN, CODE = 784, 400, 20
AT_ONCE = (10, 20, 40)  # codes of a row that are decoded at once; vaelab decodes 10 of 127 rows
CPU = torch.device("cpu")


def products(rows: int, samples: int, at_once: int, dtype: torch.dtype) -> Callable[[], None]:
    """Return a function that multiplies matrices of the shapes of one evaluation, and does nothing else."""
    shapes = [(rows, PIXELS, HIDDEN, 1), (rows, HIDDEN, 2 * CODE, 1)]
    shapes += [(rows * at_once, CODE, HIDDEN, samples // at_once), (rows * at_once, HIDDEN, PIXELS, samples // at_once)]
    listed = [
        (torch.randn(a, b, dtype=dtype), torch.randn(c, b, dtype=dtype).T, torch.empty(a, c, dtype=dtype), times)
        for a, b, c, times in shapes
    ]

    def multiply() -> None:
        for a, b, out, times in listed:
            for _ in range(times):
                torch.mm(a, b, out=out)

    return multiply


def seconds(function: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    begun = time.process_time()
    function()
    return time.process_time() - begun


def measure(
    model: LatentVariableModel, observed: Observations, samples: int, rounds: int, precision: Precision
) -> dict[str, Any]:
    """Run both contenders in every round, in an order that rotates, and sum up."""
    rows, dtype = len(observed), torch.bfloat16 if precision == "bfloat16" else torch.float32
    contenders = {
        "vaelab": lambda: importance_weighted(model, observed, samples),
        **{f"products of {number}": products(rows, samples, number, dtype) for number in AT_ONCE},
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    with matmul_precision(products_in(precision)), torch.no_grad():
        for function in contenders.values():
            function()  # not measured
        for turn in range(rounds):
            for name in list(contenders)[:: 1 if turn % 2 else -1]:
                taken[name].append(seconds(contenders[name]))
        values = importance_weighted(model, observed, samples).values
    alone = {number: taken[f"products of {number}"] for number in AT_ONCE}
    ratios = {
        number: [products / ours for products, ours in zip(times, taken["vaelab"], strict=True)]
        for number, times in alone.items()
    }
    codes = rows * samples
    return {
        "precision": precision,
        "codes_per_second": round(codes / statistics.median(taken["vaelab"])),
        "codes_per_second_of_the_products": {n: round(codes / statistics.median(times)) for n, times in alone.items()},
        "share_of_the_products": {number: round(statistics.median(each), 3) for number, each in ratios.items()},
        "range": {number: [round(min(each), 3), round(max(each), 3)] for number, each in ratios.items()},
        "values": values,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rows", type=int, default=127)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--steps", type=int, default=500, help="of the training")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = vaelab.load_data("mnist")
    model = vaelab.gaussian_vae(data, latent_dim=CODE, hidden_dims=[HIDDEN], seed=0)
    vaelab.fit(model, data, steps=options.steps)
    model.eval()
    observed = data.test.observations().first(options.rows)
    chosen: list[Precision] = ["float32", "bfloat16"] if has_bfloat16(CPU) else ["float32"]
    results = [measure(model, observed, options.samples, options.rounds, name) for name in chosen]
    exact = results[0]["values"]
    for row in results:
        difference = row.pop("values") - exact
        row["mean_absolute_difference"] = round(float(difference.abs().mean()), 5)
        row["difference_of_the_means"] = round(float(difference.mean()), 5)
        print(
            f"{row['precision']:9}{row['codes_per_second']:>9,} codes/s, share of the products by codes at once "
            f"{row['share_of_the_products']}; from float32 {row['mean_absolute_difference']:.4f} nat a row, "
            f"in the mean {row['difference_of_the_means']:+.4f}"
        )
    command = (
        f"python benchmarks/importance.py --rounds {options.rounds} --rows {options.rows} --samples {options.samples}"
    )
    summary = {"command": command, "machine": machine(), "results": results}
    (options.out / "importance.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The floor: the matrix products of a training step, and nothing else.

For each linear layer the product forwards, the gradient of its weight and, where something below is to be trained,
the gradient of its input; heads that share an input are one product. Outputs are preallocated; there is no autograd.
"""

from __future__ import annotations

import torch
from torch import Tensor

from contenders import PIXELS, Case
from contenders.arguments import told
from contenders.turns import Turns

__all__ = ["Product", "products"]

Product = tuple[Tensor, Tensor, Tensor]  # a, b and where a @ b goes


def products(case: Case, dtype: torch.dtype) -> list[Product]:
    """Return every matrix product of a step."""
    heads = (2 if case.code == "real" else 1) * case.latent_dim
    encoder = [PIXELS, *case.hidden_dims, heads]
    decoder = [case.latent_dim, *case.hidden_dims[::-1], PIXELS]
    found: list[Product] = []

    def add(rows: int, inner: int, columns: int, transposed: str) -> None:
        a = torch.randn(inner, rows, dtype=dtype).T if transposed == "a" else torch.randn(rows, inner, dtype=dtype)
        b = (
            torch.randn(columns, inner, dtype=dtype).T
            if transposed == "b"
            else torch.randn(inner, columns, dtype=dtype)
        )
        found.append((a, b, torch.empty(rows, columns, dtype=dtype)))

    for sizes, rows in ((encoder, case.batch_size), (decoder, case.batch_size * case.samples)):
        for index in range(len(sizes) - 1):
            below, above = sizes[index], sizes[index + 1]
            add(rows, below, above, "b")  # forwards: x W^T
            add(above, rows, below, "a")  # the weight's gradient: g^T x
            if index or (sizes is decoder and case.code == "real"):
                add(rows, above, below, "")  # the input's gradient: g W
    return found


def main() -> None:
    turns = Turns()
    options = told()
    listed = products(options.case, torch.bfloat16 if options.precision == "bfloat16" else torch.float32)
    turns.begin()
    with torch.inference_mode():
        while True:
            for _ in range(options.steps):
                for a, b, out in listed:
                    torch.mm(a, b, out=out)
            turns.pause()


if __name__ == "__main__":
    main()

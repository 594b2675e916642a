"""The mode of a network: in training mode some layers, such as dropout, are random."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

__all__ = ["evaluation_mode"]


@contextmanager
def evaluation_mode(*modules: nn.Module) -> Iterator[None]:
    """Put modules and their parts in evaluation mode inside the block; afterwards each has the mode that it had.

    >>> layer = nn.Dropout()
    >>> with evaluation_mode(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    before = {part: part.training for module in modules for part in module.modules()}
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training

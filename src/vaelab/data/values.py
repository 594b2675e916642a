"""What a user may say about the values and columns of a file that does not say it itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vaelab.refusals import Refusal, require_choice, require_number

__all__ = ["ReadOptions", "Values"]

Values = Literal["grey", "bits", "unit"]


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file: what its values are, the value that is white, and the column of the labels.

    ``values`` is ``bits`` (0 and 1), ``grey`` (grey levels 0...255) or ``unit`` (real numbers in [0, 1]); with
    ``scale`` S the values are grey levels 0...S. What is None is read off the file, or asked about.

    Raises:
        Refusal: an unknown kind of values, a scale that is not positive, or two that contradict each other.
    """

    values: Values | None = None
    scale: float | None = None
    label_column: str | None = None

    def __post_init__(self) -> None:
        if self.values is not None:
            require_choice("values", self.values, get_args(Values))
        if self.scale is not None:
            require_number("scale", self.scale, 0)
            if self.scale == 0:
                raise Refusal("scale: expected a number above 0, the value that means white; got 0")
            if self.values in ("bits", "unit"):
                raise Refusal(
                    f"scale: expected no scale beside values={self.values}, which are never divided; got {self.scale!r}"
                )

"""A diagnostic for test_new_things: how far codes lie from zero."""

from __future__ import annotations

from vaelab.evaluation.diagnostics.contract import Diagnosis, Sample

__all__ = ["longest_code"]


def longest_code(sample: Sample) -> Diagnosis:
    """Find the longest of the codes drawn from q(z|x), one for each row. Numbers: ``longest``, its length."""
    longest = float(sample.codes.drawn.norm(dim=-1).max())
    sentences = [f"The longest code has the length {longest:.2f}."]
    return Diagnosis(name="longest", title="Length of codes", numbers={"longest": longest}, sentences=sentences)

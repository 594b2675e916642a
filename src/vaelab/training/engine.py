"""How a step is computed: the precision of its matrix products, and whether it is compiled. Chosen here, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from vaelab.estimators import Estimate, Estimator
from vaelab.models import LatentVariableModel
from vaelab.objectives import Objective
from vaelab.refusals import Refusal
from vaelab.settings import TrainingSettings

__all__ = ["Engine", "check_engine", "choose_precision"]

Estimating = Callable[[LatentVariableModel, Objective, Tensor], Estimate]


def choose_precision(asked: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return what ``auto`` stands for: bfloat16 where the hardware multiplies it, float32 elsewhere.

    >>> choose_precision("float32", torch.device("cpu"))
    'float32'
    """
    if asked == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    return "bfloat16" if asked == "bfloat16" else "float32"


def check_engine(settings: TrainingSettings, estimator: Estimator) -> None:
    """Refuse to compile what ``torch.compile`` cannot: a second derivative within the step."""
    if settings.compile and estimator.second_derivative:
        raise Refusal(
            f"training.compile: expected false for the estimator {estimator.name!r}, which differentiates a gradient"
        )


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Tile or 512-bit instructions: without them oneDNN would emulate, slower than float32 (torch has had no public name
    # for either, so an older or newer torch without these two means no).
    found = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("amx_tile", "avx512_bf16")]
    return any(supported is not None and supported() for supported in found)


class Engine:
    """Computes the estimates of a training.

    ``precision`` is of matrix products alone: ``bfloat16`` rounds their factors (to TensorFloat-32 on an NVIDIA GPU)
    and sums in float32. Weights, gradients, densities, bounds and the optimiser stay float32, and so do validation and
    every evaluation.

    Compiled, the estimator's forward and backward passes become fused kernels by ``torch.compile`` (on an NVIDIA GPU
    replayed as CUDA graphs); the random numbers are those of the step as it stands. Where nothing can be compiled, a
    line in the log of Python's ``logging`` says so and the training goes on without.

    >>> engine = Engine(TrainingSettings(steps=1, precision="float32"), torch.device("cpu"))
    >>> engine.precision, engine.compiled
    ('float32', False)
    """

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        self.precision = choose_precision(settings.precision, device)
        self.compiled = settings.compile and _can_compile(device)
        self.device = device

    def estimating(self, estimator: Estimator) -> Estimating:
        """Return ``estimator(model, objective, x)``, compiled if asked for."""

        def estimate(model: LatentVariableModel, objective: Objective, x: Tensor) -> Estimate:
            found: Estimate = estimator(model, objective, x)
            return found

        if not self.compiled:
            return estimate
        options: dict[str, str | int | bool | Callable[..., object]] = {"fallback_random": True}
        if self.device.type == "cuda":
            options["triton.cudagraphs"] = True
        return torch.compile(estimate, options=options)

    @contextmanager
    def products(self) -> Iterator[None]:
        """Multiply matrices in this precision inside the block."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium" if self.precision == "bfloat16" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def _can_compile(device: torch.device) -> bool:
    """Compile something small: where there is no working compiler, torch says so only now."""
    try:
        torch.compile(lambda t: t + 1)(torch.zeros(4, device=device))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        logging.getLogger("vaelab").warning("training.compile: nothing compiles here, going on without (%s)", reason)
        return False
    return True

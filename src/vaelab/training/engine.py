"""How a step is computed: the precision of its matrix products, and whether it is compiled. Chosen here, once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType
from typing import Any, Literal, ParamSpec, TypeVar, cast

import torch
import torch._dynamo.config
from torch import Tensor
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.networks import matmul_precision
from vaelab.settings import TrainingSettings

__all__ = ["Engine", "choose_precision"]

P = ParamSpec("P")
R = TypeVar("R")


def choose_precision(asked: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return what ``auto`` stands for: bfloat16 where the hardware multiplies it, float32 elsewhere.

    >>> choose_precision("float32", torch.device("cpu"))
    'float32'
    """
    if asked == "auto":
        return "bfloat16" if _has_bfloat16(device) else "float32"
    return "bfloat16" if asked == "bfloat16" else "float32"


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Tile or 512-bit instructions: without them oneDNN would emulate, slower than float32 (torch has had no public name
    # for either, so an older or newer torch without these two means no).
    found = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("amx_tile", "avx512_bf16")]
    return any(supported is not None and supported() for supported in found)


class Engine:
    """Computes the estimates of a training and their gradients.

    ``precision`` is of matrix products alone: ``bfloat16`` rounds their factors (to TensorFloat-32 on an NVIDIA GPU)
    and sums in float32. Weights, gradients, densities, bounds and the optimiser stay float32, and so do validation and
    every evaluation.

    Compiled, a step from the estimate to the moved weights becomes one graph of fused kernels by ``torch.compile`` (on
    an NVIDIA GPU replayed as CUDA graphs); the random numbers are those of the step as it stands. Where nothing can be
    compiled, a line in the log of Python's ``logging`` says so and the training goes on without.

    >>> engine = Engine(TrainingSettings(steps=1, precision="float32"), torch.device("cpu"))
    >>> engine.precision, engine.compiled
    ('float32', False)
    """

    def __init__(self, settings: TrainingSettings, device: torch.device) -> None:
        self.precision = choose_precision(settings.precision, device)
        self.compiled = settings.compile and _can_compile(device)
        self.device = device

    def compile(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function as one graph, gradients that are taken inside it included, if this engine compiles.

        A list of numbers among its arguments may differ from call to call: the graph is handed a tensor.
        Call it inside :meth:`running`.

        Raises:
            InputError: from a call, where this function does not compile though others do.
        """
        if not self.compiled:
            return function
        graph = _graph(function, self.device)

        def with_tensors(*args: P.args, **kwargs: P.kwargs) -> R:
            tensors = (self._tensor(each) if isinstance(each, list) else each for each in args)
            try:
                return graph(*tensors, **kwargs)  # type: ignore[arg-type]
            except BackendCompilerFailed as error:  # going on without is too late: other ranks may be a message further
                raise InputError(
                    f"training.compile: this step does not compile ({_reason(error)}); train without"
                ) from error

        return with_tensors

    def _tensor(self, numbers: list[float]) -> Tensor:
        """Return the numbers on the device; from pinned memory, so that nothing waits for the copy."""
        pinned = self.device.type == "cuda"
        return torch.tensor(numbers, pin_memory=pinned).to(self.device, non_blocking=pinned)

    def running(self) -> AbstractContextManager[None]:
        """Let what this engine compiles take gradients inside a graph, within the block."""
        return _gradients_in_the_graph() if self.compiled else nullcontext()

    def products(self) -> AbstractContextManager[None]:
        """Multiply matrices in this precision inside the block."""
        return matmul_precision("medium" if self.precision == "bfloat16" else "highest")


def _graph(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """Compile a copy of the function: torch compiles the same code eight times in a process, and then never again."""
    one = cast(FunctionType, function)
    copy = FunctionType(one.__code__.replace(), one.__globals__, one.__name__, one.__defaults__, one.__closure__)
    return torch.compile(cast(Callable[P, R], copy), options=_options(device))


def _options(device: torch.device) -> dict[str, Any]:
    options: dict[str, Any] = {"fallback_random": True}  # the random numbers are those of the plain step
    if device.type == "cuda":
        return options | {"triton.cudagraphs": True}
    # No Python between the kernels, and the bias where it costs least.
    return options | {"cpp_wrapper": True, "post_grad_custom_post_pass": _BiasAfterProduct()}


class _BiasAfterProduct(CustomGraphPass):
    """Take the bias out of each product x W + b.

    Within the product it costs a copy of b to every row; added by the kernel that follows, which reads and writes
    these numbers anyway, nothing.
    """

    def __call__(self, graph: torch.fx.Graph) -> None:
        aten = torch.ops.aten
        for node in graph.find_nodes(op="call_function", target=aten.addmm.default):
            if node.kwargs:  # a multiple of one of the two
                continue
            bias, *factors = node.args
            with graph.inserting_before(node):
                product = graph.call_function(aten.mm.default, tuple(factors))
                total = graph.call_function(aten.add.Tensor, (product, bias))
            product.meta["val"] = total.meta["val"] = node.meta["val"]
            node.replace_all_uses_with(total)
            graph.erase_node(node)

    def uuid(self) -> bytes:
        return get_hash_for_files((__file__,))  # torch keeps compiled steps on the disk, and this pass is part of them


@contextmanager
def _gradients_in_the_graph() -> Iterator[None]:
    """Let ``torch.compile`` take gradients within a graph, second derivatives included, inside the block."""
    config = torch._dynamo.config
    before = config.trace_autograd_ops
    config.trace_autograd_ops = True
    try:
        yield
    finally:
        config.trace_autograd_ops = before


def _can_compile(device: torch.device) -> bool:
    """Compile something small, with a gradient: where there is no working compiler, torch says so only now."""

    def slope(t: Tensor) -> Tensor:
        return torch.autograd.grad((t * t).sum(), t)[0]

    validates = Distribution._validate_args  # the first compilation in a process turns it off, for everybody's
    try:
        with _gradients_in_the_graph():
            _graph(slope, device)(torch.zeros(4, device=device, requires_grad=True))
    except Exception as error:
        said = "training.compile: nothing compiles here, going on without (%s)"
        logging.getLogger("vaelab").warning(said, _reason(error))
        return False
    finally:
        Distribution.set_default_validate_args(validates)
    return True


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

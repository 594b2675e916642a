"""The compiled step. It uses what is not public in torch, and is imported only to compile a step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import FunctionType
from typing import Any, ParamSpec, TypeVar, cast

import torch
import torch._dynamo.config
from torch import Tensor, nn
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch.distributions import Distribution

from vaelab.errors import InputError
from vaelab.objectives import Objective
from vaelab.training.adam import Adam
from vaelab.training.setup import Setup, Step
from vaelab.training.state import TrainState

__all__ = ["compiled_step", "update_by_adam"]

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def compiled_step(
    setup: Setup,
    state: TrainState,
    plain_step: Step,
    apply_gradients: Callable[[Tensor, bool], tuple[Tensor, Tensor | None]],
) -> Iterator[Step]:
    """Inside the block, offer the training step as one graph of fused kernels, made by ``torch.compile``.

    With the default optimiser and one process the graph is the whole step, from the estimate to the moved weights.
    Otherwise it ends with the gradients, and ``apply_gradients`` does the rest. On an NVIDIA GPU the graph is replayed
    as CUDA graphs. The random numbers are those of the plain step. If nothing compiles on this machine, one line in the
    log of Python's ``logging`` says so, and the step is the plain one; so it is if a part of the model has an attribute
    ``compiles`` that is false, as a flow has.

    Raises:
        InputError: from a step, if this step does not compile although others do.
    """
    if part := next((part for part in state.model.modules() if not getattr(part, "compiles", True)), None):
        name = type(part).__name__
        logging.getLogger("vaelab").warning("compile: %s does not compile as one graph, going on without", name)
        yield plain_step
        return
    if not _can_compile(setup.device):
        yield plain_step
        return
    adam = state.optimizer
    with _gradients_in_the_graph():
        if isinstance(adam, Adam) and setup.group.ranks.count == 1 and state.variance is None:
            yield _whole_step(setup, state, adam)
        else:
            yield _step_after_graph(setup, state, apply_gradients)


def _step_after_graph(
    setup: Setup, state: TrainState, apply_gradients: Callable[[Tensor, bool], tuple[Tensor, Tensor | None]]
) -> Step:
    """Return a step whose graph ends with the gradients."""
    parameters = state.parameters

    def differentiate(
        objective: Objective, x: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Sequence[Tensor | None]]:
        estimate = state.estimate(objective, x)
        return estimate.means(weights), torch.autograd.grad(estimate.loss(weights), parameters, allow_unused=True)

    graph = _compile(differentiate, setup.device)

    def step(objective: Objective, x: Tensor, weights: Tensor | None, stop: bool) -> tuple[Tensor, Tensor | None]:
        means, gradients = graph(objective, x, weights)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else gradient.contiguous()  # as optimisers expect
        return apply_gradients(means, stop)

    return step


def _whole_step(setup: Setup, state: TrainState, optimizer: Adam) -> Step:
    """Return a step that is one graph, Adam included."""
    parameters = state.parameters
    for moment in optimizer.means + optimizer.squares:
        torch._dynamo.mark_static_address(moment)  # it stays where it is: otherwise no CUDA graph is made of the step

    def whole(objective: Objective, x: Tensor, weights: Tensor | None, numbers: Tensor) -> Tensor:
        estimate = state.estimate(objective, x)
        gradients = torch.autograd.grad(estimate.loss(weights), parameters, allow_unused=True)
        with torch.no_grad():
            clipped = _clipped(gradients, len(state.model_parameters), setup.settings.clip)
            update_by_adam(optimizer, clipped, numbers)
        return estimate.means(weights)

    graph = _compile(whole, setup.device)
    pinned = setup.device.type == "cuda"  # so that nothing waits for the copy

    def step(objective: Objective, x: Tensor, weights: Tensor | None, stop: bool) -> tuple[Tensor, Tensor | None]:
        numbers = torch.tensor(optimizer.begin_step(), pin_memory=pinned).to(setup.device, non_blocking=pinned)
        return graph(objective, x, weights, numbers), None

    return step


def update_by_adam(optimizer: Adam, gradients: Sequence[Tensor | None], numbers: Sequence[float] | Tensor) -> None:
    """Do as the kernel of :class:`Adam` does, in operators that are compiled with what makes the gradients.

    The gradients are in the order of ``optimizer.weights``; the numbers are those of ``optimizer.begin_step()``.
    """
    rows = zip(optimizer.weights, gradients, optimizer.means, optimizer.squares, strict=True)
    for index, group in enumerate(optimizer.param_groups):
        first, second = group["betas"]
        for weight, gradient, mean, square in islice(rows, len(group["params"])):
            if gradient is not None:
                mean.lerp_(gradient, 1 - first)
                square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
                weight.sub_(numbers[2 * index] * mean / (square.sqrt() + numbers[2 * index + 1]))


def _clipped(gradients: Sequence[Tensor | None], count: int, largest: float | None) -> Sequence[Tensor | None]:
    """Shorten the first ``count`` gradients as ``clip_grad_norm_`` does, whose kernel for all does not compile."""
    if largest is None:
        return gradients
    present = [gradient for gradient in gradients[:count] if gradient is not None]
    factor = (largest / (nn.utils.get_total_norm(present, foreach=False) + 1e-6)).clamp(max=1.0)
    return [None if gradient is None else gradient * factor for gradient in gradients[:count]] + list(gradients[count:])


def _compile(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """Return the function as a graph, gradients that are taken inside it included."""
    graph = _graph(function, device)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return graph(*args, **kwargs)
        except (
            BackendCompilerFailed
        ) as error:  # the plain step is not possible now, because other ranks may be one message ahead
            raise InputError(f"compile: this step does not compile ({_reason(error)}); train without it") from error

    return call


def _graph(function: Callable[P, R], device: torch.device) -> Callable[P, R]:
    """Compile a copy of the function: torch compiles the same code eight times in a process, and then never again."""
    one = cast(FunctionType, function)
    copy = FunctionType(one.__code__.replace(), one.__globals__, one.__name__, one.__defaults__, one.__closure__)
    return torch.compile(cast(Callable[P, R], copy), options=_options(device))


def _options(device: torch.device) -> dict[str, Any]:
    options: dict[str, Any] = {"fallback_random": True}  # the random numbers are those of the plain step
    if device.type == "cuda":
        return options | {"triton.cudagraphs": True}
    # No Python between the kernels, and the bias is added where it costs least.
    return options | {"cpp_wrapper": True, "post_grad_custom_post_pass": _BiasAfterProduct()}


class _BiasAfterProduct(CustomGraphPass):
    """Take the bias out of each product x W + b.

    Within the product, b is copied to every row. The kernel that follows reads and writes the product anyway, so adding
    the bias there costs nothing.
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
        return get_hash_for_files(
            (__file__,)
        )  # torch caches compiled steps on the disk, and this pass is part of the key


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
    """Compile a small function with a gradient, because torch reports a missing compiler only then."""

    def slope(t: Tensor) -> Tensor:
        return torch.autograd.grad((t * t).sum(), t)[0]

    validates = Distribution._validate_args  # the first compilation in a process switches it off globally
    try:
        with _gradients_in_the_graph():
            _graph(slope, device)(torch.zeros(4, device=device, requires_grad=True))
    except Exception as error:
        warning = "compile: nothing compiles here, going on without (%s)"
        logging.getLogger("vaelab").warning(warning, _reason(error))
        return False
    finally:
        Distribution.set_default_validate_args(validates)
    return True


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

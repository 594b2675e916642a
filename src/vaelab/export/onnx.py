"""A model as two ONNX files: the encoder and the decoder."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vaelab.errors import Failure, InputError
from vaelab.export.parts import Decoder, Encoder, Part
from vaelab.models import LatentVariableModel, Model, require_latent
from vaelab.networks import evaluation_mode
from vaelab.storage import require_free, versions, write_file

__all__ = ["ONNX_FILES", "to_onnx"]

ONNX_FILES = ("encoder.onnx", "decoder.onnx")
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_TOLERANCE = 1e-5  # largest difference from torch, of numbers below 1; relative for larger ones
_NOISE = {"real": "standard normal", "bits": "uniform on [0, 1)", "point": "none"}


def to_onnx(model: Model, path: str | Path, overwrite: bool = False) -> dict[str, str]:
    """Write a model as ``encoder.onnx`` and ``decoder.onnx``, and return for each file what it computes.

    The encoder maps x (B, X) and noise (B, D) to the ``mean`` and, for real codes, the ``stddev`` of q(z|x), and to the
    draw ``z`` of q(z|x) that the noise determines: numbers of N(0, 1) for real codes, of the uniform distribution on
    [0, 1) for bits. A code without noise has the output ``z`` alone. The decoder maps z (B, D) to the ``mean`` of
    p(x|z), (B, X). B is free. A conditional model has the further input ``y`` in both; where values may be missing, the
    encoder has the further input ``mask`` (B, X), true where x is observed.

    Each file is run in onnxruntime before it is written, and compared with torch. Its metadata hold the form of the
    data as JSON, the kind of code and of noise, and versions.

    Args:
        model: a model with a recognition network.
        path: a new or empty directory.
        overwrite: replace an earlier export in this directory.

    Raises:
        InputError: a package is missing, something else is in the directory, a posterior without a recognition network,
            or a part of the user's own that has no form in ONNX.
        Failure: onnxruntime computes other numbers than torch.

    Source: ONNX, https://onnx.ai/onnx/intro.

    >>> import tempfile
    >>> from vaelab.models import gaussian_vae
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sorted(to_onnx(gaussian_vae(6, latent_dim=2), folder))
    ['decoder.onnx', 'encoder.onnx']
    """
    model = require_latent(model, "onnx")
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise InputError(f'onnx: expected the package {missing[0]}; pip install "vaelab[onnx]" installs it')
    folder = Path(path)
    require_free(folder, ONNX_FILES, overwrite, "an export to ONNX")
    parts = Encoder(model), Decoder(model)
    written: dict[str, tuple[bytes, str]] = {}
    with torch.no_grad(), evaluation_mode(model):
        for name, part in zip(ONNX_FILES, parts, strict=True):
            content = _converted(part, _metadata(model))
            difference = _difference(part, content)
            computes = f"{', '.join(part.inputs)} -> {', '.join(part.outputs)}"
            written[name] = content, f"{computes} (differs from torch by {difference:.0e} at most)"
    for name, (content, _) in written.items():
        write_file(folder / name, content)
    return {name: words for name, (_, words) in written.items()}


def _metadata(model: LatentVariableModel) -> dict[str, str]:
    """Return what a program that uses the files must know of the model, as text."""
    spec = None if model.spec is None else model.spec.to_json()
    facts = {"code": model.code, "noise": _NOISE[model.code], "spec": json.dumps(spec)}
    return {**facts, **{f"{name}_version": version for name, version in versions().items()}}


def _converted(part: Part, metadata: dict[str, str]) -> bytes:
    """Return the ONNX file of a part; torch notes the paths of its own source in it, which are removed."""
    inputs = part.example(rows=2)
    try:
        part(*inputs)
    except Failure as error:  # of ``noise_from``
        raise InputError(
            "model: expected a posterior whose noise vaelab draws (DiagonalNormal, Bernoulli, Delta or a chain of them)"
        ) from error
    free = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    try:
        with _quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside torch
            program: Any = torch.onnx.export(
                part,
                inputs,
                dynamo=True,
                verbose=False,
                input_names=part.inputs,
                output_names=part.outputs,
                dynamic_shapes=(free,),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise InputError(
            f"model: expected parts that have a form in ONNX; the {part.name} has none ({reason})"
        ) from error
    program.model.metadata_props.update(metadata)
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch and onnxscript log for their developers, such as that torchvision is not installed."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _difference(part: Part, content: bytes) -> float:
    """Return the largest difference between torch and onnxruntime, for another number of rows than in the conversion.

    Raises:
        Failure: it is above 1e-5, for numbers above 1 relative to their size.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    inputs = part.example(rows=5)
    if any(isinstance(given.shape[0], int) for given in session.get_inputs()):
        raise InputError(f"model: expected parts for any number of rows; in ONNX the {part.name} has a fixed one")
    found = session.run(None, {name: value.cpu().numpy() for name, value in zip(part.inputs, inputs, strict=True)})
    expected = part(*inputs)
    difference = max(_distance(one, torch.from_numpy(other)) for one, other in zip(expected, found, strict=True))
    if not difference <= _TOLERANCE:
        raise Failure(f"onnx: the {part.name} differs from torch by {difference:.1e}, more than {_TOLERANCE:.0e}")
    return difference


def _distance(one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs() / one.abs().clamp(min=1)).max())

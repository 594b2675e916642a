"""Models written for other programs: onnxruntime computes what torch computes, and draws what the noise says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import vaelab
from tests.commands import CommandLine
from tests.laws import D, X, build, observations_of
from vaelab import DataSpec
from vaelab.data import Column, Condition
from vaelab.errors import InputError
from vaelab.export import to_onnx
from vaelab.models import gaussian_vae, sbn
from vaelab.networks import NETWORKS
from vaelab.posteriors import REAL_POSTERIORS, FlowPosterior
from vaelab.seeds import seeded

# An export takes seconds. The others are slow tests: a Gaussian code and an auto-encoder are exported below too.
NAMES = ["two layers of bits"]
COUNTS = DataSpec((4,), torch.full((4,), 3.0), kind="count")
SLOW = ["gaussian", "bits, learned prior", "two layers of reals"]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


def run(file: Path, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert [given.name for given in session.get_inputs()] == list(inputs)
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return dict(zip(names, map(torch.from_numpy, found), strict=True))


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= 1e-5)


@pytest.mark.parametrize("name", [*NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
@torch.no_grad()
def test_onnx_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    """For one row and for many; the draw is that of torch's generator, whose noise is the input."""
    model = build(name).float().train()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    to_onnx(model, tmp_path)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    require_same(model, tmp_path)


def require_same(model: vaelab.LatentVariableModel, folder: Path) -> None:
    for count in (1, 7):
        x = observations_of(count).float()
        q = model.posterior(x)
        noise = {} if model.code == "point" else {"noise": noise_of(model, count)}
        encoded = run(folder / "encoder.onnx", x=x, **noise)
        torch.manual_seed(3)
        z = q.sample()
        expected = {"z": z} if model.code == "point" else {"z": z, "mean": q.mean}
        expected |= {"stddev": q.stddev} if model.code == "real" else {}
        assert encoded.keys() == expected.keys()
        assert all(close(encoded[key], expected[key]) for key in expected)
        assert close(run(folder / "decoder.onnx", z=z)["mean"], model.decode(z))


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    [COUNTS, DataSpec((4,), kind="real"), DataSpec((4,), kind="grey", binarisation="none")],
    ids=lambda spec: spec.kind,
)
def test_onnx_of_every_kind_of_data(spec: DataSpec, tmp_path: Path) -> None:
    model = gaussian_vae(spec, latent_dim=2, hidden_dims=[4], seed=0)
    to_onnx(model, tmp_path)
    z = torch.randn(3, 2)
    assert close(run(tmp_path / "decoder.onnx", z=z)["mean"], model.decode(z))


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_onnx_of_every_network(network: str, tmp_path: Path) -> None:
    """With layer normalisation, and with dropout, which does nothing there."""
    options = {"network": network, "normalisation": "layer", "dropout": 0.5}
    model = gaussian_vae(DataSpec((8, 9)), latent_dim=2, hidden_dims=[4], seed=0, **options)
    to_onnx(model, tmp_path)
    z, x, noise = torch.randn(3, 2), torch.rand(3, 72).round(), torch.randn(3, 2)
    assert close(run(tmp_path / "decoder.onnx", z=z)["mean"], model.decode(z))
    assert close(run(tmp_path / "encoder.onnx", x=x, noise=noise)["mean"], model.encode(x))


@pytest.mark.slow
@pytest.mark.parametrize("posterior", REAL_POSTERIORS)
@torch.no_grad()
def test_onnx_of_every_posterior(posterior: str, tmp_path: Path) -> None:
    """With weights that are not where they start, as a flow starts as the identity."""
    model = gaussian_vae(X, latent_dim=D, hidden_dims=[4], posterior=posterior, seed=0)
    with seeded(1):
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
    to_onnx(model, tmp_path)
    require_same(model, tmp_path)


@torch.no_grad()
def test_a_flow_takes_any_number_of_rows_in_the_graph_of_an_export() -> None:
    """The first, quick step of an export to ONNX; the slow test above compares the numbers of the file."""

    class Draw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.posterior = FlowPosterior(X, 2)

        def forward(self, x: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            q = self.posterior(x)
            z = q.from_noise(noise)
            return z, q.log_prob(z)

    draw, rows = Draw(), {0: torch.export.Dim("rows")}
    program = torch.export.export(draw, (torch.zeros(2, X), torch.zeros(2, 2)), dynamic_shapes=(rows, rows))
    x, noise = torch.randn(5, X), torch.randn(5, 2)
    for one, other in zip(program.module()(x, noise), draw(x, noise), strict=True):
        assert close(one, other)


@pytest.mark.slow
def test_onnx_of_a_tree_of_columns(tmp_path: Path) -> None:
    model = gaussian_vae(4, latent_dim=2, hidden_dims=[4], likelihood="tree", seed=0)
    model.likelihood.set_parents(torch.tensor([1, -1, 1, 2]))  # type: ignore[operator]
    to_onnx(model, tmp_path)
    z = torch.randn(3, 2)
    assert close(run(tmp_path / "decoder.onnx", z=z)["mean"], model.decode(z))


def noise_of(model: vaelab.LatentVariableModel, count: int) -> torch.Tensor:
    """The numbers that torch draws for the layers of a code, layer by layer."""
    torch.manual_seed(3)
    draw = torch.rand if model.code == "bits" else torch.randn
    return torch.cat([draw(count, size) for size in model.layers or (D,)], 1)


TABLE = (
    *(Column("age", "real"), Column("weight", "real"), Column("answer", "binary"), Column("share", "unit")),
    Column("colour", "categorical", ("red", "green", "blue"), "str"),
)


@torch.no_grad()
def test_onnx_of_a_conditional_model_of_a_table_with_gaps(tmp_path: Path) -> None:
    """With inputs for y and for the mask. The files say what they are for, and nothing of this machine."""
    condition = Condition("labels", ("a", "b"))
    spec = DataSpec((7,), kind="mixed", variables=TABLE, condition=condition, may_be_missing=True)
    model = gaussian_vae(spec, latent_dim=2, hidden_dims=[4], encode_mask=True, seed=0)
    to_onnx(model, tmp_path)
    x, y, z = torch.rand(3, 7), torch.eye(2)[[0, 1, 1]], torch.randn(3, 2)
    mask = torch.rand(3, 7) < torch.tensor([[0.0], [0.5], [1.0]])
    noise = torch.randn(3, 2)
    encoded = run(tmp_path / "encoder.onnx", x=x, mask=mask, y=y, noise=noise)
    q = model.posterior(torch.cat([torch.where(mask, x, torch.nan), y], 1))
    assert close(encoded["mean"], q.mean)
    assert close(encoded["stddev"], q.stddev)
    assert close(encoded["z"], q.mean + q.stddev * noise)
    assert close(run(tmp_path / "decoder.onnx", z=z, y=y)["mean"], model.decode(z, given=y))
    for name in ("encoder.onnx", "decoder.onnx"):
        file = onnx.load(tmp_path / name)
        onnx.checker.check_model(file, full_check=True)
        facts = {entry.key: entry.value for entry in file.metadata_props}
        assert DataSpec.from_json(json.loads(facts["spec"])) == spec
        assert (facts["code"], facts["noise"]) == ("real", "standard normal")
        assert facts["vaelab_version"] == vaelab.__version__
        content = (tmp_path / name).read_bytes()
        assert b"site-packages" not in content
        assert str(Path(vaelab.__file__).parent).encode() not in content


class Drawn(nn.Module):
    """A posterior with noise that vaelab does not draw."""

    code = "real"

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.distributions.Distribution:
        return torch.distributions.Independent(torch.distributions.Laplace(self.network(x), 1.0), 1)


def with_other_noise() -> vaelab.LatentVariableModel:
    plain = gaussian_vae(5, latent_dim=2, hidden_dims=[4])
    return vaelab.LatentVariableModel(plain.prior, plain.likelihood, Drawn())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: sbn(5, layers=[3], inference="mean-field"), "expected a recognition network; mean-field"),
        (with_other_noise, "expected a posterior whose noise vaelab draws"),
    ],
    ids=["mean field", "other noise"],
)
def test_a_posterior_without_a_form_in_onnx_is_refused(make: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        to_onnx(make(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@torch.no_grad()
def test_only_an_earlier_export_is_replaced(command: CommandLine, tmp_path: Path) -> None:
    model = build("autoencoder").float()
    model.save(tmp_path / "m")
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    words = ("export", tmp_path / "m", "--out", out)
    assert "is there and is not an export to ONNX" in command.refused(*words, "--overwrite")
    (out / "notes.txt").rename(out / "encoder.onnx")
    assert "holds an export to ONNX (--overwrite replaces it)" in command.refused(*words)
    result = command(*words, "--overwrite")
    assert result.code == 0
    assert result.out.splitlines()[0].startswith("encoder.onnx: x -> z (differs from torch by ")
    assert {file.name for file in out.iterdir()} == {"encoder.onnx", "decoder.onnx"}
    require_same(model, out)
    assert "expected one of onnx" in command.refused("export", tmp_path / "m", "--out", out, "--format", "onx")

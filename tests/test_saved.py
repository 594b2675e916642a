"""Saved models: what is loaded computes the same numbers; what is damaged or unknown is refused in one sentence."""

from __future__ import annotations

import copy
import inspect
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vaelab
from tests.commands import CommandLine
from tests.laws import MODELS, WITH_CODES, binary_data, build, observations_of
from tests.processes import run_python
from tests.training_process import run_training
from vaelab import DataSpec, LatentVariableModel
from vaelab.distributions import Bernoulli
from vaelab.errors import InputError
from vaelab.inference import MeanFieldPosterior
from vaelab.models import MODELS as TABLE
from vaelab.models.build import building_again
from vaelab.networks import MLP
from vaelab.posteriors import GaussianPosterior
from vaelab.priors import GaussianPrior
from vaelab.storage import seal

SMALL: dict[str, dict[str, Any]] = {
    "gaussian-vae": {"latent_dim": 2, "hidden_dims": [4]},
    "bernoulli-vae": {"latent_dim": 3, "hidden_dims": [4], "prior": "learned"},
    "sbn": {"layers": [3, 2]},
    "deep-gaussian-vae": {"layers": [2, 2], "hidden_dims": [[4], [3]]},
    "logistic-pca": {"latent_dim": 2, "encoder_dims": [4]},
    "autoencoder": {"latent_dim": 2, "hidden_dims": [4], "components": 2},
}


def options_of(name: str) -> Any:
    """Return the parameters of a builder."""
    return inspect.signature(TABLE[name].build).parameters


def answers(model: LatentVariableModel, x: Tensor) -> list[Tensor]:
    """Return what a model computes for observations, and what it draws."""
    found = [model.encode(x), model.reconstruct(x), model.sample(5, seed=0), model.prior().log_prob(model.encode(x))]
    return found if model.code == "point" else [*found, *(vaelab.likelihood.elbo(model, x, 3).values,)]


def same(one: LatentVariableModel, other: LatentVariableModel, x: Tensor) -> bool:
    return all(torch.equal(*pair) for pair in zip(answers(one, x), answers(other, x), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_every_built_in_model_is_loaded_as_it_was_saved(name: str, tmp_path: Path) -> None:
    """In float64, with a fitted mixture: also the precision and what is not in the state_dict."""
    model, x = build(name), observations_of()
    model.save(tmp_path / "m")
    loaded = vaelab.load(tmp_path / "m")
    assert same(model, loaded, x)
    assert not loaded.training
    assert (loaded.built_with, loaded.spec) == (model.built_with, model.spec)
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"model.json", "model.safetensors"}


@pytest.mark.parametrize("name", WITH_CODES)
def test_a_model_of_the_table_is_loaded_with_its_spec(name: str, tmp_path: Path) -> None:
    data = binary_data(image_shape=(2, 3))
    model = TABLE[name].build(data, **SMALL[name], seed=1)
    if name == "autoencoder":
        model.prior.fit(torch.randn(40, 2, generator=torch.Generator().manual_seed(0)))  # type: ignore[operator]
    model.save(tmp_path / "m")
    loaded = vaelab.load(str(tmp_path / "m"))
    assert same(model.eval(), loaded, observations_of(dim=6).float())
    assert loaded.spec == data.spec
    assert loaded.spec is not None
    assert loaded.spec.image_shape == (2, 3)
    assert torch.equal(loaded.spec.mean, data.spec.mean)  # type: ignore[arg-type]


NULLS = [(name, option) for name in SMALL for option in ("activation", "encode_mask") if option in options_of(name)]


@pytest.mark.parametrize(("name", "option"), NULLS)
def test_a_model_that_an_earlier_version_built_with_none_is_loaded(name: str, option: str, tmp_path: Path) -> None:
    """Its model.json has null, which a builder refuses today; the prior of such a model can be fitted too."""
    data = binary_data(rows=(20, 5, 5))
    with building_again():
        model = cast(LatentVariableModel, TABLE[name].build(data, **SMALL[name], **{option: None}, seed=0))
    model.save(tmp_path / "m")
    assert json.loads((tmp_path / "m" / "model.json").read_text())["built_with"]["options"][option] is None
    loaded = vaelab.load(tmp_path / "m")
    assert all(torch.equal(weight, model.state_dict()[key]) for key, weight in loaded.state_dict().items())
    if "prior" in options_of(name):
        fitted = vaelab.fit_prior(loaded, data, prior_components=1).model
        assert fitted.built_with is not None
        assert fitted.built_with.options[option] is None


def test_mean_field_inference_is_loaded(tmp_path: Path) -> None:
    model = vaelab.sbn(6, layers=[3], inference="mean-field", seed=0)
    model.save(tmp_path / "m")
    loaded = vaelab.load(tmp_path / "m")
    assert isinstance(loaded.posterior, MeanFieldPosterior)
    assert same(model, loaded, observations_of(dim=6).float())


def test_loading_leaves_the_generator_as_it_was(tmp_path: Path) -> None:
    vaelab.gaussian_vae(6, latent_dim=2).save(tmp_path / "m")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    vaelab.load(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- classes of one's own


class Skip(nn.Module):
    """p(x|z) over bits, linear in z."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(size, dim)

    def forward(self, z: Tensor) -> Bernoulli:
        return Bernoulli(self.linear(z))


class Mine(LatentVariableModel):
    """A model of one's own, built from the data and plain arguments."""

    def __init__(self, data: Any, size: int, *, widths: tuple[int, ...] = (4,), **more: Any) -> None:
        spec = DataSpec.of(data)
        network = partial(MLP, hidden_dims=widths)
        super().__init__(GaussianPrior(size), Skip(size, spec.dim), GaussianPosterior(spec.dim, size, network))
        self.spec = spec
        self.asked = (spec, size, list(widths), more)


@pytest.mark.parametrize("data", [binary_data(), binary_data().spec, 5], ids=["data set", "spec", "number"])
def test_a_model_of_ones_own_is_built_from_its_arguments(data: Any, tmp_path: Path) -> None:
    model = Mine(data, 3, widths=(5, 4), scale=0.5, names=["a", None, True])
    model.save(tmp_path / "m")
    loaded = vaelab.load(tmp_path / "m")
    assert isinstance(loaded, Mine)
    assert loaded.asked == model.asked
    assert same(model, loaded, observations_of().float())


def test_a_saved_model_holds_no_data_set() -> None:
    assert not [part for part in vars(Mine(binary_data(), 3)).values() if isinstance(part, vaelab.Dataset)]
    assert copy.deepcopy(Mine(5, 3, widths=(2,))).asked[2] == [2]
    assert Mine(5, np.int64(3))._arguments == {"data": 5, "size": 3}


def parts() -> LatentVariableModel:
    """A model of modules, which no file can hold."""
    return LatentVariableModel(GaussianPrior(2), Skip(2, 5), GaussianPosterior(5, 2, partial(MLP, hidden_dims=[3])))


def test_a_model_of_modules_is_loaded_into_one_that_is_built_by_hand(tmp_path: Path) -> None:
    model = parts()
    model.save(tmp_path / "m")
    with pytest.raises(
        InputError, match=r"built from prior, likelihood, posterior, which no file can hold; .*into=mod"
    ):
        vaelab.load(tmp_path / "m")
    loaded = vaelab.load(tmp_path / "m", into=parts())
    assert same(model, loaded, observations_of().float())
    other = LatentVariableModel(GaussianPrior(2), Skip(2, 6), GaussianPosterior(6, 2))
    with pytest.raises(InputError, match="the weights do not fit the model"):
        vaelab.load(tmp_path / "m", into=other)


def test_the_binarisation_of_the_training_is_saved(tmp_path: Path) -> None:
    """Also with a class, and a model that is built by hand: neither is evaluated under another without asking."""
    greys = vaelab.Dataset.from_arrays(np.random.default_rng(0).integers(0, 256, (40, 5)).astype(np.uint8))
    by_hand = partial(vaelab.gaussian_vae, 5, 2, network=MLP)
    for name, model, into in (("class", Mine(5, 3), None), ("by hand", by_hand(), by_hand())):
        vaelab.fit(model, greys.with_binarisation("static"), steps=1)
        model.save(tmp_path / name)
        loaded = vaelab.load(tmp_path / name, into=into)
        assert loaded.spec == model.spec
        with pytest.raises(InputError, match="expected static, under which the model was trained"):
            vaelab.evaluate(loaded, greys, samples=1)


def test_loading_imports_no_module_that_a_file_names(tmp_path: Path) -> None:
    """A class that is not defined is named in a sentence; its module is not imported."""
    Mine(5, 3).save(tmp_path / "m")
    change(tmp_path / "m", model_class="harmful:Mine")
    (tmp_path / "harmful.py").write_text("raise SystemExit('imported')")
    code = f"import vaelab\ntry: vaelab.load({str(tmp_path / 'm')!r})\nexcept ValueError as error: print(error)"
    done = run_python("-c", code, folder=tmp_path)
    assert "the class Mine of harmful is not defined here; import it before the model is loaded" in done.stdout


# ---------------------------------------------------------------- what is refused


def change(folder: Path, **keys: Any) -> None:
    """Change what model.json says, with a SHA-256 that fits."""
    content = json.loads((folder / "model.json").read_text()) | keys
    (folder / "model.json").write_text(seal(content))


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no directory": (shutil.rmtree, "does not exist"),
    "no model.json": (lambda path: (path / "model.json").unlink(), "is not a saved model or a run"),
    "no weights": (lambda path: (path / "model.safetensors").unlink(), "the file is missing"),
    "a flipped byte of JSON": (lambda path: flip(path / "model.json"), "model.json: expected"),
    "a flipped byte of weights": (lambda path: flip(path / "model.safetensors"), "model.safetensors: expected"),
    "JSON cut short": (lambda path: (path / "model.json").write_text("{"), "expected readable JSON"),
    "another kind of file": (lambda path: (path / "model.json").write_text(seal({"rows": []})), "field required"),
    "other weights": (lambda path: change(path, weights="0" * 64), "expected the weights whose SHA-256 is in model.js"),
    "an unknown model": (
        lambda path: change(path, built_with={"name": "x", "options": {}}),
        "expected a model of this",
    ),
    "a model that is no word": (
        lambda path: change(path, built_with={"name": ["x"], "options": {}}),
        "expected a model of this",
    ),
    "arguments that do not fit a class": (
        lambda path: change(
            path, built_with=None, missing=[], model_class="tests.test_saved:Mine", arguments={"colour": 1}
        ),
        "the class Mine cannot be built from its arguments colour (",
    ),
    "an unknown option": (
        lambda path: change(path, built_with={"name": "gaussian-vae", "options": {"colour": 1}}),
        "expected options of gaussian-vae",
    ),
    "another size": (
        lambda path: change(path, built_with={"name": "gaussian-vae", "options": {"latent_dim": 3}}),
        "the weights do not fit the model",
    ),
    "a newer format": (
        lambda path: (path / "model.json").write_text((path / "model.json").read_text().replace(": 2,", ": 9,", 1)),
        "written by a newer vaelab",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_is_damaged_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    damage, sentence = DAMAGE[case]
    vaelab.gaussian_vae(6, latent_dim=2, hidden_dims=[4]).save(tmp_path / "m")
    damage(tmp_path / "m")
    with pytest.raises(InputError, match=re.escape(sentence)) as refused:
        vaelab.load(tmp_path / "m")
    assert "\n" not in str(refused.value)
    assert str(tmp_path / "m") in str(refused.value)


def test_saving_replaces_a_model_only_with_overwrite(tmp_path: Path) -> None:
    one, other = (vaelab.gaussian_vae(6, latent_dim=2, seed=seed) for seed in (0, 1))
    (tmp_path / "m").mkdir()
    one.save(tmp_path / "m")
    with pytest.raises(InputError, match=r"holds a saved model \(overwrite=True replaces it\)"):
        other.save(tmp_path / "m")
    other.save(tmp_path / "m", overwrite=True)
    assert same(other, vaelab.load(tmp_path / "m"), observations_of(dim=6).float())


@pytest.mark.parametrize("name", ["notes.txt", "config.json"])
def test_saving_leaves_what_is_not_a_saved_model_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    for place in (tmp_path, tmp_path / name):
        with pytest.raises(InputError, match="is there and is not a saved model"):
            vaelab.gaussian_vae(6).save(place, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_saving_that_is_cut_short_leaves_no_half_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overwriting: until the last file is written, nothing is taken for a model."""
    model = vaelab.gaussian_vae(6)
    model.save(tmp_path / "m")
    monkeypatch.setattr("vaelab.models.saved.write_file", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        model.save(tmp_path / "m", overwrite=True)
    with pytest.raises(InputError, match="is not a saved model or a run"):
        vaelab.load(tmp_path / "m")


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    class Tied(Mine):
        """The likelihood's matrix is also a name of its own."""

        def __init__(self) -> None:
            super().__init__(5, 2)
            self.matrix = cast(Skip, self.likelihood).linear.weight

    Tied().save(tmp_path / "m")
    loaded = cast(Tied, vaelab.load(tmp_path / "m"))
    assert loaded.matrix is cast(Skip, loaded.likelihood).linear.weight


# ---------------------------------------------------------------- the command line


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    """The command line, in a directory with a saved model ``m`` and its data ``x.npz``."""
    monkeypatch.chdir(tmp_path)
    data = binary_data(image_shape=(2, 3))
    np.savez("x.npz", **{name: split.x for name, split in data.splits.items()}, test_labels=data.test.labels)
    vaelab.gaussian_vae(data, latent_dim=2, hidden_dims=[4], seed=0).save("m")
    return CommandLine(capsys, monkeypatch)


def test_commands_take_a_saved_model(command: CommandLine) -> None:
    before = {path: path.read_bytes() for path in Path("m").iterdir()}
    model, data = vaelab.load("m"), vaelab.load_data("x.npz")
    evaluated = command("evaluate", "m", "--data", "x.npz", "--samples", 3, "--json")
    expected = vaelab.evaluate(model, data, samples=3)
    without_times = [
        {name: value for name, value in record.items() if name != "seconds"}
        for record in json.loads(evaluated.out)["evaluations"]
    ]
    assert without_times == [record.model_copy(update={"seconds": None}).to_dict() for record in expected]
    assert command("sample", "m", "-n", 4, "--out", "s.npz").code == 0
    assert (np.load("s.npz")["x"] == model.sample(4, seed=0).numpy()).all()
    assert command("encode", "m", "--data", "x.npz", "--out", "c.npz").code == 0
    codes = np.load("c.npz")
    assert np.allclose(codes["codes"], model.encode(data.test.batch(60)))
    assert (codes["labels"] == data.test.labels).all()
    assert command("sample", "m").err.splitlines()[-1] == "next: vaelab reconstruct m --data FILE"
    shown = command("reconstruct", "m", "--data", "x.npz")
    assert shown.err.splitlines()[-1] == "next: vaelab encode m --out codes.npz --data x.npz"
    assert {path.name for path in Path().glob("*.png")} == {"m-samples-draw.png", "m-reconstructed.png"}
    assert {path: path.read_bytes() for path in Path("m").iterdir()} == before, "nothing is written into the model"


SAVED_REFUSED = {
    ("evaluate", "m"): "data: expected --data FILE; 'm' is a saved model, which names no data",
    ("reconstruct", "m", "--data", "mnist"): "data: the model 'm' expects 6 columns; 'mnist' has 784",
    ("compare", "m", "m"): "run: expected a run directory; 'm' is a saved model, which has no record of its training",
    ("gradients", "m"): "run: expected a run directory; 'm' is a saved model",
    ("tightness", "m"): "run: expected a run directory; 'm' is a saved model",
    ("evaluate", "m", "--data", "x.npz", "--binarisation", "odd"): "binarisation: expected",
}


@pytest.mark.parametrize(("words", "sentence"), SAVED_REFUSED.items(), ids=map(" ".join, SAVED_REFUSED))
def test_what_a_saved_model_cannot_do_is_refused(command: CommandLine, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in command.refused(*words)


def test_load_reads_a_run_as_well(tmp_path: Path) -> None:
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    x = observations_of(dim=run.spec.dim).float()
    assert same(run.load_model(), vaelab.load(tmp_path / "run"), x)
    with pytest.raises(InputError, match="into: expected a saved model"):
        vaelab.load(tmp_path / "run", into=run.load_model())
    run.load_model().save(tmp_path / "m")
    assert same(run.load_model(), vaelab.load(tmp_path / "m"), x)

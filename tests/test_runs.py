"""Room: runs. What is written is read again, moved, and refused in one sentence when it is damaged."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws import binary_data
from tests.processes import run_python
from tests.training_process import RECORD, run_training
from vaelab.errors import InputError
from vaelab.runs import Run, locked
from vaelab.settings import resolve
from vaelab.storage import seal, write_file
from vaelab.training import train

KINDS = ["gaussian-vae", "bernoulli-vae", "autoencoder"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a run of each model, trained for a moment."""
    folder = tmp_path_factory.mktemp("runs")
    return {kind: run_training(folder / kind, model=kind, more={"training": {"steps": 20}})[0] for kind in KINDS}


@pytest.fixture
def copy_of(trained, tmp_path):
    def copied(kind):
        return Run(shutil.copytree(trained[kind].path, tmp_path / kind))

    return copied


def answers(run):
    """Return what the model of a run says of a table of bits, and what it makes up."""
    model = run.load_model()
    x = torch.from_numpy(binary_data().split("test").x).float()
    return torch.cat([model.reconstruct(x), model.sample(50, seed=0)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_can_be_moved_and_says_the_same(kind, trained, copy_of):
    moved = copy_of(kind)
    assert torch.equal(answers(moved), answers(trained[kind]))
    assert moved.settings == trained[kind].settings
    assert not moved.load_model().training
    assert moved.finished
    assert (moved.path / "density.safetensors").exists() == (kind == "autoencoder")
    config = json.loads((moved.path / "config.json").read_text())
    assert config["format_version"] == 2
    assert set(config["versions"]) == {"vaelab", "torch", "numpy", "python"}
    expected = {"sha256": binary_data().sha256(), "binarisation_seed": 777}
    assert expected.items() <= config["data"].items()
    assert moved.spec.to_json() == {**binary_data().spec.to_json(), "mean_sha256": None}
    assert config["data"]["spec"] == binary_data().spec.to_json()
    assert str(trained[kind].path.parent) not in "".join(path.read_text() for path in moved.path.glob("*.json*"))


ONE = {
    "gaussian-vae": {"latent_dim": 1},
    "bernoulli-vae": {"latent_dim": 1},
    "autoencoder": {"latent_dim": 1, "components": 1},
    "sbn": {"layers": [2, 1]},
    "deep-gaussian-vae": {"layers": [1, 1], "hidden_dims": [[], []]},
    "logistic-pca": {"latent_dim": 1},
}


@pytest.mark.parametrize("kind", ONE)
def test_a_code_of_one_number_is_written_and_read(kind, tmp_path):
    options = {"data": "x", "binarisation": "none", "training": {"steps": 2, "batch_size": 20}, **ONE[kind]}
    run, fitted = train(resolve(kind, options), tmp_path / "run", data=binary_data())
    assert fitted.stop_reason == "finished"
    assert torch.equal(answers(run), answers(Run(tmp_path / "run")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_can_be_trained_again_from_its_own_config(kind, trained, tmp_path):
    values = trained[kind].config["settings"]
    run, _ = train(resolve(values["model"], values), tmp_path / "again", data=binary_data())
    assert torch.equal(answers(run), answers(trained[kind]))


def flip(path, data, places):
    """Flip one bit of a file, in a place out of one of the given slices."""
    content = bytearray(path.read_bytes())
    place = data.draw(st.one_of([st.integers(*slice_.indices(len(content))[:2]) for slice_ in places]))
    place = min(place, len(content) - 1)
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "density.safetensors"])
@given(st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_weights_with_any_bit_flipped_are_refused(name, trained, data):
    run = trained["autoencoder"]
    whole = (run.path / name).read_bytes()
    try:
        flip(run.path / name, data, [slice(None, 700), slice(None)])  # half of them in the header
        with pytest.raises(InputError, match=f"{name}: ") as refused:
            run.load_model()
        assert "\n" not in str(refused.value)
    finally:
        (run.path / name).write_bytes(whole)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_config_with_any_bit_flipped_is_refused_or_still_gives_the_same_model(trained, tmp_path, data):
    """A flipped bit of a learning rate is none of the model's business; of a layer's width it must be found."""
    run = trained["bernoulli-vae"]
    damaged = tmp_path / "damaged"
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(run.path, damaged)
    flip(damaged / "config.json", data, [slice(None)])
    try:
        said = answers(Run(damaged))
    except InputError as refusal:
        said = str(refusal)
    if isinstance(said, str):
        assert "\n" not in said
    else:
        assert torch.equal(said, answers(run))


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_checkpoint_with_any_bit_flipped_is_refused(trained, data):
    """Torch alone would not: with a bit of the archive's directory flipped it reads uninitialised memory."""
    run = trained["gaussian-vae"]
    path = run.path / "checkpoints" / "last.pt"
    whole = path.read_bytes()
    try:
        flip(path, data, [slice(None), slice(-2000, None)])  # half of them in the directory at the end
        with pytest.raises(InputError, match=r"last\.pt: expected a checkpoint; it is damaged \(the SHA-256"):
            run.load_checkpoint()
    finally:
        path.write_bytes(whole)
    assert run.load_checkpoint()["step"] == 20
    assert torch.load(path, weights_only=True)["step"] == 20  # the seal is in nobody's way


def edit_config(run, **changes):
    """Write another config.json with its right checksum, as a vaelab of other settings would."""
    path = run.path / "config.json"
    path.write_text(seal({**json.loads(path.read_text()), **changes}))


def edit_spec(run, **changes):
    data = run.config["data"]
    edit_config(run, data={**data, "spec": {**data["spec"], **changes}})


def edit_by_hand(run, **changes):
    path = run.path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def without_weights(run):
    (run.path / "model.safetensors").unlink()


def with_other_width(run):
    values = run.config["settings"]
    edit_config(run, settings={**values, "latent_dim": values["latent_dim"] + 1})


REFUSED = {
    "newer format": (lambda run: edit_by_hand(run, format_version=3), "got 3, written by a newer vaelab"),
    "no format": (lambda run: edit_by_hand(run, format_version=None), "expected a format_version"),
    "format zero": (lambda run: edit_by_hand(run, format_version=0), "expected a format_version"),
    "changed by hand": (lambda run: edit_by_hand(run, versions={}), "expected the SHA-256 written with it"),
    "no settings": (lambda run: edit_config(run, settings=None), "settings: .*it is damaged"),
    "settings of another kind": (lambda run: edit_config(run, settings=[1]), "settings: .*it is damaged"),
    "unknown model": (lambda run: edit_config(run, settings={"model": "gan"}), r"config\.json: model: expected one of"),
    "width no number": (lambda run: edit_spec(run, event_shape=["5"]), r"data\.event_shape\[0\]: expected an integer"),
    "no width": (
        lambda run: edit_spec(run, event_shape=[]),
        r"data\.event_shape: expected \(X,\) or .*; got \[\]",
    ),
    "no data": (lambda run: edit_config(run, data={}), r"data\.name: field required; it is damaged"),
    "config cut": (lambda run: (run.path / "config.json").write_text("{"), "expected readable JSON; it is damaged"),
    "config a list": (lambda run: (run.path / "config.json").write_text("[]"), "expected a JSON object; got a list"),
    "no config": (
        lambda run: (run.path / "config.json").unlink(),
        r"is not a run directory \(it has no config\.json\)",
    ),
    "no weights": (without_weights, "expected the weights of the model; the file is missing"),
    "weights cut": (
        lambda run: os.truncate(run.path / "model.safetensors", 300),
        "expected a safetensors file; it is damaged",
    ),
    "weights empty": (lambda run: os.truncate(run.path / "model.safetensors", 0), "it is damaged"),
    "weights of another model": (with_other_width, r"the weights do not fit the model of config\.json"),
    "no directory": (lambda run: shutil.rmtree(run.path), "there is no run directory"),
}


@pytest.mark.parametrize(("damage", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_a_run_that_is_none_or_damaged_is_refused_in_one_sentence(damage, sentence, copy_of):
    run = copy_of("bernoulli-vae")
    damage(run)
    with pytest.raises(InputError, match=sentence) as refused:
        Run(run.path).load_model()
    assert "\n" not in str(refused.value)


def test_an_auto_encoder_without_its_density_cannot_sample(copy_of):
    run = copy_of("autoencoder")
    (run.path / "density.safetensors").unlink()
    with pytest.raises(InputError, match="no density of its codes yet"):
        run.load_model().sample(1)


def test_a_directory_is_overwritten_only_when_asked_and_only_if_it_is_a_run(copy_of, tmp_path):
    run, data, chosen = copy_of("gaussian-vae"), binary_data(), resolve("autoencoder", {"binarisation": "none"})
    with pytest.raises(InputError, match=r"is not empty \(--resume continues it, --overwrite replaces it\)"):
        Run.create(run.path, chosen, data)
    assert run.load_model()
    with locked(run.path):  # as every training does
        Run.create(run.path, chosen, data, overwrite=True)
    assert {path.name for path in run.path.iterdir()} == {"config.json", "lock"}
    photos = tmp_path / "photos"
    photos.mkdir()
    Run.create(tmp_path / "photos", chosen, data)  # empty: welcome
    (photos / "config.json").rename(photos / "holiday.jpg")
    for path in (photos, photos / "holiday.jpg"):
        with pytest.raises(InputError, match="is not empty and not a run directory; it is kept"):
            Run.create(path, chosen, data, overwrite=True)
    (photos / "checkpoints").mkdir()
    (photos / "checkpoints" / "mine.tmp").touch()
    before = set(photos.rglob("*"))
    for path in (photos, photos / "holiday.jpg"):
        for how in ({}, {"overwrite": True}, {"resume": True}):
            with pytest.raises(InputError, match="is not empty and not a run directory; it is kept"):
                run_training(path, **how)
    assert set(photos.rglob("*")) == before


def test_a_run_that_was_being_overwritten_can_be_overwritten_again(copy_of, monkeypatch):
    run, data, chosen = copy_of("gaussian-vae"), binary_data(), resolve("autoencoder", {"binarisation": "none"})

    def fail(*_):
        raise OSError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rmdir", fail)
        broken.setattr("vaelab.runs.run.write_file", fail)
        with pytest.raises(OSError, match="gone"):
            Run.create(run.path, chosen, data, overwrite=True)
    assert Run.create(run.path, chosen, data, overwrite=True).settings.model == "autoencoder"


def test_a_run_goes_on_with_its_own_settings_and_data_only(copy_of):
    run = copy_of("gaussian-vae")
    for more, sentence in [
        ({"training": {"steps": 21}}, "resume: training.steps is 20 in .* and 21 in this command"),
        ({"training": {"steps": 20}, "latent_dim": 4}, "resume: latent_dim is 3 in .* and 4 in this command"),
    ]:
        with pytest.raises(InputError, match=sentence):
            run_training(run.path, model="gaussian-vae", more=more, resume=True)
    with pytest.raises(InputError, match="resume: the data are not those"):
        train(run.settings, run.path, data=binary_data(seed=9), resume=True)


def test_other_data_under_the_name_of_the_runs_are_refused(copy_of):
    run = copy_of("gaussian-vae")  # it was trained on patterns, which were handed over
    with pytest.raises(InputError, match=r"were given in Python and are not found; --data FILE says where they are"):
        run.load_data()
    with pytest.raises(InputError, match=r"'mnist' is not the data that .* was trained on \(SHA-256\)"):
        run.load_data("mnist")


def test_metrics_forgive_a_line_that_a_crash_cut_short_and_nothing_else(copy_of):
    run = copy_of("gaussian-vae")
    rows = run.metrics()
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 21, "train/bo')
    assert run.metrics() == rows
    run.forget_after(8)
    assert [row["step"] for row in run.metrics()] == [4, 8]
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    (run.path / "metrics.jsonl").write_text("\n".join([lines[0], lines[1][:9], lines[1], ""]))
    with pytest.raises(InputError, match="line 2 is damaged"):
        run.metrics()


DISK_FULL = """
import resource, sys
from vaelab.runs import Run
from pathlib import Path
import torch
from tests.training_process import changed
run = Run(sys.argv[1])
model, state = run.load_model(), run.load_checkpoint()
for weight in model.parameters():
    torch.nn.init.zeros_(weight)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
failed = 0
for write in (lambda: run.save_weights(model.state_dict()), lambda: run.save_checkpoint(state),
              lambda: run.forget_after(1000),
              lambda: run.add_evaluations([changed(note="x" * 200)], "w")):
    try:
        write()
    except OSError:
        failed += 1
print(failed)
"""


def test_a_full_disk_leaves_the_previous_state_intact(copy_of):
    """A real limit on the size of a file, in a process of its own: every write fails half way."""
    run = copy_of("bernoulli-vae")
    run.add_evaluations([RECORD], "w")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    told = run_python("-c", DISK_FULL, run.path, folder=Path(__file__).parents[1])
    assert told.stdout.split() == ["4"]
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_file_is_the_old_or_the_new(tmp_path):
    path = tmp_path / "deep" / "file"
    write_file(path, "old")
    write_file(path, b"new")
    assert path.read_text() == "new"
    with pytest.raises(TypeError):
        write_file(path, 3)
    assert [path.read_text() for path in path.parent.iterdir()] == ["new"]


def test_overwrite_removes_a_link_and_leaves_alone_what_it_leads_to(tmp_path):
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    elsewhere = tmp_path / "elsewhere"
    (run.path / "checkpoints").rename(elsewhere)
    (run.path / "checkpoints").symlink_to(elsewhere)
    before = (elsewhere / "last.pt").read_bytes()
    run_training(run.path, more={"training": {"steps": 8}}, overwrite=True)
    assert Run(run.path).load_checkpoint()["step"] == 8
    assert not (run.path / "checkpoints").is_symlink()
    assert (elsewhere / "last.pt").read_bytes() == before

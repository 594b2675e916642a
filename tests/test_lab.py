"""The study: its file, the studies that come with vaelab, and what they make of images and of a table."""

from __future__ import annotations

import json
import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine
from vaelab.data import Column, DataSpec, load_data
from vaelab.errors import InputError
from vaelab.models import MODELS
from vaelab.runs import Run
from vaelab.settings import words
from vaelab.studies.lab import packaged_study, read_study, run_lab

SPECS = {
    "images": DataSpec((28, 28), kind="grey"),
    "bits": DataSpec((9,)),
    "columns": DataSpec((2,), kind="mixed", variables=(Column("a", "real"), Column("b", "binary"))),
}
TINY = {"hidden_dims": [6], "latent_dim": 2, "training": {"steps": 20, "batch_size": 20}}


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", SPECS)
def test_every_model_of_a_study_that_comes_with_vaelab_has_settings(kind, quick):
    study, text = packaged_study(SPECS[kind])
    assert text.startswith(f"# The study of {'a table' if kind != 'images' else 'images'}")
    for name, entry in study.entries.items():
        settings = study.settings_of(name, quick)
        assert settings.model == entry.model
        if quick and "training" not in MODELS[entry.model].absent:
            assert settings.training.epochs <= 2
            assert not settings.training.compile


REFUSED = {
    "{}": "models: expected a value, as there is no default",
    "models: {}": "models: expected at least one model; got none",
    "models: {a: 3}": "models.a: expected a table with a model, such as model: gaussian-vae; got 3",
    "models: {a: {model: vae}}": "models.a.model: expected one of gaussian-vae",
    "models: {a/b: {model: sbn}}": "models: expected names of directories, of letters, digits and .+-; got 'a/b'",
    "models: {a: {model: gaussian-vae, latent_dim: 2}}": "models.a.latent_dim: no such setting; known are models.a",
    "models: {a: {model: gaussian-vae, settings: {steps: x}}}": "models.a: training.steps: expected an integer",
    "models: {a: {model: sbn, settings: {data: x}}}": "models.a.settings.data: numbers on different data",
    "models: {a: {model: sbn, title: b}, b: {model: sbn}}": "models: expected a title for each model; 'b'",
    "{models: {a: {model: sbn}}, longest: [b]}": "longest: expected one of a; got 'b'",
    "models: {a: {model: sbn, measure: [time]}}": "models.a.measure[0]: expected one of 'gradients' or 'tightness'",
    "models: {a: {model: gaussian-vae, measure: [tightness]}}": "models.a.measure: tightness is for sbn",
    "models: {a: {model: chow-liu, measure: [gradients]}}": "models.a.measure: gradients is for models with codes",
    "models: {a: {model: sbn, bounds: [elb]}}": "models.a.bounds[0]: expected one of 'elbo', 'iwae'",
    "{models: {a: {model: chow-liu}}, settings: {steps: 5}}": "models.a: training.steps: no such setting; chow-liu",
    "{models: {a: {model: sbn}}, seed: 3}": "seed: no such setting; known are title, settings, longest, models",
    "models: {a: {model: sbn, settings: {lr: 1}}}": "models.a: lr: no such setting; write training.learning_rate: 1e-3",
    "models: {a: {model: sbn, lr: 1}}": "models.a.lr: no such setting; under settings write training.learning_rate: 1",
    "{models: {a: {model: sbn}}, longest: a}": "longest: expected a list; got 'a' (write longest: [\"a\"])",
    "models: [sbn]": "models: expected a table; got ['sbn']",
    "models: {a: {model: sbn}": "is not readable as yaml (while parsing",
    "{models: {a: {model: sbn}}, settings: {columns: c.yaml}}": "models.a: columns: expected a table; got 'c.yaml'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_file_that_is_no_study_is_refused_in_one_sentence(text, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as refusal:
        read_study(file)
    assert str(refusal.value).startswith(
        f"config: {str(file)!r}{' ' if REFUSED[text].startswith('is ') else ': '}{REFUSED[text]}"
    )


def test_a_study_in_toml_is_told_its_own_syntax(tmp_path):
    (tmp_path / "study.toml").write_text("[models]\na = 3\n")
    with pytest.raises(
        InputError, match=r'models.a: expected a table with a model, such as model = "gaussian-vae"; got 3'
    ):
        read_study(tmp_path / "study.toml")


NO_BOUND = {
    "{model: gaussian-vae, bounds: [quadrature], settings: {latent_dim: 6}}": "quadrature: expected a code of 1 to 4",
    "{model: gaussian-vae, bounds: [elbo, exact], settings: {latent_dim: 2}}": "exact: only codes of bits",
    "{model: independent, bounds: [elbo]}": "bound: expected exact, as independent has no codes",
    "{model: autoencoder, bounds: [iwae], settings: {latent_dim: 2}}": "model: a deterministic auto-encoder",
}


@pytest.mark.parametrize("entry", NO_BOUND)
def test_a_bound_that_a_model_does_not_have_is_refused_before_anything_is_trained(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 2, (60, 5)))
    Path("study.yaml").write_text(f"models: {{a: {{model: independent}}, b: {entry}}}\nsettings: {{data: x.npy}}")
    with pytest.raises(InputError) as refusal:
        run_lab(read_study(Path("study.yaml")), Path("lab"))
    assert str(refusal.value).startswith(f"models.b: {NO_BOUND[entry]}")
    assert not Path("lab").exists()


def test_the_study_on_the_page_of_the_documentation_can_be_run(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "study.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "study.yaml").write_text(text)
    study = read_study(tmp_path / "study.yaml")
    assert [study.settings_of(name).model for name in study.models] == ["bernoulli-vae"] * 2 + ["bernoulli-mixture"]


def test_the_printed_study_is_the_one_that_runs(vaelab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("votes.csv").write_text("a,b,party\n" + "0,1,x\n1,0,y\n1,1,x\n0,0,y\n" * 20)
    options = ("--data", "votes.csv", "--label-column", "party", "--seed", 3)
    Path("study.yaml").write_text(vaelab("lab", *options, "--print-config").out)
    printed, (packaged, _) = (
        read_study(Path("study.yaml")),
        packaged_study(load_data("votes.csv", label_column="party").spec),
    )
    assert printed.settings == {"data": "votes.csv", "label_column": "party", "seed": 3}
    assert printed.models == packaged.models
    refusal = vaelab.refused("lab", "--config", "study.yaml", "--seed", 4, "--print-config")
    assert "config: expected none with --print-config" in refusal
    assert not Path("lab").exists()


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def fashion(tmp_path, monkeypatch):
    """Images in IDX files under the names of MNIST's: bars, lying or standing, with their labels."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, count in (("train", 100), ("t10k", 40)):
        lying, place = rng.integers(0, 2, count), rng.integers(0, 6, count)
        images = np.zeros((count, 6, 6))
        images[np.arange(count), place] = 200
        images = np.where(lying[:, None, None], images, images.transpose(0, 2, 1))
        Path(f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        Path(f"{part}-labels-idx1-ubyte").write_bytes(idx(lying))
    return tmp_path


def test_images_in_idx_files_have_the_labels_that_lie_beside_them(fashion):
    labels = load_data("train-images-idx3-ubyte", split=False).splits["all"].labels
    assert sorted(set(labels)) == [0, 1]
    Path("train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7)))
    with pytest.raises(InputError, match=r"expected integer labels of shape \(100,\)"):
        load_data("train-images-idx3-ubyte")
    Path("train-labels-idx1-ubyte").unlink()
    assert load_data("train-images-idx3-ubyte").splits["train"].labels is None


def test_a_study_of_images_from_a_file(vaelab, fashion, monkeypatch, caplog):
    """It trains what it is asked for, and compares it; an optional model that needs a package is left out."""
    monkeypatch.setitem(sys.modules, "zuko", None)  # as if it were not installed
    content = {
        "title": "Bars",
        "settings": {"data": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte", "device": "cpu"},
        "longest": ["mixture"],
        "models": {
            "plane": {
                "model": "gaussian-vae",
                "title": "The plane",
                "settings": TINY,
                "bounds": ["elbo", "quadrature"],
            },
            "mixture": {"model": "bernoulli-mixture", "settings": {"components": 2, "restarts": 1}},
            "flow": {
                "model": "gaussian-vae",
                "title": "A flow",
                "settings": {**TINY, "prior": "flow"},
                "optional": True,
            },
        },
    }
    Path("study.json").write_text(json.dumps(content))
    result = vaelab("lab", "--config", "study.json", "--seed", 5)
    assert result.code == 0, result.err
    assert [line.split()[0] for line in result.out.splitlines() if line.strip()][2:4] == ["The", "mixture"], result.out
    runs = {name: Run(Path("lab", "runs", name)) for name in ("plane", "mixture")}
    assert {run.settings.seed for run in runs.values()} == {5}
    assert "training.steps=20" in words(runs["plane"].settings)
    assert {record.name for record in runs["plane"].evaluations()} >= {"elbo", "quadrature"}
    report = Path("lab", "report.html").read_text(encoding="utf-8")
    assert "flow is left out: prior: flow needs the package zuko" in caplog.text
    assert not Path("lab", "runs", "flow").exists()
    for text in (
        "<li>A flow: prior: flow needs the package zuko; pip install",
        "<h1>Bars</h1>",
        "The latent space, coloured by class",
        "Generated distributions",
        "explorer.html#run=0",
    ):
        assert text in report
    assert Path("lab", "explorer.html").exists()


def test_a_study_of_a_table_has_no_pictures_of_images(vaelab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = (rng.random((150, 5)) < rng.random((150, 1))).astype(int)
    Path("answers.csv").write_text("a,b,c,d,e\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    bits = {"hidden_dims": [6], "latent_dim": 3, "training": TINY["training"]}
    content = {
        "models": {
            "columns": {"model": "independent"},
            "bits": {"model": "bernoulli-vae", "settings": bits, "bounds": ["elbo", "exact"]},
        }
    }
    Path("study.json").write_text(json.dumps(content))
    result = vaelab("lab", "--config", "study.json", "--data", "answers.csv", "--device", "cpu")
    assert result.code == 0, result.err
    report = Path("lab", "report.html").read_text(encoding="utf-8")
    assert "<h1>A study of answers.csv</h1>" in report
    assert "Columns of the data and of samples" in report
    assert 'id="reconstructions"' not in report
    assert "could not be drawn" not in report

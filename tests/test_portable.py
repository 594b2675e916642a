"""Room: runs. A run can be moved, and its data too: they are found by their checksum, or named with --data."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.commands import CommandLine
from tests.laws import binary_data
from tests.training_process import run_training
from vaelab.data import load_data
from vaelab.errors import InputError
from vaelab.runs import Run
from vaelab.settings import resolve
from vaelab.training import train

TINY = ("gaussian-vae", "latent_dim=2", "hidden_dims=[8]", "training.steps=6", "training.batch_size=20")
QUICK = ("--samples", 1)


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


def bits(seed=0, columns=16):
    rng = np.random.default_rng(seed)
    return ((rng.random((200, 1)) < 0.5) ^ (rng.random((200, columns)) < 0.1)).astype(np.uint8)


@pytest.fixture
def project(vaelab, tmp_path, monkeypatch):
    """A folder with data/x.npy and runs/g, trained from within it with a relative path; the working directory."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    np.save(folder / "data" / "x.npy", bits().reshape(-1, 4, 4))
    monkeypatch.chdir(folder)
    assert vaelab("train", *TINY, "--data", "data/x.npy", "--out", "runs/g").code == 0
    return folder


def test_config_says_what_the_data_are_and_where_they_were_read(project):
    facts = json.loads((project / "runs" / "g" / "config.json").read_text())["data"]
    data = load_data("data/x.npy")
    assert {"name": "x.npy", "scale": 1, "labels": False}.items() <= facts.items()
    assert facts["spec"] == data.spec.to_json()
    assert (facts["spec"]["event_shape"], facts["spec"]["kind"]) == ([4, 4], "binary")
    assert facts["sha256"] == data.sha256()
    path = str((project / "data" / "x.npy").resolve())
    assert facts["source"] == {"kind": "file", "given": "data/x.npy", "path": path}


COMMANDS = {
    "evaluate": ("evaluate", *QUICK, "--no-report"),
    "reconstruct": ("reconstruct", "-n", "3"),
    "encode": ("encode", "--out", "codes.npz"),
    "gradients": ("gradients", "--draws", "2", "--rows", "10"),
    "compare": ("compare", *QUICK),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_whose_data_are_gone_takes_them_from_the_file_that_is_named(
    command, vaelab, project, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(project / "data" / "x.npy", elsewhere / "y.npy")
    shutil.move(project / "runs" / "g", elsewhere / "run")
    monkeypatch.chdir(tmp_path)
    name, *words = COMMANDS[command]
    said = vaelab.refused(name, "elsewhere/run", *words)
    assert "'x.npy' of elsewhere/run were read from 'data/x.npy' and are not found; --data FILE says where" in said
    np.save(elsewhere / "other.npy", bits(seed=1).reshape(-1, 4, 4))
    if name not in ("encode", "reconstruct"):  # which take any data
        said = vaelab.refused(name, "elsewhere/run", *words, "--data", "elsewhere/other.npy")
        assert "'elsewhere/other.npy' is not the data that elsewhere/run was trained on (SHA-256)" in said
        assert "there is no file" in vaelab.refused(name, "elsewhere/run", *words, "--data", "nothing.npy")
    result = vaelab(name, "elsewhere/run", *words, "--data", "elsewhere/y.npy")
    assert result.code == 0, result.err
    if name == "evaluate":
        assert {record.data for record in Run("elsewhere/run").evaluations()} == {"x.npy"}


def test_a_moved_run_samples_from_anywhere_without_its_data(vaelab, project, tmp_path, monkeypatch):
    (project / "data" / "x.npy").unlink()
    moved = tmp_path / "moved"
    shutil.move(project / "runs" / "g", moved)
    monkeypatch.chdir("/")
    assert vaelab("sample", moved, "-n", 4).code == 0
    assert (moved / "figures" / "samples-draw.png").exists()


def test_a_project_that_is_moved_as_a_whole_finds_its_data(vaelab, project, tmp_path, monkeypatch):
    """A relative path is read from the run's directory and those above it as well."""
    shutil.move(project, tmp_path / "archive")
    monkeypatch.chdir(tmp_path)
    assert vaelab("evaluate", "archive/runs/g", *QUICK, "--no-report").code == 0


def test_the_checksum_decides_which_file_is_right(vaelab, project, tmp_path, monkeypatch):
    """Here lies another file of the same name; the one that was read is still where it was."""
    here = tmp_path / "here"
    (here / "data").mkdir(parents=True)
    np.save(here / "data" / "x.npy", bits(seed=1).reshape(-1, 4, 4))
    monkeypatch.chdir(here)
    run = Run(project / "runs" / "g")
    assert run.load_data().sha256() == run.config["data"]["sha256"]
    (project / "data" / "x.npy").unlink()
    with pytest.raises(
        InputError, match=r"'data/x\.npy' is not the data that .* was trained on \(SHA-256\); --data FILE"
    ):
        run.load_data()


def test_training_goes_on_with_the_same_data_under_another_path(vaelab, project):
    shutil.move("data/x.npy", "data/renamed.npy")
    flags = ("--out", "runs/g", "--resume")
    assert vaelab("train", *TINY, "--data", "data/renamed.npy", *flags).code == 0
    assert vaelab("evaluate", "runs/g", *QUICK, "--no-report").code == 0, "it remembers where the data are now"
    np.save("data/other.npy", bits(seed=1).reshape(-1, 4, 4))
    assert "the data are not those" in vaelab.refused("train", *TINY, "--data", "data/other.npy", *flags)


def test_compare_takes_the_right_file_of_those_named_for_each_run(vaelab, project):
    np.save("data/z.npy", bits(seed=1))
    assert vaelab("train", *TINY, "--data", "data/z.npy", "--out", "runs/z").code == 0
    for name in ("x", "z"):
        shutil.move(f"data/{name}.npy", f"{name}-moved.npy")
    words = ("compare", "runs/g", "runs/z", *QUICK, "--force", "--json")
    result = vaelab(*words, "--data", "z-moved.npy", "--data", "x-moved.npy")
    assert result.code == 0, result.err
    names = [row["evaluations"][0]["data"] for row in json.loads(result.out)["runs"]]
    assert names == ["x.npy", "z.npy"]


def test_data_given_in_python_are_asked_for_and_never_taken_for_others(vaelab, tmp_path):
    run, _ = run_training(tmp_path / "run", more={"training": {"steps": 4}})
    facts = run.config["data"]
    assert (facts["source"]["kind"], facts["source"]["given"], facts["source"]["path"]) == ("python", "patterns", None)
    assert run.settings.data == "patterns"
    said = vaelab.refused("evaluate", run.path)
    assert f"the data 'patterns' of {run.path} were given in Python and are not found; --data FILE says where" in said
    splits = binary_data().splits
    labels = {f"{name}_labels": split.labels for name, split in splits.items()}
    np.savez(tmp_path / "p.npz", **{name: split.x for name, split in splits.items()}, **labels)
    assert vaelab("evaluate", run.path, *QUICK, "--no-report", "--data", tmp_path / "p.npz").code == 0


def test_the_packaged_digits_are_found_also_where_they_were_given_in_python(mnist, tmp_path):
    options = {"latent_dim": 2, "hidden_dims": [4], "training": {"steps": 2}}
    run, _ = train(resolve("gaussian-vae", options), tmp_path / "run", data=mnist)
    assert run.load_data() is mnist


def test_a_run_has_its_name_also_where_it_is_the_working_directory(vaelab, project, monkeypatch):
    monkeypatch.chdir("runs/g")
    assert vaelab("evaluate", ".", *QUICK).code == 0
    assert "<title>g</title>" in Path("report.html").read_text()
    assert "--out runs/g<" in Path("report.html").read_text()
    assert "  g  " in vaelab("compare", ".", *QUICK).out


def test_columns_are_matched_by_name_wherever_data_are_read(vaelab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names, rows = [f"question{number}" for number in range(6)], bits(columns=6)

    def write(name, order):
        lines = [",".join(names[column] for column in order)]
        lines += [",".join(str(row[column]) for column in order) for row in rows]
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    write("x.csv", range(6))
    write("reordered.csv", [5, 3, 0, 1, 2, 4])
    write("fewer.csv", [0, 1, 2, 3, 4])
    assert vaelab("train", *TINY, "--data", "x.csv", "--out", "run").code == 0
    assert Run("run").spec.columns == tuple(names)
    (tmp_path / "x.csv").rename("moved.csv")
    assert vaelab("evaluate", "run", *QUICK, "--no-report", "--data", "reordered.csv").code == 0
    codes = []
    for name in ("moved.csv", "reordered.csv"):
        assert vaelab("encode", "run", "--data", name, "--out", f"{name}.npz").code == 0
        codes.append(np.load(f"{name}.npz")["codes"])
    np.testing.assert_array_equal(*codes)
    assert "'question5' is missing" in vaelab.refused("encode", "run", "--data", "fewer.csv", "--out", "f.npz")


def test_encode_takes_grey_levels_by_their_scale_and_says_what_it_makes_of_them(vaelab, project, caplog):
    """A run of bits; pictures of 0 and 255 are the same bits."""
    np.save("pictures.npy", np.load("data/x.npy") * np.uint8(255))
    codes = []
    for name in ("data/x.npy", "pictures.npy"):
        assert vaelab("encode", "runs/g", "--data", name, "--out", "codes.npz", "--overwrite").code == 0
        codes.append(np.load("codes.npz")["codes"])
    np.testing.assert_array_equal(*codes)
    assert caplog.messages == [
        "pictures.npy: the run was trained on bits and these are grey levels, so bits are made of them (dynamic)"
    ]

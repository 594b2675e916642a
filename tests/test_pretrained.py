"""Models with a card: in a directory and on a hub; the card shows the numbers of the run, and loading runs no code."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

import vaelab
from tests.commands import CommandLine
from tests.hub import hub
from tests.laws import binary_data, build, observations_of
from tests.processes import run_python
from tests.training_process import OPTIONS, RECORD, run_training
from vaelab.errors import InputError
from vaelab.evaluation import Evaluation
from vaelab.export import training_of
from vaelab.models import gaussian_vae

FILES = {"README.md", "model.json", "model.safetensors"}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(capsys, monkeypatch)


def test_a_model_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    """With the fitted mixture of an auto-encoder; load reads the directory too."""
    model, x = build("autoencoder"), observations_of()
    model.save_pretrained(tmp_path / "m")
    for load in (vaelab.from_pretrained, vaelab.load):
        loaded = load(tmp_path / "m")
        assert torch.equal(loaded.sample(5, seed=0), model.sample(5, seed=0))
        assert torch.equal(loaded.encode(x), model.encode(x))


def test_the_card_of_a_run_has_its_numbers_protocol_and_settings(command: CommandLine, tmp_path: Path) -> None:
    run, _ = run_training(tmp_path / "run")
    loaded = run.load()
    result = vaelab.evaluate(loaded.model, binary_data(), samples=5)
    run.add_evaluations(result, loaded.weights)
    run.add_evaluations([RECORD.model_copy(update={"value": -777.0, "split": "train"})], "of other weights")
    shown = command("export", run.path, "--format", "hub", "--out", tmp_path / "m")
    assert (shown.code, len(shown.out.splitlines())) == (0, 3)
    assert {file.name for file in (tmp_path / "m").iterdir()} == FILES
    text = (tmp_path / "m" / "README.md").read_text()
    for record in result:
        name, value = record.cells()
        assert f"| {name} | {value.replace('|', chr(92) + '|')} |" in text
    assert "777" not in text
    assert f"SHA-256 {run.config['data']['sha256']}" in text
    steps = OPTIONS["training"]["steps"]
    for row in (
        f"steps | {steps} of {steps}",
        "seed | 0",
        "binarisation | none",
        "batch size | 32",
        "rows | 240 train",
    ):
        assert f"| {row}" in text
    best = max(row["val/bound"] for row in run.metrics() if "val/bound" in row)
    assert f"validation bound, {best:.3f} nats at step" in text
    assert training_of(run)["estimator"].startswith("score-function")
    card = ModelCard.load(tmp_path / "m" / "README.md")
    means = {record.name: record.value for record in result if record.standard_error is not None}
    assert {found.metric_type: found.metric_value for found in card.data.eval_results} == means
    assert card.data.library_name == "vaelab"


def test_the_card_of_a_model_without_a_run_says_what_is_not_known(tmp_path: Path) -> None:
    gaussian_vae(6, latent_dim=2).save_pretrained(tmp_path / "digits")
    text = (tmp_path / "digits" / "README.md").read_text()
    assert "# digits\n" in text
    assert "was not recorded with it" in text
    assert "No evaluation of these weights was recorded" in text
    assert not re.search(r"± \d", text)


def test_names_of_columns_cannot_change_the_card(tmp_path: Path) -> None:
    """A name is a cell of a table: without line breaks, borders or tags."""
    columns = ("a|b", "c\n# d", "<script>", "---")
    gaussian_vae(vaelab.DataSpec((4,), columns=columns), latent_dim=2).save_pretrained(tmp_path / "m")
    card = ModelCard.load(tmp_path / "m" / "README.md")
    assert r"| columns | a\|b, c # d, &lt;script>, --- |" in card.text
    assert vaelab.from_pretrained(tmp_path / "m").spec.columns == columns


def test_an_evaluation_goes_into_the_card(tmp_path: Path) -> None:
    model = gaussian_vae(5, latent_dim=2)
    model.save_pretrained(tmp_path / "m", Evaluation((RECORD,)), {"data": "mine"})
    text = (tmp_path / "m" / "README.md").read_text()
    assert "| elbo | 1.000 | 10 |" in text
    assert "| data | mine |" in text


def test_only_a_saved_model_is_replaced(tmp_path: Path) -> None:
    one, other = (gaussian_vae(6, latent_dim=2, seed=seed) for seed in (0, 1))
    one.save(tmp_path)
    with pytest.raises(InputError, match="holds a saved model"):
        other.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text("my notes")
    with pytest.raises(InputError, match="expected a model card that vaelab wrote"):
        other.save_pretrained(tmp_path, overwrite=True)
    assert (tmp_path / "README.md").read_text() == "my notes"
    (tmp_path / "README.md").unlink()
    other.save_pretrained(tmp_path, overwrite=True)
    one.save_pretrained(tmp_path, overwrite=True)
    assert torch.equal(vaelab.load(tmp_path).decode(torch.ones(1, 2)), one.eval().decode(torch.ones(1, 2)))


SCRIPT = """
import torch, vaelab
model, x = vaelab.gaussian_vae(6, 2, [4], seed=0).eval(), torch.ones(2, 6)

def attempt(name, **options):
    try:
        print(torch.equal(vaelab.from_pretrained(name, **options).encode(x), model.encode(x)))
    except (vaelab.errors.InputError, vaelab.errors.Failure) as error:
        print(type(error).__name__, error)

attempt("me/digits")
print(model.push_to_hub("me/digits", token="t").rpartition("/")[2])
attempt("me/digits")
attempt("me/digits", download=True)
attempt("me/digits")
attempt("me/other", download=True)
attempt("not a name", download=True)
"""


def test_a_model_goes_to_a_hub_and_back(tmp_path: Path) -> None:
    """Without download=True the hub is not asked; a repository that was fetched is found again without it."""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with hub() as server:
        environment["HF_ENDPOINT"] = server.address
        lines = run_python("-c", SCRIPT, environment=environment).stdout.splitlines()
    not_fetched = "InputError path: 'me/digits' is no directory here and was not fetched before; with download=True"
    assert lines[0].startswith(not_fetched)
    assert lines[1] == "a" * 40
    assert lines[2].startswith(not_fetched)
    assert lines[3:5] == ["True", "True"]
    assert lines[5] == "InputError name: the hub has no 'me/other' for you, or not this revision"
    assert lines[6] == "InputError name: expected OWNER/NAME of a repository of the hub; got 'not a name'"
    assert set(server.repositories["me/digits"]) >= FILES
    assert server.private
    asked = [path for path in server.asked if "agent" not in path]
    assert asked[0] == "repos/create"  # nothing was asked for the first line
    fetched = [path for path in asked if "/resolve/" in path or "/revision/" in path]
    assert fetched.count("models/me/digits/revision/main") == 1

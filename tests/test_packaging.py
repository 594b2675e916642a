"""The wheel: what is in it, and what a user can do who has nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import vaelab

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "vaelab"
STUDY = """
settings: {data: bits.csv, training.steps: 20, device: cpu}
models:
  plane: {model: gaussian-vae, settings: {latent_dim: 2, hidden_dims: [8]}}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that `python -m build` makes."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_has_every_file_of_the_package_and_its_facts(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"vaelab-{vaelab.__version__}.dist-info/METADATA").decode()
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert {f"vaelab/{path.relative_to(PACKAGE).as_posix()}" for path in files} <= names
    for needed in (
        "py.typed",
        "explorer/web/main.js",
        "studies/lab/images.yaml",
        "data/packaged/mnist/train-images-idx3-ubyte.gz",
    ):
        assert f"vaelab/{needed}" in names
    assert wheel.stat().st_size < 14e6, "11.4 MB of it are MNIST; CONTRIBUTING.md states the size"
    assert f"\nVersion: {vaelab.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert {"LICENSE", "NOTICE"} <= {name.rpartition("/licenses/")[2] for name in names}


def test_the_citation_and_the_changelog_are_of_this_version():
    assert f"\nversion: {vaelab.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {vaelab.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_runs_a_study_in_an_environment_of_its_own(wheel, tmp_path):
    """The libraries that vaelab needs are those of this environment; vaelab itself is that of the wheel alone."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*words):
        command = [str(word) for word in words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (own / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    assert run(python, "-c", "import vaelab; print(vaelab.__file__)").strip() == str(own / "vaelab" / "__init__.py")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "bits.csv").write_text("a,b,c\n" + "0,1,0\n1,0,0\n1,1,1\n" * 30)
    run(home / "bin" / "vaelab", "lab", "--config", "study.yaml")
    assert "A study of bits.csv" in (tmp_path / "lab" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "lab" / "explorer.html").exists()

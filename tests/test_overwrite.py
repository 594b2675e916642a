"""The command line: no command destroys what the user made; --overwrite removes what vaelab wrote, and nothing else."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.commands import CommandLine
from vaelab import plots
from vaelab.data import DataSpec
from vaelab.runs import Run
from vaelab.storage import is_ours, seal
from vaelab.studies.lab import packaged_study

STUDY = packaged_study(DataSpec((28, 28)))[0]
FIRST = next(iter(STUDY.models))
ON_ITS_OWN = next(name for name, entry in STUDY.entries.items() if not entry.together)  # a page of the explorer
TINY = ("gaussian-vae", "latent_dim=2", "hidden_dims=[8]", "training.steps=6", "training.batch_size=20")


@pytest.fixture
def vaelab(capsys, monkeypatch):
    return CommandLine(capsys, monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with x.npy and a run of everything that the commands leave in one."""
    folder = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    rows = ((rng.random((200, 1)) < 0.5) ^ (rng.random((200, 16)) < 0.1)).astype(np.uint8)
    np.save(folder / "x.npy", rows.reshape(-1, 4, 4))
    return folder


@pytest.fixture
def folder(trained, vaelab, tmp_path, monkeypatch):
    """A working directory with data and a run."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(trained / "x.npy", "x.npy")
    if not (trained / "run").exists():
        for words in (
            ("train", *TINY, "--data", "x.npy", "--out", "run"),
            ("evaluate", "run", "--samples", 1),
            ("sample", "run", "-n", 4),
            ("gradients", "run", "--draws", 2, "--rows", 10),
            ("diagnose", "run", "--no-report"),
        ):
            assert vaelab(*words).code == 0
        shutil.copytree("run", trained / "run")
    else:
        shutil.copytree(trained / "run", "run")
    return tmp_path


def everything(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def train(*flags):
    return ("train", *TINY, "--data", "x.npy", *flags)


# ---------------------------------------------------------------- directories


def test_overwrite_removes_what_vaelab_wrote_and_nothing_else(vaelab, folder):
    own = {path.relative_to("run") for path in everything("run")}
    for name in ("thesis.tex", "notes/day1.md", "figures/holiday.png", "checkpoints/mine.pt", "photo.png", "mine.tmp"):
        path = Path("run") / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("years of work")
    mine = {path for path in everything("run") if path.read_text(errors="ignore") == "years of work"}
    assert len(mine) == 6
    assert vaelab(*train("--out", "run", "--overwrite", "--seed", 1)).code == 0
    assert all(path.read_text() == "years of work" for path in mine)
    left = {path.relative_to("run") for path in everything("run")} - {path.relative_to("run") for path in mine}
    assert {str(path) for path in own - left} == {
        *(str(path) for path in own if path.suffix in (".png", ".html")),
        "evaluation.json",
        "values.safetensors",
        "gradients.json",
        "diagnostics.json",
        "diagnostics.safetensors",
    }
    assert Run("run").settings.seed == 1


def empty_object(path):
    (path / "config.json").write_text("{}")


def other_program(path):
    (path / "config.json").write_text('{"format_version": 2, "name": "web app"}')


def damaged(path):
    shutil.rmtree(path)
    shutil.copytree("run", path)
    os.truncate(path / "config.json", 300)


def newer(path):
    (path / "config.json").write_text('{"format_version": 99}')


def users_lock(path):
    (path / "lock").write_text("the combination is 1234")


@pytest.mark.parametrize("make", [empty_object, other_program, damaged, newer, users_lock])
@pytest.mark.parametrize("flag", ["--overwrite", "--resume", None])
def test_a_directory_that_does_not_open_as_a_run_is_left_alone(make, flag, vaelab, folder):
    path = folder / "p"
    path.mkdir()
    make(path)
    (path / "thesis.tex").write_text("years of work")
    before = everything(path)
    said = vaelab.refused(*train("--out", "p", *([flag] if flag else [])))
    assert "'p' is not empty and not a run directory; it is kept" in said
    assert everything(path) == before


PLACES = {".": ".", "nothing": "", "above": "..", "root": "/", "home": "{home}", "link": "{link}", "full": "{here}"}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_directory_that_holds_more_than_a_run_is_not_overwritten(place, vaelab, folder, monkeypatch):
    """Even where it is a run: the working directory, what is above it, a home directory, a link to one."""
    home, here, link = folder / "home", folder / "home" / "here", folder / "link"
    for path in (home, here):
        shutil.copytree("run", path)
    link.symlink_to(here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    before = everything(folder)
    out = place.format(home=home, here=here, link=link)
    said = vaelab.refused("train", *TINY, "--data", folder / "x.npy", "--out", out, "--overwrite")
    assert "is kept" in said if place == "/" else "is or contains" in said
    assert everything(folder) == before


def test_a_directory_that_holds_the_data_is_not_overwritten(vaelab, folder):
    shutil.copy("x.npy", "run/x.npy")
    before = everything("run")
    said = vaelab.refused("train", *TINY, "--data", "run/x.npy", "--out", "run", "--overwrite")
    assert "is or contains the data" in said
    assert everything("run") == before


LATE = {
    "device": ("--device", "tpu9"),
    "setting": ("latent_dmi=2",),
    "data": ("--data", "nothing.npy"),
    "pair": ("estimator.name=arm",),
    "objective": ("objective.name=reconstruction",),
    "device of an accelerator": ("--device", "cuda:99"),
}


@pytest.mark.parametrize("words", LATE.values(), ids=LATE.keys())
def test_what_can_be_refused_is_refused_before_anything_is_removed(words, vaelab, folder):
    before = everything("run")
    vaelab.refused(*train("--out", "run", "--overwrite", *words))
    assert everything("run") == before


def test_a_run_that_another_process_trains_is_not_overwritten(vaelab, folder):
    from vaelab.runs import locked

    before = everything("run")
    with locked("run"):
        assert "another process is training into" in vaelab.refused(*train("--out", "run", "--overwrite"))
    assert everything("run") == before


def test_figures_elsewhere_that_a_link_leads_to_are_left_alone(vaelab, folder):
    """They may be of other runs, also where vaelab wrote them."""
    shutil.move("run/figures", "paper")
    before = everything("paper")
    for words in (
        train("--out", "run", "--overwrite"),
        ("compare", "run", "--out", "c", "--overwrite", "--samples", 1),
    ):
        link = Path(words[words.index("--out") + 1]) / "figures"
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(Path("paper").resolve())
        assert vaelab(*words).code == 0
        assert everything("paper") == before


def test_a_file_is_no_directory_for_a_run(vaelab, folder):
    Path("thesis.tex").write_text("years of work")
    for flags in ((), ("--overwrite",), ("--resume",)):
        assert "is kept" in vaelab.refused(*train("--out", "thesis.tex", *flags))
    assert "which is kept" in vaelab.refused("compare", "run", "--out", "thesis.tex", "--overwrite")
    assert Path("thesis.tex").read_text() == "years of work"


# ---------------------------------------------------------------- the study, sweeps, comparisons


def study(folder):
    lab = folder / "lab"
    for name in [*STUDY.models][:2]:
        shutil.copytree("run", lab / "runs" / name)
    shutil.copytree(folder / "run" / "figures", lab / "figures")
    for page in ("report.html", "explorer.html", f"runs/{FIRST}/explorer.html"):
        shutil.copy("run/report.html", lab / page)
    return lab


def test_the_study_removes_only_what_it_wrote(vaelab, folder, monkeypatch):
    from vaelab.studies import lab as room

    lab = study(folder)
    mine = [lab / "thesis.tex", lab / "runs" / "mine" / "x", lab / "figures" / "holiday.png"]
    mine += [lab / "runs" / FIRST / "notes.md", lab / "runs" / "earlier" / "notes.md"]
    for name in ("old", "earlier"):  # models of an earlier study
        shutil.copytree("run", lab / "runs" / name)
        (lab / "runs" / f"{name}.log").write_text("trained")
    (lab / "runs" / "elsewhere").symlink_to(folder / "run")
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("years of work")
    before = everything(lab)
    assert "device" in vaelab.refused("lab", "--out", lab, "--overwrite", "--device", "tpu9")
    assert "is not empty" in vaelab.refused("lab", "--out", lab)
    assert everything(lab) == before
    monkeypatch.setattr(room, "run_side_by_side", stopped)
    assert vaelab("lab", "--out", lab, "--overwrite").code == 130
    left = everything(lab)
    assert all(path.read_text() == "years of work" for path in mine)
    assert {path.name for path in set(left) - set(mine)} <= {"lock", "results.lock"}
    assert not (lab / "runs" / "old").exists()
    assert Run("run").settings.model == "gaussian-vae"  # where the link leads


def stopped(*_):
    raise KeyboardInterrupt


def test_a_directory_that_is_no_study_is_left_alone(vaelab, folder):
    lab = folder / "lab"
    for name in ("runs/mine/config.json", "figures/holiday.png"):
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_text("years of work")
    before = everything(lab)
    assert "not a study of vaelab; it is kept" in vaelab.refused("lab", "--out", lab, "--overwrite")
    assert everything(lab) == before


@pytest.mark.parametrize("page", ["report.html", "explorer.html", f"runs/{ON_ITS_OWN}/explorer.html"])
def test_a_study_that_goes_on_beside_a_page_of_the_users_is_refused_before_it_trains(page, vaelab, folder):
    mine = Path("lab", page)
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    assert "was not written by vaelab" in vaelab.refused("lab", "--out", "lab", "--resume")
    assert everything("lab") == {mine: b"years of work"}


@pytest.mark.parametrize("name", ["sweep.json", "sweep.csv", "sweep.png"])
def test_a_sweep_replaces_no_file_of_others(name, vaelab, folder):
    (folder / "s").mkdir()
    (folder / "s" / name).write_text("years of work")
    words = ("sweep", *TINY[:1], "latent_dim=[1,2]", *TINY[2:], "--data", "x.npy", "--out", "s")
    for flags in ((), ("--resume",)):
        vaelab.refused(*words, *flags)
    assert everything("s") == {Path("s") / name: b"years of work"}


def test_a_comparison_replaces_its_own_report_and_no_other(vaelab, folder):
    words = ("compare", "run", "--samples", 1, "--out", "c")
    assert vaelab(*words).code == 0
    assert is_ours(Path("c/report.html"))
    Path("c/thesis.tex").write_text("years of work")
    Path("c/figures/holiday.png").write_text("years of work")
    shutil.copy("c/figures/bounds.png", "c/figures/old.png")  # of an earlier comparison, with another section
    assert "is not empty (--overwrite replaces it)" in vaelab.refused(*words)
    assert vaelab(*words, "--overwrite").code == 0
    assert Path("c/thesis.tex").read_text() == Path("c/figures/holiday.png").read_text() == "years of work"
    assert not Path("c/figures/old.png").exists()
    Path("c/report.html").write_text("years of work")
    assert "was not written by vaelab" in vaelab.refused(*words, "--overwrite")
    assert Path("c/report.html").read_text() == "years of work"


def test_a_page_of_the_users_in_a_run_is_left_alone_and_costs_no_number(vaelab, folder):
    Path("run/report.html").write_text("years of work")
    result = vaelab("evaluate", "run", "--samples", 1)
    assert result.code == 0
    assert "elbo" in result.out
    assert "the report was not written: run/report.html: expected a file that vaelab wrote" in result.err
    assert Path("run/report.html").read_text() == "years of work"


# ---------------------------------------------------------------- files


WRITERS = {
    "sample": ("sample", "run", "-n", 4, "--out", "o.npz"),
    "sample a picture": ("sample", "run", "-n", 4, "--out", "o.png"),
    "reconstruct": ("reconstruct", "run", "-n", 4, "--out", "o.png"),
    "encode": ("encode", "run", "--out", "o.npz"),
    "gradients": ("gradients", "run", "--draws", 2, "--rows", 10, "--out", "o.png"),
}


@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS.keys())
def test_a_file_that_is_there_is_replaced_only_with_overwrite(words, vaelab, folder):
    out = Path(words[-1])
    out.write_text("years of work")
    assert f"{str(out)!r} exists already (--overwrite replaces it)" in vaelab.refused(*words)
    assert out.read_text() == "years of work"
    assert vaelab(*words, "--overwrite").code == 0
    assert out.read_bytes() != b"years of work"
    assert "exists already" in vaelab.refused(*words), "also where vaelab wrote it"


def test_tightness_keeps_to_the_same_rule(vaelab, folder):
    words = ("train", "sbn", "layers=[3]", *TINY[3:], "--data", "x.npy", "--out", "bits")
    assert vaelab(*words).code == 0
    words = ("tightness", "bits", "--rows", 10, "--steps", 2, "--samples", 2)
    Path("o.png").write_text("years of work")
    assert "exists already" in vaelab.refused(*words, "--out", "o.png")
    for _ in range(2):
        assert vaelab(*words).code == 0


def test_a_figure_in_the_run_is_replaced_if_vaelab_wrote_it(vaelab, folder):
    words, figure = ("sample", "run", "-n", 4), Path("run/figures/samples-draw.png")
    assert vaelab(*words).code == 0
    assert vaelab(*words, "--seed", 1).code == 0
    figure.write_text("years of work")
    assert "exists already" in vaelab.refused(*words)
    assert vaelab(*words, "--overwrite").code == 0


def test_a_link_is_replaced_only_when_asked_and_what_it_leads_to_never(vaelab, folder):
    Path("thesis.tex").write_text("years of work")
    Path("o.npz").symlink_to("thesis.tex")
    words = ("sample", "run", "-n", 4, "--out", "o.npz")
    assert "exists already" in vaelab.refused(*words)
    assert vaelab(*words, "--overwrite").code == 0
    assert Path("thesis.tex").read_text() == "years of work"
    Path("p.npz").symlink_to("nowhere")
    assert "exists already" in vaelab.refused("sample", "run", "-n", 4, "--out", "p.npz")


def linked(target):
    Path(target).symlink_to("d.npz")
    return target


def hard_linked(target):
    os.link("d.npz", target)
    return target


SPELLINGS = {
    "the same": lambda: "d.npz",
    "another spelling": lambda: "run/../d.npz",
    "absolute": lambda: os.path.abspath("d.npz"),
    "a link": lambda: linked("l.npz"),
    "a hard link": lambda: hard_linked("h.npz"),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_encode_never_replaces_what_it_reads(spelling, vaelab, folder):
    np.savez("d.npz", x=np.load("x.npy"))
    before, out = Path("d.npz").read_bytes(), spelling()
    for flags in ((), ("--overwrite",)):
        said = vaelab.refused("encode", "run", "--data", "d.npz", "--out", out, *flags)
        assert "the data that are read" in said
    assert Path("d.npz").read_bytes() == before


def test_nothing_is_written_among_the_shards_that_are_read(vaelab, folder):
    Path("shards").mkdir()
    np.savez("shards/1.npz", x=np.load("x.npy"))
    said = vaelab.refused("encode", "run", "--data", "shards", "--out", "shards/codes.npz")
    assert "the data that are read" in said
    assert os.listdir("shards") == ["1.npz"]


def test_the_data_of_a_run_are_never_replaced(vaelab, folder):
    np.savez("d.npz", x=np.load("x.npy"))
    assert vaelab("train", *TINY, "--data", "d.npz", "--out", "r").code == 0
    for words in (("sample", "r", "-n", 4), ("reconstruct", "r"), ("encode", "r")):
        assert "the data that are read" in vaelab.refused(*words, "--out", "d.npz", "--overwrite")


def test_a_figure_says_who_wrote_it(folder):
    figure = Figure()
    Path("own.png").write_bytes(plots.png(figure))
    figure.savefig("users.png", dpi=130)
    figure.savefig("plane.png", dpi=130, metadata={"Software": None})  # a name of vaelab's does not make it one
    shutil.copy("run/report.html", "own.html")
    Path("users.html").write_text("<html><body>written with vaelab</body></html>")
    os.mkfifo("pipe.png")
    expected = {"own.png": True, "own.html": True, "users.png": False, "plane.png": False, "users.html": False}
    assert {name: is_ours(Path(name)) for name in expected} == expected
    assert not is_ours(Path("pipe.png"))


def test_a_directory_is_no_target(vaelab, folder):
    Path("d.png").mkdir()
    assert "is a directory" in vaelab.refused("sample", "run", "--out", "d.png", "--overwrite")


def test_a_sealed_file_of_anything_is_no_run(vaelab, folder):
    Path("p").mkdir()
    Path("p/config.json").write_text(seal({"settings": {}, "data": {}, "versions": {}}))
    assert "not a run directory" in vaelab.refused(*train("--out", "p", "--overwrite"))

"""Odd settings and odd command lines: is each read, or refused in one sentence?

    python benchmarks/odd_settings.py [--settings 40000] [--lines 450] [--seed 0] [--out benchmarks/results]

Settings are words and texts of YAML, TOML and JSON files, made of the settings that there are, with keys and values
changed. A command line is one of every command on a small run, with words changed, left out or added; and every option
of every command is given eleven odd values. A training is stopped when everything that can be refused has been checked.
OUT/odd_settings.json counts the outcomes and holds every message that is not one sentence of a user's mistake.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import re
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import typer

import vaelab.training
from vaelab import cli
from vaelab.errors import InputError
from vaelab.models import MODELS
from vaelab.settings import parse_overrides, read_config, resolve, words

LONGEST = 20  # seconds of one command line
MEMORY = 12 * 2**30  # bytes of address space: what asks for more gets a MemoryError
VALUES = r"""
010 -07 1_0 0x10 0o17 0b1 0b_ 1:30 1e-3 1E5 1e400 -1e400 .inf -.inf .nan nan inf on off yes no y n true TRUE
null ~ = << -
--- ... ? : | > * *a &a ! !x !!int !!int,abc !!python/name:os.system % @ ` ' " '' "" [] {}
[[]] [ { ] } [1,2 [1,[2,[3]]] [null]
[true] [1e400] [-1] [0] {a:1} 2024-01-01 2024-13-45 12:30:45 -1 0 -0 -0.0 0.0 5. .5 1.5 1e-400
10000000000000 99999999999999999999999 1..5 log:1e-4..1e-2 5..1 relu elbo pathwise mnist auto cuda cpu é ± 漢
"""
ODD = [*VALUES.split(), "", " ", "\0", "\t", "\udcff", "!!int abc", "{a: 1}", "{1: 2}", "{name: 1}"]
ODD += ["a" * 9000, "9" * 300, "9" * 5000, "[" * 4000, "{" * 400, "[" * 30 + "]" * 30]
REAL = [word for model in MODELS for word in words(resolve(model), unset=True)]
KEYS = sorted(
    {word.partition("=")[0] for word in REAL} | {"training", "estimator", "objective", "estimator.temperature"}
)
FORMATS = {"yaml": ": ", "toml": " = ", "json": ": "}


class Checked(Exception):
    """Raised where a training would begin."""


class TooLong(BaseException):
    """A command line that runs for longer than LONGEST."""


def odd_word(chance: random.Random) -> str:
    """Return a setting that there is, with its key, its value or both changed."""
    key, _, value = chance.choice(REAL).partition("=")
    if chance.random() < 0.3:
        key = chance.choice(KEYS)
    if chance.random() < 0.2:
        at = chance.randrange(len(key) + 1)
        key = key[:at] + chance.choice(["", ".", "..", "\0", "é", "-", "A", " ", "=", "\udcff", "["]) + key[at + 1 :]
    if chance.random() < 0.8:
        value = chance.choice(ODD)
    if chance.random() < 0.1:
        value = chance.choice(ODD)[:20] + chance.choice(["", ",", " ", "\n", ": ", " #"]) + chance.choice(ODD)[:20]
    return f"{key}={value}"


def odd_file(chance: random.Random, folder: Path) -> Path:
    """Write a file of odd settings, now and then with a byte changed."""
    name, sign = chance.choice(list(FORMATS.items()))
    lines = [odd_word(chance).replace("=", sign, 1) for _ in range(chance.choice([1, 2, 4]))]
    text = "\n".join(lines)
    if name == "json":
        pairs = [word.partition(": ") for word in lines]
        text = "{" + ", ".join(f"{json.dumps(key)}: {value or 1}" for key, _, value in pairs) + "}"
    content = bytearray(text.encode("utf-8", "surrogateescape"))
    if content and chance.random() < 0.2:
        content[chance.randrange(len(content))] = chance.randrange(256)
    path = folder / f"odd.{name}"
    path.write_bytes(content)
    return path


def try_settings(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Resolve odd settings; count what is read, refused in one sentence, and neither."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    faults: list[str] = []
    slowest = 0.0
    for number in range(count):
        model = chance.choice(list(MODELS))
        said = [odd_word(chance) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        path = odd_file(chance, folder) if number % 3 == 0 else None
        started = time.perf_counter()
        try:
            resolve(model, read_config(path) if path else parse_overrides(said))
            counts["read"] += 1
        except InputError as refusal:
            one = "\n" not in str(refusal) and len(str(refusal)) < 1000
            counts["refused in one sentence" if one else "refused, not in one sentence"] += 1
            if not one:
                faults.append(f"{said}: {refusal}"[:2000])
        except Exception as error:
            counts[f"fault: {type(error).__name__}"] += 1
            faults.append(f"{path.read_bytes()[:200]!r}" if path else f"{said}"[:200] + f": {error!r}"[:500])
        slowest = max(slowest, time.perf_counter() - started)
    return {"count": count, "outcomes": dict(counts), "slowest_seconds": round(slowest, 3), "faults": faults[:50]}


def lines_of(chance: random.Random, folder: Path) -> list[str]:
    """Return a command line with words changed, left out or added."""
    run, data = str(folder / "run"), str(folder / "bits.npy")
    out = str(folder / "out" / str(chance.randrange(10**9)))
    small = ["--data", data, "--out", out, "training.steps=2"]
    known = [
        ["train", chance.choice(list(MODELS)), *small],
        ["train", chance.choice(list(MODELS)), *small, odd_word(chance), odd_word(chance)],
        ["sweep", "gaussian-vae", "latent_dim=[1,2]", "--data", data, "--out", out, odd_word(chance)],
        ["evaluate", run, "--samples", "2", "--no-report", "--split", "test"],
        ["sample", run, "-n", "3", "--kind", "mean", "--out", out + ".npz", "--seed", "1"],
        ["reconstruct", run, "-n", "3", "--out", out + ".npz"],
        ["encode", run, "--out", out + ".npz", "--data", data],
        ["compare", run, run, "--samples", "2"],
        ["gradients", run, "--draws", "2", "--rows", "2", "--samples", "2", "--estimator", "pathwise", "--out", out],
        ["tightness", run, "--rows", "2", "--steps", "2", "--samples", "2"],
        ["data", data, "--values", "bits", "--scale", "1", "--label-column", "x"],
        ["settings", "sbn"],
    ]
    line = chance.choice(known)
    for _ in range(chance.choice([0, 1, 1, 2])):
        at = chance.randrange(len(line))
        change = chance.random()
        if change < 0.6 and at > 0:
            line[at] = chance.choice(ODD)[:300]
        elif change < 0.75:
            del line[at]
        elif change < 0.9:
            line.insert(
                at, chance.choice(["--json", "--lr", "--epochs", "-x", "--", "--help", "--seed", chance.choice(ODD)])
            )
        else:
            line.insert(at, odd_word(chance))
        if not line:
            break
    return line


def outcome_of(line: list[str]) -> tuple[str, str]:
    """Run a command line in this process; return what became of it, and what it said."""

    def stop(number: int, frame: object) -> None:
        raise TooLong

    out, err = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch("sys.argv", ["vaelab", *line]),
        ):
            cli.main()
    except SystemExit as exit_:
        code = exit_.code
    except TooLong:
        return f"longer than {LONGEST} s", ""
    except BaseException as error:
        return f"fault: {type(error).__name__}", repr(error)
    finally:
        signal.alarm(0)
    said = [text for text in err.getvalue().strip().splitlines() if text.startswith("error: ")]
    if code == 0:
        return "done", ""
    if "Checked" in err.getvalue():
        return "accepted: the training would begin", ""
    if code == 2 and len(said) == 1:
        return "refused in one sentence", ""
    shows = "--debug shows where" in err.getvalue()
    return f"exit code {code}" + (" (--debug shows where)" if shows else ""), err.getvalue()[-600:]


def lines_of_options(folder: Path) -> Iterator[list[str]]:
    """Give a command line for every option of every command and every one of eleven odd values."""
    run, data = str(folder / "sbn"), str(folder / "bits.npy")
    needed = {
        "train": ["gaussian-vae", "--data", data],
        "sweep": ["gaussian-vae", "latent_dim=[1,2]", "--data", data],
        "evaluate": [run, "--no-report"],
        "gradients": [run, "--estimator", "exact"],
        "tightness": [run, "--rows", "10", "--steps", "2", "--samples", "2"],
        "data": [data],
        "lab": ["--quick"],
        "settings": ["sbn"],
    }
    values = ["0", "-1", "9" * 23, "10000000000000", "3000000000", "nan", "1e400", "", "é", "\udcff", "x" * 5000]
    number = 0
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            options = [option for option in parameter.opts if option.startswith("-")]
            if options and parameter.name not in ("help", "as_json", "out", "rank_timeout"):
                for value in values:
                    number += 1
                    out = (
                        ["--out", str(folder / f"{number}.npz")] if name in ("sample", "reconstruct", "encode") else []
                    )
                    yield [name, *needed.get(name, [run]), options[0], value, *out]


def try_lines(lines: Iterable[list[str]], folder: Path) -> dict[str, Any]:
    """Run odd command lines, none of which trains; count their outcomes."""
    counts: Counter[str] = Counter()
    faults: list[str] = []

    def checked(*given: Any, **more: Any) -> None:
        raise Checked("the training would begin")

    with (
        mock.patch.object(vaelab.training, "fit", checked),
        mock.patch("vaelab.studies.lab.run_lab", checked),
        mock.patch("vaelab.studies.sweep.run_sweep", checked),
    ):
        for line in lines:
            outcome, said = outcome_of(line)
            counts[outcome] += 1
            if said or outcome.startswith("longer"):
                shown = re.sub(re.escape(str(folder)), "FOLDER", f"{[word[:60] for word in line]}: {outcome}: {said}")
                faults.append(shown.encode("ascii", "backslashreplace").decode())
    return {"count": counts.total(), "outcomes": dict(counts), "faults": faults}


def small_runs(folder: Path) -> None:
    """Write data and two small runs."""
    np.save(folder / "bits.npy", np.random.default_rng(0).integers(0, 2, (80, 12)).astype(np.uint8))
    models = {"run": ["gaussian-vae", "latent_dim=2", "hidden_dims=[4]"], "sbn": ["sbn", "layers=[3]"]}
    for name, model in models.items():
        line = ["train", *model, "training.steps=5", "--data", str(folder / "bits.npy"), "--out", str(folder / name)]
        outcome = outcome_of(line)
        assert outcome[0] == "done", outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--settings", type=int, default=40_000)
    parser.add_argument("--lines", type=int, default=450)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small_runs(folder)
        chance = random.Random(options.seed)
        result: dict[str, Any] = {"command": "python benchmarks/odd_settings.py", "seed": options.seed}
        result["settings"] = try_settings(options.settings, options.seed, folder)
        result["command_lines"] = try_lines((lines_of(chance, folder) for _ in range(options.lines)), folder)
        result["options"] = try_lines(lines_of_options(folder), folder)
    print(json.dumps(result, indent=1))
    (options.out / "odd_settings.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""The peers' own environment: made on first use, with the same build of torch as this one."""

from __future__ import annotations

import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

__all__ = ["PEERS", "peers_python"]

BENCHMARKS = Path(__file__).parents[1]
PEERS = BENCHMARKS / ".peers"


def peers_python(folder: Path, requirements: str = "requirements.txt") -> Path:
    """Return the interpreter of the environment in ``folder``, made if it is not there or out of date.

    ``requirements`` is a file of ``peers``.

    torch is installed first and then held at this build: no other one, for another processor, is ever fetched.
    """
    python = (folder / "bin" / "python").absolute()
    listed = BENCHMARKS / "peers" / requirements
    torch = f"torch=={version('torch')}"
    wanted, done = f"{torch}\n{listed.read_text()}", folder / "installed.txt"
    if done.is_file() and done.read_text() == wanted:
        return python
    print(f"making the peers' environment in {folder}", file=sys.stderr)
    if not python.exists():
        venv.create(folder, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, torch], check=True)
    subprocess.run([*pip, torch, "-r", str(listed)], check=True)
    done.write_text(wanted)
    return python


if __name__ == "__main__":
    print(peers_python(Path(sys.argv[1]) if len(sys.argv) > 1 else PEERS))

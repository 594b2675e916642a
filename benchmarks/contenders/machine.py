"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["machine", "threads_in_words"]


def threads_in_words(threads: int) -> str:
    """Return ``1 thread``, ``2 threads`` and so on."""
    return f"{threads} thread{'s' * (threads > 1)}"


def machine() -> dict[str, str | int | float]:
    """Return processor, cores, what else was running, and the versions that matter."""
    import torch

    import vaelab

    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "load_average": round(os.getloadavg()[0], 2),  # of the minute before: a quiet machine is near nought
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "vaelab": vaelab.__version__,
    }

"""What the benchmarks of speed show, read off their results; the pages `speed.md` and `explorer.md` take it in.

`python docs/speed_table.py` prints it in a terminal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def _facts(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return f"`{found['command']}`; torch {machine['torch']}, {machine['processor']}, {machine['cores']} cores."


def throughput() -> str:
    """Return a table for each case: medians over the rounds, and ratios within the same round."""
    found = json.loads((RESULTS / "throughput.json").read_text())
    parts = [_facts(found) + " Medians over the rounds; each ratio is computed within a round."]
    for result in found["results"]:
        lines = [f"**{result['title']}**", ""]
        lines += ["| contender | ms per step | images/s | × its matrix products | × as fast as pythae |"]
        lines += ["|---|---|---|---|---|"]
        for row in result["rows"]:
            rival = f"{row['times_as_fast_as_pythae'][1]:.2f}" if "times_as_fast_as_pythae" in row else ""
            cells = [f"{row['milliseconds']:.2f}", f"{row['images_per_second']:,}", f"{row['times_the_floor'][1]:.2f}"]
            lines.append(f"| {row['contender']} | {' | '.join(cells)} | {rival} |")
        left = [f"{name} is left out: {reason}." for name, reason in result["left_out"].items()]
        parts.append("\n".join(lines) + ("\n\n" + " ".join(left) if left else ""))
    return "\n\n".join(parts)


def quality() -> str:
    """Return the seconds of training until a threshold, medians over seeds."""
    found = json.loads((RESULTS / "time_to_quality.json").read_text())
    lines = [f"{_facts(found)} {found['protocol']}.", ""]
    lines += ["| test ELBO | recipe | seconds: median [range] | × vaelab's | seeds that reached it | best ELBO |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in found["rows"]:
        reached = row["median_seconds"] is not None
        seconds = f"{row['median_seconds']:.1f} [{row['seconds'][0]:.1f}, {row['seconds'][-1]:.1f}]" if reached else ""
        if not reached:
            seconds = f"not within {row['whole_seconds']:.0f}"
        times = f"{row['times_vaelab']:.1f}" if row["times_vaelab"] else ""
        words = f"{row['recipe']}: {row['does']}"
        share = f"{row['reached']} of {row['seeds']}"
        lines.append(f"| {row['threshold']:g} | {words} | {seconds} | {times} | {share} | {row['best_elbo']:.2f} |")
    return "\n".join(lines)


def scaling() -> str:
    """Return what a second rank gives beside a second thread."""
    found = json.loads((RESULTS / "scaling.json").read_text())
    lines = [_facts(found) + " Medians over the rounds; each ratio is computed within a round.", ""]
    lines += ["| training | processes | images/s [range] | relative to 1 rank × 2 threads |", "|---|---|---|---|"]
    for name, rows in found["results"].items():
        for row in rows:
            low, high = row["range"]
            rate = f"{row['images_per_second']:,} [{low:,}, {high:,}]"
            lines.append(f"| {name} | {row['way']} | {rate} | {row['of_one_rank_with_two_threads']:.2f} |")
    return "\n".join(lines)


def explorer() -> str:
    """Return the size of the pages of the explorer, how fast they open, and the frames that their maps show."""
    found = json.loads((RESULTS / "explorer.json").read_text())
    lines = [
        f"{_facts(found)} {found['browser']} without a GPU, at most 60 frames a second. The load of the machine was "
    ]
    lines[0] += f"{found['machine']['load_average']:.1f} before the measurement; 0 is an idle one."
    lines += [
        "",
        "| page | MB | opens in | frames/s | 95 % of the frames | work in a frame |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["pages"]:
        cells = [row["page"], f"{row['bytes'] / 1e6:.1f}", f"{row['opens']:.2f} s", f"{row['frames_per_second']:.0f}"]
        cells += [f"{row['frame_95']:.0f} ms", f"{row['work']:.1f} ms"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(explorer())
    print(throughput())
    print(scaling())
    print(quality())

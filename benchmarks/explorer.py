"""The page of the explorer: its size, how fast it opens, and how many frames a second it shows while a map is walked.

    python benchmarks/explorer.py [--runs lab/runs] [--seconds 4] [--out benchmarks/results]

For each run of the study, and for the five that `vaelab lab` puts on one page: the size of the file; the time from the
request to the first view in the browser, and the part of it that unpacks the arrays; then the pointer moves over the
map, a step in each frame, and each step decodes a code. Given are the median of the frames a second, the time of a
frame that 95 % do not exceed, and the median of the work in a frame: the time from the first handler to the frame's
end. The browser is the one of the tests, chromium without a GPU, which shows at most 60 frames a second. Needs
`vaelab lab` and chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from contenders.machine import machine
from vaelab.data import load_data
from vaelab.explorer import Subject, write_explorer
from vaelab.report import ReportedRun
from vaelab.runs import Run
from vaelab.studies.lab import packaged_study

HERE = Path(__file__).parent
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TOGETHER = "the page of the study"
TURNS = 5  # how often a page is opened

# When the first view is on the page, in milliseconds since the request.
WATCH = """new MutationObserver((_, watching) => {
  if (!document.querySelector(".view > *")) return;
  watching.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.shownAfter = performance.now(); }));
}).observe(document, { childList: true, subtree: true });"""

SHOWN = """() => new Promise(done => {
  const look = () => (window.shownAfter ? done(window.shownAfter) : setTimeout(look, 20));
  look();
})"""

# The time of unpacking the arrays again, as the page does it.
UNPACK = """async () => {
  const packed = document.getElementById("tensors").textContent;
  const started = performance.now();
  const bytes = Uint8Array.from(atob(packed.trim()), sign => sign.charCodeAt(0));
  await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
  return performance.now() - started;
}"""

# Move over the map in a figure of eight, a step in each frame; return when each frame began and how long its work took.
WALK = """seconds => new Promise(done => {
  const canvas = [...document.querySelectorAll(".map-canvas")].pop();
  const box = canvas.getBoundingClientRect();
  const frames = [];
  const started = performance.now();
  const step = now => {
    const turn = (now - started) / 700;
    const clientX = box.left + box.width * (0.5 + 0.4 * Math.sin(turn));
    const clientY = box.top + box.height * (0.5 + 0.4 * Math.sin(2 * turn));
    const before = performance.now();
    canvas.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true, pointerType: "mouse" }));
    requestAnimationFrame(next);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => frames.push([now, performance.now() - before]);
    channel.port2.postMessage(null);
  };
  const next = now => (now - started < 1000 * seconds ? step(now) : done(frames));
  requestAnimationFrame(step);
})"""


def write_pages(runs: Path, folder: Path) -> list[dict[str, Any]]:
    """Write the page of each run, and of the five together; return what is known of each."""
    study = packaged_study(load_data("mnist").spec)[0]
    members = {name: ReportedRun(title, Run(runs / name)) for name, title in study.titles.items()}
    subjects = {name: Subject.of_run(member) for name, member in members.items()}
    pages = {title: [subjects[name]] for name, title in study.titles.items()}
    pages[TOGETHER] = [subjects[name] for name, entry in study.entries.items() if entry.together]
    for shown in pages.values():
        for subject in shown:
            subject.model, subject.data.split("test").observations()  # loaded before the time is taken
    rows = []
    for number, (title, shown) in enumerate(pages.items()):
        started = time.perf_counter()
        path = write_explorer(folder / f"{number}.html", shown)
        rows.append(
            {"page": title, "path": path, "bytes": path.stat().st_size, "written": time.perf_counter() - started}
        )
    return rows


def opened(browser: Browser, page: Path) -> tuple[float, float]:
    """Return the seconds until the first view is shown, and of unpacking the arrays; the median of some turns."""
    shown, unpacked = [], []
    for _ in range(TURNS):
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.add_init_script(WATCH)
        tab.goto(page.as_uri())
        shown.append(tab.evaluate(SHOWN) / 1000)
        unpacked.append(tab.evaluate(UNPACK) / 1000)
        tab.close()
    return float(np.median(shown)), float(np.median(unpacked))


def walked(browser: Browser, page: Path, seconds: float) -> dict[str, float]:
    """Return the frames a second, and the milliseconds of a frame and of its work, while the pointer is on the map."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(f"{page.as_uri()}#view=map")
    tab.wait_for_selector(".map-canvas")
    tab.evaluate(WALK, 1)
    frames = np.array(tab.evaluate(WALK, seconds))
    tab.close()
    between = np.diff(frames[:, 0])
    return {
        "frames": len(frames),
        "frames_per_second": float(1000 / np.median(between)),
        "frame_95": float(np.quantile(between, 0.95)),
        "work": float(np.median(frames[:, 1])),
    }


def words(row: dict[str, Any]) -> str:
    """Return the numbers of a page in one line."""
    opens = f"{row['bytes'] / 1e6:.2f} MB, opens in {row['opens']:.2f} s"
    return f"{row['page']}: {opens}, {row['frames_per_second']:.0f} frames/s, 95 % within {row['frame_95']:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("lab/runs"))
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    result: dict[str, Any] = {"command": "python benchmarks/explorer.py", "machine": machine()}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        rows = write_pages(options.runs, Path(folder))
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        for row in rows:
            page = row.pop("path")
            row["opens"], row["unpacked"] = opened(browser, page)
            row |= walked(browser, page, options.seconds)
            print(words(row), flush=True)
        result |= {"browser": f"chromium {browser.version}", "seconds": options.seconds, "pages": rows}
        browser.close()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "explorer.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

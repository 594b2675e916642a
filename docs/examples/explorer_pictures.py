"""Take the pictures of docs/explorer.md: `python docs/examples/explorer_pictures.py lab/runs`, after `make lab`."""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import vaelab

SIZE = (1280, 900)
WIDE = (1600, 1150)  # of a view that is a table at this width
COLOURS = 256  # of a picture, chosen so that both ends of a scale are among them
# picture -> the runs of its page, and what stands in the address after #
PICTURES = {
    "map": (["gaussian-2"], "view=map"),
    "bits": (["bernoulli-rebar"], "view=bits&bits.part=path&bits.a=3&bits.b=0"),
    "layers": (["sbn-200-200"], "view=layers&layers.part=fields"),
    "draw": (["gaussian-20"], "view=draw&draw.row=4"),
    "sample": (["bernoulli-rebar"], "view=sample"),
    "compare": (["gaussian-20", "bernoulli-rebar"], "view=compare"),
    "estimators": (["bernoulli-rebar"], "view=estimators"),
    "training": (["gaussian-20"], "view=training"),
}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("runs", type=Path, help="the directory of the study's runs")
    words.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "images")
    words.add_argument("--only", nargs="*", default=list(PICTURES))
    given = words.parse_args()
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name in given.only:
            runs, state = PICTURES[name]
            page = vaelab.explore([given.runs / run for run in runs]).save(Path(folder) / f"{name}.html")
            target = given.out / f"explorer-{name}.png"
            target.write_bytes(compressed(picture(browser, page, state, WIDE if name == "estimators" else SIZE)))
            print(f"{target}: {target.stat().st_size / 1000:.0f} kB")
        browser.close()


def picture(browser: Any, page: Path, state: str, size: tuple[int, int]) -> bytes:
    """Return a view as PNG, when what moves in it has come to rest."""
    tab = browser.new_page(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
    tab.goto(f"{page.as_uri()}#{state}&theme=light")
    tab.wait_for_timeout(2500)
    tab.get_by_text("being computed").wait_for(state="hidden", timeout=60_000)
    taken: bytes = tab.screenshot()
    tab.close()
    return taken


def compressed(taken: bytes) -> bytes:
    """Return a picture with few colours."""
    small = (
        Image.open(io.BytesIO(taken))
        .convert("RGB")
        .quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    written = io.BytesIO()
    small.save(written, "PNG", optimize=True)
    return written.getvalue()


if __name__ == "__main__":
    main()

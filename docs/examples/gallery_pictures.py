"""Take the pictures of docs/gallery.md: `python docs/examples/gallery_pictures.py` runs its code, a few minutes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

DOCS = Path(__file__).parents[1]
PICTURES = DOCS / "images" / "gallery"
COLOURS = 256  # of a picture


def main() -> None:
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.M | re.S))
    PICTURES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(code, "gallery.md", "exec", dont_inherit=True), {"__name__": "gallery"})
        for picture in sorted(Path().glob("*.png")):
            colours = Image.open(picture).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
            colours.save(PICTURES / picture.name, optimize=True)
            print(f"{picture.name}: {(PICTURES / picture.name).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

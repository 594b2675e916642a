"""The table of data formats in docs/quickstart.md, read off the code: `python docs/formats_table.py` prints it."""

from __future__ import annotations

from vaelab.data.formats.table import FORMATS
from vaelab.data.packing import PACKINGS

__all__ = ["markdown"]

ON_DISK = {"never": "in memory", "large": "on the disk above 1 GiB, in memory below", "always": "on the disk"}


def markdown() -> str:
    """Return a row for each format: its endings, what is read of it, and where its rows stay."""
    rows = ["| file | what is read | training rows stay |", "|---|---|---|"]
    for known in FORMATS:
        endings = ", ".join(f"`{ending}`" for ending in known.endings)
        packed = " *" if known.packs else ""
        rows.append(f"| {endings}{packed} | {known.holds} | {ON_DISK[known.on_disk]} |")
    shards = ", ".join(f"`{ending}`" for known in FORMATS if known.shards for ending in known.endings)
    rows.append(f"| a directory of {shards} | [shards](streaming.md) | on the disk |")
    packings = ", ".join(f"`{packing.ending}`" for packing in PACKINGS)
    rows += ["", f"\\* also packed, with {packings} behind the name (a zip archive has one file in it)"]
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())

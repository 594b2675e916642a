"""The table of data formats in docs/quickstart.md, read off the code: `python docs/formats_table.py` prints it."""

from __future__ import annotations

from vaelab.data.formats.table import FORMATS

__all__ = ["markdown"]

ON_DISK = {"never": "in memory", "large": "on the disk above 1 GiB, in memory below", "always": "on the disk"}


def markdown() -> str:
    """Return a row for each format: its endings, what is read of it, and where its rows stay."""
    rows = ["| file | what is read | training rows stay |", "|---|---|---|"]
    for known in FORMATS:
        endings = ", ".join(f"`{ending}`" for ending in known.endings)
        gzipped = " (or gzipped, with `.gz` behind it)" if known.gzipped else ""
        rows.append(f"| {endings}{gzipped} | {known.holds} | {ON_DISK[known.on_disk]} |")
    shards = ", ".join(f"`{ending}`" for known in FORMATS if known.shards for ending in known.endings)
    rows.append(f"| a directory of {shards} | [shards](streaming.md) | on the disk |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())

"""The Python blocks of the documentation run as they stand, each page in one namespace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    page.name: re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    for page in DOCS.glob("*.md")
}


@pytest.mark.parametrize("page", sorted(name for name, blocks in PAGES.items() if blocks))
def test_the_python_blocks_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page}
    for number, block in enumerate(PAGES[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec"), namespace)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_paths_named_on_a_page_exist(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for path in set(re.findall(r"\b(?:src|docs)/[\w/]+\.\w+", text)):
        assert (DOCS.parent / path).is_file(), f"{page} names {path}"

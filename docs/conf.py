"""Settings of the documentation. `make docs` builds it; warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from settings_table import markdown

import vaelab

project = "vaelab"
author = "the vaelab authors"
version = release = vaelab.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"vaelab {release}"

myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3
myst_substitutions = {"settings": markdown()}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

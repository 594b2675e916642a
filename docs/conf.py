"""Settings of the documentation. `make docs` builds it; warnings are errors."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import api_page
import estimators_table
import names_table
import protocol_table
from choosing_table import long_markdown as long_study
from choosing_table import markdown as study
from choosing_table import tables_markdown as study_of_tables
from diagnostics_table import markdown as diagnostics
from formats_table import markdown as formats
from likelihoods_table import markdown as likelihoods
from mathml import with_formulae
from reproduce_table import markdown as reproduced
from settings_table import markdown as settings
from speed_table import explorer, quality, scaling, throughput
from sphinx.application import Sphinx
from study_table import markdown as study_entry

import vaelab

for module in pkgutil.walk_packages(vaelab.__path__, "vaelab."):
    if not module.name.endswith("__main__"):  # now: under autodoc pydantic cannot make classes that keep further fields
        importlib.import_module(module.name)

project = "vaelab"
author = "the vaelab authors"
version = release = vaelab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml", "named_code"]
if not tags.has("check"):  # noqa: F821 (a name of Sphinx) - the source of every module as a page, which takes half of the time
    extensions.append("sphinx.ext.viewcode")
exclude_patterns = ["_build"]
html_theme = "furo"
html_css_files = ["notebooks.css"]
html_title = f"vaelab {release}"
html_show_search_summary = False  # a browser may not fetch the pages of a folder, so the search of one shows titles
toc_object_entries = False  # the contents beside a page list its sections: of the reference, not each of 1 800 objects

nb_execution_mode = "off"  # the outputs are in the notebooks: docs/tutorials/execute.py

myst_enable_extensions = ["substitution", "dollarmath"]
myst_update_mathjax = False  # formulae are MathML: docs/mathml.py
myst_heading_anchors = 3
myst_substitutions = {
    "settings": settings(),
    "study": study(),
    "long_study": long_study(),
    "study_of_tables": study_of_tables(),
    "formats": formats(),
    "likelihoods": likelihoods(),
}
myst_substitutions |= {
    "objectives": estimators_table.objectives(),
    "estimators": estimators_table.estimators(),
    "biases": estimators_table.biases(),
    "baselines": estimators_table.baselines(),
    "bounds": estimators_table.bounds(),
    "protocol": protocol_table.protocol(),
}
myst_substitutions |= {
    "models": names_table.models(),
    "commands": names_table.commands(),
    "api": api_page.markdown(),
    "front_door": ", ".join(f"`{name}`" for name in vaelab.__all__),
}
myst_substitutions |= {"throughput": throughput(), "quality": quality(), "scaling": scaling()}
myst_substitutions |= {"study_entry": study_entry(), "explorer": explorer(), "diagnostics": diagnostics()}
myst_substitutions |= {"reproduced": reproduced()}
myst_substitutions = {name: with_formulae(text) for name, text in myst_substitutions.items()}

default_role = "formula"  # what stands between single backticks in a docstring: docs/mathml.py
napoleon_use_ivar = True  # "Attributes:" of a docstring; the fields of a dataclass are listed once
autodoc_member_order = "bysource"
autodoc_typehints = "signature"


def skip_requests(app: object, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out the methods that scikit-learn adds for the routing of metadata: their texts refer to its own pages."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app: Sphinx) -> None:
    """Register what is left out."""
    app.connect("autodoc-skip-member", skip_requests)

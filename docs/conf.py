"""The site of the documentation: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``. Needs no network.

Tutorials are run when they are built. What they train lies in a stage cache below ``_build``, unless ``ADTOOLKIT_CACHE`` names another.
"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "_build"
sys.path.insert(0, str(HERE / "_ext"))

from adtool_site import sources_digest  # noqa: E402

import adtoolkit  # noqa: E402
from adtoolkit.data.fetch import UPSILON, downloads_folder  # noqa: E402

project = "adtoolkit"
author = "The adtoolkit developers"
project_copyright = author
version = release = adtoolkit.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "adtool_site"]
exclude_patterns = ["_build", "_ext"]
adtool_sources = sources_digest()

# Pages
html_theme = "furo"
html_title = "adtoolkit"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "tango", "monokai"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

smartquotes = False  # options begin with two hyphens

# Docstrings name other objects between single backticks.
default_role = "py:obj"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
napoleon_use_rtype = False

# Tutorials: run once for each state of the program, all with one stage cache.
nb_execution_mode = "cache"
nb_execution_cache_path = str(BUILD / "jupyter" / adtool_sources)
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_excludepatterns: list[str] = []
os.environ.setdefault("ADTOOLKIT_CACHE", str(BUILD / "adtoolkit-cache"))
os.environ |= {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "ADTOOLKIT_DOCS_EXAMPLES": str(HERE.parent / "examples"),
    "MPLBACKEND": "Agg",
    "COLUMNS": "100",
    "TTY_COMPATIBLE": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
#: The muon pairs of a tutorial, which is shown without output where they are not.
muons = (HERE.parents[1] / "shared" / "data" / "cms_ymumu_2011.csv", downloads_folder() / UPSILON.name)
if found := next((path for path in muons if path.exists()), None):
    os.environ.setdefault("ADTOOLKIT_DOCS_UPSILON", str(found))
if "ADTOOLKIT_DOCS_UPSILON" not in os.environ:
    nb_execution_excludepatterns.append("tutorials/your-data.md")
for other in (BUILD / "jupyter").glob("*"):
    if other.name != adtool_sources:
        shutil.rmtree(other)

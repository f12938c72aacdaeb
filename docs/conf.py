"""How Sphinx builds these pages: ``python -m sphinx -W docs docs/_build`` in a clone, with the extra `docs`.

What is built can be read without a network: pages load no font, script or style from elsewhere, formulas are MathML,
and addresses outside stand on one page.
"""

import sys
from pathlib import Path

import numkan

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "numkan"
author = "the numkan authors"
version = release = numkan.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "mathml"]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    # what docstrings send readers of the code to: modules, and names inside of modules that are not public
    ("py:mod", r"numkan\..+"),
    ("py:(func|class)", r"numkan\.[a-z_]+\.[a-z_]+\.\w+"),
    ("py:.*", r"scipy\..+"),  # its inventory would have to be fetched
]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "numkan"
html_math_renderer = "mathml"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["numkan.css"]

"""Sphinx: the pages are what `collect.py` put together, in Markdown; signatures and docstrings come from `autodoc`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "rhopot"
author = "the rhopot developers"
copyright = "the rhopot developers"  # Sphinx' name for it
release = version = installed("rhopot")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["examples/**/*.txt"]
nitpicky = False  # names of types in signatures are those of other packages, whose sites cannot be asked offline

myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # pages of folders may go from # to ###

toc_object_entries = False  # two thousand objects in the navigation of every page would help nobody
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_default_options = {"exclude-members": "model_config"}
napoleon_numpy_docstring = False

highlight_language = "text"  # of blocks that name none: equations, decks, commands

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_title = f"rhopot {release}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

"""How Sphinx builds the documentation: offline, with warnings as errors."""

from __future__ import annotations

from importlib.metadata import version as version_of

project = "infometis-sdk"
copyright = "The InfoMetis authors"
author = "The InfoMetis authors"
release = version = version_of("infometis-sdk")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Blocks are run where they are marked as doctests, not wherever a prompt appears.
doctest_test_doctest_blocks = ""

# The build is offline, so names of other projects (and short names that only type checkers
# resolve) have no target; full names of our own must have one.
nitpick_ignore_regex = [(r"py:.*", r"(?!infometis_).*")]

# Fields such as "type" and "object" exist in several values; a bare word in an annotation is a
# builtin then, and Sphinx only says that it cannot tell.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"infometis-sdk {release}"

"""Sphinx: the documentation site. ``python -m sphinx -W docs docs/_build``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import chainrule

project = "chainrule"
author = "the chainrule developers"
copyright = "the chainrule developers"
version = release = chainrule.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "tutorial_pictures",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery", "**/GALLERY_HEADER.rst", "Thumbs.db"]
nitpicky = False
suppress_warnings = [
    "config.cache",  # the gallery's scraper is a function, which cannot be pickled
    "ref.ref",  # scikit-learn's docstrings, inherited, refer to labels of its own documentation
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # numpydoc's sections say the types
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

#: pages that give their pictures all the room
WIDE = ("index", "tutorials/*", "subject_gallery/*")

html_theme = "pydata_sphinx_theme"
html_title = "chainrule"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_sidebars: dict[str, list[str]] = {page: [] for page in WIDE}
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": {page: ["page-toc"] for page in ("*", "api/*", "decisions/*")},
    "footer_start": ["copyright"],
    "footer_end": [],
    "logo": {"text": "chainrule"},
}

os.environ.setdefault("MPLBACKEND", "agg")


def scrape_figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figures that a block of an example made: ours are not pyplot's, they are among its variables."""
    from matplotlib.figure import Figure
    from sphinx_gallery.scrapers import figure_rst

    from chainrule.show.style import save

    seen: set[int] = block_vars.setdefault("seen_figures", set())
    made = []
    for value in list(block_vars["example_globals"].values()):
        if isinstance(value, Figure) and id(value) not in seen:
            seen.add(id(value))
            path = next(block_vars["image_path_iterator"])
            save(value, path)
            made.append(path)
    return figure_rst(made, gallery_conf["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["subject_gallery"],
    "filename_pattern": r"plot_",
    "image_scrapers": (scrape_figures,),
    "capture_repr": ("_repr_html_", "__str__"),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": True,
    "default_thumb_file": str(Path(__file__).parent / "images" / "graph-square.png"),
    "abort_on_example_error": False,
    "reset_modules": (),
    "within_subsection_order": "FileNameSortKey",
}

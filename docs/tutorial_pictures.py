"""Sphinx: tutorials run while they are read, and show what they made.

``:::{picture} figure`` shows a variable of the page: a figure, or a drawing as the page that one steps through
(``:step: 7`` opens it there). All fenced blocks of Python and of commands above it have run by then, in order.
"""

from __future__ import annotations

import contextlib
import html
import io
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import chainrule
from chainrule.cli import run
from chainrule.show.drawing import Drawing
from chainrule.show.style import save

BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: folder of the built site that pictures go to
PICTURES = "_pictures"
HEIGHT = 620


class Running:
    """A page that runs: its variables, in a folder of its own with the shipped table, and how far it has come."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "page"}
        self.line = 0
        self.folder = tempfile.TemporaryDirectory()
        shutil.copy(Path(chainrule.__file__).parent / "data" / "penguins.csv", self.folder.name)

    def to(self, line: int, source: Path) -> None:
        """Run all blocks that begin above a line and have not run yet."""
        text = source.read_text("utf-8")
        for found in BLOCK.finditer(text):
            start = text.count("\n", 0, found.start(2))
            if self.line <= start < line:
                with contextlib.chdir(self.folder.name), contextlib.redirect_stdout(io.StringIO()):
                    if found[1] == "python":
                        exec(compile("\n" * start + found[2], str(source), "exec"), self.names)
                    else:
                        for command in re.findall(r"^\$ chainrule (.*)$", found[2], re.MULTILINE):
                            run([*shlex.split(command)])
        self.line = line


class Picture(SphinxDirective):
    """Shows a variable of the page."""

    required_arguments = 1
    has_content = True
    option_spec = {"step": directives.nonnegative_int, "height": directives.positive_int}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        running = self.env.temp_data.setdefault("running", Running())
        running.to(self.lineno, Path(self.env.doc2path(self.env.docname)))
        value = running.names[self.arguments[0]]
        caption = " ".join(self.content)
        name = f"{self.env.docname.replace('/', '-')}-{self.arguments[0]}"
        folder = Path(self.env.app.outdir) / PICTURES
        folder.mkdir(parents=True, exist_ok=True)
        above = "../" * self.env.docname.count("/") + PICTURES
        if isinstance(value, Drawing):
            (folder / f"{name}.html").write_text(value.html, "utf-8")
            address = f"{above}/{name}.html" + (f"#step={self.options['step']}" if "step" in self.options else "")
            shown = (
                f'<iframe class="graph-page" src="{address}" title="{html.escape(caption)}" '
                f'style="height:{self.options.get("height", HEIGHT)}px"></iframe>'
            )
            caption_html = f'{html.escape(caption)} <a href="{address}">On a page of its own</a>'
        else:
            save(value, folder / f"{name}.svg")
            shown = f'<img src="{above}/{name}.svg" alt="{html.escape(caption)}">'
            caption_html = html.escape(caption)
        figure = f'<figure class="made">{shown}<figcaption>{caption_html}</figcaption></figure>'
        return [nodes.raw("", figure, format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    os.environ.setdefault("MPLBACKEND", "agg")
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

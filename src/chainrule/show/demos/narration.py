"""What a demo says: to the terminal as it happens, and onto a page."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.show.document import Document
from chainrule.show.drawing import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Narration:
    """Says everything twice: as lines of text, and on a page that has the figures too.

    Parameters
    ----------
    page : Document
    write : callable
        Takes a line for the terminal.
    seed : int
        Of everything random in the demo.
    graph_path : path, optional
        Where a demo's graph page goes; without, there is none.

    Attributes
    ----------
    graph_page : path or None
        Where it went.
    """

    def __init__(
        self,
        page: Document,
        write: Callable[[str], None] = print,
        seed: int = 0,
        graph_path: Path | None = None,
    ) -> None:
        self.page, self.seed = page, seed
        self._write, self._graph_path = write, graph_path
        self.graph_page: Path | None = None

    @property
    def rng(self) -> np.random.Generator:
        """A new generator of the demo's seed."""
        return np.random.default_rng(self.seed)

    def section(self, title: str) -> None:
        """Start a part."""
        self.page.section(title)
        self._write("")
        self._write(title)
        self._write("─" * len(title))

    def text(self, text: str) -> None:
        """A paragraph."""
        self.page.text(text)
        for line in textwrap.wrap(text.replace("`", ""), 96):
            self._write(line)

    def formula(self, mathml: str, text: str) -> None:
        """A formula, for the page and for the terminal."""
        self.page.formula(mathml)
        self._write(f"    {text}")

    def code(self, text: str) -> None:
        """Lines as they are."""
        self.page.code(text)
        for line in text.splitlines():
            self._write(f"    {line}")

    def table(self, rows: Sequence[Sequence[str]], caption: str = "") -> None:
        """A table, its first row the head."""
        self.page.table(rows, caption)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            first, *rest = (
                cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            self._write("    " + "  ".join([first, *rest]).rstrip())

    def graph(
        self,
        f: Callable[..., Any],
        *args: Any,
        title: str,
        names: Mapping[str, str],
        parameters: tuple[int, ...] = (0,),
    ) -> None:
        """The graph of a function on a page of its own, to step through; needs igraph.

        Parameters
        ----------
        f : callable
            It labels what it computes.
        *args
            Where.
        title : str
            Of the page.
        names : mapping of str to str
            What the names in the graph stand for.
        parameters : tuple of int
            Which arguments a gradient step changes.
        """
        if self._graph_path is None or find_spec("igraph") is None:
            return
        draw(f, *args, argnums=parameters, path=self._graph_path, title=title)
        self.page.table([["in the graph", "what it is"], *([name, meaning] for name, meaning in names.items())])
        self._write("In the graph:")
        for name, meaning in names.items():
            self._write(f"    {name.ljust(max(map(len, names)))}  {meaning}")
        self.page.link("Step through this graph, forward and backward", self._graph_path.name)
        self.graph_page = self._graph_path

    def figure(self, figure: Figure, caption: str) -> None:
        """A figure: on the page only."""
        self.page.figure(figure, caption)

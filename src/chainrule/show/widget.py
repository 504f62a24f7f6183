"""The graph page as a widget of a notebook (``pip install "chainrule[notebook]"``), which Python moves too.

It is the page that a file would hold, in a frame; the few lines of ``assets/widget.js`` carry messages between it and
the kernel.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anywidget
import numpy as np
import traitlets

from chainrule.errors import OptionError
from chainrule.graph.tree import flatten
from chainrule.show.story import Story


class GraphWidget(anywidget.AnyWidget):
    """A drawing that Python and the page move together. Made by `Drawing.widget`.

    Parameters
    ----------
    story : Story
    page : str
        The graph page of the story.
    height : int
        In pixels.

    Attributes
    ----------
    step : int
        Where the page stands, from 0; set it to go there.
    arguments : tuple
        What the page computes with now, nested as the drawn function takes it: changed there by sliders and gradient
        steps, set here to show another point.

    Examples
    --------
    >>> import chainrule as cr
    >>> widget = cr.draw(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0).widget()
    >>> widget.step = 7
    >>> widget.arguments = (1.0, 3.0)
    """

    _esm = (files("chainrule.show") / "assets" / "widget.js").read_text("utf-8")

    page = traitlets.Unicode(read_only=True).tag(sync=True)
    title = traitlets.Unicode(read_only=True).tag(sync=True)
    height = traitlets.Int(720).tag(sync=True)
    sizes: Any = traitlets.List(read_only=True).tag(sync=True)
    step = traitlets.Int(0, min=0).tag(sync=True)
    inputs = traitlets.Bytes().tag(sync=True, from_json=lambda value, _: bytes(value))  # a view, as it comes
    moved = traitlets.Bool(False).tag(sync=True)

    def __init__(self, story: Story, page: str, height: int = 720) -> None:
        super().__init__(height=height)
        self._story = story
        self.set_trait("page", page)
        self.set_trait("title", story.graph.name)
        self.set_trait("sizes", [[x.size, "u" if x.dtype == np.uint64 else "d"] for x in story.arguments])
        self.inputs = _pack(story.arguments)
        self.observe(self._move, "inputs")

    def _move(self, _: Any) -> None:
        self.moved = True

    @property
    def arguments(self) -> Any:
        """What the page computes with now, nested as the drawn function takes it."""
        leaves, start = [], 0
        for x in self._story.arguments:
            part = np.frombuffer(self.inputs, _wire(x), x.size, start)
            leaves.append(part.astype(x.dtype).reshape(x.shape))
            start += 8 * x.size
        return self._story.graph.input_tree.unflatten(leaves)

    @arguments.setter
    def arguments(self, arguments: Any) -> None:
        leaves, tree = flatten(tuple(arguments))
        before = self._story.arguments
        if tree != self._story.graph.input_tree or [np.shape(x) for x in leaves] != [x.shape for x in before]:
            shapes = ", ".join(str(x.shape) for x in before)
            raise OptionError(
                f"arguments are nested as {self._story.graph.input_tree} and of the shapes {shapes} that were drawn; "
                "draw anew for others"
            )
        self.inputs = _pack([np.asarray(x, y.dtype) for x, y in zip(leaves, before, strict=True)])


def _wire(x: np.ndarray) -> str:
    """How numbers travel: 64 bits each."""
    return "<u8" if x.dtype == np.uint64 else "<f8"


def _pack(arrays: Any) -> bytes:
    return b"".join(x.astype(_wire(x)).tobytes() for x in arrays)

"""``cr.draw``: the graph of a function, a network or a fitted model as a page, or as a picture for print."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.calculus.point import Argnums, positions
from chainrule.errors import GraphError, OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, scope
from chainrule.graph.tree import flatten
from chainrule.networks import Network, Pass
from chainrule.primitives import trace
from chainrule.show.page import Control, Show, page
from chainrule.show.story import Story, tell

if TYPE_CHECKING:
    from chainrule.models.model import Model
    from chainrule.show.widget import GraphWidget

#: inputs of at most so many elements get a slider each
SLIDERS = 6


@dataclass(frozen=True)
class Drawing:
    """A graph drawn at one point. In a notebook it shows itself.

    Parameters
    ----------
    story : Story
        Every number.
    html : str
        The page.
    path : Path or None
        Where it was written.
    """

    story: Story
    html: str
    path: Path | None = None

    def __repr__(self) -> str:
        where = f" in {self.path}" if self.path else ""
        return f"<Drawing of {self.story.graph.name}: {len(self.story.graph.nodes)} nodes{where}>"

    def _repr_html_(self) -> str:
        source = html.escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{source}" title="{html.escape(self.story.graph.name)}" '
            'style="width:100%;height:720px;border:1px solid #8884;border-radius:8px"></iframe>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """For notebooks: the widget where anywidget is installed, beside the page for whoever shows no widgets."""
        still = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if find_spec("anywidget") is None:
            return still
        data, metadata = self.widget()._repr_mimebundle_() or ({}, {})
        return {**data, **still}, metadata

    def widget(self, height: int = 720) -> GraphWidget:
        """The page as a live widget of a notebook: its step and its inputs can be read and set from Python.

        Parameters
        ----------
        height : int
            In pixels.

        Raises
        ------
        OptionError
            If anywidget is missing.
        """
        if find_spec("anywidget") is None:
            raise OptionError('a widget needs anywidget; install it with pip install "chainrule[notebook]"')
        from chainrule.show.widget import GraphWidget

        return GraphWidget(self.story, self.html, height)

    def save(self, path: str | os.PathLike[str]) -> Drawing:
        """Write the page.

        Raises
        ------
        OptionError
            If the file cannot be written.
        """
        return Drawing(self.story, self.html, _write(path, self.html))


def draw(
    f: Any,
    *args: Any,
    path: str | os.PathLike[str] | None = None,
    argnums: Argnums | None = None,
    learning_rate: float | None = None,
    title: str | None = None,
) -> Drawing:
    """Draw what a function, a graph or a fitted model computes, and how its derivative comes about.

    Parameters
    ----------
    f : callable, Graph, Network, Model or fitted estimator
        A function of plain NumPy, a graph, a network or a fitted model.
    *args
        Where. Of a function or graph its arguments, which may be nested. Of a network ``x`` or ``x, y``: rows, and the
        targets it is trained on; the cost is then the mean negative log-likelihood, and the parameters are those that
        training starts from. Of a model ``row`` or ``row, y``: a data frame of one
        row, or an array of shape (n_columns,); the cost is then the negative log-likelihood of that row, else the
        prediction.
    path : path, optional
        Write a page (``.html``), or a picture without numbers stepping by (``.svg``).
    argnums : int or sequence of int, optional
        Which arguments a gradient step changes; all by default.
    learning_rate : float, optional
        At first, the page can change it: 0.1, of a model 0.01.
    title : str, optional

    Returns
    -------
    Drawing

    Raises
    ------
    OptionError
        If an argument does not fit, the path is neither, the page would be larger than 500 kB, or igraph is missing.
    TraceError
        If the function does something that cannot be recorded.

    Examples
    --------
    >>> import chainrule as cr
    >>> drawing = cr.draw(lambda w, x: (w * x - 1.0) ** 2, 2.0, 3.0)
    >>> print(drawing.story.gradient(0))
    30.0
    """
    kind = None if path is None else Path(path).suffix.lower()
    if kind not in (None, ".html", ".htm", ".svg"):
        raise OptionError(f"{os.fspath(path or '')}: a graph is written as .html or .svg")
    if learning_rate is not None and not learning_rate > 0.0:
        raise OptionError(f"learning_rate must be positive, got {learning_rate}")
    if isinstance(f, Graph):
        story, show = _of_graph(f, args, argnums, title or f.name, learning_rate)
    elif isinstance(f, Network):
        story, show = _of_network(f, args, title, learning_rate)
    elif callable(f):
        graph = trace(f, *args)
        story, show = _of_graph(graph, args, argnums, title or graph.name, learning_rate)
    else:
        story, show = _of_model(f, args, title, learning_rate)
    if kind == ".svg":
        from chainrule.show.svg import svg

        count = range(len(story.graph.nodes))
        values, gradients = [story.value(i) for i in count], [story.gradient(i) for i in count]
        picture = svg(story.graph, values, gradients, title=show.title)
        return Drawing(story, page(story, show), _write(path, picture))
    drawing = Drawing(story, page(story, show))
    return drawing if path is None else drawing.save(path)


def _of_graph(
    graph: Graph, args: Sequence[Any], argnums: Argnums | None, title: str, learning_rate: float | None
) -> tuple[Story, Show]:
    leaves, tree = flatten(tuple(args))
    if tree != graph.input_tree:
        raise GraphError(f"{graph.name} takes arguments nested as {graph.input_tree}, got {tree}; give one value each")
    story = tell(graph, leaves)
    wanted = range(len(args)) if argnums is None else positions(argnums, len(args))
    counts = [child.n_leaves for child in graph.input_tree.children]
    starts = np.cumsum([0, *counts])
    chosen = [k for a in wanted for k in range(int(starts[a]), int(starts[a + 1]))]
    return story, Show(
        title=title,
        parameters=tuple(graph.inputs[k] for k in chosen),
        learning_rate=learning_rate or 0.1,
        controls=tuple(controls(story)),
    )


def _of_network(
    network: Network, args: Sequence[Any], title: str | None, learning_rate: float | None
) -> tuple[Story, Show]:
    """A network as it starts from seed 0: the mean cost of rows, or what it makes of them."""
    if not 1 <= len(args) <= 2:
        raise OptionError(f"draw(network, x) or draw(network, x, y) takes rows, got {len(args)} arguments")
    x = np.atleast_2d(np.asarray(args[0], np.float64))
    y = None if len(args) == 1 else np.asarray(args[1], np.float64).reshape(len(x), -1)
    n_targets = 1 if y is None else y.shape[1]
    theta = network.initial(x.shape[1], np.random.default_rng(0), n_targets=n_targets)
    parameters = network.layout(x.shape[1], n_targets).unflatten(theta)
    state = Pass(training=False, buffers=network.buffers(x.shape[1]))

    def raw(parameters: Any, x: Any) -> Any:
        return network.raw(parameters, x, state)

    def cost(parameters: Any, x: Any, y: Any) -> Any:
        values = raw(parameters, x)
        with scope("cost"):
            return label(np.mean(network.output.nll(values, y)), "cost")

    given = (parameters, x) if y is None else (parameters, x, y)
    graph = trace(raw, *given) if y is None else trace(cost, *given)
    return _of_graph(graph, given, 0, title or "network", learning_rate)


def controls(story: Story) -> list[Control]:
    """A slider for every element of the small floating-point inputs."""
    graph, made = story.graph, []
    for k, (position, value) in enumerate(zip(graph.inputs, story.arguments, strict=True)):
        if graph.nodes[position].type.is_float and 0 < value.size <= SLIDERS:
            name = graph.node_names[position]
            for element, (index, x) in enumerate(np.ndenumerate(value)):
                reach = max(2.0, 2.0 * abs(float(x))) if np.isfinite(x) else 2.0
                centre = float(x) if np.isfinite(x) else 0.0
                label = f"{name}[{','.join(map(str, index))}]" if index else name
                made.append(Control(label, k, element, centre - reach, centre + reach))
    return made


def _of_model(f: Any, args: Sequence[Any], title: str | None, learning_rate: float | None) -> tuple[Story, Show]:
    from chainrule.models.model import Model
    from chainrule.show.explain import explain

    if isinstance(f, Model):
        model = f
    else:
        from chainrule.estimators.base import FeedForwardEstimator

        if not isinstance(f, FeedForwardEstimator):
            raise OptionError(f"draw takes a function, a graph, a network or a fitted model, got {type(f).__name__}")
        if "model_" not in vars(f):
            raise OptionError(f"this {type(f).__name__} is not fitted; call fit first")
        model = f.model_
    if not 1 <= len(args) <= 2:
        raise OptionError(f"draw(model, row) or draw(model, row, y) takes one row, got {len(args)} arguments")
    row = args[0]
    if isinstance(row, (np.ndarray, list, tuple)):
        row = np.asarray(row, np.float64)
        row = row[None, :] if row.ndim == 1 else row
    columns = model.inputs.arrays(row)[0]
    if len(columns) != 1:
        raise OptionError(f"draw takes one row of a model, got {len(columns)}; pick one, such as X[16:17]")
    y = None if len(args) == 1 else _observed(model, args[1])
    return explain(model, columns[0], y, title=title, learning_rate=learning_rate or 0.01)


def _observed(model: Model, y: Any) -> np.ndarray:
    """What was observed, as the model's target has it: numbers, or codes of classes."""
    values = np.ravel(np.asarray(y, object))
    target = model.target
    if len(values) != len(target.names):
        raise OptionError(f"y has one value for each of {', '.join(target.names)}, got {len(values)}")
    codes = []
    for name, classes, value in zip(target.names, target.classes, values, strict=True):
        plain = value.item() if isinstance(value, np.generic) else value
        if classes and plain not in classes:
            raise OptionError(f"{name} is one of {', '.join(map(str, classes[:8]))}, got {plain!r}")
        codes.append(float(classes.index(plain)) if classes else float(plain))
    return np.array(codes)


def _write(path: Any, text: str) -> Path:
    where = Path(path)
    try:
        where.write_text(text, "utf-8")
    except OSError as error:
        raise OptionError(f"{where}: cannot be written ({error.strerror or error})") from None
    return where

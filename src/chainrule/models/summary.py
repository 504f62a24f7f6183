"""What a network consists of: layers, shapes, parameters, memory, operations and measured time, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import CompileError, OptionError
from chainrule.graph.graph import Graph
from chainrule.learn.blocks import BLOCK
from chainrule.learn.executors import native_runs
from chainrule.learn.optimizers import Adam
from chainrule.learn.step import training_step
from chainrule.models.model import Model, model_graph
from chainrule.networks import Network
from chainrule.outputs.base import Output

#: rows of a training step, and how often it and a block of predictions are run to measure their time
BATCH, REPEATS = 64, 30


@dataclass(frozen=True)
class Part:
    """A layer, or what else a step consists of.

    Parameters
    ----------
    name : str
        ``preprocessing``, ``layer1`` …, ``output``, ``cost``, ``update``.
    what : str
        What it computes.
    width : int
        Values per row that come out; 0 where there are none.
    parameters : int
    operations : int
        Arithmetic operations to predict one row; a transcendental function counts as one. -1 if unknown.
    predict, forward, backward : float
        Measured seconds: per row of a prediction, and per training step of `BATCH` rows, forward and backward.
        Not a number where nothing was measured.
    """

    name: str
    what: str
    width: int
    parameters: int
    operations: int
    predict: float
    forward: float
    backward: float


@dataclass(frozen=True)
class Summary:
    """All parts of a network, in the order in which a row passes through them.

    Parameters
    ----------
    title : str
    parts : tuple of Part
    n_networks : int
        Members of the ensemble; the parts are those of one.
    itemsize : int
        Bytes of a parameter.
    measured : bool
        Whether native code ran here, so that times and operations are known.
    """

    title: str
    parts: tuple[Part, ...]
    n_networks: int
    itemsize: int
    measured: bool

    @property
    def parameters(self) -> int:
        """Of one network."""
        return sum(p.parameters for p in self.parts)

    def __str__(self) -> str:
        total = self.parameters
        networks = f"{self.n_networks} networks of " if self.n_networks > 1 else ""
        size = _bytes(total * self.n_networks * self.itemsize)
        training = _bytes(4 * total * self.itemsize)  # θ, its gradient, and Adam's two averages
        lines = [self.title, f"{networks}{total} parameters, {size}; {training} while training one with Adam"]
        head = ["", "computes", "width", "parameters"]
        rows = [[p.name, p.what, str(p.width or ""), str(p.parameters or "")] for p in self.parts]
        if self.measured:
            head += ["operations", "predict ns", "forward µs", "backward µs"]
            for row, p in zip(rows, self.parts, strict=True):
                row += [str(p.operations) if p.operations >= 0 else "", *_times(p.predict, p.forward, p.backward)]
            sums = [np.nansum([getattr(p, k) for p in self.parts]) for k in ("predict", "forward", "backward")]
            operations = sum(max(p.operations, 0) for p in self.parts)
            rows.append(["total", "", "", str(total), str(operations), *_times(*map(float, sums))])
        lines += _aligned([head, *rows])
        if self.measured:
            lines.append(f"operations and predict are per row, forward and backward per training step of {BATCH} rows;")
            lines.append("measured in native code on one thread, what is fused counted where it ends")
        return "\n".join(lines)


def summary(
    subject: Network | Model, n_inputs: int | None = None, n_targets: int = 1, dtype: Any = np.float32
) -> Summary:
    """Layers, shapes, parameters, memory, operations and measured time of a network; ``print`` it to read it.

    Parameters
    ----------
    subject : Network or Model
        Of an estimator, ``estimator.model_``; of a model file, ``cr.load(path).model_``.
    n_inputs, n_targets : int
        Of a network that is not fitted yet.
    dtype : float32 or float64
        What that is to be trained in.

    Raises
    ------
    OptionError
        If it is something else, or the number of a network's inputs is missing.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.summary(cr.Network([64, 64], output=cr.Gaussian()), n_inputs=8).parameters
    4866
    """
    if isinstance(subject, Model):
        return summary_of_model(subject)
    if not isinstance(subject, Network):
        raise OptionError(f"summary takes a Network or a fitted estimator's model_, got {type(subject).__name__}")
    if n_inputs is None:
        raise OptionError("a network does not know its number of inputs; write cr.summary(network, n_inputs=8)")
    return summary_of_network(subject, n_inputs, n_targets, dtype)


def plain_output(output: Output) -> str:
    """An output as one writes it, what training added set apart: ``Gaussian(variance='network'), fitted 0.9427``."""
    fitted = ", ".join(f"{value:.4g}" for value in output.constants)
    return f"{output!r}, fitted {fitted}" if fitted else repr(output)


def summary_of_model(model: Model) -> Summary:
    """The summary of a fitted model, preprocessing included; a model with functions of one's own as one part."""
    n, member = len(model.target.names), model.members[0]
    columns, width = len(model.inputs.columns), model.inputs.n_features
    title = f"{_plural(columns, 'column')} to {', '.join(model.target.names)}: {plain_output(model.output)}"
    before = [("preprocessing", f"{_plural(columns, 'column')} to numbers", width, 0)]
    if model.network is None:
        own = ("network", "functions of one's own", model.output.n_raw(n), member.theta.size)
        parts: Sequence[tuple[str, str, int, int]] = [*before, own]
        graph = model.graph(BLOCK)
        return _summary(title, parts, graph, None, len(model.members), member.theta.itemsize)
    graph = model_graph(model.network, model.inputs, member, n, BLOCK)
    step = _step(model.network, width, n, member.theta.dtype)
    parts = [*before, *_parts(model.network, width, n)]
    return _summary(title, parts, graph, step, len(model.members), member.theta.itemsize)


def summary_of_network(network: Network, n_inputs: int, n_targets: int = 1, dtype: Any = np.float32) -> Summary:
    """The summary of a network that is not fitted yet, for so many inputs."""
    dtype = np.dtype(dtype)
    graph = network.trace(n_inputs, BLOCK, n_targets, dtype)
    title = f"{_plural(n_inputs, 'input')} to {_plural(n_targets, 'target')}: {network.output!r}"
    parts = _parts(network, n_inputs, n_targets)
    return _summary(title, parts, graph, _step(network, n_inputs, n_targets, dtype), 1, dtype.itemsize)


def _parts(network: Network, n_inputs: int, n_targets: int) -> list[tuple[str, str, int, int]]:
    pieces = network.layout(n_inputs, n_targets).pieces
    sizes: dict[str, int] = {}
    for piece in pieces:
        name = piece.name.partition(".")[0]
        sizes[name] = sizes.get(name, 0) + piece.size
    parts, width = [], n_inputs
    for k, layer in enumerate(network.layers, start=1):
        width = layer.width(width)
        parts.append((f"layer{k}", repr(layer), width, sizes.get(f"layer{k}", 0)))
    n_raw = network.output.n_raw(n_targets)
    return [*parts, ("output", "affine", n_raw, sizes["output"])]


def _step(network: Network, n_inputs: int, n_targets: int, dtype: np.dtype) -> Graph:
    return training_step(network, Adam(1e-3), n_inputs, n_targets, BATCH, dtype=dtype).graph


def _summary(
    title: str,
    described: Sequence[tuple[str, str, int, int]],
    graph: Graph,
    step: Graph | None,
    n_networks: int,
    itemsize: int,
) -> Summary:
    predict = _measure(graph)
    training = {} if step is None else _measure(step)
    measured = bool(predict)
    parts = []
    for name, what, width, parameters in described:
        operations, seconds = predict.get(name, (-1, float("nan")))
        forward = training.get(name, (0, float("nan")))[1]
        backward = training.get(f"gradient/{name}", (0, float("nan")))[1]
        own = round(operations / BLOCK) if operations >= 0 else -1
        parts.append(Part(name, what, width, parameters, own, seconds / BLOCK, forward, backward))
    if training:
        cost = training.get("cost", (0, 0.0))[1], training.get("gradient/cost", (0, 0.0))[1]
        parts.append(Part("cost", "negative log-likelihood", 0, 0, -1, float("nan"), *cost))
        known = {p.name for p in parts} | {f"gradient/{p.name}" for p in parts}
        rest = sum(seconds for scope, (_, seconds) in training.items() if scope not in known)
        parts.append(Part("update", "optimiser", 0, 0, -1, float("nan"), float("nan"), rest))
    return Summary(title, tuple(parts), n_networks, itemsize, measured)


def _measure(graph: Graph) -> dict[str, tuple[int, float]]:
    """Operations and seconds per run of each scope, in native code on one thread; nothing where that cannot run."""
    if not native_runs():
        return {}
    from chainrule.native.cache import shared_cache
    from chainrule.native.compile import compile_graph

    try:
        program = compile_graph(graph, cache=shared_cache(), measured=True)
    except CompileError:
        return {}
    rng = np.random.default_rng(0)
    types = [graph.nodes[i].type for i in graph.inputs]
    inputs = [np.asarray(rng.uniform(0.1, 1.0, t.shape)).astype(t.dtype) for t in types]
    with np.errstate(all="ignore"):
        for _ in range(REPEATS):
            program.run(*inputs)
    nodes = program.program.graph.nodes
    known = {node.scope for node in nodes if node.scope}
    found: dict[str, tuple[int, float]] = {}
    for step, report in zip(program.program.steps, program.report().steps, strict=True):
        name = nodes[step.node].scope or ("network" if not known else "other")
        operations, seconds = found.get(name, (0, 0.0))
        found[name] = operations + report.operations, seconds + report.seconds
    return found


def _times(predict: float, forward: float, backward: float) -> list[str]:
    """Nanoseconds per row, microseconds per step; nothing where nothing was spent or measured."""
    scaled = (1e9 * predict, 1e6 * forward, 1e6 * backward)
    return [f"{t:.{d}f}" if t > 0.0 else "" for t, d in zip(scaled, (1, 2, 2), strict=True)]


def _bytes(count: int) -> str:
    return f"{count} bytes" if count < 1000 else f"{count / 1e3:.4g} kB" if count < 1e6 else f"{count / 1e6:.4g} MB"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = 2  # names and words to the left, numbers to the right
    return [
        "  "
        + "  ".join(
            cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


__all__ = ["Part", "Summary", "summary", "summary_of_model", "summary_of_network"]

"""Where numbers left the finite range: the first node of a graph that is infinite or NaN, in words; and by name, the
numbers that leave it before there is any graph to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import first_non_finite, walk
from chainrule.learn.loop import NumpyEpoch
from chainrule.learn.rows import Rows
from chainrule.learn.step import TrainingStep

#: parts of a step that people know by other names
_NAMES = {
    "theta": "the parameters",
    "t": "the step counter",
    "x": "the inputs x",
    "y": "the target y",
    "weights": "the row weights",
    "optimizer.lr": "the learning rate",
}
#: what a hyper-parameter must not become, besides infinite
_NOT_ZERO = ("optimizer.lr", "optimizer.eps")


def first_fault(graph: Graph, inputs: Sequence[Any], names: Sequence[str] = ()) -> str | None:
    """Describe the first node that is not finite when the graph runs on a flat list of inputs; ``None`` if all are.

    Parameters
    ----------
    graph : Graph
    inputs : sequence of arrays
    names : sequence of str, optional
        What the inputs are called; by default as the graph does.
    """
    position = first_non_finite(graph, inputs)
    return None if position is None else describe(graph, position, names)


def describe(graph: Graph, position: int, names: Sequence[str] = ()) -> str:
    """A node in words: its name, or its operation and the next named value it leads to."""
    node = graph.nodes[position]
    if node.primitive.name == "input":
        return names[graph.inputs.index(position)] if names else f"the input {graph.node_names[position]}"
    if node.name:
        return f"'{node.name}' ({node.primitive.name})"
    reached = {position}
    for later in range(position + 1, len(graph.nodes)):
        following = graph.nodes[later]
        if reached.intersection(following.inputs):
            if following.name:
                return f"the operation {node.primitive.name} on the way to '{following.name}'"
            reached.add(later)
    return f"the operation {node.primitive.name}"


def explain_epoch(training: Any) -> str:
    """What became infinite in the epoch after a `Training`'s state: it is run again step by step."""
    order = training.order(training.epoch + 1)
    where = _fault(training.step, training.carry, training.hyper(), training.rows, order)
    where = where or "after the last batch"
    return (
        f"training diverged in epoch {training.epoch + 1}: values became infinite or NaN {where}; "
        "lower the learning rate, or look for extreme values in the data"
    )


def explain_validation(training: Any) -> str:
    """What became infinite in the validation loss of a `Training`'s present parameters."""
    rows, carry = training.validation, [training.theta, *training.buffers.values()]
    where = _fault(training.evaluation, carry, (), rows, np.arange(len(rows)))
    return (
        f"the validation loss became infinite or NaN in epoch {training.epoch + 1} {where or 'in its sum'}; "
        "lower the learning rate, or look for extreme values in the validation rows"
    )


def _fault(step: TrainingStep, carry: Sequence[Any], hyper: Sequence[Any], rows: Rows, order: np.ndarray) -> str | None:
    return first_fault_of_epoch(
        step.graph,
        (*step.carry, *step.hyper),
        len(step.hyper),
        step.batch_size,
        carry,
        hyper,
        (rows.x, rows.y, rows.w),
        order,
    )


def readable(part: str) -> str:
    """What a part of a step, such as ``optimizer.lr`` or ``state.first``, is in words."""
    if part in _NAMES:
        return _NAMES[part]
    kind, _, rest = part.partition(".")
    if kind == "state":
        return f"the optimizer's state '{rest}'"
    if kind == "buffer":
        return f"the running statistic '{rest}'"
    if kind == "optimizer":
        return f"the optimizer's {rest.removeprefix('lr.')}"
    return f"the {rest}" if kind == "layer" else part


def first_fault_of_epoch(
    graph: Graph,
    parts: Sequence[str],
    n_hyper: int,
    batch_size: int,
    carry: Sequence[Any],
    hyper: Sequence[Any],
    data: Sequence[np.ndarray],
    order: np.ndarray,
) -> str | None:
    """Run an epoch step by step with NumPy, to the first step whose results are not finite.

    Parameters
    ----------
    parts : sequence of str
        Names of the carry and the hyper-parameters, as `TrainingStep` has them.
    carry, hyper, data, order
        As an `EpochRunner` takes them.

    Returns
    -------
    str or None
        Batch, step since training began, node, and the row of the data (counted from 0) where one row alone is at
        fault.
    """
    names = [readable(p) for p in (*parts, "x", "y", "weights")]
    found: list[str] = []
    before = int(carry[parts.index("t")]) if "t" in parts else None

    def watch(batch: int, inputs: list[Any], outputs: list[Any]) -> None:
        if found or all(np.isfinite(np.asarray(v, np.float64)).all() for v in outputs):
            return
        rows = order[batch * batch_size : (batch + 1) * batch_size]
        at = first_fault(graph, inputs, names) or "the sums"
        row = _first_row(graph, inputs, len(rows), batch_size)
        step = "" if before is None else f" (step {before + batch + 1})"
        found.append(f"in batch {batch + 1}{step}, first at {at}" + ("" if row is None else f", row {rows[row]}"))

    runner = NumpyEpoch(graph, len(carry), n_hyper, batch_size, watch)
    with np.errstate(all="ignore"):
        runner(carry, hyper, data, order)
    return found[0] if found else None


def _first_row(graph: Graph, inputs: Sequence[Any], n_rows: int, batch_size: int) -> int | None:
    """The row of the batch that is not finite in the first node that is not; ``None`` if that is not one of rows."""
    with np.errstate(all="ignore"):
        for _, value in walk(graph, inputs):
            array = np.asarray(value)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                if array.shape[:1] != (batch_size,) or batch_size == 1:
                    return None
                at = np.flatnonzero(~np.isfinite(array.reshape(batch_size, -1)).all(axis=1))
                return int(at[0]) if at[0] < n_rows and len(at) < n_rows else None
    return None


def check_finite(hyper: Mapping[str, Any], dtype: Any) -> None:
    """Refuse hyper-parameters that are no longer numbers in the dtype of the training.

    Raises
    ------
    OptionError
        Naming the first of them.
    """
    for name, value in hyper.items():
        if name == "seed":
            continue
        with np.errstate(all="ignore"):
            inside = np.dtype(dtype).type(value)
        if not np.isfinite(inside):
            raise OptionError(f"{readable(name)} is {value:g}, which {dtype} cannot hold; give a smaller number")
        if name in _NOT_ZERO and value > 0 and inside == 0:
            raise OptionError(f"{readable(name)} is {value:g}, which is zero in {dtype}; give a larger number")

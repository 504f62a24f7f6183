"""The two traversals of a graph: back-propagation (reverse mode) and forward mode.

Both work on the recording itself: from the nodes between inputs and outputs they record the nodes of the derivative,
with each primitive's own rule. What comes out is part of the same graph, so it can be differentiated again, drawn,
checked and compiled like any other part.

Reverse mode (Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, §6.5): with the cotangent
``ḡ_v = ∂z/∂v`` of every node known for all its readers, ``ḡ_u = Σ_v (∂v/∂u)ᵀ ḡ_v`` over the readers ``v`` of ``u``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import DifferentiationError
from chainrule.graph.primitive import NoDerivative, Primitive
from chainrule.graph.trace import Recorder, Traced


def backward(recorder: Recorder, outputs: Sequence[Traced], seeds: Sequence[Any], wrt: Sequence[Traced]) -> list[Any]:
    """Back-propagate cotangents from outputs to the values ``wrt``.

    Parameters
    ----------
    recorder : Recorder
        The recording that holds all of them.
    outputs : sequence of Traced
    seeds : sequence
        The cotangent of each output, of its shape; ``None`` for zero.
    wrt : sequence of Traced

    Returns
    -------
    list
        The cotangent of each ``wrt``; ``None`` where no output depends on it.

    Raises
    ------
    DifferentiationError
        If the derivative of an operation on the way does not exist.
    """
    found = backward_all(recorder, outputs, seeds, wrt)
    return [found.get(x.index) for x in wrt]


def backward_all(
    recorder: Recorder, outputs: Sequence[Traced], seeds: Sequence[Any], wrt: Sequence[Traced]
) -> dict[int, Any]:
    """Like `backward`, but keep the cotangent of every node between: position -> cotangent."""
    nodes = recorder.nodes
    end = max((x.index for x in outputs), default=-1) + 1
    between = _descendants(recorder, {x.index for x in wrt}, end)
    targets = {x.index for x in wrt}
    cotangents: dict[int, Any] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        if seed is not None and output.index in between:
            _accumulate(cotangents, output.index, seed)
    for position in range(end - 1, -1, -1):
        if position not in between or position not in cotangents or position in targets:
            continue
        node = nodes[position]
        rule = _rule(node.primitive, node.primitive.reverse)
        inputs = [Traced(recorder, i) for i in node.inputs]
        for k, i in enumerate(node.inputs):
            if i in between and nodes[i].type.is_float:
                share = rule(k, cotangents[position], Traced(recorder, position), *inputs, **node.params)
                if share is not None:
                    _accumulate(cotangents, i, share)
    return cotangents


def forward(recorder: Recorder, wrt: Sequence[Traced], tangents: Sequence[Any], outputs: Sequence[Traced]) -> list[Any]:
    """Push tangents of the values ``wrt`` forward to the outputs; ``None`` where an output does not depend on them."""
    nodes = recorder.nodes
    end = max((x.index for x in outputs), default=-1) + 1
    between = _descendants(recorder, {x.index for x in wrt}, end)
    needed = _ancestors_within(nodes, [x.index for x in outputs], between)
    pushed: dict[int, Any] = dict(zip((x.index for x in wrt), tangents, strict=True))
    for position in range(end):
        if position not in needed or position in pushed:
            continue
        node = nodes[position]
        known = tuple(pushed.get(i) for i in node.inputs)
        if all(t is None for t in known) or not node.type.is_float:
            continue
        rule = _rule(node.primitive, node.primitive.forward)
        inputs = [Traced(recorder, i) for i in node.inputs]
        pushed[position] = rule(known, Traced(recorder, position), *inputs, **node.params)
    return [pushed.get(x.index) for x in outputs]


def _descendants(recorder: Recorder, start: set[int], end: int) -> set[int]:
    """Positions of the nodes before ``end`` that depend on one of ``start``, through floating-point values."""
    found = set(start)
    nodes = recorder.nodes
    for position in range(min(start, default=end) + 1, end):
        node = nodes[position]
        if node.type.is_float and any(i in found for i in node.inputs):
            found.add(position)
    return found


def _ancestors_within(nodes: Sequence[Any], positions: Sequence[int], within: set[int]) -> set[int]:
    seen: set[int] = set()
    stack = [p for p in positions if p in within]
    while stack:
        position = stack.pop()
        if position not in seen:
            seen.add(position)
            stack.extend(i for i in nodes[position].inputs if i in within)
    return seen


def _accumulate(cotangents: dict[int, Any], position: int, share: Any) -> None:
    before = cotangents.get(position)
    cotangents[position] = share if before is None else np.add(before, share)


def _rule(primitive: Primitive, rule: Any) -> Any:
    if isinstance(rule, NoDerivative):
        raise DifferentiationError(f"{primitive.name} has no derivative: {rule.reason}")
    return rule

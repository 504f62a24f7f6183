"""The two traversals of a graph: back-propagation (reverse mode) and forward mode.

Both work on the recording itself: for the nodes between inputs and outputs they record the nodes of the derivative,
with each primitive's own rule. What comes out is part of the same graph, so it can be differentiated again, drawn,
checked and compiled like any other part.

Reverse mode (Rumelhart, Hinton & Williams 1986; Goodfellow, Bengio & Courville 2016, §6.5): with the cotangent
``ḡ_v = (∂z/∂v)ᵀ`` of every node known for all its readers, ``ḡ_u = Σ_v (∂v/∂u)ᵀ ḡ_v`` over the readers ``v`` of ``u``.
Forward mode: ``ẏ = Σ_u ∂y/∂u u̇`` over the inputs ``u`` of ``y``.

The values ``wrt`` are variables: nothing is propagated through them to what they were computed from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import DifferentiationError
from chainrule.graph.graph import Node
from chainrule.graph.primitive import NoDerivative, Primitive
from chainrule.graph.trace import Recorder, Traced, join_scopes


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
    variables = {x.index for x in wrt}
    path = _between(nodes, variables, [x.index for x in outputs])
    reached = variables.union(path)
    cotangents: dict[int, Any] = {}
    outer = recorder.scope
    for output, seed in zip(outputs, seeds, strict=True):
        if seed is not None and output.index in reached:
            _accumulate(cotangents, output.index, seed)
    for position in reversed(path):
        cotangent = cotangents.get(position)
        if cotangent is None:
            continue
        node = nodes[position]
        recorder.scope = join_scopes("gradient", node.scope)
        rule = _rule(node.primitive, node.primitive.reverse)
        out, inputs = Traced(recorder, position), [Traced(recorder, i) for i in node.inputs]
        for k, i in enumerate(node.inputs):
            if i in reached:
                share = rule(k, cotangent, out, *inputs, **node.params)
                if share is not None:
                    _accumulate(cotangents, i, share)
    recorder.scope = outer
    return cotangents


def forward(recorder: Recorder, wrt: Sequence[Traced], tangents: Sequence[Any], outputs: Sequence[Traced]) -> list[Any]:
    """Push tangents of the values ``wrt`` forward to the outputs.

    Parameters
    ----------
    recorder : Recorder
    wrt : sequence of Traced
    tangents : sequence
        The tangent of each ``wrt``, of its shape; ``None`` for zero.
    outputs : sequence of Traced

    Returns
    -------
    list
        The tangent of each output; ``None`` where it is zero.

    Raises
    ------
    DifferentiationError
        If the derivative of an operation on the way does not exist.
    """
    nodes = recorder.nodes
    pushed: dict[int, Any] = dict(zip([x.index for x in wrt], tangents, strict=True))
    for position in _between(nodes, set(pushed), [x.index for x in outputs]):
        node = nodes[position]
        known = tuple([pushed.get(i) for i in node.inputs])
        if all(t is None for t in known):
            continue
        rule = _rule(node.primitive, node.primitive.forward)
        inputs = [Traced(recorder, i) for i in node.inputs]
        pushed[position] = rule(known, Traced(recorder, position), *inputs, **node.params)
    return [pushed.get(x.index) for x in outputs]


def _between(nodes: Sequence[Node], start: set[int], ends: Sequence[int]) -> list[int]:
    """Positions, rising, of the nodes that lead from one of ``start`` to one of ``ends`` by floating-point values.

    Only the ends' ancestors are looked at, and none before the first of ``start``: in a long recording, a derivative
    of a few of its nodes costs a few steps.
    """
    first = min(start, default=len(nodes))
    above: set[int] = set()
    stack = [i for i in ends if i >= first]
    while stack:
        position = stack.pop()
        if position not in above:
            above.add(position)
            if position not in start:
                stack.extend([i for i in nodes[position].inputs if i >= first])
    reached, path = set(start), []
    for position in sorted(above - start):
        node = nodes[position]
        if node.type.is_float and not reached.isdisjoint(node.inputs):
            reached.add(position)
            path.append(position)
    return path


def _accumulate(cotangents: dict[int, Any], position: int, share: Any) -> None:
    before = cotangents.get(position)
    cotangents[position] = share if before is None else np.add(before, share)


def _rule(primitive: Primitive, rule: Any) -> Any:
    if isinstance(rule, NoDerivative):
        raise DifferentiationError(f"{primitive.name} has no derivative: {rule.reason}")
    return rule

"""A function recorded at a point: what every derivative starts from.

If another transformation is recording already, the function is recorded into the same graph, and derivatives stay
traced; that is all there is to nesting. Otherwise they are handed out as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np

from chainrule.calculus import sweeps
from chainrule.errors import DifferentiationError, GraphError
from chainrule.graph.interpret import as_result
from chainrule.graph.trace import Recorder, Traced, apply, argument_names, as_recordable, called, inline
from chainrule.graph.tree import TreeShape, flatten
from chainrule.graph.types import ArrayType
from chainrule.primitives.conversion import IDENTITY, convert

Argnums = int | Sequence[int]


class Point:
    """A function recorded at given arguments: its variables, its outputs, and how both are nested.

    Parameters
    ----------
    recorder : Recorder
        The one that is active.
    f : callable
    args : tuple
    argnums : tuple of int
        Which arguments are variables; numbers and arrays of integers become floating-point ones there.
    kwargs : mapping, optional
        Passed on as they are.
    """

    def __init__(
        self,
        recorder: Recorder,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        argnums: tuple[int, ...],
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.recorder = recorder
        self.nested = recorder.nested
        leaves, self.arguments_tree = flatten(tuple([args[k] for k in argnums]))
        names = _names(f, args, argnums)
        self.variables = [self._variable(leaf, name) for leaf, name in zip(leaves, names, strict=True)]
        replaced = dict(zip(argnums, self.arguments_tree.unflatten(self.variables), strict=True))
        result = called(f, *[replaced.get(k, arg) for k, arg in enumerate(args)], **(kwargs or {}))
        outputs, self.output_tree = flatten(result)
        self.outputs = [recorder.lift(x) for x in outputs]
        self._lock = Lock()

    def _variable(self, leaf: Any, name: str) -> Traced:
        """A node of its own for an argument, so that only what is computed from *it* is differentiated."""
        if isinstance(leaf, Traced):
            if not leaf.type.is_float:
                raise DifferentiationError(
                    f"cannot differentiate with respect to {name}, which is {leaf.type}; use .astype(float)"
                )
            return apply(IDENTITY, self.recorder.lift(leaf))
        array = as_recordable(leaf, name)
        if array.dtype.kind != "f":
            array = array.astype(np.float64)
        if self.nested:
            return apply(IDENTITY, self.recorder.constant(array))
        return self.recorder.input(ArrayType.of(array), array, name)

    # -- sweeps

    def backward(self, seeds: Sequence[Any]) -> list[Any]:
        """Cotangents of all variables for cotangents of all outputs (``None`` for zero)."""
        found = sweeps.backward(self.recorder, self.outputs, seeds, self.variables)
        return self.concrete([self._or_zero(g, x) for g, x in zip(found, self.variables, strict=True)])

    def forward(self, seeds: Sequence[Any]) -> list[Any]:
        """Tangents of all outputs for tangents of all variables (``None`` for zero)."""
        found = sweeps.forward(self.recorder, self.variables, seeds, self.outputs)
        return self.concrete([self._or_zero(t, y) for t, y in zip(found, self.outputs, strict=True)])

    def gradient(self) -> tuple[Any, list[Any]]:
        """The value and its gradient by every variable.

        Raises
        ------
        DifferentiationError
            If the function returns anything but one floating-point number.
        """
        if len(self.outputs) != 1 or self.outputs[0].size != 1:
            shapes = ", ".join(f"shape {x.shape}" for x in self.outputs) or "nothing"
            raise DifferentiationError(
                f"grad needs a function that returns one number, this one returns {shapes}; "
                "sum it, or use cr.jacobian or cr.vjp"
            )
        (value,) = self.outputs
        if not value.type.is_float:
            raise DifferentiationError(
                f"grad needs a floating-point result, this function returns {value.dtype}; use .astype(float)"
            )
        grads = self.backward([self.recorder.constant(np.ones(value.shape, value.dtype))])
        return self.concrete([value])[0], grads

    def seed(self, value: Any, target: Traced, what: str) -> Any:
        """A (co)tangent as a traced value of its target's type."""
        shape = np.shape(value)
        if shape != target.shape:
            raise GraphError(f"the {what} has shape {shape}, but the value it belongs to has shape {target.shape}")
        return convert(value if isinstance(value, Traced) else self.recorder.lift(np.asarray(value)), target.dtype)

    def _or_zero(self, value: Any, target: Traced) -> Traced:
        return self.recorder.lift(np.zeros(target.shape, target.dtype) if value is None else value)

    def concrete(self, values: Sequence[Any]) -> list[Any]:
        """Arrays and numbers, unless this happens inside another transformation."""
        return list(values) if self.nested else [as_result(v.value) for v in values]

    # -- coming back later

    @contextmanager
    def revisited(self) -> Iterator[None]:
        """Record more, in another sweep over the same point, and forget it at the end unless it is part of a graph.

        The recording may have ended, and several threads may come back at once.
        """
        if self.nested:
            yield
            return
        with self._lock:
            length, was_open = len(self.recorder.nodes), self.recorder.open
            self.recorder.open = True
            try:
                yield
            finally:
                self.recorder.open = was_open
                del self.recorder.nodes[length:], self.recorder.values[length:]

    def replay(self, *args: Any) -> Any:
        """What the function computed, recorded again from the graph, on arguments of which at least one is traced."""
        leaves, _ = flatten(args)
        graph = self.recorder.graph(self.variables, self.outputs, self.arguments_tree, self.output_tree)
        return self.output_tree.unflatten(inline(graph, *leaves))


def positions(argnums: Argnums, n_args: int) -> tuple[int, ...]:
    """``argnums`` as positions from the front.

    Raises
    ------
    DifferentiationError
        If one of them does not exist, or comes twice.
    """
    given = tuple(argnums) if isinstance(argnums, (tuple, list)) else (argnums,)
    for k in given:
        if not isinstance(k, (int, np.integer)) or not -n_args <= k < n_args:
            raise DifferentiationError(
                f"argnums={argnums!r} does not fit: the function was called with {n_args} positional arguments"
            )
    found = tuple([int(k) % n_args for k in given])
    if len(set(found)) < len(found):
        raise DifferentiationError(f"argnums={argnums!r} names an argument twice")
    return found


def _names(f: Callable[..., Any], args: tuple[Any, ...], argnums: tuple[int, ...]) -> list[str]:
    """Readable names of the leaves of the chosen arguments."""
    _, tree = flatten(args)
    names = iter(argument_names(f, tree))
    by_argument = [[next(names) for _ in range(child.n_leaves)] for child in tree.children]
    return [name for k in argnums for name in by_argument[k]]


def nest_like(argnums: Argnums, tree: TreeShape, leaves: Sequence[Any]) -> Any:
    """Results by variable, nested like the arguments: a tuple for a sequence of ``argnums``, else the only one."""
    nested = tree.unflatten(leaves)
    return nested if isinstance(argnums, (tuple, list)) else nested[0]

"""Derivatives of plain NumPy functions: gradient, products with the Jacobian from both sides, Jacobian, Hessian.

Every one is a function transformation that nests with every other, and with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.calculus import sweeps
from chainrule.errors import DifferentiationError, GraphError, TraceError
from chainrule.graph.trace import Recorder, Traced, apply, argument_names, as_recordable, inline, recording
from chainrule.graph.tree import TreeShape, flatten, tree_map
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import IDENTITY, convert

Argnums = int | Sequence[int]


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback, the vector-Jacobian product ``ȳ ↦ (∂y/∂x)ᵀ ȳ``.

    Parameters
    ----------
    f : callable
        Of arrays in nested containers; returns arrays in nested containers.
    *args
        Where to evaluate.

    Returns
    -------
    value
    pullback : callable
        Takes a cotangent nested like the value, returns a tuple of cotangents nested like ``args``.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> value, pullback = cr.vjp(np.sin, 0.0)
    >>> float(pullback(1.0)[0])
    1.0
    """
    with recording() as recorder:
        point = _Point(recorder, f, args, tuple(range(len(args))))
        value = point.concrete(point.outputs)
        result = point.output_tree.unflatten(value)

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        leaves, tree = flatten(cotangent)
        if tree != point.output_tree:
            raise TraceError(f"the cotangent is nested as {tree}, the value as {point.output_tree}")
        elsewhere = next((x.recorder for x in leaves if isinstance(x, Traced) and x.recorder is not recorder), None)
        if elsewhere is not None:  # the pullback itself is being traced: record f there and go backward there
            return vjp(point.replay, *args)[1](cotangent)
        with _reopened(recorder):
            seeds = [_like(recorder, seed, out, "cotangent") for seed, out in zip(leaves, point.outputs, strict=True)]
            grads = point.backward(seeds)
            return point.arguments_tree.unflatten(point.concrete(grads))

    return result, pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its directional derivative, the Jacobian-vector product ``ẋ ↦ ∂y/∂x ẋ``, in forward mode.

    Parameters
    ----------
    f : callable
    primals, tangents : sequence
        Arguments and their tangents, nested alike.

    Returns
    -------
    value, tangent
        Both nested as f returns them.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TraceError("jvp(f, primals, tangents) takes a tuple of arguments and a tuple of tangents")
    with recording() as recorder:
        point = _Point(recorder, f, tuple(primals), tuple(range(len(primals))))
        leaves, tree = flatten(tuple(tangents))
        if tree != point.arguments_tree:
            raise TraceError(f"tangents are nested as {tree}, the primals as {point.arguments_tree}")
        seeds = [_like(recorder, t, x, "tangent") for t, x in zip(leaves, point.variables, strict=True)]
        pushed = sweeps.forward(recorder, point.variables, seeds, point.outputs)
        zeros = [_or_zero(recorder, t, out) for t, out in zip(pushed, point.outputs, strict=True)]
        unflatten = point.output_tree.unflatten
        return unflatten(point.concrete(point.outputs)), unflatten(point.concrete(zeros))


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., tuple[Any, Any]]:
    """Make the function that returns f's value and its gradient, in one pass forward and one backward.

    Parameters
    ----------
    f : callable
        Returns one number (a scalar, or an array of one element).
    argnums : int or sequence of int
        With respect to which positional arguments; each may be a nested container.

    Returns
    -------
    callable
        ``(value, gradient)``, the gradient nested like the argument (a tuple of them for several ``argnums``).

    Raises
    ------
    DifferentiationError
        If f returns something else than one number, or uses an operation without derivative.
    """

    @wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        with recording() as recorder:
            point = _Point(recorder, f, args, _positions(argnums, len(args)), kwargs)
            value, grads = point.scalar_gradient()
            result = point.concrete([value])[0]
            gradient = point.arguments_tree.unflatten(point.concrete(grads))
        return result, gradient if isinstance(argnums, (tuple, list)) else gradient[0]

    return value_and_gradient


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Make the gradient function of f.

    Parameters
    ----------
    f : callable
        Returns one number.
    argnums : int or sequence of int

    Returns
    -------
    callable
        Takes f's arguments, returns the gradient nested like the argument it is taken by.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> float(cr.grad(np.tanh)(0.0))
    1.0
    >>> float(cr.grad(cr.grad(lambda x: x**3))(2.0))
    12.0
    """
    both = value_and_grad(f, argnums)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return gradient


def jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Make the Jacobian function of f.

    Parameters
    ----------
    f : callable
    argnums : int or sequence of int

    Returns
    -------
    callable
        For one output array of shape ``o`` and one argument of shape ``i`` the array ``∂y/∂x`` of shape ``o + i``;
        outputs and arguments in containers give containers of such arrays, outputs outside, arguments inside.
        Columns are computed in forward mode, or rows in reverse mode, whichever are fewer.
    """

    @wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        with recording() as recorder:
            point = _Point(recorder, f, args, _positions(argnums, len(args)), kwargs)
            blocks = _jacobian_blocks(recorder, point)
            rows = []
            for row in blocks:
                nested = point.arguments_tree.unflatten(point.concrete(row))
                rows.append(nested if isinstance(argnums, (tuple, list)) else nested[0])
            return point.output_tree.unflatten(rows)

    return jacobian_of


def hessian(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """Make the Hessian function of f, which returns one number: forward over reverse.

    For an argument of shape ``i`` the result has shape ``i + i``; containers give containers of containers.
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """Hessian-vector product ``∇²f(x) v``, without forming the Hessian (Pearlmutter 1994): forward over reverse.

    Parameters
    ----------
    f : callable
        Of one argument (which may be nested); returns one number.
    x, v
        Point and direction, nested alike.
    """
    return jvp(grad(f), (x,), (v,))[1]


# -- how they work


class _Point:
    """f recorded at given arguments: its variables, its outputs, and how both are nested."""

    def __init__(
        self,
        recorder: Recorder,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        argnums: tuple[int, ...],
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.recorder = recorder
        chosen = tuple(args[k] for k in argnums)
        leaves, self.arguments_tree = flatten(chosen)
        self.nested = recorder.nested
        _, whole_tree = flatten(args)
        names = _names_of(f, args, argnums, whole_tree)
        self.variables = [_variable(recorder, leaf, name) for leaf, name in zip(leaves, names, strict=True)]
        replaced = dict(zip(argnums, self.arguments_tree.unflatten(self.variables), strict=True))
        result = f(*(replaced.get(k, arg) for k, arg in enumerate(args)), **(kwargs or {}))
        outputs, self.output_tree = flatten(result)
        self.outputs = [recorder.lift(x) for x in outputs]

    def replay(self, *args: Any) -> Any:
        """What f computed, recorded again from the graph."""
        leaves, _ = flatten(args)
        graph = self.recorder.graph(self.variables, self.outputs, self.arguments_tree, self.output_tree)
        return self.output_tree.unflatten(inline(graph, *leaves))

    def concrete(self, values: Sequence[Any]) -> list[Any]:
        """Arrays, unless this happens inside another trace."""
        if self.nested:
            return list(values)
        return [np.array(v.value) if isinstance(v, Traced) else v for v in values]

    def backward(self, seeds: Sequence[Any]) -> list[Any]:
        grads = sweeps.backward(self.recorder, self.outputs, seeds, self.variables)
        return [_or_zero(self.recorder, g, x) for g, x in zip(grads, self.variables, strict=True)]

    def scalar_gradient(self) -> tuple[Traced, list[Any]]:
        if len(self.outputs) != 1 or self.outputs[0].size != 1:
            shapes = ", ".join(str(x.shape) for x in self.outputs) or "nothing"
            raise DifferentiationError(
                f"grad needs a function that returns one number, this one returns shape {shapes}; "
                "sum it, or use cr.jacobian or cr.vjp"
            )
        value = self.outputs[0]
        if not value.type.is_float:
            raise DifferentiationError(f"grad needs a floating-point result, this function returns {value.dtype}")
        seed = self.recorder.constant(np.ones(value.shape, value.dtype))
        return value, self.backward([seed])


def _names_of(f: Any, args: tuple[Any, ...], argnums: tuple[int, ...], tree: TreeShape) -> list[str]:
    names = argument_names(f, tree)
    result: list[str] = []
    start = 0
    spans = []
    for child in tree.children:
        spans.append((start, start + child.n_leaves))
        start += child.n_leaves
    for k in argnums:
        result += names[slice(*spans[k])]
    return result


def _variable(recorder: Recorder, leaf: Any, name: str) -> Traced:
    """A node of its own for an argument, so that only what is computed from *it* is differentiated."""
    if isinstance(leaf, Traced):
        if not leaf.type.is_float:
            raise DifferentiationError(f"cannot differentiate with respect to {name}, which is {leaf.type}")
        return apply(IDENTITY, recorder.lift(leaf))
    array = as_recordable(leaf, name)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if recorder.nested:
        return apply(IDENTITY, recorder.constant(array))
    return recorder.input(ArrayType.of(array), array, name)


def _positions(argnums: Argnums, n_args: int) -> tuple[int, ...]:
    positions = tuple(argnums) if isinstance(argnums, (tuple, list)) else (argnums,)
    for k in positions:
        if not isinstance(k, (int, np.integer)) or not -n_args <= k < n_args:
            raise DifferentiationError(f"argnums={argnums}: the function was called with {n_args} positional arguments")
    return tuple(int(k) % n_args for k in positions)


def _like(recorder: Recorder, value: Any, target: Traced, what: str) -> Any:
    """A (co)tangent as a traced value of its target's type."""
    shape = np.shape(value)
    if shape != target.shape:
        raise GraphError(f"the {what} has shape {shape}, but the value it belongs to has shape {target.shape}")
    return convert(value if isinstance(value, Traced) else recorder.lift(np.asarray(value)), target.dtype)


def _or_zero(recorder: Recorder, value: Any, target: Traced) -> Traced:
    return recorder.constant(np.zeros(target.shape, target.dtype)) if value is None else recorder.lift(value)


def _jacobian_blocks(recorder: Recorder, point: _Point) -> list[list[Any]]:
    """Row of blocks per output, a block per variable."""
    n_rows = sum(y.size for y in point.outputs)
    n_columns = sum(x.size for x in point.variables)
    blocks = []
    if n_columns < n_rows or not n_rows:
        columns: list[list[Any]] = []  # per variable, per element: tangents of all outputs
        for k, x in enumerate(point.variables):
            for unit in _units(x):
                tangents = [unit if j == k else None for j in range(len(point.variables))]
                seeds = [None if t is None else recorder.constant(t) for t in tangents]
                pushed = sweeps.forward(recorder, point.variables, seeds, point.outputs)
                columns.append([_or_zero(recorder, t, y) for t, y in zip(pushed, point.outputs, strict=True)])
        for j, y in enumerate(point.outputs):
            row, start = [], 0
            for x in point.variables:
                each = [column[j] for column in columns[start : start + x.size]]
                start += x.size
                row.append(_assemble(recorder, each, y.shape, x.shape, y.dtype, last=True))
            blocks.append(row)
        return blocks
    for k, y in enumerate(point.outputs):
        rows = []
        for unit in _units(y):
            seeds = [recorder.constant(unit) if j == k else None for j in range(len(point.outputs))]
            rows.append(point.backward(seeds))
        blocks.append(
            [
                _assemble(recorder, [row[j] for row in rows], y.shape, x.shape, x.dtype, last=False)
                for j, x in enumerate(point.variables)
            ]
        )
    return blocks


def _units(x: Traced) -> list[np.ndarray]:
    return [row.reshape(x.shape) for row in np.eye(x.size, dtype=x.dtype)]


def _assemble(
    recorder: Recorder, parts: list[Any], out: tuple[int, ...], into: tuple[int, ...], dtype: Any, last: bool
) -> Any:
    if not parts:
        return recorder.constant(np.zeros(out + into, dtype))
    stacked = np.stack(parts, axis=-1 if last else 0)
    return np.reshape(stacked, out + into)


class _reopened:
    """Record again into a recording whose ``with`` block has ended: a pullback may be called later."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __enter__(self) -> None:
        self.was_open = self.recorder.open
        self.recorder.open = True

    def __exit__(self, *error: object) -> None:
        self.recorder.open = self.was_open


__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "tree_map", "value_and_grad", "vjp"]

"""Derivatives of plain NumPy functions: gradient, products with the Jacobian from both sides, Jacobian, Hessian.

Every one is a function transformation that nests with every other, and with itself. Arguments and results may be
nested tuples, lists and dicts of arrays. Results are arrays of their own, NumPy scalars where there are no axes.
Numbers and arrays of integers by which is differentiated are taken as float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.calculus.point import Argnums, Point, nest_like, positions
from chainrule.errors import ChainruleError, OutOfMemoryError, TraceError
from chainrule.graph.interpret import as_result
from chainrule.graph.trace import Traced, function_name, recording
from chainrule.graph.tree import flatten


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback, the vector-Jacobian product ``ȳ ↦ (∂y/∂x)ᵀ ȳ``, in reverse mode.

    Parameters
    ----------
    f : callable
        Of arrays in nested containers; returns arrays in nested containers.
    *args
        Where to evaluate. All of them are variables; what is to be held fixed goes into f.

    Returns
    -------
    value
    pullback : callable
        Takes a cotangent nested like the value, returns a tuple of cotangents nested like ``args``. It may be called
        any number of times, later, inside other transformations and from several threads.

    Raises
    ------
    DifferentiationError
        If f uses an operation without derivative.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> value, pullback = cr.vjp(np.multiply, 2.0, 3.0)
    >>> print(value, *pullback(1.0))
    6.0 3.0 2.0
    """
    with recording() as recorder:
        point = Point(recorder, f, args, tuple(range(len(args))))
        value = point.output_tree.unflatten(point.concrete(point.outputs))

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        leaves, tree = flatten(cotangent)
        if tree != point.output_tree:
            raise TraceError(f"the cotangent is nested as {tree}, the value as {point.output_tree}")
        if any(isinstance(x, Traced) and x.recorder is not recorder for x in leaves):
            return vjp(point.replay, *args)[1](cotangent)  # traced itself: record f there and go backward there
        with point.revisited():
            seeds = [point.seed(s, out, "cotangent") for s, out in zip(leaves, point.outputs, strict=True)]
            return point.arguments_tree.unflatten(point.backward(seeds))

    return value, pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its directional derivative, the Jacobian-vector product ``∂y/∂x ẋ``, in forward mode.

    Parameters
    ----------
    f : callable
    primals, tangents : sequence
        Arguments and their tangents, nested alike.

    Returns
    -------
    value, tangent
        Both nested as f returns them.

    Raises
    ------
    DifferentiationError
        If f uses an operation without derivative.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(*cr.jvp(np.multiply, (2.0, 3.0), (1.0, 0.5)))
    6.0 4.0
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TraceError("jvp(f, primals, tangents) takes a tuple of arguments and a tuple of tangents")
    with recording() as recorder:
        point = Point(recorder, f, tuple(primals), tuple(range(len(primals))))
        leaves, tree = flatten(tuple(tangents))
        if tree != point.arguments_tree:
            raise TraceError(f"tangents are nested as {tree}, the primals as {point.arguments_tree}")
        seeds = [point.seed(t, x, "tangent") for t, x in zip(leaves, point.variables, strict=True)]
        unflatten = point.output_tree.unflatten
        return unflatten(point.concrete(point.outputs)), unflatten(point.forward(seeds))


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
        Takes f's arguments, returns ``(value, gradient)``, the gradient nested like the argument (a tuple of them for
        a sequence of ``argnums``).

    Raises
    ------
    DifferentiationError
        If f returns something else than one number, or uses an operation without derivative.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        with recording() as recorder:
            point = Point(recorder, f, args, positions(argnums, len(args)), kwargs)
            value, grads = point.gradient()
            return value, nest_like(argnums, point.arguments_tree, grads)

    return value_and_gradient


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Make the gradient function of f.

    Parameters
    ----------
    f : callable
        Returns one number (a scalar, or an array of one element).
    argnums : int or sequence of int
        With respect to which positional arguments; each may be a nested container.

    Returns
    -------
    callable
        Takes f's arguments, returns the gradient nested like the argument it is taken by.

    Raises
    ------
    DifferentiationError
        If f returns something else than one number, or uses an operation without derivative.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> print(cr.grad(np.tanh)(0.0))
    1.0
    >>> print(cr.grad(cr.grad(lambda x: x**3))(2.0))
    12.0
    >>> cr.grad(lambda w: np.sum(w["a"] * w["b"]))({"a": np.array([1.0, 2.0]), "b": 3.0})
    {'a': array([3., 3.]), 'b': np.float64(3.0)}
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
        For one output array of shape ``o`` and one argument of shape ``i`` the array ``∂y/∂x`` of shape ``o + i``, of
        the argument's dtype; outputs and arguments in containers give containers of such arrays, outputs outside,
        arguments inside. Columns are computed in forward mode, or rows in reverse mode where those are fewer.

    Raises
    ------
    DifferentiationError
        If f uses an operation without derivative.
    OutOfMemoryError
        If the matrix does not fit, with its size.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """

    @wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        with recording() as recorder:
            point = Point(recorder, f, args, positions(argnums, len(args)), kwargs)
            try:
                blocks = _by_columns(point) if _fewer_columns(point) else _by_rows(point)
            except MemoryError:
                m, n = (sum(v.type.size for v in values) for values in (point.outputs, point.variables))
                raise OutOfMemoryError(
                    f"the Jacobian of {function_name(f)} has {m} × {n} numbers, for which there is no memory; "
                    "jvp, vjp and hvp give its products with vectors"
                ) from None
            rows = [nest_like(argnums, point.arguments_tree, row) for row in blocks]
            return point.output_tree.unflatten(rows)

    return jacobian_of


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """Make the Hessian function of f, which returns one number: forward over reverse.

    For an argument of shape ``i`` the result has shape ``i + i``; containers give containers of containers.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], x: Any, v: Any) -> Any:
    """Hessian-vector product ``∇²f(x) v``, without forming the Hessian (Pearlmutter 1994): forward over reverse.

    Parameters
    ----------
    f : callable
        Of one argument (which may be nested); returns one number.
    x, v
        Point and direction, nested alike. A tuple is one argument too.

    Raises
    ------
    TraceError
        If f cannot take a tuple: it has several arguments, or x was wrapped as `jvp` has it.
    DifferentiationError
        If f returns something else than one number, or uses an operation without derivative.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> cr.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    try:
        return jvp(grad(f), (x,), (v,))[1]
    except ChainruleError:
        raise
    except TypeError as error:
        if not isinstance(x, tuple):
            raise
        raise TraceError(
            f"hvp(f, x, v) calls f(x) with x as it is, here a tuple of {len(x)}, and f failed ({error}); give the "
            "array itself, or for a function of several arguments hvp(lambda t: f(*t), x, v)"
        ) from error


# -- Jacobians: a row of blocks per output, a block per variable


def _fewer_columns(point: Point) -> bool:
    return sum(x.size for x in point.variables) <= sum(y.size for y in point.outputs)


def _by_columns(point: Point) -> list[list[Any]]:
    columns = [  # per variable, per element: the tangents of all outputs
        [_sweep(point, point.forward, point.variables, k, unit) for unit in _units(x)]
        for k, x in enumerate(point.variables)
    ]
    return [
        [
            _assemble(point, [tangents[j] for tangents in columns[k]], y.shape, x, axis=-1)
            for k, x in enumerate(point.variables)
        ]
        for j, y in enumerate(point.outputs)
    ]


def _by_rows(point: Point) -> list[list[Any]]:
    rows = [  # per output, per element: the cotangents of all variables
        [_sweep(point, point.backward, point.outputs, j, unit) for unit in _units(y)]
        for j, y in enumerate(point.outputs)
    ]
    return [
        [
            _assemble(point, [cotangents[k] for cotangents in rows[j]], y.shape, x, axis=0)
            for k, x in enumerate(point.variables)
        ]
        for j, y in enumerate(point.outputs)
    ]


def _sweep(point: Point, sweep: Callable[..., list[Any]], seeded: Sequence[Traced], k: int, unit: Any) -> list[Any]:
    """One sweep from a unit vector in the k-th place, zero elsewhere."""
    with point.revisited():
        return sweep([point.recorder.constant(unit) if i == k else None for i in range(len(seeded))])


def _units(x: Traced) -> list[np.ndarray]:
    return [row.reshape(x.shape) for row in np.eye(x.size, dtype=x.dtype)]


def _assemble(point: Point, parts: list[Any], shape: tuple[int, ...], x: Traced, axis: int) -> Any:
    """A block of the Jacobian from its rows (axis 0) or columns (axis -1)."""
    if not parts:
        return point.concrete([point.recorder.constant(np.zeros(shape + x.shape, x.dtype))])[0]
    block = np.reshape(np.stack(parts, axis=axis), shape + x.shape).astype(x.dtype)
    return block if point.nested else as_result(block)


__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]

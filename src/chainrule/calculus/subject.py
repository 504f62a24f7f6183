"""The function whose derivatives are checked: one number of float64 arrays, as it is called and as it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.calculus.continuation import continues, hold
from chainrule.calculus.derivatives import grad, jvp
from chainrule.errors import DifferentiationError, OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.interpret import first_non_finite
from chainrule.graph.trace import Traced, argument_names, as_recordable, inline, label, trace
from chainrule.graph.tree import TreeShape, flatten

#: what a function may raise outside its domain, where differences take it
OUTSIDE = (ArithmeticError, ValueError)


@dataclass(frozen=True)
class Subject:
    """The function under test.

    Parameters
    ----------
    called : callable
        The function as it is, of the leaves that are variables; returns one number.
    function : callable
        The same with what ``stop_gradient`` holds held fixed: what derivatives are those of.
    leaves : list of arrays
        Where it is checked, in double precision.
    names : list of str
    graph : Graph
        Of `function`.
    """

    called: Callable[..., Any]
    function: Callable[..., Any]
    leaves: list[np.ndarray]
    names: list[str]
    graph: Graph

    @classmethod
    def of(cls, f: Callable[..., Any], args: tuple[Any, ...], seed: int) -> Subject:
        """Record a function at given arguments; those that are integers or booleans are held fixed.

        Raises
        ------
        DifferentiationError
            If there is nothing to differentiate.
        """
        given, tree = flatten(args)
        names = argument_names(f, tree)
        arrays = [as_recordable(leaf, name) for leaf, name in zip(given, names, strict=True)]
        free = [k for k, array in enumerate(arrays) if array.dtype.kind == "f"]
        if not free:
            kinds = ", ".join(str(a.dtype) for a in arrays) or "nothing"
            raise DifferentiationError(f"check_gradient needs a floating-point argument, got {kinds}; write 1.0, not 1")
        called = _weighted(f, given, tree, free, seed)
        leaves = [arrays[k].astype(np.float64) for k in free]
        free_names = [names[k] for k in free]

        def named(*variables: Any) -> Any:
            return called(*[label(x, name) for x, name in zip(variables, free_names, strict=True)])

        with np.errstate(all="ignore"):  # said in words, see `refuse_outside`
            recorded = trace(named, *leaves)
        graph = hold(recorded, leaves)
        return cls(called, called if graph is recorded else replayed(graph), leaves, free_names, graph)

    @property
    def precision(self) -> float:
        """Relative rounding error of the function's values."""
        return max(float(np.finfo(node.dtype).eps) for node in self.graph.nodes if node.type.is_float)

    @property
    def continues(self) -> bool:
        return continues(self.graph)

    def value(self, leaves: Sequence[np.ndarray]) -> float:
        """The function's own value; NaN where it has none."""
        try:
            with np.errstate(all="ignore"):
                return float(self.function(*leaves))
        except OUTSIDE:
            return float("nan")

    def refuse_outside(self) -> None:
        """Refuse a point at which the function has no value, and so no derivative.

        Raises
        ------
        OptionError
            Naming the first operation without a number.
        """
        value = self.value(self.leaves)
        if np.isnan(value):
            with np.errstate(all="ignore"):
                first = first_non_finite(self.graph, self.leaves)
            where = "" if first is None else f"; the first is {self.graph.nodes[first].primitive.name}"
            raise OptionError(
                f"check_gradient: the function is not a number at this point{where}; choose a point of its domain"
            )

    def gradient(self, leaves: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The function's gradient by its leaves, in reverse mode."""
        with np.errstate(all="ignore"):
            return list(grad(self.function, tuple(range(len(leaves))))(*leaves))

    def tangent(self, direction: Sequence[np.ndarray]) -> float:
        """The derivative along a direction, in forward mode."""
        with np.errstate(all="ignore"):
            return float(jvp(self.function, self.leaves, direction)[1])

    def product(self, direction: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The Hessian times a direction, forward over reverse."""
        both = grad(self.function, tuple(range(len(self.leaves))))
        with np.errstate(all="ignore"):
            return list(jvp(both, self.leaves, direction)[1])

    def product_graph(self, rng: np.random.Generator) -> Graph:
        """The graph of the gradient's product with a random direction: it has the operations of both orders."""
        direction = [rng.normal(size=x.shape) for x in self.leaves]

        def product(*leaves: Any) -> Any:
            grads = grad(self.function, tuple(range(len(leaves))))(*leaves)
            return _sum(np.sum(g * d) for g, d in zip(grads, direction, strict=True))

        return trace(product, *self.leaves)

    def remarks(self) -> tuple[str, ...]:
        """Whether the recorded graph computes what the function does."""
        with np.errstate(all="ignore"):
            plain = float(self.called(*self.leaves))
            recorded = float(self.graph.run(*self.leaves)[0])
        if np.isclose(plain, recorded, rtol=1e4 * self.precision, atol=0.0, equal_nan=True):
            return ()
        return (
            f"gives {plain:.9g} when called and {recorded:.9g} when recorded; it must depend on its arguments alone "
            "(no random numbers, nothing stored between calls)",
        )


def replayed(graph: Graph) -> Callable[..., Any]:
    """A graph of one output as a function of plain or traced arguments."""

    def function(*leaves: Any) -> Any:
        traced = any(isinstance(x, Traced) for x in leaves)
        return inline(graph, *leaves)[0] if traced else graph.run(*leaves)[0]

    return function


def _weighted(
    f: Callable[..., Any], given: list[Any], tree: TreeShape, free: list[int], seed: int
) -> Callable[..., Any]:
    """The weighted sum of all numbers f returns, as a function of the leaves that are variables."""

    def function(*variables: Any) -> Any:
        leaves = list(given)
        for k, x in zip(free, variables, strict=True):
            leaves[k] = x
        outputs, _ = flatten(f(*tree.unflatten(leaves)))
        floats = [y for y in outputs if np.result_type(y).kind == "f"]
        if not floats:
            raise DifferentiationError("check_gradient needs a function that returns floating-point numbers")
        if len(floats) == 1 and np.size(floats[0]) == 1:
            return np.reshape(floats[0], ())
        rng = np.random.default_rng(seed)
        return _sum(np.sum(y * rng.normal(size=np.shape(y)).astype(np.result_type(y))) for y in floats)

    return function


def _sum(terms: Iterable[Any]) -> Any:
    first, *rest = terms
    for term in rest:
        first = first + term
    return first

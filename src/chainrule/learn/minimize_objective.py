"""The objective of `minimize`: a user's function of nested parameters, its penalties and its data, over one flat θ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.calculus import hvp, value_and_grad
from chainrule.errors import OptionError, TraceError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, trace
from chainrule.graph.tree import flatten, tree_map
from chainrule.graph.types import ArrayType
from chainrule.learn.divergence import first_fault
from chainrule.learn.optimizers import FirstOrder
from chainrule.learn.penalties import GroupL1, Penalty, ProximalPenalty, SmoothPenalty, Sum

#: elements of an array up to which BLAS runs on one thread
SMALL = 100_000


class Program:
    """A function of arrays, recorded once from shapes and run as a graph.

    A function whose Python code looks at values (``if x > 0``) cannot be recorded from shapes; it is then run as it is,
    and what it differentiates is recorded anew in every call.

    Parameters
    ----------
    function : callable
        Of arrays in nested containers, in plain NumPy.
    *args
        Arguments of the types it will be called with.
    """

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function = function
        self.graph: Graph | None
        try:
            self.graph = trace(function, *tree_map(ArrayType.of, args))
        except TraceError:
            self.graph = None

    def __call__(self, *args: Any) -> Any:
        return self.function(*args) if self.graph is None else self.graph(*args)

    def first_fault(self, *args: Any) -> str:
        """The first node that is not finite, in words."""
        graph = trace(self.function, *args) if self.graph is None else self.graph
        leaves = [graph.as_input(k, leaf) for k, leaf in enumerate(flatten(args)[0])]
        return first_fault(graph, leaves) or "no node"


@dataclass(frozen=True)
class Placed:
    """A penalty and the elements of θ it acts on, in the form it takes them."""

    penalty: Penalty
    where: np.ndarray | None

    @property
    def members(self) -> Any:
        """Boolean index of the elements it acts on."""
        if self.where is None:
            return np.s_[:]
        return self.where >= 0 if isinstance(self.penalty, GroupL1) else self.where > 0


class Objective:
    """``J(θ) + P(θ)`` over a flat float64 vector θ.

    Parameters
    ----------
    f : callable
        ``f(x, *data)`` returns one number, J.
    x0 : array, or nested containers of arrays
        Where to start; gives the nesting and the shapes.
    penalty : Penalty, Sum or containers of them, optional
        One for all parameters, or nested like the upper part of x0, with ``None`` for no penalty.
    data : sequence of arrays
        Passed on to f; of equal length along the first axis.
    """

    def __init__(self, f: Callable[..., Any], x0: Any, penalty: Any = None, data: Sequence[Any] = ()) -> None:
        self.f = f
        leaves, self.tree = flatten(x0)
        names = self.tree.paths("x0")
        arrays = [_numbers(leaf, name) for leaf, name in zip(leaves, names, strict=True)]
        if not sum(a.size for a in arrays):
            raise OptionError("x0 holds no numbers; give the parameters' starting values")
        self.shapes = [a.shape for a in arrays]
        self.ends = [int(e) for e in np.cumsum([0, *(a.size for a in arrays)])]
        self.data = tuple(np.asarray(d) for d in data)
        if len({d.shape[:1] for d in self.data}) > 1 or any(d.ndim == 0 for d in self.data):
            shapes = ", ".join(str(d.shape) for d in self.data)
            raise OptionError(f"data: the arrays must have one length along the first axis, got shapes {shapes}")
        self.placed = self._place(penalty)
        self.proximal = [p for p in self.placed if isinstance(p.penalty, ProximalPenalty)]
        self._check_overlap()
        self.strengths = tuple(np.float64(p.penalty.strength) for p in self.placed)
        self._programs: dict[Any, Program] = {}

    # -- flat and nested

    @property
    def size(self) -> int:
        return self.ends[-1]

    def flat(self, x: Any, what: str = "x0") -> np.ndarray:
        """Nested parameters as one float64 vector."""
        leaves, tree = flatten(x)
        if tree != self.tree:
            raise OptionError(f"{what} is nested differently from x0")
        arrays = [_numbers(leaf, name) for leaf, name in zip(leaves, tree.paths(what), strict=True)]
        if [a.shape for a in arrays] != self.shapes:
            raise OptionError(f"{what} has shapes {[a.shape for a in arrays]}, x0 has {self.shapes}")
        return np.concatenate([a.ravel() for a in arrays])

    def nested(self, theta: Any) -> Any:
        """A flat vector, plain or traced, nested as the user's function takes it."""
        pieces = zip(self.shapes, self.ends[:-1], self.ends[1:], strict=True)
        return self.tree.unflatten(np.reshape(theta[low:high], shape) for shape, low, high in pieces)

    # -- penalties

    def _place(self, penalty: Any) -> list[Placed]:
        masks: dict[Penalty, np.ndarray] = {}
        groups: dict[Penalty, list[tuple[int, int, np.ndarray]]] = {}
        start = 0

        def visit(penalty: Any, tree: Any, path: str) -> None:
            nonlocal start
            if isinstance(penalty, Penalty):
                penalty = Sum((penalty,))
            if penalty is None or isinstance(penalty, Sum) or not tree.children:
                if penalty is not None and not isinstance(penalty, Sum):
                    raise OptionError(f"penalty for {path} must be a penalty such as L1(0.1) or None, got {penalty!r}")
                first = start
                start += tree.n_leaves
                for one in penalty.parts if penalty is not None else ():
                    for k in range(first, start):
                        low, high = self.ends[k : k + 2]
                        if isinstance(one, GroupL1):
                            groups.setdefault(one, []).append((low, high, one.group_ids(self.shapes[k])))
                        else:
                            masks.setdefault(one, np.zeros(self.size))[low:high] = 1.0
                return
            for key, child in zip(tree.keys, tree.children, strict=True):
                visit(_part(penalty, tree, key, path), child, f"{path}[{key!r}]")

        visit(penalty, self.tree, "x0")
        placed = [Placed(p, None if mask.all() else mask) for p, mask in masks.items()]
        for one, pieces in groups.items():
            ids = np.full(self.size, -1)
            for low, high, local in pieces:
                ids[low:high] = np.where(local < 0, -1, local + ids.max(initial=-1) + 1)
            placed.append(Placed(one, ids))
        return placed

    def _check_overlap(self) -> None:
        taken = np.zeros(self.size, int)
        for p in self.proximal:
            taken[p.members] += 1
        if (taken > 1).any():
            raise OptionError("two penalties with a kink (L1, GroupL1) act on the same parameter; choose one of them")

    def penalty_value(self, theta: Any, strengths: Sequence[Any], *, smooth: bool) -> Any:
        """The sum of the smooth penalties, or of those with a kink; 0.0 if there are none."""
        pairs = zip(self.placed, strengths, strict=True)
        return sum((p.penalty.value(theta, p.where, s) for p, s in pairs if p.penalty.smooth is smooth), 0.0)

    def prox(self, u: Any, step: Any, strengths: Sequence[Any]) -> Any:
        """The proximal step of all penalties with a kink."""
        for p, strength in zip(self.placed, strengths, strict=True):
            if isinstance(p.penalty, ProximalPenalty):
                u = p.penalty.prox(u, step, p.where, strength)
        return u

    def residual(self, theta: Any, gradient: Any, strengths: Sequence[Any]) -> Any:
        """The smallest subgradient of J + P, from the gradient of its smooth part."""
        for p, strength in zip(self.placed, strengths, strict=True):
            if isinstance(p.penalty, ProximalPenalty):
                gradient = p.penalty.residual(theta, gradient, p.where, strength)
        return gradient

    def free(self, theta: np.ndarray) -> np.ndarray:
        """Which elements are off the kinks: those not held at zero by a penalty, shape (size,)."""
        held = np.zeros(self.size, bool)
        for p in self.proximal:
            if isinstance(p.penalty, GroupL1) and p.where is not None:
                alive = np.unique(p.where[(theta != 0) & (p.where >= 0)])
                held |= (p.where >= 0) & ~np.isin(p.where, alive)
            else:
                held |= (theta == 0) & (True if p.where is None else p.where > 0)
        return ~held

    # -- functions of flat arrays, plain or traced

    def smooth_part(self, theta: Any, strengths: Sequence[Any], batch: Sequence[Any]) -> tuple[Any, Any]:
        """Value and gradient of J and the smooth penalties."""
        value, gradient = value_and_grad(lambda t: label(self.f(self.nested(t), *batch), "J"))(theta)
        value = np.reshape(value, ())
        for p, strength in zip(self.placed, strengths, strict=True):
            if isinstance(p.penalty, SmoothPenalty):
                value = value + p.penalty.value(theta, p.where, strength)
                gradient = gradient + p.penalty.gradient(theta, p.where, strength)
        return value, label(gradient, "gradient")

    def total(self, theta: Any, strengths: Sequence[Any], batch: Sequence[Any]) -> Any:
        """J + P."""
        value = np.reshape(self.f(self.nested(theta), *batch), ())
        return value + self.penalty_value(theta, strengths, smooth=True) + self.kinks(theta, strengths)

    def kinks(self, theta: Any, strengths: Sequence[Any]) -> Any:
        """The sum of the penalties with a kink."""
        return self.penalty_value(theta, strengths, smooth=False)

    # -- the programs

    @cached_property
    def _evaluation(self) -> Program:
        def function(theta: Any, strengths: Any, batch: Any) -> Any:
            value, gradient = self.smooth_part(theta, strengths, batch)
            return value, gradient, self.kinks(theta, strengths)

        return Program(function, np.zeros(self.size), self.strengths, self.data)

    @cached_property
    def evaluate(self) -> Callable[[np.ndarray], tuple[float, np.ndarray, float]]:
        """``θ -> (J + smooth penalties, their gradient, penalties with a kink)`` on all data."""
        program = self._evaluation
        last: list[Any] = [None, None]  # a search asks for the point it has just found once more

        def evaluate(theta: np.ndarray) -> tuple[float, np.ndarray, float]:
            if last[0] is None or not np.array_equal(last[0], theta):
                value, gradient, kinks = program(theta, self.strengths, self.data)
                last[:] = theta.copy(), (float(value), gradient, float(kinks))
            return last[1]

        return evaluate

    def fault(self, theta: np.ndarray) -> str:
        """The first node of the objective that is not finite at θ, in words."""
        return self._evaluation.first_fault(theta, self.strengths, self.data)

    def threads(self) -> AbstractContextManager[Any]:
        """One BLAS thread where the arrays are small: waking a second one costs more than it brings."""
        graph = self._evaluation.graph
        if graph is None or max(node.type.size for node in graph.nodes) > SMALL:
            return nullcontext()
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        return threadpool_limits(1, user_api="blas")

    @cached_property
    def hessian_product(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """``θ, v -> ∇²(J + P)(θ) v`` on all data, for v that is zero where θ is held at a kink."""

        def function(theta: Any, v: Any, strengths: Any, batch: Any) -> Any:
            return hvp(lambda t: self.total(t, strengths, batch), theta, v)

        zero = np.zeros(self.size)
        program = Program(function, zero, zero, self.strengths, self.data)

        def product(theta: np.ndarray, v: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                return np.asarray(program(theta, v, self.strengths, self.data))

        return product

    def hessian_on(self, theta: np.ndarray, free: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The Hessian at θ as an operator on the elements that are free."""

        def product(v: np.ndarray) -> np.ndarray:
            whole = np.zeros(self.size)
            whole[free] = v
            return self.hessian_product(theta, whole)[free]

        return product

    def update_step(self, optimizer: FirstOrder, rows: int | None) -> Program:
        """One step of an optimiser as one graph: loss, gradient, penalties, update, proximal step.

        Its arguments are ``(θ, state, t, hyper, strengths, batch)``; its results the new θ and state, and, at the θ it
        was given, the objective and the norm of the smallest subgradient.
        """
        key = (optimizer, rows)
        if key not in self._programs:
            batch = tuple(d if rows is None else d[:rows] for d in self.data)
            theta = np.zeros(self.size)
            hyper = {k: np.float64(v) for k, v in optimizer.hyper().items()}

            def step(theta: Any, state: Any, t: Any, hyper: Mapping[str, Any], strengths: Any, batch: Any) -> Any:
                value, gradient = self.smooth_part(theta, strengths, batch)
                residual = self.residual(theta, gradient, strengths)
                new, state, size = optimizer.update(gradient, theta, state, hyper, t)
                new = label(self.prox(new, size, strengths), "θ'")
                return new, state, value + self.kinks(theta, strengths), np.sqrt(np.sum(np.square(residual)))

            self._programs[key] = Program(
                step, theta, optimizer.init(theta), np.float64(1.0), hyper, self.strengths, batch
            )
        return self._programs[key]


def _numbers(leaf: Any, name: str) -> np.ndarray:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiub":
        raise OptionError(f"{name} must hold real numbers, got {type(leaf).__name__} of dtype {array.dtype}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise OptionError(f"{name} holds infinite or missing numbers; start from finite ones")
    return array


def _part(penalty: Any, tree: Any, key: Any, path: str) -> Any:
    """The penalty of one child of a container of parameters."""
    if tree.kind is dict and isinstance(penalty, dict):
        unknown = [k for k in penalty if k not in tree.keys]
        if unknown:
            raise OptionError(f"penalty has a key {unknown[0]!r} that {path} does not have; it has {list(tree.keys)}")
        return penalty.get(key)
    if isinstance(penalty, (tuple, list)) and tree.kind is not dict and len(penalty) == len(tree.children):
        return penalty[key]
    raise OptionError(f"penalty must be one penalty or be nested like {path}, got {penalty!r}")

"""What `minimize` hands back: the point, why it stopped, the curvature there, and the way it took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from chainrule.calculus.curvature import Curvature, curvature_of_product
from chainrule.graph.tree import flatten, tree_map
from chainrule.learn.minimize_objective import Objective

Status = Literal["gradient", "precision", "limit", "diverged", "unbounded"]

#: numbers of θ a path may hold in all
PATH_NUMBERS = 2_000_000


class Path:
    """The iterates, thinned so that memory stays bounded: first every one, then every second, every fourth, ….

    Attributes
    ----------
    iterations : array of int, shape (k,)
        Which iterates were kept; the first and the last always are.
    theta : array, shape (k, n)
        They themselves, each as one flat vector.
    values, grad_norms : array, shape (k,)
        The objective and the gradient's norm there.
    """

    def __init__(self, size: int, length: int = 1000) -> None:
        self._limit = max(4, min(length, PATH_NUMBERS // max(size, 1)))
        self._stride = 1
        self._kept: list[tuple[int, np.ndarray, float, float]] = []
        self._last: tuple[int, np.ndarray, float, float] | None = None

    def add(self, iteration: int, theta: np.ndarray, value: float, grad_norm: float) -> None:
        """Keep an iterate."""
        self._last = (iteration, theta.copy(), value, grad_norm)
        if iteration % self._stride == 0:
            self._kept.append(self._last)
            if len(self._kept) >= self._limit:
                self._stride *= 2
                self._kept = [row for row in self._kept if row[0] % self._stride == 0]

    @property
    def _rows(self) -> list[tuple[int, np.ndarray, float, float]]:
        if self._last is None or (self._kept and self._kept[-1][0] == self._last[0]):
            return self._kept
        return [*self._kept, self._last]

    @property
    def iterations(self) -> np.ndarray:
        return np.array([row[0] for row in self._rows])

    @property
    def theta(self) -> np.ndarray:
        return np.stack([row[1] for row in self._rows])

    @property
    def values(self) -> np.ndarray:
        return np.array([row[2] for row in self._rows])

    @property
    def grad_norms(self) -> np.ndarray:
        return np.array([row[3] for row in self._rows])

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        if not self._rows:
            return "<path: empty>"
        first, last = self._rows[0], self._rows[-1]
        return f"<path: {len(self)} of {last[0] + 1} iterates, value {first[2]:.6g} -> {last[2]:.6g}>"


@dataclass(eq=False)
class Result:
    """A minimum, or where the search for one ended. `print` shows it.

    Attributes
    ----------
    x : nested like x0
        The point. Never NaN: after a divergence, or where J rose above its starting value, the best point before.
    value : float
        The objective there, penalties included.
    grad_norm : float
        ``‖∇J‖`` there; with a penalty that has a kink, the norm of the smallest subgradient.
    status : str
        ``gradient`` (it is small), ``precision`` (no smaller value can be told apart in float64), ``limit``
        (max_iter), ``diverged`` or ``unbounded``.
    reason : str
        The same in a sentence.
    success : bool
    n_iter : int
        Iterations (epochs, with mini-batches).
    method : str
    path : Path
        The way there.
    starts : list of Result
        All of them, best first, where several were run; the result itself is the first.
    """

    x: Any
    value: float
    grad_norm: float
    status: Status
    reason: str
    success: bool
    n_iter: int
    method: str
    path: Path = field(repr=False)
    _objective: Objective = field(repr=False)
    _theta: np.ndarray = field(repr=False)
    starts: list[Result] = field(default_factory=list, repr=False)

    @cached_property
    def curvature(self) -> Curvature:
        """Extreme eigenvalues of the Hessian and what they make of the point; computed when first asked for.

        With a penalty that has a kink, among the parameters it does not hold at zero (held parameters are at a kink,
        which is a minimum in their direction).
        """
        stationary = self.status in ("gradient", "precision") and self.success
        free = self._objective.free(self._theta)
        if not free.any() and stationary:
            return Curvature("minimum", np.inf, np.inf, 0.0)
        product = self._objective.hessian_on(self._theta, free)
        with self._objective.threads():
            return curvature_of_product(product, int(free.sum()), stationary)

    @property
    def optima(self) -> list[tuple[Result, int]]:
        """The different points that the starts ended in, best first, and how many ended in each.

        Two count as one where they agree to about four digits; only successful starts are counted.
        """
        found: list[tuple[Result, int]] = []
        for one in self.starts or [self]:
            if not one.success:
                continue
            same = next((k for k, (other, _) in enumerate(found) if _close(one, other)), None)
            if same is None:
                found.append((one, 1))
            else:
                found[same] = (found[same][0], found[same][1] + 1)
        return found

    def average(self, g: Callable[[Any], Any] | None = None) -> Any:
        """Average over the successful starts of ``g(x)``, such as predictions (an ensemble); of x itself by default.

        Parameters
        ----------
        g : callable, optional
            Of x; returns arrays in nested containers.
        """
        chosen = [one.x for one in self.starts or [self] if one.success] or [self.x]
        values = chosen if g is None else [g(x) for x in chosen]
        return tree_map(lambda *leaves: np.mean(np.stack(leaves), axis=0), *values)

    def __repr__(self) -> str:
        return f"<Result value={self.value:.6g} grad_norm={self.grad_norm:.2g} success={self.success}: {self.reason}>"

    def __str__(self) -> str:
        rows = [
            ("x", _show(self.x)),
            ("value", f"{self.value:.10g}"),
            ("gradient", f"{self.grad_norm:.3g}"),
            ("curvature", str(self.curvature)),
            ("stopped", self.reason),
            ("method", f"{self.method}, {self.n_iter} iterations"),
        ]
        text = "\n".join(f"{name:<10} {value}" for name, value in rows)
        return text if len(self.starts) < 2 else f"{text}\n{self._table()}"

    def _table(self) -> str:
        optima = self.optima
        failed = sum(not one.success for one in self.starts)
        lines = [f"{len(self.starts)} starts ended in {len(optima)} different points:"]
        lines.append(f"{'starts':>8}  {'value':<14} {'curvature':<10} x")
        for one, count in optima[:12]:
            lines.append(f"{count:>8}  {one.value:<14.8g} {one.curvature.kind:<10} {_show(one.x, 60)}")
        if len(optima) > 12:
            lines.append(f"{'…':>8}  and {len(optima) - 12} more")
        if failed:
            lines.append(f"{failed:>8}  did not arrive")
        return "\n".join(lines)


def _close(one: Result, other: Result) -> bool:
    if abs(one.value - other.value) > 1e-4 * (1.0 + abs(other.value)):
        return False
    distance = np.linalg.norm(one._theta - other._theta)
    return bool(distance <= 1e-4 * (1.0 + np.linalg.norm(other._theta)))


def _show(x: Any, width: int = 90) -> str:
    """Nested parameters on one line, shortened."""
    leaves, tree = flatten(x)
    parts = []
    for leaf, name in zip(leaves, tree.paths("" if tree.kind is dict else "x"), strict=True):
        text = " ".join(
            np.array2string(np.asarray(leaf), precision=6, threshold=8, edgeitems=2, separator=", ").split()
        )
        parts.append(text if tree.kind is None else f"{name} = {text}")
    line = ", ".join(parts)
    return line if len(line) <= width else line[: width - 1] + "…"

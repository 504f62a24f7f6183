"""Linear models under L1, group L1 and L2 penalties, solved to the end: proximal Newton steps on a working set.

A linear model's loss is a smooth function of few numbers per row. Around a point it is close to a quadratic, whose
Hessian is ``Σ wᵢ x̃ᵢ x̃ᵢᵀ ⊗ ∇²ℓᵢ / n``; of a squared error it is that quadratic. Its minimum together with the penalty is
the next point (Lee, Sun & Saunders 2014, "Proximal Newton-type methods for minimizing composite functions"). Under L1
it is found by the signs of what is not zero, which hardly change from one strength to the next. Where that fails, and
under group L1, accelerated proximal gradient steps with restarts (Beck & Teboulle 2009; O'Donoghue & Candès 2015),
which run natively, many in one call, settle what is zero; Newton's method on the rest brings it to rounding. L1 looks
at the columns only whose gradient could matter (Tibshirani et al. 2012, "Strong rules for discarding predictors in
lasso-type problems"), until no other column objects.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dposv

from chainrule.calculus import grad, hvp
from chainrule.errors import DivergenceError, OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import trace
from chainrule.graph.types import ArrayType
from chainrule.learn.executors import epoch_runner
from chainrule.learn.full_batch import Solution
from chainrule.learn.penalties import L1, GroupL1, ProximalPenalty
from chainrule.learn.rows import Rows
from chainrule.learn.side_by_side import go_on
from chainrule.learn.step import Loss, input_groups, one_per_row
from chainrule.networks import Network
from chainrule.outputs import Gaussian
from chainrule.passes import optimize

#: proximal Newton steps at most
MOST_STEPS = 60
#: proximal gradient steps of the first native call; each further one makes twice as many
FIRST_CALL = 64
MOST_CALLS = 11
#: sets of signs that are tried before proximal gradient steps are
MOST_SIGNS = 200
#: Newton steps on what is not zero
NEWTON_STEPS = 12
#: a strength beyond which everything penalised is zero
ALL_ZERO = 1e100

REAL = np.dtype(np.float64)


class LinearSolver:
    """The penalised loss of a linear model over rows, and its minimum for any strengths.

    Parameters
    ----------
    network : Network
        Without hidden layers.
    rows : Rows
        Float64 is used whatever they have.
    kind : type of ProximalPenalty, optional
        `L1`, `GroupL1` or none; which kink there is.
    groups : tuple of int, optional
        Group of each input column, for `GroupL1`.
    units : array of shape (n_parameters,), optional
        Penalties are those of ``units * θ``.
    intercept : bool
        Whether there are biases; they are not penalised.
    loss : callable, optional
        ``loss(raw, y)`` per row, convex in raw; by default the output's.
    tol : float
        Largest element of the smallest subgradient at which to stop.
    """

    def __init__(
        self,
        network: Network,
        rows: Rows,
        kind: type[ProximalPenalty] | None = None,
        *,
        groups: tuple[int, ...] | None = None,
        units: np.ndarray | None = None,
        intercept: bool = True,
        loss: Loss | None = None,
        tol: float = 1e-10,
    ) -> None:
        if network.layers:
            raise OptionError("an exact solution is that of a linear model; the network has hidden layers")
        self.network, self.kind, self.tol = network, kind, tol
        n, n_inputs, n_targets = *rows.x.shape, rows.y.shape[1]
        self.layout = network.layout(n_inputs, n_targets)
        self.n_raw = self.layout.pieces[0].shape[1]
        self.x = np.hstack([rows.x.astype(REAL), np.full((n, 1), float(intercept))])
        self.y, self.w = rows.y.astype(REAL), rows.w.astype(REAL) / n
        self.units = np.ones(self.layout.size) if units is None else np.asarray(units, REAL)
        self.mask = self.layout.mask()
        self.where = self.mask if kind is not GroupL1 else input_groups(self.layout, groups)
        self.intercept = intercept
        self._rows = row_graph(network, n, n_targets, self.n_raw, loss)
        self._last: tuple[np.ndarray, tuple[float, np.ndarray, np.ndarray]] | None = None
        self._quadratic = loss is None and isinstance(network.output, Gaussian)

    # -- the objective

    def derivatives(self, theta: np.ndarray, l2: float) -> tuple[float, np.ndarray, np.ndarray]:
        """Mean loss with L2, its gradient, and each row's curvature by its raw outputs, (n, n_raw, n_raw)."""
        value, gradient, bends = self._smooth(theta)
        if l2 > 0.0:
            pull = l2 * self.mask * np.square(self.units)
            value, gradient = value + 0.5 * float(pull @ np.square(theta)), gradient + pull * theta
        if not np.isfinite(value):
            raise DivergenceError("the objective became infinite or NaN; look for extreme values in the data")
        return value, gradient, bends

    def _smooth(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The same without L2; the last one is kept, since a path asks for it again where the next step begins."""
        if self._last is None or not np.array_equal(self._last[0], theta):
            with np.errstate(all="ignore"):
                losses, slope, *bends = self._rows.run(self.x @ theta.reshape(-1, self.n_raw), self.y)
            gradient = (self.x.T @ (self.w[:, None] * slope)).ravel()
            self._last = theta.copy(), (float(self.w @ losses), gradient, np.stack(bends, axis=-1))
        return self._last[1]

    def loss(self, theta: np.ndarray) -> float:
        """Mean loss without penalties."""
        return self.derivatives(theta, 0.0)[0]

    def residual(self, theta: np.ndarray, gradient: np.ndarray, strength: float) -> np.ndarray:
        """The smallest subgradient: 0 at the minimum."""
        return _residual(self.kind, theta, gradient, self.units, self.where, strength)

    def largest_strength(self) -> tuple[float, np.ndarray]:
        """The strength from which on everything penalised is zero, and the solution there.

        Where the penalised parameters are zero and the others at their best, it is the largest gradient of a penalised
        parameter (of a group: its norm).
        """
        null = self.solve(np.zeros(self.layout.size), ALL_ZERO, 0.0).theta
        slope = self.derivatives(null, 0.0)[1] / self.units
        if self.kind is GroupL1:
            member = self.where >= 0
            norms = np.sqrt(np.bincount(self.where[member], weights=np.square(slope[member])))
            return float(norms.max(initial=0.0)), null
        return float(np.abs(slope * self.mask).max(initial=0.0)), null

    # -- the minimum

    def solve(
        self, start: np.ndarray, strength: float, l2: float, before: float | None = None, max_iter: int = MOST_STEPS
    ) -> Solution:
        """The minimum, from a start nearby.

        Parameters
        ----------
        start : array of shape (n_parameters,)
        strength, l2 : float
            Of the penalty with the kink, and of L2.
        before : float, optional
            The strength whose solution `start` is: says which columns need not be looked at.
        max_iter : int
            Steps at most.
        """
        theta = np.array(start, REAL)
        value, gradient, bends = self.derivatives(theta, l2)
        residual = self.residual(theta, gradient, strength)
        work = self._columns((theta != 0.0) | (self.mask == 0.0))
        if before is not None and self.kind is L1:
            work |= self._columns(np.abs(gradient) >= (2.0 * strength - before) * self.units)
        total = value + self._kink(theta, strength)
        n_iter, stuck = 0, False
        while np.abs(residual).max(initial=0.0) > self.tol and n_iter < max_iter and not stuck:
            go_on()
            n_iter += 1
            work |= self._columns(residual != 0.0)
            places = self._elements(work)
            goal = max(0.1 * self.tol, 1e-3 * float(np.abs(residual).max()))
            best = self._quadratic_minimum(theta, gradient, bends, places, strength, l2, goal)
            size, worst = 1.0, float(np.abs(residual).max())
            for _ in range(30):
                trial = theta.copy()
                trial[places] += size * (best - theta[places])
                if size == 1.0:
                    trial[places] = best  # exact zeros
                value, slope, curved = self.derivatives(trial, l2)
                after = value + self._kink(trial, strength)
                left = self.residual(trial, slope, strength)
                if after < total or np.abs(left).max() < worst:
                    break
                size *= 0.5
            else:
                stuck = True
                continue
            theta, gradient, bends, residual, total = trial, slope, curved, left, after
        final = float(np.abs(residual).max(initial=0.0))
        converged = final <= self.tol
        words = "the gradient is small" if converged else "no further decrease is possible"
        if n_iter == max_iter and not (converged or stuck):
            words = "the limit of iterations was reached"
        return Solution(
            theta, total, final, n_iter, converged or stuck, f"{words} (largest gradient element {final:.1e})"
        )

    def _kink(self, theta: np.ndarray, strength: float) -> float:
        if self.kind is None or strength == ALL_ZERO:
            return 0.0
        return float(self.kind.value(self.units * theta, self.where, strength))

    def _columns(self, chosen: np.ndarray) -> np.ndarray:
        """Columns of x that have a chosen element; all of them where groups may span columns."""
        if self.kind is not L1:
            return np.ones(self.x.shape[1], bool)
        return np.asarray(chosen.reshape(-1, self.n_raw).any(axis=1))

    def _elements(self, columns: np.ndarray) -> np.ndarray:
        """Places in θ of columns' elements, without those of an intercept that is not there."""
        chosen = columns.copy()
        chosen[-1] = self.intercept
        return np.flatnonzero(np.repeat(chosen, self.n_raw))

    @cached_property
    def _gram(self) -> np.ndarray:
        return self._hessian(np.ones((len(self.x), 1, 1)), np.arange(self.x.shape[1]), 1)

    def _hessian(self, bends: np.ndarray, columns: np.ndarray, n_raw: int) -> np.ndarray:
        """``Σ wᵢ x̃ᵢ x̃ᵢᵀ ⊗ ∇²ℓᵢ`` over some columns of x̃, in θ's order."""
        x = self.x[:, columns]
        result = np.empty((len(columns), n_raw, len(columns), n_raw))
        for a in range(n_raw):
            for b in range(a + 1):
                result[:, a, :, b] = x.T @ ((self.w * bends[:, a, b])[:, None] * x)
                result[:, b, :, a] = result[:, a, :, b].T
        return result.reshape(len(columns) * n_raw, -1)

    def _quadratic_minimum(
        self,
        theta: np.ndarray,
        gradient: np.ndarray,
        bends: np.ndarray,
        places: np.ndarray,
        strength: float,
        l2: float,
        goal: float,
    ) -> np.ndarray:
        """The minimum of the quadratic about θ and the penalty, over some of its elements."""
        columns = np.unique(places // self.n_raw)
        if self._quadratic:  # the same for every θ
            gram = self._gram[np.ix_(columns, columns)]
            hessian = np.kron(gram, np.eye(self.n_raw)) if self.n_raw > 1 else gram.copy()
        else:
            hessian = self._hessian(bends, columns, self.n_raw)
        units, where = self.units[places], self.where[places]
        hessian[np.diag_indices(len(places))] += l2 * self.mask[places] * np.square(units)
        model = _Quadratic(hessian, gradient[places], theta[places], self.kind, units, where, strength)
        return model.minimum(goal)


class _Quadratic:
    """``½ (θ-s)ᵀH(θ-s) + gᵀ(θ-s) + P(θ)``."""

    def __init__(
        self,
        hessian: np.ndarray,
        gradient: np.ndarray,
        start: np.ndarray,
        kind: type[ProximalPenalty] | None,
        units: np.ndarray,
        where: np.ndarray,
        strength: float,
    ) -> None:
        self.hessian, self.start, self.kind, self.units, self.where = hessian, start, kind, units, where
        self.strength = strength
        self.offset = gradient - hessian @ start

    def residual(self, theta: np.ndarray) -> np.ndarray:
        slope = self.hessian @ theta + self.offset
        return _residual(self.kind, theta, slope, self.units, self.where, self.strength)

    def minimum(self, goal: float) -> np.ndarray:
        """Newton steps where they are enough, else native calls of proximal gradient steps and Newton steps again."""
        fine = 1e-4 * goal  # a Newton step costs little, and what is left of an error grows with the condition
        theta, left = self._newton(self._by_signs(goal) if self.kind is L1 else self.start, fine)
        if left <= goal or self.kind is None:
            return theta
        n = len(theta)
        group = self.kind is GroupL1
        size = n if group else 1 << max(4, (n - 1).bit_length())  # few sizes, little code
        uniform = bool(np.all(self.units == self.units[0]))
        ids = tuple(self.where.tolist()) if group else None
        graph = proximal_steps(size, self.kind, ids, uniform)
        run = epoch_runner(graph, 3, 6, 1)
        largest = float(eigh(self.hessian, eigvals_only=True, subset_by_index=[n - 1, n - 1])[0])
        hyper = [
            _padded(self.hessian, size),
            _padded(self.offset, size),
            _padded(self.units, size, 1.0),
            _padded(np.ones(n) if group else self.where, size),
            1.0 / max(largest, 1e-300),
            self.strength,
        ]
        at = _padded(theta, size)
        carry: list[Any] = [at, at.copy(), np.asarray(1.0)]
        tick, best, least = [np.zeros(1)], theta, left
        for call in range(MOST_CALLS):
            carry, _ = run(carry, hyper, tick, np.zeros(FIRST_CALL << call, np.int64))
            theta, left = self._newton(carry[0][:n], fine)
            if left < least:
                best, least = theta, left
            if least <= goal:
                break
        return best

    def _by_signs(self, goal: float) -> np.ndarray:
        """Feature-sign search (Lee, Battle, Raina & Ng 2007, "Efficient sparse coding algorithms"), from the start.

        With the signs of the active elements given, the minimum is that of a quadratic. The way there is followed to
        its lowest point, among its end and where elements cross zero; those that are zero then leave. Once no sign
        changes, the elements enter whose gradient the penalty does not balance. Each step lowers the objective, so no
        set of signs comes twice; near the start's solution few are needed.
        """
        theta, penalised = self.start.copy(), self.where != 0.0
        pull = self.strength * self.units * self.where
        signs = np.where(penalised, np.sign(theta), 0.0)
        active = (theta != 0.0) | ~penalised
        slope, several = self.hessian @ theta + self.offset, True
        for _ in range(MOST_SIGNS):
            free = np.flatnonzero(active)
            step = _solved(self.hessian[np.ix_(free, free)], -(slope + pull * signs)[free])
            if step is None:
                break
            entering = theta[free] == 0.0
            wrong = entering & (step * signs[free] < 0.0)
            if wrong.any():  # an element that would enter on the other side does not; one alone never would
                active[free[wrong]], several = False, False
                continue
            along, size = self.hessian[:, free] @ step, 1.0
            cross = penalised[free] & ~entering & ((theta[free] + step) * signs[free] < 0.0)
            if cross.any():
                size = self._lowest(theta[free], step, slope[free], along[free], pull[free], cross)
            before = theta[free]
            theta[free] = before + size * step
            if size < 1.0 or cross.any():
                at_zero = cross & np.isclose(size * step, -before, rtol=1e-12, atol=0.0)
                theta[free[at_zero]] = 0.0
                signs = np.where(penalised, np.sign(theta), 0.0)
                active = (theta != 0.0) | ~penalised
                slope = self.hessian @ theta + self.offset
                continue
            slope = slope + along
            left = np.where(theta == 0.0, np.maximum(np.abs(slope) - pull, 0.0), 0.0)
            enter = left > (goal if several else max(goal, float(left.max()) * (1.0 - 1e-12)))
            if not enter.any():
                break
            several = True
            signs[enter] = -np.sign(slope[enter])
            active |= enter
        return theta

    def _lowest(
        self, theta: np.ndarray, step: np.ndarray, slope: np.ndarray, along: np.ndarray, pull: np.ndarray, cross: Any
    ) -> float:
        """How far along a step the objective is lowest, among its end and the places where elements cross zero."""
        sizes = np.append(np.minimum(-theta[cross] / step[cross], 1.0), 1.0)
        kinks = np.abs(theta + sizes[:, None] * step) @ pull
        return float(sizes[np.argmin(sizes * float(slope @ step) + 0.5 * sizes**2 * float(along @ step) + kinks)])

    def _newton(self, theta: np.ndarray, goal: float) -> tuple[np.ndarray, float]:
        """Newton steps on the elements that are not zero, while they help."""
        best, least = theta, float(np.abs(self.residual(theta)).max(initial=0.0))
        for _ in range(NEWTON_STEPS):
            if least <= goal:
                break
            free, slope, bend = self._smooth_part(best)
            step = _solved(self.hessian[np.ix_(free, free)] + bend, slope)
            if step is None:
                break
            trial = best.copy()
            trial[free] -= step
            left = float(np.abs(self.residual(trial)).max(initial=0.0))
            crossed = self.kind is L1 and bool(np.any((trial * best < 0.0) & (self.where != 0.0)))
            if crossed or not left < least:
                break
            best, least = trial, left
        return best, least

    def _smooth_part(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
        """Elements about which the penalty is smooth, the whole gradient there, and the penalty's second derivative."""
        slope = self.hessian @ theta + self.offset
        if self.kind is None:
            return np.arange(len(theta)), slope, 0.0
        if self.kind is L1:
            free = np.flatnonzero((theta != 0.0) | (self.where == 0.0))
            return free, (slope + self.strength * self.units * self.where * np.sign(theta))[free], 0.0
        member = self.where >= 0
        ids, scaled = np.where(member, self.where, 0), self.units * theta
        norms = np.sqrt(np.bincount(ids, weights=np.square(scaled) * member))
        norm = np.where(member, norms[ids], np.inf)
        free = np.flatnonzero(norm > 0.0)
        along = self.strength / norm[free]
        pull = self.units[free] * scaled[free]
        same = ids[free][:, None] == ids[free]
        bend = np.diag(along * np.square(self.units[free]))
        bend -= np.where(same, np.outer(along / np.square(norm[free]) * pull, pull), 0.0)
        return free, slope[free] + along * pull, bend


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """``matrix⁻¹ right`` of a positive definite matrix; None where it is not."""
    if not len(right):
        return right
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))  # units differ between parameters
    matrix = matrix * scale[:, None] * scale
    matrix[np.diag_indices(len(right))] += 1e-13
    _, found, info = dposv(matrix, scale * right)
    return scale * found if info == 0 and np.isfinite(found).all() else None


def _residual(kind: Any, theta: Any, gradient: Any, units: Any, where: Any, strength: float) -> np.ndarray:
    if kind is None:
        return np.asarray(gradient)
    return np.asarray(units * kind.residual(units * theta, gradient / units, where, strength))


def _padded(array: np.ndarray, size: int, fill: float = 0.0) -> np.ndarray:
    if array.shape[0] == size:
        return np.ascontiguousarray(array, REAL)
    padded = np.full((size,) * array.ndim, fill)
    padded[tuple(slice(k) for k in array.shape)] = array
    return padded


@lru_cache(maxsize=64)
def proximal_steps(n: int, kind: type[ProximalPenalty], ids: tuple[int, ...] | None, uniform: bool) -> Graph:
    """One accelerated proximal gradient step on ``½ θᵀHθ + bᵀθ + P(units·θ)`` as a graph that loops.

    Carry: θ, the extrapolated point, the momentum's counter; then H, b, units, mask, step size, strength.

    Parameters
    ----------
    n : int
    kind : type of ProximalPenalty
    ids : tuple of int, optional
        Group of each element, for `GroupL1`.
    uniform : bool
        Whether all units are one.
    """

    def step(theta: Any, ahead: Any, count: Any, hessian: Any, b: Any, units: Any, mask: Any, *rest: Any) -> Any:
        size, strength, _ = rest
        u = ahead - size * (hessian @ ahead + b)
        where = mask if ids is None else np.array(ids)
        if ids is not None and uniform:
            new = kind.prox(u * units, size * units[0] * units[0], where, strength) / units
        else:  # a penalty of units·θ is one of θ in a diagonal metric
            new = kind.prox(u * units, size * units * units, where, strength) / units
        back = np.sum((ahead - new) * (new - theta)) > 0.0  # momentum that points uphill is dropped
        after = np.where(back, 1.0, 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * count * count)))
        push = np.where(back, 0.0, (count - 1.0) / after)
        return new, new + push * (new - theta), after

    vector, number = ArrayType((n,), REAL), ArrayType((), REAL)
    inputs = (vector, vector, number, ArrayType((n, n), REAL), vector, vector, vector, number, number)
    return optimize(trace(step, *inputs, ArrayType((1,), REAL), name="proximal_steps"))


def row_graph(network: Network, n: int, n_targets: int, n_raw: int, loss: Loss | None) -> Graph:
    """The graph ``(raw, y) -> (losses, gradient by raw, one column of the curvature by raw after the other)``."""
    per_row = loss or network.output.nll

    def rows(raw: Any, y: Any) -> Any:
        def total(r: Any) -> Any:
            return np.sum(one_per_row(per_row(r, y), n))

        bends = [hvp(total, raw, np.tile(np.eye(n_raw)[k], (n, 1))) for k in range(n_raw)]
        return (per_row(raw, y), grad(total)(raw), *bends)

    return optimize(trace(rows, ArrayType((n, n_raw), REAL), ArrayType((n, n_targets), REAL), name="rows"))


__all__ = ["LinearSolver"]

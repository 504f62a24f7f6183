"""Minimise any function of arrays written in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.minimize_lbfgs import lbfgs
from chainrule.learn.minimize_objective import Objective
from chainrule.learn.minimize_result import Path, Result
from chainrule.learn.minimize_search import Limits, Stop, Tracker, epochs, proximal_gradient, update_steps
from chainrule.learn.optimizers import GD, LBFGS, SGD, Adam, AdamW, FirstOrder, Optimizer, RMSProp
from chainrule.learn.penalties import L1
from chainrule.learn.schedules import Schedule

#: optimisers by the name of the method, with the learning rate used where none is given
METHODS: dict[str, Optimizer] = {
    "gd": GD(0.01),
    "sgd": SGD(0.01),
    "momentum": SGD(0.01, momentum=0.9),
    "nesterov": SGD(0.01, momentum=0.9, nesterov=True),
    "adam": Adam(0.01),
    "adamw": AdamW(0.01),
    "rmsprop": RMSProp(0.01),
    "lbfgs": LBFGS(),
}

#: methods whose step size is found by backtracking where no learning rate is given
BACKTRACKING = ("gd", "nesterov")


def minimize(
    f: Callable[..., Any],
    x0: Any,
    method: str | Optimizer | None = None,
    *,
    lr: float | Schedule | None = None,
    penalty: Any = None,
    data: Any = None,
    batch_size: int | None = None,
    starts: int | Sequence[Any] | None = None,
    spread: float = 1.0,
    max_iter: int | None = None,
    tol: float = 1e-8,
    random_state: int | np.random.Generator = 0,
) -> Result:
    """Find a local minimum of a function, ``argmin_x f(x) + penalty``. To maximise f, minimise ``-f``.

    Parameters
    ----------
    f : callable
        Plain NumPy; ``f(x)``, or ``f(x, *data)`` with data, returns one number. It must be a function of its arguments
        alone: it is recorded as a graph once, and the graph is run.
    x0 : array, or nested tuples, lists and dicts of arrays
        Where to start.
    method : str or Optimizer
        ``"lbfgs"`` (the default: few iterations, high precision), ``"gd"`` and ``"nesterov"`` (with a step size found
        by backtracking, or with the ``lr`` given), ``"sgd"``, ``"momentum"``, ``"adam"`` (the default with
        mini-batches), ``"adamw"``, ``"rmsprop"``, or an optimiser such as ``cr.SGD(0.1, momentum=0.95)``.
    lr : float or Schedule, optional
        Learning rate of a method given by name.
    penalty : Penalty, optional
        ``cr.L1(λ)``, ``cr.L2(λ)``, ``cr.GroupL1(λ)`` or a sum of them, on all parameters; or a container nested like x0
        (or like its upper levels) with a penalty or ``None`` for each part. L1 and GroupL1 give exact zeros.
    data : array or tuple of arrays, optional
        Handed to f after x. With ``batch_size``, f must be the *mean* over the rows it is given.
    batch_size : int, optional
        Rows per step, from 1 to all; the data are shuffled every epoch. By default every step uses all rows.
    starts : int or sequence, optional
        Run from so many points: x0 itself and others drawn around it from a normal distribution of standard deviation
        ``spread``. Or a sequence of points nested like x0, used besides x0 itself. The best is returned, with all in
        ``.starts`` and the different ones in ``.optima``.
    spread : float
    max_iter : int, optional
        Iterations, 10 000 by default; with mini-batches epochs, 100 by default.
    tol : float
        Stop when ``‖∇f‖ ≤ tol`` (with a kinked penalty, the norm of the smallest subgradient).
    random_state : int or numpy.random.Generator
        For the starts and the shuffling.

    Returns
    -------
    Result
        A search that fails says so in ``.success`` and ``.reason``; it does not raise, and x is never NaN.

    Raises
    ------
    OptionError
        For options that make no sense.
    DifferentiationError, TraceError
        If f does not return one number, or uses an operation that cannot be differentiated.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> result = cr.minimize(lambda x: np.sum((x - 3.0) ** 2), np.zeros(2))
    >>> result.x, result.success, result.curvature.kind
    (array([3., 3.]), True, 'minimum')
    """
    _check(tol, max_iter, spread)
    arrays = () if data is None else tuple(data) if isinstance(data, (tuple, list)) else (data,)
    objective = Objective(f, x0, penalty, arrays)
    theta = objective.flat(x0)
    rng = np.random.default_rng(random_state)
    search = _Search(objective, _batch_size(batch_size, objective), method, lr, max_iter, tol)
    points = [theta, *_other_points(starts, theta, spread, objective, rng)]
    results = []
    with objective.threads(), np.errstate(all="ignore"):  # what leaves the finite range is found and told in words
        for point in points:
            results.append(search.run(point, rng))
    if len(results) == 1:
        return results[0]
    ranked = sorted(results, key=lambda r: (not r.success, r.value if np.isfinite(r.value) else np.inf))
    return replace(ranked[0], starts=ranked)


class _Search:
    """How to search: the method, settled once, and run from each starting point."""

    def __init__(
        self,
        objective: Objective,
        batch_size: int | None,
        method: str | Optimizer | None,
        lr: float | Schedule | None,
        max_iter: int | None,
        tol: float,
    ) -> None:
        self.objective, self.batch_size = objective, batch_size
        only_l1 = all(isinstance(p.penalty, L1) for p in objective.proximal)
        if method is None:
            method = "adam" if batch_size else "lbfgs" if only_l1 else "nesterov"
        self.name = method if isinstance(method, str) else type(method).__name__
        self.optimizer = _optimizer(method, lr)
        self.backtracking = method in BACKTRACKING and lr is None and not batch_size
        if self.optimizer.full_batch:
            if batch_size:
                raise OptionError(f"method {self.name} needs all rows in every step; leave batch_size out")
            if not only_l1:
                raise OptionError(f"method {self.name} takes L1 and L2 penalties; use method='nesterov' with GroupL1")
        self.limits = Limits(float(tol), (100 if batch_size else 10_000) if max_iter is None else int(max_iter))

    def run(self, theta: np.ndarray, rng: np.random.Generator) -> Result:
        """Search from one point."""
        track = Tracker(theta.size)
        stop = self._iterate(theta, track, rng)
        if not np.isfinite(stop.theta).all() or not np.isfinite(stop.value):  # not even the start was finite
            stop = Stop(theta, stop.value, stop.grad_norm, stop.status, max(stop.n_iter, 0), stop.detail)
        success = stop.status == "gradient" or (stop.status == "precision" and self._arrived(stop, track.path))
        return Result(
            x=self.objective.nested(stop.theta.copy()),
            value=stop.value,
            grad_norm=stop.grad_norm,
            status=stop.status,
            reason=self._reason(stop, track, success),
            success=success,
            n_iter=stop.n_iter,
            method=self.name,
            path=track.path,
            _objective=self.objective,
            _theta=stop.theta,
        )

    def _iterate(self, theta: np.ndarray, track: Tracker, rng: np.random.Generator) -> Stop:
        if self.backtracking:
            return proximal_gradient(self.objective, theta, self.limits, track, accelerate=self.name == "nesterov")
        if isinstance(self.optimizer, LBFGS):
            return lbfgs(self.objective, theta, self.optimizer, self.limits, track)
        assert isinstance(self.optimizer, FirstOrder)
        if self.batch_size:
            return epochs(self.objective, theta, self.optimizer, self.batch_size, self.limits, track, rng)
        return update_steps(self.objective, theta, self.optimizer, self.limits, track)

    def _arrived(self, stop: Stop, path: Path) -> bool:
        """Whether a search that ran into rounding got near enough to a stationary point to call it one."""
        return stop.grad_norm <= 1e-8 * max(1.0, abs(stop.value), float(path.grad_norms[0]))

    def _reason(self, stop: Stop, track: Tracker, success: bool) -> str:
        limit, tol, norm = self.limits.max_iter, self.limits.tol, stop.grad_norm
        unit = "epochs" if self.batch_size else "iterations"
        lr = "" if self.backtracking or not isinstance(self.optimizer, FirstOrder) else f" ({_rate(self.optimizer)})"
        match stop.status:
            case "gradient":
                return f"the gradient is small: ‖∇J‖ = {norm:.2g} ≤ tol = {tol:g}"
            case "precision" if success:
                return f"no smaller value can be told apart in float64 (‖∇J‖ = {norm:.2g}, tol = {tol:g})"
            case "precision":
                return (
                    f"the line search found no smaller value although ‖∇J‖ = {norm:.2g}: is the function smooth there? "
                    "cr.check_gradient tells"
                )
            case "limit":
                rose = track.n_iter > 0 and track.last > track.path.values[0]
                advice = f"J rose from {track.path.values[0]:.4g} to {track.last:.4g}, so lower lr{lr}" if rose else ""
                return f"the limit of {limit} {unit} was reached with ‖∇J‖ = {norm:.2g} > tol = {tol:g}" + (
                    f"; {advice}" if advice else "; raise max_iter, or change lr or the method"
                )
            case "unbounded":
                return "J falls without bound: there is no minimum on this way (to maximise f, minimise -f)"
            case _:
                if track.n_iter < 0:
                    return f"J is not finite at the starting point: {stop.detail} is the first to be infinite or NaN"
                return (
                    f"diverged after {track.n_iter} {unit}: {stop.detail} was the first to become infinite or NaN; "
                    f"lower lr{lr}; x is the best point before it"
                )


def _optimizer(method: str | Optimizer, lr: float | Schedule | None) -> Optimizer:
    if isinstance(method, Optimizer):
        if lr is not None:
            raise OptionError(f"give lr inside the optimiser, {type(method).__name__}(lr), or give the method by name")
        return method
    if method not in METHODS:
        raise OptionError(f"method {method!r} is not known; choose one of {', '.join(METHODS)}, or give an optimiser")
    chosen = METHODS[method]
    if lr is None:
        return chosen
    if not isinstance(chosen, FirstOrder):
        raise OptionError(f"method {method} finds its step size by a line search; leave lr out")
    return replace(chosen, lr=lr)  # type: ignore[type-var]


def _rate(optimizer: FirstOrder) -> str:
    rate = optimizer.lr
    return f"it was {type(rate).__name__}" if isinstance(rate, Schedule) else f"it was {rate:g}"


def _check(tol: float, max_iter: int | None, spread: float) -> None:
    if not tol >= 0:
        raise OptionError(f"tol must be at least 0, got {tol!r}")
    if max_iter is not None and (not isinstance(max_iter, (int, np.integer)) or max_iter < 0):
        raise OptionError(f"max_iter must be a whole number, at least 0, got {max_iter!r}")
    if not (np.isfinite(spread) and spread >= 0):
        raise OptionError(f"spread must be a number, at least 0, got {spread!r}")


def _batch_size(batch_size: int | None, objective: Objective) -> int | None:
    if batch_size is None:
        return None
    if not objective.data:
        raise OptionError("batch_size needs data=: the arrays whose rows are handed to f in batches")
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise OptionError(f"batch_size must be a whole number, at least 1, got {batch_size!r}")
    return min(int(batch_size), len(objective.data[0]))


def _other_points(
    starts: Any, theta: np.ndarray, spread: float, objective: Objective, rng: np.random.Generator
) -> list[np.ndarray]:
    if starts is None:
        return []
    if isinstance(starts, (int, np.integer)):
        if starts < 1:
            raise OptionError(f"starts must be at least 1, got {starts}")
        return [theta + spread * rng.standard_normal(theta.size) for _ in range(int(starts) - 1)]
    if not isinstance(starts, (list, tuple, np.ndarray)):
        raise OptionError(
            f"starts must be a number or a sequence of points nested like x0, got {type(starts).__name__}"
        )
    return [objective.flat(point, f"starts[{k}]") for k, point in enumerate(starts)]


__all__ = ["METHODS", "Path", "Result", "minimize"]

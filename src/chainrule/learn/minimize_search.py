"""The iterations of `minimize`: each takes an objective and a starting point and says where it stopped and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.learn.minimize_objective import Objective
from chainrule.learn.minimize_result import Path, Status
from chainrule.learn.optimizers import FirstOrder

#: value and gradient of the smooth part, value of the penalties with a kink
Evaluation = tuple[float, np.ndarray, float]

#: differences of the objective below this, relative to its size, are rounding
ROUNDING = 1e-13


@dataclass(frozen=True)
class Limits:
    """When to stop: a small gradient norm, or a number of iterations."""

    tol: float
    max_iter: int


@dataclass(frozen=True)
class Stop:
    """Where an iteration stopped and why."""

    theta: np.ndarray
    value: float
    grad_norm: float
    status: Status
    n_iter: int
    detail: str = ""


class Tracker:
    """Keeps the path, and the best point for the case that the way ends badly."""

    def __init__(self, size: int) -> None:
        self.path = Path(size)
        self.best: tuple[float, np.ndarray, float] = (np.inf, np.zeros(size), np.inf)
        self.n_iter = -1
        self.last = np.inf

    def add(self, theta: np.ndarray, value: float, grad_norm: float) -> None:
        self.n_iter += 1
        self.last = value
        self.path.add(self.n_iter, theta, value, grad_norm)
        if -np.inf < value < self.best[0]:
            self.best = (value, theta.copy(), grad_norm)

    def stop(self, status: Status, detail: str = "") -> Stop:
        """Stop at the best point."""
        value, theta, grad_norm = self.best
        return Stop(theta, value, grad_norm, status, self.n_iter, detail)


def evaluate(objective: Objective, theta: np.ndarray) -> tuple[float, np.ndarray, float]:
    """Objective, gradient of its smooth part and norm of the smallest subgradient."""
    smooth, gradient, kinks = objective.evaluate(theta)
    residual = objective.residual(theta, gradient, objective.strengths)
    return smooth + kinks, gradient, float(np.linalg.norm(residual))


def update_steps(
    objective: Objective, theta: np.ndarray, optimizer: FirstOrder, limits: Limits, track: Tracker
) -> Stop:
    """Steps of an optimiser on the whole objective: the same graph again and again."""
    program = objective.update_step(optimizer, None)
    hyper = {k: np.float64(v) for k, v in optimizer.hyper().items()}
    state = optimizer.init(theta)
    for t in range(limits.max_iter + 1):
        arguments = (theta, state, np.float64(t + 1), hyper, objective.strengths, objective.data)
        new, state, value, grad_norm = program(*arguments)
        if not (np.isfinite(value) and np.isfinite(grad_norm)):
            return diverged(track, program.first_fault(*arguments), float(value))
        track.add(theta, float(value), float(grad_norm))
        if grad_norm <= limits.tol:
            return Stop(theta, float(value), float(grad_norm), "gradient", t)
        if t == limits.max_iter:
            break
        if not np.isfinite(new).all():
            return diverged(track, program.first_fault(*arguments), float(value))
        theta = new
    if value > track.path.values[0]:  # on its way to diverging
        return track.stop("limit")
    return Stop(theta, float(value), float(grad_norm), "limit", limits.max_iter)


def epochs(
    objective: Objective,
    theta: np.ndarray,
    optimizer: FirstOrder,
    batch_size: int,
    limits: Limits,
    track: Tracker,
    rng: np.random.Generator,
) -> Stop:
    """Steps of an optimiser on shuffled mini-batches; the whole objective is looked at after every epoch."""
    n_rows = len(objective.data[0])
    hyper = {k: np.float64(v) for k, v in optimizer.hyper().items()}
    state, t = optimizer.init(theta), 0
    for epoch in range(limits.max_iter + 1):
        value, _, grad_norm = evaluate(objective, theta)
        if not (np.isfinite(value) and np.isfinite(grad_norm)):
            return diverged(track, objective.fault(theta), value)
        track.add(theta, value, grad_norm)
        if grad_norm <= limits.tol:
            return Stop(theta, value, grad_norm, "gradient", epoch)
        if epoch == limits.max_iter:
            break
        order = rng.permutation(n_rows)
        for start in range(0, n_rows, batch_size):
            rows = order[start : start + batch_size]
            batch = tuple(d[rows] for d in objective.data)
            t += 1
            program = objective.update_step(optimizer, len(rows))
            arguments = (theta, state, np.float64(t), hyper, objective.strengths, batch)
            new, state, value, _ = program(*arguments)
            if not np.isfinite(new).all():
                return diverged(track, program.first_fault(*arguments), float(value))
            theta = new
    return Stop(theta, value, grad_norm, "limit", limits.max_iter)


def proximal_gradient(
    objective: Objective, theta: np.ndarray, limits: Limits, track: Tracker, *, accelerate: bool
) -> Stop:
    """Gradient descent, or proximal gradient descent, with the step size found by backtracking.

    A step size η is accepted once the parabola of curvature 1/η lies above the objective's smooth part at the new
    point (Beck & Teboulle 2009, FISTA). ``accelerate`` adds Nesterov's momentum, restarted where it points uphill
    (O'Donoghue & Candès 2015, "Adaptive restart for accelerated gradient schemes").
    """
    step, momentum, before = 1.0, 1.0, theta
    here = objective.evaluate(theta)
    if not (np.isfinite(here[0] + here[2]) and np.isfinite(here[1]).all()):
        return diverged(track, objective.fault(theta), here[0] + here[2])
    for t in range(limits.max_iter + 1):
        value = here[0] + here[2]
        norm = float(np.linalg.norm(objective.residual(theta, here[1], objective.strengths)))
        track.add(theta, value, norm)
        if norm <= limits.tol:
            return Stop(theta, value, norm, "gradient", t)
        if value < -1e300:
            return diverged(track, "", -np.inf)
        if t == limits.max_iter:
            break
        found = None
        if accelerate and momentum > 1.0:
            following = _next_momentum(momentum)
            y = theta + ((momentum - 1.0) / following) * (theta - before)
            found = _backtrack(objective, y, objective.evaluate(y), step)
            if found is not None and (y - found[0]) @ (found[0] - theta) > 0.0:  # the momentum points uphill
                found = None
            momentum = following
        if found is None:
            momentum = 1.0
            found = _backtrack(objective, theta, here, 1.5 * step)
            if found is None:
                return track.stop("precision")
        before, (theta, here, step) = theta, found
        if accelerate and momentum == 1.0:
            momentum = _next_momentum(momentum)
    return track.stop("limit")


def _next_momentum(momentum: float) -> float:
    return 0.5 * (1.0 + float(np.sqrt(1.0 + 4.0 * momentum**2)))


def _backtrack(
    objective: Objective, y: np.ndarray, at_y: Evaluation, step: float
) -> tuple[np.ndarray, Evaluation, float] | None:
    """The proximal gradient step from y with the largest step size that is accepted; ``None`` if there is none."""
    smooth, gradient, _ = at_y
    if not (np.isfinite(smooth) and np.isfinite(gradient).all()):
        return None
    shortest = 1e-18 * (1.0 + float(np.linalg.norm(y)))
    while True:
        new = objective.prox(y - step * gradient, step, objective.strengths)
        ahead = objective.evaluate(new)
        if _below_parabola(smooth, gradient, ahead, new - y, step):
            return new, ahead, step
        step *= 0.5
        if step * float(np.linalg.norm(gradient)) <= shortest:
            return None


def _below_parabola(smooth: float, gradient: np.ndarray, ahead: Any, d: np.ndarray, step: float) -> bool:
    """Whether ``f(y + d) ≤ f(y) + gᵀd + ‖d‖²/(2η)``; by gradients where the values agree to rounding."""
    if not (np.isfinite(ahead[0]) and np.isfinite(ahead[1]).all()):
        return False
    parabola = float(d @ d) / step
    if max(abs(ahead[0] - smooth), parabola) <= 1e3 * ROUNDING * max(abs(smooth), abs(ahead[0])):
        return float(d @ (ahead[1] - gradient)) <= parabola
    return bool(ahead[0] <= smooth + float(gradient @ d) + 0.5 * parabola)


def diverged(track: Tracker, fault: str, value: float) -> Stop:
    """Stop because numbers left the finite range."""
    falling = value == -np.inf or (track.n_iter > 0 and track.last < min(-1e20, track.path.values[0]))
    return track.stop("unbounded" if falling else "diverged", fault)

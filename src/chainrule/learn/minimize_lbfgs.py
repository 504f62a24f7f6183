"""L-BFGS for `minimize`: SciPy's L-BFGS-B, exact zeros under L1, and Newton steps to the last digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.calculus.curvature import DENSE_LIMIT, dense_matrix
from chainrule.learn.minimize_objective import Objective
from chainrule.learn.minimize_search import Limits, Stop, Tracker, diverged, evaluate
from chainrule.learn.optimizers import LBFGS
from chainrule.learn.split import Split


def _slope(objective: Objective) -> np.ndarray:
    """Strength of the L1 term for each element of θ."""
    slope = np.zeros(objective.size)
    for p in objective.proximal:
        slope[p.members] = p.penalty.strength
    return slope


def lbfgs(objective: Objective, theta: np.ndarray, method: LBFGS, limits: Limits, track: Tracker) -> Stop:
    """L-BFGS-B on the whole objective, then Newton steps where the values no longer tell points apart."""
    from scipy.optimize import fmin_l_bfgs_b

    split = Split(_slope(objective))
    value, _, norm = evaluate(objective, theta)
    if not (np.isfinite(value) and np.isfinite(norm)):
        return diverged(track, objective.fault(theta), value)
    track.add(theta, value, norm)
    if norm <= limits.tol:
        return Stop(theta, value, norm, "gradient", 0)
    if limits.max_iter == 0:
        return track.stop("limit")
    center, level = split.variables(theta), value  # the current iterate

    def fun(z: np.ndarray) -> tuple[float, np.ndarray]:
        smooth, gradient, _ = objective.evaluate(split.theta(z))
        if np.isfinite(smooth) and np.isfinite(gradient).all():
            return split.value(smooth, z), split.gradient(gradient)
        if smooth == -np.inf:
            return -1e308, np.zeros_like(z)
        # outside the domain: a bowl around the current iterate sends the line search back
        d = z - center
        rise = max(1.0, abs(level))
        return level + rise, d * (2.0 * rise / max(float(d @ d), 1e-300))

    def after_iteration(z: np.ndarray) -> None:
        nonlocal center, level
        point = split.theta(z)
        center = z.copy()
        level, _, norm = evaluate(objective, point)
        track.add(point, level, norm)

    z, _, _ = fmin_l_bfgs_b(
        fun,
        center,
        bounds=split.bounds,
        m=method.memory,
        factr=0.0,
        pgtol=limits.tol / float(np.sqrt(objective.size)),
        maxfun=20 * limits.max_iter + 100,
        maxiter=limits.max_iter,
        maxls=40,
        callback=after_iteration,
    )
    theta = split.theta(z)
    value, _, norm = evaluate(objective, theta)
    if value <= -1e300 or not np.isfinite(value):
        return diverged(track, "", -np.inf)
    if norm > limits.tol and track.n_iter >= limits.max_iter:
        return track.stop("limit")
    return finish(objective, theta, limits, track)


def finish(objective: Objective, theta: np.ndarray, limits: Limits, track: Tracker) -> Stop:
    """Newton steps on the elements that are off the kinks, as long as they shrink the gradient.

    A line search compares values, which agree to rounding once θ is within about √ε of the minimum; the gradient still
    tells points apart there.
    """
    value, gradient, norm = evaluate(objective, theta)
    while norm > limits.tol:
        free = objective.free(theta)
        if not free.any() or int(free.sum()) > DENSE_LIMIT:
            break
        step = _newton_step(objective, theta, gradient, free)
        if step is None:
            break
        new = theta + step
        if any((np.sign(new[p.members]) * np.sign(theta[p.members]) < 0).any() for p in objective.proximal):
            break  # the step crosses a kink
        new_value, new_gradient, new_norm = evaluate(objective, new)
        if not new_norm < norm or new_value > value + 1e-6 * abs(value):
            break
        improved = new_norm < 0.5 * norm
        theta, value, gradient, norm = new, new_value, new_gradient, new_norm
        track.add(theta, value, norm)
        if not improved:
            break
    return Stop(theta, value, norm, "gradient" if norm <= limits.tol else "precision", track.n_iter)


def _newton_step(objective: Objective, theta: np.ndarray, gradient: np.ndarray, free: np.ndarray) -> Any:
    """``−H⁻¹ ∇(J + P)`` on the free elements, where H is positive definite; else ``None``."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    hessian = dense_matrix(objective.hessian_on(theta, free), int(free.sum()))
    if not np.isfinite(hessian).all():
        return None
    scale = np.sqrt(np.abs(np.diag(hessian)))  # parameters of very different size
    scale = np.where(scale > 0, scale, 1.0)
    try:
        factor = cho_factor(hessian / np.outer(scale, scale))
    except LinAlgError:
        return None
    residual = objective.residual(theta, gradient, objective.strengths)[free]
    step = np.zeros_like(theta)
    step[free] = -cho_solve(factor, residual / scale) / scale
    return step

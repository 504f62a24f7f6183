"""Training on the whole objective at once, by L-BFGS: for linear models, small tables and exact solutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import fmin_l_bfgs_b

from chainrule.calculus import hvp, value_and_grad
from chainrule.calculus.curvature import DENSE_LIMIT, dense_matrix
from chainrule.errors import DivergenceError, OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import trace
from chainrule.graph.types import ArrayType
from chainrule.learn.penalties import L1, GroupL1, optimality_residual
from chainrule.learn.split import Split
from chainrule.learn.step import one_per_row
from chainrule.networks import Network, Pass
from chainrule.passes import optimize

NEWTON_STEPS = 10
#: iterations of L-BFGS before Newton steps are tried
LEG = 200

#: bytes of evaluations that are kept for one who may want to go on later; what is beyond is evaluated again
KEPT = 2**28

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]
Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Solution:
    """Where a full-batch solver stopped.

    Parameters
    ----------
    theta : array of shape (n,)
    value : float
        Of the whole objective.
    residual : float
        Largest element of the smallest subgradient; 0 at the optimum.
    n_iter : int
    converged : bool
    reason : str
    """

    theta: np.ndarray
    value: float
    residual: float
    n_iter: int
    converged: bool
    reason: str


def solve(
    smooth: Objective,
    start: np.ndarray,
    *,
    l1: np.ndarray | None = None,
    tol: float = 1e-9,
    max_iter: int = 10_000,
    memory: int = 20,
    on_iteration: Callable[[np.ndarray], None] | None = None,
    hvp: Product | None = None,
) -> Solution:
    """Minimise ``smooth(θ) + Σ l1ᵢ |θᵢ|`` by L-BFGS, and finish with Newton steps.

    A line search compares values, so it ends where they no longer differ, at about the root of the machine's precision
    in θ. Newton steps on the parameters that are not at zero compare gradients only, and go on from there.

    Parameters
    ----------
    smooth : callable
        Value and gradient at θ, float64.
    start : array of shape (n,)
    l1 : array of shape (n,), optional
        Strength per parameter.
    tol : float
        Largest element of the smallest subgradient at which to stop.
    hvp : callable, optional
        Product of the Hessian of `smooth` at θ and a vector.
    """
    weights = np.zeros(len(start)) if l1 is None else np.asarray(l1, np.float64)
    split = Split(weights)

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = smooth(split.theta(z))
        if not np.isfinite(value):
            raise DivergenceError("the objective became infinite or NaN; look for extreme values in the data")
        return split.value(value, z), split.gradient(gradient)

    def residual(theta: np.ndarray) -> float:
        return optimality_residual(L1(1.0), theta, smooth(theta)[1], weights)

    z = split.variables(np.asarray(start, np.float64))
    callback = None if on_iteration is None else (lambda z: on_iteration(split.theta(z)))
    n_iter, reason = 0, "the limit of iterations was reached"
    remaining = max_iter
    while remaining > 0:  # a fresh start clears the curvature pairs, which helps where rounding has spoilt them
        leg = remaining if hvp is None else min(remaining, LEG)
        found, _, facts = fmin_l_bfgs_b(
            objective,
            z,
            bounds=split.bounds,
            m=memory,
            factr=0.0,
            pgtol=tol,
            maxiter=leg,
            maxfun=20 * leg,
            maxls=50,
            callback=callback,
        )
        n_iter += int(facts["nit"])
        remaining -= max(int(facts["nit"]), 1)
        improved = bool(np.any(found != z))
        z = found
        if hvp is not None and residual(split.theta(z)) > tol:
            z = split.variables(_newton(smooth, hvp, weights, split.theta(z), residual, tol))
        if residual(split.theta(z)) <= tol or not improved:
            break
    theta = split.theta(z)
    final = residual(theta)
    value = float(smooth(theta)[0] + weights @ np.abs(theta))
    if final <= tol:
        reason = f"the gradient is small (largest element {final:.1e})"
    elif remaining > 0:
        reason = f"no further decrease is possible in floating point (largest gradient element {final:.1e})"
    return Solution(theta, value, final, n_iter, remaining > 0, reason)


def _newton(
    smooth: Objective,
    hvp: Product,
    weights: np.ndarray,
    theta: np.ndarray,
    residual: Callable[[np.ndarray], float],
    tol: float,
) -> np.ndarray:
    """Newton steps on the parameters that are not held at zero, while they help."""
    best = residual(theta)
    for _ in range(NEWTON_STEPS):
        free = np.flatnonzero((theta != 0) | (weights == 0))
        gradient = (smooth(theta)[1] + weights * np.sign(theta))[free]

        def product(v: np.ndarray, free: np.ndarray = free, at: np.ndarray = theta) -> np.ndarray:
            full = np.zeros_like(at)
            full[free] = v
            return hvp(at, full)[free]

        moved = theta.copy()
        moved[free] += _solve(product, -gradient)
        crossed = (weights > 0) & (np.sign(moved) != np.sign(theta))
        after = residual(moved)
        if crossed.any() or not after < best:
            break
        theta, best = moved, after
        if best <= tol:
            break
    return theta


def _solve(product: Callable[[np.ndarray], np.ndarray], right: np.ndarray) -> np.ndarray:
    """``H⁻¹ r``: by a factorisation where H is small (zeros where it is not positive definite), else by conjugate
    gradients, ended where H is not positive."""
    if len(right) <= DENSE_LIMIT:
        matrix = dense_matrix(product, len(right))
        scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), np.finfo(float).tiny))  # units differ between parameters
        try:
            with np.errstate(all="ignore"):  # infinite where a curvature vanishes, and then refused
                factor = cho_factor(matrix * scale[:, None] * scale)
        except (LinAlgError, ValueError):
            return np.zeros_like(right)
        return scale * cho_solve(factor, scale * right)
    step, remainder = np.zeros_like(right), right.copy()
    direction, norm = remainder.copy(), float(remainder @ remainder)
    target = norm * 1e-24
    for _ in range(2 * len(right)):
        across = product(direction)
        curvature = float(direction @ across)
        if norm <= target or not curvature > 0:
            break
        step += norm / curvature * direction
        remainder -= norm / curvature * across
        norm, before = float(remainder @ remainder), norm
        direction = remainder + norm / before * direction
    return step


def objective_graphs(
    network: Network, n_inputs: int, n_targets: int, n_rows: int, loss: Any, dtype: Any
) -> tuple[Graph, Callable[[], Graph]]:
    """The graphs of all rows at once: ``(θ, x, y, w) -> (mean loss, its gradient)``, and, made when it is asked for,
    ``(θ, v, x, y, w) -> Hessian · v``."""
    layout = network.layout(n_inputs, n_targets)
    per_row = loss or network.output.nll
    if network.buffers(n_inputs) or network.hyper():
        raise OptionError(
            "L-BFGS needs a deterministic objective; leave out dropout and batch normalisation, or use adam"
        )

    def mean_loss(theta: Any, x: Any, y: Any, w: Any) -> Any:
        raw = network.raw(layout.unflatten(theta), x, Pass(training=True, buffers={}, weights=w))
        return np.sum(w * one_per_row(per_row(raw, y), n_rows)) / float(n_rows)

    def product(theta: Any, v: Any, x: Any, y: Any, w: Any) -> Any:
        return hvp(lambda t: mean_loss(t, x, y, w), theta, v)

    theta = ArrayType((layout.size,), dtype)
    data = (
        ArrayType((n_rows, n_inputs), dtype),
        ArrayType((n_rows, n_targets), dtype),
        ArrayType((n_rows,), dtype),
    )
    first = optimize(trace(value_and_grad(mean_loss), theta, *data, name="objective"))
    return first, lambda: optimize(trace(product, theta, theta, *data, name="hessian_product"))


def penalty_weights(training: Any, key: str) -> np.ndarray:
    """Strength of the L1 or L2 penalties for each element of θ."""
    o = training.options
    if any(isinstance(p, GroupL1) for p in o.penalties):
        raise OptionError("group L1 on hidden layers is not available with L-BFGS; use optimizer='adam'")
    weights = np.ones(training.layout.size) if o.penalise_biases else training.layout.mask()
    if o.raw_units is not None:  # w = v · target scale / input scale, and the loss was divided by target scale²
        input_scale, target_scale = o.raw_units
        per_input = 1.0 / input_scale if key == "l1" else 1.0 / np.square(input_scale)
        per_input = per_input / target_scale if key == "l1" else per_input
        first = training.layout.pieces[0]
        weights[: first.size] *= np.repeat(per_input, first.size // first.shape[0])
    return weights * sum(p.strength for p in o.penalties if p.key == key)


def _has_exact_solver(network: Network, options: Any) -> bool:
    """Whether it is a linear model with kinks, which `LinearSolver` solves to rounding errors, equal columns too."""
    if network.layers:
        return False
    if any(isinstance(p, GroupL1) for p in options.penalties):
        return True
    to_its_end = not (options.keep_best or options.penalise_biases) and options.dtype == "float64"
    return to_its_end and any(isinstance(p, L1) for p in options.penalties)


class _Stopped(Exception):
    """Somebody who watched asked for an end."""


def run_full_batch(
    training: Any,
    max_epochs: int | None = None,
    on_epoch: Callable[[Any], bool | None] | None = None,
    on_segment: Callable[[Any], None] | None = None,
) -> None:
    """Train by L-BFGS on all rows at once; called by `Training.run` for optimisers with ``full_batch``.

    Iterations count as epochs. Where there are validation rows the parameters of the best iteration are kept, unless
    the options say otherwise.

    A solver's state is a function of where it began and of the values and gradients it was told. So these are what a
    training keeps that may have to go on later: told again, they bring the solver to the same bits in no time.
    """
    o, rows, network = training.options, training.rows, training.network
    if _has_exact_solver(network, o):
        from chainrule.learn.path import run_exactly

        run_exactly(training)
        return
    dtype = np.dtype(o.dtype)
    sizes = (training.n_inputs, training.n_targets, len(rows))
    graph, second = objective_graphs(network, *sizes, o.loss, dtype)
    products: list[Graph] = []
    l1, l2 = penalty_weights(training, "l1"), penalty_weights(training, "l2")
    free = np.ones(training.layout.size)
    if not o.intercept:
        training.layout.unflatten(free)["output.bias"][:] = 0.0

    def smooth(theta: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            value, gradient = graph.run(theta.astype(dtype), rows.x, rows.y, rows.w)
        return float(value) + 0.5 * float(l2 @ np.square(theta)), free * (gradient.astype(np.float64) + l2 * theta)

    def product(theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        if not products:
            products.append(second())
        with np.errstate(all="ignore"):
            (value,) = products[0].run(theta.astype(dtype), (free * v).astype(dtype), rows.x, rows.y, rows.w)
        return free * (value.astype(np.float64) + l2 * v) + (1.0 - free) * v  # what is held has a step of its own: none

    told = iterations = 0
    done = training.epoch - training.begun

    def watched(theta: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal told
        told += 1
        known = training.evaluations
        if on_segment is None or told <= len(known):
            return (known[told - 1][-1], known[told - 1][:-1]) if told <= len(known) else smooth(theta)
        value, gradient = smooth(theta)
        if len(known) == told - 1 and told * theta.nbytes <= KEPT:
            known.append(np.append(gradient, value))
        on_segment(training)
        return value, gradient

    def note(theta: np.ndarray) -> None:
        nonlocal iterations
        iterations += 1
        if iterations <= done:  # before an interruption
            return
        training.set_theta(theta)
        training.note_epoch(smooth(theta)[0] - 0.5 * float(l2 @ np.square(theta)))
        if on_epoch is not None and on_epoch(training):
            raise _Stopped

    tolerance = max(o.tol, 1e-4) if dtype == np.float32 else o.tol
    try:
        solution = solve(
            watched,
            free * training.origin.astype(np.float64),
            l1=l1 if l1.any() else None,
            tol=tolerance,
            max_iter=o.max_epochs if max_epochs is None else max_epochs,
            memory=o.optimizer.memory,
            on_iteration=note,
            hvp=product if dtype == np.float64 else None,
        )
        training.set_theta(solution.theta)
        training.solution, training.reason = solution, solution.reason
    except _Stopped:
        training.reason = "stopped on request"
    if training.validation is not None and o.keep_best:
        training.restore_best()

"""Training on the whole objective at once, by L-BFGS: for linear models, small tables and exact solutions.

An L1 term is made smooth by splitting each penalised parameter into its positive and negative part, both bounded by
zero: ``θ = θ⁺ - θ⁻``, ``‖θ‖₁ = Σ θ⁺ + θ⁻`` (Schmidt, Fung & Rosales 2007, §2.3). Bounds are met exactly, so zeros are
exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize as scipy_minimize

from chainrule.calculus import value_and_grad
from chainrule.errors import DivergenceError, OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import trace
from chainrule.graph.types import ArrayType
from chainrule.learn.penalties import GroupL1
from chainrule.networks import Network, Pass
from chainrule.passes import optimize

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


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
) -> Solution:
    """Minimise ``smooth(θ) + Σ l1ᵢ |θᵢ|`` by L-BFGS.

    Parameters
    ----------
    smooth : callable
        Value and gradient at θ, float64.
    start : array of shape (n,)
    l1 : array of shape (n,), optional
        Strength per parameter.
    tol : float
        Largest element of the smallest subgradient at which to stop.
    """
    weights = np.zeros(len(start)) if l1 is None else np.asarray(l1, np.float64)
    split = np.flatnonzero(weights > 0)
    strength = weights[split]

    def join(z: np.ndarray) -> np.ndarray:
        theta = z[: len(start)].copy()
        theta[split] -= z[len(start) :]
        return theta

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = smooth(join(z))
        if not np.isfinite(value):
            raise DivergenceError("the objective became infinite or NaN; look for extreme values in the data")
        down = gradient[split]
        full = np.concatenate([gradient, -down])
        full[split] += strength
        full[len(start) :] += strength
        return value + float(strength @ (z[split] + z[len(start) :])), full

    def residual(theta: np.ndarray) -> float:
        _, gradient = smooth(theta)
        at_zero = np.maximum(np.abs(gradient) - weights, 0.0)
        elsewhere = np.abs(gradient + weights * np.sign(theta))
        return float(np.max(np.where((theta == 0) & (weights > 0), at_zero, elsewhere), initial=0.0))

    z = np.concatenate([start, np.zeros(len(split))]).astype(np.float64)
    z[split], z[len(start) :] = np.maximum(start[split], 0), np.maximum(-start[split], 0)
    lower = np.full(len(z), -np.inf)
    lower[split], lower[len(start) :] = 0.0, 0.0
    bounds = np.stack([lower, np.full(len(z), np.inf)], axis=1) if len(split) else None
    callback = None if on_iteration is None else (lambda z: on_iteration(join(z)))
    n_iter, reason = 0, "the limit of iterations was reached"
    remaining = max_iter
    while remaining > 0:  # a fresh start clears the curvature pairs, which helps where rounding has spoilt them
        result = scipy_minimize(
            objective,
            z,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            callback=callback,
            options={
                "maxiter": remaining,
                "maxfun": 20 * remaining,
                "maxcor": memory,
                "ftol": 0.0,
                "gtol": tol,
                "maxls": 50,
            },
        )
        n_iter += int(result.nit)
        remaining -= max(int(result.nit), 1)
        improved = bool(np.any(result.x != z))
        z = result.x
        if residual(join(z)) <= tol or not improved:
            break
    theta = join(z)
    final = residual(theta)
    value = float(smooth(theta)[0] + weights @ np.abs(theta))
    if final <= tol:
        reason = f"the gradient is small (largest element {final:.1e})"
    elif remaining > 0:
        reason = f"no further decrease is possible in floating point (largest gradient element {final:.1e})"
    return Solution(theta, value, final, n_iter, remaining > 0, reason)


def objective_graph(network: Network, n_inputs: int, n_targets: int, n_rows: int, loss: Any, dtype: Any) -> Graph:
    """The graph ``(theta, x, y, w) -> (mean loss, its gradient)`` of all rows at once."""
    layout = network.layout(n_inputs, n_targets)
    per_row = loss or network.output.nll
    buffers = network.buffers(n_inputs)
    if buffers or network.hyper():
        raise OptionError(
            "L-BFGS needs a deterministic objective; leave out dropout and batch normalisation, or use adam"
        )

    def mean_loss(theta: Any, x: Any, y: Any, w: Any) -> Any:
        raw = network.raw(layout.unflatten(theta), x, Pass(training=True, buffers={}, weights=w))
        return np.sum(w * per_row(raw, y)) / float(n_rows)

    types = (
        ArrayType((layout.size,), dtype),
        ArrayType((n_rows, n_inputs), dtype),
        ArrayType((n_rows, n_targets), dtype),
        ArrayType((n_rows,), dtype),
    )
    return optimize(trace(value_and_grad(mean_loss), *types, name="objective"))


def penalty_weights(training: Any, key: str) -> np.ndarray:
    """Strength of the L1 or L2 penalties for each element of θ."""
    o = training.options
    if any(isinstance(p, GroupL1) for p in o.penalties):
        raise OptionError("group L1 is not available with L-BFGS; use optimizer='adam'")
    weights = np.ones(training.layout.size) if o.penalise_biases else training.layout.mask()
    if o.raw_units is not None:  # w = v · target scale / input scale, and the loss was divided by target scale²
        input_scale, target_scale = o.raw_units
        per_input = 1.0 / input_scale if key == "l1" else 1.0 / np.square(input_scale)
        per_input = per_input / target_scale if key == "l1" else per_input
        first = training.layout.pieces[0]
        weights[: first.size] *= np.repeat(per_input, first.size // first.shape[0])
    return weights * sum(p.strength for p in o.penalties if p.key == key)


def run_full_batch(training: Any) -> Any:
    """Train by L-BFGS on all rows at once; called by `train` for optimisers with ``full_batch``."""
    o, rows, network = training.options, training.rows, training.network
    dtype = np.dtype(o.dtype)
    graph = objective_graph(network, training.n_inputs, training.n_targets, len(rows), o.loss, dtype)
    l1, l2 = penalty_weights(training, "l1"), penalty_weights(training, "l2")
    free = np.ones(training.layout.size)
    if not o.intercept:
        training.layout.unflatten(free)["output.bias"][:] = 0.0

    def smooth(theta: np.ndarray) -> tuple[float, np.ndarray]:
        with np.errstate(all="ignore"):
            value, gradient = graph.run(theta.astype(dtype), rows.x, rows.y, rows.w)
        return float(value) + 0.5 * float(l2 @ np.square(theta)), free * (gradient.astype(np.float64) + l2 * theta)

    def note(theta: np.ndarray) -> None:
        training.set_theta(theta)
        training.note_epoch(smooth(theta)[0] - 0.5 * float(l2 @ np.square(theta)))

    tolerance = max(o.tol, 1e-4) if dtype == np.float32 else o.tol
    solution = solve(
        smooth,
        free * training.theta.astype(np.float64),
        l1=l1 if l1.any() else None,
        tol=tolerance,
        max_iter=o.max_epochs,
        memory=o.optimizer.memory,
        on_iteration=note,
    )
    training.set_theta(solution.theta)
    training.solution = solution
    training.reason = solution.reason
    return training

"""Penalty paths of networks with hidden layers: one training that goes on, from small strengths to large."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from chainrule.calculus import grad
from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.folds import encoded
from chainrule.learn.full_batch import objective_graphs
from chainrule.learn.penalties import L2, GroupL1, Penalty
from chainrule.learn.step import input_groups
from chainrule.learn.training import Training
from chainrule.models.inputs import Inputs


@dataclass(frozen=True)
class Point:
    """A trained network at one strength.

    Parameters
    ----------
    strength : float
    norms : array of shape (n_inputs,)
        Norm of each input's weights in the first layer, the largest of the members.
    residual : float
        Largest element of the smallest subgradient, of all members.
    loss : float
        Of the training rows, without penalties.
    inputs : Inputs
    """

    strength: float
    norms: np.ndarray
    residual: float
    loss: float
    inputs: Inputs


def deep_path(
    estimator: FeedForwardEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    penalty: str,
    rising: np.ndarray,
    watch: Callable[[int, FeedForwardEstimator], None],
    *,
    stop: bool,
) -> list[Point]:
    """Train on, from one strength to the next.

    Parameters
    ----------
    rising : array
        Strengths.
    watch : callable
        Called after each with its place and the estimator, as it is then.
    stop : bool
        Whether to end where no input is left.
    """
    other = {"l1": "group_l1", "group_l1": "l1"}.get(penalty)
    if other is not None and estimator.get_params()[other] > 0.0:
        raise OptionError("a path has either L1 or group L1, not both; set the other to 0")
    fitted = clone(estimator).set_params(warm_start=True, embedding="none")
    points = []
    for at, strength in enumerate(rising):
        fitted.set_params(**{penalty: float(strength)}).fit(X, y, sample_weight=sample_weight)
        points.append(_point(fitted, float(strength)))
        watch(at, fitted)
        if stop and not points[-1].norms.any():
            break
    return points


def _point(fitted: FeedForwardEstimator, strength: float) -> Point:
    first = [t.layout.unflatten(t.theta)[t.layout.pieces[0].name] for t in fitted.trainings_]
    norms = np.max([np.linalg.norm(w.reshape(len(w), -1), axis=1) for w in first], axis=0)
    found = [_residual(t) for t in fitted.trainings_]
    return Point(strength, norms, max(r for r, _ in found), float(np.mean([v for _, v in found])), fitted.model_.inputs)


def _residual(training: Training) -> tuple[float, float]:
    """The largest element of the smallest subgradient over all training rows, and the loss without penalties."""
    o, rows, network = training.options, training.rows, training.network
    if network.buffers(training.n_inputs) or network.hyper():
        return np.nan, training.curves.training[-1]
    graph, _ = objective_graphs(network, training.n_inputs, training.n_targets, len(rows), o.loss, np.dtype(o.dtype))
    value, gradient = graph.run(training.theta, rows.x, rows.y, rows.w)
    mask = np.ones(training.layout.size) if o.penalise_biases else training.layout.mask()
    sharp: tuple[Penalty, Any] | None = None
    for p in o.penalties:
        if isinstance(p, L2):
            gradient = gradient + p.gradient(training.theta, mask, p.strength)
        else:
            sharp = p, input_groups(training.layout, o.groups) if isinstance(p, GroupL1) else mask
    if sharp is not None:
        gradient = sharp[0].residual(training.theta, gradient, sharp[1], sharp[0].strength)
    return float(np.abs(gradient).max()), float(value) + o.shift


def largest_of_linear(estimator: FeedForwardEstimator, X: Any, y: Any, sample_weight: Any, penalty: str) -> float:
    """The strength that leaves nothing of a linear model with the same inputs and output, to choose strengths by.

    The gradient is that of the constant model that the networks start from.
    """
    est = clone(estimator)
    output, inputs, _, rows, _ = encoded(est, X, y, sample_weight)
    x, y, w = (np.asarray(a, np.float64) for a in (rows.x, rows.y, rows.w))
    raw = np.tile(output.initial_raw(y, w), (len(y), 1))
    per_row = est._setting("loss") or output.nll
    slope = grad(lambda r: np.sum(per_row(r, y)))(raw)
    pull = x.T @ (w[:, None] * slope) / len(y)
    if penalty != "group_l1":
        return float(np.abs(pull).max())
    groups = np.asarray(inputs.groups)
    return float(np.sqrt(np.bincount(groups, weights=np.square(pull).sum(axis=1))).max())


__all__ = ["Point", "deep_path", "largest_of_linear"]

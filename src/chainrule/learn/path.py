"""The path of a linear model's solutions as a penalty's strength falls: each starts where the one before ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.linear_solver import MOST_STEPS, LinearSolver
from chainrule.learn.options import Options
from chainrule.learn.penalties import L1, GroupL1, ProximalPenalty
from chainrule.learn.rows import Rows
from chainrule.networks import Layout, Network

PathPenalty = Literal["l1", "group_l1", "l2"]
KINDS: dict[str, type[ProximalPenalty]] = {"l1": L1, "group_l1": GroupL1}
#: of a path over L2, how many times the strength at which L1 leaves nothing is where it begins, as in glmnet
RIDGE_BEGIN = 1e3


@dataclass(frozen=True)
class LinearPath:
    """Solutions along a path.

    Parameters
    ----------
    strengths : array of shape (n_strengths,)
        Falling.
    thetas : array of shape (n_strengths, n_parameters)
    residuals : array of shape (n_strengths,)
        Largest element of the smallest subgradient at each solution; 0 at the minimum.
    losses : array of shape (n_strengths,)
        Mean loss of the rows, without penalties.
    n_iter : array of shape (n_strengths,)
        Proximal Newton steps.
    largest : float
        The smallest strength at which everything penalised is zero (for L2: where the path begins by default).
    """

    strengths: np.ndarray
    thetas: np.ndarray
    residuals: np.ndarray
    losses: np.ndarray
    n_iter: np.ndarray
    largest: float


def linear_path(
    network: Network,
    rows: Rows,
    options: Options,
    penalty: PathPenalty,
    strengths: np.ndarray | None = None,
    *,
    n_strengths: int = 100,
    ratio: float = 1e-3,
    l1_ratio: float | None = None,
) -> LinearPath:
    """Solve a linear model for every strength of a penalty, to the options' tolerance.

    Parameters
    ----------
    network : Network
        Without hidden layers.
    rows : Rows
    options : Options
        Its other penalties stay as they are.
    penalty : {"l1", "group_l1", "l2"}
    strengths : array, optional
        Falling; by default ``n_strengths`` from the `largest` down to ``ratio`` times that, in equal proportions.
    l1_ratio : float, optional
        In (0, 1]: the elastic net, whose strength α means ``l1_ratio · α`` of `penalty` and ``(1 - l1_ratio) · α`` of
        L2, instead of that of the options.

    Raises
    ------
    OptionError
        If the network has hidden layers, or L1 and group L1 are asked for at once.
    """
    fixed = {key: sum(p.strength for p in options.penalties if p.key == key) for key in ("l1", "l2", "group_l1")}
    fixed[penalty] = 0.0
    kind = KINDS.get(penalty) or next((KINDS[k] for k in ("l1", "group_l1") if fixed[k] > 0.0), None)
    if (fixed["l1"] > 0 or kind is L1) and (fixed["group_l1"] > 0 or kind is GroupL1):
        raise OptionError("a path has either L1 or group L1, not both; set the other to 0")
    solver = linear_solver(network, rows, options, kind)
    share = 1.0 if l1_ratio is None else l1_ratio
    unit = 1.0 if options.raw_units is None else options.raw_units[1]  # see `own_units`
    judge = linear_solver(network, rows, options, L1) if kind is None else solver
    largest, theta = judge.largest_strength()
    largest *= RIDGE_BEGIN / float(np.median(solver.units)) if penalty == "l2" else unit / share
    if strengths is None:
        if not largest > 1e-12:  # of standardised data it is about 1
            raise OptionError("no penalised weight has any effect on these rows; there is no path to follow")
        strengths = largest * np.geomspace(1.0, ratio, n_strengths)
    solutions = []
    before = largest * share / unit
    for each in np.asarray(strengths, np.float64):
        if penalty == "l2":
            found = solver.solve(theta, (fixed["l1"] + fixed["group_l1"]) / unit, each)
        else:
            l2 = fixed["l2"] if l1_ratio is None else (1.0 - share) * each
            found = solver.solve(theta, share * each / unit, l2, before)
            before = share * each / unit
        theta = found.theta
        solutions.append(found)
    return LinearPath(
        np.asarray(strengths, np.float64),
        np.stack([s.theta for s in solutions]),
        np.array([s.residual for s in solutions]),
        np.array([solver.loss(s.theta) for s in solutions]),
        np.array([s.n_iter for s in solutions]),
        largest,
    )


def linear_solver(
    network: Network, rows: Rows, options: Options, kind: type[ProximalPenalty] | None, tol: float | None = None
) -> LinearSolver:
    """The solver of a linear training's objective."""
    layout = network.layout(rows.x.shape[1], rows.y.shape[1])
    return LinearSolver(
        network,
        rows,
        kind,
        groups=options.groups,
        units=own_units(layout, options),
        intercept=options.intercept,
        loss=options.loss,
        tol=options.tol if tol is None else tol,
    )


def run_exactly(training: Any) -> None:
    """Train a linear network with L1 or group L1 by `LinearSolver`; steps count as epochs."""
    o = training.options
    strengths = {key: sum(p.strength for p in o.penalties if p.key == key) for key in ("l1", "l2", "group_l1")}
    if strengths["l1"] > 0.0 and strengths["group_l1"] > 0.0:
        raise OptionError("a linear model takes either L1 or group L1, not both; set one of them to 0")
    key = "l1" if strengths["l1"] > 0.0 else "group_l1"
    solver = linear_solver(training.network, training.rows, o, KINDS[key])
    unit = 1.0 if o.raw_units is None else o.raw_units[1]
    start, most = training.theta.astype(np.float64), min(MOST_STEPS, o.max_epochs)
    solution = solver.solve(start, strengths[key] / unit, strengths["l2"], max_iter=most)
    training.set_theta(solution.theta)
    training.note_epoch(solver.loss(solution.theta))
    training.solution, training.reason = solution, solution.reason


def own_units(layout: Layout, options: Options) -> np.ndarray:
    """What weights of standardised data are multiplied by to be those in the data's own units, if so asked for.

    ``w = v · target scale / input scale``, and the loss was divided by the squared target scale: so a penalty of w has
    the strength λ on v / input scale / target scale (L1), and λ on the square of v / input scale (L2).
    """
    units = np.ones(layout.size)
    if options.raw_units is not None:
        first = layout.pieces[0]
        units[: first.size] = np.repeat(1.0 / options.raw_units[0], first.size // first.shape[0])
    return units


__all__ = ["LinearPath", "PathPenalty", "linear_path"]

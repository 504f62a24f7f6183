"""Check the gradient of a fitted model on data: by parameter, by operation and by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.calculus import jvp
from chainrule.calculus.check import TOLERANCE, check_gradient
from chainrule.calculus.continuation import REMAINDER, complex_slope, continues
from chainrule.calculus.differences import exact, slopes
from chainrule.calculus.report import Comparison, Comparisons, GradientReport
from chainrule.graph.trace import inline, trace
from chainrule.models.model import Member, Model, model_graph

#: block size of the stored graphs that a model with functions of its own is checked by
STORED = 32


@dataclass(frozen=True)
class RowCheck:
    """How the derivative of each row's loss compares along random directions through all parameters.

    Parameters
    ----------
    comparisons : tuple of Comparison
        For each row, of all directions the worst.
    """

    comparisons: tuple[Comparison, ...]

    def at(self, verdict: str) -> list[int]:
        """Positions of the rows that were judged so: ``right``, ``fault``, ``kink`` or ``unclear``."""
        return [k for k, c in enumerate(self.comparisons) if c.verdict == verdict]

    @property
    def worst(self) -> int:
        """Position of the row with the largest error for its tolerance; faults first, kinks last."""
        rank = {"fault": 0, "kink": 2}
        return min(
            range(len(self.comparisons)),
            key=lambda k: (rank.get(self.comparisons[k].verdict, 1), -self.comparisons[k].ratio),
        )


@dataclass(frozen=True)
class MemberCheck:
    """The check of one network of a model.

    Parameters
    ----------
    gradient : GradientReport
        Of the mean loss by every parameter, and of every operation's rule.
    rows : RowCheck
    """

    gradient: GradientReport
    rows: RowCheck

    @property
    def ok(self) -> bool:
        """Whether no derivative is wrong; kinks are not faults."""
        return self.gradient.ok and not self.rows.at("fault")


def check_model(
    model: Model, columns: Sequence[np.ndarray], y: np.ndarray, *, directions: int = 4, seed: int = 0
) -> list[MemberCheck]:
    """Compare the gradient of a model's negative log-likelihood with differences of its values, on data.

    Parameters
    ----------
    model : Model
    columns : sequence of arrays
        Of `Inputs.arrays`, n rows. At most `STORED` of them where the model has functions of one's own, whose graphs
        have so many.
    y : array of shape (n, n_targets)
        In the target's own units, or codes of classes.
    directions : int
        Random directions along which each row's loss is compared.
    seed : int

    Returns
    -------
    list of MemberCheck
        One for each network of the model.
    """
    checks = []
    for member in model.members:
        losses, pieces = _losses(model, member, columns, model.target.standardise(y))
        report = check_gradient(_mean(losses), pieces, seed=seed)
        checks.append(MemberCheck(report, _check_rows(losses, pieces, report, directions, seed)))
    return checks


def _losses(
    model: Model, member: Member, columns: Sequence[np.ndarray], y: np.ndarray
) -> tuple[Callable[[dict[str, Any]], Any], dict[str, np.ndarray]]:
    """The loss of each row as a function of the network's named parameters, and these."""
    n, buffers = len(y), list(member.buffers.values())
    if model.network is None:  # its graphs are all there is, and they take theta as it was trained

        def stored(pieces: dict[str, Any]) -> Any:
            theta = pieces["parameters"].astype(member.theta.dtype)
            fill = [np.concatenate([c, np.repeat(c[:1], STORED - n, axis=0)]) for c in columns]
            raw = inline(model.graph(STORED), theta, *buffers, *fill)[0]
            return model.output.nll(raw[:n], y)

        return stored, {"parameters": member.theta.astype(np.float64)}
    layout = model.network.layout(model.inputs.n_features, len(model.target.names))
    wide = replace(member, theta=member.theta.astype(np.float64))
    graph = model_graph(model.network, model.inputs, wide, len(model.target.names), n)

    def losses(pieces: dict[str, Any]) -> Any:
        return model.output.nll(inline(graph, layout.flatten(pieces), *buffers, *columns)[0], y)

    return losses, dict(sorted(layout.unflatten(wide.theta).items()))  # the order in which a graph takes them


def _mean(losses: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def loss(parameters: dict[str, Any]) -> Any:
        return np.mean(losses(parameters))

    return loss


def _check_rows(
    losses: Callable[[dict[str, Any]], Any],
    pieces: dict[str, np.ndarray],
    report: GradientReport,
    directions: int,
    seed: int,
) -> RowCheck:
    rng = np.random.default_rng(seed)
    graph = trace(losses, pieces)
    precision = max(float(np.finfo(node.dtype).eps) for node in graph.nodes if node.type.is_float)
    rtol = TOLERANCE["double" if precision < 1e-12 else "single"]
    names = list(pieces)
    along = [
        {k: rng.normal(size=v.shape) * (float(np.std(v)) or 1.0) for k, v in pieces.items()} for _ in range(directions)
    ]
    with np.errstate(all="ignore"):
        expected = np.stack([jvp(losses, (pieces,), (d,))[1] for d in along])
        value = np.abs(graph.run(*pieces.values())[0])
    # what rounding of a row's loss and of the sums over parameters allows
    tolerance = rtol * np.abs(expected) + 1e-3 * rtol * (value + np.abs(expected).max(axis=0)) + REMAINDER
    point = list(pieces.values())

    def line(k: int, t: float) -> np.ndarray:
        with np.errstate(all="ignore"):
            return graph.run(*[pieces[name] + t * along[k][name] for name in names])[0]

    if continues(graph):
        found = exact(np.stack([complex_slope(graph, point, list(d.values()))[0] for d in along]))
    else:
        found = slopes(line, np.ones(directions), expected, tolerance, precision)
    # several kinks may meet at a row; that its operations' rules are right tells them from faults
    conventional = not any(o.comparison.verdict == "fault" for o in report.operations) and not continues(graph)
    judged = Comparisons(expected, found, tolerance, conventional)
    rank = {"fault": 0, "unclear": 1, "kink": 2, "right": 3}
    worst = []
    for j in range(expected.shape[1]):
        each = [judged.at(k, j) for k in range(directions)]
        worst.append(min(each, key=lambda c: (rank[c.verdict], -c.ratio)))
    return RowCheck(tuple(worst))

"""The continuous ranked probability score by quadrature of cdfs, for distributions without a closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np

_LEFT = np.array([1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.06, 0.1, 0.17, 0.25, 0.33, 0.41])
#: levels whose quantiles cut an integral into pieces on which the cdf is nearly polynomial
LEVELS = np.concatenate([_LEFT, [0.5], 1.0 - _LEFT[::-1]])
#: cdf evaluations in memory at a time
BUDGET = 1 << 19
#: whole numbers summed one by one for a discrete distribution; of a wider range, so many are taken evenly
WHOLE = 2048
#: points of Gauss-Legendre quadrature on each piece
POINTS = 6
#: intervals of the trapezoidal rule at first, and how often they are halved
INTERVALS, HALVINGS = 32, 4
#: level of the quantiles where the trapezoidal rule ends: what is left out is its square, times the length there
END = 3e-5
#: largest change by halving the intervals, relative to ∫ F(1 - F), after which no more are taken: the rule's error is
#: then smaller by far
CHANGE = 1e-5
#: nodes of a normal component, in standard deviations from its mean
DEVIATIONS = np.array([-6.0, -2.5, -1.0, 0.0, 1.0, 2.5, 6.0])
#: of more nodes so many are cuts
MOST_CUTS = 256


class Scored(Protocol):
    """What quadrature needs to know of a batch of distributions."""

    smooth: ClassVar[bool]

    @property
    def discrete(self) -> bool: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, rows: Any) -> Self: ...
    def elements(self, shape: tuple[int, ...]) -> tuple[Self, np.ndarray]: ...
    def nodes(self) -> np.ndarray: ...
    def mean(self) -> np.ndarray: ...
    def pdf(self, y: Any) -> np.ndarray: ...
    def cdf(self, y: Any) -> np.ndarray: ...
    def ppf(self, q: Any) -> np.ndarray: ...


def crps(distribution: Scored, y: Any) -> np.ndarray:
    """∫ F² left of ``y`` plus ∫ (1 - F)² right of it.

    Parameters
    ----------
    distribution : Scored
    y : array that broadcasts against the batch

    Returns
    -------
    array of the broadcast shape
        Continuous: Gauss-Legendre quadrature on each piece between `nodes`. Discrete: a sum over all whole numbers
        between the outermost nodes, or over 2 048 of them where there are more.
    """
    y = np.asarray(y, np.float64)
    shape = np.broadcast_shapes(y.shape, distribution.shape)
    flat, places = distribution.elements(shape)
    nodes, y = flat.nodes(), np.broadcast_to(y, shape).ravel()

    def continuous(rows: slice) -> np.ndarray:
        at = y[rows]
        x, width = _points(np.sort(np.concatenate([nodes[places[rows]], at[:, None]], axis=1), axis=1), POINTS)
        f = flat[places[rows]].cdf(x)
        return np.sum(width * np.square(np.where(x < at, f, 1.0 - f)), axis=0)

    def discrete(rows: slice) -> np.ndarray:
        at = y[rows]
        left, step, x = _cells(nodes[places[rows]])
        f = flat[places[rows]].cdf(x)
        below = np.clip(at - left, 0.0, step)
        outside = np.maximum(left[0] - at, 0.0) + np.maximum(at - (left[-1] + step), 0.0)
        return np.sum(below * np.square(f) + (step - below) * np.square(1.0 - f), axis=0) + outside

    cost = WHOLE if distribution.discrete else POINTS * (nodes.shape[-1] + 1)
    return _by_chunks(discrete if distribution.discrete else continuous, len(y), cost).reshape(shape)


def disagreement(members: Sequence[Scored]) -> np.ndarray:
    """∫ Var F, the variance taken over members at each point: how much the members of an ensemble disagree.

    The CRPS of an equal-weight mixture is the mean of its members' minus this number.

    Parameters
    ----------
    members : sequence of Scored
        Of batch shape (n,).

    Returns
    -------
    array of shape (n,)
        Smooth cdfs: by the trapezoidal rule after x = c + s sinh t, which converges exponentially for them (Trefethen &
        Weideman 2014), the intervals halved until that changes nothing. Others, and rows where it goes on changing,
        piece by piece between all members' nodes.
    """
    n = members[0].shape[0]
    if not members[0].smooth:
        return _by_pieces(members)
    with np.errstate(all="ignore"):  # rows of extreme scales have no numbers here, and are done by pieces
        out = _by_chunks(lambda rows: _by_trapezoids([m[rows] for m in members]), n, len(members) * INTERVALS * 4)
    left = np.flatnonzero(np.isnan(out))
    if len(left):
        out[left] = _by_pieces([m[left] for m in members])
    return out


def spread(mixture: Scored, locs: np.ndarray, scales: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """∫ F(1 - F), half the mean distance of two draws, of mixtures of many smooth components, in time linear in these.

    Parameters
    ----------
    mixture : Scored
        Of batch shape (n,).
    locs, scales, weights : arrays of shape (n, components)
        Means, standard deviations.

    Returns
    -------
    array of shape (n,)
        By Gauss-Legendre quadrature. Relative error for a thousand components seen: 1e-8 where their scales are alike,
        2e-4 where these span fifteen powers of ten.
    """
    nodes = (locs[..., None] + scales[..., None] * DEVIATIONS).reshape(len(locs), -1)
    shares = np.repeat(weights, len(DEVIATIONS), axis=-1)

    def integral(rows: slice) -> np.ndarray:
        x, width = _points(_cuts(nodes[rows], shares[rows]), POINTS)
        part, step = mixture[rows], max(1, BUDGET // locs[rows].size)
        f = np.concatenate([part.cdf(x[first : first + step]) for first in range(0, len(x), step)])
        return np.sum(width * f * (1.0 - f), axis=0)

    return _by_chunks(integral, len(locs), MOST_CUTS * POINTS * locs.shape[-1])


def _cuts(nodes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Of many nodes (n, m) `MOST_CUTS` in ascending order, the outermost among them.

    Half of them cut the shares evenly, half the shares times distances from the middle: what is far and rare counts.
    """
    order = np.argsort(nodes, axis=-1)
    nodes, shares = np.take_along_axis(nodes, order, -1), np.take_along_axis(shares, order, -1)
    last = nodes.shape[-1] - 1
    if last < MOST_CUTS:
        return nodes
    half = MOST_CUTS // 2
    middle = np.sum(shares * nodes, axis=-1, keepdims=True) / np.sum(shares, axis=-1, keepdims=True)
    chosen = []
    for counted in (shares, shares * np.abs(nodes - middle)):
        reached = np.cumsum(counted, axis=-1)
        levels = np.linspace(0.0, 1.0 - 1e-12, half) * reached[:, -1:]
        chosen.append([np.searchsorted(r, level) for r, level in zip(reached, levels, strict=True)])
    places = np.sort(np.concatenate(chosen, axis=-1), axis=-1)
    places[:, 0], places[:, -1] = 0, last
    return np.take_along_axis(nodes, np.minimum(places, last), axis=-1)


def _by_trapezoids(members: Sequence[Scored]) -> np.ndarray:
    """∫ Var F of members with smooth cdfs, and NaN where the rule does not converge soon."""
    centre = np.mean([m.mean() for m in members], axis=0)
    scale = np.exp(-np.mean([np.log(m.pdf(m.mean())) for m in members], axis=0)) / np.sqrt(2.0 * np.pi)
    start = np.arcsinh((np.min([m.ppf(END) for m in members], axis=0) - centre) / scale)
    stop = np.arcsinh((np.max([m.ppf(1.0 - END) for m in members], axis=0) - centre) / scale)

    def sums(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Of F(1 - F), Var F and squares of all F(1 - F), at such parts of the way from start to stop."""
        t = start[rows] + at[:, None] * (stop - start)[rows]
        x, speed = centre[rows] + scale[rows] * np.sinh(t), np.cosh(t)
        f = np.stack([m[rows].cdf(x) for m in members])
        mean = np.mean(f, axis=0)
        apart, spread = np.mean(np.square(f - mean), axis=0), mean * (1.0 - mean)
        own = np.square(f * (1.0 - f))
        return np.stack([np.sum(speed * g, axis=0) for g in (spread, apart, np.square(spread), *own)])

    out = np.full(len(centre), np.nan)
    rows, k = np.arange(len(centre)), INTERVALS
    even = sums(rows, np.arange(0, k + 1, 2) / k)
    for _ in range(HALVINGS):
        both = even + sums(rows, np.arange(1, k, 2) / k)
        change = np.max(np.abs(both - 2.0 * even)[1:], axis=0)  # one alone may agree by chance
        done = change <= CHANGE * both[0]
        settled = rows[done]
        out[settled] = both[1, done] * ((stop - start) * scale)[settled] / k
        rows, even, k = rows[~done], both[:, ~done], 2 * k
    return out


def _by_pieces(members: Sequence[Scored]) -> np.ndarray:
    """∫ Var F by Gauss-Legendre quadrature between the members' nodes, or by sums over whole numbers."""
    whole = members[0].discrete
    nodes = np.concatenate([m.nodes() for m in members], axis=-1)
    nodes = _cuts(nodes, np.ones_like(nodes))

    def integral(rows: slice) -> np.ndarray:
        if whole:
            _, width, x = _cells(nodes[rows])
        else:
            x, width = _points(nodes[rows], POINTS // 2)  # the nodes of several members lie close together
        cdfs = [m[rows].cdf(x) for m in members]
        return np.sum(width * np.var(cdfs, axis=0), axis=0)

    cost = len(members) * (WHOLE if whole else POINTS // 2 * nodes.shape[-1])
    return _by_chunks(integral, len(nodes), cost)


def _points(cuts: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Abscissae and weights, shape (points, n), of Gauss-Legendre quadrature on the pieces between cuts (n, n_cuts)."""
    abscissae, weights = np.polynomial.legendre.leggauss(count)
    half = 0.5 * np.diff(cuts.T, axis=0)
    x = cuts.T[:-1] + half * (1.0 + abscissae[:, None, None])
    width = half * weights[:, None, None]
    return x.reshape(-1, len(cuts)), width.reshape(-1, len(cuts))


def _cells(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Left ends (cells, n), width (n,) and middles (cells, n) of the cells of whole numbers between outermost nodes."""
    low, high = nodes[:, 0], nodes[:, -1] + 1.0
    step = 1.0 + 2.0 * np.ceil(np.maximum(0.5 * ((high - low) / WHOLE - 1.0), 0.0))  # odd: there is a middle
    left = low + step * np.arange(int(np.max(np.ceil((high - low) / step))))[:, None]
    return left, step, left + np.floor(0.5 * (step - 1.0))


def _by_chunks(score: Callable[[slice], np.ndarray], n: int, cost: int) -> np.ndarray:
    """Results for n elements, a chunk at a time, each element costing so many evaluations."""
    chunk = max(1, BUDGET // cost)
    parts = [score(slice(first, min(first + chunk, n))) for first in range(0, n, chunk)]
    return np.concatenate(parts) if parts else np.zeros(0)

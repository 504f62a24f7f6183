"""The course of a descent, step by step: of every optimiser, with every batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.minimize_objective import Objective
from chainrule.learn.optimizers import FirstOrder


@dataclass(frozen=True)
class Descent:
    """Where an optimiser went.

    Parameters
    ----------
    name : str
    theta : array of shape (n_steps + 1, n)
        Every iterate, as one flat vector, the first one included.
    values : array of shape (n_steps + 1,)
        The objective on all data there, penalty included.
    gradient_norms : array of shape (n_steps + 1,)
        With a penalty that has a kink, of the smallest subgradient.
    """

    name: str
    theta: np.ndarray
    values: np.ndarray
    gradient_norms: np.ndarray

    @property
    def diverged(self) -> bool:
        """Whether it left the finite numbers; it ends before that."""
        return bool(self.values[-1] > 10.0 * abs(self.values[0]) + 1.0 and self.values[-1] == self.values.max())


def descend(
    f: Callable[..., Any],
    x0: Any,
    optimizer: FirstOrder,
    *,
    steps: int = 100,
    penalty: Any = None,
    data: Any = None,
    batch_size: int | None = None,
    name: str | None = None,
    random_state: int | np.random.Generator = 0,
) -> Descent:
    """Follow an optimiser step by step; `minimize` looks at whole epochs and stops when it has arrived.

    Parameters
    ----------
    f : callable
        Plain NumPy; ``f(x)``, or ``f(x, *data)``, the *mean* over the rows it is given.
    x0 : array, or nested tuples, lists and dicts of arrays
    optimizer : GD, SGD, RMSProp, Adam or AdamW
    steps : int
        Updates, not epochs.
    penalty : Penalty, optional
    data : array or tuple of arrays, optional
    batch_size : int, optional
        Rows of each step; all of them by default.
    name : str, optional
        For the legend.
    random_state : int or numpy.random.Generator
        For the shuffling.

    Returns
    -------
    Descent
        It ends before the first value that is not finite.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.show.paths import descend
    >>> found = descend(lambda x: np.sum(x**2), np.array([1.0, -2.0]), cr.GD(0.25), steps=3)
    >>> found.values.tolist()
    [5.0, 1.25, 0.3125, 0.078125]
    """
    if not isinstance(optimizer, FirstOrder):
        raise OptionError(f"a path is of steps from gradients, such as cr.GD(0.1) takes; {optimizer!r} takes none")
    arrays = () if data is None else tuple(data) if isinstance(data, (tuple, list)) else (data,)
    objective = Objective(f, x0, penalty, arrays)
    n_rows = len(objective.data[0]) if objective.data else 1
    rows = n_rows if batch_size is None else batch_size
    if not 1 <= rows <= n_rows:
        raise OptionError(f"batch_size must lie between 1 and the number of rows, {n_rows}; got {batch_size}")
    theta = objective.flat(x0)
    state, hyper = optimizer.init(theta), {k: np.float64(v) for k, v in optimizer.hyper().items()}
    rng, order = np.random.default_rng(random_state), np.arange(0)
    step = objective.update_step(optimizer, rows if objective.data else None)
    whole = objective.update_step(optimizer, None)
    course = []
    with np.errstate(all="ignore"):
        for t in range(1, steps + 2):
            value, norm = whole(theta, state, np.float64(t), hyper, objective.strengths, objective.data)[2:]
            if not (np.isfinite(theta).all() and np.isfinite(value)):
                break
            course.append((theta, float(value), float(norm)))
            if t > steps:
                break
            if rows < n_rows and len(order) < rows:
                order = rng.permutation(n_rows)
            batch = objective.data if rows == n_rows else tuple(d[order[:rows]] for d in objective.data)
            order = order[rows:]
            theta, state, *_ = step(theta, state, np.float64(t), hyper, objective.strengths, batch)
    if not course:
        raise OptionError("the objective is not finite at x0; start where it is")
    thetas, values, norms = zip(*course, strict=True)
    return Descent(name or repr(optimizer), np.stack(thetas), np.array(values), np.array(norms))


def compare(
    f: Callable[..., Any],
    x0: Any,
    methods: dict[str, FirstOrder | tuple[FirstOrder, int]],
    **options: Any,
) -> list[Descent]:
    """Several descents from one point, side by side.

    Parameters
    ----------
    methods : dict
        An optimiser by the name in the legend, or an optimiser and its batch size.
    **options
        Of `descend`.
    """
    found = []
    for name, method in methods.items():
        optimizer, batch = method if isinstance(method, tuple) else (method, options.get("batch_size"))
        found.append(descend(f, x0, optimizer, **{**options, "batch_size": batch, "name": name}))
    return found


def extent_of(descents: Sequence[Descent], points: Sequence[np.ndarray] = (), margin: float = 0.25) -> np.ndarray:
    """A box around all of them with some air: ((left, right), (bottom, top))."""
    every = np.concatenate([*(d.theta for d in descents), *(np.reshape(p, (1, -1)) for p in points)])
    low, high = every.min(axis=0), every.max(axis=0)
    air = margin * np.maximum(high - low, 0.5 * np.max(high - low) + 1e-3)
    return np.stack([low - air, high + air], axis=1)

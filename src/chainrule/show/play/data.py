"""What the playground trains on: small made-up sets, or a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.models.inputs import Inputs, class_target, numeric_target
from chainrule.models.table import TableOptions, read_schema, table_inputs
from chainrule.tables import TargetEncoder, Task, fit_target_encoder, read_table

#: share of the rows that are kept aside to watch the loss on
VALIDATION = 0.25


@dataclass(frozen=True)
class Data:
    """Rows to learn, and how to look at them.

    Parameters
    ----------
    name : str
    X : array of shape (n_rows, n_columns)
        Raw cells as `Inputs.encode` takes them: categories as codes, NaN for missing.
    y : array of shape (n_rows, 1)
        In the target's own units, or class codes.
    inputs : Inputs
    target : TargetEncoder
    axes : tuple of int
        The columns that are shown: two for classes, one for numbers.
    typical : array of shape (n_columns,)
        What the other columns are held at.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    inputs: Inputs
    target: TargetEncoder
    axes: tuple[int, ...]
    typical: np.ndarray

    @property
    def task(self) -> Task:
        return self.target.task

    @property
    def shown(self) -> np.ndarray:
        """The shown columns of every row, missing ones at their typical value."""
        cells = self.X[:, list(self.axes)]
        return np.where(np.isnan(cells), self.typical[list(self.axes)], cells)

    def extent(self) -> list[tuple[float, float]]:
        """A little more than the range of each shown column."""
        low, high = self.shown.min(axis=0), self.shown.max(axis=0)
        air = np.where(high > low, 0.08 * (high - low), 1.0)
        return [(float(a), float(b)) for a, b in zip(low - air, high + air, strict=True)]

    def grid(self, sizes: tuple[int, ...]) -> np.ndarray:
        """Raw rows over the shown columns, the first one running fastest, all others typical."""
        sides = [np.linspace(a, b, n) for (a, b), n in zip(self.extent(), sizes, strict=True)]
        points = [v.ravel() for v in np.meshgrid(*sides)]
        rows = np.tile(self.typical, (len(points[0]), 1))
        rows[:, list(self.axes)] = np.stack(points, axis=1)
        return rows


def _circles(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, 2, n)
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.where(labels == 1, 1.0, 2.4) + 0.28 * rng.normal(size=n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


def _xor(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    X = rng.uniform(-2.5, 2.5, (n, 2))
    return X + 0.12 * rng.normal(size=(n, 2)), (X[:, 0] * X[:, 1] > 0).astype(int)


def _spirals(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    labels, t = rng.integers(0, 2, n), np.sqrt(rng.uniform(0.02, 1.0, n))
    angle = 3.2 * np.pi * t + np.pi * labels
    X = 3.0 * t[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + 0.08 * rng.normal(size=(n, 2)), labels


def _blobs(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, 4, n)
    centres = np.array([[-2.0, -1.5], [2.0, -1.2], [0.3, 2.0], [0.0, 0.0]])
    return centres[labels] + 0.65 * rng.normal(size=(n, 2)), labels


def _sine(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.uniform(-3.0, 3.0, (n, 1))
    return x, np.sin(2.0 * x[:, 0]) + (0.08 + 0.12 * (x[:, 0] + 3.0) / 3.0) * rng.normal(size=n)


def _inverse(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    t = rng.uniform(size=n)
    return (t + 0.3 * np.sin(2.0 * np.pi * t) + rng.uniform(-0.1, 0.1, n))[:, None], t


def _step(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.uniform(-2.0, 2.0, (n, 1))
    return x, np.where(x[:, 0] > 0.3, 1.5, -0.5) + 0.2 * rng.normal(size=n)


Maker = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
CLASSES: dict[str, Maker] = {"circles": _circles, "xor": _xor, "spirals": _spirals, "four clouds": _blobs}
NUMBERS: dict[str, Maker] = {"sine": _sine, "inverse problem": _inverse, "step": _step}

#: names of the made-up sets
MADE_UP = (*CLASSES, *NUMBERS)


def made_up(name: str, n_rows: int = 400, seed: int = 0) -> Data:
    """A made-up set by its name.

    Raises
    ------
    OptionError
        If there is none.
    """
    if name not in CLASSES and name not in NUMBERS:
        raise OptionError(f"there is no data {name!r}; there are {', '.join([*CLASSES, *NUMBERS])}")
    X, y = (CLASSES | NUMBERS)[name](np.random.default_rng(seed), n_rows)
    inputs = Inputs.of_matrix(X, np.ones(n_rows), ["x₁", "x₂"] if X.shape[1] == 2 else ["x"])
    if name in CLASSES:
        target = class_target(["class"], [list(range(int(y.max()) + 1))])
    else:
        target = numeric_target(["y"], y[:, None], None)
    axes = tuple(range(X.shape[1]))
    return Data(name, X, y[:, None].astype(float), inputs, target, axes, np.median(X, axis=0))


def of_table(path: Any, targets: tuple[str, ...] = (), axes: tuple[str, ...] = ()) -> Data:
    """A table of the user's: one target, by default the last column.

    Parameters
    ----------
    path : path
    targets : tuple of str
    axes : tuple of str
        Columns to look at; by default those whose values go most with the target.

    Raises
    ------
    TableError, OptionError
        In one line: what is wrong with which file.
    """
    frame = read_table(path)
    names = targets or (frame.columns[-1],)
    if len(names) != 1:
        raise OptionError(f"the playground shows one target, got {', '.join(names)}")
    frame, schema = read_schema(frame, TableOptions(names, drop_missing_target=True), path)
    inputs = table_inputs(frame.drop(list(names)), np.ones(frame.height))
    target = fit_target_encoder(schema, frame, source=path)
    X, y = inputs.encoder.to_matrix(frame, path), target.to_array(frame, path)
    count = 1 if target.task == "numeric" else 2
    for name in axes:
        if name not in inputs.columns:
            raise OptionError(f"there is no input column {name!r} to look at; there are {', '.join(inputs.columns)}")
    chosen = tuple(inputs.columns.index(a) for a in axes)[:count] or _telling(X, y, count)
    if len(chosen) < count:
        raise OptionError(f"{path}: classes are shown over two input columns, and there is only {len(inputs.columns)}")
    with np.errstate(all="ignore"):
        typical = np.array([_typical(c) for c in X.T])
    return Data(str(path), X, y, inputs, target, chosen, typical)


def _telling(X: np.ndarray, y: np.ndarray, count: int) -> tuple[int, ...]:
    """Columns that go most with the target, by rank correlation; those of few values come last."""

    def ranks(v: np.ndarray) -> np.ndarray:
        r = np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float)
        return (r - r.mean()) / (r.std() or 1.0)

    goes, of_y = [], ranks(y[:, 0])
    for column in X.T:
        few = len(np.unique(column[~np.isnan(column)])) < 8
        goes.append(abs(float(np.mean(ranks(column) * of_y))) - (2.0 if few else 0.0))
    return tuple(int(k) for k in np.argsort(goes)[::-1][:count])


def _typical(column: np.ndarray) -> float:
    known = column[~np.isnan(column)]
    if not len(known):
        return float("nan")
    values, counts = np.unique(known, return_counts=True)
    return float(values[np.argmax(counts)] if len(values) < 8 else np.median(known))

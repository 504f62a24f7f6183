"""Numbers as several numbers: what lets a network follow a target that jumps or wiggles along a single input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from chainrule.errors import OptionError
from chainrule.networks.layers import Layer, Pass

#: numbers that come out at most; with more columns each gets fewer intervals
MAX_WIDTH = 1024


@dataclass(frozen=True)
class PiecewiseLinear(Layer):
    """The inputs, and where each of some columns lies among intervals of it (Gorishniy et al. 2022, section 3.1).

    An interval [l, l + w) of a column x gives ``clip((x - l) / w, 0, 1) - 1/2``: constant below and above it, straight
    inside. So an affine function of them is any continuous piecewise linear function of the column. Nothing here
    is trained; `fit` takes the intervals from the column's quantiles.

    Parameters
    ----------
    columns : tuple of int
        Column of each interval, in order.
    lows, widths : tuple of float
        Where the interval begins, and how wide it is.

    References
    ----------
    Gorishniy, Rubachev & Babenko (2022), "On Embeddings for Numerical Features in Tabular Deep Learning".
    """

    kind: ClassVar[str] = "piecewise_linear"
    columns: tuple[int, ...]
    lows: tuple[float, ...]
    widths: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, kind in (("columns", int), ("lows", float), ("widths", float)):
            object.__setattr__(self, name, tuple(kind(v) for v in getattr(self, name)))
        if not len(self.columns) == len(self.lows) == len(self.widths):
            raise OptionError("PiecewiseLinear needs a column, a low end and a width for every interval")
        if not all(w > 0 for w in self.widths) or not all(c >= 0 for c in self.columns):
            raise OptionError("PiecewiseLinear: widths are positive, columns counted from 0")

    @classmethod
    def fit(cls, x: np.ndarray, weights: np.ndarray | None = None, bins: int = 32) -> Self:
        """Intervals of equal weight for every column that has more than two values.

        Parameters
        ----------
        x : array of shape (n_rows, n_inputs)
            Encoded rows.
        weights : array of shape (n_rows,), optional
        bins : int
            Intervals per column, fewer where a column has few values, or the table many columns.
        """
        w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
        numeric = [k for k in range(x.shape[1]) if len(np.unique(x[:, k])) > 2]
        bins = min(bins, MAX_WIDTH // max(len(numeric), 1))
        columns: list[int] = []
        lows: list[np.ndarray] = []
        widths: list[np.ndarray] = []
        for k in numeric:
            order = np.argsort(x[:, k], kind="stable")
            reached = np.cumsum(w[order])
            levels = np.linspace(0.0, 1.0, bins + 1) * (1 - 1e-9) * reached[-1]
            knots = np.unique(x[order[np.searchsorted(reached, levels)], k].astype(np.float64))
            if len(knots) > 2:
                columns += [k] * (len(knots) - 1)
                lows.append(knots[:-1])
                widths.append(np.diff(knots))
        if not columns:
            return cls((), (), ())
        return cls(tuple(columns), tuple(np.concatenate(lows)), tuple(np.concatenate(widths)))

    def __repr__(self) -> str:
        return f"PiecewiseLinear({len(self.columns)} intervals of {len(set(self.columns))} columns)"

    def width(self, n_inputs: int) -> int:
        return n_inputs + len(self.columns)

    def buffers(self, n_inputs: int) -> dict[str, np.ndarray]:
        # not constants of the graph, so that trainings on other rows of a table share its code
        return {"low": np.array(self.lows), "width": np.array(self.widths)} if self.columns else {}

    def apply(self, parameters: Mapping[str, Any], x: Any, state: Pass, prefix: str) -> Any:
        if not self.columns:
            return x
        low = state.buffers.get(prefix + "low", np.array(self.lows, x.dtype))
        width = state.buffers.get(prefix + "width", np.array(self.widths, x.dtype))
        inside = np.clip((x[:, np.array(self.columns)] - low) / width, 0.0, 1.0) - 0.5
        return np.concatenate([x, inside], axis=1)

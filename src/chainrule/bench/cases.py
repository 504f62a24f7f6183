"""What is trained in the comparison: layers, batch, rows, and where the weights start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

#: step size of Adam in every contender; its other numbers are everybody's defaults (0.9, 0.999, 1e-8)
LEARNING_RATE = 1e-3

Weights = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """A ReLU network with softmax on top, and how it is trained.

    Parameters
    ----------
    name : str
    layers : tuple of int
        Inputs, hidden units, classes.
    batch_size : int
    n_steps : int
        Mini-batches per epoch.
    bars : dict
        How many times faster than each peer chainrule is meant to be.
    """

    name: str
    layers: tuple[int, ...]
    batch_size: int
    n_steps: int
    bars: tuple[tuple[str, float], ...] = ()

    @property
    def n_rows(self) -> int:
        return self.batch_size * self.n_steps

    @property
    def multiply_adds(self) -> int:
        """Of the matrix products of one step: forward, weight gradients, and input gradients but the first layer's."""
        pairs = [a * b for a, b in pairwise(self.layers)]
        return self.batch_size * (3 * sum(pairs) - pairs[0])

    def shortened(self, n_steps: int) -> Case:
        """The same with fewer steps per epoch."""
        return replace(self, n_steps=min(self.n_steps, n_steps))


def bars(jax: float, torch: float, sklearn: float) -> tuple[tuple[str, float], ...]:
    return ("JAX", jax), ("PyTorch", torch), ("scikit-learn", sklearn)


CASES = (
    Case("tiny", (10, 32, 2), 32, 400, bars(10, 100, 60)),
    Case("small", (20, 64, 64, 2), 32, 400, bars(5, 30, 25)),
    Case("table", (54, 128, 128, 7), 128, 120, bars(3, 8, 8)),
    Case("middle", (54, 256, 256, 7), 256, 60, bars(2, 2.5, 4)),
    Case("digits", (784, 128, 10), 64, 120, bars(2, 3, 4)),
    Case("large", (784, 1024, 1024, 10), 512, 8, bars(1.1, 1.15, 2.3)),
)


@dataclass(frozen=True)
class Problem:
    """The rows and the first weights of a case: the same for every contender."""

    case: Case
    seed: int = 0

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(self.seed)
        x = rng.standard_normal((self.case.n_rows, self.case.layers[0]), np.float32)
        scores = x @ rng.standard_normal((self.case.layers[0], self.case.layers[-1]))
        return x, np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)

    @property
    def x(self) -> np.ndarray:
        """Inputs (n_rows, n_inputs), float32."""
        return self._rows[0]

    @property
    def y(self) -> np.ndarray:
        """Class codes (n_rows,), int64."""
        return self._rows[1]

    def weights(self) -> Weights:
        """Fresh copies of the first weights (n_in, n_out) and biases (n_out,): He et al. 2015, biases zero."""
        rng = np.random.default_rng(self.seed + 1)
        sizes = self.case.layers
        return [
            (
                (rng.standard_normal((a, b)) * np.sqrt(2.0 / a)).astype(np.float32),
                np.zeros(b, np.float32),
            )
            for a, b in pairwise(sizes)
        ]

    def loss(self, weights: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
        """Mean negative log-likelihood of all rows, in NumPy and float64: one judge for all contenders."""
        h = self.x.astype(np.float64)
        for w, b in weights[:-1]:
            h = np.maximum(h @ w + b, 0.0)
        z = h @ weights[-1][0] + weights[-1][1]
        z -= z.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), self.y]))

"""An epoch: the same step graph over all mini-batches, in the order of a permutation.

This is the meaning of an epoch, on the NumPy executor; the native executor offers the same signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from chainrule.graph.graph import Graph


class EpochRunner(Protocol):
    """Runs all steps of an epoch.

    Parameters
    ----------
    carry : list of arrays
        Parameters, optimiser state, …; not modified.
    hyper : sequence of scalars
    data : sequence of arrays
        Of equal length along the first axis; the last holds the row weights.
    order : integer array
        Rows in the order in which they are visited.
    sums : float64 array, optional
        To add to, not modified; zeros by default. An epoch in parts, cut between batches, so has the bits of a whole.

    Returns
    -------
    carry : list of arrays
        After the last step.
    sums : float64 array
        The graph's remaining outputs, added up over the steps.
    """

    def __call__(
        self,
        carry: Sequence[Any],
        hyper: Sequence[Any],
        data: Sequence[np.ndarray],
        order: np.ndarray,
        sums: np.ndarray | None = None,
    ) -> tuple[list[Any], np.ndarray]: ...

    def several(
        self, carry: Sequence[Any], hyper: Sequence[Any], data: Sequence[np.ndarray], orders: Iterable[np.ndarray]
    ) -> Iterator[tuple[list[Any], np.ndarray]]:
        """An epoch for every order, all of one length: the carry after each, and its sums."""


@dataclass(frozen=True)
class NumpyEpoch:
    """`EpochRunner` on the NumPy executor.

    Parameters
    ----------
    graph : Graph
        A `TrainingStep`'s.
    n_carry, n_hyper : int
        How many of its inputs are carried, and how many are hyper-parameters; the rest are the batch.
    batch_size : int
    on_step : callable, optional
        Called with (batch number, inputs of the step, outputs of the step) after every step, for those who watch.
    """

    graph: Graph
    n_carry: int
    n_hyper: int
    batch_size: int
    on_step: Callable[[int, list[Any], list[Any]], None] | None = None

    def __call__(
        self,
        carry: Sequence[Any],
        hyper: Sequence[Any],
        data: Sequence[np.ndarray],
        order: np.ndarray,
        sums: np.ndarray | None = None,
    ) -> tuple[list[Any], np.ndarray]:
        types = [self.graph.nodes[i].type for i in self.graph.inputs]
        scalars = [np.asarray(h, t.dtype) for h, t in zip(hyper, types[self.n_carry :], strict=False)]
        current = list(carry)
        sums = np.zeros(len(self.graph.outputs) - self.n_carry) if sums is None else sums.copy()
        for batch, start in enumerate(range(0, len(order), self.batch_size)):
            rows = order[start : start + self.batch_size]
            inputs = [*current, *scalars, *(gather(a, rows, self.batch_size) for a in data)]
            outputs = self.graph.run(*inputs)
            if self.on_step is not None:
                self.on_step(batch, inputs, outputs)
            current = outputs[: self.n_carry]
            sums += [float(v) for v in outputs[self.n_carry :]]
        return current, sums

    def several(
        self, carry: Sequence[Any], hyper: Sequence[Any], data: Sequence[np.ndarray], orders: Iterable[np.ndarray]
    ) -> Iterator[tuple[list[Any], np.ndarray]]:
        for order in orders:
            carry, sums = self(carry, hyper, data, order)
            yield list(carry), sums


def gather(array: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Rows of an array, padded with zeros to ``size`` rows (so padding has weight 0)."""
    if len(rows) == size:
        return array[rows]
    block = np.zeros((size, *array.shape[1:]), array.dtype)
    block[: len(rows)] = array[rows]
    return block

"""How to train: everything but the network and the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from chainrule.learn.executors import Executor
from chainrule.learn.optimizers import Adam, Optimizer
from chainrule.learn.penalties import Penalty
from chainrule.learn.step import Loss

#: factor by which the learning rate is divided where there is no more progress
REDUCTION = 4.0
#: how often it is halved after divergence, at most
HALVINGS = 40


@dataclass(frozen=True)
class Options:
    """How to train.

    Parameters
    ----------
    optimizer : Optimizer
    batch_size : int
        Rows per step; more than there are means all.
    max_epochs : int
    tol : float
        Smallest decrease of the loss that counts as progress.
    patience : int
        Epochs without progress after which the learning rate is reduced, or training stops.
    reductions : int
        How often the learning rate is divided by `REDUCTION`, each time from the best epoch so far.
    penalties : tuple of Penalty
    groups : tuple of int, optional
        Group of each input column, for group L1.
    penalise_biases : bool
    shuffle : bool
    seed : int
        Of the initial parameters, the shuffling and the dropout.
    dtype : "float32" or "float64"
    loss : callable, optional
        A loss of one's own, ``loss(raw, y)`` per row.
    raw_units : pair of arrays, optional
        Scales of the network's inputs (n_inputs,) and of the target, one number, by which both were divided: penalties
        are then those of the weights in the data's own units. For linear models trained with L-BFGS.
    executor : {"auto", "native", "numpy"}
        What runs the epochs, see `chainrule.learn.executors`.
    shift : float
        Added to every loss that is kept or shown: what a loss of standardised targets lacks to one in their own units.
    intercept : bool
        Whether the last layer has biases; without, they stay zero. For L-BFGS.
    keep_best : bool
        Whether L-BFGS keeps the iteration with the smallest validation loss, instead of the last.
    threads : int, optional
        At most so many in native loops; by default as many as the work is worth. The bits are always the same.
    on_divergence : {"raise", "halve"}
        Whether divergence ends training, or takes it back to the best epoch so far and halves the learning rate, with
        a warning that says where it happened; at most `HALVINGS` times, and not with L-BFGS, which has none.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    batch_size: int = 32
    max_epochs: int = 200
    tol: float = 1e-4
    patience: int = 10
    reductions: int = 0
    penalties: tuple[Penalty, ...] = ()
    groups: tuple[int, ...] | None = None
    penalise_biases: bool = False
    shuffle: bool = True
    seed: int = 0
    dtype: str = "float32"
    loss: Loss | None = None
    raw_units: tuple[np.ndarray, float] | None = None
    executor: Executor = "auto"
    shift: float = 0.0
    intercept: bool = True
    keep_best: bool = True
    threads: int | None = None
    on_divergence: Literal["raise", "halve"] = "raise"

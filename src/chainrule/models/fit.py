"""From encoded rows to a fitted model: choose what was left open, train the members, keep what is worth knowing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule import __version__
from chainrule.errors import OptionError
from chainrule.learn.optimizers import LBFGS, Adam, Optimizer
from chainrule.learn.penalties import L1, L2, GroupL1
from chainrule.learn.training import Curves, Options, Rows, Training, diagnose, train
from chainrule.models.inputs import Inputs
from chainrule.models.model import Member, Model
from chainrule.networks import Network
from chainrule.outputs import Output
from chainrule.tables import TargetEncoder


@dataclass(frozen=True)
class FitOptions:
    """How to fit a model; ``None`` means: chosen from the data's size, see `resolve`.

    Parameters
    ----------
    layers : tuple
        Hidden layers of the network; empty for a linear model.
    optimizer : Optimizer, optional
        Adam by default.
    batch_size : int, optional
    max_epochs : int
    tol, patience, reductions : float, int, int
        After so many epochs without a decrease of the loss by `tol` the learning rate is reduced, so many times; then
        training stops.
    l1, l2, group_l1 : float
        Penalties, see `Options`.
    n_members : int
        Networks in the ensemble, each from its own initial values and order of rows.
    n_starts : int
        Trainings per member, from different initial values; the best is kept.
    seed : int
    threads : int, optional
        At most so many: that many trainings run side by side, and share what is left. By default one training after
        the other, each on as many threads as its work is worth. The bits are always the same.
    """

    layers: tuple[Any, ...] = (64, 64)
    optimizer: Optimizer | None = None
    batch_size: int | None = None
    max_epochs: int = 200
    tol: float = 1e-4
    patience: int = 20
    reductions: int = 2
    l1: float = 0.0
    l2: float = 1e-4
    group_l1: float = 0.0
    groups: tuple[int, ...] | None = None
    penalise_biases: bool = False
    n_members: int = 1
    n_starts: int = 1
    seed: int = 0
    shuffle: bool = True
    dtype: str = "float32"
    loss: Callable[[Any, Any], Any] | None = None
    raw_units: tuple[np.ndarray, float] | None = None
    shift: float = 0.0
    intercept: bool = True
    keep_best: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_epochs", "patience", "n_members", "n_starts"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("tol", "l1", "l2", "group_l1", "seed"):
            if not getattr(self, name) >= 0:
                raise OptionError(f"{name} must be a number >= 0, got {getattr(self, name)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, got {self.batch_size}")


def auto_batch_size(n_rows: int) -> int:
    """A power of two, about one hundredth of the rows, between 16 and 256."""
    return int(min(256, max(16, 2 ** round(np.log2(max(n_rows, 1) / 100 + 1)))))


def fit_network(
    network: Network,
    rows: Rows,
    validation: Rows | None,
    options: FitOptions,
    on_epoch: Callable[[Training], bool | None] | None = None,
) -> list[Training]:
    """Train every member, each the best of its starts.

    Returns
    -------
    list of Training
        One per member.
    """
    base, n_starts = resolve(options, len(rows)), options.n_starts
    seeds = [seed_of(options.seed, member, start) for member in range(options.n_members) for start in range(n_starts)]
    workers = min(options.threads or 1, len(seeds))
    if options.threads is not None:
        base = replace(base, threads=max(1, options.threads // workers))

    def one(seed: int) -> Training:
        return train(network, rows, replace(base, seed=seed), validation, on_epoch)

    if workers == 1:
        tries = [one(seed) for seed in seeds]
    else:
        with ThreadPoolExecutor(workers, "chainrule training") as pool:
            tries = list(pool.map(one, seeds))
    return [min(tries[k : k + n_starts], key=lambda t: t.best_loss) for k in range(0, len(tries), n_starts)]


def resolve(options: FitOptions, n_rows: int) -> Options:
    """Fill in what was left open."""
    optimizer = options.optimizer or Adam(lr=1e-3)
    return Options(
        optimizer=optimizer,
        batch_size=n_rows if isinstance(optimizer, LBFGS) else options.batch_size or auto_batch_size(n_rows),
        max_epochs=options.max_epochs,
        tol=options.tol,
        patience=options.patience,
        reductions=options.reductions,
        penalties=tuple(
            make(strength)
            for make, strength in ((L2, options.l2), (L1, options.l1), (GroupL1, options.group_l1))
            if strength > 0
        ),
        groups=options.groups,
        penalise_biases=options.penalise_biases,
        shuffle=options.shuffle,
        seed=options.seed,
        dtype=options.dtype,
        loss=options.loss,
        raw_units=options.raw_units,
        shift=options.shift,
        intercept=options.intercept,
        keep_best=options.keep_best,
        threads=options.threads,
    )


def seed_of(seed: int, member: int, start: int) -> int:
    """Seed of one training among members and starts; the first one's is the seed itself."""
    if member == start == 0:
        return seed
    return int(np.random.SeedSequence([seed, member, start]).generate_state(1)[0])


def finish(
    network: Network, inputs: Inputs, target: TargetEncoder, trainings: Sequence[Training], facts: dict[str, Any]
) -> Model:
    """Put trained members together as a model; constants of the output, such as one variance, from residuals."""
    first = trainings[0]
    rows = first.validation or first.rows
    raw = [raw_outputs(t, rows.x) for t in trainings]
    output: Output = network.output.calibrated(
        np.stack(raw).astype(np.float64),
        rows.y.astype(np.float64),
        rows.w.astype(np.float64),
    )
    members = tuple(Member(t.theta.copy(), {k: v.copy() for k, v in t.buffers.items()}) for t in trainings)
    story = {
        "chainrule": __version__,
        "seed": first.options.seed,
        "epochs": first.epoch,
        "best_epoch": first.best_epoch,
        "best_loss": float(first.best_loss) if first.best_epoch else None,
        "diagnosis": first.diagnosis(),
        "reason": first.reason,
        "training_loss": first.curves.training,
        "validation_loss": first.curves.validation,
    }
    return Model(inputs, target, output, members, network.with_output(output), {**story, **facts})


def raw_outputs(training: Training, x: np.ndarray) -> np.ndarray:
    """Raw outputs of a trained network for encoded rows."""
    from chainrule.learn.blocks import BLOCK, BlockRunner
    from chainrule.learn.step import prediction_graph

    graph = prediction_graph(
        training.network, training.n_inputs, training.n_targets, BLOCK, dtype=training.options.dtype
    )
    with np.errstate(all="ignore"):
        return BlockRunner(graph, len(graph.inputs) - 1)([training.theta, *training.buffers.values()], [x])[0]


def split_rows(n_rows: int, fraction: float, seed: int, strata: np.ndarray | None = None) -> tuple[Any, Any]:
    """Split row numbers at random into (kept, held out), the same classes' shares on both sides where given.

    Parameters
    ----------
    fraction : float
        Share of the rows to hold out, in [0, 1).
    strata : integer array, optional
        Class of each row; classes with a single row stay in the first part.
    """
    if not 0.0 <= fraction < 1.0:
        raise OptionError(f"a held-out fraction must lie in [0, 1), got {fraction}")
    rng = np.random.default_rng([seed, 0x5117])
    held = np.zeros(n_rows, bool)
    groups = [np.arange(n_rows)] if strata is None else [np.flatnonzero(strata == c) for c in np.unique(strata)]
    # the number held out of each class is rounded so that the total comes out right
    exact = np.array([fraction * len(g) for g in groups])
    take = np.floor(exact).astype(int)
    missing = round(fraction * n_rows) - int(take.sum())
    for k in np.argsort(take - exact, kind="stable")[: max(missing, 0)]:
        take[k] += 1
    for group, count in zip(groups, take, strict=True):
        held[rng.permutation(group)[: min(count, max(len(group) - 1, 0))]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def curves_of(trainings: Sequence[Training]) -> Curves:
    """Curves of the first member."""
    return trainings[0].curves


__all__ = ["FitOptions", "auto_batch_size", "diagnose", "finish", "fit_network", "raw_outputs", "split_rows"]

"""Many trainings at once: trials of different settings side by side, the worse ones left behind.

Settings are inputs of compiled code, so trials of one shape share it; native epochs hold no lock, so threads run them
side by side. A training that is stopped goes on later where it was: each ends with the bits it would have had alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import ceil, floor, log
from typing import Any

import numpy as np

from chainrule.errors import DivergenceError, OptionError
from chainrule.learn.optimizers import Adam, FirstOrder
from chainrule.learn.schedules import Schedule
from chainrule.learn.side_by_side import side_by_side
from chainrule.learn.training import Training
from chainrule.models.fit import FitOptions, Part, auto_batch_size, resolve
from chainrule.native.threads import available_cores
from chainrule.networks import Dense, Network, hidden_layers
from chainrule.outputs import Output

#: parts of the rows on which `search_options` compares
MOST_PARTS = 3
#: of how many trials one goes on
FACTOR = 3


@dataclass
class Trial:
    """One choice of settings, and how it did.

    Parameters
    ----------
    settings : dict
    trainings : list of Training
        One per fold.
    scores : array of shape (n_folds,)
        Where it was last compared; larger is better, -inf where training diverged.
    rung : int
        How often it was compared, from 1.
    ended : list of bool
        Which trainings came to their own end.
    """

    settings: dict[str, Any]
    trainings: list[Training]
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rung: int = 0
    ended: list[bool] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ended = [False] * len(self.trainings)

    @property
    def score(self) -> float:
        """Mean over the folds."""
        return float(np.mean(self.scores)) if len(self.scores) else -np.inf

    @property
    def epochs(self) -> int:
        """Of all folds."""
        return sum(t.epoch for t in self.trainings)


class _Paused(Exception):
    """A training has had its epochs for now."""


def train_until(training: Training, epochs: int | None) -> bool:
    """Train until so many epochs are done, all told; ``None``: to the end.

    Returns
    -------
    bool
        Whether it came to its own end. Else the next call goes on, to the same bits as without a stop.

    Raises
    ------
    DivergenceError
    """

    def pause(training: Training) -> None:
        if training.epoch >= (epochs or np.inf):
            raise _Paused

    try:
        training.run(on_segment=None if epochs is None else pause)
    except _Paused:
        return False
    return True


def rungs(n_trials: int, max_epochs: int, factor: float | None) -> list[tuple[int, int | None]]:
    """How many trials are still there at each comparison, and the epochs each has had; ``None``: to the end.

    Successive halving (Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter
    optimization"): all trials with few epochs, a share of ``1 / factor`` with ``factor`` times as many, and so on.
    """
    if factor is None or n_trials == 1:
        return [(n_trials, None)]
    if not factor > 1:
        raise OptionError(f"factor must be larger than 1, or None to train all to the end; got {factor!r}")
    n_rungs = 1 + floor(log(n_trials) / log(factor) + 1e-9)
    left, plan = n_trials, []
    for k in range(n_rungs):
        budget = max(1, round(max_epochs / factor ** (n_rungs - 1 - k)))
        plan.append((left, budget if k < n_rungs - 1 else None))
        left = ceil(left / factor)
    return plan


def successive_halving(
    trials: Sequence[Trial],
    score: Callable[[Trial, int], float],
    plan: Sequence[tuple[int, int | None]],
    workers: int = 1,
) -> Trial:
    """Train the trials side by side and return the best of those that were trained to the end.

    Parameters
    ----------
    trials : sequence of Trial
        All get `scores` and `rung`. Equal scores: the first one counts as better.
    score : callable
        ``score(trial, fold)``, larger is better; called between epochs.
    plan : list
        Of `rungs`.
    workers : int
        Threads.
    """
    prepare(t for trial in trials for t in trial.trainings)
    alive = list(trials)
    for left, epochs in plan:
        alive = alive[:left]
        jobs = [(trial, fold) for trial in alive for fold in range(len(trial.trainings))]

        def one(job: tuple[Trial, int], epochs: int | None = epochs) -> float:
            trial, fold = job
            try:
                if not trial.ended[fold]:
                    trial.ended[fold] = train_until(trial.trainings[fold], epochs)
            except DivergenceError as error:
                trial.ended[fold] = True
                trial.failed.append(str(error))
            return -np.inf if trial.failed else score(trial, fold)

        found = side_by_side(one, jobs, workers, "chainrule search")
        for k, trial in enumerate(alive):
            n = len(trial.trainings)
            trial.scores = np.nan_to_num(np.array(found[k * n : (k + 1) * n]), nan=-np.inf, neginf=-np.inf)
            trial.rung += 1
        alive.sort(key=lambda trial: -trial.score)  # stable
    if not np.isfinite(alive[0].score):
        raise DivergenceError(f"every trial failed; the first: {(alive[0].failed or ['its score is not a number'])[0]}")
    return alive[0]


def prepare(trainings: Iterator[Training]) -> None:
    """Compile what they need, once for each shape, before threads ask for it at the same time."""
    for training in trainings:
        if not training.options.optimizer.full_batch:
            training.compile()


def at_best(training: Training, look: Callable[[Training], Any]) -> Any:
    """Look at a training as if it ended now: with the parameters of its best epoch. It can go on afterwards."""
    state = training.state()
    if training.validation is not None:
        training.restore_best()
    try:
        return look(training)
    finally:
        training.set_state(state)


def grid(space: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations; the last name varies fastest."""
    return [dict(zip(space, values, strict=True)) for values in product(*space.values())]


@dataclass(frozen=True)
class Tried:
    """What a search says about one choice of settings.

    Parameters
    ----------
    settings : dict
    loss : float
        Mean validation loss where it was last compared.
    epochs : int
        Mean over the parts.
    rung : int
    """

    settings: dict[str, Any]
    loss: float
    epochs: float
    rung: int


@dataclass(frozen=True)
class Search:
    """What a search of a table's settings found.

    Parameters
    ----------
    tried : list of Tried
        What was chosen first, then by how far they came and their losses.
    seconds : float
    """

    tried: list[Tried]
    seconds: float

    def lines(self, most: int = 8) -> list[str]:
        """As a table of text."""
        names = list(self.tried[0].settings)
        rows = [[*(_shown(t.settings[n]) for n in names), f"{t.loss:.4f}", f"{t.epochs:.0f}"] for t in self.tried]
        head = [*names, "loss", "epochs"]
        widths = [max(len(r[k]) for r in [head, *rows]) for k in range(len(head))]
        lines = ["  ".join(f"{c:>{w}}" for c, w in zip(r, widths, strict=True)) for r in [head, *rows[:most]]]
        if len(rows) > most:
            lines.append(f"and {len(rows) - most} more, left behind earlier")
        return lines


def search_options(output: Output, parts: Sequence[Part], options: FitOptions) -> tuple[FitOptions, Search]:
    """The options whose networks have the smallest validation loss, among those of `space_around` the given ones.

    The given ones stay if the best are better by less than one standard error of the difference: the least of many
    losses is low by luck too.

    Parameters
    ----------
    output : Output
    parts : sequence of (Rows, Rows)
        At most `MOST_PARTS` are used.

    Raises
    ------
    OptionError
        If there are no validation rows, or the optimizer has no learning rate to vary.
    """
    began = time.perf_counter()
    parts = parts[:MOST_PARTS]
    if any(held is None for _, held in parts):
        raise OptionError("a search compares validation losses; leave it a --validation-fraction, or --validation rows")
    trials = []
    for settings in grid(space_around(options, len(parts[0][0]))):
        own = with_settings(options, settings)
        network = Network(hidden_layers(own.layers), output)
        trials.append(
            Trial(settings, [Training(network, r, replace(resolve(own, len(r)), threads=1), v) for r, v in parts])
        )

    def score(trial: Trial, fold: int) -> float:
        return -trial.trainings[fold].best_loss

    workers = options.threads or available_cores()
    best = successive_halving(trials, score, rungs(len(trials), options.max_epochs, FACTOR), workers)
    if best is not trials[0] and not trials[0].failed:
        successive_halving(trials[:1], score, [(1, None)], workers)
        if not clearly_better(best.scores, trials[0].scores):
            best = trials[0]
    order = sorted(trials, key=lambda t: (t is not best, -t.rung, -t.score))
    tried = [Tried(t.settings, -t.score, t.epochs / len(parts), t.rung) for t in order]
    return with_settings(options, best.settings), Search(tried, time.perf_counter() - began)


def clearly_better(scores: np.ndarray, others: np.ndarray) -> bool:
    """Whether scores are larger by more than one standard error of the mean difference, where there are several."""
    gain = scores - others
    return bool(gain.mean() > (gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0))


def space_around(options: FitOptions, n_rows: int) -> dict[str, list[Any]]:
    """Learning rates, L2, layers and batch sizes around the options; these come first."""
    optimizer = options.optimizer or Adam(lr=3e-3)
    if not isinstance(optimizer, FirstOrder) or isinstance(optimizer.lr, Schedule):
        raise OptionError("a search varies the learning rate; it needs an optimizer such as adam, with a number")
    rate, batch = optimizer.lr, options.batch_size or auto_batch_size(n_rows)
    space: dict[str, list[Any]] = {
        "learning_rate": [rate, rate / 3, rate * 3],
        "l2": [options.l2, options.l2 * 100, options.l2 / 100] if options.l2 else [0.0, 1e-4, 1e-2],
    }
    if options.layers:
        space["layers"] = [options.layers, *_other_layers(options.layers)]
    space["batch_size"] = [batch, *({max(8, batch // 4), batch * 4} - {batch})]
    return {name: list(dict.fromkeys(values)) for name, values in space.items()}


def _other_layers(layers: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """One layer fewer, and one more like the last."""
    shorter = [layers[:-1]] if len(layers) > 1 else []
    return [*shorter, (*layers, layers[-1])]


def with_settings(options: FitOptions, settings: Mapping[str, Any]) -> FitOptions:
    """The options with the settings of a trial."""
    plain: dict[str, Any] = {k: v for k, v in settings.items() if k != "learning_rate"}
    if "learning_rate" in settings:
        optimizer = options.optimizer or Adam()
        plain["optimizer"] = replace(optimizer, lr=settings["learning_rate"])  # type: ignore[type-var]
    return replace(options, **plain)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(v.n_units) if isinstance(v, Dense) else repr(v) for v in value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


__all__ = ["Search", "Trial", "grid", "rungs", "search_options", "successive_halving", "train_until"]

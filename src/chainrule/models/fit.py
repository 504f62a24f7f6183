"""From encoded rows to a fitted model: choose what was left open, train the members, keep what is worth knowing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from chainrule import __version__
from chainrule.errors import DivergenceError, OptionError
from chainrule.exchange.checkpoint_keeper import CheckpointKeeper
from chainrule.learn.curves import diagnose
from chainrule.learn.identity import identity
from chainrule.learn.optimizers import LBFGS, Adam, Optimizer
from chainrule.learn.options import Options
from chainrule.learn.penalties import L1, L2, GroupL1
from chainrule.learn.rows import Rows
from chainrule.learn.side_by_side import side_by_side
from chainrule.learn.step import made
from chainrule.learn.training import Training
from chainrule.models.inputs import Inputs
from chainrule.models.model import Member, Model
from chainrule.models.stored import MOST_MEMBERS
from chainrule.networks import Network, PiecewiseLinear
from chainrule.outputs import Output, mixture_of
from chainrule.outputs.spikes import repeats, spikes
from chainrule.tables import TargetEncoder

if TYPE_CHECKING:
    from chainrule.learn.blocks import RowsRunner

#: rows a member is trained on, and rows that decide when it stops
Part = tuple[Rows, Rows | None]
#: by how much an embedding must lower the validation loss per row; less may be chance in a small table
WORTH = 0.02
#: members after which it is settled whether an embedding helps
TRIALS = 3
#: rows on which members are compared with each other, about, at most
MOST_COMPARED = 10_000
EMBEDDINGS = ("auto", "none", "piecewise")


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
    embedding : {"auto", "none", "piecewise"}
        Whether a `PiecewiseLinear` comes before the layers. "auto": if that gives the smaller validation loss.
    n_members : int
        Networks in the ensemble, each from its own initial values and order of rows, and with its own validation rows.
    n_starts : int
        Trainings per member, from different initial values; the best is kept.
    seed : int
    threads : int, optional
        At most so many: that many trainings run side by side, and share what is left. By default one training after
        the other, each on as many threads as its work is worth. The bits are always the same.
    on_divergence : {"raise", "halve"}
        See `Options`.
    """

    layers: tuple[Any, ...] = (64, 64)
    optimizer: Optimizer | None = None
    batch_size: int | None = None
    max_epochs: int = 600
    tol: float = 1e-4
    patience: int = 20
    reductions: int = 2
    l1: float = 0.0
    l2: float = 1e-4
    group_l1: float = 0.0
    groups: tuple[int, ...] | None = None
    penalise_biases: bool = False
    embedding: str = "auto"
    n_members: int = 5
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
    on_divergence: Literal["raise", "halve"] = "raise"

    def __post_init__(self) -> None:
        for name in ("max_epochs", "patience", "n_members", "n_starts"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("n_members", "n_starts"):
            if getattr(self, name) > MOST_MEMBERS:
                raise OptionError(f"{name} must be at most {MOST_MEMBERS}, got {getattr(self, name)}")
        for name in ("tol", "l1", "l2", "group_l1", "seed"):
            if not 0 <= getattr(self, name) < np.inf:
                raise OptionError(f"{name} must be a number >= 0, got {getattr(self, name)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.embedding not in EMBEDDINGS:
            raise OptionError(f"embedding must be one of {', '.join(EMBEDDINGS)}, got {self.embedding!r}")


def auto_batch_size(n_rows: int) -> int:
    """A power of two, about one hundredth of the rows, between 16 and 256."""
    return int(min(256, max(16, 2 ** round(np.log2(max(n_rows, 1) / 100 + 1)))))


def fit_network(
    network: Network,
    parts: Sequence[Part],
    options: FitOptions,
    on_epoch: Callable[[Training], bool | None] | None = None,
    keeper: CheckpointKeeper | None = None,
) -> list[Training]:
    """Train every member, each the best of its starts.

    Where the embedding is left open the first members are trained with and without; if their mean validation loss is
    smaller with it by more than `WORTH`, all have it.

    Parameters
    ----------
    parts : sequence of (Rows, Rows or None)
        Rows to train on and to validate with, of the first member, the second, …; from the beginning again where there
        are more members.
    keeper : CheckpointKeeper, optional
        Writes checkpoints, and goes on from one.

    Returns
    -------
    list of Training
        One per member.
    """
    trainer = Trainer(options, on_epoch, keeper)
    with nullcontext() if keeper is None else keeper.keeping(identity(network, parts, options)):
        return trainer.rest(*trainer.begin(network, parts))


class Candidate(NamedTuple):
    """A network to try: its name among checkpoints, the rows as its output takes them, and what its loss lacks."""

    label: str
    network: Network
    parts: Sequence[Part]
    shift: float


@dataclass(frozen=True)
class Trainer:
    """Trains members of candidates."""

    options: FitOptions
    on_epoch: Callable[[Training], bool | None] | None = None
    keeper: CheckpointKeeper | None = None

    def begin(self, network: Network, parts: Sequence[Part]) -> tuple[Candidate, list[Training]]:
        """The embedding that is worth it, and the members that it took to find out."""
        o = self.options
        choices = candidates(network, parts, o)
        first = range(min(TRIALS, o.n_members) if len(choices) > 1 else o.n_members)
        tried = [Candidate(f"network {k}", each, parts, o.shift) for k, each in enumerate(choices)]
        best, *others = zip(tried, self.train(tried, first), strict=True)
        for other in others:
            if np.mean([a.best_loss - b.best_loss for a, b in zip(best[1], other[1], strict=True)]) > WORTH:
                best = other
        return best

    def rest(self, candidate: Candidate, members: list[Training]) -> list[Training]:
        """All members, of which the first are trained."""
        return members + self.train([candidate], range(len(members), self.options.n_members))[0]

    def train(self, candidates: Sequence[Candidate], members: range) -> list[list[Training]]:
        """The best of the starts of each candidate's members."""
        options = self.options
        jobs = [(each, k, start) for each in candidates for k in members for start in range(options.n_starts)]
        workers = min(options.threads or 1, max(len(jobs), 1))

        def one(job: tuple[Candidate, int, int]) -> Training:
            each, k, start = job
            rows, validation = each.parts[k % len(each.parts)]
            base = replace(resolve(options, len(rows)), shift=each.shift)
            if options.threads is not None:
                base = replace(base, threads=max(1, options.threads // workers))
            own = replace(base, seed=seed_of(options.seed, k, start))
            training = Training(each.network, rows, own, validation)
            if self.keeper is None:
                return training.run(on_epoch=self.on_epoch)
            return self.keeper.run(f"{each.label}, member {k}, start {start}", training, self.on_epoch)

        tries = side_by_side(one, jobs, workers, "chainrule training")
        n = options.n_starts
        best = [min(tries[k : k + n], key=lambda t: t.best_loss) for k in range(0, len(tries), n)]
        return [best[k * len(members) : (k + 1) * len(members)] for k in range(len(candidates))]


def candidates(network: Network, parts: Sequence[Part], options: FitOptions) -> list[Network]:
    """The networks to choose from: without and with an embedding."""
    # a penalty that picks inputs is about the inputs as they are, and a linear model is to be linear
    plain = not network.layers or options.l1 > 0 or options.group_l1 > 0
    if plain or options.embedding == "none":
        return [network]
    rows = parts[0][0]
    embedding = PiecewiseLinear.fit(rows.x, rows.w)
    embedded = Network((embedding, *network.layers), network.output)
    if options.embedding == "piecewise":
        return [embedded]
    blind = any(validation is None for _, validation in parts)
    if isinstance(options.optimizer, LBFGS):  # takes no layers with state of their own
        return [network]
    return [network] if blind or not embedding.columns else [network, embedded]


def resolve(options: FitOptions, n_rows: int) -> Options:
    """Fill in what was left open."""
    optimizer = options.optimizer or Adam(lr=3e-3)
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
        on_divergence=options.on_divergence,
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
    output = _with_constants(network.output, trainings)
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
        "spikes": spike_warning(output, trainings),
    }
    return Model(inputs, target, output, members, network.with_output(output), {**story, **facts})


def _with_constants(output: Output, trainings: Sequence[Training]) -> Output:
    """The output with what it takes from residuals, of rows not trained on where there are such."""
    kind = type(output)
    if kind.calibrated is Output.calibrated and kind.for_ensemble is Output.for_ensemble:
        return output  # which takes nothing: no need to predict
    first = trainings[0]
    judged = [t.validation or t.rows for t in trainings]
    apart = len({id(rows) for rows in judged}) > 1
    if apart:  # each member on the rows it has not seen
        raw = np.concatenate([raw_outputs(t, rows.x) for t, rows in zip(trainings, judged, strict=True)])[None]
    else:
        raw, judged = np.stack([raw_outputs(t, judged[0].x) for t in trainings]), judged[:1]
    raw = raw.astype(np.float64)
    y = np.concatenate([rows.y for rows in judged]).astype(np.float64)
    w = np.concatenate([rows.w for rows in judged]).astype(np.float64)
    output = output.calibrated(raw, y, w)
    if apart and first.options.loss is None and all(t.validation for t in trainings):
        some = first.rows.x[:: 1 + len(first.rows) // MOST_COMPARED]
        output = output.for_ensemble(raw[0], y, w, np.stack([raw_outputs(t, some) for t in trainings], dtype=float))
    return output


def spike_warning(output: Output, trainings: Sequence[Training]) -> str:
    """What is to be said of the likelihood on the first member's training rows, target by target."""
    rows = trainings[0].rows
    if output.kind != "numeric" or not output.likelihood or not any(repeats(column) for column in rows.y.T):
        return ""
    d = mixture_of([output.distribution(raw_outputs(t, rows.x)) for t in trainings])
    targets = [d] if len(d.shape) == 1 else [d.target(k) for k in range(d.shape[1])]
    return next(filter(None, (spikes(each, rows.y[:, k], rows.w) for k, each in enumerate(targets))), "")


def raw_outputs(training: Training, x: np.ndarray) -> np.ndarray:
    """Raw outputs of a trained network for encoded rows.

    Raises
    ------
    DivergenceError
        If they are not finite: only a training that began with damaged numbers ends so.
    """
    t = training
    run: RowsRunner = made(_predictor, t.network)(t.network, t.n_inputs, t.n_targets, t.options.dtype)
    with np.errstate(all="ignore"):
        raw = run([t.theta, *t.buffers.values()], [x])[0]
    if not np.isfinite(raw).all():
        raise DivergenceError(
            "the trained network's outputs are infinite or NaN; start again, with a lower learning rate"
        )
    return raw


@lru_cache(maxsize=64)
def _predictor(network: Network, n_inputs: int, n_targets: int, dtype: str) -> RowsRunner:
    """From rows to raw outputs, made once for all members of an ensemble."""
    from chainrule.learn.blocks import BLOCK, BlockRunner
    from chainrule.learn.step import prediction_graph

    graph = prediction_graph(network, n_inputs, n_targets, BLOCK, dtype=dtype)
    return BlockRunner(graph, len(graph.inputs) - 1)


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


def hold_out(
    n_rows: int, fraction: float, seed: int, n_members: int, strata: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split row numbers into (kept, held out), once for each member of an ensemble.

    The held-out rows of two members are disjoint as long as there are any left, so that together the members learn
    from all rows. Classes have the same shares on both sides; one of a single row is never held out.

    Parameters
    ----------
    fraction : float
        Share of the rows to hold out, in [0, 1); 0: none.
    strata : integer array, optional
        Class of each row.
    """
    if not 0.0 <= fraction < 1.0:
        raise OptionError(f"a held-out fraction must lie in [0, 1), got {fraction}")
    every = np.arange(n_rows)
    n_folds = max(2, round(1 / fraction)) if fraction else 0
    if round(fraction * n_rows) < 1 or n_rows < 2:
        return [(every, every[:0])]
    if fraction > 0.5:  # most rows held out: no two such parts are disjoint
        return [split_rows(n_rows, fraction, seed, strata)]
    order = np.random.default_rng([seed, 0x5117]).permutation(n_rows)
    fold = np.empty(n_rows, np.int64)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
        _, place, counts = np.unique(strata, return_inverse=True, return_counts=True)
    fold[order] = every % n_folds
    if strata is not None:
        fold[counts[place] == 1] = -1
    return [(every[fold != k], every[fold == k]) for k in range(min(n_members, n_folds, n_rows))]


__all__ = [
    "FitOptions",
    "Part",
    "auto_batch_size",
    "diagnose",
    "finish",
    "fit_network",
    "hold_out",
    "raw_outputs",
    "split_rows",
]

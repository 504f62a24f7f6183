"""Training: epochs of shuffled mini-batches, curves, early stopping, divergence explained."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np

from chainrule.errors import DivergenceError, OptionError
from chainrule.learn.curves import Curves, diagnose
from chainrule.learn.divergence import check_finite, explain_epoch, explain_validation
from chainrule.learn.executors import epoch_runner
from chainrule.learn.identity import identity
from chainrule.learn.loop import EpochRunner
from chainrule.learn.optimizers import FirstOrder, Optimizer
from chainrule.learn.options import HALVINGS, REDUCTION, Options
from chainrule.learn.rows import Rows, same_rows
from chainrule.learn.side_by_side import go_on
from chainrule.learn.step import TrainingStep, evaluation_step, initial_carry, made, shared_step, without_numbers
from chainrule.memory import check_parameters, too_many
from chainrule.networks import Layout, Network

#: what a training builds when it is needed
_PROGRAMS = ("step", "_epoch", "_evaluate")
#: rows per block where a loss is only evaluated
EVALUATION_ROWS = 256
#: about so long a part of an epoch takes where somebody may want to stop within it
SEGMENT_SECONDS = 0.2
#: what is needed to go on to the same bits, besides network, rows and options
_STATE = (
    *("carry", "epoch", "resumed_at", "curves", "best_epoch", "best_loss", "_best", "_reference", "_stale"),
    *("reduced", "halved", "reason", "begun", "origin", "_part", "evaluations"),
)


class Training:
    """A network in training: its state between two epochs, and the way on.

    Parameters
    ----------
    network : Network
    rows : Rows
    options : Options
    validation : Rows, optional
        Rows that decide when to stop and which epoch to keep.
    theta : array, optional
        Where to start; drawn from the seed by default.

    Attributes
    ----------
    epoch : int
        Epochs done.
    resumed_at : int
        How many of them were done before training was last resumed.
    curves : Curves
    best_epoch : int
        The epoch (1-based) whose parameters are kept; 0 before the first.
    reason : str
        Why training stopped, in plain words.
    begun : int, optional
        How many epochs were done before the run that is under way.
    origin : array, optional
        Where a run of L-BFGS that is under way began.
    evaluations : list of arrays
        Gradients and, as the last element, values: what L-BFGS was told since, in order, if somebody may want to go on
        from here.
    """

    def __init__(
        self,
        network: Network,
        rows: Rows,
        options: Options,
        validation: Rows | None = None,
        theta: np.ndarray | None = None,
    ) -> None:
        if not len(rows):
            raise OptionError(
                "there are no rows to train on: their weights are zero, or too small beside the largest in "
                f"{options.dtype}; divide the largest ones"
            )
        if options.batch_size < 1:
            raise OptionError(f"batch_size must be at least 1, got {options.batch_size}")
        self.network, self.rows, self.options = network, rows, options
        self.validation = validation if validation is not None and len(validation) else None
        self.n_inputs, self.n_targets = rows.x.shape[1], rows.y.shape[1]
        init_seed, order_seed, dropout_seed = np.random.SeedSequence(options.seed).spawn(3)
        self._order_words = order_seed.generate_state(4)
        if theta is None:
            size = network.layout(self.n_inputs, self.n_targets).size
            check_parameters(size)
            try:
                initial_raw = network.output.initial_raw(rows.y.astype(np.float64), rows.w.astype(np.float64))
                theta = network.initial(self.n_inputs, np.random.default_rng(init_seed), initial_raw, self.n_targets)
            except MemoryError:
                raise too_many(size) from None
        self.dropout_key = int(dropout_seed.generate_state(1, np.uint64)[0])
        parts = initial_carry(network, options.optimizer, self.n_inputs, np.array(theta, options.dtype))
        self.names = list(parts)
        self.carry: list[np.ndarray] = list(parts.values())
        self.epoch = self.resumed_at = 0
        self.curves = Curves()
        self.best_epoch, self.best_loss = 0, np.inf
        self._best: list[np.ndarray] = [a.copy() for a in self.carry]
        self._reference, self._stale = np.inf, 0
        self.reason = "not trained yet"
        self.reduced = self.halved = 0
        self._part: tuple[int, list[np.ndarray], np.ndarray] | None = None  # rows done of an epoch, and what they gave
        self._pace = 0.0  # seconds per batch
        self.begun: int | None = None
        self.origin: np.ndarray | None = None
        self.evaluations: list[np.ndarray] = []
        self._limited: dict[str, Any] | None = None  # the state where a run came to its limit, before the best epoch
        self.solution: Any = None  # what a full-batch solver says about where it stopped
        check_finite(self._hyper(options), options.dtype)

    def __getstate__(self) -> dict[str, Any]:  # programs are built again where they are needed
        return {k: v for k, v in self.__dict__.items() if k not in _PROGRAMS}

    # -- the programs

    @property
    def layout(self) -> Layout:
        return self.network.layout(self.n_inputs, self.n_targets)

    @cached_property
    def step(self) -> TrainingStep:
        """The graph of one step."""
        o = self.options
        if not isinstance(o.optimizer, FirstOrder):
            raise OptionError(f"{type(o.optimizer).__name__} works on all rows at once and has no mini-batch step")
        return made(shared_step, self.network, o.loss)(
            self.network,
            without_numbers(o.optimizer),
            self.n_inputs,
            self.n_targets,
            min(o.batch_size, len(self.rows)),
            o.dtype,
            tuple(replace(p, strength=1.0) for p in o.penalties),  # type: ignore[type-var]  # all are dataclasses
            o.groups,
            o.penalise_biases,
            o.loss,
        )

    @cached_property
    def _epoch(self) -> EpochRunner:
        return _runner(self.step, self.options)

    @cached_property
    def _evaluate(self) -> EpochRunner:
        return _runner(self.evaluation, self.options)

    @property
    def evaluation(self) -> TrainingStep:
        """The graph of the loss alone."""
        o = self.options
        rows = min(EVALUATION_ROWS, 1 << (len(self.validation or self.rows) - 1).bit_length())  # few sizes, little code
        return made(evaluation_step, self.network, o.loss)(
            self.network, self.n_inputs, self.n_targets, rows, dtype=o.dtype, loss=o.loss
        )

    def compile(self) -> None:
        """Make the code of an epoch and of the evaluation now; else it is made where it is first needed."""
        _ = self._epoch, self._evaluate

    def hyper(self) -> list[Any]:
        """Current values of the hyper-parameters, in the graph's order."""
        values = self._hyper(self.options)
        return [values[name] for name in self.step.hyper]

    def _hyper(self, o: Options) -> dict[str, Any]:
        own = o.optimizer.hyper() if isinstance(o.optimizer, FirstOrder) else {}
        values: dict[str, Any] = {f"optimizer.{k}": v for k, v in own.items()}
        if self.reduced and o is self.options and "optimizer.lr" in values:
            values["optimizer.lr"] /= REDUCTION**self.reduced
        if self.halved and o is self.options:
            values[self._rate(values)] /= 2.0**self.halved
        values |= {f"layer.{k}": v for k, v in self.network.hyper().items()}
        return values | {p.key: p.strength for p in o.penalties} | {"seed": np.uint64(self.dropout_key)}

    @staticmethod
    def _rate(values: dict[str, Any]) -> str:
        """Name of the learning rate, or of the one a schedule starts from."""
        return "optimizer.lr" if "optimizer.lr" in values else "optimizer.lr.lr"

    # -- the state

    def state(self) -> dict[str, Any]:
        """What is needed to go on to the same bits, besides network, rows and options; a snapshot."""
        values = {k: self.__dict__[k] for k in _STATE}  # arrays are replaced in training, never changed
        curves = Curves(list(self.curves.training), list(self.curves.validation))
        return values | {"curves": curves, "evaluations": list(self.evaluations)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back, or on, to a state; `run` goes on from there."""
        self.__dict__.update({k: state[k] for k in _STATE})

    # -- parameters

    def _parts(self, carry: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self.names, carry, strict=True))

    @property
    def theta(self) -> np.ndarray:
        """The parameters as they are now, one flat vector."""
        return self._parts(self.carry)["theta"]

    def set_theta(self, theta: np.ndarray) -> None:
        """Put other parameters in place."""
        at = self.names.index("theta")
        self.carry = [*self.carry[:at], theta.astype(self.options.dtype), *self.carry[at + 1 :]]

    @property
    def buffers(self) -> dict[str, np.ndarray]:
        """The running statistics as they are now."""
        return {k.removeprefix("buffer."): v for k, v in self._parts(self.carry).items() if k.startswith("buffer.")}

    # -- training

    def order(self, epoch: int) -> np.ndarray:
        """The permutation of an epoch: a function of the seed and the epoch alone, so that training can resume."""
        if not self.options.shuffle:
            return np.arange(len(self.rows))
        words = np.append(self._order_words, np.uint32(epoch))
        return np.random.default_rng(words).permutation(len(self.rows))

    def run_epoch(self, on_segment: Callable[[Training], None] | None = None) -> None:
        """Train one epoch, or what is left of it, and record its losses.

        Parameters
        ----------
        on_segment : callable, optional
            Called every fifth of a second or so, between two batches; `state` is one to go on from then. What it
            raises leaves the epoch where it is.

        Raises
        ------
        DivergenceError
            If a parameter, or the loss of training or validation rows, is no longer finite; the state stays that of
            the epoch before.
        """
        data = (self.rows.x, self.rows.y, self.rows.w)
        order, hyper = self.order(self.epoch + 1), self.hyper()
        sums: Any
        done, carry, sums = self._part or (0, self.carry, None)
        while done < len(order):
            size = len(order) if on_segment is None else self._segment()
            start = perf_counter()
            with np.errstate(all="ignore"):
                carry, sums = self._epoch(carry, hyper, data, order[done : done + size], sums)
            self._pace = (perf_counter() - start) * self.step.batch_size / min(size, len(order) - done)
            done += size
            self._check(carry, sums)
            if on_segment is not None and done < len(order):
                self._part = done, carry, sums
                on_segment(self)
        self._part = None
        self._accept(carry, sums)

    def _run_epochs(self, count: int) -> None:
        """Train so many epochs that nothing interrupts, to the bits of `run_epoch`."""
        orders = map(self.order, range(self.epoch + 1, self.epoch + 1 + count))
        data = (self.rows.x, self.rows.y, self.rows.w)
        with np.errstate(all="ignore"):
            for carry, sums in self._epoch.several(self.carry, self.hyper(), data, orders):
                self._check(carry, sums)
                self._accept(carry, sums)

    def _check(self, carry: Sequence[np.ndarray], sums: np.ndarray) -> None:
        """Refuse what an epoch, or a part of one, gave if it is not finite."""
        if not (np.isfinite(sums).all() and np.isfinite(self._parts(carry)["theta"]).all()):
            self._part = None
            raise DivergenceError(explain_epoch(self))

    def _accept(self, carry: list[np.ndarray], sums: np.ndarray) -> None:
        """Take over what an epoch gave."""
        before, self.carry = self.carry, carry
        try:
            self.note_epoch(sums[0] / sums[1])
        except DivergenceError:
            self.carry = before
            raise

    def _segment(self) -> int:
        """Rows of the next part of an epoch, whole batches. The bits do not depend on where epochs are cut."""
        batches = int(SEGMENT_SECONDS / self._pace) if self._pace else 16
        return max(1, batches) * self.step.batch_size

    def note_epoch(self, training_loss: float) -> None:
        """Count an epoch with this training loss: extend the curves, and judge the progress.

        Raises
        ------
        DivergenceError
            If the loss of the validation rows is not finite; the epoch does not count then.
        """
        go_on()
        if self.validation is not None:
            loss = self.loss(self.validation)
            if not np.isfinite(loss):
                raise DivergenceError(explain_validation(self))
            self.curves.validation.append(loss)
        self.epoch += 1
        self.curves.training.append(float(training_loss) + self.options.shift)
        self._judge()

    def loss(self, rows: Rows) -> float:
        """Weighted mean loss of rows at the current parameters, `Options.shift` included."""
        with np.errstate(all="ignore"):
            _, sums = self._evaluate(
                [self.theta, *self.buffers.values()], (), (rows.x, rows.y, rows.w), np.arange(len(rows))
            )
        return float(sums[0] / sums[1]) + self.options.shift

    def _judge(self) -> None:
        """Keep the best epoch, and count epochs without progress."""
        watched = self.curves.validation if self.validation is not None else self.curves.training
        loss = watched[-1]
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self.epoch
            self._best = self.carry
        if loss < self._reference - self.options.tol:
            self._reference, self._stale = loss, 0
        else:
            self._stale += 1

    def run(
        self,
        max_epochs: int | None = None,
        on_epoch: Callable[[Training], bool | None] | None = None,
        on_segment: Callable[[Training], None] | None = None,
    ) -> Training:
        """Train until there is no more progress, then go back to the best epoch.

        A run that was left by an exception of `on_segment`, here or where `state` was taken, goes on.

        Parameters
        ----------
        max_epochs : int, optional
            At most so many more; `Options.max_epochs` by default.
        on_epoch : callable, optional
            Called after every epoch; returning True stops.
        on_segment : callable, optional
            See `run_epoch`; called between epochs too, and by L-BFGS at every evaluation.
        """
        if self.begun is None:
            self.begun = self.epoch
        self._limited = None
        if self.options.optimizer.full_batch:
            if self.origin is None:
                self.origin, self.evaluations = self.theta, []
            from chainrule.learn.full_batch import run_full_batch

            run_full_batch(self, max_epochs, on_epoch, on_segment)
            self.begun, self.origin, self.evaluations = None, None, []
            return self
        limit = self.options.max_epochs if max_epochs is None else max_epochs
        what = "validation" if self.validation is not None else "training"
        self.reason = f"the limit of {limit} epochs was reached"
        while self.epoch - self.begun < limit:
            if on_segment is not None:
                on_segment(self)
            quiet = on_epoch is None and on_segment is None and self._part is None
            # nothing is decided before so many epochs without progress
            ahead = min(limit - (self.epoch - self.begun), self.options.patience - self._stale) if quiet else 1
            try:
                if ahead > 1:
                    self._run_epochs(ahead)
                else:
                    self.run_epoch(on_segment)
            except DivergenceError as error:
                self._halve(error)
                continue
            if on_epoch is not None and on_epoch(self):
                self.reason = "stopped on request"
                break
            if self._stale < self.options.patience:
                continue
            if self.reduced < self.options.reductions:
                self.reduced += 1
                self._stale = 0
                self.restore_best()
                continue
            self.reason = f"the {what} loss did not fall by more than {self.options.tol:g} for {self._stale} epochs"
            if self.reduced:
                self.reason += f", the learning rate having been reduced {self.reduced} times"
            break
        self.begun = None
        self._limited = self.state() if self.limited else None
        if self.validation is not None:
            self.restore_best()
        return self

    def _halve(self, error: DivergenceError) -> None:
        """Go back to the best epoch with half the learning rate, where that was asked for."""
        if self.options.on_divergence == "raise" or self.halved == HALVINGS:
            self.begun = None
            raise error
        self.halved += 1
        self._stale = 0
        self.restore_best()
        rate = self._hyper(self.options)
        warnings.warn(
            f"{str(error).partition(';')[0]}; going on from epoch {self.best_epoch} with the learning rate "
            f"{rate[self._rate(rate)]:g}",
            stacklevel=3,
        )

    @property
    def limited(self) -> bool:
        """Whether the last run came to its limit of epochs."""
        return self.reason.startswith("the limit of")

    def only_limited(self, rows: Rows, validation: Rows | None, options: Options) -> bool:
        """Whether it only came to its limit of epochs, and with these rows and options can go on as if not stopped."""
        if self._limited is None:
            return False
        own, other = (identity(self.network, [], replace(o, max_epochs=0)) for o in (self.options, options))
        held = validation if validation is not None and len(validation) else None
        pairs = [(self.rows, rows), (self.validation, held)]
        return own == other and self.options.loss is options.loss and all(same_rows(*pair) for pair in pairs)

    def resume(self, rows: Rows, validation: Rows | None, options: Options) -> None:
        """Prepare to go on with these rows and options, from the present parameters and optimiser state.

        Where it is `only_limited`, the next run goes on to the bits of one that never stopped; else it is a new one,
        from the best epoch.

        Raises
        ------
        OptionError
            If rows or options do not fit what is carried on: other numbers of inputs and targets, another optimiser,
            another dtype.
        """
        if rows.x.shape[1] != self.n_inputs or rows.y.shape[1] != self.n_targets:
            raise OptionError(
                f"training began with {self.n_inputs} inputs and {self.n_targets} targets, "
                f"these rows have {rows.x.shape[1]} and {rows.y.shape[1]}"
            )
        if options.dtype != self.options.dtype:
            raise OptionError(f"training began in {self.options.dtype} and cannot go on in {options.dtype}")
        if not self._carries(options.optimizer):
            raise OptionError(
                f"training began with {self.options.optimizer}, whose state {options.optimizer} cannot take over"
            )
        check_finite(self._hyper(options), options.dtype)
        for cached in _PROGRAMS:
            self.__dict__.pop(cached, None)
        if self.only_limited(rows, validation, options):
            self.set_state(self._limited or {})
            self.options, self._limited = options, None
            return
        self.rows, self.options, self._limited = rows, options, None
        self.resumed_at = self.epoch
        self.validation = validation if validation is not None and len(validation) else None
        self._reference, self._stale, self.reduced, self.halved = np.inf, 0, 0, 0
        self.begun = self.origin = self._part = None
        self.best_epoch, self.best_loss = 0, np.inf

    def _carries(self, optimizer: Optimizer) -> bool:
        """Whether an optimiser can go on from the present state."""
        same = type(optimizer) is type(self.options.optimizer)
        return same and list(initial_carry(self.network, optimizer, self.n_inputs, self.theta)) == self.names

    def diagnosis(self) -> str:
        """Which of over- and underfitting the curves show since training was last resumed, in words."""
        if not self.options.keep_best:
            return "the problem was solved to its end, whatever the validation loss"
        curves = self.curves.last(self.epoch - self.resumed_at, self.validation is not None)
        return diagnose(curves, self.best_epoch - self.resumed_at, limited=self.limited)

    def restore_best(self) -> None:
        """Go back to the parameters of the epoch with the smallest watched loss."""
        if self.best_epoch:
            self.carry = [a.copy() for a in self._best]


def _runner(step: TrainingStep, options: Options) -> EpochRunner:
    return epoch_runner(
        step.graph, len(step.carry), len(step.hyper), step.batch_size, options.executor, options.threads
    )


def train(
    network: Network,
    rows: Rows,
    options: Options,
    validation: Rows | None = None,
    on_epoch: Callable[[Training], bool | None] | None = None,
) -> Training:
    """Train a network from its initial values; see `Training` and `Options`."""
    return Training(network, rows, options, validation).run(on_epoch=on_epoch)

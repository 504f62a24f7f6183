"""Keeps the checkpoint of a fit: notes where each training is, writes now and then, and stops when asked."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from signal import Signals
from threading import RLock

from chainrule.errors import CheckpointError, OptionError, TrainingStopped
from chainrule.exchange.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from chainrule.exchange.modelfile import one_line
from chainrule.files import check_writable, remove_parts
from chainrule.learn.checkpoint import Snapshot, restore, snapshot
from chainrule.learn.training import Training

#: differences that do not forbid to go on, but the same bits are not promised then
_VERSIONS = ("chainrule", "numpy")


class CheckpointKeeper:
    """Writes a fit's checkpoint, and goes on from one.

    Parameters
    ----------
    path : path
        File to write; the one before is kept as ``<path>.previous``.
    resume : path, optional
        Checkpoint to go on from.
    seconds : float
        Between two checkpoints, at most about so many.
    epochs : int, optional
        And at most so many epochs, of all trainings together.
    advice : str
        How to go on after a stop: what the person is told.
    clock : callable
        Seconds that pass.

    Raises
    ------
    OptionError
        If the file cannot be written there.
    CheckpointError
        If there is no checkpoint that can be read to go on from.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        resume: str | os.PathLike[str] | None = None,
        seconds: float = 30.0,
        epochs: int | None = None,
        advice: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not seconds >= 0:
            raise OptionError(f"the seconds between two checkpoints must be a number >= 0, got {seconds}")
        if epochs is not None and epochs < 1:
            raise OptionError(f"the epochs between two checkpoints must be at least 1, got {epochs}")
        check_writable(path)
        remove_parts(path)
        self.path, self.seconds, self.epochs, self.advice = path, seconds, epochs, advice
        self._resumed = None if resume is None else os.fspath(resume)
        self._read = None if resume is None else read_checkpoint(resume)
        self._identity: Mapping[str, str] = {}
        self._notes: dict[str, Callable[[], Snapshot]] = {}
        self._clock, self._saved_at, self._epochs = clock, clock(), 0
        self._lock = RLock()
        self._signal: int | None = None
        self._warned = False
        self.under_way = self.saved = False

    @contextmanager
    def keeping(self, identity: Mapping[str, str]) -> Iterator[None]:
        """Keep the trainings that `run` runs inside the ``with``; at its end all of them are saved.

        Raises
        ------
        CheckpointError
            If the checkpoint to go on from is of other rows or options: names the first that differs.
        TrainingStopped
        """
        self._identity = identity
        if self._read is not None:
            self._check(self._read.identity)
            self._notes = {key: partial(_same, taken) for key, taken in self._read.trainings.items()}
            self.saved, self._read = True, None
        self.under_way = True
        try:
            yield
            if self._signal is not None:
                self._leave()
            self._save_or_warn()
        finally:
            self.under_way = False

    def run(self, key: str, training: Training, on_epoch: Callable[[Training], bool | None] | None = None) -> Training:
        """Run a training from its beginning, or from where it was.

        Parameters
        ----------
        key : str
            The training's name in the file, without a slash.
        training : Training
            As it is made.
        """
        if key in self._notes:
            taken = self._notes[key]()
            try:
                restore(training, taken)
            except CheckpointError as error:
                raise CheckpointError(f"{self._resumed}: {error}; start again without --resume") from None
            if taken.finished:
                return training

        def count(training: Training) -> bool | None:
            self._epochs += 1
            return None if on_epoch is None else on_epoch(training)

        training.run(on_epoch=count, on_segment=lambda t: self._note(key, t))
        self._note(key, training, finished=True)
        return training

    def stop(self, signal: int) -> None:
        """Ask the trainings to stop at the next moment where they can; safe in a signal handler."""
        self._signal = signal

    @property
    def stopping(self) -> bool:
        return self._signal is not None

    def _note(self, key: str, training: Training, finished: bool = False) -> None:
        note = partial(snapshot, training.names, training.state(), finished)
        with self._lock:
            self._notes[key] = partial(_same, note()) if finished else note
            if self._signal is not None:
                self._leave()
            elapsed = self._clock() - self._saved_at
            enough = self.epochs is not None and self._epochs >= self.epochs
            if enough or not 0 <= elapsed < self.seconds:  # a clock that went back says nothing
                self._save_or_warn()

    def save(self) -> None:
        """Write the checkpoint now.

        Raises
        ------
        OptionError
            Naming the file and the reason; the file that was there stays.
        """
        with self._lock:
            self._saved_at, self._epochs = self._clock(), 0
            trainings = {key: note() for key, note in self._notes.items()}
            try:
                write_checkpoint(self.path, Checkpoint(self._identity, trainings))
            except MemoryError:
                raise OptionError(f"cannot write {os.fspath(self.path)}: there is not enough memory") from None
            self.saved = True
            self._saved_at = self._clock()  # the interval is that of training, however slow the disk

    def _save_or_warn(self) -> None:
        """A checkpoint that cannot be written is no reason to end a training."""
        try:
            self.save()
        except OptionError as error:
            if not self._warned:
                kept = "the checkpoint before is kept" if self.saved else "there is no checkpoint yet"
                warnings.warn(f"{error}; training goes on, {kept}", stacklevel=2)
            self._warned = True

    def _leave(self) -> None:
        """Save, and leave training.

        Raises
        ------
        TrainingStopped
        """
        with self._lock:
            assert self._signal is not None
            try:
                self.save()
                what = "everything is saved"
            except OptionError as error:
                what = str(error)
            raise self.stopped(what, self._signal)

    def stopped(self, what: str, signal: int) -> TrainingStopped:
        """The stop in words: what was saved, and how to go on if anything was."""
        how = self.advice if self.saved else "nothing was saved yet"
        return TrainingStopped(f"stopped by {Signals(signal).name}, {what}; {how}", signal)

    def _check(self, found: Mapping[str, str]) -> None:
        for name, value in self._identity.items():
            if found.get(name) == value:
                continue
            theirs = one_line(found.get(name, "none"))
            if name in _VERSIONS:
                warnings.warn(
                    f"{self._resumed} was written with {name} {theirs}, this is {value}; the bits may differ "
                    "from those of an uninterrupted training",
                    stacklevel=3,
                )
                continue
            what = f"was of other {name}" if name.endswith(" rows") else f"began with other {name}"
            said = "" if name.endswith("rows") or len(value) > 60 else f" ({theirs}, now {value})"
            raise CheckpointError(
                f"{self._resumed}: the interrupted training {what}{said}; give the same table and options, or start "
                "again without resuming"
            )


def _same(taken: Snapshot) -> Snapshot:
    return taken

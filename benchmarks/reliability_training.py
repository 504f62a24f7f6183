"""Trainings that are killed: ``kill -9`` at random moments, and signals that ask to stop.

A life is a process that goes on from the checkpoint of the one before; it is ended at a random moment of its training,
and the next one begins, until a training is done. Then its bits must be those of a training that nobody disturbed.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.reliability_checks import Check

from chainrule.errors import ChainruleError, TrainingStopped
from chainrule.exchange.checkpoint import read_checkpoint
from chainrule.exchange.checkpoint_keeper import CheckpointKeeper
from chainrule.learn.optimizers import LBFGS
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.fit import FitOptions, fit_network
from chainrule.networks import BatchNorm, Dense, Dropout, Network
from chainrule.outputs import Gaussian

#: seconds between two checkpoints
INTERVAL = 0.1
#: a life is ended so many seconds after it began to train, at most
LIFE = 0.6
#: between the moment that a checkpoint is due and the moment that is written down
SLACK = 0.02
OPTIONS = FitOptions(n_members=2, max_epochs=120, patience=30, batch_size=16)
FITS = {
    "ensemble, early stopping": (Network((Dense(16, "silu"), Dense(16, "silu")), Gaussian()), OPTIONS),
    "dropout": (Network((Dense(16, "relu"), Dropout(0.2), Dense(8, "tanh")), Gaussian()), OPTIONS),
    "batch normalisation": (Network((Dense(16, "silu"), BatchNorm()), Gaussian()), replace(OPTIONS, n_starts=2)),
    "L-BFGS": (Network((Dense(12, "tanh"),), Gaussian()), replace(OPTIONS, optimizer=LBFGS(), max_epochs=200)),
}


class _Witness(CheckpointKeeper):
    """Writes down when the last checkpoint was on disk and when the last two segments ended: what a kill leaves behind.

    A segment is a part of an epoch, or the making of a step's code; inside one nothing can be saved.
    """

    def __init__(self, folder: Path, resume: bool) -> None:
        path = folder / "fit.checkpoint"
        super().__init__(path, path if resume else None, INTERVAL)
        self._born = folder / "born"
        self._file = os.open(folder / "moments", os.O_RDWR | os.O_CREAT)
        self._saved = self._before = self._last = time.monotonic()
        self._write()

    def _write(self) -> None:
        os.pwrite(self._file, struct.pack("3d", self._saved, self._before, self._last), 0)

    def _note(self, key: str, training: Training, finished: bool = False) -> None:
        self._before, self._last = self._last, time.monotonic()
        self._write()
        if not self._born.exists():
            self._born.touch()
        super()._note(key, training, finished)

    def save(self) -> None:
        super().save()
        self._saved = self._last = time.monotonic()  # nothing is trained while a checkpoint is written
        self._write()


def _fit(name: str, keeper: CheckpointKeeper | None) -> str:
    """Fit, and say which bits came out."""
    network, options = FITS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = x[:, 0] + np.sin(3.0 * x[:, 1]) + 0.1 * rng.normal(size=600)
    parts = [(Rows.of(x[k::3], y[k::3]), Rows.of(x[k - 1 :: 3], y[k - 1 :: 3])) for k in (1, 2)]
    digest = hashlib.sha256()
    for training in fit_network(network, parts, options, keeper=keeper):
        digest.update(training.theta.tobytes() + repr((training.curves, training.reason)).encode())
    return digest.hexdigest()


def _live(name: str, folder: Path) -> int:
    """A life: the child process."""
    keeper = _Witness(folder, (folder / "fit.checkpoint").exists())
    signal.signal(signal.SIGTERM, lambda number, frame: keeper.stop(number))
    try:
        bits = _fit(name, keeper)
    except TrainingStopped as stop:
        return 128 + stop.signal
    (folder / "bits").write_text(bits)
    return 0


def killed_trainings(count: int, seed: int) -> Iterator[Check]:
    """The section: ends ``count`` lives, every other kind of fit in turn."""
    wanted = {name: _fit(name, None) for name in FITS}
    for how in (signal.SIGKILL, signal.SIGTERM):
        lives = Check(f"{how.name} at a random moment")
        bits = Check("  trainings done, same bits as undisturbed")
        lost: list[tuple[float, float]] = [(0.0, 0.0)]
        rng, start, turn = random.Random(f"{seed}/{how}"), time.perf_counter(), 0
        total = count if how == signal.SIGKILL else count // 4
        while lives.count < total:
            name = list(FITS)[turn % len(FITS)]
            turn += 1
            with tempfile.TemporaryDirectory() as folder:
                problem = _lives(name, Path(folder), how, rng, lives, lost)
                found = problem or (Path(folder) / "bits").read_text()
            bits.count += 1
            if found != wanted[name]:
                bits.failures.append(f"{name}: {problem or 'other bits'}")
        lives.seconds = bits.seconds = time.perf_counter() - start
        yield lives
        yield bits
        if how == signal.SIGKILL:
            over = [f"{due:.2f} s and a segment of {last:.2f} s" for due, last in lost if due > INTERVAL + SLACK]
            most = max(due for due, _ in lost)
            longest = max(last for _, last in lost)
            yield Check(f"  lost {most:.2f} s and a segment of at most {longest:.2f} s", lives.count, over)


def _lives(
    name: str, folder: Path, how: signal.Signals, rng: random.Random, lives: Check, lost: list[tuple[float, float]]
) -> str:
    """Life after life until the training is done; what is wrong, or nothing."""
    command = [sys.executable, "-m", "benchmarks.reliability_training", name, str(folder)]
    while not (folder / "bits").exists():
        (folder / "born").unlink(missing_ok=True)
        child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while not (folder / "born").exists() and child.poll() is None:
            time.sleep(0.002)
        try:
            child.wait(rng.uniform(0.0, LIFE))
        except subprocess.TimeoutExpired:
            child.send_signal(how)
            lives.count += 1
        said = child.communicate()[1]
        if child.returncode not in (0, -how, 128 + how):
            lives.failures.append(f"{name}: status {child.returncode}: {said.strip()[-300:]}")
            return "a life that could not go on"
        if child.returncode == -signal.SIGKILL:
            saved, before, last = struct.unpack("3d", (folder / "moments").read_bytes())
            lost.append((max(0.0, before - saved), last - max(before, saved)))
        problem = _unreadable(folder / "fit.checkpoint")
        if problem:
            lives.failures.append(f"{name}: {problem}")
    return ""


def _unreadable(path: Path) -> str:
    """Why the newest checkpoint cannot be read; nothing if it can, or if there never was one."""
    if not path.exists():
        return "" if not Path(f"{path}.previous").exists() else "the newest checkpoint is gone"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # also if the one before would have to be used
            read_checkpoint(path)
    except (ChainruleError, Warning) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(_live(sys.argv[1], Path(sys.argv[2])))

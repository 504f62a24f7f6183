"""The checkpoint file: all that a fit of several trainings needs to go on to the same bits.

It has the form of the model file (safetensors, strict JSON, checksum, version), and is written as whole as that. The
file before it is kept as ``<name>.previous`` and used, with a word, where the newest is damaged.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from chainrule.errors import CheckpointError, ModelFileError
from chainrule.exchange.modelfile import one_line, read_model_file, write_model_file
from chainrule.learn.checkpoint import Snapshot

FORMAT = "chainrule checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Parameters
    ----------
    identity : dict of str to str
        Whose it is, see `chainrule.learn.checkpoint.identity`.
    trainings : dict of str to Snapshot
        By name, those done and those under way.
    """

    identity: Mapping[str, str]
    trainings: Mapping[str, Snapshot]


_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    """What is said of a training."""

    epoch: _Count
    resumed_at: _Count
    best_epoch: _Count
    _stale: _Count
    reduced: Annotated[int, msgspec.Meta(ge=0, le=100)]
    halved: Annotated[int, msgspec.Meta(ge=0, le=100)]
    reason: str
    finished: bool
    rows_done: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    begun: _Count | None


class _Description(msgspec.Struct, forbid_unknown_fields=True):
    identity: dict[str, str]
    trainings: dict[str, _Facts]


def previous_of(path: str | os.PathLike[str]) -> Path:
    """Where the file before the newest is kept."""
    return Path(f"{os.fspath(path)}.previous")


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint, all or nothing; the one that was there becomes the previous.

    Raises
    ------
    OptionError
        Naming the file and the reason.
    """
    description = {
        "identity": dict(checkpoint.identity),
        "trainings": {k: t.facts for k, t in checkpoint.trainings.items()},
    }
    tensors = {f"{key}/{name}": a for key, t in checkpoint.trainings.items() for name, a in t.arrays.items()}
    write_model_file(path, description, tensors, FORMAT, previous_of(path))


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint; the previous one, with a warning, where the newest is damaged.

    Raises
    ------
    CheckpointError
        If neither can be used; says why the newest cannot.
    """
    try:
        return _read(path)
    except ModelFileError as error:
        reason = str(error)
    previous = previous_of(path)
    if previous.exists():
        try:
            found = _read(previous)
        except ModelFileError as error:
            raise CheckpointError(f"{reason}; and {error}") from None
        warnings.warn(f"{reason.partition(';')[0]}; going on from the one before it, {previous}", stacklevel=2)
        return found
    raise CheckpointError(reason)


def _read(path: str | os.PathLike[str]) -> Checkpoint:
    description, tensors = read_model_file(path, FORMAT)
    try:
        said = msgspec.convert(description, _Description)
    except msgspec.ValidationError as error:
        raise ModelFileError(
            f"{os.fspath(path)}: the description is damaged ({one_line(error)}); start again"
        ) from None
    arrays: dict[str, dict[str, np.ndarray]] = {key: {} for key in said.trainings}
    for name, array in tensors.items():
        key, slash, part = name.partition("/")
        if not slash or key not in arrays:
            raise ModelFileError(f"{os.fspath(path)}: the tensor {name[:60]!r} belongs to no training; start again")
        arrays[key][part] = array
    for key, facts in said.trainings.items():
        if not _hangs_together(facts, arrays[key]):
            raise ModelFileError(f"{os.fspath(path)}: the state of {one_line(key)!r} is damaged; start again")
    trainings: dict[str, Any] = {
        key: Snapshot(msgspec.structs.asdict(facts), arrays[key]) for key, facts in said.trainings.items()
    }
    return Checkpoint(said.identity, trainings)


def _hangs_together(facts: _Facts, arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether losses and parameters are finite numbers, and there are losses of the epochs that are counted.

    What is missing altogether is told where a training is put back.
    """
    curves = [arrays[name] for name in ("training_loss", "validation_loss") if name in arrays]
    if any(c.ndim != 1 or c.dtype != np.float64 or not np.isfinite(c).all() for c in curves):
        return False
    epochs = facts.epoch - facts.resumed_at
    if epochs < 0 or facts.best_epoch > facts.epoch:
        return False
    if any(len(c) < epochs and (len(c) or k == 0) for k, c in enumerate(curves)):  # there may be nothing to validate on
        return False
    if facts.best_epoch and not np.isfinite(arrays.get("numbers", np.zeros(1))[:1]).all():
        return False
    numbers = [arrays[name] for name in ("numbers", "sums") if name in arrays]
    if any(n.dtype.kind != "f" or np.isnan(n).any() for n in numbers):
        return False
    thetas = (array for name, array in arrays.items() if name.endswith(".theta") and array.dtype.kind == "f")
    return all(bool(np.isfinite(theta).all()) for theta in thetas)

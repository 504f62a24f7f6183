"""The state of a training as plain data and arrays, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import CheckpointError
from chainrule.learn.curves import Curves
from chainrule.learn.training import Training

#: counts and words of a state, and what they are in JSON
_FACTS = {
    **dict.fromkeys(("epoch", "resumed_at", "best_epoch", "_stale", "reduced", "halved"), int),
    "reason": str,
}
#: numbers of a state, which may be infinite
_NUMBERS = ("best_loss", "_reference")


@dataclass(frozen=True)
class Snapshot:
    """A training's state at one moment.

    Parameters
    ----------
    facts : dict
        What JSON can hold.
    arrays : dict of str to array
        Parts of the carry by name, also of the best epoch (``best.``) and of an epoch that is under way (``part.``);
        curves; evaluations of L-BFGS. Not copied, since training replaces arrays and never changes them.
    """

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def finished(self) -> bool:
        return bool(self.facts["finished"])


def snapshot(names: Sequence[str], state: Mapping[str, Any], finished: bool = False) -> Snapshot:
    """A training's state as plain data.

    Parameters
    ----------
    names : sequence of str
        `Training.names`.
    state : mapping
        `Training.state`, which may lie within an epoch.
    finished : bool
        Nobody goes on from there: what is needed for that is left out.
    """
    arrays = {f"carry.{n}": a for n, a in zip(names, state["carry"], strict=True)}
    facts = {k: kind(state[k]) for k, kind in _FACTS.items()} | {"finished": finished, "rows_done": 0}
    facts["begun"] = state["begun"]
    arrays["numbers"] = np.array([state[k] for k in _NUMBERS], np.float64)
    arrays["training_loss"] = np.array(state["curves"].training, np.float64)
    arrays["validation_loss"] = np.array(state["curves"].validation, np.float64)
    if finished:
        return Snapshot(facts, arrays)
    arrays |= {f"best.{n}": a for n, a in zip(names, state["_best"], strict=True)}
    if state["_part"] is not None:
        facts["rows_done"], part, arrays["sums"] = state["_part"]
        arrays |= {f"part.{n}": a for n, a in zip(names, part, strict=True)}
    if state["origin"] is not None:
        arrays["origin"] = state["origin"]
        arrays["told"] = np.array(state["evaluations"], np.float64).reshape(-1, len(state["origin"]) + 1)
    return Snapshot(facts, arrays)


def restore(training: Training, taken: Snapshot) -> None:
    """Put a training where another of the same network, rows and options was.

    Raises
    ------
    CheckpointError
        If the state is not one of such a training.
    """
    facts, arrays = taken.facts, taken.arrays
    try:
        state: dict[str, Any] = {k: kind(facts[k]) for k, kind in _FACTS.items()}
        state |= {k: float(v) for k, v in zip(_NUMBERS, arrays["numbers"], strict=True)}
        state["begun"] = None if facts["begun"] is None else int(facts["begun"])
        state["carry"] = _carry(training, arrays, "carry")
        state["_best"] = state["carry"] if taken.finished else _carry(training, arrays, "best")
        state["curves"] = Curves(arrays["training_loss"].tolist(), arrays["validation_loss"].tolist())
        state["_part"] = None
        if facts["rows_done"]:
            state["_part"] = int(facts["rows_done"]), _carry(training, arrays, "part"), arrays["sums"].copy()
        state["origin"] = arrays["origin"].copy() if "origin" in arrays else None
        state["evaluations"] = list(arrays["told"].copy()) if "told" in arrays else []
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"a state is incomplete ({str(error)[:100]})") from None
    training.set_state(state)


def _carry(training: Training, arrays: Mapping[str, np.ndarray], what: str) -> list[np.ndarray]:
    found = [arrays[f"{what}.{name}"].copy() for name in training.names]
    for name, given, own in zip(training.names, found, training.carry, strict=True):
        if (given.shape, given.dtype) != (np.shape(own), np.asarray(own).dtype):
            raise ValueError(f"{what}.{name} is {given.dtype} {given.shape}")
    return found


__all__ = ["Snapshot", "restore", "snapshot"]

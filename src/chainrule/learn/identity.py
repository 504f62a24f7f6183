"""Whose a state of training is: all that decides its bits, in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import fields
from types import FunctionType
from typing import Any

import numpy as np

from chainrule import __version__
from chainrule.learn.rows import Rows

#: what does not change the bits
_FREE = ("threads", "executor")


def identity(network: Any, parts: Sequence[tuple[Rows, Rows | None]], options: Any) -> dict[str, str]:
    """Whose a checkpoint is, by name: all that decides the bits of a training.

    Parameters
    ----------
    network : Network
    parts : sequence of (Rows, Rows or None)
        Rows to train on and to validate with.
    options : dataclass
        Its fields each count under their own name.

    Returns
    -------
    dict of str to str
        Digests of the rows; the rest in words.
    """
    own = {f.name: _words(getattr(options, f.name)) for f in fields(options) if f.name not in _FREE}
    return {
        "chainrule": __version__,
        "numpy": np.__version__,
        "training rows": _digest([rows for rows, _ in parts]),
        "validation rows": _digest([rows for _, rows in parts if rows is not None]),
        "network": _words(network),
        **own,
    }


def _digest(parts: Sequence[Rows]) -> str:
    digest = hashlib.sha256()
    for rows in parts:
        for array in (rows.x, rows.y, rows.w):
            digest.update(f"{array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _words(value: Any) -> str:
    """A value in words that are the same in every process; arrays as digests, functions by name."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_words(v) for v in value)})"
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return json.dumps(value) if value is None or isinstance(value, (str, int, float)) else repr(value)

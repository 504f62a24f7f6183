"""One flat vector θ and its named, shaped pieces, convertible both ways without loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from chainrule.errors import OptionError


@dataclass(frozen=True)
class Piece:
    """One named parameter array.

    Parameters
    ----------
    name : str
        Such as ``"layer1.weight"``.
    shape : tuple of int
    penalised : bool
        Whether L1 and L2 apply; biases are not penalised unless asked.
    scale : float
        Standard deviation of the normal distribution it is drawn from at initialisation; 0 for zeros.
    constant : float
        Mean of that distribution.
    """

    name: str
    shape: tuple[int, ...]
    penalised: bool = False
    scale: float = 0.0
    constant: float = 0.0

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """Where each piece lies in the flat vector.

    Parameters
    ----------
    pieces : tuple of Piece
    """

    pieces: tuple[Piece, ...]

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        offsets, total = [], 0
        for piece in self.pieces:
            offsets.append(total)
            total += piece.size
        return tuple(offsets)

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)

    def unflatten(self, theta: Any) -> dict[str, Any]:
        """Named pieces of a flat vector (views; traced vectors give traced pieces)."""
        return {
            piece.name: np.reshape(theta[offset : offset + piece.size], piece.shape)
            for piece, offset in zip(self.pieces, self.offsets, strict=True)
        }

    def flatten(self, values: Mapping[str, Any], dtype: Any = None) -> Any:
        """The flat vector of named pieces.

        Raises
        ------
        OptionError
            If a piece is missing or has another shape.
        """
        parts = []
        for piece in self.pieces:
            if piece.name not in values:
                raise OptionError(
                    f"parameter {piece.name} is missing; expected {', '.join(p.name for p in self.pieces)}"
                )
            value = values[piece.name]
            if np.shape(value) != piece.shape:
                raise OptionError(f"parameter {piece.name} must have shape {piece.shape}, got {np.shape(value)}")
            parts.append(np.reshape(value, (piece.size,)))
        if not parts:
            return np.zeros(0, dtype or np.float64)
        flat = np.concatenate(parts)
        return flat if dtype is None else flat.astype(dtype)

    def mask(self, dtype: Any = np.float64) -> np.ndarray:
        """1 where an element is penalised, 0 elsewhere, as a flat vector."""
        return np.concatenate([np.full(p.size, p.penalised, dtype) for p in self.pieces] or [np.zeros(0, dtype)])

    def draw(self, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
        """A flat vector of initial values."""
        parts = [
            p.constant + p.scale * rng.standard_normal(p.size) if p.scale else np.full(p.size, p.constant)
            for p in self.pieces
        ]
        return np.concatenate(parts or [np.zeros(0)]).astype(dtype)

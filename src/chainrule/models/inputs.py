"""What a model takes and what it predicts: raw columns to network inputs, raw target to training values, and back.

Both are plain data with a traceable part, so that preprocessing is nodes of the model's graph.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import ModelFileError, OptionError
from chainrule.graph.types import ArrayType

FLOAT64 = np.dtype(np.float64)


class Inputs(ABC):
    """From what the user has to what the network takes."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Names of the raw columns, in order."""

    @property
    @abstractmethod
    def named(self) -> bool:
        """Whether the user gave the columns their names."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names of the network's inputs."""

    @property
    def n_features(self) -> int:
        """Number of the network's inputs."""
        return len(self.feature_names)

    @property
    def groups(self) -> tuple[int, ...]:
        """Raw column of each network input, for group penalties."""
        return tuple(range(self.n_features))

    @abstractmethod
    def types(self, n_rows: int) -> list[ArrayType]:
        """Types of the arrays that `encode` takes, for so many rows."""

    @abstractmethod
    def arrays(self, table: Any) -> list[np.ndarray]:
        """Check a table or matrix and make the arrays that `encode` takes."""

    @abstractmethod
    def encode(self, arrays: Sequence[Any]) -> Any:
        """Network inputs (n_rows, n_features). Traceable."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """As plain data, with its ``kind``."""


@dataclass(frozen=True)
class MatrixInputs(Inputs):
    """A numeric matrix: columns standardised, missing values set to the mean and marked where training had any.

    Parameters
    ----------
    location, scale : array of shape (n_columns,)
        Mean and standard deviation of each column over the training rows; constant columns have scale 1.
    marked : tuple of int
        Columns with missing values in training: each gets a further input that is 1 where it is missing.
    names : tuple of str
    """

    kind: ClassVar[str] = "matrix"
    location: np.ndarray
    scale: np.ndarray
    marked: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def fit(cls, x: np.ndarray, weights: np.ndarray | None = None, names: Sequence[str] | None = None) -> MatrixInputs:
        """Learn location, scale and which columns have missing values.

        Parameters
        ----------
        x : array of shape (n_rows, n_columns)
            NaN is missing.
        weights : array of shape (n_rows,), optional
        """
        x = np.asarray(x, np.float64)
        missing = np.isnan(x)
        location, scale = standardisation(x, weights)
        marked = tuple(int(k) for k in np.flatnonzero(missing.any(axis=0)))
        return cls(
            location, scale, marked, tuple(names) if names is not None else tuple(f"x{k}" for k in range(x.shape[1]))
        )

    @property
    def columns(self) -> tuple[str, ...]:
        return self.names

    @property
    def named(self) -> bool:
        return self.names != tuple(f"x{k}" for k in range(len(self.names)))

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (*self.names, *(f"{self.names[k]} is missing" for k in self.marked))

    @property
    def groups(self) -> tuple[int, ...]:
        return (*range(len(self.names)), *self.marked)

    def types(self, n_rows: int) -> list[ArrayType]:
        return [ArrayType((n_rows, len(self.names)), FLOAT64)]

    def arrays(self, table: Any) -> list[np.ndarray]:
        x = np.asarray(table, np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.names):
            raise OptionError(f"X must have shape (n_rows, {len(self.names)}), got {x.shape}")
        return [x]

    def encode(self, arrays: Sequence[Any]) -> Any:
        (x,) = arrays
        missing = np.isnan(x)
        standard = np.where(missing, 0.0, (x - self.location) / self.scale)
        if not self.marked:
            return standard
        return np.concatenate([standard, missing[:, list(self.marked)].astype(np.float64)], axis=1)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "location": self.location.tolist(),
            "scale": self.scale.tolist(),
            "marked": list(self.marked),
            "names": list(self.names),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MatrixInputs:
        """The inputs of `to_json`'s record."""
        location, scale = np.asarray(record["location"], np.float64), np.asarray(record["scale"], np.float64)
        names = tuple(str(n) for n in record["names"])
        marked = tuple(int(k) for k in record["marked"])
        if not (location.shape == scale.shape == (len(names),)) or any(not 0 <= k < len(names) for k in marked):
            raise ModelFileError("the input columns' statistics do not fit their names")
        return cls(location, scale, marked, names)


def standardisation(x: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation by column, over the values that are there.

    Computed on values divided by the column's largest magnitude, so that 1e300 does not overflow; columns that are
    constant up to rounding get scale 1.
    """
    w = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
    there = np.isfinite(x)
    w = np.where(there, w[:, None], 0.0)
    filled = np.where(there, x, 0.0)
    unit = np.max(np.abs(filled), axis=0, initial=0.0)
    unit = np.where(unit > 0, unit, 1.0)
    scaled = filled / unit
    total = np.maximum(w.sum(axis=0), np.finfo(float).tiny)
    mean = (w * scaled).sum(axis=0) / total
    spread = np.sqrt((w * np.square(scaled - mean)).sum(axis=0) / total)
    constant = spread <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
    return mean * unit, np.where(constant, 1.0, spread * unit)


@dataclass(frozen=True)
class Target:
    """What is predicted: classes, or numbers with the location and scale they are trained on.

    Parameters
    ----------
    names : tuple of str
        One per target column.
    classes : tuple of tuple, optional
        The classes of each target column, in code order; ``None`` for numbers.
    location, scale : array of shape (n_columns,)
        Numbers are trained on as ``(y - location) / scale`` where the output allows it.
    """

    names: tuple[str, ...]
    classes: tuple[tuple[Any, ...], ...] | None = None
    location: np.ndarray = field(default_factory=lambda: np.zeros(1))
    scale: np.ndarray = field(default_factory=lambda: np.ones(1))

    @property
    def n_columns(self) -> int:
        return len(self.names)

    @classmethod
    def of_classes(cls, names: Sequence[str], classes: Sequence[Sequence[Any]]) -> Target:
        """Class codes, one list of classes per column."""
        return cls(tuple(names), tuple(tuple(c) for c in classes), np.zeros(len(names)), np.ones(len(names)))

    @classmethod
    def of_numbers(cls, names: Sequence[str], y: np.ndarray, weights: np.ndarray | None, standardise: bool) -> Target:
        """Numbers, with location and scale learned from training rows where they are to be standardised."""
        location, scale = np.zeros(len(names)), np.ones(len(names))
        if standardise:
            location, scale = standardisation(np.asarray(y, np.float64).reshape(len(y), -1), weights)
        return cls(tuple(names), None, location, scale)

    @property
    def log_scale(self) -> float:
        """What a negative log-likelihood of standardised numbers lacks to one in the target's own units."""
        return float(np.log(self.scale).sum())

    def standardise(self, y: np.ndarray) -> np.ndarray:
        """Numbers or codes (n_rows, n_columns) as the network is trained on them."""
        return (np.asarray(y, np.float64).reshape(len(y), -1) - self.location) / self.scale

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "names": list(self.names),
            "classes": None if self.classes is None else [[plain(v) for v in c] for c in self.classes],
            "location": self.location.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Target:
        """The target of `to_json`'s record."""
        names = tuple(str(n) for n in record["names"])
        classes = record["classes"]
        made = None if classes is None else tuple(tuple(c) for c in classes)
        location, scale = np.asarray(record["location"], np.float64), np.asarray(record["scale"], np.float64)
        if not names or location.shape != (len(names),) or scale.shape != (len(names),) or not (scale > 0).all():
            raise ModelFileError("the target's location and scale do not fit its names")
        if made is not None and len(made) != len(names):
            raise ModelFileError("the target's classes do not fit its names")
        return cls(names, made, location, scale)


def plain(value: Any) -> Any:
    """A class label as JSON can hold it: text, number or boolean."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (str, bool, int, float)):
        return value
    raise OptionError(f"class label {value!r} of type {type(value).__name__} cannot be stored; use text or numbers")

"""What a model takes and what it predicts: raw columns to network inputs, raw target to training values, and back.

Both are plain data with a traceable part, so that preprocessing is nodes of the model's graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule.errors import OptionError
from chainrule.graph.types import ArrayType
from chainrule.tables import Encoder, TargetEncoder, Task, frame_from_any, matrix_encoder, standard_scaling

FLOAT64 = np.dtype(np.float64)
#: rows that are encoded at once
BLOCK = 1 << 12
Scaling = Literal["robust", "standard"]


@dataclass(frozen=True)
class Inputs:
    """From what the user has, a table or a matrix of numbers, to what the network takes.

    Parameters
    ----------
    encoder : Encoder
    named : bool
        Whether the user gave the columns their names (else a matrix is what is expected).
    """

    encoder: Encoder
    named: bool

    @classmethod
    def of_matrix(
        cls, x: np.ndarray, weights: np.ndarray, names: Sequence[str] | None = None, scaling: Scaling = "robust"
    ) -> Inputs:
        """Learn the encoding of a matrix of numbers (NaN is missing) from training rows."""
        equal = not len(weights) or weights.min() == weights.max()  # then no sorting by weight is needed
        return cls(matrix_encoder(x, names, None if equal else weights, scaling), names is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the raw columns, in order."""
        return self.encoder.columns

    @property
    def n_features(self) -> int:
        """Number of the network's inputs."""
        return len(self.encoder.groups)

    @property
    def groups(self) -> tuple[int, ...]:
        """Raw column of each network input, for group penalties."""
        return tuple(int(k) for k in self.encoder.groups)

    def types(self, n_rows: int) -> list[ArrayType]:
        """Types of the arrays that `encode` takes, for so many rows."""
        return [ArrayType((n_rows, len(self.columns)), FLOAT64)]

    def arrays(self, table: Any) -> list[np.ndarray]:
        """Check a table or matrix and make the arrays that `encode` takes."""
        if isinstance(table, np.ndarray) and table.dtype.kind in "fiub":
            n_columns = len(self.encoder.encodings)
            if table.ndim != 2 or table.shape[1] != n_columns:
                raise OptionError(f"X must have shape (n_rows, {n_columns}), got {table.shape}")
            return [np.ascontiguousarray(table, np.float64)]
        return [self.encoder.to_matrix(frame_from_any(table))]

    def encode(self, arrays: Sequence[Any], dtype: Any = FLOAT64) -> Any:
        """Network inputs (n_rows, n_features). Traceable."""
        return self.encoder.encode_matrix(arrays[0], dtype)

    def encode_rows(self, table: Any, rows: np.ndarray | None = None, dtype: Any = FLOAT64) -> np.ndarray:
        """`encode` of all or some rows of a table or matrix, block by block: nothing but the result is large.

        Parameters
        ----------
        table : data frame or array of shape (n_rows, n_columns)
        rows : integer array, optional
            Which rows; all by default.
        dtype : float32 or float64
            Of the result. What comes before is float64.

        Returns
        -------
        array of shape (n_rows, n_features)
        """
        table = table if isinstance(table, np.ndarray) else frame_from_any(table)
        n_rows = len(table if rows is None else rows)
        x = np.empty((n_rows, self.n_features), dtype)
        for start in range(0, n_rows, BLOCK):
            part = slice(start, start + BLOCK)
            block = table[part] if rows is None else table[rows[part]]
            with np.errstate(all="ignore"):  # what does not fit is infinite, and training says where
                x[part] = self.encode(self.arrays(block))
        return x

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"encoder": self.encoder.to_json().decode(), "named": self.named}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Inputs:
        """The inputs of `to_json`'s record."""
        return cls(Encoder.from_json(record["encoder"]), bool(record["named"]))


def log_scale(target: TargetEncoder) -> float:
    """What a negative log-likelihood of standardised targets lacks to one in the targets' own units."""
    return float(np.log(target.scale).sum())


def class_target(names: Sequence[str], classes: Sequence[Sequence[Any]]) -> TargetEncoder:
    """Classes of each target column, in the order of their codes."""
    n = len(names)
    task: Task = "binary" if all(len(c) == 2 for c in classes) else "classes"
    return TargetEncoder(tuple(names), task, tuple(tuple(plain(v) for v in c) for c in classes), (0.0,) * n, (1.0,) * n)


def numeric_target(
    names: Sequence[str], y: np.ndarray, weights: np.ndarray | None, standardise: bool = True
) -> TargetEncoder:
    """Numbers, with mean and standard deviation of the training rows where they are to be standardised.

    Parameters
    ----------
    y : array of shape (n_rows, n_targets)
    """
    n = len(names)
    scalings = [standard_scaling(c, weights) if standardise else (0.0, 1.0) for c in np.asarray(y, np.float64).T]
    return TargetEncoder(
        tuple(names), "numeric", ((),) * n, tuple(s[0] for s in scalings), tuple(s[1] for s in scalings)
    )


def plain(value: Any) -> Any:
    """A class label as JSON can hold it: text, number or boolean."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (str, bool, int, float)):
        return value
    raise OptionError(f"class label {value!r} of type {type(value).__name__} cannot be stored; use text or numbers")

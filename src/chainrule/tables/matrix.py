"""The encoding of a matrix of numbers, for those who come without a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from chainrule.tables.encode import BOUND, Encoder, Numeric
from chainrule.tables.statistics import robust_scaling, standard_scaling


def matrix_encoder(
    x: np.ndarray,
    names: Sequence[str] | None = None,
    weights: np.ndarray | None = None,
    scaling: Literal["robust", "standard"] = "robust",
) -> Encoder:
    """Learn the encoding of a matrix whose columns are all numbers.

    Parameters
    ----------
    x : array of shape (n_rows, n_columns)
        NaN is missing.
    names : sequence of str, optional
        x0, x1, … by default.
    weights : array of shape (n_rows,), optional
    scaling : {"robust", "standard"}
        As in `fit_encoder`.
    """
    x = np.asarray(x, np.float64)
    names = [f"x{k}" for k in range(x.shape[1])] if names is None else [str(name) for name in names]
    scale_of = robust_scaling if scaling == "robust" else standard_scaling
    encodings = tuple(
        Numeric(name, bool(np.isnan(column).any()), *scale_of(column, weights))
        for name, column in zip(names, x.T, strict=True)
    )
    return Encoder(encodings, BOUND if scaling == "robust" else None)

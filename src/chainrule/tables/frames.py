"""Any table in memory as a polars frame: NumPy arrays, and data frames of pandas, polars, pyarrow and others.

Data frames come through narwhals, column by column and without pyarrow, which need not be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import polars as pl
from narwhals.exceptions import NarwhalsError
from narwhals.series import Series

from chainrule.errors import TableError
from chainrule.tables.place import shown


def frame_from_any(table: Any) -> pl.DataFrame:
    """A polars frame of any table in memory.

    Parameters
    ----------
    table : array of shape (n_rows, n_columns), or data frame
        NumPy arrays of numbers, booleans, text or objects, nested lists; data frames that narwhals knows (pandas,
        polars, pyarrow, modin …), with nullable, categorical, text and boolean columns; lazy ones are collected.

    Returns
    -------
    polars.DataFrame
        Columns of arrays are called ``x0``, ``x1``, …. Columns of data frames keep their names; names that are not
        text are written out.

    Raises
    ------
    TableError
        If it is none of these, has equal column names or cells that are neither numbers nor text.

    Examples
    --------
    >>> import numpy as np
    >>> frame_from_any(np.zeros((2, 3))).columns
    ['x0', 'x1', 'x2']
    """
    if isinstance(table, pl.DataFrame):
        return table
    try:
        frame = nw.from_native(table, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect("polars")
    except NarwhalsError as error:
        _refuse_equal([str(name) for name in getattr(table, "columns", ())])
        raise TableError(f"the data frame cannot be used: {' '.join(str(error).split())[:200]}") from None
    if isinstance(frame, nw.DataFrame):
        return _unite(
            [_from_series(str(name), column) for name, column in zip(frame.columns, frame.iter_columns(), strict=True)]
        )
    if isinstance(table, (np.ndarray, list, tuple)):
        return _from_array(table)
    raise TableError(
        f"a table must be an array of two dimensions or a data frame, not {type(table).__name__}; convert it first"
    )


def _unite(columns: Sequence[pl.Series]) -> pl.DataFrame:
    _refuse_equal([c.name for c in columns])
    return pl.DataFrame(columns)


def _refuse_equal(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise TableError(f"the data frame has two columns named {shown(name)}; rename one of them")


def _from_series(name: str, column: Series[Any]) -> pl.Series:
    if column.implementation.is_polars():
        return column.to_polars().alias(name)
    missing = column.is_null().to_numpy()
    present = column.drop_nulls()
    if present.dtype.is_numeric() or present.dtype == nw.Boolean or present.dtype.is_temporal():
        values = _from_values(name, present.to_numpy())
    else:
        values = _from_objects(name, present.to_list())
    return _spread(values, missing)


def _from_array(table: Any) -> pl.DataFrame:
    try:
        array = table if isinstance(table, np.ndarray) else np.asarray(table, dtype=object)
    except ValueError:
        raise TableError("the rows of the table differ in length; give each the same number of cells") from None
    if array.ndim != 2:
        advice = "; use table.reshape(-1, 1) for a single column" if array.ndim == 1 else ""
        raise TableError(f"a table must have two dimensions, (n_rows, n_columns), got shape {array.shape}{advice}")
    names = [f"x{k}" for k in range(array.shape[1])]
    if array.dtype.kind in "OUST":
        columns = []
        for name, cells in zip(names, array.T.tolist(), strict=True):
            missing = np.array([cell is None or bool(cell != cell) for cell in cells], dtype=bool)
            present = [cell for cell, gone in zip(cells, missing, strict=True) if not gone]
            columns.append(_spread(_from_objects(name, present), missing))
        return pl.DataFrame(columns)
    return pl.DataFrame([_from_values(name, array[:, k]) for k, name in enumerate(names)])


def _from_values(name: str, values: np.ndarray) -> pl.Series:
    """A column of numbers, booleans or dates, none missing but by NaN."""
    if values.dtype.kind not in "biufmM":
        return _from_objects(name, values.tolist())
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float64)
    return pl.Series(name, np.ascontiguousarray(values))


def _from_objects(name: str, cells: Sequence[Any]) -> pl.Series:
    """A column of Python objects, none missing: of one kind as that, numbers and text mixed as text."""
    if all(isinstance(c, (bool, np.bool_)) for c in cells):
        return pl.Series(name, [bool(c) for c in cells], dtype=pl.Boolean)
    if all(isinstance(c, Integral) for c in cells) and all(abs(int(c)) < 2**63 for c in cells):
        return pl.Series(name, [int(c) for c in cells], dtype=pl.Int64)
    if all(_is_number(c) for c in cells):
        return pl.Series(name, [float(c) for c in cells], dtype=pl.Float64)
    if all(isinstance(c, (str, bytes)) or _is_number(c) for c in cells):
        texts = [c.decode(errors="replace") if isinstance(c, bytes) else str(c) for c in cells]
        return pl.Series(name, texts, dtype=pl.String)
    try:
        column = pl.Series(name, list(cells), strict=True)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        column = pl.Series(name, list(cells), dtype=pl.Object)
    if column.dtype.is_temporal():
        return column
    kinds = ", ".join(sorted({type(c).__name__ for c in cells}))
    raise TableError(f"column {shown(name)} holds objects of type {kinds}; make them numbers, text or booleans")


def _is_number(cell: Any) -> bool:
    from decimal import Decimal

    return isinstance(cell, (Real, Decimal, np.bool_))


def _spread(present: pl.Series, missing: np.ndarray) -> pl.Series:
    """Put values back at their rows, null in between."""
    if not missing.any():
        return present
    if missing.all():
        return pl.Series(present.name, [None] * len(missing), dtype=pl.Float64)
    places = np.maximum(np.cumsum(~missing) - 1, 0)
    return present.gather(places).set(pl.Series(missing), None)

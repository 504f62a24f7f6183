"""From target columns to numbers a network is trained on, and back."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import numpy as np
import polars as pl

from chainrule.errors import TableError
from chainrule.tables.cells import labels, numbers
from chainrule.tables.kinds import as_floats, is_nested, refuse_infinite, refuse_words, simple
from chainrule.tables.place import Source, listed, place, shown, unknown_column
from chainrule.tables.schema import Label, Schema, Task
from chainrule.tables.statistics import FARTHEST, NARROWEST, standard_scaling
from chainrule.tables.stored import Stored

#: targets farther from zero are refused
FARTHEST_TARGET = 1e150


def complete_rows(
    frame: pl.DataFrame, targets: tuple[str, ...], *, drop: bool = False, source: Source = None
) -> pl.DataFrame:
    """The rows whose targets are all there.

    Parameters
    ----------
    frame : polars.DataFrame
    targets : tuple of str
    drop : bool
        Whether rows with a missing target may be left out; else they are refused.
    source : path, optional
        The file, for messages.

    Returns
    -------
    polars.DataFrame
        The frame itself, if nothing is missing.

    Raises
    ------
    TableError
        Naming column, count and first row, if targets are missing and `drop` is false, or no row is left.
    """
    gone = np.zeros(frame.height, dtype=bool)
    for name in targets:
        if name not in frame.columns:
            raise unknown_column(source, name, frame.columns)
        missing = simple(frame[name]).is_null().to_numpy()
        if missing.any() and not drop:
            count = int(missing.sum())
            cells = "the target is missing" if count == 1 else f"the target is missing, as in {count} rows in all"
            raise TableError(
                f"{place(source, int(np.argmax(missing)), name)}: {cells}; fill it in, or leave such rows out with "
                "--drop-missing-target"
            )
        gone |= missing
    if gone.all():
        raise TableError(f"{place(source, column=targets[0])}: the target is missing in every row; fill it in")
    return frame.filter(~gone) if gone.any() else frame


class TargetEncoder(Stored, frozen=True, forbid_unknown_fields=True):
    """From target columns to numbers, and back.

    Parameters
    ----------
    names : tuple of str
        The target columns.
    task : {"binary", "classes", "numeric"}
        What they are, all alike.
    classes : tuple of tuples of labels
        For each target the classes in the order of their codes; empty tuples for numbers.
    center, scale : tuple of float
        For each target the mean and standard deviation over the training rows; 0 and 1 for classes.
    """

    called: ClassVar[str] = "the encoding of the target"

    names: tuple[str, ...]
    task: Task
    classes: tuple[tuple[Label, ...], ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.classes) == len(self.center) == len(self.scale) > 0:
            raise ValueError("names, classes, center and scale must be given for each target")
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"the targets' names are not distinct: {listed(self.names)}")
        for name, classes, center, scale in zip(self.names, self.classes, self.center, self.scale, strict=True):
            if not (abs(center) <= FARTHEST and NARROWEST <= scale <= 2 * FARTHEST):
                raise ValueError(f"center {center} and scale {scale} of {shown(name)} make no sense")
            if (self.task == "numeric") != (not classes) or len(set(classes)) < len(classes):
                raise ValueError(f"the classes of {shown(name)} do not fit a {self.task} target")
            if len({type(label) for label in classes}) > 1:
                raise ValueError(f"the classes of {shown(name)} are of several kinds")

    def to_array(self, frame: pl.DataFrame, source: Source = None) -> np.ndarray:
        """The targets of a table: codes of classes, or numbers in their own units.

        Returns
        -------
        array of shape (n_rows, n_targets), float64

        Raises
        ------
        TableError
            Naming column and row: a target is missing, is a class that training did not have, is no number or
            infinite.
        """
        complete_rows(frame, self.names, source=source)
        columns = [self._codes(k, simple(frame[name]), source) for k, name in enumerate(self.names)]
        return np.stack(columns, axis=1)

    def standardise(self, y: Any) -> Any:
        """Numbers (n_rows, n_targets) in units of the training rows' standard deviation from their mean. Traceable."""
        return (y - np.array(self.center)) / np.array(self.scale)

    def inverse(self, z: Any) -> Any:
        """What `standardise` was given. Traceable."""
        return z * np.array(self.scale) + np.array(self.center)

    def labels(self, codes: np.ndarray) -> dict[str, pl.Series]:
        """Classes of codes (n_rows, n_targets), as columns of the type the table had."""
        columns = {}
        for k, (name, classes) in enumerate(zip(self.names, self.classes, strict=True)):
            places = np.asarray(codes)[:, k].astype(np.int64)
            columns[name] = pl.Series(name, list(classes)).gather(places)
        return columns

    def _codes(self, k: int, column: pl.Series, source: Source) -> np.ndarray:
        name, classes = self.names[k], self.classes[k]
        if is_nested(column) or column.dtype.is_temporal():
            raise TableError(
                f"{place(source, column=name)}: the target has cells of type {column.dtype}, not of training's"
            )
        if not classes:
            if column.dtype == pl.String:
                refuse_words(column, source, "")
                column = numbers(column)
            values = as_floats(column)
            refuse_infinite(name, values, source)
            return values
        texts = labels(column)
        known = labels(pl.Series(list(classes))).to_list()
        codes = texts.replace_strict(
            known, [float(c) for c in range(len(known))], default=-1.0, return_dtype=pl.Float64
        )
        values = codes.to_numpy()
        if (values < 0).any():
            row = int(np.argmax(values < 0))
            raise TableError(
                f"{place(source, row, name)}: class {shown(texts[row])} did not occur in training, where the classes "
                f"were {listed(classes)}; correct it, leave the row out, or train the model again"
            )
        return values


def refuse_far(names: tuple[str, ...], y: np.ndarray, source: Source = None) -> None:
    """Refuse targets (n_rows, n_targets) whose squared errors are no numbers any more: scores would be infinite.

    Raises
    ------
    TableError
        Naming column and row.
    """
    far = np.argwhere(np.abs(y) > FARTHEST_TARGET)
    if len(far):
        row, column = far[0]
        raise TableError(
            f"{place(source, int(row), names[column])}: targets beyond {FARTHEST_TARGET:g} cannot be squared, got "
            f"{y[row, column]:g}; "
            "divide the column by a power of ten, or correct the cell"
        )


def fit_target_encoder(
    schema: Schema, frame: pl.DataFrame, weights: np.ndarray | None = None, source: Source = None
) -> TargetEncoder:
    """Learn the encoding of a schema's targets.

    Parameters
    ----------
    schema : Schema
        Of the whole table: classes are the whole table's.
    frame : polars.DataFrame
        The training rows.
    weights : array of shape (n_rows,), optional
        Weight of each row, at least 0.
    source : path, optional
        The file, for messages.

    Returns
    -------
    TargetEncoder
    """
    assert schema.task is not None, "a schema without targets has no target encoder"
    classes = tuple(column.categories for column in schema.target_columns)
    one = TargetEncoder(schema.targets, schema.task, classes, (0.0,) * len(classes), (1.0,) * len(classes))
    if schema.task != "numeric":
        return one
    y = one.to_array(frame, source)
    w = None if weights is None else np.asarray(weights, np.float64)
    scalings = [standard_scaling(y[:, k], w) for k in range(y.shape[1])]
    return msgspec.structs.replace(one, center=tuple(s[0] for s in scalings), scale=tuple(s[1] for s in scalings))

"""From raw columns to network inputs: fitted on training rows, kept as data, computed in plain NumPy.

A table becomes one float64 matrix of raw columns (`Encoder.to_matrix`): numbers as they are, true and false as 1 and 0,
categories as codes 0, 1, …, values not seen in training as -1, missing cells as NaN. From there on everything is
arithmetic (`Encoder.encode_matrix`), which the tracer records as the first nodes of the model's graph:

numeric
    z = (x - center) / scale, then 2 arcsinh(z / 2). The center is the median and the scale the width of the central
    90 % of the values, in units of a standard normal distribution's (3.29), so that one value in twenty may be wild
    without moving either; where that width is zero, the standard deviation. The second step leaves values within a
    scale or two of the center almost as they are and makes the rest logarithmic, so that 1e300 is a number like any
    other. On heavy-tailed inputs this halves or thirds the error of a network beside mean and standard deviation; a
    bounded form (Holzmüller, Grinsztajn & Steinwart 2024, "Better by default") does too, but forgets how large the
    large values were, which costs dearly where the target follows them. ``scaling="standard"`` takes the mean and the
    standard deviation and bends nothing: affine, for linear models.
missing numbers
    stand at the center, which is 0 after scaling. Columns with missing values in training get a further input, 1 where
    the value is missing. A value missing in another column at prediction stands at the center too, without a word.
boolean
    1 and -1; missing or neither: 0.
categorical
    one input per category, 1 or 0, and one for missing if training had any; unseen categories: all 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl

from chainrule.errors import OptionError, TableError
from chainrule.tables.cells import labels, numbers
from chainrule.tables.kinds import as_floats, commonest, is_nested, refuse_infinite, refuse_words, simple, truth_values
from chainrule.tables.place import Source, listed, place, shown, source_name
from chainrule.tables.schema import Schema
from chainrule.tables.statistics import FARTHEST, robust_scaling, robust_scalings, standard_scaling
from chainrule.tables.stored import Stored

#: where robustly scaled numbers bend from linear to logarithmic, in scales
BEND = 2.0
#: numbers farther than this from the center, in scales, count as this far
REACH = 1e6
#: code of a category that training did not have
UNSEEN = -1.0
#: characters of the names of all inputs: a column's name is in that of each of its categories
MOST_CHARACTERS = 1 << 24

Scaling = Literal["robust", "standard"]
_SCALINGS = {"robust": robust_scaling, "standard": standard_scaling}


class Numeric(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="numeric"):
    """How a column of numbers is encoded; `missing` says whether missing values get an input of their own."""

    name: str
    missing: bool
    center: float
    scale: float

    def __post_init__(self) -> None:
        if not (abs(self.center) <= FARTHEST and 0.0 < self.scale <= 2 * FARTHEST):
            raise ValueError(f"center {self.center} and scale {self.scale} of {shown(self.name)} make no sense")

    @classmethod
    def fit(cls, name: str, values: np.ndarray, weights: np.ndarray | None, scaling: Scaling) -> Numeric:
        """Learn the encoding from a column's values, NaN where missing."""
        center, scale = _SCALINGS[scaling](values, weights)
        return cls(name, bool(np.isnan(values).any()), center, scale)


class Boolean(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="boolean"):
    """How a column of true and false is encoded."""

    name: str
    missing: bool


class Categorical(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="categorical"):
    """How a column of categories is encoded: the code of a category is its place."""

    name: str
    missing: bool
    categories: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"the categories of {shown(self.name)} are not distinct")


Encoding = Numeric | Boolean | Categorical


class _Plan(NamedTuple):
    """Constants of the arithmetic: raw columns of each family, and the order of the network's inputs."""

    numeric: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    boolean: np.ndarray
    category_columns: np.ndarray
    category_codes: np.ndarray
    missing: np.ndarray
    order: np.ndarray
    groups: np.ndarray


class Encoder(Stored, frozen=True, forbid_unknown_fields=True, dict=True):
    """From a table to the network's inputs.

    Parameters
    ----------
    encodings : tuple of Numeric, Boolean or Categorical
        One per raw column, in the order of the raw matrix.
    bend : float or None
        Where scaled numbers bend from linear to logarithmic; ``None`` leaves them linear.
    """

    called: ClassVar[str] = "the encoding of the input columns"

    encodings: tuple[Encoding, ...]
    bend: float | None = BEND

    def __post_init__(self) -> None:
        if self.bend is not None and not 0.0 < self.bend <= REACH:
            raise ValueError(f"bend {self.bend} makes no sense")
        if not self.encodings or len(set(self.columns)) < len(self.encodings):
            raise TableError(f"there must be input columns, each with a name of its own, got {listed(self.columns)}")
        longest = max(self.encodings, key=_characters)
        if sum(map(_characters, self.encodings)) > MOST_CHARACTERS:
            raise TableError(
                f"the names of all categories, each after its column's, have more than {MOST_CHARACTERS:,} characters; "
                f"shorten the name of {shown(longest.name)}, or leave that column out"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the raw columns."""
        return tuple(e.name for e in self.encodings)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the network's inputs, such as ``sex=female`` and ``age is missing``."""
        names = []
        for e in self.encodings:
            names += [f"{e.name}={c}" for c in e.categories] if isinstance(e, Categorical) else [e.name]
            names += [f"{e.name} is missing"] if e.missing else []
        return tuple(names)

    @property
    def groups(self) -> np.ndarray:
        """Raw column of each network input, integers of shape (n_features,)."""
        return self._plan.groups

    # -- from a table to numbers

    def to_matrix(self, frame: pl.DataFrame, source: Source = None) -> np.ndarray:
        """The raw columns of a table as numbers; further columns and their order do not matter.

        Parameters
        ----------
        frame : polars.DataFrame
        source : path, optional
            The file it comes from, for messages.

        Returns
        -------
        array of shape (n_rows, n_columns), float64
            NaN is missing, -1 a category not seen in training.

        Raises
        ------
        TableError
            Naming column and row: a column is missing, a cell is no number where there must be one, or is infinite.
        """
        there = set(frame.columns)
        lacking = [name for name in self.columns if name not in there]
        if lacking:
            prefix = f"{source_name(source)}: " if source is not None else ""
            what = "column" if len(lacking) == 1 else "columns"
            raise TableError(
                f"{prefix}{what} {listed(lacking)} missing, which the model was trained on; the table has "
                f"{listed(frame.columns)}"
            )
        matrix = np.empty((frame.height, len(self.encodings)))
        for k, encoding in enumerate(self.encodings):
            matrix[:, k] = _codes(encoding, frame[encoding.name], source)
        return matrix

    def unseen(self, matrix: np.ndarray, frame: pl.DataFrame) -> list[str]:
        """What is to be said of categories that training did not have, for each column that holds some.

        Parameters
        ----------
        matrix : array of shape (n_rows, n_columns)
            Of `to_matrix`.
        frame : polars.DataFrame
        """
        said = []
        for k, encoding in enumerate(self.encodings):
            if not isinstance(encoding, Categorical):
                continue
            rows = np.flatnonzero(matrix[:, k] == -1)
            if len(rows):
                cells = "1 cell" if len(rows) == 1 else f"{len(rows)} cells"
                cell = shown(frame[encoding.name][int(rows[0])])
                said.append(
                    f"column {shown(encoding.name)}: {cells} of categories that training did not have, first {cell} in "
                    f"row {rows[0] + 1}; they count as none of {listed(encoding.categories, 4)}"
                )
        return said

    def to_arrays(self, frame: pl.DataFrame, source: Source = None) -> dict[str, np.ndarray]:
        """The raw columns of `to_matrix` by name, each of shape (n_rows,)."""
        return dict(zip(self.columns, np.ascontiguousarray(self.to_matrix(frame, source).T), strict=True))

    # -- from numbers to the network's inputs; traceable

    def encode(self, columns: Mapping[str, Any]) -> Any:
        """Network inputs from raw columns by name (see `to_arrays`). Traceable.

        Returns
        -------
        array of shape (n_rows, n_features)
        """
        return self.encode_matrix(np.stack([columns[name] for name in self.columns], axis=1))

    def encode_matrix(self, raw: Any, dtype: Any = np.float64) -> Any:
        """Network inputs from the raw matrix (see `to_matrix`). Traceable.

        Parameters
        ----------
        raw : array of shape (n_rows, n_columns), float64
        dtype : float32 or float64
            Of the result. Raw numbers are centred and scaled in float64 all the same.

        Returns
        -------
        array of shape (n_rows, n_features)
        """
        plan = self._plan
        blocks = []
        if len(plan.numeric):
            blocks.append(self._scaled(_take(raw, plan.numeric), plan, dtype))
        if len(plan.boolean):
            values = _take(raw, plan.boolean)
            blocks.append((values == 1.0).astype(dtype) - (values == 0.0).astype(dtype))
        if len(plan.category_columns):
            values = _take(raw, plan.category_columns)
            blocks.append((values == plan.category_codes).astype(dtype))
        if len(plan.missing):
            blocks.append(np.isnan(_take(raw, plan.missing)).astype(dtype))
        together = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
        return _take(together, plan.order)

    def _scaled(self, x: Any, plan: _Plan, dtype: Any) -> Any:
        low = np.maximum(plan.center - REACH * plan.scale, -FARTHEST)
        high = np.minimum(plan.center + REACH * plan.scale, FARTHEST)
        filled = np.where(np.isnan(x), plan.center, x)
        z = ((np.clip(filled, low, high) - plan.center) / plan.scale).astype(dtype)
        return z if self.bend is None else self.bend * np.arcsinh(z / self.bend)

    @cached_property
    def _plan(self) -> _Plan:
        # (family, raw column, code) of each input, column by column; the blocks are sorted by family
        inputs: list[tuple[int, int, int]] = []
        for k, e in enumerate(self.encodings):
            match e:
                case Numeric():
                    inputs.append((0, k, 0))
                case Boolean():
                    inputs.append((1, k, 0))
                case Categorical():
                    inputs += [(2, k, code) for code in range(len(e.categories))]
            if e.missing:
                inputs.append((3, k, 0))
        family, column, code = (np.array([i[part] for i in inputs], dtype=np.int64) for part in range(3))
        by_family = np.argsort(family, kind="stable")
        numeric = [e for e in self.encodings if isinstance(e, Numeric)]
        return _Plan(
            numeric=column[family == 0],
            center=np.array([e.center for e in numeric]),
            scale=np.array([e.scale for e in numeric]),
            boolean=column[family == 1],
            category_columns=column[family == 2],
            category_codes=code[family == 2].astype(np.float64),
            missing=column[family == 3],
            order=np.argsort(by_family, kind="stable"),
            groups=column,
        )


def fit_encoder(
    schema: Schema,
    frame: pl.DataFrame,
    weights: np.ndarray | None = None,
    scaling: Scaling = "robust",
    rows: np.ndarray | None = None,
) -> Encoder:
    """Learn the encoding of a schema's inputs from training rows.

    Parameters
    ----------
    schema : Schema
        Of the whole table; only what kind each column is of is taken from it.
    frame : polars.DataFrame
    weights : array of shape (n_rows,), optional
        Weight of each training row, at least 0; 2 is a row twice, 0 no row.
    scaling : {"robust", "standard"}
        How numbers are scaled, see the module's description.
    rows : integer array of shape (n_rows,), optional
        Which rows of the frame are the training rows; all by default. Column by column they are read, so that there is
        never a second table.

    Returns
    -------
    Encoder

    Raises
    ------
    TableError
        If there are no rows, or a cell cannot be used.
    """
    if scaling not in _SCALINGS:
        raise OptionError(f"scaling must be 'robust' or 'standard', got {scaling!r}")
    if weights is not None:
        weights = np.asarray(weights, np.float64)
        if not (weights > 0).all():
            there = np.flatnonzero(weights > 0)
            rows, weights = there if rows is None else rows[there], weights[there]
    if not (frame.height if rows is None else len(rows)):
        raise TableError("there are no training rows to learn the encoding from; keep some (of positive weight)")
    encodings: list[Encoding] = []
    for column in schema.inputs:
        cells = frame[column.name] if rows is None else frame[column.name].gather(rows)
        if column.kind == "categorical":
            texts = labels(_single(cells, None))
            encodings.append(Categorical(column.name, bool(texts.null_count()), tuple(commonest(texts, weights))))
        elif column.kind == "boolean":
            encodings.append(Boolean(column.name, bool(np.isnan(truth_values(simple(cells))).any())))
        else:
            values = _codes(Numeric(column.name, False, 0.0, 1.0), cells, None)
            encodings.append(Numeric.fit(column.name, values, weights, scaling))
    return encoder_of(encodings, scaling)


def raw_columns(schema: Schema, frame: pl.DataFrame) -> Iterator[np.ndarray]:
    """The inputs as numbers, one column after the other, before anything is learned from them.

    Two rows are the same if their numbers are.

    Yields
    ------
    array of shape (n_rows,)
        Numbers, truth values, places of categories among all of the table's; NaN for missing.
    """
    for column in schema.inputs:
        if column.kind == "boolean":
            yield truth_values(simple(frame[column.name]))
        elif column.kind == "categorical":
            texts = labels(_single(frame[column.name], None))
            yield _places(texts, texts.drop_nulls().unique().sort().to_list())
        else:
            yield _codes(Numeric(column.name, False, 0.0, 1.0), frame[column.name], None)


def matrix_encoder(
    x: np.ndarray,
    names: Sequence[str] | None = None,
    weights: np.ndarray | None = None,
    scaling: Scaling = "robust",
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
    if scaling == "robust":
        scalings = robust_scalings(x, weights)
    else:
        scalings = [standard_scaling(column, weights) for column in x.T]
    missing = np.isnan(x).any(axis=0).tolist()
    found = zip(names, missing, scalings, strict=True)
    return encoder_of([Numeric(name, lacks, *scaled) for name, lacks, scaled in found], scaling)


def encoder_of(encodings: Sequence[Encoding], scaling: Scaling) -> Encoder:
    """An encoder of columns that were scaled so."""
    return Encoder(tuple(encodings), BEND if scaling == "robust" else None)


def _codes(encoding: Encoding, column: pl.Series, source: Source) -> np.ndarray:
    """One raw column as numbers, (n_rows,)."""
    column = _single(column, source)
    match encoding:
        case Numeric():
            if column.dtype.is_temporal():
                raise TableError(
                    f"{place(source, column=column.name)} holds dates or times, but held numbers in training; "
                    "write numbers"
                )
            if column.dtype == pl.String:
                refuse_words(column, source, "")
                column = numbers(column)
            values = as_floats(column)
            refuse_infinite(column.name, values, source)
            return values
        case Boolean():
            return truth_values(column)
        case Categorical():
            return _places(labels(column), encoding.categories)


def _characters(encoding: Encoding) -> int:
    """Of the names of all inputs that a column becomes, about."""
    categories = encoding.categories if isinstance(encoding, Categorical) else ("",)
    return len(encoding.name) * (len(categories) + 1) + sum(map(len, categories))


def _single(column: pl.Series, source: Source) -> pl.Series:
    if is_nested(column):
        raise TableError(f"{place(source, column=column.name)} has cells of type {column.dtype}, not single values")
    return simple(column)


def _places(texts: pl.Series, known: Sequence[str]) -> np.ndarray:
    """Where each text stands among the known ones; -1 for others, NaN for missing."""
    codes = texts.replace_strict(
        list(known), [float(k) for k in range(len(known))], default=UNSEEN, return_dtype=pl.Float64
    )
    return codes.set(texts.is_null(), None).fill_null(float("nan")).to_numpy()


def _take(x: Any, columns: np.ndarray) -> Any:
    """Columns of a matrix; the matrix itself if these are all of them in order."""
    if x.shape[1] == len(columns) and (columns == np.arange(len(columns))).all():
        return x
    return x[:, columns]

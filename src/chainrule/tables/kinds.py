"""What an input column is: the rules, each with its reason in words.

=================================================================  =========================================
column                                                             becomes
=================================================================  =========================================
numbers                                                            numeric
true and false, or text that says so (yes/no, t/f, y/n, on/off)    boolean
other text                                                         categorical, the 100 commonest categories
no values; the same value in every row                             dropped: empty; constant
dates and times                                                    dropped: date
text that differs in every row; whole numbers that do and are
called an id or index, or number the rows from 0 or 1              dropped: identifier
text that differs in more than half of the rows, above 20 texts    dropped: text
lists, structures, bytes                                           dropped: nested
=================================================================  =========================================

Whole numbers are numeric however few there are, unless declared categorical. Text is refused, naming the first
offending row, where it is numbers with a few words among them, or numbers with thousands separators, currency or
percent signs: to drop such a column in silence, or to make every number a category, is not what anybody wants.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import polars as pl

from chainrule.errors import TableError
from chainrule.tables.cells import DATE, TRUTH, WRITTEN_NUMBER, counted, is_whole, labels, numbers
from chainrule.tables.place import Source, advice, listed, place, shown
from chainrule.tables.schema import Column, DroppedKind, InputKind

#: a text column with at least this share of numbers or dates is meant to be one
MOSTLY = 0.95
#: up to this many distinct texts are categories, even if there are more than half as many as rows
FEW = 20
#: categories of one column; rarer ones count as unseen
MOST_CATEGORIES = 100
#: from this many rows on, 0, 1, 2 … down the table are row numbers
ENOUGH_ROWS = 20

_ID_NAME = re.compile(
    r"(?i:id|index|idx|key|uuid|guid|row|no\.?|nr\.?|row[_ .]?(?:id|number|nr|no|names?|index)|unnamed[:_ ]*\d*"
    r"|.*[_ .-](?:id|key|uuid|guid)|id[_ .-].*)|.*[a-z]I[dD]"
)


def input_column(
    column: pl.Series, declared: InputKind | None = None, source: Source = None, only: bool = False
) -> Column:
    """Judge an input column.

    Parameters
    ----------
    column : polars.Series
    declared : {"numeric", "categorical", "boolean"}, optional
        What the user says it is.
    source : path, optional
        The file, for messages.
    only : bool
        Whether it is the only candidate; then row numbers are numbers.

    Returns
    -------
    Column
        With role ``input`` or ``dropped``.

    Raises
    ------
    TableError
        For infinite numbers, numbers mixed with words, and cells that are not what was declared.
    """
    if is_nested(column):
        return dropped(column.name, "nested", f"cells of type {column.dtype}; spread them over columns of their own")
    column = simple(column)
    present = column.drop_nulls()
    counts = {"missing": column.null_count(), "distinct": present.n_unique()}
    if not len(present):
        return dropped(column.name, "empty", "no values", **counts)
    if declared is not None:
        return _DECLARED[declared](column, source, counts)
    if counts["distinct"] == 1 and not counts["missing"]:
        return dropped(column.name, "constant", f"the same value in every row: {shown(present[0])}", **counts)
    if column.dtype.is_temporal():
        return _dates(column, counts)
    if column.dtype == pl.Boolean:
        return _boolean(column, source, counts)
    if column.dtype != pl.String:
        return _row_numbers(column, counts, only) or _numeric(column, source, counts)
    return _text(column, source, counts)


def is_nested(column: pl.Series) -> bool:
    """Whether cells are not single values."""
    return column.dtype.is_nested() or column.dtype in (pl.Object, pl.Binary)


def simple(column: pl.Series) -> pl.Series:
    """The column as Boolean, integer, Float64, String or temporal; NaN as missing."""
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if column.dtype.is_float() or column.dtype.is_decimal() or column.dtype == pl.Null:
        return column.cast(pl.Float64).fill_nan(None)
    return column


def dropped(name: str, kind: DroppedKind, reason: str, **counts: Any) -> Column:
    """A column that is left out."""
    return Column(name=name, role="dropped", kind=kind, reason=reason, **counts)


# -- numbers


def _numeric(column: pl.Series, source: Source, counts: dict[str, Any]) -> Column:
    if column.dtype.is_temporal():
        raise TableError(
            f"{place(source, column=column.name)} holds dates or times, not numbers; make numbers of them (year, "
            f"month, days since a day), or {advice(source, '--drop', column.name)}"
        )
    if column.dtype == pl.String:
        refuse_words(column, source)
        column = numbers(column)
    values = as_floats(column)
    refuse_infinite(column.name, values, source)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return Column(
        name=column.name,
        role="input",
        kind="numeric",
        reason=f"numbers from {low:g} to {high:g}",
        low=low,
        high=high,
        **counts,
    )


def as_floats(column: pl.Series) -> np.ndarray:
    """A Boolean or numeric column as float64, NaN where missing."""
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def refuse_infinite(name: str, values: np.ndarray, source: Source) -> None:
    """Raise `TableError` at the first infinite number."""
    infinite = np.isinf(values)
    if infinite.any():
        row = int(np.argmax(infinite))
        raise TableError(
            f"{place(source, row, name)} is infinite ({values[row]}); write a finite number or leave the cell empty"
        )


def _row_numbers(column: pl.Series, counts: dict[str, Any], only: bool) -> Column | None:
    """The column as an identifier, if it is one."""
    if counts["distinct"] != len(column) or not is_whole(column):
        return None
    if _ID_NAME.fullmatch(column.name):
        return dropped(column.name, "identifier", "by its name an id, and different in every row", **counts)
    if only or len(column) < ENOUGH_ROWS or column[0] not in (0, 1):
        return None
    if bool((np.diff(as_floats(column)) == 1.0).all()):
        return dropped(column.name, "identifier", "the number of the row", **counts)
    return None


# -- text


def _text(column: pl.Series, source: Source, counts: dict[str, Any]) -> Column:
    meaning = text_meaning(column, source)
    if meaning == "dates":
        return _dates(column, counts)
    if meaning == "truth" and counts["distinct"] > 1:
        return _boolean(column, source, counts)
    present = len(column) - counts["missing"]
    if counts["distinct"] == present and present > 1:
        return dropped(column.name, "identifier", "a different text in every row", **counts)
    if counts["distinct"] > max(FEW, present / 2):
        reason = f"free text: {counts['distinct']} different texts in {present} rows"
        return dropped(column.name, "text", reason, **counts)
    return _categorical(column, source, counts)


def text_meaning(column: pl.Series, source: Source) -> Literal["dates", "truth", "words"]:
    """What a text column is about.

    Raises
    ------
    TableError
        If it is numbers with words among them, or numbers that are not written plainly.
    """
    texts, times = counted(column)
    total = int(times.sum())

    def share(which: pl.Series) -> float:
        return int(times.filter(which).sum()) / total

    is_number = numbers(texts).is_not_null()
    plain = share(is_number)
    if plain < 1.0 and (plain >= MOSTLY or (plain > 0.5 and int(is_number.sum()) > FEW)):
        refuse_words(column, source)
    if plain < 1.0 and share(texts.str.strip_chars().str.contains(WRITTEN_NUMBER)) >= MOSTLY:
        row = _first(numbers(column).is_null() & column.is_not_null())
        raise TableError(
            f"{place(source, row, column.name)}: {shown(column[row])} is a number with separators or signs; write "
            "plain numbers such as 1234.5"
        )
    if share(texts.str.strip_chars().str.contains(DATE)) >= MOSTLY:
        return "dates"
    return "truth" if texts.str.strip_chars().str.to_lowercase().is_in(list(TRUTH)).all() else "words"


def refuse_words(column: pl.Series, source: Source, remedy: str | None = None) -> None:
    """Raise `TableError` at the first text that is not a number.

    Parameters
    ----------
    column : String series
    source : path, optional
    remedy : str, optional
        What to use if the column is text on purpose; by default, declare it categorical. Empty for a column that a
        model was trained on as numbers.
    """
    wrong = numbers(column).is_null() & column.is_not_null()
    if not wrong.any():
        return
    row, count = _first(wrong), int(wrong.sum())
    cell = f"{place(source, row, column.name)}: {shown(column[row])} is not a number"
    others = "" if count == 1 else f" (nor {'is 1 other cell' if count == 2 else f'are {count - 1} other cells'})"
    alike = column.filter(wrong).n_unique() == 1  # one spelling may mean that the value is missing
    missing = f", or {advice(source, '--missing', column[row])}" if alike else ""
    if remedy == "":
        them = "it" if count == 1 else "them"
        raise TableError(f"{cell}{others}, but the column held numbers in training; correct {them}{missing}")
    remedy = f"use {remedy}" if remedy else advice(source, "--type", column.name, "categorical")
    if count == len(column) - column.null_count():
        raise TableError(f"{cell}, nor is any other cell of the column; {remedy}")
    raise TableError(f"{cell} but the column holds numbers{others}; correct it{missing}, or {remedy}")


def _first(which: pl.Series) -> int:
    index = which.arg_max()
    assert index is not None
    return index


def _dates(column: pl.Series, counts: dict[str, Any]) -> Column:
    reason = "dates or times; make numbers of them (year, month, days since a day) to use them"
    return dropped(column.name, "date", reason, **counts)


# -- truth and categories


def _boolean(column: pl.Series, source: Source, counts: dict[str, Any]) -> Column:
    values = truth_values(column)
    wrong = np.isfinite(values) & (values < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise TableError(
            f"{place(source, row, column.name)}: {shown(column[row])} is neither true nor false; write true or false "
            f"(yes, no, 1, 0), or {advice(source, '--type', column.name, 'categorical')}"
        )
    return Column(name=column.name, role="input", kind="boolean", reason="true or false", **counts)


def truth_values(column: pl.Series) -> np.ndarray:
    """1 for true, 0 for false, NaN for missing, -1 for what is neither; numbers 1 and 0 count as true and false."""
    if column.dtype == pl.String:
        words = column.str.strip_chars().str.to_lowercase()
        known = {word: float(value) for word, value in TRUTH.items()} | {"1": 1.0, "0": 0.0}
        codes = words.replace_strict(list(known), list(known.values()), default=-1.0, return_dtype=pl.Float64)
        return codes.set(column.is_null(), None).fill_null(float("nan")).to_numpy()
    if column.dtype.is_temporal():
        return np.where(column.is_null().to_numpy(), np.nan, -1.0)
    values = as_floats(column)
    return np.where(np.isnan(values) | (values == 0.0) | (values == 1.0), values, -1.0)


def _categorical(column: pl.Series, source: Source, counts: dict[str, Any]) -> Column:
    kept = commonest(labels(column))
    number = counts["distinct"]
    if number > MOST_CATEGORIES:
        reason = f"the {MOST_CATEGORIES} commonest of {number} categories; the others count as unseen"
    else:
        reason = f"{number} categories: {listed(kept, 6)}" if number > 1 else f"one category: {listed(kept)}"
    return Column(name=column.name, role="input", kind="categorical", reason=reason, categories=tuple(kept), **counts)


def commonest(texts: pl.Series, weights: np.ndarray | None = None) -> list[str]:
    """The categories of a column, the `MOST_CATEGORIES` of most rows, or of most weight, if there are more."""
    every, times = counted(texts, weights)
    return in_order(every.gather(np.argsort(-times.to_numpy(), kind="stable")[:MOST_CATEGORIES]).to_list())


def in_order(texts: list[str]) -> list[str]:
    """Texts by their value if all are numbers, else by alphabet."""
    try:
        return sorted(texts, key=lambda text: (float(text), text))
    except ValueError:
        return sorted(texts)


_DECLARED: dict[str, Any] = {"numeric": _numeric, "boolean": _boolean, "categorical": _categorical}

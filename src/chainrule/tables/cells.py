"""What the text of a cell means: missing, a number, true or false, a date, a code.

All rules are here, so that fitting and predicting read a cell alike.
"""

from __future__ import annotations

import numpy as np
import polars as pl

#: cells that count as missing, in lower case and without blanks around them
MISSING_WORDS = frozenset(
    ("", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "nil", "nat", "?", "-", "--", ".", "#null!")
)
#: cells that count as true or false, in lower case
TRUTH = {
    **dict.fromkeys(("true", "yes", "t", "y", "on"), True),
    **dict.fromkeys(("false", "no", "f", "n", "off"), False),
}

#: cells and columns that are looked at together, at most
_CELLS, _COLUMNS = 1 << 20, 1 << 12

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?"
_ZONE = r"(?: ?(?:z|utc|gmt|[+-]\d{2}:?\d{2}))?"
_DAY = "|".join(
    (
        r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?",
        r"\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})",
        rf"\d{{1,2}}[ -]{_MONTH}[ ,-]+\d{{2,4}}",
        rf"{_MONTH} \d{{1,2}},? \d{{4}}",
        rf"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? \d{{1,2}} {_MONTH} \d{{4}}",
    )
)
DATE = rf"(?i)^(?:(?:{_DAY})(?:[t ,]+{_CLOCK}{_ZONE})?|{_CLOCK})$"
#: numbers as people write them: 1,234.50  1.234,50  1 234  $12  45 %  3,14
WRITTEN_NUMBER = r"^[+-]?[$€£¥]?\s?(?:\d{1,3}(?:[,.'’_\u{a0}\u{202f} ]\d{3})+|\d+)(?:[.,]\d+)?\s?[%$€£¥]?$"
#: digits that are a code, not a quantity: padded with zeros (postcodes) or too long for a float64 to hold
CODE = r"^(?:[+-]?0\d{2,}|[+-]?\d{17,})$"
_DECIMAL_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"


def numbers(text: pl.Series) -> pl.Series:
    """Text as Float64; null where a cell is missing or not a number. Blanks around a number do not matter.

    NaN never results: the word counts as missing elsewhere.
    """
    values = text.cast(pl.Float64, strict=False)
    if values.null_count() > text.null_count():
        values = values.fill_null(text.str.strip_chars().cast(pl.Float64, strict=False))
    return values.fill_nan(None)


def without_missing(text: pl.Series, missing: frozenset[str] = MISSING_WORDS) -> pl.Series:
    """Text without blanks around it; null where it is one of the words for missing."""
    trimmed = text.str.strip_chars()
    return trimmed.set(trimmed.str.to_lowercase().is_in(list(missing)), None)


def settle(text: pl.Series, missing: frozenset[str], decimal_comma: bool = False) -> pl.Series:
    """The narrowest type that holds every cell of a text column: Int64, Float64 or String, missing cells null.

    Parameters
    ----------
    text : String series
    missing : frozenset of str
        Words for missing, in lower case.
    decimal_comma : bool
        Whether ``3,14`` may be a number: in files that are not separated by commas.
    """
    return _settled(text.to_frame(), missing, decimal_comma).to_series()


def settle_all(frame: pl.DataFrame, missing: frozenset[str], decimal_comma: bool = False) -> pl.DataFrame:
    """`settle` of all text columns, many at a time: alone, each step takes a tenth of a millisecond for each column."""
    names = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    step = min(max(1, _CELLS // max(1, frame.height)), _COLUMNS)
    settled: list[pl.Series] = []
    for first in range(0, len(names), step):
        settled += _settled(frame.select(names[first : first + step]), missing, decimal_comma).get_columns()
    return frame.with_columns(settled)


def _settled(texts: pl.DataFrame, missing: frozenset[str], decimal_comma: bool) -> pl.DataFrame:
    values = texts.select(_FLOATS)
    rest = _with_more_nulls(values, texts)  # else every cell is a plain number, or none is there
    if rest:
        trimmed = pl.col(rest).str.strip_chars()
        words = texts.select(pl.when(trimmed.str.to_lowercase().is_in(list(missing)).not_()).then(trimmed))
        found = words.select(_FLOATS)
        if decimal_comma:
            found = _with_commas(found, words)
        texts, values = texts.with_columns(words.get_columns()), values.with_columns(found.get_columns())
    words_left = set(_with_more_nulls(values, texts))
    empty = dict(zip(texts.columns, texts.null_count().row(0), strict=True))
    numbers = [name for name in texts.columns if name not in words_left and empty[name] < texts.height]
    if not numbers:
        return texts
    each = pl.col(numbers)
    whole = values.select((each == each.floor()).all()).row(0)
    exact = values.select((each.abs() < 2.0**53).all()).row(0)
    codes = texts.select(each.str.contains(CODE).any()).row(0)
    settled = []
    for name, is_integer, fits, is_code in zip(numbers, whole, exact, codes, strict=True):
        if not is_integer or not is_code:
            settled.append(values[name].cast(pl.Int64) if is_integer and fits else values[name])
        else:
            settled.append(texts[name].str.strip_chars())
    return texts.with_columns(settled)


_FLOATS = pl.all().cast(pl.Float64, strict=False).fill_nan(None)


def _with_more_nulls(frame: pl.DataFrame, than: pl.DataFrame) -> list[str]:
    counts = zip(frame.columns, frame.null_count().row(0), than.null_count().row(0), strict=True)
    return [name for name, own, others in counts if own > others]


def _with_commas(values: pl.DataFrame, words: pl.DataFrame) -> pl.DataFrame:
    """Numbers of words, those with decimal commas too, in columns where there is no decimal point."""
    left = _with_more_nulls(values, words)
    points = words.select(pl.col(left).str.contains(".", literal=True).any()).row(0) if left else ()
    left = [name for name, has_point in zip(left, points, strict=True) if not has_point]
    with_points = [pl.col(name).str.replace(",", ".", literal=True) for name in left]
    return values.with_columns(
        words.select(
            pl.when(pl.col(name).str.contains(_DECIMAL_COMMA) | values[name].is_null())
            .then(text.cast(pl.Float64, strict=False))
            .otherwise(values[name])
            .alias(name)
            for name, text in zip(left, with_points, strict=True)
        ).get_columns()
    )


def is_whole(values: pl.Series) -> bool:
    """Whether all numbers are integers that float64 holds exactly."""
    if values.dtype.is_integer():
        return True
    return bool(((values == values.floor()) & (values.abs() < 2.0**53)).all())


def truth(text: pl.Series) -> pl.Series:
    """Text as Boolean; null where a cell is missing or neither true nor false."""
    words = text.str.strip_chars().str.to_lowercase()
    return words.replace_strict(list(TRUTH), list(TRUTH.values()), default=None, return_dtype=pl.Boolean)


def labels(column: pl.Series) -> pl.Series:
    """Any column as text: whole numbers without decimals, whatever type holds them, booleans as true and false."""
    if not (column.dtype.is_float() or column.dtype.is_decimal()):
        return column.cast(pl.String)
    values = column.cast(pl.Float64).fill_nan(None).alias("value")
    whole = (pl.col("value") == pl.col("value").floor()) & (pl.col("value").abs() < 2.0**53)
    integers = pl.when(whole).then(pl.col("value")).cast(pl.Int64).cast(pl.String)
    return pl.select(values).select(integers.fill_null(pl.col("value").cast(pl.String))).to_series().alias(column.name)


def counted(column: pl.Series, weights: np.ndarray | None = None) -> tuple[pl.Series, pl.Series]:
    """Distinct values that are not missing, in ascending order, and how often each occurs, or its weight."""
    column = column.alias("value")
    if weights is None:
        table = column.drop_nulls().value_counts(name="times")
    else:
        rows = pl.DataFrame([column, pl.Series("times", weights)])
        table = rows.drop_nulls("value").group_by("value").agg(pl.col("times").sum())
    table = table.sort("value")
    return table["value"], table["times"].cast(pl.Float64)

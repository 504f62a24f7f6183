"""How messages name places and cells: one line, whatever is in the file.

*Row* is the data row counted from 1, the header not counted; *line* is the line of the text file counted from 1, the
header included. The two differ by more than one where quoted cells hold line breaks or lines are blank. Data frames
and Parquet files have rows only.
"""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterable, Sequence

from chainrule.errors import TableError
from chainrule.tables.lines import TEXT_SUFFIXES, line_of_row

#: file a frame was read from, for messages; ``None`` for a frame made in memory
Source = str | os.PathLike[str] | None

LONGEST = 40


def shown(value: object) -> str:
    """A cell or name, text in quotes, shortened, control characters escaped."""
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 2] + "…" + text[-1]


def listed(names: Iterable[object], most: int = 8) -> str:
    """Some names, separated by commas."""
    names = list(names)
    tail = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(shown(n) for n in names[:most]) + tail


def source_name(source: Source) -> str:
    """The file's name as messages show it; empty without a file."""
    if source is None:
        return ""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in os.fspath(source))


def place(source: Source, row: int | None = None, column: str | None = None) -> str:
    """Where something is wrong.

    Parameters
    ----------
    source : path or None
        The file.
    row : int, optional
        Counted from 0, as in arrays; shown from 1.
    column : str, optional

    Returns
    -------
    str
        Such as ``data.csv: column 'age', row 17 (line 18)``.
    """
    parts = []
    if column is not None:
        parts.append(f"column {shown(column)}")
    if row is not None:
        line = None
        if source is not None and os.fspath(source).lower().endswith(TEXT_SUFFIXES):
            line = line_of_row(source, row)
        parts.append(f"row {row + 1}" + (f" (line {line})" if line is not None else ""))
    name = source_name(source)
    where = ", ".join(parts)
    return f"{name}: {where}" if name and where else name or where


def option(flag: str, column: str, value: str | None = None) -> str:
    """An option of the command line that names a column, quoted for a shell where that is needed."""
    text = column if value is None else f"{column}={value}"
    return f"{flag} {shlex.quote(text) if text.isprintable() and len(text) <= 2 * LONGEST else shown(text)}"


def advice(source: Source, flag: str, column: str, value: str | None = None) -> str:
    """What to do about a column or cell: an option for a file's, what to write in Python for a data frame's."""
    if source is not None:
        return f"use {option(flag, column, value)}"
    return {
        "--type": "make the column text (astype(str))",
        "--drop": "leave the column out",
        "--missing": "make it missing (None or NaN)",
    }[flag]


def headless(columns: Sequence[str]) -> str:
    """A question where the column names look like the cells of a row; else empty."""
    numbers = [name for name in columns if name.strip().lstrip("+-").replace(".", "", 1).isdigit()]
    if len(numbers) < 2 or 2 * len(numbers) < len(columns):
        return ""
    return f"are {listed(numbers, 4)} column names, or is a header line missing? It must be the first line"


def unknown_column(source: Source, name: str, columns: Sequence[str]) -> TableError:
    """The error for a name that is not a column's."""
    near = difflib.get_close_matches(name, columns, n=1)
    hint = f"did you mean {shown(near[0])}?" if near else f"the columns are {listed(columns)}"
    where = f"{source_name(source)}: " if source is not None else ""
    doubt = headless(columns)
    return TableError(f"{where}there is no column {shown(name)}; {hint}" + (f"; {doubt}" if doubt else ""))

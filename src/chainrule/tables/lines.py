"""The text of a CSV file: its separator, its lines, and a careful reader that knows where it is.

Polars reads regular files fast, but takes a line with too few cells for a line with missing ones, a blank line for a
row, and stops at a stray quote without saying where. So the text is checked first (`is_regular`, vectorised); what is
not regular goes through `records`, on Python's ``csv`` module, which is the meaning of every file: it skips blank
lines, knows its line, and says what is wrong.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from itertools import islice

import numpy as np

from chainrule.errors import TableError

#: file names read as text
TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
SEPARATORS = (",", ";", "\t", "|")
BOM = b"\xef\xbb\xbf"

_SAMPLE_LINES, _SAMPLE_BYTES = 50, 1 << 16
_BLOCK = 1 << 18  # fits the cache
_QUOTE, _NEWLINE, _RETURN = ord('"'), ord("\n"), ord("\r")


class Malformed(TableError):
    """Text that is not CSV; the message lacks the file's name."""


def sniff(data: bytes) -> str:
    """The separator of CSV text: the one that cuts its first lines into the most cells, equally many on each line.

    Decimal commas and commas in prose do not mislead it, because they do not come equally often on every line.
    """
    head = data[:_SAMPLE_BYTES].decode(errors="replace")
    best, best_score = ",", (False, 1)
    for separator in SEPARATORS:
        rows = csv.reader(io.StringIO(head, newline=""), delimiter=separator, skipinitialspace=True)
        try:
            widths = [len(row) for row in islice(rows, _SAMPLE_LINES) if row]
        except csv.Error:
            continue
        if len(data) > _SAMPLE_BYTES and 1 < len(widths) < _SAMPLE_LINES:
            widths.pop()  # cut in the middle
        score = (len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0)
        if score > best_score:
            best, best_score = separator, score
    return best


def records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records of CSV text, header included, each with the line it starts on.

    Blank lines are skipped, except where the header names a single column: there they are missing values.

    Raises
    ------
    Malformed
        Naming the line, for quotes that do not match and lines with more or fewer cells than the header.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    width, line = 0, 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise Malformed(f"line {line}: {_quoting(str(error))}") from None
        if row is None:
            return
        start, line = line, reader.line_num + 1
        if not row:
            if width != 1:
                continue
            row = [""]
        if not width:
            width = len(row)
        if len(row) != width:
            counts = f"line {start} has {_count(len(row), 'cell')}, but the header names {_count(width, 'column')}"
            if width == 1:
                raise Malformed(f"{counts}; remove what stands above the header, which must be the first line")
            raise Malformed(f"{counts}; add or remove separators there, and put cells that hold one in double quotes")
        yield start, row


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _quoting(error: str) -> str:
    if "field larger than field limit" in error:
        return (
            f"a cell of more than {csv.field_size_limit():,} characters; shorten it, or is a quoted one never closed?"
        )
    if "unexpected end of data" in error:
        return 'a quoted cell is never closed; close it, or double a quotation mark that belongs to the text ("")'
    return 'a quotation mark inside a quoted cell; double it ("")'


def is_regular(data: bytes, separator: str, width: int) -> bool:
    """Whether every line has `width` cells and every quote is where polars and ``csv`` agree about it.

    Parameters
    ----------
    data : bytes
        CSV without byte-order mark.
    separator : str
        One ASCII character.
    width : int
        Number of columns.
    """
    if data[:1] in (b"\r", b"\n") or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return False
    quoted = b'"' in data
    bytes_ = np.frombuffer(data, np.uint8)
    mark = ord(separator)
    inside, carried = 0, 0  # parity of quotes and separators on a line cut by the block's end
    previous = _NEWLINE
    for start in range(0, len(bytes_), _BLOCK):
        block = bytes_[start : start + _BLOCK]
        is_mark, is_newline = block == mark, block == _NEWLINE
        if quoted:
            is_quote = block == _QUOTE
            parity = np.bitwise_xor.accumulate(is_quote.view(np.uint8)) ^ np.uint8(inside)
            after = bytes_[start + len(block)] if start + len(block) < len(bytes_) else _NEWLINE
            if not _quotes_at_edges(block, np.flatnonzero(is_quote), parity, mark, previous, int(after)):
                return False
            inside = int(parity[-1])
            is_mark &= parity == 0
            is_newline &= parity == 0
        marks, ends = np.flatnonzero(is_mark), np.flatnonzero(is_newline)
        seen = np.searchsorted(marks, ends)
        if len(ends):
            counts = np.diff(seen, prepend=0)
            counts[0] += carried
            if (counts != width - 1).any():
                return False
            carried = len(marks) - int(seen[-1])
        else:
            carried += len(marks)
        previous = int(block[-1])
    if inside:
        return False
    last_ends = len(data) == 0 or data.endswith(b"\n")
    return last_ends or carried == width - 1


def _quotes_at_edges(
    block: np.ndarray, places: np.ndarray, parity: np.ndarray, mark: int, previous: int, after: int
) -> bool:
    """Whether quotes open at the start of a cell and close at its end."""
    opens = parity[places] == 1
    before = np.where(places > 0, block[places - 1], previous)
    behind = np.where(places < len(block) - 1, block[np.minimum(places + 1, len(block) - 1)], after)
    fine_open = (before == mark) | (before == _NEWLINE) | (before == _QUOTE)
    fine_close = (behind == mark) | (behind == _NEWLINE) | (behind == _RETURN) | (behind == _QUOTE)
    return bool(np.where(opens, fine_open, fine_close).all())


def line_of_row(source: str | os.PathLike[str], row: int) -> int | None:
    """Line of a data row (counted from 0) of a text file; ``None`` if it cannot be told.

    Reads the file again: only for messages.
    """
    try:
        with open(source, "rb") as file:
            data = file.read()
        data = data.removeprefix(BOM)
        found = next(islice(records(data.decode(), sniff(data)), row + 1, None), None)
    except (OSError, UnicodeDecodeError, Malformed):
        return None
    return None if found is None else found[0]

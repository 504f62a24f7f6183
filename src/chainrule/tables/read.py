"""Read a table from a CSV or Parquet file, or refuse in one line that says where and what to do."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from itertools import islice

import polars as pl

from chainrule.errors import TableError
from chainrule.tables.cells import MISSING_WORDS, is_whole, settle_all
from chainrule.tables.lines import BOM, TEXT_SUFFIXES, Malformed, is_regular, records, sniff
from chainrule.tables.parquet import read_parquet
from chainrule.tables.place import shown, source_name

PARQUET_SUFFIXES = (".parquet", ".pq")
#: first bytes of files that are something else, whatever their name says
_OTHER_FORMATS = {
    b"PAR1": "a Parquet file; rename it to end in .parquet",
    b"PK\x03\x04": "a zip archive or Excel workbook; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save the sheet as CSV",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"ARROW1": "an Arrow or Feather file; save it as Parquet",
    b"(\xb5/\xfd": "compressed with zstd; unpack it first",
    b"x\x01": "compressed with zlib; unpack it first",  # polars would unpack these two and the next
    b"x\x9c": "compressed with zlib; unpack it first",
    b"x\xda": "compressed with zlib; unpack it first",
    b"\xff\xfe": "UTF-16 text; save it as CSV in UTF-8",
    b"\xfe\xff": "UTF-16 text; save it as CSV in UTF-8",
}
#: the commonest words for missing, which polars can skip while it reads numbers; `settle` knows them all
_COMMON_MISSING = ["NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?"]
_SAMPLE_BYTES, _ROWS = 1 << 16, 1 << 16
#: more are a line break lost, or a table turned on its side; a model file holds fewer
MOST_COLUMNS = 100_000


def read_table(path: str | os.PathLike[str], *, missing: Iterable[str] = ()) -> pl.DataFrame:
    r"""Read a table.

    Parameters
    ----------
    path : path
        ``.csv``, ``.tsv``, ``.tab`` or ``.txt``: text in UTF-8 with a header line, cells separated by commas,
        semicolons, tabs or ``|`` (found out), in double quotes where they hold a separator or a line break.
        ``.parquet`` or ``.pq``: Parquet.
    missing : iterable of str
        Words or numbers (``-999``) that mean a missing value, besides an empty cell and (in any case, blanks around
        them ignored) ``NA``, ``N/A``, ``#N/A``, ``<NA>``, ``NaN``, ``NaT``, ``null``, ``None``, ``nil``, ``?``, ``-``,
        ``--``, ``.``.

    Returns
    -------
    polars.DataFrame
        One column per header name. A text column whose every cell is a number (or missing) becomes Int64 or Float64;
        digits padded with zeros (``00501``) or longer than 16 places are codes and stay text. Decimal commas are
        understood in files that are not separated by commas. Blanks around cells and names are dropped, a column
        without a name is called ``unnamed_<position>``, blank lines are skipped.

    Raises
    ------
    TableError
        If there is no such file, it cannot be read, is empty, has a header only, is not UTF-8 text, has lines with
        more or fewer cells than the header, unmatched quotes, equal column names, more than 100 000 columns, or is
        damaged; if it is a device or pipe, which may never end. One line.
    """
    name = source_name(path)
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if os.path.isdir(path):
        raise TableError(f"{name}: is a directory; name a CSV or Parquet file in it")
    if suffix not in TEXT_SUFFIXES + PARQUET_SUFFIXES:
        if not os.path.exists(path):
            raise _no_file(name)
        endings = ", ".join(TEXT_SUFFIXES + PARQUET_SUFFIXES)
        raise TableError(f"{name}: cannot tell the format from {shown(suffix)}; name a file that ends in {endings}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise TableError(f"{name}: is not a regular file but a device or pipe; write the table to a file first")
    data = _bytes_of(path, name)
    if not data:
        raise TableError(f"{name}: is empty; a table needs a header line and rows")
    words = MISSING_WORDS | {word.strip().lower() for word in missing}
    try:
        if suffix in PARQUET_SUFFIXES:
            frame, decimal_comma = read_parquet(data), False
            frame.columns = _names(frame.columns)
        else:
            frame, decimal_comma = _text(data)
    except Malformed as error:
        raise TableError(f"{name}: {error}") from None
    if not frame.height:
        raise TableError(f"{name}: has column names but no rows; add rows below the header")
    frame = settle_all(frame, words, decimal_comma)
    codes = _numbers_among(words)
    return frame.with_columns(pl.selectors.numeric().replace(codes, None)) if codes else frame


def _numbers_among(words: Iterable[str]) -> list[float]:
    """The words that are numbers, such as -999."""
    found = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            continue
    return [number for number in found if number == number]


def _no_file(name: str) -> TableError:
    return TableError(f"{name}: there is no such file; check the path")


def _bytes_of(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise _no_file(name) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TableError(f"{name}: cannot be read ({reason}); check its name and permissions") from None


def _text(data: bytes) -> tuple[pl.DataFrame, bool]:
    """All cells as text, and whether decimal commas may occur."""
    for magic, what in _OTHER_FORMATS.items():
        if data.startswith(magic):
            raise Malformed(f"is {what}")
    data = data.removeprefix(BOM)
    if (nul := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise Malformed(f"line {line} holds a NUL byte, so this is not plain text; save it as CSV in UTF-8")
    separator = sniff(data)
    _check_width(data, separator)
    _, header = next(records(_header_text(data), separator), (0, []))
    if not header:
        raise Malformed("is empty; a table needs a header line and rows")
    if header[0][:4].lower() == "sep=":
        raise Malformed(f"line 1 is {shown(separator.join(header))}, a word to Excel, not a header; remove that line")
    names = _names(header)
    if len(names) == 1:
        _check_blanks(data)
    elif data.endswith((b"\n\n", b"\n\r\n")):
        data = data.rstrip(b"\r\n") + b"\n"  # else blank lines at the end would cost the fast way
    frame = _fast(data, separator, len(names)) if is_regular(data, separator, len(names)) else None
    if frame is None:
        rows = islice((row for _, row in records(_decoded(data), separator)), 1, None)
        schema = [(f"column_{k}", pl.String) for k in range(len(names))]
        frame = pl.DataFrame(schema=schema)
        while some := list(islice(rows, _ROWS)):  # a short line as a list takes fifty times its bytes
            frame.vstack(pl.DataFrame(some, schema=schema, orient="row"), in_place=True)
        frame = frame.rechunk()
    frame.columns = names
    return frame, separator != ","


def _fast(data: bytes, separator: str, width: int) -> pl.DataFrame | None:
    """By polars, where it succeeds: columns that look like decimal numbers as Float64 at once, all else as text."""
    guess = _decimal_columns(data, separator)
    for columns in (guess, []) if guess else ([],):
        try:
            frame = pl.read_csv(
                io.BytesIO(data),
                separator=separator,
                infer_schema=False,
                schema_overrides=dict.fromkeys(columns, pl.Float64),
                null_values=_COMMON_MISSING,
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            continue
        if frame.width != width:
            return None
        frame = frame.with_columns(pl.col(pl.Float64).fill_nan(None))
        # whole numbers may be integers or codes, which only the text tells
        if not any(is_whole(frame[name]) for name in columns):
            return frame
    return None


def _decimal_columns(data: bytes, separator: str) -> list[str]:
    """Columns (by polars' names) whose first cells are all numbers, some with decimals: a guess that saves time."""
    end = data.find(b"\n", _SAMPLE_BYTES)
    try:
        sample = pl.read_csv(data if end < 0 else data[: end + 1], separator=separator, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return []
    return [name for name, dtype in sample.schema.items() if dtype == pl.Float64]


def _header_text(data: bytes) -> str:
    """Enough text to hold the header, decoded."""
    end = data.find(b"\n", 1 << 16)
    return _decoded(data if end < 0 else data[:end])


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        start = data.rfind(b"\n", 0, error.start) + 1
        text = data[start : start + 200].split(b"\n")[0].strip().decode("latin-1")
        raise Malformed(
            f"line {line} is not UTF-8 text (byte 0x{data[error.start]:02x}; as Latin-1 it reads {shown(text)}); "
            "convert it with: iconv -f LATIN1 -t UTF-8"
        ) from None


def _check_blanks(data: bytes) -> None:
    """Refuse a table whose cells are separated by blanks, which would pass for one column of text."""
    widths = {len(line.split()) for line in data[: 1 << 16].split(b"\n")[:20] if line.strip()}
    if len(widths) == 1 and widths.pop() > 1 and b'"' not in data[: 1 << 16] and _blank_numbers(data):
        raise Malformed("its cells are separated by blanks; separate them by commas, semicolons or tabs")


def _blank_numbers(data: bytes) -> bool:
    line = data.split(b"\n", 2)[1:2]
    try:
        return bool(line) and bool([float(cell) for cell in line[0].split()])
    except ValueError:
        return False


def _check_width(data: bytes, separator: str) -> None:
    """Refuse lines of very many cells before any is made of them: a cell of one byte takes fifty."""
    if len(data) < MOST_COLUMNS:
        return
    end = -1
    while end < len(data):
        start, end = end + 1, data.find(b"\n", end + 1 + MOST_COLUMNS)  # shorter lines are passed by
        end = len(data) if end < 0 else end
        start = max(start, data.rfind(b"\n", start, end) + 1)
        cells = 1 + data.count(separator.encode(), start, end) if end - start > MOST_COLUMNS else 0
        if cells > 2 * MOST_COLUMNS:  # separators within cells count, too
            line = 1 + data.count(b"\n", 0, start)
            raise Malformed(
                f"line {line} has {cells:,} columns, of which {MOST_COLUMNS:,} can be read; "
                "leave some out, or is a line break missing?"
            )


def _names(header: Sequence[str]) -> list[str]:
    """Column names without blanks around them, every one distinct."""
    if len(header) > MOST_COLUMNS:
        raise Malformed(
            f"has {len(header):,} columns, of which {MOST_COLUMNS:,} can be read; leave some out, or is a line break "
            "missing?"
        )
    names = [name.strip() or f"unnamed_{k}" for k, name in enumerate(header, start=1)]
    first: dict[str, int] = {}
    for k, name in enumerate(names, start=1):
        if name in first:
            raise Malformed(f"columns {first[name]} and {k} are both named {shown(name)}; rename one of them")
        first[name] = k
    return names

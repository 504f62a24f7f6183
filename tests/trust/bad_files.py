"""Files that are no tables, or tables of a strange kind, given to ``chainrule fit``."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trust.bad_case import Command, Content

FIT = "fit data.csv --target y --model m.chainrule --epochs 2 --hidden 3 --members 1 --embedding none -q"
#: forty good rows
ROWS = "".join(f"{k % 7}.5,{k},{3 * k % 11}.25\n" for k in range(40))
GOOD = f"a,b,y\n{ROWS}"


def csv(name: str, content: Content, *says: str) -> Command:
    """A file called data.csv."""
    return Command(name, FIT, ("data.csv: ", *says) if says else (), {"data.csv": content})


def parquet(name: str, content: Any, *says: str) -> Command:
    """A file called data.parquet."""
    if isinstance(content, pl.DataFrame):
        buffer = io.BytesIO()
        content.write_parquet(buffer)
        content = buffer.getvalue()
    arguments = FIT.replace("data.csv", "data.parquet")
    return Command(name, arguments, ("data.parquet: ", *says) if says else (), {"data.parquet": content})


def _link_to(target: str) -> Content:
    return lambda path: path.symlink_to(target)


def _good_parquet() -> bytes:
    buffer = io.BytesIO()
    pl.read_csv(io.StringIO(GOOD)).write_parquet(buffer)
    return buffer.getvalue()


_BYTES = _good_parquet()
_FRAME = pl.read_csv(io.StringIO(GOOD))
_MILLION = ",".join(map(str, range(1_000_000)))
_RANDOM = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()


FILES = [
    # -- what is not there, or no file
    Command("missing", FIT, ["data.csv: there is no such file; check the path"]),
    Command("missing folder", FIT.replace("data.csv", "no/data.csv"), ["no/data.csv: there is no such file"]),
    Command("no suffix", FIT.replace("data.csv", "data"), ["cannot tell the format", ".csv"], {"data": GOOD}),
    Command("unknown suffix", FIT.replace("data.csv", "t.dat"), ["from '.dat'; name a file"], {"t.dat": GOOD}),
    csv("a directory", Path.mkdir, "is a directory; name a CSV or Parquet file in it"),
    parquet("a directory named .parquet", Path.mkdir, "is a directory; name a CSV"),
    Command("the present directory", FIT.replace("data.csv", "."), [".: is a directory"]),
    csv("a link to nothing", _link_to("nothing.csv"), "no such file"),
    csv("a link to itself", _link_to("data.csv"), "cannot be read"),
    csv("a device without end", _link_to("/dev/zero"), "is not a regular file"),
    csv("a device without bytes", _link_to("/dev/null"), "is not a regular file"),
    csv("a pipe nobody writes to", os.mkfifo, "is not a regular file", "write the table to a file"),
    csv("unreadable", _link_to("/proc/self/mem"), "cannot be read"),
    Command("a name of two lines", FIT.replace("data.csv", "two\x07lines.csv"), ["no such file"]),
    Command("a name that is not UTF-8", FIT.replace("data.csv", "\udcff.csv"), ["no such file"]),
    Command("a name too long", FIT.replace("data.csv", "x" * 300 + ".csv"), ["cannot be read", "check its name"]),
    # -- empty
    csv("empty", "", "is empty; a table needs a header line and rows"),
    csv("blank lines", "\n\n\r\n", "is empty"),
    csv("byte-order mark only", b"\xef\xbb\xbf", "is empty"),
    csv("blanks only", "   \n  \n", "there is no column 'y'"),
    csv("separators only", ",,\n,,\n", "there is no column 'y'; the columns are 'unnamed_1'"),
    csv("header only", "a,b,y\n", "no rows; add rows below the header"),
    csv("header without line end", "a,b,y", "no rows; add rows"),
    csv("a header and one row", "a,b,y\n1,2,3\n", "'y'", "one value only", "needs at least two"),
    csv("a header and two rows", "a,b,y\n1,2,3\n4,5,6\n"),
    # -- ragged
    csv("a short line", GOOD + "1,2\n", "line 42 has 2 cells", "3 columns", "add or remove separators"),
    csv("a long line", GOOD + "1,2,3,4\n", "line 42 has 4 cells", "add or remove"),
    csv("a short first row", f"a,b,y\n1,2\n{ROWS}", "line 2 has 2 cells"),
    csv("a last line cut off", GOOD[:-9], "has 1 cell", "add or remove"),
    csv("a line of separators too many", GOOD + ",,,,,\n", "line 42 has 6 cells"),
    csv("remarks above the header", f"made on Monday\n{GOOD}", "line", "header"),
    csv("a word to Excel", f"sep=,\n{GOOD}", "line 1", "remove that line"),
    csv("separated by blanks", "a b y\n1 2 3\n4 5 6\n", "separated by blanks; separate them by commas"),
    # -- quotes
    csv("a quote never closed", GOOD + '1,"2,3\n', "line 42", "never closed; close it"),
    csv("a quote inside a quoted cell", GOOD + '1,"2"2,3\n', "line 42", "double it"),
    csv("quotes alone", '"', "line 1", "never closed"),
    csv("quoted line breaks", 'a,"b\nb",y\n' + ROWS),
    # -- bytes
    csv("NUL bytes", GOOD + "1,\0,3\n", "line 42 holds a NUL byte", "save it as CSV in UTF-8"),
    csv("NUL bytes only", bytes(1000), "line 1 holds a NUL byte"),
    csv("NUL in the header", b"a\0,b,y\n1,2,3\n", "line 1 holds a NUL"),
    csv("byte-order mark", b"\xef\xbb\xbf" + GOOD.encode()),
    csv("two byte-order marks", b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD.encode()),
    csv("Latin-1", GOOD.encode() + "1,größer,3\n".encode("latin-1"), "line 42 is not UTF-8", "größer", "iconv"),
    csv("Latin-1 in the header", "größe,b,y\n1,2,3\n".encode("latin-1"), "line 1 is not UTF-8", "iconv"),
    csv("UTF-16", GOOD.encode("utf-16"), "is UTF-16 text; save it as CSV in UTF-8"),
    csv("UTF-16 without a mark", GOOD.encode("utf-16-le"), "NUL byte"),
    csv("UTF-8 cut in a letter", GOOD.encode() + "1,2,é".encode()[:-1], "line 42 is not UTF-8"),
    csv("surrogates in UTF-8", b"a,y\n\xed\xa0\x80,1\n", "line 2 is not UTF-8"),
    csv("random bytes", _RANDOM, "line 2 holds a NUL byte"),
    csv("control characters in a name", "a\x1b[31m,y\n" + "1,2\n3,4\n" * 20),
    csv("ends of lines of old Macs", GOOD.replace("\n", "\r")),
    csv("ends of lines of Windows", GOOD.replace("\n", "\r\n")),
    csv("ends of lines of all kinds", GOOD.replace("\n", "\r\n", 10) + "1,2,3\r4,5,6\n"),
    # -- other formats under a wrong name
    csv("gzip", gzip.compress(GOOD.encode()), "compressed with gzip; unpack it first"),
    csv("zstd", b"(\xb5/\xfd" + _RANDOM, "compressed with zstd"),
    csv("Excel, zipped", b"PK\x03\x04" + _RANDOM, "Excel workbook; save the sheet as CSV"),
    csv("Excel, old", b"\xd0\xcf\x11\xe0" + _RANDOM, "an Excel workbook"),
    csv("Parquet as CSV", _BYTES, "a Parquet file; rename it to end in .parquet"),
    csv("JSON", json.dumps([{"a": 1, "y": 2}] * 3, indent=1), "line"),
    csv("HTML", "<!DOCTYPE html>\n<html>\n<table><tr><td>1, 2</td></tr>\n</table></html>\n", "line"),
    csv("PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n" + _RANDOM, "NUL byte, so this is not plain text"),
    # -- long
    csv("an endless line", "x" * 6_000_000, "line 1: a cell of more than 131,072 characters; shorten it"),
    csv("an endless quoted cell", 'a,y\n1,"' + "x" * 6_000_000, "line 2", "never closed"),
    csv("an endless cell in quotes, closed", 'a,y\n1,"' + "x" * 200_000 + '"\n2,x\n'),
    csv("a million columns, equal names", "a" + ",a" * 1_000_000 + "\n", "has 1,000,001 columns"),
    csv("a million columns", f"{_MILLION}\n{_MILLION}\n", "has 1,000,000 columns", "is a line break missing?"),
    csv("a hundred thousand columns", "x" + ",x" * 99_999 + "\n1\n", "columns 1 and 2 are both named 'x'"),
    csv("a column name without end", "x" * 1_000_000 + ",y\n" + "1,2\n3,4\n" * 20, "line 1: a cell of more than"),
    csv("a column name of a page", "x" * 3_000 + ",y\n" + "1,2\n3,4\n" * 20),
    # -- names
    csv("equal names", "a,a,y\n1,2,3\n", "columns 1 and 2 are both named 'a'; rename one"),
    csv("names equal but for blanks", "a, a,y\n1,2,3\n", "both named 'a'"),
    csv("a column without name", f"a,,y\n{ROWS}"),
    csv("no header", ROWS, "header line missing"),
    csv("target spelled otherwise", GOOD.replace("y\n", "Y\n", 1), "there is no column 'y'", "'Y'"),
    # -- Parquet
    parquet("Parquet", _BYTES),
    parquet("Parquet, empty", b"", "is empty"),
    parquet("Parquet cut short", _BYTES[:-20], "cut short; copy or write it again"),
    parquet("Parquet without a footer", b"PAR1" + bytes(100) + b"PAR1", "damaged Parquet"),
    parquet("Parquet with a footer without end", _BYTES[:-8] + b"\xff\xff\xff\x7fPAR1", "damaged Parquet"),
    parquet("Parquet, middle damaged", b"PAR1" + _RANDOM[:2000] + _BYTES[-600:], "damaged Parquet"),
    parquet("CSV as Parquet", GOOD, "is not a Parquet file; if it is text, rename it"),
    parquet("Parquet, random bytes", b"PAR1" + _RANDOM + b"PAR1", "damaged Parquet"),
    parquet("Parquet without rows", _FRAME.clear(), "no rows; add rows"),
    parquet("Parquet without columns", pl.DataFrame(), "has no columns"),
    parquet(
        "Parquet with lists",
        _FRAME.with_columns(a=pl.concat_list("a", "b")),
        "left out: 'a' (cells of type",
        "columns of their own",
    ),
    parquet(
        "Parquet with records",
        _FRAME.with_columns(a=pl.struct("a", "b")),
        "left out: 'a' (cells of type",
        "columns of their own",
    ),
    parquet("Parquet with bytes", _FRAME.with_columns(a=pl.lit(b"\xff\0")), "left out: 'a' (cells of type Binary"),
    parquet(
        "Parquet with an infinite cell", _FRAME.with_columns(a=1.0 / (pl.col("b") - 9.0)), "'a'", "row 10", "infinite"
    ),
    parquet("Parquet with NaN", _FRAME.with_columns(a=pl.when(pl.col("b") > 9).then(pl.col("a")).otherwise(np.nan))),
    parquet(
        "Parquet with dates", _FRAME.with_columns(a=pl.col("b").cast(pl.Date)), "dates or times; make numbers of them"
    ),
    parquet("Parquet with decimals", _FRAME.with_columns(a=pl.col("a").cast(pl.Decimal(20, 2)))),
]

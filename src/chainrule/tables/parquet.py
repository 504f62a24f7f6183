"""Parquet files, tried out in a process of their own first.

A few bytes changed in a Parquet file can make polars ask for more memory than any machine has, or fail an assertion in
one of its threads; the former ends the whole process, the latter writes pages to the screen. A process that ends on
trying is a line to the user.
"""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import suppress

import polars as pl

from chainrule.memory import LEAST_ADDRESSES, machine_memory
from chainrule.tables.lines import Malformed

#: times that texts are in memory while their meaning is found out: without blanks, in lower case, in a row
COPIES = 4
#: for which a file is tried out at most, and for each byte: polars reads a hundred times as fast
_SECONDS, _BYTES_PER_SECOND = 120.0, 1e6
_AGAIN = "copy or write it again"
#: first thing that the process which tries a file out writes, once it has what it needs
_STARTED = b"+"


def read_parquet(data: bytes) -> pl.DataFrame:
    """The table of a Parquet file.

    Raises
    ------
    Malformed
        If it is none, is damaged, or holds more than a third of what there is memory for.
    """
    if data[:4] != b"PAR1":
        raise Malformed("is not a Parquet file; if it is text, rename it to end in .csv")
    if len(data) < 12 or data[-4:] != b"PAR1":
        raise Malformed(f"is a Parquet file cut short; {_AGAIN}")
    available = machine_memory()
    try_out(data, available)
    return decode(data, available)


def try_out(data: bytes, available: int | None) -> None:
    """`decode` a file in another process; where none can be started, nothing is tried out.

    Raises
    ------
    Malformed
        As there, or since the process ended.
    """
    if not sys.executable:  # Python is part of another program
        return
    seconds = _SECONDS + len(data) / _BYTES_PER_SECOND
    code = f"import sys; sys.path[:] = {sys.path!r}; from chainrule.tables.parquet import main; main()"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", code, str(available or 0)],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Malformed(f"is a Parquet file that takes more than {seconds:.0f} s to read; {_AGAIN}") from None
    except OSError:  # no process to be had
        return
    if tried.returncode and tried.stdout.startswith(_STARTED):  # else it never came to the file
        raise Malformed(
            tried.stdout.removeprefix(_STARTED).decode()
            or f"is a damaged Parquet file, or there is not enough memory (reading it ends the process); {_AGAIN}"
        )


def decode(data: bytes, available: int | None) -> pl.DataFrame:
    """The table, where it takes at most a third of so many bytes of memory.

    Cells that hold lists or records are no numbers, and not read: how long lists are is not known before. Their columns
    are there by name and type, without values.
    """
    try:
        scan = pl.scan_parquet(io.BytesIO(data))
        rows, schema = int(scan.select(pl.len()).collect().item()), scan.collect_schema()
        _check_memory(8 * rows * len(schema), 3, available)  # as they are read, as a matrix, and on the way there
        flat = [name for name, dtype in schema.items() if not dtype.is_nested()]
        frame = pl.read_parquet(io.BytesIO(data), columns=flat) if flat else pl.DataFrame()
        nested = [pl.Series(name, [], dtype).clear(rows) for name, dtype in schema.items() if dtype.is_nested()]
        frame = pl.DataFrame([*frame.iter_columns(), *nested]).select(schema.names())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, MemoryError) as error:
        detail = " ".join(str(error).split())[:80]
        raise Malformed(f"is a damaged Parquet file ({detail}); {_AGAIN}") from None
    if not frame.width:
        raise Malformed("has no columns; a table needs some")
    texts = [column for column in frame.iter_columns() if column.dtype in (pl.String, pl.Categorical, pl.Enum)]
    lengths = sum(int(column.cast(pl.String).str.len_bytes().sum() or 0) for column in texts)
    _check_memory(lengths, 2 * COPIES, available)  # repeated ones are stored once, and worked on one by one
    return frame


def _check_memory(size: int, times: int, available: int | None) -> None:
    """Refuse cells that, so many times in memory, are more than this machine has.

    Equal ones are compressed to next to nothing.
    """
    if available is not None and times * size > available:
        raise Malformed(f"holds {size / 2**30:,.0f} GB of cells, more than there is memory for; use fewer")


def main() -> None:
    """Decode the file on stdin; what is wrong with it goes to stdout, after `_STARTED`, and decides the exit status."""
    available = int(sys.argv[1]) or None
    with suppress(ImportError, OSError, ValueError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if available is not None:  # else the system might end another process for want of memory
            resource.setrlimit(resource.RLIMIT_AS, (max(available // 2, LEAST_ADDRESSES),) * 2)
    sys.stdout.buffer.write(_STARTED)
    sys.stdout.buffer.flush()
    try:
        decode(sys.stdin.buffer.read(), available)
    except Malformed as error:
        sys.stdout.buffer.write(str(error).encode())
        sys.exit(1)

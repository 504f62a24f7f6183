"""Write a table to a file, all of it or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from chainrule.errors import TableError
from chainrule.files import replacing, try_place
from chainrule.tables.place import shown, source_name

_FORMATS = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".pq": "parquet"}


def check_writable(path: str | os.PathLike[str]) -> None:
    """Find out before the work, not after it, whether a table can be written to a path.

    Raises
    ------
    TableError
        If the ending names no format, the folder does not exist, or the file cannot be written there. One line.
    """
    _format(path)
    target = _target(path)
    try:
        try_place(target)
    except OSError as error:
        raise _cannot(path, error) from None


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV (``.csv``, ``.tsv``) or Parquet (``.parquet``, ``.pq``).

    A reader sees the old file or the new one, never half of one, and a failure leaves the old one as it was. Missing
    values are empty cells; numbers have all the digits needed to read them back unchanged.

    Parameters
    ----------
    frame : polars.DataFrame
    path : path

    Raises
    ------
    TableError
        If it cannot be written. One line.
    """
    kind = _format(path)
    target = _target(path)
    try:
        with replacing(target) as file:
            if kind == "parquet":
                frame.write_parquet(file)
            else:
                frame.write_csv(file, separator="\t" if kind == "tsv" else ",")
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _cannot(path, error) from None


def _format(path: str | os.PathLike[str]) -> str:
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _FORMATS:
        endings = ", ".join(_FORMATS)
        raise TableError(
            f"{source_name(path)}: cannot write the format {shown(suffix)}; use a name ending in {endings}"
        )
    return _FORMATS[suffix]


def _target(path: str | os.PathLike[str]) -> Path:
    """The file behind symbolic links, checked to be a place for a file."""
    name = source_name(path)
    try:
        target = Path(os.path.realpath(path))
        exists, is_folder, has_folder = target.exists(), target.is_dir(), target.parent.is_dir()
    except (OSError, ValueError) as error:
        raise _cannot(path, error) from None
    if is_folder:
        raise TableError(f"{name}: is a directory; name a file in it")
    if exists and not target.is_file():
        raise TableError(f"{name}: is not a regular file, and cannot be replaced; name another one")
    if not has_folder:
        raise TableError(f"{name}: there is no folder {shown(str(target.parent))}; create it or name another one")
    if exists and not os.access(target, os.W_OK):
        raise TableError(f"{name}: is write-protected; change its permissions or name another file")
    return target


def _cannot(path: str | os.PathLike[str], error: Exception) -> TableError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())[:120]
    return TableError(f"{source_name(path)}: cannot be written ({reason}); name another place")

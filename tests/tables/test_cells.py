"""What the text of a cell means."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.tables.cells import (
    CODE,
    DATE,
    MISSING_WORDS,
    WRITTEN_NUMBER,
    counted,
    labels,
    numbers,
    settle,
    settle_all,
    truth,
)


def column(*cells, dtype=pl.String):
    return pl.Series("c", cells, dtype=dtype)


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "2", "NA"], pl.Int64, [1, 2, None]),
        ([" 1.5 ", "2", ""], pl.Float64, [1.5, 2.0, None]),
        (["1.0", "2.0"], pl.Int64, [1, 2]),
        (["1e3", "+5", "-.5"], pl.Float64, [1000.0, 5.0, -0.5]),
        (["nan", "1"], pl.Int64, [None, 1]),
        (["inf", "1"], pl.Float64, [float("inf"), 1.0]),
        (["x", " ? ", "y "], pl.String, ["x", None, "y"]),
        (["1", "x"], pl.String, ["1", "x"]),
        (["00501", "90210"], pl.String, ["00501", "90210"]),
        (["01", "12"], pl.Int64, [1, 12]),
        (["0", "10"], pl.Int64, [0, 10]),
        (["12345678901234567", "1"], pl.String, ["12345678901234567", "1"]),
        (["9007199254740993.0", "1"], pl.Float64, [9007199254740992.0, 1.0]),
        (["NA", "", None], pl.String, [None, None, None]),
        (["1,5", "2"], pl.String, ["1,5", "2"]),
        (["1 000", "2"], pl.String, ["1 000", "2"]),
    ],
)
def test_settle(cells, dtype, values):
    settled = settle(column(*cells), MISSING_WORDS)
    assert settled.dtype == dtype
    assert settled.to_list() == values


def test_settle_decimal_commas_where_they_may_occur():
    assert settle(column("1,5", "2", "-0,25", "NA"), MISSING_WORDS, True).to_list() == [1.5, 2.0, -0.25, None]
    # a point and a comma in one column are not both decimal
    assert settle(column("1,5", "2.5"), MISSING_WORDS, True).dtype == pl.String


def test_every_word_for_missing_is_missing_in_any_case():
    for word in MISSING_WORDS:
        for spelled in (word, word.upper(), f"  {word} "):
            assert settle(column("1", spelled, "2"), MISSING_WORDS).to_list() == [1, None, 2]


def test_words_of_ones_own():
    words = MISSING_WORDS | {"unknown"}
    assert settle(column("1", "Unknown", "2"), words).to_list() == [1, None, 2]
    assert settle(column("a", "unknown"), words).to_list() == ["a", None]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_numbers_read_as_they_were_written(values):
    assert numbers(column(*map(repr, values))).to_list() == values


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-31", "2020/1/3", "31.12.2020", "1/2/20", "2020-01", "12 Jan 2020", "Jan 5, 2020", "12-Jan-2020",
        "2020-01-01T10:11:12Z", "2020-01-01 10:11:12.123+01:00", "10:11", "10:11:12 pm", "Mon, 02 Jan 2020",
    ],
)  # fmt: skip
def test_dates(text):
    assert column(text).str.contains(DATE).item()


@pytest.mark.parametrize("text", ["1.2.3", "192.168.0.1", "march", "may 5th", "20200101", "12", "a-b-c", "1-2"])
def test_not_dates(text):
    assert not column(text).str.contains(DATE).item()


@pytest.mark.parametrize(
    "text", ["1,234", "1,234.5", "1.234,50", "1 234", "$12", "45%", "45 %", "3,14", "€1.000", "-1,234", "1'234'567"]
)
def test_written_numbers(text):
    assert column(text).str.contains(WRITTEN_NUMBER).item()


@pytest.mark.parametrize("text", ["abc", "1.2.3", "192.168.0.1", "12,34,567", "555-1234", "A1", "1,2,3"])
def test_not_written_numbers(text):
    assert not column(text).str.contains(WRITTEN_NUMBER).item()


def test_codes():
    assert column("00501", "007", "12345678901234567").str.contains(CODE).all()
    assert not column("0", "05", "10", "0.001", "1234567890123456").str.contains(CODE).any()


def test_truth():
    words = column("true", "NO", " t ", "off", "Y", "maybe", None)
    assert truth(words).to_list() == [True, False, True, False, True, None, None]


@pytest.mark.parametrize(
    ("series", "texts"),
    [
        (pl.Series([1, None, 3]), ["1", None, "3"]),
        (pl.Series([1.0, 2.5, float("nan"), None, 1e300, -0.0]), ["1", "2.5", None, None, "1e+300", "0"]),
        (pl.Series([True, False, None]), ["true", "false", None]),
        (pl.Series(["u", None], dtype=pl.Categorical), ["u", None]),
    ],
)
def test_labels(series, texts):
    assert [
        t if t is None or "e" not in t or t in ("true", "false") else repr(float(t)) for t in labels(series)
    ] == texts


def test_labels_are_the_same_whatever_holds_the_numbers():
    assert labels(pl.Series([1, 2])).to_list() == labels(pl.Series([1.0, 2.0])).to_list() == ["1", "2"]


def test_counted():
    values, times = counted(pl.Series("count", ["b", "a", None, "b"]))
    assert (values.to_list(), times.to_list()) == (["a", "b"], [1, 2])


def test_many_columns_are_settled_as_one_by_one():
    """Of every mixture."""
    rng = np.random.default_rng(0)
    pool = [
        "1",
        "2",
        "-3",
        "1.5",
        "1,5",
        "NA",
        " 1",
        "x",
        "",
        None,
        "nan",
        "inf",
        "007",
        "1" * 17,
        "1,2,3",
        " ,5",
        "5.",
    ]
    columns = []
    for k in range(400):
        some = rng.choice(len(pool), size=rng.integers(1, 4))
        columns.append(pl.Series(f"c{k}", [pool[rng.choice(some)] for _ in range(5)], dtype=pl.String))
    frame = pl.DataFrame(columns)
    for decimal_comma in (False, True):
        alone = [settle(each, MISSING_WORDS, decimal_comma) for each in columns]
        together = settle_all(frame, MISSING_WORDS, decimal_comma)
        assert together.equals(pl.DataFrame(alone), null_equal=True)
        assert together.schema == pl.DataFrame(alone).schema
        assert {pl.String, pl.Int64, pl.Float64} == set(together.dtypes)

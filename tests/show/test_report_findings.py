"""What a report says against the data: planted faults are found, and clean data are left in peace."""

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.models.fit import FitOptions
from chainrule.models.table import TableOptions, fit_table, read_schema
from chainrule.networks import Dense
from chainrule.show.report import report_of_table
from chainrule.show.report.data import percent
from chainrule.show.report.findings import findings
from chainrule.show.report.gather import report_of_estimator

N = 400


def found(target="y", drop=(), **columns):
    """Titles and columns of the findings about a table with two honest columns."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=N), rng.normal(size=N)
    frame = pl.DataFrame({"a": a, "b": b, "y": a + rng.normal(size=N)} | columns)
    asked = TableOptions((target,), drop=drop, baselines=False)
    frame, schema = read_schema(frame, asked)
    options = FitOptions(layers=(Dense(4),), max_epochs=1, n_members=1, embedding="none")
    return findings(report_of_table(fit_table(frame, schema, asked, options)))


def honest():
    rng = np.random.default_rng(1)
    return rng.normal(size=N), rng.normal(size=N), rng.normal(size=N)


def test_clean_data_are_left_in_peace():
    assert found() == []


def test_a_copy_of_the_target_leaks():
    a, _, noise = honest()
    y = a + noise
    (one,) = found(y=y, tax=1.19 * y)
    assert (one.title, one.column, one.serious) == ("Leaking column", "tax", True)
    assert "rank correlation is 1.0000" in one.text
    assert "--drop tax" in one.text


def test_a_leak_need_not_be_monotone():
    root, b, _ = honest()
    (one,) = found(y=np.abs(root) + 0.01 * b, root=root, drop=("a",))
    assert (one.title, one.column) == ("Leaking column", "root")


def test_a_class_may_leak_through_a_category():
    y = np.where(honest()[0] > 0, "sick", "well")
    drug = np.where(y == "sick", "aspirin", "none")
    (one,) = found(y=y, drug=drug, drop=("a",))
    assert (one.title, one.column) == ("Leaking column", "drug")
    assert "100.0 % of the errors" in one.text.replace("\xa0", " ")


def test_a_good_column_does_not_leak():
    a, _, noise = honest()
    assert found(y=a + 0.3 * noise) == []
    assert found(y=np.where(a + 0.3 * noise > 0, "up", "down")) == []


def test_identifiers_are_flagged_or_left_out():
    numbers = np.random.default_rng(0).permutation(N) + 1000
    (one,) = found(ticket=numbers)
    assert (one.title, one.column, one.serious) == ("ID-like column", "ticket", True)
    (left,) = found(name=[f"person {k}" for k in range(N)])
    assert (left.title, left.column, left.serious) == ("ID-like column left out", "name", False)


def test_constants_are_told():
    (left,) = found(planet=["Earth"] * N)
    assert (left.title, left.column, left.serious) == ("Constant column left out", "planet", False)


def test_duplicates_are_counted():
    a, b, noise = honest()
    half = np.arange(N) % (N // 2)
    (one,) = found(a=a[half], b=b[half], y=noise[half])
    assert (one.title, one.serious) == ("Duplicate rows", True)
    assert f"{N // 2} rows of {N} (50.0 %)" in one.text.replace("\xa0", " ")
    few = np.random.default_rng(0).integers(0, 3, (3, N))
    (one,) = [f for f in found(a=few[0], b=few[1], y=few[2]) if f.title == "Duplicate rows"]
    assert not one.serious


def test_rows_judged_that_were_learned_from():
    X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60.0) % 7
    fit = cr.FeedForwardRegressor((4,), max_iter=2, n_members=1, random_state=0).fit(X, y)
    data = report_of_estimator(fit, X[40:], y[40:], X_train=X, y_train=y)
    (one,) = [f for f in findings(data) if f.title == "Duplicate rows"]
    assert one.serious
    assert "20 rows of 80" in one.text


def test_imbalance_outliers_and_gaps():
    rng = np.random.default_rng(0)
    rare = np.where(np.arange(N) % 40 == 0, "fraud", "fine")
    (one,) = found(y=rare)
    assert one.title == "Imbalanced classes"
    assert "97.5 %" in one.text.replace("\xa0", " ")
    wild = rng.normal(size=N)
    wild[7] = 1e6
    (one,) = found(wild=wild)
    assert (one.title, one.column) == ("Extreme outliers", "wild")
    assert "1 value" in one.text
    gaps = pl.Series(np.where(rng.random(N) < 0.7, np.nan, wild.clip(-3, 3))).fill_nan(None)
    (one,) = found(gaps=gaps)
    assert one.title == "Mostly missing"


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100.0 %"), (0.9996, "> 99.9 %"), (0.9994, "99.9 %"), (0.0, "0.0 %"), (4e-4, "< 0.1 %"), (6e-4, "0.1 %")],
)
def test_only_all_is_a_hundred_per_cent_and_only_nothing_zero(share, words):
    assert percent(share).replace("\xa0", " ") == words

"""Data frames as inputs in Python: what cannot be used is said."""

import datetime
import warnings

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.models.table import table_inputs


def test_columns_that_cannot_be_used_are_said_once():
    days = [datetime.date(2024, 1, 1 + k % 28) for k in range(40)]
    frame = pl.DataFrame({"x": np.arange(40) / 3, "when": days, "letter": list("ab") * 20, "same": [1] * 40})
    with pytest.warns(UserWarning, match=r"left out: 'when' \(dates or times; make numbers") as said:
        cr.FeedForwardRegressor(max_iter=1, n_members=1, embedding="none").fit(frame, np.arange(40.0))
    assert len(said) == 1
    assert "'same'" not in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table_inputs(frame.drop("when"), np.ones(40)).columns == ("x", "letter")

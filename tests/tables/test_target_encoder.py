"""Targets as numbers and back, missing targets, and classes that training did not have."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule.errors import ModelFileError, TableError
from chainrule.tables import TargetEncoder, complete_rows, fit_target_encoder, infer_schema, read_table

PENGUINS = Path(chainrule.__file__).parent / "data" / "penguins.csv"


def fitted(frame, target, **options):
    return fit_target_encoder(infer_schema(frame, target=target, **options), frame)


def frame_of(y, **more):
    return pl.DataFrame({"y": y, "x": np.arange(len(y)) * 0.5, **more})


@pytest.mark.parametrize(
    ("values", "classes", "codes"),
    [
        (["no", "yes", "no", "yes"], ("no", "yes"), [0, 1, 0, 1]),
        ([True, False, True, True], (False, True), [1, 0, 1, 1]),
        ([1, -1, 1, 1], (-1, 1), [1, 0, 1, 1]),
        ([2.0, 1.0, 2.0, 2.0], (1, 2), [1, 0, 1, 1]),
        ([0.5, 1.5, 0.5, 0.5], (0.5, 1.5), [0, 1, 0, 0]),
        (["c", "a", "b"] * 2, ("a", "b", "c"), [2, 0, 1] * 2),
        ([1, 2, 3] * 5, (1, 2, 3), [0, 1, 2] * 5),
    ],
)
def test_classes(values, classes, codes):
    frame = frame_of(values)
    encoder = fitted(frame, "y")
    assert encoder.classes == (classes,)
    y = encoder.to_array(frame)
    assert (y.dtype, y.shape) == (np.float64, (len(values), 1))
    assert y[:, 0].tolist() == codes
    assert encoder.labels(y)["y"].to_list() == values
    assert encoder.standardise(y).tolist() == y.tolist()


def test_classes_are_the_same_whatever_holds_them():
    encoder = fitted(frame_of([1, 2, 3] * 5), "y")
    for later in (pl.Series([3.0, 1.0]), pl.Series(["3", "1"]), pl.Series([3, 1], dtype=pl.UInt8)):
        assert encoder.to_array(pl.DataFrame({"y": later}))[:, 0].tolist() == [2, 0]
    encoder = fitted(frame_of([True, False] * 3), "y")
    assert encoder.to_array(pl.DataFrame({"y": ["true", "false"]}))[:, 0].tolist() == [1, 0]


def test_numbers_keep_their_units_and_are_standardised_apart():
    frame = frame_of([10.0, 20.0, 30.0, 60.0], z=[1, 2, 3, 5])
    encoder = fitted(frame, ["z", "y"], output="gaussian")
    y = encoder.to_array(frame)
    assert y.tolist() == [[1, 10], [2, 20], [3, 30], [5, 60]]
    np.testing.assert_allclose(encoder.center, y.mean(axis=0))
    np.testing.assert_allclose(encoder.scale, y.std(axis=0))
    z = encoder.standardise(y)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-15)
    np.testing.assert_allclose(z.std(axis=0), 1.0)
    np.testing.assert_allclose(encoder.inverse(z), y)


def test_weights():
    frame = frame_of([1.0, 2.0, 4.0, 100.0])
    schema = infer_schema(frame, target="y")
    weighted = fit_target_encoder(schema, frame, np.array([2.0, 1.0, 1.0, 0.0]))
    np.testing.assert_allclose((weighted.center[0], weighted.scale[0]), (2.0, np.std([1, 1, 2, 4])))


def test_a_vector_of_binary_targets():
    frame = pl.DataFrame({"a": ["n", "y", "y"], "b": [0, 1, 0], "x": [0.5, 1.5, 2.5]})
    encoder = fitted(frame, ["a", "b"])
    assert encoder.task == "binary"
    assert encoder.to_array(frame).tolist() == [[0, 0], [1, 1], [1, 0]]
    assert {k: v.to_list() for k, v in encoder.labels(encoder.to_array(frame)).items()} == {
        "a": ["n", "y", "y"],
        "b": [0, 1, 0],
    }


def test_missing_targets_of_the_penguins():
    frame = read_table(PENGUINS)
    with pytest.raises(TableError) as caught:
        complete_rows(frame, ("sex",), source=PENGUINS)
    assert str(caught.value) == (
        f"{PENGUINS}: column 'sex', row 4 (line 5): the target is missing, as in 11 rows in all; fill it in, or leave "
        "such rows out with --drop-missing-target"
    )
    kept = complete_rows(frame, ("sex",), drop=True)
    assert kept.height == 333
    assert fitted(frame, "sex").to_array(kept).sum() == 168  # males
    with pytest.raises(TableError, match=r"^column 'sex', row 4: the target is missing"):
        fitted(frame, "sex").to_array(frame)


def test_complete_rows():
    frame = pl.DataFrame({"a": [1.0, None, 3.0, float("nan")], "b": ["x", "y", None, "z"]})
    assert complete_rows(frame, ("a", "b"), drop=True).rows() == [(1.0, "x")]
    assert complete_rows(frame, ()) is frame
    with pytest.raises(TableError, match=r"^t.csv: column 'b', row 3: the target is missing; fill it in") as caught:
        complete_rows(frame[:3], ("b",), source="t.csv")
    assert "in all" not in str(caught.value)
    with pytest.raises(TableError, match=r"^column 'b': the target is missing in every row; fill it in$"):
        complete_rows(frame[2:3], ("b",), drop=True)
    with pytest.raises(TableError, match=r"^t.csv: there is no column 'c'"):
        complete_rows(frame, ("c",), source="t.csv")


@pytest.mark.parametrize(
    ("train", "later", "message"),
    [
        (
            ["a", "b"] * 5,
            ["a", "c"],
            "column 'y', row 2: class 'c' did not occur in training, where the classes were 'a', 'b'; correct it, "
            "leave the row out, or train the model again",
        ),
        (
            [1, 2, 3] * 5,
            [1.0, 2.5],
            "column 'y', row 2: class '2.5' did not occur in training, where the classes were 1, 2, 3; correct it, "
            "leave the row out, or train the model again",
        ),
        (
            [0.5, 1.5, 2.5, 3.5],
            ["0.5", "much"],
            "column 'y', row 2: 'much' is not a number, but the column held numbers in training; correct it, or "
            "make it missing (None or NaN)",
        ),
        (
            [0.5, 1.5, 2.5, 3.5],
            [1.0, float("inf")],
            "column 'y', row 2 is infinite (inf); write a finite number or leave the cell empty",
        ),
        ([0.5, 1.5, 2.5, 3.5], [[1], [2]], "column 'y': the target has cells of type List(Int64), not of training's"),
    ],
)
def test_refusals(train, later, message):
    encoder = fitted(frame_of(train), "y")
    with pytest.raises(TableError) as caught:
        encoder.to_array(pl.DataFrame({"y": later}))
    assert str(caught.value) == message


def test_huge_targets():
    encoder = fitted(frame_of([1e300, -1e300, 5e299, 0.0]), "y")
    z = encoder.standardise(encoder.to_array(frame_of([1e300, -1e300, 5e299, 0.0])))
    assert np.isfinite(z).all()
    np.testing.assert_allclose(z.std(), 1.0)


@settings(deadline=None, max_examples=80)
@given(
    st.one_of(
        st.lists(st.floats(-1e300, 1e300), min_size=3, unique=True),
        st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=2, unique=True).map(lambda c: c * 4),
        st.just([True, False] * 3),
        st.lists(st.integers(-(2**50), 2**50), min_size=2, max_size=2, unique=True).map(lambda c: c * 4),
    )
)
def test_json_round_trip_gives_the_same_bits(values):
    dtype = pl.Float64 if isinstance(values[0], float) else None
    frame = pl.DataFrame({"y": pl.Series(values, dtype=dtype), "x": np.arange(len(values)) + 0.5})
    try:
        encoder = fitted(frame, "y")
    except TableError as error:
        assert_says_why(error)
        return
    loaded = TargetEncoder.from_json(encoder.to_json())
    assert loaded == encoder
    y = encoder.to_array(frame)
    assert loaded.to_array(frame).tobytes() == y.tobytes()
    if encoder.task == "numeric":
        assert np.isfinite(encoder.standardise(y)).all()
    else:
        assert loaded.labels(y)["y"].to_list() == values


def assert_says_why(error):
    """Texts such as two dates or numbers with signs are refused, in one line."""
    assert "\n" not in str(error)
    assert str(error).startswith("column 'y'")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"scale":[1.0]', '"scale":[0.0]'),
        ('"scale":[1.0]', '"scale":[1.0,1.0]'),
        ('"center":[0.0]', '"center":[null]'),
        ('["a","b"]', '["a","a"]'),
        ('["a","b"]', ""),
        ('"task":"binary"', '"task":"numeric"'),
        ('"task":"binary"', '"task":"other"'),
        ('"names":["y"]', '"names":[]'),
    ],
)
def test_json_is_strict(old, new):
    text = fitted(frame_of(["a", "b", "a"]), "y").to_json().decode()
    assert old in text
    with pytest.raises(ModelFileError, match=r"^the encoding of the target is damaged \(.*\); train the model again$"):
        TargetEncoder.from_json(text.replace(old, new))

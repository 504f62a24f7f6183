"""Encoding of input columns: what each family becomes, what is refused, and that data and graph give the same bits."""

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import chainrule
import chainrule.primitives
from chainrule.errors import ModelFileError, OptionError, TableError
from chainrule.graph.trace import trace
from chainrule.graph.types import ArrayType
from chainrule.tables import Encoder, fit_encoder, infer_schema, matrix_encoder, read_table, write_table

PENGUINS = Path(chainrule.__file__).parent / "data" / "penguins.csv"
TRAIN = pl.DataFrame(
    {
        "x": [1.0, 2.0, 3.0, 4.0],
        "gap": [1, None, 3, 5],
        "yes": [True, False, True, None],
        "colour": ["red", "blue", None, "red"],
        "sure": [True, True, False, True],
        "size": ["s", "l", "s", "l"],
    }
)


def fitted(frame=TRAIN, **options):
    return fit_encoder(infer_schema(frame), frame, **options)


@pytest.fixture(scope="module")
def penguins():
    return read_table(PENGUINS)


def test_features_and_groups():
    encoder = fitted()
    assert encoder.columns == ("x", "gap", "yes", "colour", "sure", "size")
    assert encoder.feature_names == (
        "x", "gap", "gap is missing", "yes", "yes is missing", "colour=blue", "colour=red", "colour is missing", "sure",
        "size=l", "size=s",
    )  # fmt: skip
    assert encoder.groups.tolist() == [0, 1, 1, 2, 2, 3, 3, 3, 4, 5, 5]


def test_standard_scaling_by_hand():
    encoder = fitted(scaling="standard")
    sd = np.sqrt(1.25), np.sqrt(8 / 3)
    expected = [
        [-1.5 / sd[0], -2 / sd[1], 0, 1, 0, 0, 1, 0, 1, 0, 1],
        [-0.5 / sd[0], 0, 1, -1, 0, 1, 0, 0, 1, 1, 0],
        [0.5 / sd[0], 0, 0, 1, 0, 0, 0, 1, -1, 0, 1],
        [1.5 / sd[0], 2 / sd[1], 0, 0, 1, 0, 1, 0, 1, 1, 0],
    ]
    np.testing.assert_allclose(encoder.encode_matrix(encoder.to_matrix(TRAIN)), expected, rtol=1e-14, atol=1e-14)


def test_robust_scaling_by_hand():
    frame = pl.DataFrame({"x": np.r_[np.arange(101.0), 1e9]})
    encoder = fitted(frame)
    scale = (96.0 - 5.0) / 3.289707253902945
    z = (frame["x"].to_numpy() - 50.0) / scale
    np.testing.assert_allclose(
        encoder.encode_matrix(encoder.to_matrix(frame))[:, 0], 2 * np.arcsinh(z.clip(None, 1e6) / 2)
    )


def test_raw_matrix():
    later = pl.DataFrame(
        {
            "size": ["xl", None, "s"],
            "colour": ["blue", "green", None],
            "sure": ["yes", "0", "perhaps"],
            "yes": [1, 0, None],
            "more": [1, 2, 3],
            "gap": ["7", None, "8.5"],
            "x": [True, None, False],
        }
    )
    encoder = fitted()
    nan = np.nan
    np.testing.assert_array_equal(
        encoder.to_matrix(later), [[1, 7, 1, 0, 1, -1], [nan, nan, 0, -1, 0, nan], [0, 8.5, nan, nan, -1, 1]]
    )
    features = encoder.encode_matrix(encoder.to_matrix(later))
    assert features[:, 3:].tolist() == [
        [1, 0, 1, 0, 0, 1, 0, 0],
        [-1, 0, 0, 0, 0, -1, 0, 0],  # a colour not seen; a size missing, though none was in training
        [0, 1, 0, 0, 1, 0, 0, 1],
    ]
    assert features[1, 0] == 0.0  # missing only now: stands at the center


def test_types_of_later_tables_may_differ():
    """A category or number is the same whatever type its column has in a later table."""
    frame = pl.DataFrame({"k": [1, 2, 3, 2], "n": [1.5, 2.5, 1.0, 4.0]})
    encoder = fit_encoder(infer_schema(frame, types={"k": "categorical"}), frame)
    first = encoder.to_matrix(frame)
    for k in (
        pl.Series([1.0, 2.0, 3.0, 2.0]),
        pl.Series(["1", "2", "3", "2"]),
        pl.Series(["1", "2", "3", "2"], dtype=pl.Enum(list("123"))),
    ):
        for n in (pl.Series(["1.5", " 2.5", "1e0", "4"]), pl.Series([1.5, 2.5, 1, 4], dtype=pl.Float32)):
            np.testing.assert_array_equal(encoder.to_matrix(pl.DataFrame({"n": n, "k": k})), first)


@pytest.mark.parametrize("scaling", ["robust", "standard"])
def test_encoding_is_a_graph(penguins, scaling):
    encoder = fit_encoder(infer_schema(penguins, target="species"), penguins, scaling=scaling)
    raw = encoder.to_matrix(penguins)
    features = encoder.encode_matrix(raw)
    graph = trace(encoder.encode_matrix, ArrayType(raw.shape, np.dtype(np.float64)))
    assert graph(raw).tobytes() == features.tobytes()
    columns = encoder.to_arrays(penguins)
    assert list(columns) == list(encoder.columns)
    assert encoder.encode(columns).tobytes() == features.tobytes()
    graph = trace(encoder.encode, {name: ArrayType((344,), np.dtype(np.float64)) for name in encoder.columns})
    assert graph(columns).tobytes() == features.tobytes()


def test_penguins_end_to_end(penguins, tmp_path):
    """Fitted on some rows, the encoder serves the others, from the frame or from a file, after a trip through JSON."""
    schema = infer_schema(penguins, target="body_mass_g")
    train, test = penguins[:250], penguins[250:]
    encoder = fit_encoder(schema, train)
    assert encoder.feature_names == (
        "species=Adelie", "species=Gentoo",  # the first 250 rows hold no Chinstrap
        "island=Biscoe", "island=Dream", "island=Torgersen",
        "bill_length_mm", "bill_length_mm is missing", "bill_depth_mm", "bill_depth_mm is missing",
        "flipper_length_mm", "flipper_length_mm is missing", "sex=female", "sex=male", "sex is missing", "year",
    )  # fmt: skip
    features = encoder.encode_matrix(encoder.to_matrix(train))
    assert features.shape == (250, 15)
    assert np.isfinite(features).all()
    scaled = [encoder.feature_names.index(name) for name in ("bill_length_mm", "bill_depth_mm", "flipper_length_mm")]
    assert (np.abs(features[:, scaled].mean(axis=0)) < 0.5).all()
    assert (np.abs(features[:, scaled].std(axis=0) - 1.0) < 0.3).all()
    loaded = Encoder.from_json(encoder.to_json())
    write_table(test.select(reversed(test.columns)), tmp_path / "test.csv")
    later = loaded.encode_matrix(loaded.to_matrix(read_table(tmp_path / "test.csv")))
    assert later.tobytes() == encoder.encode_matrix(encoder.to_matrix(test)).tobytes()
    assert np.isfinite(later).all()


CELL = {
    "x": st.one_of(st.none(), st.floats(allow_infinity=False)),
    "n": st.one_of(st.none(), st.integers(-(2**40), 2**40)),
    "b": st.one_of(st.none(), st.booleans()),
    "c": st.one_of(st.none(), st.sampled_from(["a", "b", "é", "a=b", 'q"']), st.text(min_size=1, max_size=2)),
}
DTYPES = {"x": pl.Float64, "n": pl.Int64, "b": pl.Boolean, "c": pl.String}
ROWS = st.lists(st.fixed_dictionaries(CELL), min_size=2, max_size=12)


@settings(deadline=None, max_examples=60)
@given(ROWS, ROWS, st.sampled_from(["robust", "standard"]))
def test_json_round_trip_encodes_to_the_same_bits(train, later, scaling):
    """Whatever the cells (1e308, unseen categories), encodings are finite and survive JSON bit by bit."""
    frame = pl.DataFrame(train, schema=DTYPES)
    types = {"x": "numeric", "n": "numeric", "b": "boolean", "c": "categorical"}
    assume(any(value is not None and value == value for row in train for value in row.values()))
    schema = infer_schema(frame, types=types)
    encoder = fit_encoder(schema, frame, scaling=scaling)
    loaded = Encoder.from_json(encoder.to_json())
    assert loaded == encoder
    assert loaded.to_json() == encoder.to_json()
    for table in (frame, pl.DataFrame(later, schema=DTYPES)):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            features = encoder.encode_matrix(encoder.to_matrix(table))
        assert features.shape == (len(table), len(encoder.feature_names))
        assert np.isfinite(features).all()
        assert loaded.encode_matrix(loaded.to_matrix(table)).tobytes() == features.tobytes()
        assert loaded.encode(loaded.to_arrays(table)).tobytes() == features.tobytes()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.sampled_from("abc"), st.integers(0, 3)), min_size=4, max_size=20))
def test_whole_weights_are_repetitions(rows):
    counts = np.array([r[2] for r in rows])
    frame = pl.DataFrame({"x": [r[0] for r in rows], "c": [r[1] for r in rows]})
    repeated = frame[np.repeat(np.arange(len(rows)), counts)]
    if repeated.height:
        schema = infer_schema(frame, types={"x": "numeric", "c": "categorical"})
        weighted, plain = fit_encoder(schema, frame, counts.astype(float)), fit_encoder(schema, repeated)
        assert weighted.feature_names == plain.feature_names
        a, b = (e.encode_matrix(e.to_matrix(repeated)) for e in (weighted, plain))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_huge_cells_stay_finite():
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0, 1e300], "y": [1e308, -1e308, 0.0, 1e307, -1.7e308]})
    for scaling in ("robust", "standard"):
        encoder = fitted(frame, scaling=scaling)
        later = pl.DataFrame({"x": [1.7e308, -1.7e308], "y": [1.7e308, -1.7e308]})
        for table in (frame, later):
            with np.errstate(over="raise", invalid="raise"):
                features = encoder.encode_matrix(encoder.to_matrix(table))
            assert (np.abs(features) <= 1e6).all()


def test_scaling_is_monotone_and_close_to_linear_near_the_center():
    x = np.random.default_rng(0).normal(10.0, 2.0, 5000)
    encoder = matrix_encoder(x[:, None])
    z = encoder.encode_matrix(np.sort(x)[:, None])[:, 0]
    assert (np.diff(z) >= 0).all()
    near = np.abs(np.sort(x) - 10.0) < 2.0
    np.testing.assert_allclose(z[near], (np.sort(x)[near] - 10.0) / 2.0, atol=0.1)


def test_matrix_encoder():
    x = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, 7.0]])
    assert matrix_encoder(x).feature_names == ("x0", "x1", "x1 is missing")
    assert matrix_encoder(x, ["a", "b"]).columns == ("a", "b")
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1]})
    assert matrix_encoder(x, ["a", "b"]) == fitted(frame)
    assert matrix_encoder(x, ["a", "b"], scaling="standard") == fitted(frame, scaling="standard")
    with pytest.raises(TableError, match="each with a name of its own, got 'a', 'a'"):
        matrix_encoder(x, ["a", "a"])


def write_csv(tmp_path, frame):
    frame.write_csv(tmp_path / "new.csv")
    return tmp_path / "new.csv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": [1.0, 2.0, float("inf"), 3.0]},
            "column 'x', row 3 (line 4) is infinite (inf); write a finite number or leave the cell empty",
        ),
        (
            {"x": ["1", "two", "3", "4"]},
            "column 'x', row 2 (line 3): 'two' is not a number, but the column held numbers in training; correct it, "
            "or use --missing two",
        ),
        (
            {"x": [date(2020, 1, 1)] * 4},
            "column 'x', row 1 (line 2): '2020-01-01' is not a number (nor are 3 other cells), but the column held "
            "numbers in training; correct them, or use --missing 2020-01-01",
        ),
    ],
)
def test_refused_cells(tmp_path, change, message):
    encoder = fitted()
    path = write_csv(tmp_path, TRAIN.with_columns(**{k: pl.Series(v) for k, v in change.items()}))
    with pytest.raises(TableError) as caught:
        encoder.to_matrix(read_table(path), path)
    assert str(caught.value) == f"{path}: {message}"


def test_refused_columns():
    encoder = fitted()
    with pytest.raises(TableError) as caught:
        encoder.to_matrix(TRAIN.drop("x", "size"), "new.csv")
    assert str(caught.value) == (
        "new.csv: columns 'x', 'size' missing, which the model was trained on; the table has 'gap', 'yes', 'colour', "
        "'sure'"
    )
    with pytest.raises(TableError) as caught:
        encoder.to_matrix(TRAIN.with_columns(x=pl.Series([date(2020, 1, 1)] * 4)), "new.parquet")
    assert (
        str(caught.value) == "new.parquet: column 'x' holds dates or times, but held numbers in training; write numbers"
    )
    with pytest.raises(TableError) as caught:
        encoder.to_matrix(TRAIN.with_columns(x=pl.Series([[1]] * 4)))
    assert str(caught.value) == "column 'x' has cells of type List(Int64), not single values"


def test_fitting_needs_rows_and_a_known_scaling():
    with pytest.raises(TableError, match="no training rows"):
        fitted(TRAIN, weights=np.zeros(4))
    with pytest.raises(OptionError, match="scaling must be 'robust' or 'standard', got 'minmax'"):
        fitted(TRAIN, scaling="minmax")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"center":2.0', '"center":null'),
        ('"center":2.0', '"center":1e999'),
        ('"center":2.0', '"center":"2.0"'),
        ('"scale":', '"width":'),
        ('"scale":0.9', '"scale":-0.9'),
        ('"kind":"boolean"', '"kind":"bool"'),
        ('"missing":false', '"missing":0'),
        ('["blue","red"]', '["red","red"]'),
        ('["blue","red"]', '["blue",1]'),
        ('"name":"gap"', '"name":"x"'),
        ('"bend":2.0', '"bend":-2.0'),
        ('"bend":2.0', '"bend":2.0,"more":1'),
        ('{"encodings":[', '{"encodings":[[],'),
    ],
)
def test_json_is_strict(old, new):
    text = fitted().to_json().decode()
    assert old in text
    with pytest.raises(ModelFileError) as caught:
        Encoder.from_json(text.replace(old, new, 1))
    message = str(caught.value)
    assert message.startswith("the encoding of the input columns is damaged (")
    assert message.endswith("; train the model again")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"encodings":[]}', b"\xff"])
def test_json_of_something_else(text):
    with pytest.raises(ModelFileError):
        Encoder.from_json(text)


def test_categories_are_those_of_the_training_rows_and_their_weights():
    cells = [f"c{k:03d}" for k in range(150) for _ in range(2)]
    test = [f"c{k:03d}" for k in range(100, 150) for _ in range(9)]
    frame = pl.DataFrame({"c": [*cells, *test], "x": np.arange(750) / 2})
    rows = np.arange(300)
    weights = np.where(rows < 100, 2.0, 1.0)  # c000 … c049
    encoder = fit_encoder(infer_schema(frame), frame, weights, rows=rows)
    assert encoder.encodings[0].categories == tuple(f"c{k:03d}" for k in range(100))
    again = np.repeat(rows, weights.astype(int))
    assert fit_encoder(infer_schema(frame), frame[again]).to_json() == encoder.to_json()

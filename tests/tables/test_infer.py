"""Schemas: the kinds of columns, the tasks of targets, what is refused and how it is said."""

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import chainrule
from chainrule.errors import OptionError, TableError
from chainrule.tables import infer_schema, read_table

PENGUINS = Path(chainrule.__file__).parent / "data" / "penguins.csv"
N = 40
RNG = np.random.default_rng(7)


def csv(tmp_path, **columns):
    """A CSV file with the given columns of text cells."""
    path = tmp_path / "data.csv"
    lines = [",".join(columns)]
    lines += [
        ",".join(f'"{c}"' if "," in str(c) else str(c) for c in row) for row in zip(*columns.values(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def infer(path, **options):
    return infer_schema(read_table(path), source=path, **options)


@pytest.fixture
def penguins():
    return read_table(PENGUINS)


def test_penguins(penguins):
    schema = infer_schema(penguins, target="species")
    assert penguins.shape == (344, 8)
    assert {c.name: c.kind for c in schema.columns} == {
        "species": "classes",
        "island": "categorical",
        "bill_length_mm": "numeric",
        "bill_depth_mm": "numeric",
        "flipper_length_mm": "numeric",
        "body_mass_g": "numeric",
        "sex": "categorical",
        "year": "numeric",
    }
    assert {c.name: c.missing for c in schema.columns if c.missing} == {
        "bill_length_mm": 2,
        "bill_depth_mm": 2,
        "flipper_length_mm": 2,
        "body_mass_g": 2,
        "sex": 11,
    }
    assert schema["species"].categories == ("Adelie", "Chinstrap", "Gentoo")
    assert schema["sex"].categories == ("female", "male")
    assert (schema["bill_length_mm"].low, schema["bill_length_mm"].high) == (32.1, 59.6)
    assert (schema.task, schema.output, schema.rows) == ("classes", "categorical", 344)
    assert str(schema).splitlines() == [
        "344 rows, 7 input columns",
        "  species            target, classes  3 classes: 'Adelie', 'Chinstrap', 'Gentoo'",
        "  island             categorical      3 categories: 'Biscoe', 'Dream', 'Torgersen'",
        "  bill_length_mm     numeric          numbers from 32.1 to 59.6; 2 missing",
        "  bill_depth_mm      numeric          numbers from 13.1 to 21.5; 2 missing",
        "  flipper_length_mm  numeric          numbers from 172 to 231; 2 missing",
        "  body_mass_g        numeric          numbers from 2700 to 6300; 2 missing",
        "  sex                categorical      2 categories: 'female', 'male'; 11 missing",
        "  year               numeric          numbers from 2007 to 2009",
        "output: categorical, because 'species' has several classes",
        "to override: --output NAME, --type COLUMN=numeric|categorical|boolean, --drop COLUMN",
    ]


@pytest.mark.parametrize(
    ("target", "task", "output"),
    [
        ("sex", "binary", "bernoulli"),
        ("body_mass_g", "numeric", "gaussian"),
        (["body_mass_g", "bill_length_mm"], "numeric", "gaussian"),
        ("year", "numeric", "gaussian"),
    ],
)
def test_penguins_with_other_targets(penguins, target, task, output):
    schema = infer_schema(penguins, target=target)
    assert (schema.task, schema.output) == (task, output)


INPUTS = {
    "floats": (RNG.normal(size=N).round(3), "numeric"),
    "integers": (RNG.integers(0, 5, N), "numeric"),
    "gaps": (["" if k % 7 == 0 else k for k in range(N)], "numeric"),
    "zero_one": (RNG.integers(0, 2, N), "numeric"),
    "huge": ([f"{k}e300" for k in range(1, N + 1)], "numeric"),
    "constant_or_missing": (["5" if k % 2 else "NA" for k in range(N)], "numeric"),
    "yes": (["yes", "no"] * (N // 2), "boolean"),
    "true": (["TRUE", "False"] * (N // 2), "boolean"),
    "tf": (["t", "f", "NA", "t"] * (N // 4), "boolean"),
    "colour": (["red", "green", "blue", "NA"] * (N // 4), "categorical"),
    "only_yes_or_missing": (["yes", "NA"] * (N // 2), "categorical"),
    "rooms": (["1", "2", "3", "4", "5+"] * (N // 5), "categorical"),
    "padded": (["001", "002", "010", "001"] * (N // 4), "categorical"),
    "day": ([f"2020-01-{k % 28 + 1:02d}" for k in range(N)], "date"),
    "german_day": ([f"{k % 28 + 1}.1.2020" for k in range(N)], "date"),
    "time": ([f"2020-01-01T10:{k:02d}:00Z" for k in range(N)], "date"),
    "uuid": ([f"{k:08x}-x" for k in range(N)], "identifier"),
    "customer_id": (RNG.permutation(1000)[:N], "identifier"),
    "PassengerId": (range(7, 7 + N), "identifier"),
    "nr": (range(1, N + 1), "identifier"),
    "counter": (range(N), "identifier"),
    "long_number": ([10**18 + k for k in range(N)], "identifier"),
    "notes": ([f"some words {k // 2 if k < 20 else k}" for k in range(N)], "text"),
    "constant": (["7"] * N, "constant"),
    "constant_text": (["same"] * N, "constant"),
    "empty": (["NA", ""] * (N // 2), "empty"),
}


def test_kinds_of_simulated_columns(tmp_path):
    path = csv(tmp_path, **{name: cells for name, (cells, _) in INPUTS.items()})
    schema = infer(path)
    assert {c.name: c.kind for c in schema.columns} == {name: kind for name, (_, kind) in INPUTS.items()}
    assert all(
        c.role == ("input" if c.kind in ("numeric", "boolean", "categorical") else "dropped") for c in schema.columns
    )
    assert all(c.reason for c in schema.columns)


def test_kinds_of_frame_columns():
    frame = pl.DataFrame(
        {
            "b": [True, False, None],
            "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
            "d": [date(2020, 1, k) for k in (1, 2, 3)],
            "t": [datetime(2020, 1, k) for k in (1, 2, 3)],
            "u": [timedelta(days=k) for k in (1, 2, 3)],
            "l": [[1], [2], [3]],
            "s": [{"a": 1}, {"a": 2}, {"a": 3}],
            "y": [b"a", b"b", b"c"],
            "n": [None, None, None],
            "f": pl.Series([1.5, float("nan"), 2.0], dtype=pl.Float32),
            "z": pl.Series(["1.5", "2.5", None]).cast(pl.Decimal(10, 2)),
        }
    )
    kinds = {c.name: c.kind for c in infer_schema(frame).columns}
    assert kinds == {
        "b": "boolean",
        "c": "categorical",
        **dict.fromkeys("dtu", "date"),
        **dict.fromkeys("lsy", "nested"),
        "n": "empty",
        "f": "numeric",
        "z": "numeric",
    }


def test_row_numbers_are_numbers_when_they_are_all_there_is():
    frame = pl.DataFrame({"t": range(N), "y": RNG.normal(size=N)})
    assert infer_schema(frame, target="y")["t"].kind == "numeric"
    assert infer_schema(frame.with_columns(x=RNG.normal(size=N)), target="y")["t"].kind == "identifier"


def test_commonest_categories():
    texts = [f"c{k:03d}" for k in range(150) for _ in range(2 + (k >= 50))]
    column = infer_schema(pl.DataFrame({"a": texts}))["a"]
    assert column.categories == tuple(f"c{k:03d}" for k in range(50, 150))
    assert column.reason == "the 100 commonest of 150 categories; the others count as unseen"


def test_overrides():
    frame = pl.DataFrame(
        {
            "k": [1, 2, 10, 1],
            "f": [1.0, 2.5, None, 1.0],
            "i": [0, 1, 1, None],
            "w": ["yes", "no", "1", "0"],
            "d": [date(2020, 1, 1)] * 2 + [date(2020, 1, 2)] * 2,
            "n": ["1", "2.5", "3", "4"],
            "b": [True, False, True, None],
            "id": [5, 6, 7, 8],
            "x": [1.0, 2.0, 3.0, 4.0],
        }
    )
    schema = infer_schema(
        frame,
        types={
            "k": "categorical", "f": "categorical", "i": "boolean", "w": "boolean", "d": "categorical",
            "n": "numeric", "b": "numeric", "id": "numeric",
        },
        drop=["x"],
    )  # fmt: skip
    assert [c.kind for c in schema.columns] == [
        "categorical", "categorical", "boolean", "boolean", "categorical", "numeric", "numeric", "numeric", "unwanted",
    ]  # fmt: skip
    assert schema["k"].categories == ("1", "2", "10")
    assert schema["f"].categories == ("1", "2.5")
    assert schema["d"].categories == ("2020-01-01", "2020-01-02")
    assert schema["x"].reason == "as asked"


def counts(rate, n=400):
    return np.random.default_rng(3).poisson(rate, n)


@pytest.mark.parametrize(
    ("values", "task", "suggested"),
    [
        ([True, False] * 20, "binary", ""),
        (["a", "b"] * 20, "binary", ""),
        ([0, 1] * 20, "binary", ""),
        ([-1, 1] * 20, "binary", ""),
        ([1.0, 2.0] * 20, "binary", ""),
        (["a", "b", "c", "a"] * 10, "classes", ""),
        ([0, 1, 2, 1] * 10, "classes", "gaussian or poisson"),
        ([1, 2, 3, 4, 5] * 8, "classes", "gaussian or poisson"),
        ([0.0, 1.0, 2.0, 1.0] * 10, "classes", "gaussian or poisson"),
        (list(range(10)) * 5, "classes", "gaussian or poisson"),
        ([3, 4, 5, 5, 6, 6, 7, 8] * 8, "numeric", "categorical"),
        ([0, 1, 3, 4] * 10, "numeric", "poisson"),
        ([0, 1, 2] * 4, "numeric", "poisson"),
        (list(range(30)) * 10, "numeric", "poisson"),
        (counts(1.0), "numeric", "poisson"),
        (counts(0.3), "numeric", "poisson"),
        (counts(8.0), "numeric", "poisson"),
        (RNG.integers(2000, 7000, 40), "numeric", ""),
        (RNG.normal(size=40), "numeric", ""),
        ([0.5, 1.5, 2.5] * 10, "numeric", ""),
        ([0, 1, 2, None] * 10, "classes", "gaussian or poisson"),
    ],
)
def test_tasks(values, task, suggested):
    frame = pl.DataFrame({"y": values, "x": RNG.normal(size=len(values))})
    schema = infer_schema(frame, target="y")
    assert schema.task == task
    assert suggested in schema.suggestion if suggested else schema.suggestion == ""


@pytest.mark.parametrize(
    ("values", "options", "task", "categories"),
    [
        ([0, 1, 2, 1] * 10, {"output": "gaussian"}, "numeric", ()),
        ([0, 1, 2, 1] * 10, {"output": "poisson"}, "numeric", ()),
        ([0, 1, 2, 1] * 10, {"types": {"y": "numeric"}}, "numeric", ()),
        ([3, 4, 8, 4] * 10, {"output": "categorical"}, "classes", (3, 4, 8)),
        ([3, 4, 8, 4] * 10, {"types": {"y": "categorical"}}, "classes", (3, 4, 8)),
        ([0, 1] * 10, {"output": "categorical"}, "classes", (0, 1)),
        ([0, 1] * 10, {"types": {"y": "categorical"}}, "binary", (0, 1)),
        ([0, 1] * 10, {"output": "gaussian"}, "numeric", ()),
        ([2.5, 1.5] * 10, {}, "binary", (1.5, 2.5)),
        ([2.0, 1.0] * 10, {}, "binary", (1, 2)),
        (["no", "yes"] * 10, {}, "binary", ("no", "yes")),
        ([True, False] * 10, {"output": "bernoulli"}, "binary", (False, True)),
        (["1", "2.5", "3", "1"] * 10, {"output": "gaussian"}, "numeric", ()),
    ],
)
def test_tasks_by_decree(values, options, task, categories):
    frame = pl.DataFrame({"y": values, "x": RNG.normal(size=len(values))})
    schema = infer_schema(frame, target="y", **options)
    assert schema.task == task
    assert schema["y"].categories == categories
    assert [type(c) for c in schema["y"].categories] == [type(c) for c in categories]
    assert schema.suggestion == "" or "output" not in options


def test_several_targets():
    frame = pl.DataFrame({"a": [0, 1] * 20, "b": ["x", "y"] * 20, "k": [0, 1, 2, 3] * 10, "x": RNG.normal(size=40)})
    assert infer_schema(frame, target=["b", "a"]).task == "binary"
    assert infer_schema(frame, target=["b", "a"]).targets == ("b", "a")
    assert [c.name for c in infer_schema(frame, target=["b", "a"]).target_columns] == ["b", "a"]
    assert infer_schema(frame, target=["x", "k"]).task == "numeric"


GOOD = {"x": [f"{k}.5" for k in range(N)], "y": ["a", "b"] * (N // 2)}
BAD = [
    (
        "a word among numbers",
        {"x": [*GOOD["x"][:-1], "abc"]},
        {},
        "column 'x', row 40 (line 41): 'abc' is not a number but the column holds numbers; correct it, or use "
        "--missing abc, or use --type x=categorical",
    ),
    (
        "words among numbers",
        {"x": ["lots", *GOOD["x"][:-2], "a few"]},
        {},
        "column 'x', row 1 (line 2): 'lots' is not a number but the column holds numbers (nor is 1 other cell); "
        "correct it, or use --type x=categorical",
    ),
    (
        "thousands",
        {"my price": ["1,234"] * 20 + ["2,345.50"] * 20},
        {},
        "column 'my price', row 1 (line 2): '1,234' is a number with separators or signs; write plain numbers such as "
        "1234.5",
    ),
    (
        "percent",
        {"x": [f"{k}%" for k in range(N)]},
        {},
        "column 'x', row 1 (line 2): '0%' is a number with separators or signs; write plain numbers such as 1234.5",
    ),
    (
        "infinite input",
        {"x": [*GOOD["x"][:5], "-inf", *GOOD["x"][6:]]},
        {},
        "column 'x', row 6 (line 7) is infinite (-inf); write a finite number or leave the cell empty",
    ),
    (
        "number too large",
        {"x": [*GOOD["x"][:5], "1e999", *GOOD["x"][6:]]},
        {},
        "column 'x', row 6 (line 7) is infinite (inf); write a finite number or leave the cell empty",
    ),
    (
        "infinite target",
        {"z": [*GOOD["x"][:5], "inf", *GOOD["x"][6:]]},
        {"target": "z"},
        "column 'z', row 6 (line 7) is infinite (inf); write a finite number or leave the cell empty",
    ),
    (
        "no such target",
        {"speed": GOOD["x"]},
        {"target": "sped"},
        "there is no column 'sped'; did you mean 'speed'?",
    ),
    ("no such column", {}, {"drop": ["q"]}, "there is no column 'q'; the columns are 'x', 'y'"),
    (
        "one class",
        {"z": ["a"] * N},
        {"target": "z"},
        "column 'z': the target has one value only, 'a'; a model needs at least two different ones to learn from",
    ),
    (
        "constant target",
        {"z": ["1.5"] * N},
        {"target": "z"},
        "column 'z': the target has one value only, 1.5; a model needs at least two different ones to learn from",
    ),
    (
        "empty target",
        {"z": ["NA"] * N},
        {"target": "z"},
        "column 'z': the target has no values; a model needs at least two different ones to learn from",
    ),
    (
        "date target",
        {"z": [f"2020-01-{k % 28 + 1:02d}" for k in range(N)]},
        {"target": "z"},
        "column 'z': a target of dates or times; make a number of it, such as days since a day",
    ),
    (
        "key as target",
        {"z": [f"k{k}" for k in range(N)]},
        {"target": "z"},
        "column 'z': the target has 40 different values in 40 rows, too many for classes; join rare ones, or choose "
        "another target",
    ),
    (
        "word in numeric target",
        {"z": [*GOOD["x"][:-1], "abc"]},
        {"target": "z"},
        "column 'z', row 40 (line 41): 'abc' is not a number but the column holds numbers; correct it, or use "
        "--missing abc, or use --type z=categorical",
    ),
    (
        "text for numbers",
        {},
        {"target": "y", "output": "gaussian"},
        "column 'y', row 1 (line 2): 'a' is not a number, nor is any other cell of the column; use "
        "--output categorical",
    ),
    (
        "numbers for two values",
        {},
        {"target": "x", "output": "bernoulli"},
        "column 'x': the target has 40 different values, but a Bernoulli output needs two; use --output categorical "
        "for classes, gaussian for numbers",
    ),
    (
        "negative count",
        {"z": [*range(20), -1, *range(19)]},
        {"target": "z", "output": "poisson"},
        "column 'z', row 21 (line 22): -1 is not a count, which a Poisson output needs; use --output gaussian",
    ),
    (
        "broken count",
        {},
        {"target": "x", "output": "poisson"},
        "column 'x', row 1 (line 2): 0.5 is not a count, which a Poisson output needs; use --output gaussian",
    ),
    (
        "targets of different kinds",
        {},
        {"target": ["y", "x"]},
        "targets 'y' (binary) and 'x' (numeric) are of different kinds; fit one model for each, or make them alike "
        "with --type COLUMN=numeric|boolean",
    ),
    (
        "several targets of classes",
        {"z": ["a", "b", "c", "d"] * 10, "w": ["e", "f", "g", "e"] * 10},
        {"target": ["z", "w"]},
        "targets 'z', 'w' have several classes each; fit one model for each",
    ),
    (
        "nothing to learn from",
        {"x": ["1"] * N},
        {"target": "y"},
        "no column is left to predict from; left out: 'x' (the same value in every row: 1); keep one with "
        "--type COLUMN=numeric|categorical",
    ),
    (
        "declared boolean",
        {},
        {"types": {"x": "boolean"}},
        "column 'x', row 1 (line 2): 0.5 is neither true nor false; write true or false (yes, no, 1, 0), or use "
        "--type x=categorical",
    ),
    (
        "declared numeric",
        {},
        {"types": {"y": "numeric"}},
        "column 'y', row 1 (line 2): 'a' is not a number, nor is any other cell of the column; use "
        "--type y=categorical",
    ),
]


@pytest.mark.parametrize(("columns", "options", "message"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_refusals_are_one_line_with_file_place_and_remedy(tmp_path, columns, options, message):
    path = csv(tmp_path, **{**GOOD, **columns})
    with pytest.raises(TableError) as caught:
        infer(path, **options)
    assert str(caught.value) == f"{path}: {message}"


def test_lines_of_rows_are_those_of_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('x,note\n1.5,"two\nlines"\n\n' + "2.5,a\n" * 40 + "word,b\n")
    with pytest.raises(TableError, match=r"column 'x', row 42 \(line 45\): 'word'"):
        infer(path)


def test_frames_without_a_file_have_rows_only():
    with pytest.raises(TableError, match=r"^column 'x', row 2 is infinite \(inf\); "):
        infer_schema(pl.DataFrame({"x": [1.0, float("inf")], "y": [1, 2]}), target="y")
    with pytest.raises(TableError, match=r"^there is no column 'z'; "):
        infer_schema(pl.DataFrame({"x": [1.0], "y": [1]}), target="z")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"types": {"x": "number"}},
            "--type x=number: there is no kind 'number'; choose numeric, categorical, boolean",
        ),
        ({"target": "y", "drop": ["y"]}, "--drop y: 'y' is a target too; leave one of the two out"),
        ({"target": ["y", "y"]}, "the target 'y' is named twice; name it once"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(OptionError) as caught:
        infer_schema(pl.DataFrame({"x": [1.0, 2.0], "y": [1, 2]}), **options)
    assert str(caught.value) == message


def test_no_rows():
    with pytest.raises(TableError, match=r"^the table has no rows; add some$"):
        infer_schema(pl.DataFrame({"x": []}))

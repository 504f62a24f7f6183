"""Python source of a model: run without chainrule, compared to the last digits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from exported_models import (
    CASES,
    TABLE,
    difference,
    expected,
    float32_limit,
    model_of,
    narrow,
    rows_of,
    table_inputs,
)
from exported_programs import BY_ROWS, X, program_of, traced

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.exchange.numpy_source import _SHAPES, _WRITTEN, python_source
from chainrule.graph.primitive import PRIMITIVES
from chainrule.models.export import to_python
from chainrule.outputs import Distribution, Output

ELEMENTWISE = [
    name
    for name, p in PRIMITIVES.items()
    if p.lowering == "elementwise"
    and (name in _WRITTEN or (p.family == "elementwise" and isinstance(p.numpy, np.ufunc)))
]


def predict_of(source):
    names = {}
    exec(compile(source, "model.py", "exec"), names)
    return names["predict"]


@pytest.mark.parametrize("name", CASES)
def test_models_predict_what_they_did(name):
    model = CASES[name]
    named = model.inputs.named
    predict = predict_of(to_python(model))
    rows = rows_of(model)
    wanted = expected(model, rows)
    assert difference(predict(rows.to_dict(as_series=False) if named else rows), wanted) < 1e-12
    assert difference(predict(model.inputs.arrays(rows)[0]), wanted) < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_in_float32_too(name):
    model = narrow(CASES[name])
    rows = rows_of(model)
    given = predict_of(to_python(model))(model.inputs.arrays(rows)[0])
    assert difference(given, expected(model, rows)) < float32_limit(name)


@pytest.mark.parametrize("name", BY_ROWS)
def test_moves_of_data(name):
    predictor, wanted = traced(BY_ROWS[name], X)
    given = predict_of(python_source(predictor))(X)
    for key, value in wanted.items():
        np.testing.assert_allclose(given[key], value, rtol=1e-14)
    assert {value.shape[0] for value in predict_of(python_source(predictor))(X[:5]).values()} == {5}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_element_wise_functions(name):
    function, x = program_of(name)
    predictor, wanted = traced(function, x)
    np.testing.assert_allclose(
        predict_of(python_source(predictor))(x)["value"], wanted["value"], rtol=1e-13, atol=1e-14
    )


def test_every_rule_is_tested():
    assert set(_WRITTEN) <= {*ELEMENTWISE, *_MOVES}
    assert set(_SHAPES) <= _MOVES


_MOVES = {
    "matmul", "sum", "max", "min", "any", "all", "argmax", "argmin", "cumsum", "flip", "argsort", "transpose", "pad",
    "reshape", "broadcast_to", "concatenate", "slice", "gather",
}  # fmt: skip


def test_it_runs_without_chainrule(tmp_path):
    (tmp_path / "model.py").write_text(to_python(CASES["table"]))
    code = """
import sys
import model
columns = {"size": [10.0, 2.5], "count": [None, 4], "kind": ["oak", "never"], "code": ["1x", None], "old": [True, None]}
out = model.predict(columns)
assert not {name.partition(".")[0] for name in sys.modules} & {"chainrule", "scipy", "polars", "pandas"}
print(*[float(v).hex() for v in out["mean"]])
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    import polars as pl

    frame = pl.DataFrame(
        {"size": [10.0, 2.5], "count": [None, 4], "kind": ["oak", "x"], "code": ["1x", None], "old": [True, None]}
    )
    wanted = CASES["table"].predict(frame).mean()
    np.testing.assert_allclose([float.fromhex(v) for v in run.stdout.split()], wanted, rtol=1e-13)


def test_data_frames_and_numbers_as_categories_are_taken():
    model = model_of(cr.Gaussian(), inputs=table_inputs())
    pandas = TABLE.to_pandas()
    assert difference(predict_of(to_python(model))(pandas), expected(model, TABLE)) < 1e-12


def test_cells_are_read_as_the_model_reads_them():
    import polars as pl

    model = CASES["table"]
    words = ["yes", "No", "TRUE", "f", "1", "0", "maybe"]
    frame = pl.DataFrame(
        {"size": [str(k) + " " for k in range(7)], "count": range(7), "kind": ["", "Oak", "oak "] * 2 + ["oak"]}
    ).with_columns(code=pl.Series([0, 1, 2, 3, 4, 5, 6]), old=pl.Series(words))
    wanted = expected(model, frame.with_columns(kind=frame["kind"].replace("", None)))
    assert difference(predict_of(to_python(model))(frame.to_dict(as_series=False)), wanted) < 1e-12
    # nothing is a category too, where a data frame has it
    from chainrule.models.inputs import Inputs
    from chainrule.tables import fit_encoder, infer_schema

    frame = pl.DataFrame({"a": ["", "b", None] * 9, "n": [1.0, 2.0, 4.0] * 9})
    model = model_of(cr.Gaussian(), inputs=Inputs(fit_encoder(infer_schema(frame), frame), named=True))
    assert difference(predict_of(to_python(model))(frame.to_dict(as_series=False)), expected(model, frame)) < 1e-12


def test_no_name_gets_out_of_its_comment():
    import polars as pl

    from chainrule.models.inputs import Inputs
    from chainrule.tables import fit_encoder, infer_schema

    frame = pl.DataFrame({'"""\nimport os #': ["a\n'''", "*/ b", "??/", "é"] * 5, "\\": range(20)})
    inputs = Inputs(fit_encoder(infer_schema(frame), frame), named=True)
    model = model_of(cr.Gaussian(), inputs=inputs)
    source = to_python(model)
    assert source.isascii()
    assert difference(predict_of(source)(frame.to_dict(as_series=False)), expected(model, frame)) < 1e-12


@dataclass(frozen=True, eq=False)
class Waiting(Distribution):
    rate: np.ndarray

    def logpdf(self, y):
        return np.log(self.rate) - self.rate * y

    def cdf(self, y):
        return -np.expm1(-self.rate * y)

    def mean(self):
        return 1.0 / self.rate

    def var(self):
        return 1.0 / np.square(self.rate)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("n_members", [1, 2])
def test_outputs_of_ones_own(scaled, n_members):
    class Exponential(Output):
        scales_target = scaled

        def n_raw(self, n_targets):
            return n_targets

        def nll(self, raw, y):
            return np.sum(np.exp(raw) * y - raw, axis=1)

        def standard_distribution(self, raw):
            return Waiting(np.exp(raw[:, 0]))

    model = model_of(Exponential(), n_members=n_members)
    given = predict_of(to_python(model))(rows_of(model))
    assert difference(given, expected(model, rows_of(model))) < 1e-12
    assert given.keys() == {"mean", "std", "rate"} | ({"location", "scale"} if scaled else set())


def test_what_numpy_lacks_is_refused_by_name():
    from scipy.special import i0e

    with pytest.raises(OptionError, match=r"cannot export .* Python: node \d+ \(i0e.*\): has no translation"):
        to_python(model_of(cr.Gaussian(), (cr.Dense(3, lambda z: i0e(z)),)))

"""ONNX export: what the checker, the reference evaluator and onnxruntime say, against the model itself."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest

onnx = pytest.importorskip("onnx", reason='needs onnx: pip install "chainrule[onnx]"')

from exported_models import (  # noqa: E402
    CASES,
    N_ROWS,
    TABLE,
    difference,
    expected,
    float32_limit,
    matrix,
    model_of,
    narrow,
    rows_of,
    table_inputs,
)
from onnx.reference import ReferenceEvaluator  # noqa: E402

import chainrule as cr  # noqa: E402
from chainrule.errors import OptionError  # noqa: E402
from chainrule.models.export import to_onnx  # noqa: E402
from chainrule.models.inputs import Inputs  # noqa: E402
from chainrule.tables import Categorical, fit_encoder, infer_schema  # noqa: E402

#: relative; what is composed in float64 reaches 1e-9, erf is taken in float32
TOLERANCE = {"unit gelu": 1e-5}


def feed(model, rows):
    """The inputs of an exported model."""
    raw = model.inputs.arrays(rows)[0]
    if not model.inputs.named:
        return {"X": raw}
    columns = {}
    for k, encoding in enumerate(model.inputs.encoder.encodings):
        if isinstance(encoding, Categorical):
            columns[encoding.name] = np.array([[v or ""] for v in rows[encoding.name]], dtype=object)
        else:
            columns[encoding.name] = raw[:, k : k + 1]
    return columns


def run_reference(proto, inputs):
    evaluator = ReferenceEvaluator(proto)
    return dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


def session(proto):
    ort = pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "chainrule[onnx]"')
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_runtime(proto, inputs):
    made = session(proto)
    return dict(zip([o.name for o in made.get_outputs()], made.run(None, inputs), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_reference_evaluator_and_runtime_agree_with_the_model(name):
    model = CASES[name]
    rows, limit = rows_of(model), TOLERANCE.get(name, 1e-9)
    proto = to_onnx(model)
    onnx.checker.check_model(proto, full_check=True)
    wanted, inputs = expected(model, rows), feed(model, rows)
    assert difference(run_reference(proto, inputs), wanted) < limit
    assert difference(run_runtime(proto, inputs), wanted) < limit


@pytest.mark.parametrize("name", CASES)
def test_in_float32_too(name):
    model = narrow(CASES[name])
    rows = rows_of(model)
    assert difference(run_runtime(to_onnx(model), feed(model, rows)), expected(model, rows)) < float32_limit(name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_rows(dtype):
    model = model_of(cr.GaussianMixture(2), (7, cr.Dense(4, "tanh")), n_members=2, dtype=dtype)
    made = session(to_onnx(model))
    names = [o.name for o in made.get_outputs()]
    for n in (1, 2, 31, 32, 33, 45):
        given = dict(zip(names, made.run(None, {"X": matrix()[:n]}), strict=True))
        assert difference(given, expected(model, matrix()[:n])) < 1e-5
    assert [v.shape[0] for v in made.run(None, {"X": matrix()[:0]})] == [0] * len(names)


def test_categories_are_text_and_what_training_did_not_have_is_another():
    model = model_of(cr.Gaussian(), inputs=table_inputs())
    rows = TABLE.with_columns(kind=TABLE["kind"].replace("oak", "never seen"))
    given = run_runtime(to_onnx(model), feed(model, rows))
    assert difference(given, expected(model, rows)) < 1e-9


def test_a_column_may_have_the_name_of_an_output():
    from chainrule.models.inputs import Inputs

    inputs = Inputs.of_matrix(matrix(), np.ones(N_ROWS), ["mean", "mean_", "n"])
    model = model_of(cr.Gaussian(), inputs=inputs)
    x = matrix()
    proto = to_onnx(model)
    onnx.checker.check_model(proto, full_check=True)
    given = run_runtime(proto, {name: x[:, k : k + 1] for k, name in enumerate(["mean", "mean_", "n"])})
    np.testing.assert_allclose(given["mean__"], model.predict(x).mean())


def test_the_file_says_what_it_is():
    proto = to_onnx(CASES["table of classes"])
    notes = {p.key: json.loads(p.value) for p in proto.metadata_props}
    assert notes == {"targets": ["y0"], "classes": [["a", "b", "c"]]}
    assert "kind: category; 0 = " in proto.doc_string
    assert {i.domain for i in proto.opset_import} == {"", "ai.onnx.ml"}


def test_estimators_and_files_are_taken_too(tmp_path):
    estimator = cr.FeedForwardRegressor(hidden_layer_sizes=(3,), max_iter=2, n_members=1, random_state=0)
    estimator.fit(matrix(), np.arange(float(N_ROWS)))
    estimator.save(tmp_path / "m.chainrule")
    of_estimator, of_file = to_onnx(estimator), to_onnx(tmp_path / "m.chainrule")
    assert of_estimator.SerializeToString() == of_file.SerializeToString()
    given = run_runtime(of_file, {"X": matrix()})
    np.testing.assert_allclose(given["mean"], estimator.predict(matrix()), rtol=1e-6)


def test_a_stored_model_with_functions_of_ones_own_is_exported_from_its_graph(tmp_path):
    def bent(z):
        return np.sin(z) + 0.1 * np.square(z)

    estimator = cr.FeedForwardRegressor(hidden_layer_sizes=(4,), activation=bent, max_iter=1, n_members=1)
    estimator.fit(np.nan_to_num(matrix()), np.arange(float(N_ROWS))).save(tmp_path / "own.chainrule")
    model = cr.load(tmp_path / "own.chainrule").model_
    assert model.network is None
    assert difference(run_runtime(to_onnx(model), {"X": matrix()}), expected(model, matrix())) < 1e-5


def test_refusals_name_node_and_primitive(monkeypatch):
    from scipy.special import gammaln

    network = model_of(cr.Gaussian(), (cr.Dense(3, lambda z: gammaln(np.abs(z) + 1.0)),))
    with pytest.raises(OptionError, match=r"cannot export .* ONNX: node \d+ \(gammaln.*\): has no translation"):
        to_onnx(network)
    monkeypatch.setattr("chainrule.networks.layers.check_unit", lambda *_: None)  # which refuses it first
    centred = model_of(cr.Gaussian(), (cr.Dense(3, lambda z: z - np.mean(z, axis=0)),))
    with pytest.raises(OptionError, match=r"node \d+ \(sum.*\): goes over the rows"):
        to_onnx(centred)
    with pytest.raises(OptionError, match="only a fitted model can be exported, got int"):
        to_onnx(3)
    with pytest.raises(OptionError, match="FeedForwardRegressor; call fit first"):
        to_onnx(cr.FeedForwardRegressor())


def test_the_page_on_export_holds(tmp_path, monkeypatch):
    """The Python of docs/export.md, with what needs onnxruntime, which tests/docs cannot count on."""
    pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "chainrule[onnx]"')
    pytest.importorskip("skl2onnx", reason='needs skl2onnx: pip install "chainrule[onnx]"')
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "export.md"
    blocks = re.findall(r"^```(?:python|py)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert any("onnxruntime" in block for block in blocks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skl2onnx's own
        exec(compile("\n".join(blocks), str(page), "exec"), {})


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OptionError, match=r"pip install \"chainrule\[onnx\]\""):
        to_onnx(CASES["layers none"])


def test_columns_that_are_named_like_what_is_inside():
    """Got through: a column without a name beside one called like its place, and columns called like nodes."""
    rng = np.random.default_rng(0)
    table = pl.DataFrame({name: rng.normal(size=20) for name in ("x1", "", "/rows", "/c0", "//0_Concat", "x1_")})
    inputs = Inputs(fit_encoder(infer_schema(table), table), named=True)
    model = model_of(cr.Gaussian(), inputs=inputs)
    proto = to_onnx(model)
    onnx.checker.check_model(proto, full_check=True)
    names = [given.name for given in proto.graph.input]
    assert names == ["x1", "x1__", "/rows", "/c0", "//0_Concat", "x1_"]
    columns = {name: table[:, [k]].to_numpy() for k, name in enumerate(names)}
    assert difference(run_reference(proto, columns), expected(model, table)) < 1e-12

"""Pipelines with our estimators, converted by skl2onnx, predict what they did."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.errors import OptionError
from chainrule.estimators.skl2onnx import register_skl2onnx

OPTIONS = {"max_iter": 3, "n_members": 2, "random_state": 0, "hidden_layer_sizes": (5,)}
NUMBERS, TARGET = load_diabetes(return_X_y=True)
FLOWERS, KIND = load_iris(return_X_y=True)


@pytest.fixture
def converted():
    """A function that converts a pipeline and runs it."""
    skl2onnx = pytest.importorskip("skl2onnx", reason='needs skl2onnx: pip install "chainrule[onnx]"')
    ort = pytest.importorskip("onnxruntime", reason='needs onnxruntime: pip install "chainrule[onnx]"')
    register_skl2onnx()

    def convert(pipeline, X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skl2onnx's own
            zipmap = {"zipmap": False} if hasattr(pipeline, "predict_proba") else {}
            proto = skl2onnx.to_onnx(pipeline, X[:1], options={id(pipeline): zipmap} if zipmap else None)
        session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: X})

    return convert


@pytest.mark.parametrize("output", [cr.Gaussian(), cr.GaussianMixture(2), cr.StudentT()], ids=repr)
def test_pipelines_of_regressors(converted, output):
    pipeline = make_pipeline(StandardScaler(), cr.FeedForwardRegressor(output=output, **OPTIONS))
    pipeline.fit(NUMBERS, TARGET)
    (given,) = converted(pipeline, NUMBERS)
    np.testing.assert_allclose(given[:, 0], pipeline.predict(NUMBERS), rtol=1e-5)


def test_several_targets_and_linear_models_and_medians(converted):
    both = np.stack([TARGET, -TARGET], axis=1)
    for model, y in (
        (cr.FeedForwardRegressor(**OPTIONS), both),
        (cr.LinearRegression(), TARGET),
        (cr.FeedForwardRegressor(output=cr.Quantile([0.1, 0.5]), **OPTIONS | {"n_members": 1}), TARGET),
    ):
        model.fit(NUMBERS, y)
        np.testing.assert_allclose(converted(model, NUMBERS)[0].reshape(y.shape), model.predict(NUMBERS), rtol=1e-5)


@pytest.mark.parametrize("names", [None, np.array(["setosa", "versicolor", "virginica"])])
def test_pipelines_of_classifiers(converted, names):
    y = KIND if names is None else names[KIND]
    for model in (cr.FeedForwardClassifier(**OPTIONS), cr.LogisticRegression()):
        pipeline = make_pipeline(StandardScaler(), model).fit(FLOWERS, y)
        labels, probabilities = converted(pipeline, FLOWERS)
        assert (labels == pipeline.predict(FLOWERS)).all()
        np.testing.assert_allclose(probabilities, pipeline.predict_proba(FLOWERS), rtol=1e-4, atol=1e-7)


def test_refusals(converted, monkeypatch):
    model = cr.FeedForwardRegressor(output=cr.Quantile([0.1, 0.9]), **OPTIONS).fit(NUMBERS, TARGET)
    with pytest.raises(OptionError, match="median, which is not among the quantiles"):
        converted(model, NUMBERS)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(OptionError, match="need the package skl2onnx: pip install"):
        register_skl2onnx()

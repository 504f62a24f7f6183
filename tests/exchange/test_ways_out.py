"""One fitted model of every output, by every way out: the same predictions and the same scores to 1e-5.

The ways are the model file, its tensors read by themselves, ONNX in two runtimes, Python that needs NumPy alone, and C.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
from functools import partial

import numpy as np
import pytest
from safetensors import safe_open

import chainrule as cr
from chainrule.models.export import predictor_of, to_c, to_onnx, to_python
from chainrule.models.prediction import parameters
from chainrule.models.scores import scores
from chainrule.outputs import (
    BernoulliDistribution,
    CategoricalDistribution,
    LaplaceDistribution,
    Normal,
    NormalMixture,
    PoissonDistribution,
    QuantileDistribution,
    StudentTDistribution,
    output_from_json,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
SIGNAL = X[:, 0] - np.sin(2.0 * X[:, 1])
Y = 50.0 + 10.0 * (SIGNAL + 0.5 * RNG.normal(size=len(X)))
TARGETS = {
    "numbers": Y,
    "several": np.stack([Y, Y - 20.0 * X[:, 0]], axis=1),
    "counts": RNG.poisson(np.exp(0.5 * SIGNAL)).astype(float),
    "two classes": (SIGNAL > 0).astype(int),
    "three classes": np.digitize(SIGNAL, [-0.5, 0.5]),
}
OUTPUTS = {
    "binary": ("two classes", None, {}),
    "classes": ("three classes", None, {}),
    "gaussian": ("numbers", cr.Gaussian(), {}),
    "constant variance": ("numbers", cr.Gaussian(variance="constant"), {}),
    "laplace": ("numbers", cr.Laplace(), {}),
    "student-t": ("numbers", cr.StudentT(), {}),
    "poisson": ("counts", cr.Poisson(), {}),
    "mixture": ("numbers", cr.GaussianMixture(2), {}),
    "quantile": ("numbers", cr.Quantile(), {}),
    "one quantile": ("numbers", cr.Quantile([0.3]), {}),
    "several targets": ("several", cr.Gaussian(), {}),
    "several quantiles": ("several", cr.Quantile([0.1, 0.5, 0.9]), {}),
    "scaled": ("numbers", cr.Gaussian(), {"calibrate": "scale"}),
    "conformal": ("numbers", cr.Gaussian(), {"calibrate": "conformal"}),
    "conformal, several targets": ("several", cr.Laplace(), {"calibrate": "conformal"}),
}
TOLERANCE = 1e-5


def fitted(name):
    target, output, options = OUTPUTS[name]
    given = {"activation": "tanh", "embedding": "none", "max_iter": 15, "n_members": 1, "random_state": 0, **options}
    if output is None:
        return cr.FeedForwardClassifier((4,), **given).fit(X, TARGETS[target]).model_
    return cr.FeedForwardRegressor((4,), output=output, **given).fit(X, TARGETS[target]).model_


# -- the ways; each gives the named values of every row's distribution


def by_python(model):
    names = {}
    exec(compile(to_python(model), "model.py", "exec"), names)
    return names["predict"](X)


def by_c(model, folder):
    (folder / "m.c").write_text(to_c(model))
    subprocess.run(
        ["cc", "-std=c99", "-O1", "-shared", "-fPIC", "-o", folder / "m.so", folder / "m.c", "-lm"], check=True
    )
    predictor = predictor_of(model)
    sizes = [int(np.prod(shape)) for shape in predictor.shapes]
    out, numbers = np.empty((len(X), sum(sizes))), ctypes.POINTER(ctypes.c_double)
    function = ctypes.CDLL(str(folder / "m.so")).predict
    for row, result in zip(X, out, strict=True):
        function(row.ctypes.data_as(numbers), result.ctypes.data_as(numbers))
    parts = np.split(out, np.cumsum(sizes)[:-1], axis=1)
    shaped = zip(predictor.outputs, parts, predictor.shapes, strict=True)
    return {name: part.reshape(len(X), *shape) for name, part, shape in shaped}


def by_reference(model):
    reference = pytest.importorskip("onnx.reference").ReferenceEvaluator(to_onnx(model))
    return dict(zip(reference.output_names, reference.run(None, {"X": X}), strict=True))


def by_runtime(model):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, {"X": X}), strict=True))


def by_tensors(path):
    """The network written out by hand, from what a safetensors reader gives."""
    with safe_open(path, "numpy") as file:
        description = json.loads(json.loads(file.metadata()["chainrule"])["model"])
        theta = file.get_tensor("member0.theta").astype(np.float64)
    encoder, target = (json.loads(t) for t in (description["inputs"]["encoder"], description["target"]))
    center, scale = (np.array([e[key] for e in encoder["encodings"]]) for key in ("center", "scale"))
    x = encoder["bend"] * np.arcsinh((X - center) / scale / encoder["bend"])
    hidden = np.tanh(x @ theta[:8].reshape(2, 4) + theta[8:12])
    weight, bias = np.split(theta[12:].reshape(5, -1), [4])
    output = output_from_json(description["output"])
    units = {key: np.array(target[of]) for key, of in (("location", "center"), ("scale", "scale"))}
    predicted = output.distribution(hidden @ weight + bias, **(units if output.scales_target else {}))
    calibration = cr.load(path).model_.calibration
    return parameters(predicted if calibration is None else calibration.distribution(predicted))


# -- and back to distributions, which are scored


def distribution_of(model, values):
    name = model.output.name
    with np.errstate(divide="ignore"):
        match name:
            case "bernoulli":
                p = values["probabilities"]
                return BernoulliDistribution(np.log(p[..., 1]) - np.log(p[..., 0]))
            case "categorical":
                return CategoricalDistribution(np.log(values["probabilities"]))
            case "poisson":
                return PoissonDistribution(np.log(values["rate"]))
            case "gaussian_mixture":
                return NormalMixture(np.log(values["weights"]), values["means"], values["sigmas"])
            case "quantile":
                own = model.predict(X)
                own = getattr(own, "base", own)
                return QuantileDistribution(values["quantiles"], values["left"], values["right"], own.levels)
    if name == "student_t":
        return StudentTDistribution(values["loc"], values["scale"], values["df"])
    return {"gaussian": Normal, "laplace": LaplaceDistribution}[name](values["loc"], values["scale"])


def score(model, predicted, y):
    return scores(
        predicted, y.reshape(len(y), -1).astype(float), model.target.task, None, partial(model.interval, predicted)
    )


def close(given, wanted, unit=0.0):
    return np.all(np.abs(np.asarray(given) - wanted) <= TOLERANCE * np.maximum(np.abs(wanted), unit))


@pytest.mark.parametrize("name", OUTPUTS)
def test_all_ways_predict_and_score_alike(name, tmp_path):
    model, y = fitted(name), TARGETS[OUTPUTS[name][0]]
    path = tmp_path / "m.chainrule"
    model.save(path)
    loaded = cr.load(path).model_
    predicted = model.predict(X)
    wanted, best = parameters(predicted), score(model, predicted, y)
    assert all(np.isfinite(value) for value in best.values())
    ways = {
        "file": parameters(loaded.predict(X)),
        "tensors": by_tensors(path),
        "NumPy": by_python(loaded),
        "reference": by_reference(loaded),
        "runtime": by_runtime(loaded),
    }
    if shutil.which("cc"):
        ways["C"] = by_c(loaded, tmp_path)
    for way, values in ways.items():
        assert values.keys() == wanted.keys(), way
        for key, value in wanted.items():
            unit = 0.02 * max(1.0, float(np.std(y)))
            assert values[key].shape == value.shape, (way, key)
            assert close(values[key], value, unit), (way, key, np.abs(values[key] - value).max())
        rebuilt = distribution_of(loaded, values)
        again = score(loaded, rebuilt, y)
        if "cover 90%" in again:  # a conformal interval may end at a target of its own, which rounding puts out or in
            bounds, unit = model.interval(predicted, 0.9), 0.1 * max(1.0, float(np.std(y)))
            assert close(loaded.interval(rebuilt, 0.9), bounds, unit), way
            edge = np.mean(np.abs(bounds - y[..., None]).min(axis=-1) <= TOLERANCE * np.maximum(np.abs(y), unit))
            assert abs(again.pop("cover 90%") - best["cover 90%"]) <= edge + 1e-12, way
        for key, value in again.items():
            assert close(value, best[key], 0.1), (way, key, value, best[key])


def test_every_output_is_there():
    from chainrule.outputs import OUTPUTS as KNOWN

    models = {fitted(name).output.name for name in OUTPUTS}
    assert models >= {name for name, each in KNOWN.items() if each.__module__.startswith("chainrule.")}

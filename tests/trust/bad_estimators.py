"""Arguments of estimators, layers, outputs and optimisers that make no sense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import NotFittedError

import chainrule as cr
from trust.bad_case import Call

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X[:, 0] + 0.1 * RNG.normal(size=40)
C = np.where(Y > 0, "yes", "no")
QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (3,),
    "max_iter": 2,
    "n_members": 1,
    "embedding": "none",
    "random_state": 0,
}


def regressor(**options: Any) -> cr.FeedForwardRegressor:
    return cr.FeedForwardRegressor(**{**QUICK, **options})


def classifier(**options: Any) -> cr.FeedForwardClassifier:
    return cr.FeedForwardClassifier(**{**QUICK, **options})


def put(array: np.ndarray, place: Any, value: Any) -> np.ndarray:
    changed = array.copy()
    changed[place] = value
    return changed


def fit(
    name: str, X: Any, y: Any, *says: str, make: Callable[..., Any] = regressor, more: Any = None, **options: Any
) -> Call:
    """Fit; of a success the predictions count."""

    def act() -> Any:
        found = make(**options).fit(X, y, **(more or {})).predict(RNG_X)
        return found if np.asarray(found).dtype.kind == "f" else 0.0

    return Call(f"fit {name}", act, says, (ValueError, TypeError))


def option(name: str, value: Any, *says: str, make: Callable[..., Any] = regressor) -> Call:
    y = C if make is classifier else Y
    return Call(
        f"{name}={value!r:.40}",
        lambda: make(**{name: value}).fit(X, y).predict(X),
        (name, *says),
        (ValueError, MemoryError),
    )


RNG_X = X[:5]

DATA: Sequence[Call] = [
    fit("NaN in y", X, put(Y, 7, np.nan), "NaN"),
    fit("infinite y", X, put(Y, 7, np.inf), "nfinity"),
    fit("y of 1e300", X, put(Y, 7, 1e300), "y is 1e+300 in row 7", "divide y"),
    fit("y of 1e-300", X, Y * 1e-300),
    fit("y of 1e100", X, Y * 1e100),
    fit("y constant", X, np.ones(40)),
    fit("y too short", X, Y[:-1], "40", "39"),
    fit("y too long", X, np.r_[Y, 1], "40", "41"),
    fit("y None", X, None, "y"),
    fit("y of words", X, C, "could not convert"),
    fit("y of three dimensions", X, Y.reshape(40, 1, 1), "dim"),
    fit("y complex", X, Y + 1j, "omplex"),
    fit("y empty", X[:0], Y[:0], "0 sample"),
    fit("y of dictionaries", X, [{}] * 40, "dict"),
    fit("infinite X", put(X, (7, 1), np.inf), Y, "infinity"),
    fit("NaN in X", put(X, (7, 1), np.nan), Y),
    fit("a column of NaN", put(X, (slice(None), 1), np.nan), Y),
    fit("NaN everywhere", np.full((40, 3), np.nan), Y),
    fit("X of 1e300", put(X, (7, 1), 1e300), Y),
    fit("X of 1e308 and -1e308", np.sign(X) * 1.7e308, Y),
    fit("X of 1e-320", X * 1e-320, Y),
    fit("constant columns", np.ones((40, 3)), Y),
    fit("equal rows", np.repeat(X[:1], 40, axis=0), Y),
    fit("X of one dimension", X[:, 0], Y, "reshape"),
    fit("X of three dimensions", X[:, :, None], Y, "dim"),
    fit("X a number", 3.0, Y, ""),
    fit("X a text", "abc", Y, ""),
    fit("X None", None, Y, ""),
    fit("X without columns", X[:, :0], Y, "0 feature"),
    fit("X without rows", X[:0], Y[:0], "0 sample"),
    fit("X one row", X[:1], Y[:1]),
    fit("X two rows", X[:2], Y[:2]),
    fit("X ragged", [[1.0, 2.0], [3.0]], [1.0, 2.0], ""),
    fit("X complex", X + 1j, Y, "omplex"),
    fit("X sparse", sparse.csr_matrix(X), Y),
    fit("y sparse", X, sparse.csr_matrix(Y.reshape(-1, 1)), "parse"),
    fit("X of dates", X.astype("datetime64[s]"), Y),
    fit("X of dictionaries", [[{}]] * 40, Y, ""),
    fit("X of texts", X.astype(str), Y),
    fit("X of booleans", X > 0, Y),
    fit("X of small whole numbers", (10 * X).astype(np.int8), Y),
    fit("X of half precision", X.astype(np.float16), Y),
    fit("X of long doubles", X.astype(np.longdouble), Y),
    fit("X read-only, reversed", X[::-1, ::-1], Y),
    fit("one class", X, ["a"] * 40, "one class", make=classifier),
    fit("a class of one row", X, np.where(np.arange(40) == 3, "b", "a"), make=classifier),
    fit(
        "forty classes",
        X,
        np.arange(40),
        "n_samples=40 in 40 classes",
        "give a larger fraction",
        make=classifier,
    ),
    fit("classes that are numbers with decimals", X, Y, "lassif", make=classifier),
    fit("labels of two kinds", X, ["a", 1] * 20, "row", make=classifier),
    fit("labels missing", X, ["a", None] * 20, "row", make=classifier),
    fit("labels NaN", X, put(np.sign(Y), 3, np.nan), "NaN", make=classifier),
    fit("a weight below zero", X, Y, "sample_weight", more={"sample_weight": put(np.ones(40), 3, -1)}),
    fit("a weight NaN", X, Y, "sample_weight", "NaN", more={"sample_weight": put(np.ones(40), 3, np.nan)}),
    fit("weights all zero", X, Y, "weight", more={"sample_weight": np.zeros(40)}),
    fit("a weight too few", X, Y, "sample_weight", more={"sample_weight": np.ones(39)}),
    fit("weights of text", X, Y, "", more={"sample_weight": ["a"] * 40}),
    fit("validation rows of other columns", X, Y, "2 features", "3 features", more={"X_val": X[:, :2], "y_val": Y}),
    fit("validation targets too few", X, Y, "", more={"X_val": X, "y_val": Y[:-1]}),
    fit("validation rows without targets", X, Y, "y_val", more={"X_val": X}),
    fit("validation targets NaN", X, Y, "NaN", more={"X_val": X, "y_val": put(Y, 3, np.nan)}),
    fit("validation of another class", X, C, "'w'", make=classifier, more={"X_val": X, "y_val": ["w"] * 40}),
    Call("partial_fit without classes", lambda: classifier().partial_fit(X[:3], C[:3]), ["classes"], ValueError),
    Call(
        "partial_fit, other columns",
        lambda: regressor().partial_fit(X, Y).partial_fit(X[:, :2], Y),
        ["2 features", "3 features"],
        ValueError,
    ),
]

FITTED = regressor().fit(X, Y)
FITTED_CLASSES = classifier().fit(X, C)

PREDICT: Sequence[Call] = [
    Call("predict before fit", lambda: regressor().predict(X), ["not fitted", "fit"], NotFittedError),
    Call("predict_proba before fit", lambda: classifier().predict_proba(X), ["not fitted"], NotFittedError),
    Call("save before fit", lambda: regressor().save("m.chainrule"), ["not fitted"], NotFittedError),
    Call("predict a column too few", lambda: FITTED.predict(X[:, :2]), ["2 features", "3 features"], ValueError),
    Call("predict a column too many", lambda: FITTED.predict(np.c_[X, X]), ["6 features", "3 features"], ValueError),
    Call("predict one dimension", lambda: FITTED.predict(X[0]), ["eshape"], ValueError),
    Call("predict no rows", lambda: FITTED.predict(X[:0]), ["0 sample"], ValueError),
    Call("predict infinite", lambda: FITTED.predict(put(X, (7, 1), np.inf)), ["nfinity"], ValueError),
    Call("predict NaN", lambda: FITTED.predict(put(X, (7, 1), np.nan))),
    Call("predict 1e300", lambda: FITTED.predict(put(X, (7, 1), 1e300))),
    Call("predict texts", lambda: FITTED.predict(X.astype(str))),
    Call("predict words", lambda: FITTED.predict([["a", "b", "c"]]), [""], ValueError),
    Call("predict complex", lambda: FITTED.predict(X + 1j), ["omplex"], ValueError),
    Call("predict None", lambda: FITTED.predict(None), [""], ValueError),
    Call("interval of 1.5", lambda: FITTED.predict_interval(X, 1.5), ["1.5"], ValueError),
    Call("interval NaN", lambda: FITTED.predict_interval(X, float("nan")), ["nan"], ValueError),
    Call("interval of a word", lambda: FITTED.predict_interval(X, "x"), ["coverage", "number", "'x'"], ValueError),
    Call("interval of nothing", lambda: FITTED.predict_interval(X, None), ["coverage", "number"], ValueError),
    Call("interval of True", lambda: FITTED.predict_interval(X, True), ["coverage", "True"], ValueError),
    Call("quantile of a word", lambda: FITTED.predict_quantiles(X, ["a"]), ["quantiles", "numbers", "'a'"], ValueError),
    Call("quantiles of nothing", lambda: FITTED.predict_quantiles(X, None), ["quantiles", "numbers"], ValueError),
    Call("quantile of 2", lambda: FITTED.predict_quantiles(X, [2.0]), ["2.0"], ValueError),
    Call("score, targets too few", lambda: FITTED.score(X, Y[:-1]), ["39"], ValueError),
    Call("score, another class", lambda: FITTED_CLASSES.score(X, ["w"] * 40)),
    Call("load nothing", lambda: cr.load("none.chainrule"), ["none.chainrule", "no such file"]),
    Call("load a folder", lambda: cr.load("/"), ["is a directory"]),
    Call("load a number", lambda: cr.load(3.5), [""], (TypeError, ValueError)),
    Call(
        "save to no folder",
        lambda: FITTED.save("/no/where/m.chainrule"),
        ["cannot write /no/where/m.chainrule", "choose another place"],
    ),
    Call("a parameter that is not there", lambda: cr.FeedForwardRegressor(epochs=3), ["epochs"], TypeError),
    Call("set_params of another", lambda: regressor().set_params(epochs=3), ["epochs"], ValueError),
]

OPTIONS: Sequence[Call] = [
    Call(
        "hidden_layer_sizes=(3, 0)", lambda: regressor(hidden_layer_sizes=(3, 0)).fit(X, Y), ["hidden layer 2", "got 0"]
    ),
    Call("hidden_layer_sizes='a'", lambda: regressor(hidden_layer_sizes="a").fit(X, Y), ["hidden layer 1", "'a'"]),
    Call(
        "hidden_layer_sizes=1001 layers",
        lambda: regressor(hidden_layer_sizes=(2,) * 1001).fit(X, Y),
        ["at most 1000 layers"],
    ),
    Call(
        "hidden_layer_sizes beyond memory",
        lambda: regressor(hidden_layer_sizes=(10**9,)).fit(X, Y),
        ["memory", "smaller hidden layers"],
    ),
    Call("activation='relo'", lambda: regressor(activation="relo").fit(X, Y), ["no unit 'relo'", "relu"]),
    Call("activation=3", lambda: regressor(activation=3).fit(X, Y), ["a unit must be", "got 3"]),
    Call("output='gausian'", lambda: regressor(output="gausian").fit(X, Y), ["'gausian'", "gaussian"]),
    Call("output of classes", lambda: regressor(output=cr.Categorical(3)).fit(X, Y), [""]),
    Call("output of counts", lambda: regressor(output="poisson").fit(X, Y), [""]),
    option("optimizer", "adan", "adan"),
    option("optimizer", 3),
    option("learning_rate_init", -1.0),
    option("learning_rate_init", float("nan")),
    option("batch_size", 0),
    option("batch_size", "all"),
    option("max_iter", 0),
    option("max_iter", 2.5),
    option("max_iter", None),
    option("tol", -1.0),
    option("tol", "x"),
    option("n_iter_no_change", 0),
    option("early_stopping", 3),
    option("validation_fraction", 1.0),
    option("validation_fraction", -1),
    option("l1", -1.0),
    option("l2", float("nan")),
    option("group_l1", "x"),
    option("embedding", "linear"),
    option("calibrate", "yes"),
    option("n_members", 0),
    option("n_members", 2.0),
    option("n_members", 10**9),
    option("n_starts", 0),
    option("n_jobs", 0),
    option("dtype", "float16"),
    option("dtype", "x"),
    option("random_state", "x"),
    option("random_state", -1),
    option("shuffle", "x"),
    option("warm_start", "x"),
    option("network", "x"),
    option("class_weight", "even", make=classifier),
    option("class_weight", {"yes": -1}, make=classifier),
    option("class_weight", {"maybe": 1}, make=classifier),
    Call("Dense(0)", lambda: cr.Dense(0), ["0"]),
    Call("Dense(-1)", lambda: cr.Dense(-1), ["-1"]),
    Call("Dense(2.5)", lambda: cr.Dense(2.5), ["2.5"]),
    Call("Dense of another unit", lambda: cr.Dense(3, "relo"), ["relo"]),
    Call("Dropout(1)", lambda: cr.Dropout(1.0), ["1.0"]),
    Call("Dropout(-0.1)", lambda: cr.Dropout(-0.1), ["-0.1"]),
    Call("Dropout(nan)", lambda: cr.Dropout(float("nan")), ["nan"]),
    Call("Maxout of no pieces", lambda: cr.Maxout(3, 0), ["0"]),
    Call("BatchNorm of another momentum", lambda: cr.BatchNorm(momentum=2.0), ["2.0"]),
    Call("GaussianMixture(0)", lambda: cr.GaussianMixture(0), ["0"]),
    Call("GaussianMixture('x')", lambda: cr.GaussianMixture("x"), ["'x'"]),
    Call("Quantile()", lambda: cr.Quantile([]), [""]),
    Call("Quantile of 2", lambda: cr.Quantile([0.1, 2.0]), ["2.0"]),
    Call("Quantile backwards", lambda: cr.Quantile([0.9, 0.1]), ["0.9"]),
    Call("Network without an output", lambda: cr.Network([3]), ["a network needs an output"]),
    Call("Network of words", lambda: cr.Network(["x"], output=cr.Gaussian()), ["layer 1", "'x'"]),
    Call("Adam(-1)", lambda: cr.Adam(-1.0), ["-1"]),
    Call("Adam of another beta", lambda: cr.Adam(1e-3, beta1=1.5), ["1.5"]),
    Call("SGD of a momentum of 2", lambda: cr.SGD(0.1, momentum=2.0), ["momentum must be", "2"]),
    Call("L1(-1)", lambda: cr.L1(-1.0), ["-1"]),
    Call("L2('x')", lambda: cr.L2("x"), ["'x'"]),
    Call(
        "a learning rate of 1e6",
        lambda: regressor(optimizer=cr.SGD(1e6)).fit(X, Y),
        ["infinite or NaN in epoch 1", "operation", "lower the learning rate"],
    ),
    Call("LinearRegression, y too short", lambda: cr.LinearRegression().fit(X, Y[:-1]), ["40", "39"], ValueError),
    Call("LinearRegression, NaN in y", lambda: cr.LinearRegression().fit(X, put(Y, 3, np.nan)), ["NaN"], ValueError),
    Call("LinearRegression, 1e308", lambda: cr.LinearRegression().fit(np.sign(X) * 1.7e308, Y).predict(X)),
    Call(
        "LogisticRegression, one class", lambda: cr.LogisticRegression().fit(X, ["a"] * 40), ["one class"], ValueError
    ),
    Call("LogisticRegression, separable", lambda: cr.LogisticRegression().fit(X, X[:, 0] > 0).predict_proba(X)),
]

ESTIMATORS = [*DATA, *PREDICT, *OPTIONS]

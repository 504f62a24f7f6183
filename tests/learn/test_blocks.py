"""Predictions: the same on both executors to rounding, and for each row the same bits in any company."""

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.learn.blocks import BLOCK, BlockRunner, NumpyRows, _product_by_rows
from chainrule.native.rows import NativeRows

ROWS = 70
NETWORKS = {
    "maxout, batch norm, dropout": cr.Network(
        [cr.Dense(8, "gelu"), cr.BatchNorm(), cr.Dropout(0.2), cr.Maxout(5, pieces=3)], cr.Categorical(3)
    ),
    "wide": cr.Network([cr.Dense(129), cr.Dense(65, "tanh")], cr.Categorical(3)),
    "linear": cr.Network([], cr.Gaussian()),
    "mixture": cr.Network([cr.Dense(9, "softplus")], cr.GaussianMixture(4)),
    "student": cr.Network([cr.Dense(9, "elu")], cr.StudentT()),
    "laplace": cr.Network([cr.Dense(9, "leaky_relu")], cr.Laplace()),
    "quantile": cr.Network([cr.Dense(9, "sigmoid")], cr.Quantile([0.1, 0.5, 0.9])),
    "poisson": cr.Network([cr.Dense(9, lambda z: np.sin(z))], cr.Poisson()),
    "bernoulli": cr.Network([cr.Dense(9, "silu")], cr.Bernoulli()),
}


def frame(n, seed):
    """Numbers with gaps, a category with gaps, yes or no."""
    rng = np.random.default_rng(seed)
    number = rng.normal(5.0, 1e3, n)
    number[::7] = np.nan
    return pl.DataFrame(
        {
            "number": number,
            "plain": rng.normal(size=n),
            "colour": [[None, "red", "green", "blue"][k] for k in rng.integers(0, 4, n)],
            "flag": rng.random(n) < 0.5,
        }
    )


def fitted(network, dtype="float32"):
    kind = network.output.kind
    rng = np.random.default_rng(1)
    y = rng.integers(0, {"classes": 3, "binary": 2, "count": 5}.get(kind, 9), size=ROWS)
    make = cr.FeedForwardClassifier if kind in ("classes", "binary") else cr.FeedForwardRegressor
    return make(network=network, max_iter=3, random_state=0, dtype=dtype).fit(frame(ROWS, 0), y).model_


def raw(model, columns, executor):
    member = model.members[0]
    runner = BlockRunner(model.graph(BLOCK), 1 + len(member.buffers), executor)
    with np.errstate(all="ignore"):
        return runner([member.theta, *member.buffers.values()], columns)[0]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-5), ("float64", 1e-11)])
def test_both_executors_agree(name, dtype, tolerance):
    model = fitted(NETWORKS[name], dtype)
    columns = model.inputs.arrays(frame(100, 5))
    native, numpy = (raw(model, columns, executor) for executor in ("native", "numpy"))
    assert native.dtype == numpy.dtype == dtype
    np.testing.assert_allclose(native, numpy, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(native, model.raw(columns)[0])


@pytest.mark.parametrize("executor", ["native", "numpy"])
@pytest.mark.parametrize("name", ["maxout, batch norm, dropout", "wide", "student", "bernoulli"])
def test_a_row_is_predicted_alike_in_any_company(name, executor):
    model = fitted(NETWORKS[name])
    [table] = model.inputs.arrays(frame(200, 5))
    whole = raw(model, [table], executor)
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 5, 31, 32, 33, 64, 199):
        chosen = rng.integers(0, 200, size)
        assert raw(model, [table[chosen]], executor).tobytes() == whole[chosen].tobytes()


def test_models_of_one_architecture_share_their_code():
    first, second = (cr.FeedForwardRegressor((5,), embedding="none", max_iter=1, random_state=k) for k in range(2))
    x = np.random.default_rng(0).normal(size=(30, 3))
    first.fit(x, x[:, 0])
    second.fit(10 * x + 3, x[:, 1])
    one, other = first.model_._runner._run, second.model_._runner._run
    assert isinstance(one, NativeRows)
    assert one is other
    deeper = cr.FeedForwardRegressor((5, 5), max_iter=1).fit(x, x[:, 0])
    assert deeper.model_._runner._run is not one


def test_an_ensemble_and_a_model_file(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 3))
    fit = cr.FeedForwardRegressor((5,), n_members=3, max_iter=2, random_state=0).fit(x, x[:, 0])
    fit.save(tmp_path / "m.chainrule")
    again = cr.load(tmp_path / "m.chainrule")
    assert again.predict_dist(x).mean().tobytes() == fit.predict_dist(x).mean().tobytes()
    alone = np.concatenate([again.predict(x[k : k + 1]) for k in range(50)])
    assert alone.tobytes() == fit.predict(x).tobytes()


def test_numpy_where_native_code_does_not_run(monkeypatch):
    monkeypatch.setattr("chainrule.learn.blocks.native_runs", lambda: False)
    x = np.random.default_rng(0).normal(size=(50, 3))
    fit = cr.FeedForwardRegressor((5,), max_iter=2, random_state=0).fit(x, x[:, 0])
    assert isinstance(fit.model_._runner._run, NumpyRows)
    assert fit.model_.raw([x[:0]])[0].shape == (0, 2)


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3,), (3, 2)), ((4, 3), (3,)), ((4, 3), (3, 2)), ((0, 3), (3, 2))])
@pytest.mark.parametrize("batch", [((), ()), ((5,), ()), ((), (5,)), ((6, 1), (5,))])
def test_products_row_by_row_are_products(shapes, batch):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(*(more if len(s) > 1 else ()), *s)) for s, more in zip(shapes, batch, strict=True))
    found = _product_by_rows(a, b)
    assert found.shape == (a @ b).shape
    np.testing.assert_allclose(found, a @ b, rtol=1e-13, atol=1e-13)

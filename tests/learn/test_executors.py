"""Both executors train alike: the same numbers to rounding, the same bits every time."""

import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.learn.executors import epoch_runner, native_runs
from chainrule.learn.loop import NumpyEpoch
from chainrule.learn.optimizers import GD, SGD, Adam, AdamW, RMSProp
from chainrule.learn.options import Options
from chainrule.learn.penalties import L1, L2, GroupL1
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.native.loop import NativeEpoch

NETWORKS = {
    "deep": cr.Network([cr.Dense(13), cr.Dense(7, "tanh")], cr.Categorical(3)),
    "maxout, batch norm, dropout": cr.Network(
        [cr.Dense(8, "gelu"), cr.BatchNorm(), cr.Dropout(0.2), cr.Maxout(5, pieces=3)], cr.Categorical(3)
    ),
    "linear": cr.Network([], cr.Categorical(3)),
    "gaussian": cr.Network([cr.Dense(9, "silu")], cr.Gaussian()),
    "mixture": cr.Network([cr.Dense(9, "softplus")], cr.GaussianMixture(4)),
    "student": cr.Network([cr.Dense(9, "elu")], cr.StudentT()),
    "laplace": cr.Network([cr.Dense(9, "leaky_relu")], cr.Laplace()),
    "quantile": cr.Network([cr.Dense(9, "sigmoid")], cr.Quantile([0.1, 0.5, 0.9])),
    "poisson": cr.Network([cr.Dense(9, lambda z: np.sin(z))], cr.Poisson()),
    "bernoulli": cr.Network([cr.Dense(9)], cr.Bernoulli()),
}


def training(network, executor, dtype="float64", optimizer=None, penalties=None):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(77, 6))
    kind = network.output.kind
    y = rng.integers(0, {"classes": 3, "binary": 2, "count": 5}.get(kind, 2), size=77).astype(float)
    if kind == "numeric":
        y = rng.normal(size=77)
    w = rng.uniform(0.5, 2, size=77)
    options = Options(
        optimizer or Adam(0.01),
        batch_size=16,
        dtype=dtype,
        executor=executor,
        penalties=penalties or (L2(1e-3),),
        seed=3,
    )
    return Training(network, Rows.of(x, y, w, dtype), options, Rows.of(x[:20], y[:20], w[:20], dtype))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_and_outputs(name):
    native, numpy = (training(NETWORKS[name], executor) for executor in ("native", "numpy"))
    for _ in range(3):
        native.run_epoch()
        numpy.run_epoch()
    np.testing.assert_allclose(native.theta, numpy.theta, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(native.curves.training, numpy.curves.training, rtol=1e-10)
    np.testing.assert_allclose(native.curves.validation, numpy.curves.validation, rtol=1e-10)
    for key, value in native.buffers.items():
        np.testing.assert_allclose(value, numpy.buffers[key], rtol=1e-9)


@pytest.mark.parametrize(
    "optimizer",
    [GD(0.1), SGD(0.1, momentum=0.9, nesterov=True), RMSProp(), AdamW(1e-2), Adam(cr.cosine(0.1, 20))],
    ids=lambda o: type(o).__name__,
)
@pytest.mark.parametrize("penalty", [L1(0.01), GroupL1(0.01)], ids=["l1", "group_l1"])
def test_optimisers_and_penalties(optimizer, penalty):
    made = [training(NETWORKS["deep"], e, optimizer=optimizer, penalties=(penalty,)) for e in ("native", "numpy")]
    for each in made:
        each.run_epoch()
        each.run_epoch()
    np.testing.assert_allclose(made[0].theta, made[1].theta, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(made[0].theta == 0, made[1].theta == 0)


def test_float32_and_the_same_bits_every_time():
    runs = [training(NETWORKS["mixture"], e, "float32") for e in ("native", "native", "numpy")]
    for each in runs:
        each.run_epoch()
    np.testing.assert_array_equal(runs[0].theta, runs[1].theta)
    np.testing.assert_allclose(runs[0].theta, runs[2].theta, rtol=1e-4, atol=1e-5)


def test_the_default_is_native_where_it_runs():
    assert native_runs()
    assert isinstance(training(NETWORKS["linear"], "auto")._epoch, NativeEpoch)
    assert isinstance(training(NETWORKS["linear"], "numpy")._epoch, NumpyEpoch)


def test_without_llvm_training_goes_on_with_one_warning():
    code = (
        "import sys, warnings; sys.modules['llvmlite'] = None\n"
        "import numpy as np, chainrule as cr\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for seed in range(2):\n"
        "        cr.FeedForwardRegressor((4,), max_iter=2).fit(np.eye(4), np.arange(4.0)).predict(np.eye(4))\n"
        "print([str(w.message) for w in caught if 'native' in str(w.message)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("native code cannot run here") == 1


def test_an_unknown_executor_is_refused():
    graph = training(NETWORKS["linear"], "numpy").step.graph
    with pytest.raises(cr.OptionError, match="executor must be 'auto', 'native' or 'numpy', got 'gpu'"):
        epoch_runner(graph, 1, 1, 1, "gpu")

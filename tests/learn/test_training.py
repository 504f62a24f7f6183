"""The training loop: determinism, stopping, best epoch, weights, penalties, divergence."""

from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.graph.graph import check
from chainrule.learn.curves import Curves, diagnose
from chainrule.learn.full_batch import _solve
from chainrule.learn.loop import NumpyEpoch, gather
from chainrule.learn.optimizers import GD, LBFGS, SGD, Adam, AdamW, RMSProp
from chainrule.learn.options import Options
from chainrule.learn.penalties import L1, L2, GroupL1
from chainrule.learn.rows import Rows
from chainrule.learn.step import training_step
from chainrule.learn.training import Training, train


def line(n=64, noise=0.1, seed=0, columns=3):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns))
    return x, x[:, 0] - 2 * x[:, 1] + noise * rng.normal(size=n)


def squared(hidden=(), **options):
    return cr.Network(list(hidden), cr.Gaussian(variance="constant"))


def predictions(training, x):
    pieces = training.layout.unflatten(training.theta.astype(float))
    return training.network.raw(pieces, x)[:, 0]


def test_the_step_is_one_well_formed_graph():
    network = cr.Network([cr.Dense(4), cr.BatchNorm(), cr.Dropout(0.2)], cr.GaussianMixture(2))
    step = training_step(network, Adam(), 3, 1, 8, penalties=(L2(0.1), L1(0.1), GroupL1(0.1)))
    check(step.graph)
    assert next(iter(step.carry)) == "theta"
    assert step.carry["theta"].dtype == np.float32
    assert {"l1", "l2", "group_l1", "seed"} <= set(step.hyper)
    inputs = [step.graph.nodes[i].type for i in step.graph.inputs]
    outputs = [step.graph.nodes[i].type for i in step.graph.outputs]
    assert outputs[: len(step.carry)] == inputs[: len(step.carry)] == list(step.carry.values())


def test_one_step_of_gradient_descent_by_hand():
    """θ − η (Xᵀ(Xw + b − y)/n + λ w), as any textbook has it."""
    x, y = line(16)
    options = Options(GD(0.1), batch_size=16, max_epochs=1, penalties=(L2(0.5),), dtype="float64", shuffle=False)
    training = Training(squared(), Rows.of(x, y, dtype="float64"), options)
    before = training.layout.unflatten(training.theta.copy())
    training.run_epoch()
    after = training.layout.unflatten(training.theta)
    residual = x @ before["output.weight"][:, 0] + before["output.bias"] - y
    w = before["output.weight"][:, 0]
    np.testing.assert_allclose(
        after["output.weight"][:, 0], w - 0.1 * (x.T @ residual / 16 + 0.5 * w), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(after["output.bias"], before["output.bias"] - 0.1 * residual.mean(), rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_any_batch_size_learns(batch_size):
    x, y = line()
    training = train(squared(), Rows.of(x, y), Options(SGD(0.05), batch_size=batch_size, max_epochs=60, patience=60))
    residual = predictions(training, x) - y
    assert np.mean(residual**2) < 0.05 * np.var(y)


def test_same_seed_same_bits_and_another_seed_not():
    x, y = line()
    network = cr.Network([cr.Dense(8), cr.Dropout(0.3)], cr.Gaussian())

    def theta(seed):
        return train(network, Rows.of(x, y), Options(max_epochs=3, batch_size=16, seed=seed)).theta

    np.testing.assert_array_equal(theta(1), theta(1))
    assert (theta(1) != theta(2)).any()


def test_last_batch_is_padded_and_padding_counts_for_nothing():
    """An epoch over 10 rows in batches of 4 equals three steps by hand, the last over two rows."""
    x, y = line(10)
    step = training_step(squared(), GD(0.1), 3, 1, 4, dtype="float64")
    network, rows = squared(), Rows.of(x, y, dtype="float64")
    theta = network.initial(3, np.random.default_rng(0))
    runner = NumpyEpoch(step.graph, len(step.carry), len(step.hyper), 4)
    hyper = [GD(0.1).hyper()[name.removeprefix("optimizer.")] for name in step.hyper]
    carry, sums = runner([theta, np.asarray(0)], hyper, (rows.x, rows.y, rows.w), np.arange(10))
    w, b = theta[:3].copy(), theta[3]
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        residual = x[part] @ w + b - y[part]
        w, b = w - 0.1 * x[part].T @ residual / len(residual), b - 0.1 * residual.mean()
    np.testing.assert_allclose(carry[0], [*w, b], rtol=1e-12)
    assert carry[1] == 3
    assert sums[1] == 10


def test_gather_pads_with_zeros():
    np.testing.assert_array_equal(gather(np.array([1.0, 2, 3]), np.array([2]), 3), [3, 0, 0])


def test_zero_weight_is_absence_and_double_weight_is_repetition():
    x, y = line(20, noise=0.5)
    w = np.array([0.0, 2.0] + [1.0] * 18)
    repeated = [1, 1, *range(2, 20)]
    options = Options(LBFGS(), max_epochs=500, tol=1e-10, dtype="float64", penalties=(L2(0.01),))
    weighted = train(squared([cr.Dense(3, "tanh")]), Rows.of(x, y, w, "float64"), options)
    doubled = train(squared([cr.Dense(3, "tanh")]), Rows.of(x[repeated], y[repeated], None, "float64"), options)
    np.testing.assert_allclose(weighted.curves.training[-1], doubled.curves.training[-1], rtol=1e-6)


def test_early_stopping_restores_the_best_epoch():
    x, y = line(40, noise=1.0, columns=10)
    held = Rows.of(*line(200, noise=1.0, seed=5, columns=10))
    network = cr.Network([64], cr.Gaussian(variance="constant"))
    training = train(network, Rows.of(x, y), Options(Adam(0.02), batch_size=8, max_epochs=200, patience=15), held)
    assert training.epoch < 200
    assert "validation loss did not fall by more than 0.0001 for" in training.reason
    assert training.best_epoch == int(np.argmin(training.curves.validation)) + 1
    np.testing.assert_allclose(training.loss(held), min(training.curves.validation), rtol=1e-6)
    assert len(training.curves.training) == len(training.curves.validation) == training.epoch


def test_training_can_be_stopped_from_outside():
    x, y = line()
    training = train(squared(), Rows.of(x, y), Options(max_epochs=50), on_epoch=lambda t: t.epoch == 3)
    assert training.epoch == 3
    assert training.reason == "stopped on request"


def test_ten_epochs_and_ten_more_are_twenty():
    x, y = line()
    network, rows = cr.Network([8], cr.Gaussian()), Rows.of(x, y)
    options = Options(batch_size=16, max_epochs=10, patience=100)
    halves = train(network, rows, options)
    halves.resume(rows, None, options)
    halves.run()
    whole = train(network, rows, Options(batch_size=16, max_epochs=20, patience=100))
    np.testing.assert_array_equal(halves.theta, whole.theta)
    assert halves.curves.training == whole.curves.training


@pytest.mark.parametrize("optimizer", [SGD(0.01, momentum=0.9), RMSProp(), AdamW()])
def test_so_it_is_with_dropout_batch_statistics_and_any_state(optimizer):
    x, y = line()
    network = cr.Network([cr.Dense(8), cr.BatchNorm(), cr.Dropout(0.3)], cr.Gaussian())
    rows, options = Rows.of(x, y), Options(optimizer, batch_size=16, max_epochs=10, patience=100)
    halves = train(network, rows, options)
    halves.resume(rows, None, options)
    halves.run()
    whole = train(network, rows, Options(optimizer, batch_size=16, max_epochs=20, patience=100))
    for a, b in zip(halves.carry, whole.carry, strict=True):
        np.testing.assert_array_equal(a, b)


def test_lbfgs_goes_on_too():
    x, y = line()
    rows, options = Rows.of(x, y, dtype="float64"), Options(LBFGS(), max_epochs=3, dtype="float64")
    training = train(squared([cr.Dense(8, "tanh")]), rows, options)
    before = training.curves.training[-1]
    training.resume(rows, None, options)
    training.run()
    assert training.epoch == 6
    assert training.curves.training[-1] < before


def test_lbfgs_keeps_the_best_iteration_where_rows_are_held_out():
    x, y = line(30, noise=1.0, columns=10)
    held = Rows.of(*line(200, noise=1.0, seed=5, columns=10))
    training = train(squared([cr.Dense(32, "tanh")]), Rows.of(x, y), Options(LBFGS(), max_epochs=100), held)
    assert training.best_epoch < training.epoch
    np.testing.assert_allclose(training.loss(held), min(training.curves.validation), rtol=1e-6)


def test_lbfgs_can_be_stopped_from_outside():
    x, y = line()
    options = Options(LBFGS(), max_epochs=50)
    training = train(squared([cr.Dense(8, "tanh")]), Rows.of(x, y), options, on_epoch=lambda t: t.epoch == 3)
    assert training.epoch == 3
    assert training.reason == "stopped on request"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (Options(SGD(0.1)), r"training began with Adam\(lr=0.001.*, whose state SGD\(lr=0.1"),
        (Options(LBFGS()), r"whose state LBFGS\(.* cannot take over"),
        (Options(dtype="float64"), "began in float32 and cannot go on in float64"),
    ],
)
def test_what_does_not_fit_cannot_be_resumed(changed, message):
    x, y = line()
    training = train(squared(), Rows.of(x, y), Options(max_epochs=2))
    with pytest.raises(cr.OptionError, match=message):
        training.resume(Rows.of(x, y), None, changed)


def test_momentum_cannot_be_added_on_the_way():
    x, y = line()
    training = train(squared(), Rows.of(x, y), Options(SGD(0.1), max_epochs=2))
    training.resume(Rows.of(x, y), None, Options(SGD(0.01)))
    with pytest.raises(cr.OptionError, match="cannot take over"):
        training.resume(Rows.of(x, y), None, Options(SGD(0.1, momentum=0.9)))


def test_diagnosis_is_of_the_epochs_since_training_was_resumed():
    x, y = line()
    rows, held = Rows.of(x, y), Rows.of(*line(seed=1))
    training = train(squared(), rows, Options(max_epochs=5))
    assert "cannot be told apart" in training.diagnosis()
    training.resume(rows, held, Options(max_epochs=4))
    training.run()
    assert (len(training.curves.training), len(training.curves.validation), training.best_epoch) == (9, 4, 9)
    assert training.diagnosis().startswith("underfitting")
    training.resume(rows, None, Options(max_epochs=3))
    training.run()
    assert "cannot be told apart" in training.diagnosis()


@pytest.mark.parametrize("threads", [1, 2])
def test_bits_do_not_depend_on_threads(threads):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 40))
    network = cr.Network([256, 256], cr.Gaussian())
    options = Options(batch_size=256, max_epochs=2)
    any_number = train(network, Rows.of(x, x[:, 0]), options)
    given = train(network, Rows.of(x, x[:, 0]), replace(options, threads=threads))
    np.testing.assert_array_equal(given.theta, any_number.theta)
    assert given._epoch.team.members <= threads


@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(0.01)])
def test_l1_zeros_are_exact_and_optimal(optimizer):
    """Proximal steps reach the lasso's own solution: zeros where |∂J| <= λ, and |∂J| = λ elsewhere."""
    x, y = line(64, columns=8)
    options = Options(optimizer, batch_size=64, max_epochs=3000, tol=0.0, patience=3000, penalties=(L1(0.3),))
    training = train(squared(), Rows.of(x, y, dtype="float64"), Options(**{**vars(options), "dtype": "float64"}))
    w, b = training.theta[:8], training.theta[8]
    gradient = x.T @ (x @ w + b - y) / 64
    assert (w == 0).sum() >= 5
    assert (np.abs(gradient[w == 0]) <= 0.3 + 1e-9).all()
    np.testing.assert_allclose(gradient[w != 0], -0.3 * np.sign(w[w != 0]), atol=1e-5)


def test_group_l1_drops_whole_columns():
    x, y = line(200, columns=6)
    network = cr.Network([cr.Dense(8, "tanh")], cr.Gaussian(variance="constant"))
    options = Options(Adam(0.01), batch_size=200, max_epochs=400, tol=0.0, patience=400, penalties=(GroupL1(0.05),))
    training = train(network, Rows.of(x, y), options)
    first = training.layout.unflatten(training.theta)["layer1.weight"]
    dropped = (first == 0).all(axis=1)
    np.testing.assert_array_equal(dropped, [False, False, True, True, True, True])


def test_changing_hyper_parameters_builds_no_new_graph():
    x, y = line()
    training = Training(squared(), Rows.of(x, y), Options(GD(0.1), max_epochs=1, penalties=(L2(0.1),)))
    training.run_epoch()
    graph = training.step.graph
    training.options = Options(GD(0.01), max_epochs=1, penalties=(L2(0.2),))
    training.run_epoch()
    assert training.step.graph is graph


def test_divergence_is_explained():
    x, y = line()
    rows = Rows.of(1e10 * x, y)
    with pytest.raises(cr.DivergenceError) as caught:
        train(squared([cr.Dense(8)]), rows, Options(SGD(1e6), batch_size=8, max_epochs=50))
    message = str(caught.value)
    assert "training diverged in epoch" in message
    assert "infinite or NaN in batch" in message
    assert "first at" in message
    assert "lower the learning rate" in message


def test_the_state_after_divergence_is_that_of_the_epoch_before():
    x, y = line()
    training = Training(squared(), Rows.of(x, y), Options(GD(0.1), batch_size=64))
    training.run_epoch()
    before = training.theta.copy()
    training.rows = Rows.of(1e30 * x, y)
    with pytest.raises(cr.DivergenceError):
        training.run_epoch()
    np.testing.assert_array_equal(training.theta, before)


@pytest.mark.parametrize("validated", [False, True])
def test_epochs_that_nobody_watches_have_the_bits_of_those_watched(validated):
    x, y = line()
    held = Rows.of(x[:20], y[:20]) if validated else None
    options = Options(Adam(0.05), batch_size=16, max_epochs=60, patience=4, reductions=2, tol=1e-3)
    quiet = train(squared([cr.Dense(8)]), Rows.of(x, y), options, held)
    watched = train(squared([cr.Dense(8)]), Rows.of(x, y), options, held, on_epoch=lambda t: None)
    assert quiet.reduced == watched.reduced == 2
    assert (quiet.curves, quiet.reason, quiet.best_epoch) == (watched.curves, watched.reason, watched.best_epoch)
    assert [a.tobytes() for a in quiet.carry] == [a.tobytes() for a in watched.carry]


def test_diagnosis_says_which_it_is():
    falling = np.linspace(2, 1, 20).tolist()
    assert diagnose(Curves(falling, falling), 20).startswith("underfitting")
    over = Curves(np.linspace(2, 0, 20).tolist(), [2, 1.5, 1.2, 1.1, 1.15, *np.linspace(1.2, 2.5, 15)])
    assert diagnose(over, 4).startswith("overfitting: after epoch 4")
    flat = Curves([2, 1, 0.5, 0.5, 0.5], [2, 1.1, 0.55, 0.56, 0.56])
    assert diagnose(flat, 3).startswith("neither")
    assert "cannot be told apart" in diagnose(Curves([1.0], []), 1)


def test_a_limit_reached_soon_after_the_best_epoch_cut_the_training_short() -> None:
    noisy = Curves([1.0 / k for k in range(1, 21)], [1.0 / k for k in range(1, 19)] + [0.057, 0.056])
    assert diagnose(noisy, 18, limited=True).startswith("underfitting: the validation loss was still falling")
    assert diagnose(noisy, 18).startswith("neither")  # it had stopped to fall, as the epochs without progress say
    early = Curves(noisy.training, [0.1, *[0.11] * 19])
    assert not diagnose(early, 1, limited=True).startswith("underfitting")


def test_an_own_loss_trains():
    """Huber's loss, written in NumPy, resists an outlier that ruins squared error."""
    x, y = line(60, noise=0.01)
    y = y.copy()
    y[0] += 1000

    def huber(raw, y):
        r = np.abs(raw[:, 0] - y[:, 0])
        return np.where(r < 0.1, 0.5 * r**2 / 0.1, r - 0.05)

    options = Options(Adam(0.05), batch_size=60, max_epochs=800, patience=800, tol=0.0, loss=huber)
    w = train(squared(), Rows.of(x, y), options).theta[:3]
    np.testing.assert_allclose(w, [1, -2, 0], atol=0.05)


def test_no_rows():
    with pytest.raises(cr.OptionError, match="no rows to train on"):
        Training(squared(), Rows.of(np.zeros((2, 1)), np.zeros(2), np.zeros(2)), Options())


def test_a_newton_step_without_curvature_is_none():
    """Units are chosen by curvatures; where they vanish the scaled ones are infinite."""
    flat = np.array([[0.0, 10.0], [10.0, 0.0]])
    np.testing.assert_array_equal(_solve(lambda v: flat @ v, np.ones(2)), 0.0)


@pytest.mark.parametrize(
    "loss",
    [
        lambda raw, y: ((raw - y[:, 0]) ** 2).mean(axis=1),  # an array (n, n): the classic slip
        lambda raw, y: np.cumsum((raw[:, 0] - y[:, 0]) ** 2),
        lambda raw, y: (raw[:, 0] - y[:, 0]) ** 2 / np.mean(np.abs(raw)),
    ],
)
def test_an_own_loss_that_mixes_rows_is_refused(loss):
    """Got through: it trained a useless model without a word."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 2))
    model = cr.FeedForwardRegressor((4,), loss=loss, output=cr.Gaussian(variance="constant"), max_iter=2, n_members=1)
    with pytest.raises(cr.ChainruleError, match="depends on the other rows"):
        model.fit(x, 2 * x[:, 0])

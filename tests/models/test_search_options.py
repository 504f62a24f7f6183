"""Trainings that are stopped and go on, rungs, and the search of a table's settings."""

import numpy as np
import pytest

from chainrule.errors import DivergenceError, OptionError
from chainrule.learn.optimizers import LBFGS, SGD, Adam
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.fit import FitOptions
from chainrule.models.search import (
    Trial,
    at_best,
    clearly_better,
    grid,
    rungs,
    search_options,
    space_around,
    successive_halving,
    train_until,
    with_settings,
)
from chainrule.networks import Dense, Network
from chainrule.outputs import Gaussian


def rows(n=120, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    return Rows.of(x, np.sin(2 * x[:, 0]) + 0.1 * rng.standard_normal(n))


def training(lr=1e-2, patience=5, max_epochs=40, seed=0, optimizer=None):
    options = Options(optimizer or Adam(lr=lr), 16, max_epochs=max_epochs, patience=patience, reductions=1, seed=seed)
    return Training(Network((Dense(8, "tanh"),), Gaussian()), rows(), options, rows(60, 1))


@pytest.mark.parametrize("optimizer", [None, LBFGS()])
def test_a_training_in_parts_has_the_bits_of_a_whole(optimizer):
    whole, parts = training(optimizer=optimizer).run(), training(optimizer=optimizer)
    ends = [train_until(parts, epochs) for epochs in (3, 4, 17, None)]
    assert ends[0] is False
    assert ends[-1] is True
    np.testing.assert_array_equal(parts.theta, whole.theta)
    assert parts.curves.validation == whole.curves.validation
    assert (parts.epoch, parts.best_epoch, parts.reason) == (whole.epoch, whole.best_epoch, whole.reason)


def test_looking_changes_nothing():
    one, other = training(), training()
    for epochs in (5, 12):
        train_until(one, epochs)
        train_until(other, epochs)
        seen = at_best(one, lambda t: t.theta.copy())
        assert at_best(one, lambda t: t.loss(t.validation)) == pytest.approx(one.best_loss, rel=1e-6)
    assert not np.array_equal(seen, one.theta) or one.best_epoch == one.epoch
    np.testing.assert_array_equal(one.theta, other.theta)


def test_rungs():
    assert rungs(27, 270, 3) == [(27, 10), (9, 30), (3, 90), (1, None)]
    assert rungs(10, 90, 3) == [(10, 10), (4, 30), (2, None)]
    assert rungs(5, 100, None) == [(5, None)]
    assert rungs(1, 100, 3) == [(1, None)]
    with pytest.raises(OptionError, match="factor must be larger than 1"):
        rungs(5, 100, 1)


@pytest.mark.parametrize("workers", [1, 3])
def test_halving_keeps_the_better_and_threads_change_no_bits(workers):
    trials = [Trial({"lr": lr}, [training(lr, seed=s) for s in (0, 1)]) for lr in (1e-6, 1e-5, 1e-2, 1e-4)]
    best = successive_halving(trials, lambda t, k: -t.trainings[k].best_loss, rungs(4, 40, 2), workers)
    assert best.settings == {"lr": 1e-2}
    assert [t.rung for t in trials] == [1, 1, 3, 2]
    assert [t.epochs for t in trials[:2]] == [20, 20]
    for seed in (0, 1):
        np.testing.assert_array_equal(best.trainings[seed].theta, training(1e-2, seed=seed).run().theta)


def test_trials_that_diverge_are_left_behind():
    wild = SGD(lr=1e12)
    trials = [Trial({"k": k}, [training(optimizer=o)]) for k, o in enumerate([wild, Adam(), wild])]
    best = successive_halving(trials, lambda t, k: -t.trainings[k].best_loss, rungs(3, 40, 3))
    assert best.settings == {"k": 1}
    assert trials[0].score == -np.inf
    with pytest.raises(DivergenceError, match="every trial failed"):
        successive_halving([Trial({}, [training(optimizer=wild)])], lambda t, k: 0.0, [(1, None)])


def test_grid():
    assert grid({"a": [1, 2], "b": "xy"}) == [{"a": a, "b": b} for a in (1, 2) for b in "xy"]


def test_options_of_a_table():
    options = FitOptions(layers=(Dense(8),), optimizer=Adam(lr=1e-5), max_epochs=30, batch_size=16)
    parts = [(rows(), rows(60, 1)), (rows(90, 3), rows(40, 4))]
    best, search = search_options(Gaussian(), parts, options)
    assert best.optimizer.lr == pytest.approx(3e-5)
    assert len(search.tried) == 3 * 3 * 2 * 3
    first = search.tried[0]
    assert with_settings(options, first.settings) == best
    assert first.loss == min(t.loss for t in search.tried if t.rung == first.rung)
    given = next(t for t in search.tried if t.settings["learning_rate"] == 1e-5 and t.rung > 1)
    assert given.loss > first.loss
    lines = search.lines(3)
    assert lines[0].split() == ["learning_rate", "l2", "layers", "batch_size", "loss", "epochs"]
    assert lines[-1] == "and 51 more, left behind earlier"
    with pytest.raises(OptionError, match="validation"):
        search_options(Gaussian(), [(rows(), None)], options)
    with pytest.raises(OptionError, match="learning rate"):
        space_around(FitOptions(optimizer=LBFGS()), 100)


def test_what_is_given_stays_unless_beaten_clearly():
    assert clearly_better(np.array([1.0, 1.2, 1.1]), np.zeros(3))
    assert not clearly_better(np.array([1.0, -0.8, 0.1]), np.zeros(3))  # the standard error is 0.52
    assert clearly_better(np.array([0.1]), np.zeros(1))
    assert not clearly_better(np.zeros(2), np.zeros(2))

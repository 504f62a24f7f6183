"""A training goes on from any moment to the same bits."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import CheckpointError
from chainrule.learn.checkpoint import Snapshot, restore, snapshot
from chainrule.learn.identity import identity
from chainrule.learn.loop import NumpyEpoch
from chainrule.learn.optimizers import LBFGS, SGD, Adam
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.fit import FitOptions
from chainrule.networks import Network

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
Y = X[:, 0] + np.sin(2.0 * X[:, 1])
ROWS, HELD = Rows.of(X[:70], Y[:70]), Rows.of(X[70:], Y[70:])
CASES = {
    "plain": ([cr.Dense(5, "silu")], Options(Adam(0.01), batch_size=8, max_epochs=6, patience=50), None),
    "dropout": ([cr.Dense(5, "relu"), cr.Dropout(0.3)], Options(batch_size=16, max_epochs=6, patience=50), HELD),
    "batch norm": ([cr.Dense(5), cr.BatchNorm()], Options(batch_size=8, max_epochs=6, patience=50), HELD),
    "momentum": ([cr.Dense(4, "tanh")], Options(SGD(0.01, momentum=0.9), batch_size=70, max_epochs=9), HELD),
    "reductions": ([cr.Dense(9)], Options(Adam(0.3), batch_size=8, max_epochs=40, patience=2, reductions=2), HELD),
    "L-BFGS": ([cr.Dense(4, "tanh")], Options(LBFGS(), max_epochs=15), HELD),
    "L-BFGS, L1, float64": ([], Options(LBFGS(), dtype="float64", penalties=(cr.L1(0.01),), max_epochs=30), None),
}


class Left(Exception):
    """Somebody pulled the plug."""


def new(case: str) -> Training:
    layers, options, held = CASES[case]
    rows, held = (Rows.of(r.x, r.y, r.w, options.dtype) if r else None for r in (ROWS, held))
    return Training(Network(layers, cr.Gaussian()), rows, options, held)


def bits(training: Training) -> list[bytes]:
    curves = training.curves.training + training.curves.validation
    facts = (training.epoch, training.best_epoch, training.reason, training.reduced, training.diagnosis())
    return [a.tobytes() for a in training.carry] + [np.array(curves).tobytes(), repr(facts).encode()]


@pytest.fixture(autouse=True)
def cut_after_every_step(monkeypatch):
    monkeypatch.setattr(Training, "_segment", lambda training: training.step.batch_size)


@pytest.mark.parametrize("case", CASES)
def test_goes_on_from_every_step_to_the_same_bits(case):
    wanted = bits(new(case).run())
    moments: list[Snapshot] = []
    watched = new(case)
    cut = watched.run(on_segment=lambda t: moments.append(snapshot(t.names, t.state())))
    assert bits(cut) == wanted  # cutting epochs changes nothing
    steps = len(moments)
    assert steps > 8
    for k in sorted({0, 1, 2, steps - 1, *np.random.default_rng(1).integers(steps, size=8).tolist()}):
        again = new(case)
        restore(again, moments[k])
        assert bits(again.run()) == wanted


def test_leaving_by_an_exception_and_going_on_in_place():
    training, calls = new("dropout"), []

    def leave(t: Training) -> None:
        calls.append(t.epoch)
        if len(calls) % 3 == 0:
            raise Left

    while True:
        try:
            training.run(on_segment=leave)
            break
        except Left:
            pass
    assert bits(training) == bits(new("dropout").run())


def test_epochs_in_parts_have_the_sums_of_a_whole():
    training = new("plain")
    data = (ROWS.x, ROWS.y, ROWS.w)
    order = training.order(1)
    for runner in (training._epoch, NumpyEpoch(training.step.graph, len(training.carry), len(training.hyper()), 8)):
        whole, sums = runner(training.carry, training.hyper(), data, order)
        carry, parts = training.carry, None
        for start in range(0, len(order), 24):
            given = None if parts is None else parts.copy()
            carry, new_parts = runner(carry, training.hyper(), data, order[start : start + 24], parts)
            assert given is None or (given == parts).all()  # not modified
            parts = new_parts
        assert sums.tobytes() == parts.tobytes()
        assert [a.tobytes() for a in whole] == [a.tobytes() for a in carry]


@pytest.mark.parametrize("damage", ["carry.theta", "numbers", "best.t", "training_loss"])
def test_an_incomplete_state_is_refused(damage):
    training = new("plain")
    taken = snapshot(training.names, training.state())
    del taken.arrays[damage]
    with pytest.raises(CheckpointError, match="incomplete"):
        restore(new("plain"), taken)


def test_a_state_of_another_network_is_refused():
    training = new("momentum")
    with pytest.raises(CheckpointError, match="incomplete"):
        restore(new("plain"), snapshot(training.names, training.state()))


def test_identity_names_what_differs():
    def differing(layers, *others):
        mine = identity(Network([], cr.Gaussian()), [(ROWS, HELD)], FitOptions())
        given = identity(Network(layers, cr.Gaussian()), *others)
        return {name for name in mine if mine[name] != given[name]}

    assert differing([], [(ROWS, HELD)], FitOptions(threads=2)) == set()
    assert differing([], [(HELD, HELD)], FitOptions()) == {"training rows"}
    assert differing([], [(ROWS, ROWS)], FitOptions(patience=3)) == {"validation rows", "patience"}
    assert differing([cr.Dense(2)], [(ROWS, HELD)], FitOptions(loss=bits)) == {"network", "loss"}


def test_divergence_is_named_and_the_learning_rate_halved():
    options = Options(SGD(1e6), batch_size=8, max_epochs=30, patience=30, on_divergence="halve")
    training = Training(Network([cr.Dense(8)], cr.Gaussian()), ROWS, options, HELD)
    with pytest.warns(
        UserWarning, match=r"in batch \d+ \(step \d+\), first at .*; going on from epoch \d+ with"
    ) as said:
        training.run()
    assert str(said[0].message).endswith("from epoch 0 with the learning rate 500000")
    assert len(said) == training.halved
    assert np.isfinite(training.theta).all()
    assert training.halved > 5
    assert training.epoch == 30
    assert 0 < training.best_epoch <= training.epoch


def test_halving_does_not_go_on_for_ever():
    rows = Rows.of(np.where(np.arange(210).reshape(70, 3) == 3, 1e300, X[:70]), Y[:70])
    options = Options(batch_size=8, on_divergence="halve")
    with pytest.warns(UserWarning, match="diverged"), pytest.raises(cr.DivergenceError, match="row 1"):
        Training(Network([cr.Dense(8)], cr.Gaussian()), rows, options).run()


def test_halvings_are_part_of_the_state():
    options = Options(SGD(300.0), batch_size=8, max_epochs=6, patience=30, on_divergence="halve")

    def made() -> Training:
        return Training(Network([cr.Dense(8)], cr.Gaussian()), ROWS, options, HELD)

    moments: list[Snapshot] = []
    with pytest.warns(UserWarning, match="diverged"):
        wanted = bits(made().run(on_segment=lambda t: moments.append(snapshot(t.names, t.state()))))
    again = made()
    restore(again, moments[-3])
    assert again.halved > 0
    assert bits(again.run()) == wanted

"""Members of an ensemble: which rows each holds out, and whether an embedding is taken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
import chainrule.models.model as of_models
from chainrule.models.fit import hold_out
from chainrule.networks import PiecewiseLinear


@given(st.integers(20, 200), st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5]), st.integers(1, 12))
def test_members_hold_out_disjoint_rows(n, fraction, members):
    splits = hold_out(n, fraction, 0, members)
    assert len(splits) == min(members, round(1 / fraction))
    held = np.concatenate([h for _, h in splits])
    assert len(held) == len(set(held))
    for kept, out in splits:
        assert sorted([*kept, *out]) == list(range(n))
        assert abs(len(out) - fraction * n) <= 1
    if len(splits) == round(1 / fraction):
        assert len(held) == n


def test_classes_keep_their_shares_and_lone_rows_are_trained_on():
    strata = np.repeat([0, 1, 2], [80, 20, 1])
    for kept, out in hold_out(101, 0.2, 3, 5, strata):
        assert np.bincount(strata[out]).tolist() == [16, 4]
        assert 100 in kept


def test_no_fraction_holds_out_nothing():
    ((kept, out),) = hold_out(7, 0.0, 0, 5)
    assert len(kept) == 7
    assert len(out) == 0
    ((kept, out),) = hold_out(10, 0.7, 0, 5)
    assert len(out) == 7
    with pytest.raises(cr.OptionError, match=r"must lie in \[0, 1\)"):
        hold_out(10, 1.0, 0, 5)


def embedded(model):
    return isinstance(model.model_.network.layers[0], PiecewiseLinear)


def test_an_embedding_is_taken_where_it_helps():
    rng = np.random.default_rng(0)
    x, z = rng.uniform(size=(600, 2)), rng.uniform(size=(600, 6))
    noise = 0.1 * rng.normal(size=600)
    jumps = np.where(np.floor(10 * x[:, 0]) % 2 == 0, 1.0, -1.0) + noise
    smooth = np.sin(z.sum(axis=1)) + noise
    options = {"hidden_layer_sizes": (16,), "max_iter": 60, "random_state": 0}
    assert embedded(cr.FeedForwardRegressor(**options).fit(x, jumps))
    assert not embedded(cr.FeedForwardRegressor(**options).fit(z, smooth))
    assert not embedded(cr.FeedForwardRegressor(embedding="none", **options).fit(x, jumps))
    assert not embedded(cr.FeedForwardRegressor(group_l1=1e-3, **options).fit(x, jumps))
    with pytest.raises(cr.OptionError, match="embedding must be one of auto, none, piecewise"):
        cr.FeedForwardRegressor(embedding="periodic").fit(x, jumps)


def test_numbers_of_many_members_are_read_part_by_part(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    model = cr.FeedForwardRegressor((4,), n_members=3, max_iter=2, random_state=0, output="mixture:2").fit(X, X[:, 0])
    wanted = model.predict(X), model.predict_interval(X), model.predict_quantiles(X)
    rows = []
    whole = of_models.Model.distribution

    def noted(self, columns):
        rows.append(len(columns[0]))
        return whole(self, columns)

    monkeypatch.setattr(of_models.Model, "distribution", noted)
    monkeypatch.setattr(of_models, "_AT_ONCE", 3 * 6 * 64)
    for one, other in zip(
        wanted, (model.predict(X), model.predict_interval(X), model.predict_quantiles(X)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert rows == [64, 64, 64, 64, 44] * 3


def test_distributions_beyond_memory_are_refused(monkeypatch):
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = cr.FeedForwardRegressor((4,), n_members=3, max_iter=2, random_state=0).fit(X, X[:, 0])
    monkeypatch.setattr("chainrule.memory.machine_memory", lambda: 24 * 300 * 3 * 2)
    assert model.predict_dist(X).mean().shape == (300,)
    with pytest.raises(cr.errors.OutOfMemoryError, match=r"301 rows by 3 networks takes .* use fewer rows"):
        model.predict_dist(np.resize(X, (301, 2)))


def test_members_share_the_graph_of_their_outputs(monkeypatch):
    from chainrule.learn import step
    from chainrule.models import fit as module

    traced, trace = [], step.prediction_graph
    monkeypatch.setattr(
        step, "prediction_graph", lambda *args, **options: traced.append(args) or trace(*args, **options)
    )
    module._predictor.cache_clear()
    x = np.random.default_rng(0).normal(size=(60, 2))
    net = cr.FeedForwardRegressor((5,), n_members=4, max_iter=2, embedding="none", random_state=0, tol=0).fit(
        x, x[:, 0]
    )
    assert len(traced) == 1
    a, b = (module.raw_outputs(t, t.rows.x[:3]) for t in net.trainings_[:2])
    assert not np.array_equal(a, b)

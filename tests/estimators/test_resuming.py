"""Going on with training: warm_start and partial_fit."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

import chainrule as cr

X, y = load_diabetes(return_X_y=True)
STEADY = {"early_stopping": False, "random_state": 0, "n_iter_no_change": 1000, "batch_size": 32}


def regressor(**options):
    return cr.FeedForwardRegressor(**{"hidden_layer_sizes": (8,), "max_iter": 10, **STEADY, **options})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "float64", "optimizer": cr.SGD(0.01, momentum=0.9)},
        {"hidden_layer_sizes": [cr.Dense(8), cr.BatchNorm(), cr.Dropout(0.2)], "n_members": 2, "l1": 1e-3},
    ],
    ids=["adam", "momentum", "dropout"],
)
def test_ten_and_ten_are_twenty(options):
    whole = regressor(**options | {"max_iter": 20}).fit(X, y)
    halves = regressor(warm_start=True, **options).fit(X, y).fit(X, y)
    steps = regressor(**options)
    for _ in range(20):
        steps.partial_fit(X, y)
    for other in (halves, steps):
        for a, b in zip(other.trainings_, whole.trainings_, strict=True):
            for mine, theirs in zip(a.carry, b.carry, strict=True):
                np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(other.predict(X), whole.predict(X))
        assert other.loss_curve_ == whole.loss_curve_
        assert other.n_iter_ == 20


def test_validation_rows_may_come_and_go():
    model = regressor(max_iter=5, warm_start=True).fit(X[:300], y[:300])
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert (len(model.loss_curve_), len(model.validation_loss_curve_), model.n_iter_) == (10, 5, 10)
    assert 5 < model.best_epoch_ <= 10
    assert "cannot be told apart" not in model.diagnosis_
    model.fit(X[:300], y[:300])
    assert (len(model.loss_curve_), len(model.validation_loss_curve_)) == (15, 5)
    assert "cannot be told apart" in model.diagnosis_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer changed from Adam to SGD; set it back, or start anew with warm_start=False"),
        ({"optimizer": "lbfgs"}, "optimizer changed from Adam to LBFGS"),
        ({"hidden_layer_sizes": (8, 8)}, r"hidden_layer_sizes \(with activation\) changed from \[Dense\(8, 'silu'\)\]"),
        ({"activation": "tanh"}, r"hidden_layer_sizes \(with activation\) changed .* to \[Dense\(8, 'tanh'\)\]"),
        ({"network": cr.Network([4], cr.Gaussian())}, r"network changed from \[Dense\(8, 'silu'\)\] to \[Dense\(4"),
        ({"output": "laplace"}, "output changed from Gaussian.* to Laplace"),
        ({"n_members": 2}, "n_members changed from 5 to 2"),
        ({"dtype": "float64"}, "dtype changed from float32 to float64"),
        ({"output": cr.Gaussian("constant"), "loss": lambda r, y: (r[:, 0] - y[:, 0]) ** 2}, "output changed"),
    ],
)
def test_what_shapes_the_networks_must_stay(change, message):
    model = regressor(warm_start=True, max_iter=2).fit(X, y).set_params(**change)
    before = model.model_
    with pytest.raises(cr.OptionError, match=message):
        model.fit(X, y)
    assert model.model_ is before
    if change.get("optimizer") != "lbfgs":
        with pytest.raises(cr.OptionError, match=message):
            model.partial_fit(X, y)
    model.set_params(warm_start=False).fit(X, y)


def test_a_loss_cannot_come_on_the_way():
    model = regressor(warm_start=True, max_iter=2, output=cr.Gaussian("constant")).fit(X, y)
    model.set_params(loss=lambda r, y: (r[:, 0] - y[:, 0]) ** 2)
    with pytest.raises(cr.OptionError, match="loss changed from none to one of your own"):
        model.fit(X, y)


def test_numbers_may_change():
    model = regressor(warm_start=True, max_iter=2).fit(X, y).set_params(learning_rate_init=0.01, l2=0.1, batch_size=64)
    assert model.fit(X, y).n_iter_ == 4
    assert model.partial_fit(X, y).trainings_[0].options.optimizer.lr == 0.01


def test_lbfgs_goes_on():
    model = regressor(warm_start=True, max_iter=3, optimizer="lbfgs").fit(X, y)
    before = model.loss_curve_[-1]
    assert model.fit(X, y).loss_curve_[-1] < before
    assert model.n_iter_ == 6


def test_classes_and_columns_stay():
    X, y = load_iris(return_X_y=True)
    model = cr.FeedForwardClassifier((4,), max_iter=2, warm_start=True, random_state=0).fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"y has class 2 in row 100, which is none of \[0, 1\]"):
        model.fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but FeedForwardClassifier is expecting 4"):
        model.fit(X[:100, :3], y[:100])
    assert model.fit(X[:50], y[:50]).predict_proba(X).shape == (150, 2)  # one class alone will do now
    with pytest.raises(ValueError, match=r"classes \[0, 1, 2\] differ from those of the first call, \[0, 1\]"):
        model.partial_fit(X, y, classes=np.arange(3))


def test_a_loaded_model_is_not_replaced_unasked(tmp_path):
    regressor(max_iter=2).fit(X, y).save(tmp_path / "m.chainrule")
    model = cr.load(tmp_path / "m.chainrule").set_params(warm_start=True, max_iter=3)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(cr.OptionError, match="a model file holds no optimizer's state to go on from; fit with"):
            call(X, y)
    assert model.n_iter_ == 2
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ == 3


def test_partial_fit_trains_all_members():
    model = regressor(n_members=3).partial_fit(X, y)
    assert len(model.model_.members) == 3
    assert len({m.theta.tobytes() for m in model.model_.members}) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early_stopping": True}, "partial_fit holds no rows out"),
        ({"n_starts": 2}, "cannot choose among n_starts trainings"),
        ({"optimizer": "lbfgs"}, "partial_fit needs an optimizer of mini-batches"),
        ({"calibrate": "scale"}, "holds no rows out to calibrate"),
    ],
)
def test_what_one_epoch_cannot_do(options, message):
    assert not hasattr(regressor(**options), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        regressor(**options).partial_fit(X, y)
    assert message in str(caught.value.__cause__)
    assert hasattr(regressor(), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        cr.FeedForwardClassifier(class_weight="balanced").partial_fit(X, y > 100)
    assert "give class_weight as a dict" in str(caught.value.__cause__)
    assert hasattr(cr.FeedForwardClassifier(class_weight={0: 1.0}), "partial_fit")


@pytest.mark.parametrize("calibrate", ["none", "conformal"])
def test_rows_held_out_stay_those_not_trained_on_whatever_the_seed(calibrate):
    model = cr.FeedForwardRegressor((8,), max_iter=3, n_members=2, warm_start=True, calibrate=calibrate)
    held = [t.validation for t in model.fit(X, y).trainings_]
    for again, before in zip(model.fit(X, y).trainings_, held, strict=True):
        np.testing.assert_array_equal(again.validation.x, before.x)
    model.set_params(random_state=5).fit(X, y)
    np.testing.assert_array_equal(model.trainings_[1].validation.x, held[1].x)

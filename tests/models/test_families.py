"""The output chosen by validation likelihood: what made the data is found, and spikes win nothing."""

import numpy as np
import polars as pl
import pytest

import chainrule as cr
from chainrule.cli import run
from chainrule.models.families import _Cells, _cells, _log_mass, is_whole
from chainrule.outputs import Normal
from chainrule.tables import TargetEncoder

QUICK = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.01, "embedding": "none"}


def data(kind, n=900, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    mean = 1.0 + x[:, 0] + 0.5 * x[:, 1]
    noise = rng.standard_normal(n)
    return x, {
        "gaussian": mean + 0.3 * noise,
        "heavy": mean + 0.1 * rng.standard_t(1.5, n),
        "branches": rng.choice([-1.0, 1.0], n) * (2.0 + mean) + 0.1 * noise,
        "counts": rng.poisson(np.exp(mean)).astype(float),
        "grades": np.clip(np.round(5.0 + 1.5 * x[:, 0] + 0.6 * noise), 3, 8),
        "zeros": np.where(rng.random(n) < 0.6, 0.0, np.exp(mean + noise)),
    }[kind]


def fitted(kind, **options):
    est = cr.FeedForwardRegressor(output="auto", n_members=3, random_state=0, **(QUICK | options))
    return est.fit(*data(kind))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("gaussian", {"gaussian"}),
        ("heavy", {"student_t", "laplace"}),
        ("branches", {"gaussian_mixture"}),
        ("counts", {"poisson"}),
    ],
)
def test_the_family_that_made_the_data_is_found(kind, names):
    model = fitted(kind)
    assert model.model_.output.name in names
    x, y = data(kind, seed=1)
    usual = cr.FeedForwardRegressor(output="gaussian", n_members=3, random_state=0, **QUICK).fit(*data(kind))
    gain = model.predict_dist(x).logpdf(y).mean() - usual.predict_dist(x).logpdf(y).mean()
    assert gain > (-1e-12 if kind == "gaussian" else 0.05)
    assert model.model_.facts["output_choice"].startswith(model.model_.output.name)


@pytest.mark.parametrize("kind", ["counts", "branches"])
def test_the_same_as_naming_it(kind):
    """Members tried on the way are the members of a fit with that output, bit for bit."""
    auto = fitted(kind)
    named = cr.FeedForwardRegressor(output=auto.model_.output, n_members=3, random_state=0, **QUICK).fit(*data(kind))
    x = data(kind, seed=2)[0]
    np.testing.assert_array_equal(auto.predict(x), named.predict(x))


@pytest.mark.filterwarnings("ignore:likelihood spikes")
@pytest.mark.parametrize("kind", ["grades", "zeros"])
def test_spikes_win_nothing(kind):
    """A mixture's density on values that repeat is as high as one likes; it is not chosen for that."""
    x, y = data(kind)
    long = QUICK | {"hidden_layer_sizes": (32, 32), "max_iter": 1000, "early_stopping": False}
    mixture = cr.FeedForwardRegressor(output="mixture", n_members=1, random_state=0, **long).fit(x, y)
    assert "likelihood spikes" in mixture.model_.facts["spikes"]
    model = fitted(kind)
    assert model.model_.output.name != "gaussian_mixture"
    assert not model.model_.facts["spikes"] or model.model_.output.name == "gaussian"
    if kind == "zeros":
        assert "gaussian_mixture (likelihood spikes)" in model.model_.facts["output_choice"]


def test_probabilities_of_cells_add_up_to_one():
    y = np.arange(-40.0, 41.0)
    wide = Normal(np.zeros(81), np.full(81, 3.0))
    cells = _cells(y, 1.0)
    assert np.exp(_log_mass(wide, y, wide.logpdf(y), cells)).sum() == pytest.approx(1.0, abs=1e-12)
    narrow = Normal(np.zeros(81), np.full(81, 1e-9))  # a spike: probability 1, not a density of 4e8
    logs = _log_mass(narrow, y, narrow.logpdf(y), cells)
    assert logs[40] == pytest.approx(0.0, abs=1e-12)
    assert np.isfinite(logs[np.abs(y) < 1e-3]).all()
    assert (logs[np.abs(y) > 0.5] < np.log(1e-11)).all()


def test_cells_lie_half_way_between_values():
    cells = _cells(np.array([3.0, 0.0, 1.0, 0.0]), None)
    np.testing.assert_array_equal(cells, _Cells([0.0, 1.0, 3.0], [-0.5, 0.5, 2.0], [0.5, 2.0, 4.0]))


def test_whole_numbers_are_known_after_rounding():
    target = TargetEncoder(("y",), "numeric", ((),), (5.6,), (0.8,))
    y = np.random.default_rng(0).integers(3, 9, (100, 1)).astype(float)
    back = ((y - 5.6) / 0.8).astype(np.float32).astype(float) * 0.8 + 5.6
    assert is_whole(back, np.dtype(np.float32), target)
    assert not is_whole(back + 0.01, np.dtype(np.float32), target)
    assert not is_whole(back + 1e9, np.dtype(np.float32), target)  # nothing is known of fractions there


def test_without_rows_held_out_it_is_gaussian():
    model = fitted("heavy", early_stopping=False)
    assert model.model_.output.name == "gaussian"
    assert model.model_.facts["output_choice"] == ""


def test_training_goes_on_with_what_was_chosen():
    x, y = data("counts")
    model = fitted("counts", warm_start=True, max_iter=15)
    before = model.trainings_[0].epoch
    model.fit(x, y)
    assert model.model_.output.name == "poisson"
    assert model.trainings_[0].epoch > before
    model.partial_fit(x, y)
    assert model.model_.output.name == "poisson"


def test_several_targets():
    x, y = data("gaussian")
    z = data("heavy")[1]
    est = cr.FeedForwardRegressor(output="auto", n_members=1, random_state=0, **QUICK)
    both = est.fit(x, np.stack([y, z], axis=1))
    assert both.model_.output.name == "student_t"
    whole = est.fit(x, np.stack([y, np.round(z)], axis=1))
    assert whole.model_.output.name == "gaussian"  # of which nothing could be said by density


def test_command_line(tmp_path, capsys):
    x, y = data("counts")
    table, model = tmp_path / "data.csv", tmp_path / "y.chainrule"
    pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y.astype(int)}).write_csv(table)
    kind = ["--target", "y", "--type", "y=numeric", "--output", "auto", "--model", str(model)]
    assert run(["fit", str(table), *kind, "--hidden", "16", "--members", "1", "--epochs", "30"]) == 0
    said = capsys.readouterr().out
    assert "output: auto, because it was asked for, and 'y' has numbers" in said
    assert "output: poisson, by log-probability per validation row" in said
    assert cr.load(model).model_.output.name == "poisson"
    assert run(["score", str(model), str(table)]) == 0

import numpy as np
import pytest

from chainrule.errors import OptionError
from chainrule.outputs import Bernoulli, Categorical, CategoricalDistribution

rng = np.random.default_rng(0)


def test_probabilities_are_the_softmax():
    d = Categorical(3).distribution(np.log([[1.0, 2.0, 5.0]]))
    np.testing.assert_allclose(d.probabilities, [[0.125, 0.25, 0.625]])
    np.testing.assert_array_equal(d.mean(), d.probabilities)
    np.testing.assert_allclose(d.var(), [[0.125 * 0.875, 0.25 * 0.75, 0.625 * 0.375]])
    np.testing.assert_array_equal(d.mode(), [2])
    np.testing.assert_allclose(d.pmf(1), [0.25])
    for none in (-1, 3, 0.5, np.nan):
        assert d.pmf(none)[0] == 0
    assert d.entropy()[0] == pytest.approx(-np.sum(d.probabilities * np.log(d.probabilities)))


def test_two_classes_are_a_bernoulli():
    logits, y = rng.normal(size=(20, 1)), rng.integers(2, size=(20, 1)).astype(float)
    both = np.concatenate([np.zeros((20, 1)), logits], axis=1)
    np.testing.assert_allclose(Categorical(2).nll(both, y), Bernoulli().nll(logits, y), rtol=1e-12)
    one, two = Bernoulli().distribution(logits), Categorical(2).distribution(both)
    np.testing.assert_allclose(two.crps(y[:, 0]), one.crps(y[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(two.entropy(), one.entropy(), rtol=1e-12)


def test_classes_have_no_order():
    d = Categorical(3).distribution(np.zeros((2, 3)))
    for call in (lambda: d.cdf(1), lambda: d.sf(1), lambda: d.ppf(0.5), lambda: d.median(), lambda: d.interval(0.9)):
        with pytest.raises(OptionError, match="no order"):
            call()


def test_samples_have_the_probabilities():
    d = Categorical(3).distribution(np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 1e-9]]))
    draws = d.rvs(50_000, random_state=0)
    seen = np.stack([(draws == k).mean(axis=0) for k in range(3)], axis=1)
    np.testing.assert_allclose(seen, d.probabilities, atol=0.01)


def test_starts_at_class_frequencies():
    output, y = Categorical(3), np.array([[0.0], [0.0], [1.0], [0.0]])
    p = output.distribution(output.initial_raw(y)[None]).probabilities[0]
    assert p[0] / p[1] == pytest.approx(3.0)
    assert p[2] == pytest.approx(p[1] / 2)
    weighted = output.distribution(output.initial_raw(y, np.array([1, 0, 6.0, 0]))[None]).probabilities[0]
    assert weighted[1] / weighted[0] == pytest.approx(6.0)


@pytest.mark.parametrize("y", [0, 1])
def test_confident_logits_lose_no_digit(y):
    raw, target = np.array([[30.0]], np.float32), np.array([[y]], np.float32)
    exact = np.log1p(np.exp(-30.0)) + (1 - y) * 30.0
    assert Bernoulli().nll(raw, target)[0] == pytest.approx(exact, rel=1e-6)


def test_label_smoothing_is_the_loss_of_tossed_labels():
    raw = rng.normal(size=(5, 4))
    every = np.stack([Categorical(4).nll(raw, np.full((5, 1), float(k))) for k in range(4)])
    y = np.full((5, 1), 2.0)
    np.testing.assert_allclose(Categorical(4, 0.2).nll(raw, y), 0.8 * every[2] + 0.2 * every.mean(axis=0))
    zero, one = (Bernoulli().nll(raw, np.full((5, 4), v)) for v in (0.0, 1.0))
    np.testing.assert_allclose(Bernoulli(0.2).nll(raw, np.ones((5, 4))), 0.9 * one + 0.1 * zero)


def test_repr():
    assert repr(CategoricalDistribution(np.log(np.full((2, 4), 0.25)))) == (
        "<CategoricalDistribution, 2 rows, 4 classes>"
    )

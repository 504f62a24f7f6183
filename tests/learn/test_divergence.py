"""Divergence in words: the loss of training and of validation rows, and numbers that a dtype cannot hold."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.learn.divergence import readable
from chainrule.learn.optimizers import GD, LBFGS, SGD, Adam
from chainrule.learn.options import Options
from chainrule.learn.penalties import L2
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training, train


def line(n=64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    return x, x[:, 0] - 2 * x[:, 1]


NETWORK = cr.Network([cr.Dense(4, "tanh")], cr.Gaussian(variance="constant"))


@pytest.mark.parametrize("executor", ["native", "numpy"])
def test_a_validation_loss_that_is_not_finite_is_an_error(executor):
    x, y = line()
    far = y.copy()
    far[41] = 1e30  # its square is infinite in float32
    training = Training(NETWORK, Rows.of(x, y), Options(executor=executor), Rows.of(x, far))
    before = training.theta.copy()
    with pytest.raises(cr.DivergenceError, match=r"the validation loss became infinite or NaN in epoch 1 .*, row 41;"):
        training.run_epoch()
    np.testing.assert_array_equal(training.theta, before)
    assert (training.epoch, training.curves.training, training.curves.validation) == (0, [], [])


def test_so_it_is_with_lbfgs():
    x, y = line()
    held = Rows.of(x, 1e30 * y)
    with pytest.raises(cr.DivergenceError, match="the validation loss became infinite or NaN"):
        train(NETWORK, Rows.of(x, y), Options(LBFGS()), held)


def test_inputs_are_called_by_their_names():
    x, y = line()
    x[5, 0] = 1e200
    with pytest.raises(cr.DivergenceError, match=r"in batch 1 \(step 1\), first at the inputs x, row 5;"):
        train(NETWORK, Rows.of(x, y), Options(batch_size=64, shuffle=False))
    x, y = line()
    training = Training(NETWORK, Rows.of(x, y), Options())
    training.set_theta(np.full(len(training.theta), np.inf))
    with pytest.raises(cr.DivergenceError, match=r"first at the parameters;"):
        training.run_epoch()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(SGD(1e300)), r"the learning rate is 1e\+300, which float32 cannot hold; give a smaller number"),
        (Options(Adam(1e-300)), "the learning rate is 1e-300, which is zero in float32; give a larger number"),
        (Options(Adam(eps=1e-300)), "the optimizer's eps is 1e-300, which is zero in float32"),
        (Options(penalties=(L2(1e40),)), r"l2 is 1e\+40, which float32 cannot hold"),
    ],
)
def test_numbers_beyond_the_dtype_are_refused_before_training(options, message):
    x, y = line()
    with pytest.raises(cr.OptionError, match=message):
        Training(NETWORK, Rows.of(x, y), options)
    training = Training(NETWORK, Rows.of(x, y), Options(type(options.optimizer)(0.1)))
    with pytest.raises(cr.OptionError, match=message):
        training.resume(Rows.of(x, y), None, options)


def test_they_are_fine_where_the_dtype_holds_them():
    x, y = line()
    Training(NETWORK, Rows.of(x, y, dtype="float64"), Options(GD(1e-300), dtype="float64"))


def test_parts_of_a_step_in_words():
    assert readable("theta") == "the parameters"
    assert readable("state.first") == "the optimizer's state 'first'"
    assert readable("optimizer.lr.decay") == "the optimizer's decay"
    assert readable("buffer.layer2.mean") == "the running statistic 'layer2.mean'"
    assert readable("layer.layer2.rate") == "the layer2.rate"
    assert readable("group_l1") == "group_l1"

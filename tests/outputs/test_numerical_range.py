"""Every registered output at the ends of its raw numbers: value and gradient are finite in float32."""

import itertools

import numpy as np
import pytest
from scipy import special

import chainrule as cr
from chainrule.outputs import OUTPUTS
from chainrule.outputs.positive import precision, softplus
from outputs.output_cases import REGISTERED, cases, target_of

ENDS = [-1e4, 0.0, 1e4]


def check(f, x):
    value, gradient = cr.value_and_grad(f)(x)
    assert value.dtype == gradient.dtype == np.float32
    assert np.isfinite(value), x
    assert np.isfinite(gradient).all(), x


def test_every_registered_output_is_here():
    assert {type(o) for o in REGISTERED} == set(OUTPUTS.values())


@pytest.mark.parametrize(("output", "t"), cases(REGISTERED))
def test_all_combinations_of_ends(output, t):
    k = output.n_raw(t)
    some = itertools.product(ENDS, repeat=k) if k <= 5 else np.random.default_rng(0).choice(ENDS, size=(243, k))
    raw = np.array(list(some), np.float32)
    y = target_of(output, len(raw), t).astype(np.float32)
    assert np.isfinite(output.nll(raw, y)).all()
    check(lambda r: np.mean(output.nll(r, y)), raw)


@pytest.mark.parametrize(("output", "t"), cases(REGISTERED))
@pytest.mark.parametrize("end", [-1e10, 1e10])
def test_each_raw_number_far_beyond(output, t, end):
    """Precisions of 1e10 and of nothing but the floor; means, logits and rates as far out."""
    y = target_of(output, 1, t).astype(np.float32)
    for k in range(output.n_raw(t)):
        raw = np.zeros((1, output.n_raw(t)), np.float32)
        raw[0, k] = end
        check(lambda r: np.sum(output.nll(r, y)), raw)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(softplus(x)),
        lambda x: np.sum(np.log(precision(x))),
        lambda x: np.sum(1.0 / np.sqrt(precision(x))),
        lambda x: special.logsumexp(x),
        lambda x: special.softmax(x)[0],
        lambda x: special.log_softmax(x)[0],
    ],
    ids=["softplus", "log precision", "scale", "log-sum-exp", "softmax", "log-softmax"],
)
def test_pieces(f):
    for values in itertools.product([-1e4, -88.0, 0.0, 88.0, 1e4], repeat=3):
        check(f, np.array(values, np.float32))

"""The flat vector and its named pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.networks import Layout, Piece

shapes = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), max_size=5)


@given(shapes, st.integers(0, 2**32 - 1))
def test_round_trip_loses_nothing(shapes, seed):
    layout = Layout(tuple(Piece(f"p{k}", shape) for k, shape in enumerate(shapes)))
    theta = np.random.default_rng(seed).normal(size=layout.size)
    pieces = layout.unflatten(theta)
    assert {k: v.shape for k, v in pieces.items()} == {f"p{k}": s for k, s in enumerate(shapes)}
    np.testing.assert_array_equal(layout.flatten(pieces), theta)


def test_pieces_are_views():
    layout = Layout((Piece("a", (2, 2)), Piece("b", (3,))))
    theta = np.zeros(7)
    layout.unflatten(theta)["b"][1] = 5.0
    assert theta[5] == 5.0


def test_flatten_is_differentiable_both_ways():
    layout = Layout((Piece("a", (2, 2)), Piece("b", (3,))))
    gradient = cr.grad(lambda t: np.sum(layout.flatten(layout.unflatten(t)) ** 2))(np.arange(7.0))
    np.testing.assert_array_equal(gradient, 2 * np.arange(7.0))


def test_mask_marks_what_is_penalised():
    layout = Layout((Piece("w", (2,), penalised=True), Piece("b", (1,))))
    np.testing.assert_array_equal(layout.mask(), [1, 1, 0])


def test_draw_follows_scale_and_constant():
    layout = Layout((Piece("w", (20000,), scale=0.5), Piece("one", (4,), constant=1.0), Piece("zero", (4,))))
    pieces = layout.unflatten(layout.draw(np.random.default_rng(0)))
    assert abs(pieces["w"].std() - 0.5) < 0.01
    assert abs(pieces["w"].mean()) < 0.02
    assert (pieces["one"] == 1).all()
    assert (pieces["zero"] == 0).all()


def test_errors_name_the_piece():
    layout = Layout((Piece("w", (2,)),))
    with pytest.raises(cr.OptionError, match="parameter w is missing; expected w"):
        layout.flatten({})
    with pytest.raises(cr.OptionError, match=r"parameter w must have shape \(2,\), got \(3,\)"):
        layout.flatten({"w": np.zeros(3)})

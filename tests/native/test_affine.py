"""Positions as functions of loop counters, against NumPy's own views."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.native.affine import Affine, NotAffine, SplitAxis, counters, dot, reshaped, row_major, split


def elements(index, strides, extents):
    """Positions in memory, in the order of the loops."""
    at = dot(index, strides)
    counts = list(np.ndindex(*extents.values()))
    axes = list(extents)
    return [at.offset + sum(at.stride(a) * i[axes.index(a)] for a in axes) for i in counts]


def test_arithmetic():
    a = Affine.of(0, 3) + Affine.of(1) + 2
    assert str(a) == "2 + 3·i0 + i1"
    assert str(a + Affine.of(0, -3)) == "2 + i1"
    assert (a * 2).stride(0) == 6
    assert (a * 0) == Affine()
    assert a.without(0) == Affine.of(1) + 2
    assert a.substitute({0: Affine.of(5) + 1}) == Affine.of(5, 3) + Affine.of(1) + 5
    assert (Affine.of(0, -2) + 7).bounds({0: 4}) == (1, 7)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_reshape_finds_the_same_elements_as_numpy(data):
    source = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=0, max_size=4)))
    size = int(np.prod(source))
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    d = data.draw(st.sampled_from(divisors))
    shape = data.draw(st.sampled_from([(d, size // d), (size,), (1, size), (d, 1, size // d), source[::-1]]))
    flipped = data.draw(st.booleans())
    index, extents = counters(shape)
    if flipped:
        index = tuple(i * -1 + (s - 1) for i, s in zip(index, shape, strict=True))
    for _ in range(6):
        try:
            found = reshaped(index, shape, source, extents)
        except SplitAxis as wanted:
            axis, fresh = wanted.axis, max(extents) + 1
            counter, changed = split(axis, wanted.inner, extents, fresh)
            index = tuple(i.substitute({axis: counter}) for i in index)
            order = [b for a in extents for b in ((fresh, fresh + 1) if a == axis else (a,))]
            extents = {a: changed[a] for a in order}
            continue
        except NotAffine:
            return
        x = np.arange(size).reshape(source).reshape(shape)
        want = (x[tuple(slice(None, None, -1) for _ in shape)] if flipped else x).reshape(-1)
        assert elements(found, row_major(source), extents) == want.tolist()
        return
    raise AssertionError("no end of splitting")


def test_what_no_stride_can_follow():
    index, extents = counters((3, 2))
    with pytest.raises(NotAffine):
        reshaped(index, (3, 2), (2, 3), extents)
    index, extents = counters((6,))
    with pytest.raises(SplitAxis):
        reshaped(index, (6,), (2, 3), extents)
    index, extents = counters((2, 3))
    assert reshaped(index, (2, 3), (6,), extents) == (Affine.of(0, 3) + Affine.of(1),)

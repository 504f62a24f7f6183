"""x[key] on traced values against NumPy, for random keys of every kind; and what keys are refused for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices, integer_array_indices

import chainrule as cr
from chainrule.errors import GraphError, TraceError
from chainrule.graph.types import ArrayType


def random_key(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Numbers, slices, new axes, ellipsis, integer arrays that broadcast together, masks over one or two axes."""
    lead = tuple(int(s) for s in rng.choice([0, 1, 2, 3], p=[0.05, 0.25, 0.4, 0.3], size=rng.integers(0, 3)))
    items: list[Any] = []
    axis = 0
    dots = bool(rng.random() < 0.4)
    stop = int(rng.integers(0, len(shape) + 1)) if dots or rng.random() < 0.5 else len(shape)
    while axis < stop:
        kind = rng.choice(["int", "slice", "array", "mask", "none", "list"], p=[0.2, 0.35, 0.2, 0.08, 0.1, 0.07])
        size = shape[axis]
        if kind == "none":
            items.append(None)
            continue
        if kind in ("int", "array", "list", "mask") and size == 0:
            kind = "slice"
        if kind == "int":
            k = int(rng.integers(-size, size))
            items.append([k, np.int32(k), np.asarray(k)][rng.integers(3)])
        elif kind == "slice":
            ends = [None if rng.random() < 0.3 else int(rng.integers(-size - 2, size + 3)) for _ in range(2)]
            items.append(slice(*ends, [None, 1, 2, -1, -2, 3][rng.integers(6)]))
        elif kind == "mask":
            wide = 2 if axis + 1 < stop and rng.random() < 0.3 else 1
            items.append(rng.random(shape[axis : axis + wide]) < 0.5)
            axis += wide - 1
        else:
            k = rng.integers(-size, size, size=tuple(1 if rng.random() < 0.3 else s for s in lead))
            items.append(k.tolist() if kind == "list" and k.ndim and k.size else k)
        axis += 1
    if dots:
        items.insert(int(rng.integers(len(items) + 1)), Ellipsis)
    return items[0] if len(items) == 1 and rng.random() < 0.5 else tuple(items)


def compare(x: np.ndarray, key: Any) -> None:
    try:
        expected = x[key]
    except (IndexError, DeprecationWarning):  # the latter of empty results, in older versions
        with pytest.raises((GraphError, IndexError, TraceError)):
            cr.trace(lambda x: x[key], x)
        return
    weights = np.random.default_rng(0).normal(size=np.shape(expected))
    adjoint = np.zeros_like(x)
    np.add.at(adjoint, key, weights)
    for graph in (cr.trace(lambda x: x[key], x), cr.trace(lambda x: x[key], ArrayType.of(x))):
        np.testing.assert_array_equal(graph(x), expected)
        assert graph.nodes[graph.outputs[0]].shape == np.shape(expected)
    value, pullback = cr.vjp(lambda x: x[key], x)
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_allclose(pullback(weights)[0], adjoint, rtol=1e-14)
    np.testing.assert_array_equal(cr.jvp(lambda x: x[key], (x,), (2.0 * x,))[1], 2.0 * expected)


@pytest.mark.parametrize("block", range(8))
def test_random_keys(block: int) -> None:
    rng = np.random.default_rng(block)
    for _ in range(75):
        shape = tuple(
            int(s) for s in rng.choice([0, 1, 2, 3, 5], p=[0.05, 0.15, 0.3, 0.3, 0.2], size=rng.integers(1, 5))
        )
        compare(rng.normal(size=shape), random_key(rng, shape))


@settings(max_examples=60, deadline=None)
@given(basic_indices((3, 0, 4), allow_newaxis=True, allow_ellipsis=True))
def test_basic_keys(key: Any) -> None:
    compare(np.ones((3, 0, 4)), key)


@settings(max_examples=60, deadline=None)
@given(integer_array_indices((3, 2, 4)), st.booleans())
def test_integer_arrays(key: Any, beside_slice: bool) -> None:
    compare(np.arange(24.0).reshape(3, 2, 4), (key[0], slice(None), key[2]) if beside_slice else key)


def test_arrays_on_two_sides_of_an_empty_ellipsis_are_apart() -> None:
    compare(np.ones((2, 3, 5)), (slice(1, 1), [-2], Ellipsis, np.array([-5])))
    compare(np.ones((2, 3, 5)), (slice(1, 1), [-2], np.array([-5]), Ellipsis))


def test_traced_indices_from_shapes() -> None:
    x = np.arange(12.0).reshape(3, 4)
    rows, column = np.array([2, 0, -1]), np.array(1)
    for key in (lambda r, c: (r,), lambda r, c: (r, c), lambda r, c: (slice(None), c), lambda r, c: (c, r)):
        graph = cr.trace(lambda x, r, c, key=key: x[key(r, c)], *map(ArrayType.of, (x, rows, column)))
        np.testing.assert_array_equal(graph(x, rows, column), x[key(rows, column)])


def test_scalar_and_iteration() -> None:
    x = np.arange(6.0).reshape(2, 3)
    compare(np.asarray(2.0), ())
    compare(np.asarray(2.0), Ellipsis)
    compare(np.asarray(2.0), None)
    gradient = cr.grad(lambda x: sum(row[0] * row[-1] for row in x))(x)
    np.testing.assert_array_equal(gradient, [[2, 0, 0], [5, 0, 3]])
    assert cr.trace(lambda x: x * len(x), x)(x).shape == (2, 3)


X = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        (5, GraphError, "index 5 is out of bounds for axis 0 of length 2"),
        ((0, -4), GraphError, "index -4 is out of bounds for axis 1 of length 3"),
        (np.array([0, 7]), GraphError, "index 7 is out of bounds for axis 0"),
        ((0, 0, 0), GraphError, "too many indices: 3 for an array of shape"),
        ((..., 0, ...), GraphError, "only one ellipsis"),
        (np.array([True, False, True]), GraphError, r"mask of shape \(3,\) does not fit axis 0"),
        (np.array([0.0]), TraceError, "index of dtype float64; indices must be integers or booleans"),
        ("name", TraceError, "index of dtype <U4"),
        (True, TraceError, "np.where"),
    ],
)
def test_refused_keys(key: Any, error: type[Exception], words: str) -> None:
    for argument in (X, ArrayType.of(X)):
        with pytest.raises(error, match=words) as caught:
            cr.trace(lambda x: x[key], argument)
        assert "\n" not in str(caught.value)


def test_mask_under_shapes_only_tracing() -> None:
    with pytest.raises(TraceError, match=r"x\[mask\].*only shapes are known here; use np.where"):
        cr.trace(lambda x: x[x > 0], ArrayType.of(X))
    np.testing.assert_array_equal(cr.grad(lambda x: np.sum(x[x > 0] ** 2))(np.array([-1.0, 3.0])), [0.0, 6.0])

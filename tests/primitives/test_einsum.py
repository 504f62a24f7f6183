"""np.einsum on traced values against NumPy: random subscripts, repeated letters, ellipsis, both calling forms."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from analytic import push

import chainrule as cr
from chainrule.errors import GraphError, TraceError
from chainrule.graph.types import ArrayType


def random_einsum(rng: np.random.Generator) -> tuple[str, list[np.ndarray]]:
    letters = "abcdij"
    size = {x: int(rng.choice([0, 1, 2, 3], p=[0.03, 0.2, 0.4, 0.37])) for x in letters}
    dots = tuple(int(s) for s in rng.integers(1, 4, size=rng.integers(0, 3)))
    terms, operands, has_dots = [], [], False
    for _ in range(rng.integers(1, 4)):
        term = "".join(rng.choice(list(letters), size=rng.integers(0, 4)))
        shape = [size[x] if rng.random() < 0.93 else 1 for x in term]
        if len(set(term)) < len(term):
            shape = [size[x] for x in term]
        if rng.random() < 0.35:
            lead = dots[int(rng.integers(0, len(dots) + 1)) :]
            place = int(rng.integers(len(term) + 1))
            shape[place:place] = [s if rng.random() < 0.8 else 1 for s in lead]
            term = term[:place] + "..." + term[place:]
            has_dots = True
        terms.append(term)
        operands.append(rng.normal(size=shape))
    present = sorted(set("".join(terms).replace(".", "")))
    subscripts = ",".join(terms)
    if rng.random() < 0.7:
        out = list(rng.permutation([x for x in present if rng.random() < 0.6]))
        if has_dots:
            out.insert(int(rng.integers(len(out) + 1)), "...")
        subscripts += "->" + "".join(out)
    return subscripts, operands


@pytest.mark.parametrize("block", range(5))
def test_random_subscripts(block: int) -> None:
    rng = np.random.default_rng(block)
    for _ in range(60):
        subscripts, operands = random_einsum(rng)
        f = partial(np.einsum, subscripts)
        try:
            expected = f(*operands)
        except ValueError:  # an axis of length 1 against itself in one term, and the like
            with pytest.raises((GraphError, ValueError)):
                cr.trace(f, *operands)
            continue
        graph = cr.trace(f, *map(ArrayType.of, operands))
        found = graph(*operands)
        assert np.shape(found) == np.shape(expected), subscripts
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=subscripts)
        directions = [rng.normal(size=x.shape) for x in operands]
        (wanted,) = push(graph, operands, directions)
        value, pullback = cr.vjp(f, *operands)
        weights = rng.normal(size=value.shape)
        pulled = sum(np.sum(c * d) for c, d in zip(pullback(weights), directions, strict=True))
        np.testing.assert_allclose(pulled, np.sum(weights * wanted), rtol=1e-10, atol=1e-10, err_msg=subscripts)


@pytest.mark.parametrize(
    "arguments",
    [
        ([0, 1], [1, 2], [0, 2]),
        ([0, 1], [1, 2]),
        ([0, 1], [0, 1], []),
        ([Ellipsis, 1], [1, 2], [Ellipsis, 2]),
        ([1, 0], [0, 2], [2, Ellipsis, 1]),
    ],
)
def test_lists_instead_of_letters(arguments: Any) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 3, 3))
    out = arguments[2:]

    def f(a: Any, b: Any) -> Any:
        return np.einsum(a, arguments[0], b, arguments[1], *out)

    np.testing.assert_allclose(cr.trace(f, a, b)(a, b), f(a, b))


def test_constants_dtypes_and_options() -> None:
    a = np.random.default_rng(0).normal(size=(3, 3))
    for f in (
        lambda a: np.einsum("ij,j", a, [1, 2, 3]),
        lambda a: np.einsum("ij,jk,kl->il", a, np.eye(3), a, optimize=True),
        lambda a: np.einsum("ij,jk,kl->il", a, a, a, optimize="optimal"),
        lambda a: np.einsum(" i j -> j i ", a),
        lambda a: np.einsum("i...->...", a.astype(np.float32)),
        lambda a: np.einsum("ii->i", np.round(a).astype(int)),
    ):
        found, expected = cr.trace(f, a)(a), f(a)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("f", "error", "words"),
    [
        (lambda a: np.einsum("ij,jk", a), GraphError, "names 2 operands, got 1"),
        (lambda a: np.einsum("ijk", a), GraphError, "'ijk' does not fit an operand of shape"),
        (lambda a: np.einsum("ij,jk", a, np.ones((4, 2))), GraphError, "axis 'j' has lengths 3 and 4"),
        (lambda a: np.einsum("ij->ik", a), GraphError, "the output names an axis that no operand has"),
        (lambda a: np.einsum("ij->ii", a), GraphError, "the output names an axis twice"),
        (lambda a: np.einsum("ij->ji", a, dtype=float), TraceError, r"np.einsum\(dtype=...\)"),
        (lambda a: np.einsum("ij->ji", a, out=np.ones((3, 2))), TraceError, r"np.einsum\(out=...\) writes in place"),
    ],
)
def test_refused(f: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cr.trace(f, np.ones((2, 3)))

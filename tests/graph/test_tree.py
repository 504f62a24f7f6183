"""Nested containers: taken apart and put together again."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.graph.tree import LEAF, flatten, tree_map

Pair = namedtuple("Pair", ["a", "b"])

TREES = st.recursive(
    st.one_of(st.none(), st.integers()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
        st.builds(Pair, inner, inner),
    ),
)


@given(TREES)
def test_there_and_back(tree: Any) -> None:
    leaves, shape = flatten(tree)
    assert shape.n_leaves == len(leaves) == len(shape.paths())
    assert shape.unflatten(leaves) == tree
    assert shape.unflatten(iter(leaves)) == tree
    assert flatten(tree)[1] == shape
    assert hash(shape) == hash(flatten(tree)[1])
    assert str(shape).count("*") == len(leaves) + sum(str(key).count("*") for key in keys(shape))


def keys(shape: Any) -> list[Any]:
    return [*shape.keys, *(key for child in shape.children for key in keys(child))]


def test_order_of_keys_does_not_matter() -> None:
    assert flatten({"b": 2, "a": 1}) == flatten({"a": 1, "b": 2})
    assert flatten({"b": 2, "a": 1})[0] == [1, 2]
    assert flatten({"b": 2, 1: 1})[0] == [2, 1]  # keys that do not compare stay as they are


def test_kinds() -> None:
    assert flatten(np.ones(3))[1] == LEAF
    assert flatten("text")[1] == LEAF
    assert flatten(None)[0] == []
    assert flatten([1]) != flatten((1,))
    tree = flatten(Pair(1, [2]))[1].unflatten([10, 20])
    assert type(tree) is Pair
    assert tree == Pair(10, [20])
    assert flatten(OrderedDict(a=1))[1].unflatten([2]) == {"a": 2}


def test_text_and_paths() -> None:
    tree = flatten(({"w": [1, 2], "b": None}, (3,), Pair(4, 5), {1: 6, "two words": 7}))[1]
    assert str(tree) == "({b: None, w: [*, *]}, (*,), Pair(*, *), {1: *, two words: *})"
    assert tree.paths("x") == [
        "x[0].w[0]",
        "x[0].w[1]",
        "x[1][0]",
        "x[2][0]",
        "x[2][1]",
        "x[3][1]",
        "x[3]['two words']",
    ]
    assert flatten({"w": 1})[1].paths() == ["w"]


@pytest.mark.parametrize("leaves", [[], [1], [1, 2, 3]])
def test_wrong_number_of_leaves(leaves: list[int]) -> None:
    with pytest.raises(ValueError, match=r"leaves for the 2 places of \(\*, \*\)"):
        flatten((0, 0))[1].unflatten(leaves)


def test_tree_map() -> None:
    assert tree_map(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]}) == {"a": 11, "b": [22]}
    assert tree_map(lambda x: x, None) is None
    with pytest.raises(ValueError, match=r"nested differently: \[\*\] and \(\*,\)"):
        tree_map(lambda x, y: x, [1], (1,))

"""NumPy's functions on traced values mean what they mean on arrays: values, shapes, dtypes and derivatives."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from analytic import push
from numpy_cases import Call, every_call

import chainrule as cr
import chainrule.primitives
from chainrule.graph import traced
from chainrule.graph.traced import FUNCTIONS, UFUNC_METHODS, UFUNCS, full_name
from chainrule.graph.tree import flatten
from chainrule.graph.types import ArrayType

CALLS = every_call(UFUNCS, UFUNC_METHODS)


def name_of(call: Call) -> str:
    if isinstance(call.target, tuple):
        return f"{full_name(call.target[0])}.{call.target[1]}"
    return full_name(call.target)


def leaves_of(result: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in flatten(result)[0]]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray], rtol: float = 1e-12) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_means_the_same(call: Call) -> None:
    arguments = call.inputs()
    with np.errstate(all="ignore"):
        expected = leaves_of(call.f(*arguments))
        graph = cr.trace(call.f, *arguments)
        assert_same(leaves_of(graph(*arguments)), expected)
        assert all(graph.nodes[i].type == ArrayType.of(e) for i, e in zip(graph.outputs, expected, strict=True))
        if not call.values:
            blind = cr.trace(call.f, *map(ArrayType.of, arguments))
            assert str(blind) == str(graph)
            assert_same(leaves_of(blind(*arguments)), expected)
            fresh = call.inputs(seed=1)
            assert_same(leaves_of(blind(*fresh)), leaves_of(call.f(*fresh)))


@pytest.mark.parametrize("call", [c for c in CALLS if c.kind in ("f", "spd")], ids=name_of)
def test_float32_gives_numpys_dtype(call: Call) -> None:
    arguments = [x.astype(np.float32) for x in call.inputs()]
    with np.errstate(all="ignore"):
        assert_same(leaves_of(cr.trace(call.f, *arguments)(*arguments)), leaves_of(call.f(*arguments)), rtol=2e-4)


@pytest.mark.parametrize("call", [c for c in CALLS if c.kind in ("f", "spd", "nan") and c.smooth], ids=name_of)
def test_derivatives(call: Call) -> None:
    """Forward and reverse mode against a complex step through the recorded graph."""
    arguments, rng = call.inputs(), np.random.default_rng(5)
    directions = [rng.normal(size=x.shape) for x in arguments]
    with np.errstate(all="ignore"):
        graph = cr.trace(call.f, *arguments)
        expected = push(graph, arguments, directions)
        _, tangent = cr.jvp(call.f, arguments, directions)
        _, pullback = cr.vjp(lambda *xs: float_leaves(call.f(*xs)), *arguments)
        outputs = [graph.nodes[i] for i in graph.outputs]
        floats = [t for t, node in zip(expected, outputs, strict=True) if node.type.is_float]
        weights = [rng.normal(size=t.shape) for t in floats]
        cotangents = pullback(weights)
    for found, wanted, node in zip(leaves_of(tangent), expected, outputs, strict=True):
        if node.type.is_float:
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)
    left = sum(np.sum(w * t) for w, t in zip(weights, floats, strict=True))
    right = sum(np.nansum(c * d) for c, d in zip(cotangents, directions, strict=True))
    np.testing.assert_allclose(right, left, rtol=1e-9, atol=1e-11)


def float_leaves(result: Any) -> list[Any]:
    return [x for x in flatten(result)[0] if ArrayType.of(x).is_float]


def parameters(function: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


WITH_SIGNATURE = [f for f in FUNCTIONS if getattr(f, "__module__", "").startswith("numpy")]
EXTRA = {"newshape"}  # what np.reshape called its shape before 2.1
#: np.linalg.cross has fewer parameters than np.cross, whose meaning it shares
OF_A_FUNCTION_WITH_MORE = {(np.linalg.cross, name) for name in ("axisa", "axisb", "axisc", "axis")}


@pytest.mark.parametrize("function", WITH_SIGNATURE, ids=full_name)
def test_takes_numpys_parameters(function: Any) -> None:
    """No parameter of ours that NumPy has not, and the same defaults."""
    try:
        theirs = {p.name: p for p in parameters(function)}
    except ValueError:
        pytest.skip("NumPy does not tell in this version")
    variable = {p.VAR_POSITIONAL for p in theirs.values()} & {p.kind for p in theirs.values()}
    for place, mine in enumerate(parameters(FUNCTIONS[function])):
        if mine.kind in (mine.VAR_KEYWORD, mine.VAR_POSITIONAL) or mine.name in EXTRA:
            continue
        other = list(theirs.values())[place] if place < len(theirs) else mine
        if mine.kind is mine.POSITIONAL_ONLY or other.kind is mine.POSITIONAL_ONLY:
            assert other.kind in (mine.POSITIONAL_ONLY, mine.POSITIONAL_OR_KEYWORD)
            continue
        if mine.name not in theirs:
            assert variable or (function, mine.name) in OF_A_FUNCTION_WITH_MORE
            continue
        default = theirs[mine.name].default
        if default not in (mine.empty, np._NoValue) and (function, mine.name) not in OF_A_FUNCTION_WITH_MORE:
            assert mine.default == default or (mine.name, mine.default) in (("optimize", True), ("kind", None))


class Watched(dict):  # type: ignore[type-arg]
    """A table that remembers what was looked up."""

    def __init__(self, table: dict[Any, Any]) -> None:
        super().__init__(table)
        self.seen: set[Any] = set()

    def get(self, key: Any, default: Any = None) -> Any:
        self.seen.add(key)
        return super().get(key, default)

    def __getitem__(self, key: Any) -> Any:
        self.seen.add(key)
        return super().__getitem__(key)


def test_everything_supported_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {name: Watched(getattr(traced, name)) for name in ("FUNCTIONS", "UFUNCS", "UFUNC_METHODS")}
    for name, table in tables.items():
        monkeypatch.setattr(traced, name, table)
    targets = {call.target for call in CALLS}
    missing = [full_name(f) for f in {*FUNCTIONS, *UFUNCS} - targets] + [m for m in UFUNC_METHODS if m not in targets]
    assert missing == []
    first = {call.target: call for call in reversed(CALLS)}
    with np.errstate(all="ignore"):
        for target, call in first.items():
            table = next((t for t in tables.values() if target in t), None)
            if table is not None:
                table.seen.clear()
                cr.trace(call.f, *call.inputs())
                assert target in table.seen, f"the case of {name_of(call)} does not call it"


@pytest.mark.parametrize("f", [np.nanmax, np.nanmin])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_extremes_of_nothing_but_nan(f, dtype):
    """Got through: infinities, of both executors."""
    x = np.array([[1, 2, 3], [4, 2, 1]], dtype)
    if x.dtype.kind == "f":
        x[:, 0] = x[1, 2] = np.nan
    for axis in (None, 0, 1):
        found, wanted = cr.compile(lambda x, axis=axis: f(x, axis=axis))(x), f(x, axis=axis)
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype

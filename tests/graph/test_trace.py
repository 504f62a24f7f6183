"""Tracing: what is recorded, eagerly and from shapes; and that whatever leaves the graph says so by name."""

from __future__ import annotations

import copy
import math
import threading
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DifferentiationError, GraphError, TraceError
from chainrule.graph.graph import check
from chainrule.graph.trace import Recorder, Traced, apply, inline, label, recording, scope
from chainrule.graph.types import ArrayType
from chainrule.primitives.elementwise import ADD

X = np.arange(6.0).reshape(2, 3)
SHAPE = ArrayType.of(X)
SCALAR = ArrayType((), np.dtype("float64"))


# -- what is recorded


def test_text_of_a_small_graph() -> None:
    def f(x: Any, w: Any) -> Any:
        return np.sum(np.tanh(x @ w)) / 3

    assert str(cr.trace(f, SHAPE, np.ones(3))).splitlines() == [
        "f(x: float64[2,3], w: float64[3]):",
        "  v2 = matmul(x, w)                        # float64[2]",
        "  v3 = tanh(v2)                            # float64[2]",
        "  v4 = sum(v3, axis=(0,), keepdims=False)  # float64[]",
        "  v6 = divide(v4, 3.0)                     # float64[]",
        "  return v6",
    ]


def test_containers_names_and_unused_nodes() -> None:
    def f(model: Any, x: Any) -> Any:
        np.exp(x)  # nobody reads it
        return {"y": x @ model["w"] + model["layers"][0], "x": x}

    model = {"w": np.ones((3, 2)), "layers": [np.zeros(2)]}
    graph = check(cr.trace(f, model, X))
    assert [graph.node_names[i] for i in graph.inputs] == ["model.layers[0]", "model.w", "x"]
    assert "exp" not in {node.primitive.name for node in graph.nodes}
    result = graph(model, X)
    np.testing.assert_array_equal(result["y"], X @ np.ones((3, 2)))
    assert list(result) == ["x", "y"]
    with pytest.raises(GraphError, match="takes arguments nested as"):
        graph(X, model)
    with pytest.raises(GraphError, match=r"input x must have shape \(2, 3\), got \(3,\)"):
        graph(model, np.ones(3))


class Callable3:
    def __call__(self, a: Any, *rest: Any) -> Any:
        return a + sum(rest)


@pytest.mark.parametrize(
    ("f", "names"),
    [
        (lambda first, second: first + second, ["first", "second"]),
        (lambda *many: many[0] + many[1], ["x0", "x1"]),
        (Callable3(), ["a", "x1"]),
        (cr.grad(lambda u, v: np.sum(u * v)), ["u", "v"]),
    ],
)
def test_argument_names(f: Callable[..., Any], names: list[str]) -> None:
    graph = cr.trace(f, X, X)
    assert [graph.nodes[i].name for i in graph.inputs] == names


def test_python_control_flow_follows_values_when_eager() -> None:
    def f(x: Any) -> Any:
        while np.sum(x) < 100 and x[0] > 0:
            x = 2 * x
        return x if x[0] > 50 else -x

    x = np.array([3.0, 4.0])
    np.testing.assert_array_equal(cr.trace(f, x)(x), f(x))
    np.testing.assert_array_equal(cr.jacobian(f)(x), -16 * np.eye(2))


def test_constants_are_copied_and_arguments_too() -> None:
    table = np.ones(3)
    graph = cr.trace(lambda x: x * table, np.ones(3))
    table[:] = 7.0
    np.testing.assert_array_equal(graph(np.ones(3)), np.ones(3))
    with pytest.raises(ValueError, match="read-only"):
        graph.nodes[-2].params["value"][0] = 1.0


def test_trace_inside_trace_is_a_graph_of_its_own() -> None:
    seen: list[Any] = []

    def f(x: Any) -> Any:
        seen.append(cr.trace(lambda y: y + 1.0, np.ones(2)))
        return x * 2.0

    outer = cr.trace(f, X)
    assert [node.primitive.name for node in outer.nodes] == ["input", "constant", "multiply"]
    np.testing.assert_array_equal(seen[0](np.ones(2)), [2.0, 2.0])


def test_transformations_record_into_the_active_recording() -> None:
    graph = cr.trace(cr.grad(lambda x: np.sum(x**2)), SHAPE)
    np.testing.assert_array_equal(graph(X), 2 * X)
    second = cr.trace(lambda x: cr.hvp(lambda y: np.sum(y**3), x, x), SHAPE)
    np.testing.assert_array_equal(second(X), 6 * X * X)


def test_inline_keeps_names() -> None:
    inner = cr.trace(lambda x: label(np.exp(x), "growth") + 1.0, SHAPE)
    outer = cr.trace(lambda x: inline(inner, 2.0 * x)[0], SHAPE)
    assert "growth" in outer.node_names
    np.testing.assert_array_equal(outer(X), np.exp(2 * X) + 1)
    np.testing.assert_array_equal(cr.trace(lambda x: inline(inner, x)[0], X)(X), np.exp(X) + 1)
    np.testing.assert_array_equal(inline(inner, X)[0], np.exp(X) + 1)


def test_scopes_nest_and_end() -> None:
    def f(x: Any) -> Any:
        with scope("outer"):
            with scope("inner"):
                y = np.exp(x)
            y = np.sin(y)
            with pytest.raises(ZeroDivisionError), scope("broken"):
                _ = 1 / 0
            y = np.cos(y)
        return np.tanh(y)

    graph = cr.trace(f, X)
    assert [node.scope for node in graph.nodes] == ["", "outer/inner", "outer", "outer", ""]
    with scope("nothing is being recorded"):
        np.testing.assert_array_equal(f(X), graph(X))

    def g(x: Any) -> Any:
        with scope("twice"):
            return inline(graph, x)[0] * 2.0

    assert [node.scope for node in cr.trace(g, X).nodes if node.primitive.name != "input"] == [
        "twice/outer/inner",
        "twice/outer",
        "twice/outer",
        "twice",
        "twice",
        "twice",
    ]


def test_the_gradient_of_a_scope_is_a_scope() -> None:
    def cost(w: Any, x: Any) -> Any:
        with scope("layer1"):
            h = np.tanh(x @ w)
        with scope("cost"):
            return np.sum(h**2)

    graph = cr.trace(cr.grad(cost), np.ones(3), X)
    scopes = list(dict.fromkeys(node.scope for node in graph.nodes if node.scope))
    assert scopes == ["layer1", "gradient/cost", "gradient/layer1"]  # the cost itself is not returned


def test_threads_record_apart() -> None:
    results: dict[int, Any] = {}

    def work(k: int) -> None:
        for _ in range(20):
            results[k] = cr.grad(lambda x: np.sum(np.sin(k * x)))(X)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        np.testing.assert_allclose(results[k], k * np.cos(k * X))


def test_recording_is_closed_after_an_error() -> None:
    def fails(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        cr.grad(fails)(1.0)
    assert float(cr.grad(np.sin)(0.0)) == 1.0


def test_apply_without_traced_operands_runs_at_once() -> None:
    assert apply(ADD, np.float64(1.0), np.float64(2.0)) == 3.0


# -- a traced value behaves like an array


def test_properties_and_copies() -> None:
    def f(x: Any) -> Any:
        assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, np.dtype("float64"))
        assert copy.copy(x) is x
        assert copy.deepcopy({"x": x})["x"] is x
        assert x.T.shape == x.mT.shape == (3, 2)
        return x + sum(row for row in x)

    cr.trace(f, X)
    cr.trace(f, SHAPE)


def test_text_of_values() -> None:
    def f(x: Any) -> Any:
        assert repr(x) == "<traced float64[], value=2.5>"
        assert f"{x:.2f}" == "2.50"
        assert str(x) == repr(x)
        return x

    def blind(x: Any) -> Any:
        assert f"{x:.2f}" == repr(x) == "<traced float64[]>"
        return x

    cr.trace(f, 2.5)
    cr.trace(blind, SCALAR)


def test_numbers_can_be_read_when_they_are_known() -> None:
    def f(x: Any, k: Any) -> Any:
        assert x.value[0, 1] == 1.0
        assert (x > 0).tolist() == (X > 0).tolist()
        assert k.item() == int(k) == 2
        assert list(range(5))[k] == 2
        assert bool(x[0, 1] == 1)
        return x[:k] * k

    np.testing.assert_array_equal(cr.trace(f, X, 2)(X, 2), 2 * X)


def test_scalars_accumulate() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for row in x:
            total += np.sum(row * row)
            total -= 1.0
            total *= 2.0
            total /= 2.0
        return total

    np.testing.assert_array_equal(cr.grad(f)(X), 2 * X)


# -- leaving the graph

IN_PLACE = {
    "+=": lambda x: x.__iadd__(1.0),
    "-=": lambda x: x.__isub__(1.0),
    "*=": lambda x: x.__imul__(2.0),
    "/=": lambda x: x.__itruediv__(2.0),
    "//=": lambda x: x.__ifloordiv__(2.0),
    "%=": lambda x: x.__imod__(2.0),
    "**=": lambda x: x.__ipow__(2.0),
    "@=": lambda x: x.__imatmul__(np.eye(3)),
}


@pytest.mark.parametrize("sign", IN_PLACE)
def test_assigning_operators_on_arrays(sign: str) -> None:
    with pytest.raises(TraceError) as caught:
        cr.trace(IN_PLACE[sign], X)
    operator = sign.removesuffix("=")
    assert str(caught.value) == (f"x {sign} y writes in place into a traced array; write x = x {operator} y instead")


def setitem(x: Any) -> Any:
    x[0] = 1.0
    return x


def into_array(x: Any) -> Any:
    y = np.zeros(3)
    y[0] = x[0, 0]
    return y


def into_rows(x: Any) -> Any:
    y = np.zeros((2, 3))
    y[0] = x[0]
    return y


def add_to_array(x: Any) -> Any:
    y = np.zeros((2, 3))
    y += x
    return y


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "item assignment": (setitem, r"x\[...\] = y writes in place into a traced value; use np.where"),
    "row into array": (into_rows, "writing it into an array.*np.stack"),
    "array += traced": (add_to_array, r"np.add\(out=...\) writes in place; use the returned value"),
    "out=": (lambda x: np.exp(x, out=np.zeros((2, 3))), r"np.exp\(out=...\) writes in place"),
    "out= of a function": (lambda x: np.sum(x, out=np.zeros(())), r"np.sum\(out=...\) writes in place"),
    "out= by place": (lambda x: np.sum(x, 0, None, np.zeros(3)), r"np.sum\(out=...\) writes in place"),
    "out= of reduce": (lambda x: np.add.reduce(x, out=np.zeros(3)), r"np.add.reduce\(out=...\) writes in place"),
    "sort in place": (lambda x: x.sort(), r"x.sort\(...\) writes in place"),
    "fill": (lambda x: x.fill(0.0), r"x.fill\(...\) writes in place"),
    "copyto": (lambda x: np.copyto(np.zeros((2, 3)), x), "np.copyto is not supported.*in place.*np.where"),
    "fill_diagonal": (lambda x: np.fill_diagonal(x, 0.0), "np.fill_diagonal is not supported.*in place"),
    "put": (lambda x: np.put(x, [0], 1.0), "np.put is not supported.*in place"),
    "ufunc.at": (lambda x: np.add.at(x, 0, 1.0), "np.add.at is not supported on traced values"),
    "np.array": (lambda x: np.array([x[0, 0], x[0, 1]]), "np.array / np.asarray of a traced value.*np.stack"),
    "np.asarray": (lambda x: np.asarray(x), "leave the graph"),
    "indexing an array": (lambda x: np.arange(9.0)[x.astype(int)], "indexing an array with it.*np.take_along_axis"),
    "sum of a list": (lambda x: np.sum([x[0], x[1]]), "np.stack"),
    "fft": (lambda x: np.fft.fft(x), "np.fft.fft is not supported on traced values; docs/numpy.md"),
    "svd": (lambda x: np.linalg.svd(x), "np.linalg.svd is not supported on traced values; docs/numpy.md"),
    "pinv": (lambda x: np.linalg.pinv(x), "np.linalg.pinv is not supported on traced values; use np.linalg.solve"),
    "unique": (lambda x: np.unique(x), "np.unique is not supported.*shape of its result depends on values"),
    "scipy ufunc": (lambda x: __import__("scipy.special").special.j0(x), "scipy.special.j0 is not supported"),
    "ufunc": (lambda x: np.nextafter(x, 1.0), "np.nextafter is not supported on traced values"),
    "ufunc method": (lambda x: np.subtract.reduce(x), "np.subtract.reduce is not supported on traced values"),
    "where= of a ufunc": (lambda x: np.exp(x, where=x > 0), r"np.exp\(where=...\) is not supported.*leave it out"),
    "dtype= of a ufunc": (lambda x: np.add(x, x, dtype=int), r"np.add\(dtype=...\) is not supported"),
    "where= of a function": (lambda x: np.sum(x, where=x.value > 0), r"np.sum\(where=...\) is not supported"),
    "initial=": (lambda x: np.max(x, initial=0.0), r"np.max\(initial=...\) is not supported"),
    "order=": (lambda x: np.reshape(x, 6, order="F"), r"np.reshape\(order='F'\) is not supported.*order='C'"),
    "pad mode": (lambda x: np.pad(x, 1, mode="mean"), r"np.pad\(mode='mean'\) is not supported.*edge, reflect"),
    "pad option": (lambda x: np.pad(x, 1, mode="reflect", reflect_type="odd"), "reflect_type"),
    "matrix norm": (lambda x: np.linalg.norm(x, 2), r"np.linalg.norm\(ord=2\) of matrices is not supported"),
    "repeat": (lambda x: np.repeat(np.ones(2), x[0, :2].astype(int)), "asarray|np.repeat"),
    "quantile": (lambda x: np.quantile(x, x[0, 0]), "np.quantile takes known q"),
    "complex constant": (lambda x: x * 1j, "complex128, which cannot be recorded"),
    "complex()": (lambda x: complex(x[0, 0]), "complex numbers cannot be recorded"),
    "complex dtype": (lambda x: x.astype(complex), "cannot be converted to complex128, which cannot be recorded"),
    "half precision": (lambda x: x.astype(np.float16), "cannot be converted to float16"),
    "text": (lambda x: x + "a", "np.add of float64 and <U1 is not defined"),
    "None": (lambda x: x + None, "np.add of float64 and object works in object, which cannot be recorded"),
    "object array": (lambda x: x * np.array([None, 1, 2]), "object"),
    "bool minus bool": (lambda x: (x > 0) - (x > 1), "np.subtract of bool and bool is not defined"),
    "polygamma order": (
        lambda x: __import__("scipy.special").special.polygamma(x, 1.0),
        "the order must be a plain integer",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_name(what: str) -> None:
    f, words = REFUSED[what]
    with pytest.raises(TraceError, match=words) as caught:
        cr.trace(f, X)
    assert "\n" not in str(caught.value)


ONLY_SHAPES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "if": (lambda x: x if x[0, 0] > 0 else -x, r"bool\(\) \(if, while.*only shapes are known here; use np.where"),
    "float": (lambda x: float(x[0, 0]), r"float\(\).*only shapes are known"),
    "math": (lambda x: math.exp(x[0, 0]), "or a function of the math module.*only shapes are known"),
    "int": (lambda x: int(x[0, 0]), r"int\(\).*only shapes are known"),
    "range": (lambda x: list(range(x[0, 0].astype(int))), "use as an index.*only shapes are known"),
    "item": (lambda x: x[0, 0].item(), r"item\(\).*only shapes are known"),
    "tolist": (lambda x: x.tolist(), r"tolist\(\).*only shapes are known"),
    "mask": (lambda x: x[x > 0], r"x\[mask\].*only shapes are known"),
    "nonzero": (lambda x: np.nonzero(x), "np.nonzero.*only shapes are known"),
    "where": (lambda x: np.where(x > 0), "np.nonzero \\(or np.where with one argument\\).*only shapes"),
    "compress": (lambda x: np.compress(x[0] > 0, x, axis=1), "np.compress.*only shapes are known"),
}


@pytest.mark.parametrize("what", ONLY_SHAPES)
def test_refused_from_shapes(what: str) -> None:
    f, words = ONLY_SHAPES[what]
    with pytest.raises(TraceError, match=words) as caught:
        cr.trace(f, SHAPE)
    assert "\n" not in str(caught.value)


def into_array_of_one(x: Any) -> Any:
    y = np.zeros(1)
    y[0] = x
    return y[0]


@pytest.mark.parametrize("argument", [SHAPE, X])
def test_number_into_array(argument: Any) -> None:
    with pytest.raises(TraceError, match="writing into an array"):  # not NumPy's "setting an array element …"
        cr.trace(into_array, argument)


@pytest.mark.parametrize("f", [float, math.exp, lambda x: x.item(), lambda x: x.tolist()])
def test_numbers_that_would_lose_their_derivatives(f: Callable[[Any], Any]) -> None:
    with pytest.raises(TraceError, match=r"leaves the graph, and its derivative is lost; use NumPy's .* x.value for"):
        cr.grad(lambda x: x * f(x))(1.0)
    assert float(cr.grad(lambda x: x * f(np.sign(x).astype(int)))(1.0)) == pytest.approx(f(np.ones(()).astype(int)))
    assert float(cr.grad(lambda x: x * f(x.value))(1.0)) == pytest.approx(f(np.ones(())))


def test_shape_errors_name_operation_and_shapes() -> None:
    for argument in (X, SHAPE):
        with pytest.raises(GraphError, match=r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit, 3 columns"):
            cr.trace(lambda x: x @ x, argument)
        with pytest.raises(GraphError, match=r"add: shapes \(2, 3\) and \(2,\) do not broadcast"):
            cr.trace(lambda x: x + np.ones(2), argument)
        with pytest.raises(GraphError, match="axis 2 does not exist in an array of 2 dimensions"):
            cr.trace(lambda x: np.sum(x, axis=2), argument)
        with pytest.raises(GraphError, match="names an axis twice"):
            cr.trace(lambda x: np.sum(x, axis=(0, -2)), argument)
        with pytest.raises(GraphError, match="max over an empty axis has no value"):
            cr.trace(lambda x: np.max(x[:0]), argument)
        with pytest.raises(GraphError, match="mean over no elements"):
            cr.trace(lambda x: np.mean(x[:0]), argument)


def test_leaked_values() -> None:
    leaked: list[Any] = []

    def keeps(x: Any) -> Any:
        leaked.append(x)
        return np.sum(x)

    cr.grad(keeps)(X)
    with pytest.raises(TraceError, match=r"a traced value was used after its trace ended \(in add\); return values"):
        leaked[0] + leaked[0]
    with pytest.raises(TraceError, match="a traced value of another trace was used"):
        cr.trace(lambda y: y + leaked[0], X)
    with pytest.raises(TraceError, match="a traced value of another trace was used"):
        cr.trace(lambda x: cr.trace(lambda y: y + x, X), X)
    with pytest.raises(TraceError, match="of another trace"):
        cr.trace(lambda y: leaked[0], X)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (np.array([1j]), "x has dtype complex128, which cannot be recorded; use one of bool"),
        (np.array(["a"]), "x has dtype <U1"),
        (np.array([None, 1], dtype=object), r"x has dtype object, which cannot be recorded; build it with np.stack"),
        (np.array([1.0], dtype=np.longdouble), "x has dtype float128|x has dtype longdouble"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), r"x has dtype datetime64\[D\]"),
    ],
)
def test_arguments_that_cannot_be_recorded(argument: Any, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        cr.trace(lambda x: x, argument)


def test_derivatives_by_integers_and_of_integers() -> None:
    assert cr.grad(lambda x: x**2)(3) == 6.0  # a plain integer stands for the real number
    assert cr.jvp(lambda x: np.floor(x) * 2.0, (1.5,), (1.0,))[1] == 0.0
    with pytest.raises(DifferentiationError, match="floating-point result, this function returns int64"):
        cr.grad(lambda x: np.argmax(x))(X)
    with pytest.raises(DifferentiationError, match="with respect to k, which is int64"):
        cr.trace(lambda k: cr.grad(lambda k: k * 1.0)(k), 3)


def test_closed_recorder_refuses() -> None:
    with recording() as recorder:
        x = recorder.input(SHAPE, X)
    assert isinstance(recorder, Recorder)
    assert isinstance(x, Traced)
    with pytest.raises(TraceError, match="after its trace ended"):
        recorder.constant(1.0)


def test_an_error_of_writing_into_an_array_points_at_the_users_line():
    def writes(x):
        zeros = np.zeros(3)
        zeros[0] = x[0]
        return zeros

    with pytest.raises(TraceError) as refusal:
        cr.trace(writes, ArrayType((3,), np.dtype(np.float64)))
    assert "writes" in [frame.name for frame in traceback.extract_tb(refusal.value.__traceback__)]

"""Every translated primitive on its own samples, and ONNX's own test cases as a second opinion."""

from __future__ import annotations

import warnings
from collections import defaultdict
from functools import cache

import numpy as np
import pytest

pytest.importorskip("onnx", reason='needs onnx: pip install "chainrule[onnx]"')

from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from test_onnx import run_runtime

from chainrule.exchange.onnx import proto
from chainrule.exchange.onnx_nodes import NODES, Body, Step, translate
from chainrule.graph.graph import Node
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.types import ArrayType

#: taken in float32
COARSE = {"erf": 1e-6, "ndtr": 1e-5, "arcsin": 1e-6, "arccos": 1e-6, "arctan": 1e-6}
BOOLEAN = {"logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor"}
AWKWARD = np.array([-1e9, -40.0, -1.5, -0.5, -1e-9, -0.0, 0.0, 1e-300, 1e-9, 0.5, 1.0, 2.5, 40.0, 1e9, np.inf, -np.inf])
#: what takes any number, and what it makes of NaN
EVERYWHERE = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "negative",
    "square",
    "absolute",
    "sign",
    "exp",
    "expm1",
    "tanh",
    "arcsinh",
    "floor",
    "ceil",
    "rint",
    "trunc",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "isnan",
    "isinf",
    "isfinite",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "expit",
    "log_expit",
    "logaddexp",
    "cast",
    "identity",
]


def model_of_one(primitive, inputs, params):
    """An ONNX model of one node."""
    types = [ArrayType.of(x) for x in inputs]
    node = Node(primitive, tuple(range(len(inputs))), params, primitive.infer_type(types, params))
    body = Body()
    names = tuple(f"x{k}" for k in range(len(inputs)))
    nothing = (None,) * len(inputs)
    result = translate(Step(body, node, names, tuple(types), nothing, None))
    given = [(name, t.dtype, t.shape) for name, t in zip(names, types, strict=True)]
    return proto(body, given, [(result, node.dtype, node.shape)]), dict(zip(names, inputs, strict=True))


def compare(primitive, inputs, params, rtol):
    model, given = model_of_one(primitive, inputs, params)
    with np.errstate(all="ignore"):
        wanted = primitive.numpy(*inputs, **params)
    (runtime,) = run_runtime(model, given).values()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the evaluator's own
        (reference,) = ReferenceEvaluator(model).run(None, given)
    for value in (runtime, reference):
        np.testing.assert_allclose(value, wanted, rtol=rtol, atol=rtol * 1e-3)
        assert np.asarray(value).dtype == np.asarray(wanted).dtype


@pytest.mark.parametrize("name", NODES)
def test_translations_mean_what_the_primitives_mean(name):
    primitive, compared = PRIMITIVES[name], 0
    for sample in primitive.samples(np.random.default_rng(3)):
        inputs = [np.asarray(x) for x in sample.inputs]
        if name in BOOLEAN:
            inputs = [x.astype(bool) for x in inputs]
        empty = any(x.size == 0 for x in inputs)
        if (len(inputs) > 2 and name == "gather") or (empty and name not in EVERYWHERE):
            continue
        compare(primitive, inputs, sample.params, COARSE.get(name, 1e-12))
        compared += 1
    assert compared


@pytest.mark.parametrize("name", EVERYWHERE)
def test_at_infinities_and_in_between(name):
    primitive = PRIMITIVES[name]
    x = np.append(AWKWARD, np.nan)
    inputs = [x] if primitive.arity[0] == 1 or name in ("cast", "identity") else [x[:, None], x[None]]
    if primitive.arity[1] == float("inf"):  # element-wise rules take any number of types
        inputs = [x] if primitive.numpy.nin == 1 else [x[:, None], x[None]]
    params = {"dtype": "float32"} if name == "cast" else {}
    compare(primitive, inputs, params, 1e-6 if name == "cast" else 1e-12)


@cache
def node_cases():
    """ONNX's test cases of a single node, by operator."""
    from onnx.backend.test.case.node import collect_testcases

    found = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in collect_testcases(None):
            operators = [node.op_type for node in case.model.graph.node]
            if len(operators) == 1 and case.data_sets:
                found[operators[0]].append(case)
    return found


#: operator of ONNX -> primitive with the same arguments
SAME = {
    "Abs": "absolute",
    "Acosh": "arccosh",
    "Add": "add",
    "And": "logical_and",
    "Asinh": "arcsinh",
    "Atanh": "arctanh",
    "Ceil": "ceil",
    "Cos": "cos",
    "Cosh": "cosh",
    "Div": "divide",
    "Equal": "equal",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "IsNaN": "isnan",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Log": "log",
    "MatMul": "matmul",
    "Max": "maximum",
    "Min": "minimum",
    "Mul": "multiply",
    "Neg": "negative",
    "Not": "logical_not",
    "Or": "logical_or",
    "Pow": "power",
    "Reciprocal": "reciprocal",
    "Round": "rint",
    "Sigmoid": "expit",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Sqrt": "sqrt",
    "Sub": "subtract",
    "Tan": "tan",
    "Tanh": "tanh",
    "Where": "where",
    "Xor": "logical_xor",
}


@pytest.mark.parametrize("operator", SAME)
def test_onnx_says_the_same_of_its_operators(operator):
    """ONNX's node test cases: inputs and outputs that every runtime must reproduce."""
    primitive, compared = PRIMITIVES[SAME[operator]], 0
    for case in node_cases()[operator]:
        for inputs, outputs in case.data_sets:
            arrays = [x if isinstance(x, np.ndarray) else numpy_helper.to_array(x) for x in inputs]
            kinds = {x.dtype for x in arrays[-2:]}
            if len(kinds) != 1 or not kinds <= {np.dtype(t) for t in ("float32", "float64", "bool", "int32")}:
                continue
            fits = len(arrays) == getattr(primitive.numpy, "nin", 3 if operator == "Where" else 2)
            if not fits or (operator != "Equal" and np.dtype("int32") in kinds):
                continue
            compare(primitive, arrays, {}, 1e-5)
            with np.errstate(all="ignore"):
                np.testing.assert_allclose(primitive.numpy(*arrays), outputs[0], rtol=1e-5, atol=1e-7)
            compared += 1
    assert compared

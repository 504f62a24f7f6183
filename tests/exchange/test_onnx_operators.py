"""ONNX's own test cases for every operator that the export emits, moves of data and reductions included."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason='needs onnx: pip install "chainrule[onnx]"')

from exported_models import CASES
from onnx import TensorProto, helper, numpy_helper
from test_onnx_nodes import BOOLEAN, SAME, compare, model_of_one, node_cases

from chainrule.exchange.onnx_nodes import NODES
from chainrule.graph.primitive import PRIMITIVES
from chainrule.models.export import to_onnx

#: no primitive of ours: the number of rows, and the places of categories (both tested by models in test_onnx)
WITHOUT_PRIMITIVE = {"Shape", "LabelEncoder"}


def _axes(options, arrays):
    """The axes of a reduction, which the case gives as its second input."""
    given = arrays[1].tolist() if len(arrays) > 1 else []
    over = tuple(k % arrays[0].ndim for k in given or range(arrays[0].ndim))
    if not given and options.get("noop_with_empty_axes"):
        return None
    return arrays[:1], {"axis": over, "keepdims": bool(options.get("keepdims", 1))}


def _position(options, arrays):
    if options.get("keepdims", 1) or options.get("select_last_index"):
        return None
    return arrays, {"axis": options.get("axis", 0) % arrays[0].ndim}


def _window(options, arrays):
    x, starts, stops, *more = arrays
    axes = more[0].tolist() if more else range(len(starts))
    steps = more[1].tolist() if len(more) > 1 else [1] * len(starts)
    chosen = [slice(None)] * x.ndim
    for axis, start, stop, step in zip(axes, starts.tolist(), stops.tolist(), steps, strict=True):
        chosen[axis] = slice(start, None if step < 0 and stop < -x.shape[axis] else stop, step)
    ranges = [range(*each.indices(size)) for each, size in zip(chosen, x.shape, strict=True)]
    if any(len(r) == 0 for r in ranges):
        return None
    return [x], {"window": tuple((r.start, len(r), r.step) for r in ranges)}


def _pad(options, arrays):
    if options.get("mode", b"constant") != b"constant" or len(arrays) != 3 or (arrays[1] < 0).any():
        return None
    before, after = np.split(arrays[1], 2)
    width = tuple(zip(before.tolist(), after.tolist(), strict=True))
    return arrays[:1], {"width": width, "value": float(arrays[2])}


def _reshape(options, arrays):
    shape = np.reshape(arrays[0], [n or arrays[0].shape[k] for k, n in enumerate(arrays[1].tolist())]).shape
    return None if options or 0 in shape else (arrays[:1], {"shape": shape})


#: operator -> primitive, and from a case's attributes and inputs to inputs and params; None: more than we use of it
MOVES = {
    "Acos": ("arccos", lambda o, a: (a, {})),
    "Asin": ("arcsin", lambda o, a: (a, {})),
    "Atan": ("arctan", lambda o, a: (a, {})),
    "ArgMax": ("argmax", _position),
    "ArgMin": ("argmin", _position),
    "Cast": ("cast", lambda o, a: (a, {"dtype": helper.tensor_dtype_to_np_dtype(o["to"]).name})),
    "Concat": ("concatenate", lambda o, a: (a, {"axis": o["axis"] % a[0].ndim})),
    "CumSum": ("cumsum", lambda o, a: None if o else (a[:1], {"axis": int(a[1]) % a[0].ndim})),
    "Expand": ("broadcast_to", lambda o, a: (a[:1], {"shape": np.broadcast_shapes(a[0].shape, a[1].tolist())})),
    # of other axes ours puts the indices' axes first, as NumPy does
    "Gather": ("gather", lambda o, a: None if o.get("axis", 0) else (a, {"axes": (0,)})),
    "Identity": ("identity", lambda o, a: (a, {})),
    "IsInf": ("isinf", lambda o, a: None if o else (a, {})),
    "Pad": ("pad", _pad),
    "ReduceMax": ("max", _axes),
    "ReduceMin": ("min", _axes),
    "ReduceSum": ("sum", _axes),
    "Reshape": ("reshape", _reshape),
    "Slice": ("slice", _window),
    "Transpose": ("transpose", lambda o, a: (a, {"axes": tuple(o.get("perm", range(a[0].ndim)[::-1]))})),
}


@cache
def emitted():
    """Operators of all translations and of whole models."""
    found = {node.op_type for name in ("table", "table of classes") for node in to_onnx(CASES[name]).graph.node}
    for name in NODES:
        primitive = PRIMITIVES[name]
        for sample in primitive.samples(np.random.default_rng(3)):
            inputs = [np.asarray(x) for x in sample.inputs]
            inputs = [x.astype(bool) for x in inputs] if name in BOOLEAN else inputs
            if (len(inputs) > 2 and name == "gather") or any(x.size == 0 for x in inputs):
                continue
            found |= {node.op_type for node in model_of_one(primitive, inputs, sample.params)[0].graph.node}
    return found


def test_every_operator_that_is_emitted_has_cases():
    assert emitted() <= SAME.keys() | MOVES.keys() | WITHOUT_PRIMITIVE
    assert emitted() >= MOVES.keys()  # and none is claimed in vain


@pytest.mark.parametrize("operator", MOVES)
def test_onnx_says_the_same_of_moves_and_reductions(operator):
    name, arguments = MOVES[operator]
    primitive, compared = PRIMITIVES[name], 0
    kinds = {np.dtype(t) for t in ("float32", "float64", "bool", "int64", "int32")}
    for case in node_cases()[operator]:
        options = {a.name: helper.get_attribute_value(a) for a in case.model.graph.node[0].attribute}
        for inputs, outputs in case.data_sets:
            values = [*inputs, *outputs]
            if not all(isinstance(x, (np.ndarray, np.generic, TensorProto)) for x in values):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the package's own, of types that NumPy has not
                arrays = [numpy_helper.to_array(x) if isinstance(x, TensorProto) else np.asarray(x) for x in values]
            if not {x.dtype for x in arrays} <= kinds or any(x.size == 0 for x in arrays):
                continue
            made = arguments(options, arrays[: len(inputs)])
            if made is None:
                continue
            given, params = made
            compare(primitive, given, params, 1e-5)
            np.testing.assert_allclose(primitive.numpy(*given, **params), arrays[-1], rtol=1e-5, atol=1e-6)
            compared += 1
    assert compared


def test_the_page_names_what_has_no_translation():
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text("utf-8")
    lacking = sorted(PRIMITIVES.keys() - NODES.keys() - {"input", "constant"})
    text = " ".join(page.split())
    assert ", ".join(f"`{name}`" for name in lacking) in text

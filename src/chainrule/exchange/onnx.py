"""A fitted model as ONNX: preprocessing, network and predictive distribution in one file that any ONNX runtime runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import GraphError, OptionError
from chainrule.exchange.onnx_nodes import OPSET, Body, Step, translate
from chainrule.exchange.predictor import Predictor
from chainrule.exchange.row_graph import where
from chainrule.tables import Categorical
from chainrule.tables.encode import Encoding

if TYPE_CHECKING:
    import onnx

#: codes of the label encoder, before they become numbers
_UNSEEN, _MISSING = -1, -2
#: ONNX's version of the file, and of its operators for classical machine learning
_IR_VERSION, _ML_OPSET = 8, 3


def onnx_model(predictor: Predictor) -> onnx.ModelProto:
    """The ONNX model of a predictor.

    A model of a matrix has one input ``X``, float64 of shape (n, n_columns). A model of a table has one input per
    column, of its name and shape (n, 1): strings for categories (``""`` is missing), float64 for numbers and for true
    and false (1 and 0), where NaN is missing. Outputs are float64, the rows first; an output whose name a column has is
    followed by an underscore.

    Raises
    ------
    OptionError
        If the package onnx is not there.
    GraphError
        Naming the node and the primitive that ONNX operators do not express.
    """
    prefix = "/"
    while any(name.startswith(prefix) for name in (*predictor.outputs, *(e.name for e in predictor.encodings))):
        prefix += "/"
    body = Body(prefix=prefix)
    graph, axes = predictor.rows.graph, predictor.rows.axes
    given, matrix = _columns(predictor, body)
    body.nodes.append(("Shape", [matrix], body.rows, {"start": 0, "end": 1}))
    names: list[str] = []
    for position, node in enumerate(graph.nodes):
        if node.primitive.name == "input":
            names.append(matrix)
        elif node.primitive.name == "constant":
            names.append(body.constant(node.params["value"]))
        else:
            types = tuple(graph.nodes[i].type for i in node.inputs)
            at = tuple(axes[i] for i in node.inputs)
            try:
                names.append(
                    translate(Step(body, node, tuple(names[i] for i in node.inputs), types, at, axes[position]))
                )
            except GraphError as error:
                raise GraphError(f"{where(graph, position)}: {error}") from None
    results = []
    for name, i in zip(predictor.outputs, graph.outputs, strict=True):
        while name in {n for n, _ in given}:
            name += "_"
        value = names[i] if axes[i] is not None else body.spread(names[i], graph.nodes[i].shape, 0)
        body.nodes.append(("Identity", [value], name, {}))
        results.append((name, graph.nodes[i].dtype, ("n", *graph.nodes[i].shape[1:])))
    width = 1 if predictor.named else len(predictor.encodings)
    model = proto(body, [(name, kind, ("n", width)) for name, kind in given], results)
    model.doc_string = "\n".join(predictor.notes())
    model.metadata_props.add(key="targets", value=json.dumps(predictor.targets))
    model.metadata_props.add(key="classes", value=json.dumps(predictor.classes))
    return model


#: name, dtype and shape of an input or output
Value = tuple[str, Any, Sequence[Any]]


def proto(body: Body, inputs: Sequence[Value], outputs: Sequence[Value]) -> onnx.ModelProto:
    """The ONNX model of nodes and constants.

    Raises
    ------
    OptionError
        If the package onnx is not there.
    """
    try:
        from onnx import helper, numpy_helper
    except ImportError:
        raise OptionError('ONNX needs the package onnx: pip install "chainrule[onnx]"') from None

    def kind(dtype: Any) -> int:
        return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def info(values: Sequence[Value]) -> list[Any]:
        return [helper.make_tensor_value_info(name, kind(dtype), list(shape)) for name, dtype, shape in values]

    def node(operator: str, sources: list[str], result: str, options: dict[str, Any]) -> Any:
        domain = "ai.onnx.ml" if operator == "LabelEncoder" else ""
        attributes: dict[str, Any] = {key: kind(value) if key == "to" else value for key, value in options.items()}
        return helper.make_node(operator, sources, [result], name=result, domain=domain, **attributes)

    nodes = [node(*each) for each in body.nodes]
    constants = [numpy_helper.from_array(value, name) for name, value in body.constants.items()]
    return helper.make_model(
        helper.make_graph(nodes, "predict", info(inputs), info(outputs), constants),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=_IR_VERSION,
        producer_name="chainrule",
    )


def _columns(predictor: Predictor, body: Body) -> tuple[list[tuple[str, Any]], str]:
    """Names and types of the inputs, and the name of the raw matrix made of them."""
    if not predictor.named:
        return [("X", np.float64)], "X"
    given: list[tuple[str, Any]] = []
    parts = []
    taken = {encoding.name for encoding in predictor.encodings}
    for k, encoding in enumerate(predictor.encodings):
        name = encoding.name or f"x{k}"
        while not encoding.name and name in taken:
            name += "_"
        taken.add(name)
        if isinstance(encoding, Categorical):
            given.append((name, np.object_))
            parts.append(_codes(name, encoding, body))
        else:
            given.append((name, np.float64))
            parts.append(name)
    return given, body.add("Concat", *parts, axis=1)


def _codes(name: str, encoding: Encoding, body: Body) -> str:
    """Places of categories as numbers."""
    assert isinstance(encoding, Categorical)
    known = {"": _MISSING} | {category: k for k, category in enumerate(encoding.categories)}
    code = body.add(
        "LabelEncoder", name, keys_strings=list(known), values_int64s=list(known.values()), default_int64=_UNSEEN
    )
    missing = body.add("Equal", code, body.constant(_MISSING, np.int64))
    return body.add("Where", missing, body.constant(np.nan), body.add("Cast", code, to=np.float64))

"""Pipelines with our estimators to ONNX: converters for skl2onnx, made of the same graph as `chainrule.to_onnx`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.classifier import FeedForwardClassifier
from chainrule.estimators.linear import LinearRegression, LogisticRegression
from chainrule.estimators.regressor import FeedForwardRegressor
from chainrule.models.export import predictor_of

_CLASSIFIERS = (FeedForwardClassifier, LogisticRegression)
_REGRESSORS = (FeedForwardRegressor, LinearRegression)
_MEDIAN = 0.5


def register_skl2onnx() -> None:
    """Tell skl2onnx how to convert our estimators, alone or at the end of a pipeline.

    A regressor gives what its ``predict`` gives, a classifier labels and probabilities, in float64. The parameters of
    predictive distributions are in `chainrule.to_onnx`'s models.

    Raises
    ------
    OptionError
        If the package skl2onnx is not there. While converting: if the estimator was fitted to columns of text, to
        several targets at once as a classifier, or to quantiles without a median.

    Examples
    --------
    ::

        register_skl2onnx()
        skl2onnx.to_onnx(make_pipeline(StandardScaler(), model), X[:1])
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError:
        raise OptionError('converters need the package skl2onnx: pip install "chainrule[onnx]"') from None
    from skl2onnx.common.data_types import DoubleTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    def shape_of_numbers(operator: Any) -> None:
        model = operator.raw_operator.model_
        operator.outputs[0].type = DoubleTensorType([None, len(model.target.names)])

    def shape_of_classes(operator: Any) -> None:
        calculate_linear_classifier_output_shapes(operator)
        operator.outputs[1].type = DoubleTensorType([None, len(operator.raw_operator.classes_)])

    options = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}
    for kind in _CLASSIFIERS:
        alias = f"Chainrule{kind.__name__}"
        update_registered_converter(kind, alias, shape_of_classes, _convert_classifier, options=options)
    for other in _REGRESSORS:
        update_registered_converter(other, f"Chainrule{other.__name__}", shape_of_numbers, _convert_regressor)


class _Nodes:
    """Nodes added to a conversion in progress.

    Parameters
    ----------
    scope, operator, container
        As skl2onnx hands them to a converter.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.operator, self.container = scope, operator, container

    def name(self) -> str:
        """A name that nothing has."""
        return str(self.scope.get_unique_variable_name("chainrule"))

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append a node; its value's name."""
        from chainrule.exchange.onnx_nodes import OPSET

        output = output or self.name()
        self.container.add_node(kind, list(inputs), [output], op_version=OPSET, name=self.name(), **attributes)
        return output

    def constant(self, value: np.ndarray) -> str:
        """A constant's name."""
        from onnx import numpy_helper

        name = self.name()
        if value.dtype.kind in "OU":
            from onnx import TensorProto

            self.container.add_initializer(name, TensorProto.STRING, list(value.shape), [str(v) for v in value])
        else:
            self.container.add_initializer(name, None, None, numpy_helper.from_array(value, name))
        return name

    def outputs(self, estimator: FeedForwardEstimator) -> dict[str, str]:
        """The parameters of an estimator's distribution, by name."""
        from onnx import TensorProto, helper, numpy_helper

        from chainrule.exchange.onnx import onnx_model
        from chainrule.tables import Numeric

        predictor = predictor_of(estimator)
        if not all(isinstance(e, Numeric) for e in predictor.encodings):
            raise OptionError("skl2onnx hands over matrices of numbers; export a model of text with chainrule.to_onnx")
        graph = onnx_model(replace(predictor, named=False)).graph
        parts = [self.add("Cast", v.full_name, to=TensorProto.DOUBLE) for v in self.operator.inputs]
        known = {"X": parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)}
        for tensor in graph.initializer:
            known[tensor.name] = self.constant(numpy_helper.to_array(tensor))
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            known[node.output[0]] = self.add(node.op_type, *(known[i] for i in node.input), **attributes)
        return {output.name: known[output.name] for output in graph.output}


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    nodes, estimator = _Nodes(scope, operator, container), operator.raw_operator
    found = nodes.outputs(estimator)
    output = estimator.model_.output
    prediction = found["mean"]
    if output.name == "quantile":
        if _MEDIAN not in output.levels or len(estimator.model_.members) > 1:
            raise OptionError("the prediction is the median, which is not among the quantiles; use chainrule.to_onnx")
        at = nodes.constant(np.array(output.levels.index(_MEDIAN)))
        prediction = nodes.add("Gather", found["quantiles"], at, axis=-1)
    shape = nodes.constant(np.array([-1, len(estimator.model_.target.names)]))
    nodes.add("Reshape", prediction, shape, output=operator.outputs[0].full_name)


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    nodes, estimator = _Nodes(scope, operator, container), operator.raw_operator
    if len(estimator.model_.target.names) > 1:
        raise OptionError("several targets of classes are not what skl2onnx expects; use chainrule.to_onnx")
    probabilities = nodes.outputs(estimator)["probabilities"]
    nodes.add("Identity", probabilities, output=operator.outputs[1].full_name)
    classes = np.asarray(estimator.classes_)
    classes = classes if classes.dtype.kind in "OU" else classes.astype(np.int64)
    code = nodes.add("ArgMax", probabilities, axis=1, keepdims=0)
    nodes.add("Gather", nodes.constant(classes), code, axis=0, output=operator.outputs[0].full_name)

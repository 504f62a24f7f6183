"""One row of a fitted model as a graph: from raw columns, in their own units, to the prediction and its cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, ModelFileError, OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, scope
from chainrule.models.inputs import log_scale
from chainrule.models.model import Model
from chainrule.networks import Pass
from chainrule.primitives import trace
from chainrule.show.page import Control, Readout, Show
from chainrule.show.story import Story, tell
from chainrule.tables.encode import Categorical, Numeric

#: of more columns than this the row is one array in the picture
NAMED_COLUMNS = 12
#: how far sliders reach beyond the center, in scales
REACH = 3.0


def explain(
    model: Model,
    row: np.ndarray,
    y: np.ndarray | None = None,
    *,
    member: int = 0,
    title: str | None = None,
    learning_rate: float = 0.01,
) -> tuple[Story, Show]:
    """Tell how a model comes to its prediction for one row, and how its cost depends on every number in it.

    Parameters
    ----------
    model : Model
    row : array of shape (n_columns,)
        Raw columns, as `Encoder.to_matrix` gives them.
    y : array of shape (n_targets,), optional
        What was observed, in the target's own units, or codes of classes. The cost is then the negative
        log-likelihood (or other loss) of the row in these units, of several targets with unlike units a loss that is
        no likelihood in those of the first; without it, the prediction itself (of classes, minus the logarithm
        of the greatest probability).
    member : int
        Which network of an ensemble.

    Raises
    ------
    OptionError
        If the row has another number of columns, or there is no such network.
    ModelFileError
        If the file of the model does not describe its network (one with functions of one's own).
    """
    if model.network is None:
        raise ModelFileError("this model has functions of its own, which its file does not describe; draw them instead")
    columns = model.inputs.columns
    if np.shape(row) != (len(columns),):
        raise OptionError(f"a row has {len(columns)} columns ({', '.join(columns[:8])}), got shape {np.shape(row)}")
    if not 0 <= member < len(model.members):
        raise OptionError(f"the model has {len(model.members)} networks, there is no number {member}")
    graph, arguments = _graph(model, np.asarray(row, np.float64), y, member)
    story = tell(graph, arguments, graph.outputs[0])
    parameters = [i for i in graph.inputs if (graph.nodes[i].name or "").startswith("parameters")]
    target = model.target.names[0]
    of = f" of {target}" if len(model.target.names) == 1 else ""
    return story, Show(
        title=title or f"prediction{of}",
        subtitle="" if len(model.members) == 1 else f"network {member + 1} of {len(model.members)}",
        parameters=tuple(parameters),
        learning_rate=learning_rate,
        controls=tuple(_controls(model, graph, row, y)),
        readouts=tuple(_readouts(model, graph, y is not None)),
    )


def _graph(model: Model, row: np.ndarray, y: np.ndarray | None, member: int) -> tuple[Graph, list[np.ndarray]]:
    """The graph ``(parameters, row, y) -> (cost, prediction)`` and its arguments, flat."""
    network, target, output = model.network, model.target, model.output
    assert network is not None
    weights = model.members[member]
    pieces = network.layout(model.inputs.n_features, len(target.names)).unflatten(weights.theta.astype(np.float64))
    buffers = {name: value.astype(np.float64) for name, value in weights.buffers.items()}
    names = list(model.inputs.columns)
    apart = len(names) <= NAMED_COLUMNS

    def predict(raw: Any) -> Any:
        standard = output.standard_distribution(raw)
        middle = standard.median() if output.name == "quantile" else standard.mean()
        if not output.scales_target:
            return middle
        location, scale = np.array(target.center), np.array(target.scale)
        return location + scale * middle if len(target.names) > 1 else location[0] + scale[0] * middle

    def story(parameters: Any, row: Any, y: Any) -> Any:
        with scope("preprocessing"):
            matrix = np.reshape(np.stack(row) if apart else row, (1, len(names)))
            x = label(model.inputs.encode([matrix]), "x")
        raw = network.raw(parameters, x, Pass(training=False, buffers=buffers))
        with scope("prediction"):
            predicted = _try(predict, raw)
        if not y:
            with scope("cost"):
                cost = _to_go_back_from(predicted, raw)
            return [label(cost, "cost")] + ([] if predicted is None else [label(predicted, "prediction")])
        with scope("cost"):
            observed = np.reshape(np.stack(y), (1, len(target.names)))
            scaled = target.standardise(observed) if output.scales_target else observed
            cost = np.reshape(output.nll(raw, scaled), ())
            if output.scales_target:  # in the target's own units
                cost = cost + log_scale(target) if output.likelihood else cost * target.scale[0]
        return [label(cost, "cost")] + ([] if predicted is None else [label(predicted, "prediction")])

    cells: Any = [row[k] for k in range(len(names))] if apart else row
    observed = [] if y is None else [float(v) for v in y]
    graph = trace(story, pieces, cells, observed, name="prediction")
    called = {"row": names, "y": [f"{name} observed" for name in target.names]}
    nodes = list(graph.nodes)
    for position in graph.inputs:
        name = nodes[position].name or ""
        kind, _, place = name.partition("[")
        if kind in called and place:
            nodes[position] = replace(nodes[position], name=called[kind][int(place.rstrip("]"))])
    arguments = [pieces[name] for name in sorted(pieces)] + (list(cells) if apart else [cells]) + observed
    return replace(graph, nodes=tuple(nodes)), arguments


def _try(predict: Any, raw: Any) -> Any:
    """The prediction, if the output computes it with what can be recorded."""
    try:
        return predict(raw)
    except (ChainruleError, TypeError, ValueError, NotImplementedError):
        return None


def _to_go_back_from(predicted: Any, raw: Any) -> Any:
    """One number to differentiate where nothing was observed."""
    value = raw if predicted is None else predicted
    if value.size == 1:
        return np.reshape(value, ()) + 0.0
    return -np.log(np.max(value)) if predicted is not None else np.sum(value)


def _controls(model: Model, graph: Graph, row: np.ndarray, y: np.ndarray | None) -> list[Control]:
    """What can be changed: every column, and what was observed."""
    made = []
    place = {name: k for k, name in enumerate(graph.node_names[i] for i in graph.inputs)}
    first = place.get("row", 0)
    for k, encoding in enumerate(model.inputs.encoder.encodings):
        spot = (place[encoding.name], 0) if encoding.name in place else (first, k)
        match encoding:
            case Numeric():
                low, high = encoding.center - REACH * encoding.scale, encoding.center + REACH * encoding.scale
                if np.isfinite(row[k]):
                    low, high = min(low, float(row[k])), max(high, float(row[k]))
                made.append(Control(encoding.name, *spot, low, high, missing=True))
            case Categorical():
                choices = [(name, float(code)) for code, name in enumerate(encoding.categories)]
                made.append(Control(encoding.name, *spot, choices=(*choices, ("another one", -1.0)), missing=True))
            case _:
                made.append(Control(encoding.name, *spot, choices=(("true", 1.0), ("false", 0.0)), missing=True))
    for k, name in enumerate(model.target.names if y is not None else ()):
        spot = (place[f"{name} observed"], 0)
        if model.target.task == "numeric":
            reach = REACH * model.target.scale[k]
            middle = model.target.center[k] if model.output.scales_target else float(np.asarray(y)[k])
            made.append(Control(f"{name} observed", *spot, middle - reach, middle + reach))
        else:
            labels = [(str(c), float(code)) for code, c in enumerate(model.target.classes[k])]
            made.append(Control(f"{name} observed", *spot, choices=tuple(labels)))
    return made


def _readouts(model: Model, graph: Graph, observed: bool) -> list[Readout]:
    """The prediction in words, and the cost."""
    made = []
    target = model.target
    if len(graph.outputs) > 1:
        if target.task == "numeric":
            words = tuple(target.names) if len(target.names) > 1 else ()
            made.append(Readout(f"predicted {', '.join(target.names)}", graph.outputs[1], words))
        else:
            one = len(target.names) == 1
            words = tuple(str(c) for c in target.classes[0]) if one and target.task == "classes" else ()
            what = f"probability of {target.names[0]} = {target.classes[0][1]}" if one else "probabilities"
            made.append(Readout(f"probability of {target.names[0]}" if words else what, graph.outputs[1], words))
    if observed:
        what = "negative log-likelihood" if model.output.likelihood else "loss"
        made.append(Readout(f"cost: {what} of this row", graph.outputs[0]))
    return made

"""One row of a fitted model as a graph: from raw columns, in their own units, to the prediction and its cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from chainrule.errors import ModelFileError, OptionError, TraceError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, scope
from chainrule.graph.tree import flatten
from chainrule.models.inputs import log_scale
from chainrule.models.model import Model
from chainrule.networks import Pass
from chainrule.networks.embeddings import PiecewiseLinear
from chainrule.outputs import Bernoulli, Distribution, Output
from chainrule.outputs import Categorical as CategoricalOutput
from chainrule.primitives import trace
from chainrule.show.page import MAX_BYTES, Control, Readout, Show, fits
from chainrule.show.story import Story, tell
from chainrule.tables.encode import Categorical, Numeric

#: of more columns than this the row is one array in the picture
NAMED_COLUMNS = 12
#: how far sliders reach beyond the center, in scales
REACH = 3.0
#: more nodes than this are no page to step through: one network of an ensemble then stands for all
MAX_NODES = 3000
#: said of what a model adjusts after its networks have spoken
CALIBRATED = "as the model is calibrated: "
#: the scope and name that networks give to their first layer
FIRST = "layer1"


def explain(
    model: Model,
    row: np.ndarray,
    y: np.ndarray | None = None,
    *,
    member: int | None = None,
    title: str | None = None,
    learning_rate: float = 0.01,
) -> tuple[Story, Show]:
    """Tell how a model comes to its prediction for one row, and how its cost depends on every number in it.

    An ensemble is told as a whole: every network in a part of its own, their predictions averaged, their likelihoods
    too. Where that is more than a page holds, or the loss is no likelihood (the quantiles of a mixture are no mean of
    the networks' own), the network whose prediction is nearest to the ensemble's stands for it, and the page says so.

    Parameters
    ----------
    model : Model
    row : array of shape (n_columns,)
        Raw columns, as `Encoder.to_matrix` gives them.
    y : array of shape (n_targets,), optional
        What was observed, in the target's own units, or codes of classes. The cost is then the negative
        log-likelihood (or other loss) of the row in these units, of several targets with unlike units a loss that is
        no likelihood in those of the first; without it, the prediction itself (of classes, minus the logarithm
        of the greatest probability). Labels are not smoothed.
    member : int, optional
        One network of an ensemble, counted from 0, beside what all of them predict.

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
    n_members = len(model.members)
    if member is not None and not 0 <= member < n_members:
        raise OptionError(f"the model has {n_members} networks, there is no number {member}")
    row = np.asarray(row, np.float64)
    title = title or "prediction" + (f" of {model.target.names[0]}" if len(model.target.names) == 1 else "")
    if n_members > 1 and member is None:
        whole = _whole(model, row, y, Show(title=title, learning_rate=learning_rate))
        if whole is not None:
            return whole
        member = _nearest(model, row)
    member = member or 0
    graph, arguments, parameters = _graph(model, row, y, [member])
    story = tell(graph, arguments, graph.outputs[0])
    together = f"all {n_members} together: "
    notes = _notes(model, row, y, together) if n_members > 1 else _notes(model, row, y, CALIBRATED, story)
    return story, Show(
        title=title,
        subtitle=f"network {member + 1} of {n_members}; {notes[0]}" if n_members > 1 else "",
        parameters=parameters,
        learning_rate=learning_rate,
        controls=tuple(_controls(model, graph, row, y)),
        readouts=tuple(_readouts(model, graph, y is not None, notes)),
    )


def _whole(model: Model, row: np.ndarray, y: np.ndarray | None, show: Show) -> tuple[Story, Show] | None:
    """All networks of an ensemble in one page, if they are its distribution and fit."""
    n_members = len(model.members)
    n_parameters = n_members * model.members[0].theta.size
    if not model.output.likelihood or n_parameters * np.dtype(np.float32).itemsize > MAX_BYTES:
        return None
    graph, arguments, parameters = _graph(model, row, y, range(n_members))
    if len(graph.nodes) > MAX_NODES:
        return None
    story = tell(graph, arguments, graph.outputs[0])
    show = replace(
        show,
        subtitle=f"{n_members} networks, mixed with equal weights",
        parameters=parameters,
        controls=tuple(_controls(model, graph, row, y)),
        readouts=tuple(_readouts(model, graph, y is not None, _notes(model, row, y, CALIBRATED, story))),
        folded=("target", *(f"network {k}" for k in range(1, n_members + 1))),
    )
    return (story, show) if fits(story, show) else None


def _graph(
    model: Model, row: np.ndarray, y: np.ndarray | None, members: Sequence[int]
) -> tuple[Graph, list[Any], tuple[int, ...]]:
    """The graph ``(parameters of each network, row, y) -> (cost, prediction)``, its arguments, flat, its parameters."""
    network, target, output = model.network, model.target, _unsmoothed(model.output)
    assert network is not None
    layout = network.layout(model.inputs.n_features, len(target.names))
    pieces = [layout.unflatten(model.members[k].theta.astype(np.float64)) for k in members]
    names = list(model.inputs.columns)
    apart = len(names) <= NAMED_COLUMNS
    several = len(members) > 1

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
        if observed:
            with scope("target" if several else "cost"):
                y = np.reshape(np.stack(y), (1, len(target.names)))
                y = label(target.standardise(y), "y") if output.scales_target else y
        raws, predictions, costs = [], [], []
        for k, own in zip(members, parameters, strict=True):
            with scope(f"network {k + 1}" if several else ""):
                buffers = {}
                for name, value in model.members[k].buffers.items():
                    with scope(name.partition(".")[0]):  # the layer's
                        buffers[name] = label(x.recorder.constant(value, np.float64), name)
                raws.append(network.raw(own, x, Pass(training=False, buffers=buffers)))
                with scope("prediction"):
                    predictions.append(label(_try(predict, raws[-1]), "mean" if several else "prediction"))
                if observed:
                    with scope("likelihood" if several else "cost"):
                        costs.append(np.reshape(output.nll(raws[-1], y), ()))
                        if several:
                            costs[-1] = label(-costs[-1], "loglik")
        predicted = None if any(p is None for p in predictions) else predictions[0]
        if several and predicted is not None:
            with scope("prediction"):
                predicted = label(sum(predictions[1:], start=predicted) / len(members), "prediction")
        with scope("cost"):
            if not observed:
                cost = _to_go_back_from(predicted, sum(raws[1:], start=raws[0]) / len(members) if several else raws[0])
            else:  # in the target's own units
                cost = np.log(len(members)) - reduce(np.logaddexp, costs) if several else costs[0]
                if output.scales_target:
                    cost = cost + log_scale(target) if output.likelihood else cost * target.scale[0]
        return [label(cost, "cost")] + ([] if predicted is None else [predicted])

    cells: Any = [row[k] for k in range(len(names))] if apart else row
    observed = [] if y is None else [float(v) for v in y]
    graph = trace(story, pieces, cells, observed, name="prediction")
    arguments, _ = flatten((pieces, cells, observed))
    parameters = graph.inputs[: len(pieces) * len(layout.pieces)]
    return _named(graph, model, members), arguments, parameters


def _named(graph: Graph, model: Model, members: Sequence[int]) -> Graph:
    """The graph with names for readers: columns, what was observed, whose parameters, the embedding's parts."""
    network = model.network
    assert network is not None
    called = {"row": model.inputs.columns, "y": [f"{name} observed" for name in model.target.names]}
    parts = _embedding(graph) if network.layers and isinstance(network.layers[0], PiecewiseLinear) else {}
    nodes = []
    for position, node in enumerate(graph.nodes):
        name, path = parts.get(position, node.name or ""), node.scope
        kind, _, place = name.partition("[")
        owner = path.partition("/")[0]
        if kind in called and place:
            name = called[kind][int(place.rstrip("]"))]
        elif kind == "parameters":
            at, name = place.split("]", 1)[0], re.sub(r"^.*\['(.+)'\]$", r"\1", name)
            owner = f"network {members[int(at)] + 1}" if len(members) > 1 else ""
        if position in parts or (parts and path.split("/")[-1] == FIRST):
            path = path.removesuffix(FIRST) + "embedding"
        if len(members) > 1 and name and owner.startswith("network "):
            name = f"net{owner.removeprefix('network ')}.{name}"
        nodes.append(replace(node, name=name or None, scope=path))
    return replace(graph, nodes=tuple(nodes))


def _embedding(graph: Graph) -> dict[int, str]:
    """Names of the parts of an embedding: of which columns, knots, widths, how far inside each interval, and all."""
    found = {}
    for position, node in enumerate(graph.nodes):
        if node.scope.split("/")[-1] != FIRST:
            continue
        known = {FIRST: "embedding", f"{FIRST}.low": "knots", f"{FIRST}.width": "widths"}
        if node.name in known:
            found[position] = known[node.name]
        if node.primitive.name == "gather":
            found[node.inputs[1]] = "columns"
        if node.primitive.name == "concatenate":
            found[node.inputs[1]] = "inside"
    return found


def _unsmoothed(output: Output) -> Output:
    """The output without what training makes of labels: a row's cost is its negative log-likelihood."""
    match output:
        case Bernoulli() | CategoricalOutput():
            return replace(output, label_smoothing=0.0)
        case _:
            return output


def _middle(model: Model, distribution: Distribution) -> np.ndarray:
    """What the estimators' ``predict`` says of one row: numbers, or the probabilities of classes."""
    return np.ravel(distribution.median() if model.output.name == "quantile" else distribution.mean())


def _nearest(model: Model, row: np.ndarray) -> int:
    """The network whose prediction is nearest to the ensemble's."""
    whole = _middle(model, model.distribution([row[None]]))
    alone = [_middle(model, replace(model, members=(m,)).distribution([row[None]])) for m in model.members]
    unit = np.array(model.target.scale) if model.output.scales_target else 1.0
    return int(np.argmin([np.linalg.norm((each - whole) / unit) for each in alone]))


def _notes(
    model: Model, row: np.ndarray, y: np.ndarray | None, lead: str, story: Story | None = None
) -> tuple[str, str]:
    """What the model itself predicts, and its cost, in a few words; with a story only what its numbers do not say.

    Of a loss that is no likelihood a mixture has no cost.
    """
    distribution, target = model.distribution([row[None]]), model.target
    values = _middle(model, distribution)
    one = len(target.names) == 1
    if target.task == "classes" and one:
        best = int(np.argmax(values))
        predicted = f"{target.classes[0][best]} {values[best]:.4g}"
    else:  # of two classes the second, as the page has it
        shown = values[-1:] if target.task == "binary" and one else values
        predicted = ", ".join(f"{v:.5g}" if target.task == "numeric" else f"{v:.4g}" for v in shown)
    predicted, cost = lead + predicted, ""
    if story is not None and _says(story, 1, values):
        predicted = ""
    if y is not None and model.output.likelihood:
        nll = -float(np.ravel(distribution.log_score(y if one else np.reshape(y, (1, -1))))[0])
        cost = "" if story is not None and _says(story, 0, nll) else f"{lead}{nll:.5g}"
    return predicted, cost


def _says(story: Story, output: int, number: Any) -> bool:
    """Whether an output of the graph is this number, which was computed in single precision."""
    outputs = story.graph.outputs
    return output < len(outputs) and np.allclose(np.ravel(story.value(outputs[output])), number, rtol=1e-3, atol=1e-5)


def _try(predict: Any, raw: Any) -> Any:
    """The prediction, if the output, which may be a user's own, computes it with what can be recorded."""
    try:
        return predict(raw)
    except TraceError:
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


def _readouts(model: Model, graph: Graph, observed: bool, notes: tuple[str, str] = ("", "")) -> list[Readout]:
    """The prediction in words, and the cost, each with a note."""
    made = []
    target = model.target
    if len(graph.outputs) > 1:
        if target.task == "numeric":
            words = tuple(target.names) if len(target.names) > 1 else ()
            made.append(
                Readout(f"predicted {', '.join(target.names)}", graph.outputs[1], words, notes[0], shares=False)
            )
        else:
            one = len(target.names) == 1
            words = tuple(map(str, target.classes[0])) if one else tuple(target.names)
            if graph.nodes[graph.outputs[1]].type.size != len(words):  # of the second class alone
                words = ()
            what = f"{target.names[0]}" if words else f"{target.names[0]} = {target.classes[0][1]}"
            what = f"probability of {what}" if one else "probabilities"
            made.append(Readout(what, graph.outputs[1], words, notes[0]))
    if observed:
        what = "negative log-likelihood" if model.output.likelihood else "loss"
        made.append(Readout(f"cost: {what} of this row", graph.outputs[0], note=notes[1]))
    return made

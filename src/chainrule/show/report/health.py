"""The network's health, layer by layer: activations, dead and saturated units, gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chainrule.calculus import backpropagate
from chainrule.graph.trace import label
from chainrule.models.model import Member
from chainrule.networks import Dense, Network, Pass, PiecewiseLinear
from chainrule.networks.units import as_unit
from chainrule.primitives import trace
from chainrule.show.document import Document
from chainrule.show.report.data import ReportData, counted, number, percent

#: training rows looked at
MOST_ROWS = 1000
#: how near to its bounds a tanh or sigmoid is saturated, as a share of the distance between them
NEAR = 0.005
#: bounds of units that saturate
BOUNDS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
#: gradients that shrink or grow by so much from the last layer to the first vanish or explode
VANISHED, EXPLODED = 1e-3, 1e3


@dataclass(frozen=True)
class LayerHealth:
    """One layer on so many rows.

    Parameters
    ----------
    name, what : str
    width : int
    mean, std : float
        Of its values.
    dead : tuple of int
        Units that give the same value for every row: a rectifier that is never active, say.
    saturated : float
        Share of values at a bound of tanh or sigmoid; NaN for other units.
    gradient : float
        Root mean square, over rows and units, of the derivative of a row's loss by the layer's values.
    parameter_gradient : float
        Norm of the derivative of the mean loss by the layer's parameters.
    weights : float
        Norm of its weights.
    """

    name: str
    what: str
    width: int
    mean: float
    std: float
    dead: tuple[int, ...]
    saturated: float
    gradient: float
    parameter_gradient: float
    weights: float


def layer_health(network: Network, member: Member, x: np.ndarray, y: np.ndarray) -> list[LayerHealth]:
    """The health of a network's layers, the affine output among them, on rows.

    Parameters
    ----------
    network : Network
    member : Member
    x : array of shape (n_rows, n_inputs)
        Encoded rows.
    y : array of shape (n_rows, n_targets)
        As the network is trained on them.
    """
    n_rows = len(x)
    pieces = network.layout(x.shape[1], y.shape[1]).unflatten(member.theta.astype(np.float64))
    buffers = {name: value.astype(np.float64) for name, value in member.buffers.items()}
    names = [f"layer{k}" for k in range(1, len(network.layers) + 1)]

    def mean_loss(parameters, moved):  # type: ignore[no-untyped-def]
        state, parts = Pass(training=False, buffers=buffers), dict(parameters)
        h = x
        for name, layer, shift in zip(names, network.layers, moved, strict=False):
            own = {key.removeprefix(f"{name}."): v for key, v in parts.items() if key.startswith(f"{name}.")}
            h = label(layer.apply(own, h, state, f"{name}.") + shift, f"value of {name}")
        raw = label(h @ parts["output.weight"] + parts["output.bias"] + moved[-1], "value of output")
        return np.mean(network.output.nll(raw, y))

    # derivatives by shifts of zero are those by the values they are added to
    widths, width = [], x.shape[1]
    for layer in network.layers:
        width = layer.width(width)
        widths.append(width)
    widths.append(network.output.n_raw(y.shape[1]))
    moved = [np.zeros((n_rows, w)) for w in widths]
    with np.errstate(all="ignore"):
        graph = trace(mean_loss, pieces, moved)
        passed = backpropagate(graph, [*(pieces[k] for k in sorted(pieces)), *moved])
    value_of = {graph.nodes[i].name: passed.values[i] for i in range(len(graph.nodes))}
    slopes = [passed.gradients[i] for i in graph.inputs]
    by_piece = dict(zip(sorted(pieces), slopes, strict=False))
    found = []
    for k, (name, width) in enumerate(zip([*names, "output"], widths, strict=True)):
        h, slope = value_of[f"value of {name}"], slopes[len(pieces) + k]
        own = [p for p in pieces if p.startswith(f"{name}.")]
        layer = network.layers[k] if k < len(names) else Dense(width, "linear")
        unit = as_unit(layer.unit).name if isinstance(layer, Dense) else ""
        what = repr(layer) if k < len(names) else "affine"
        still = np.ptp(h, axis=0) <= 1e-7 * np.maximum(1.0, np.abs(h[0]))
        found.append(
            LayerHealth(
                name,
                what,
                width,
                float(np.mean(h)),
                float(np.std(h)),
                () if isinstance(layer, PiecewiseLinear) else tuple(np.flatnonzero(still).tolist()),
                _saturated(h, unit),
                0.0 if slope is None else float(np.sqrt(np.mean(np.square(n_rows * slope)))),
                _norm([g for p in own if (g := by_piece[p]) is not None]),
                _norm([pieces[p] for p in own if p.endswith("weight")]),
            )
        )
    return found


def _norm(arrays: list[np.ndarray]) -> float:
    return float(np.sqrt(sum(float(np.sum(np.square(a))) for a in arrays))) if arrays else float("nan")


def _saturated(h: np.ndarray, unit: str) -> float:
    if unit not in BOUNDS:
        return float("nan")
    low, high = BOUNDS[unit]
    air = NEAR * (high - low)
    return float(np.mean((h < low + air) | (h > high - air)))


def health(data: ReportData, page: Document) -> None:
    """The section."""
    model = data.model
    page.section("Health of the network")
    if model.network is None:
        page.text("The model has functions of its own, which its file does not describe.")
        return
    rows = data.known.some(MOST_ROWS)
    with np.errstate(all="ignore"):
        x = np.asarray(model.inputs.encode([rows.x]), np.float64)
    y = model.target.standardise(rows.y) if model.output.scales_target else rows.y
    members = [layer_health(model.network, m, x, y) for m in model.members]
    first = members[0]
    for good, text in diagnosis(members):
        page.note(text, warning=not good)
    head = ["layer", "", "width", "mean", "std", "dead units", "saturated", "gradient", "gradient of θ", "weights"]
    table = [head]
    for layer in first:
        table.append(
            [
                layer.name,
                f"`{layer.what}`",
                str(layer.width),
                number(layer.mean, 3),
                number(layer.std, 3),
                str(len(layer.dead)),
                percent(layer.saturated),
                number(layer.gradient, 3),
                number(layer.parameter_gradient, 3),
                number(layer.weights, 3),
            ]
        )
    which = "the first network of the ensemble" if len(members) > 1 else "the network"
    page.table(
        table,
        f"{which[:1].upper()}{which[1:]} on {len(rows)} rows learned from. Mean and std: of the layer's values. Dead: "
        "units with the same value for all of these rows. Saturated: share of values at a bound of tanh or sigmoid. "
        "Gradient: root mean square of the derivative of a row's loss by the layer's values; of θ: norm of the "
        "derivative of the mean loss by the layer's parameters, near 0 where training has converged. Weights: their "
        "norm.",
    )


def diagnosis(members: list[list[LayerHealth]]) -> list[tuple[bool, str]]:
    """What is wrong in plain words, or that nothing is: pairs of whether it is good and a sentence."""
    said = []
    units = sum(layer.width for layers in members for layer in layers[:-1] if np.isfinite(layer.weights))
    dead = sum(len(layer.dead) for layers in members for layer in layers[:-1])
    where = sorted({layer.name for layers in members for layer in layers[:-1] if layer.dead})
    networks = f" of {counted(len(members), 'network')}" if len(members) > 1 else ""
    if dead:
        text = f"{counted(dead, 'dead unit')} of {units} hidden ones{networks}, in {', '.join(where)}: "
        said.append(
            (dead < 0.1 * units, text + "they take no part in any prediction; a smaller learning rate or silu helps.")
        )
    full = [layer for layers in members for layer in layers if layer.saturated > 0.5]
    if full:
        names = ", ".join(sorted({layer.name for layer in full}))
        said.append(
            (False, f"Most values of {names} are saturated: their gradients vanish; smaller weights (l2) help.")
        )
    ratios = [layers[0].gradient / layers[-2].gradient for layers in members if len(layers) > 2 and layers[-2].gradient]
    if ratios and min(ratios) < VANISHED:
        said.append(
            (False, f"Gradients vanish: by the first layer only {min(ratios):.1g} of the last hidden one's is left.")
        )
    if ratios and max(ratios) > EXPLODED:
        said.append(
            (False, f"Gradients explode: at the first layer they are {max(ratios):.1g} times the last hidden one's.")
        )
    if not said:
        bounded = any(np.isfinite(layer.saturated) for layers in members for layer in layers)
        none = ", no layer is saturated" if bounded else ""
        said.append((True, f"No dead units{none}, and gradients neither vanish nor explode on the way back."))
    return said

"""What the penalty did: weights that are exactly zero, columns that were dropped."""

from __future__ import annotations

import numpy as np

from chainrule.networks import Dense, Maxout
from chainrule.show.document import Document
from chainrule.show.report.data import ReportData, counted, number, percent


def dropped_columns(data: ReportData) -> list[str]:
    """Input columns whose weights are all exactly zero in every network; empty where the first layer is not affine."""
    model = data.model
    if model.network is None:
        return []
    layers = model.network.layers
    if layers and not isinstance(layers[0], (Dense, Maxout)):
        return []
    name = "layer1.weight" if layers else "output.weight"
    layout = model.network.layout(model.inputs.n_features, len(model.target.names))
    groups = np.array(model.inputs.groups)
    alive = np.zeros(len(data.names), bool)
    for member in model.members:
        used = np.any(layout.unflatten(member.theta)[name] != 0.0, axis=1)
        alive[np.unique(groups[used])] = True
    return [n for n, a in zip(data.names, alive, strict=True) if not a]


def penalties(data: ReportData, page: Document) -> None:
    """The section."""
    model = data.model
    if model.network is None:
        return
    page.section("Penalty")
    options = data.trainings[0].options.penalties if data.trainings else ()
    if options:
        page.text("Penalties: " + ", ".join(f"`{type(p).__name__}({p.strength:g})`" for p in options) + ".")
    elif data.trainings:
        page.text("Trained without a penalty.")
    sparse = any(type(p).__name__ != "L2" for p in options)
    gone = dropped_columns(data)
    if gone:
        names = ", ".join(f"`{n}`" for n in gone)
        page.note(f"{counted(len(gone), 'column')} of {len(data.names)} dropped, all weights exactly zero: {names}.")
    elif sparse:
        page.note("No column was dropped: each has weights that are not zero.")
    layout = model.network.layout(model.inputs.n_features, len(model.target.names))
    rows = [["parameters", "number", "exactly zero", "norm", "largest"]]
    parts = [layout.unflatten(m.theta) for m in model.members]
    for piece in layout.pieces:
        if not piece.penalised:
            continue
        values = np.stack([p[piece.name] for p in parts]).astype(np.float64)
        norm = float(np.mean([np.linalg.norm(v) for v in values]))
        zero, largest = float(np.mean(values == 0.0)), float(np.max(np.abs(values)))
        rows.append([piece.name, str(piece.size), percent(zero), number(norm, 3), number(largest, 3)])
    several = " Shares and norms are means over the networks." if len(parts) > 1 else ""
    page.table(rows, f"Weights under the penalty.{several}")
    if not sparse:
        page.text("L2 makes weights small, never zero; `--l1` or `--group-l1` drop weights or whole columns.")

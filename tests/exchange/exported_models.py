"""Models to export: every output, layer, unit and kind of column, with parameters at random instead of trained ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

import chainrule as cr
from chainrule.learn.blocks import BLOCK
from chainrule.models.calibration import Calibration
from chainrule.models.inputs import Inputs, class_target, numeric_target
from chainrule.models.model import Member, Model
from chainrule.models.prediction import parameters
from chainrule.networks import UNITS
from chainrule.outputs import OUTPUTS, Output
from chainrule.tables import fit_encoder, infer_schema

N_ROWS = 45  # more than one block, and no whole number of them
TABLE = pl.DataFrame(
    {
        "size": np.random.default_rng(7).lognormal(size=N_ROWS) * 10.0,
        "count": [None if k % 9 == 4 else k % 13 for k in range(N_ROWS)],
        "kind": [
            None if k % 11 == 3 else ("oak", "ash", "yew tree", 'a "quoted"\\ one\n?')[k % 4] for k in range(N_ROWS)
        ],
        "code": [str(k % 3) + "x" for k in range(N_ROWS)],
        "old": [None if k % 10 == 6 else k % 3 == 0 for k in range(N_ROWS)],
    }
)
#: as many columns as a block has rows
WIDE = np.random.default_rng(2).normal(size=(N_ROWS, BLOCK))


def matrix(seed: int = 0) -> np.ndarray:
    """Numbers of very different sizes, some of them missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N_ROWS, 3)) * [1.0, 1e-3, 1e4]
    x[::7, 1] = np.nan
    x[3, 2] = 1e300
    return x


def model_of(
    output: Output,
    layers: tuple = (6,),
    n_members: int = 1,
    n_targets: int = 1,
    dtype: str = "float64",
    inputs: Inputs | None = None,
    spread: float = 0.6,
) -> Model:
    """A model with parameters at random."""
    rng = np.random.default_rng(1)
    inputs = inputs or Inputs.of_matrix(matrix(), np.ones(N_ROWS))
    names = [f"y{k}" for k in range(n_targets)]
    if output.kind in ("binary", "classes"):
        n_classes = 2 if output.kind == "binary" else 3
        output = output.for_target(n_classes)
        target = class_target(names, [["a", "b", "c"][:n_classes]] * n_targets)
    else:
        y = rng.normal(size=(N_ROWS, n_targets)) * 50.0 + 300.0
        target = numeric_target(names, y, None, output.scales_target)
    network = cr.Network(layers, output=output)
    members = []
    for _ in range(n_members):
        theta = network.initial(inputs.n_features, rng, n_targets=n_targets)
        theta = (theta + rng.normal(scale=spread, size=theta.shape)).astype(dtype)
        buffers = {
            name: (value + rng.uniform(0.0, 0.5, size=value.shape)).astype(dtype)
            for name, value in network.buffers(inputs.n_features).items()
        }
        members.append(Member(theta, buffers))
    return Model(inputs, target, output, tuple(members), network)


def table_inputs() -> Inputs:
    """The encoding of `TABLE`: numbers, categories, truth values, with missing cells."""
    return Inputs(fit_encoder(infer_schema(TABLE), TABLE), named=True)


#: outputs that are not in the target's units
PROBABILITIES = ("probabilities", "weights")


def rows_of(model: Model):
    """Rows to predict."""
    if model.inputs.named:
        return TABLE
    return WIDE if len(model.inputs.columns) == BLOCK else matrix()


def expected(model: Model, rows) -> dict[str, np.ndarray]:
    """What the model itself predicts, by the names an export gives it."""
    return parameters(model.predict(rows))


def difference(given: dict, wanted: dict) -> float:
    """The largest difference, relative to the number or to 1, a fiftieth of the targets' standard deviation."""
    assert given.keys() == wanted.keys()
    worst = 0.0
    for name, value in wanted.items():
        assert given[name].shape == value.shape, (name, given[name].shape, value.shape)
        off = np.abs(given[name] - value) / np.maximum(np.abs(value), 0.01 if name in PROBABILITIES else 1.0)
        worst = max(worst, float(np.max(off, initial=0.0)))
    return worst


LAYERS = {
    "none": (),
    "deep": (5, 4),
    "maxout": (cr.Maxout(4, pieces=3),),
    "dropout": (5, cr.Dropout(0.3)),
    "batch_norm": (cr.BatchNorm(), 5, cr.BatchNorm()),
    "piecewise": (cr.PiecewiseLinear((0, 0, 2), (-1.0, 0.0, -0.5), (1.0, 0.5, 2.0)), 5),
    "low_rank": (cr.Dense(2, "linear"), 5),
}
UNIT_NAMES = sorted({unit.name for unit in UNITS.values()})


def cases() -> dict[str, Model]:
    """Models by name."""
    made: dict[str, Model] = {}
    outputs = [cls() for cls in OUTPUTS.values()]
    outputs += [cr.Gaussian(variance="constant"), cr.GaussianMixture(1), cr.Quantile([0.3]), cr.Quantile([0.1, 0.9])]
    for output in outputs:
        for n_targets in (1,) if output.kind == "classes" else (1, 2):
            for n_members in (1, 3):
                made[f"{output!r}-{n_targets}-{n_members}"] = model_of(output, n_targets=n_targets, n_members=n_members)
    made |= {f"layers {name}": model_of(cr.Gaussian(), layers) for name, layers in LAYERS.items()}
    made |= {f"unit {name}": model_of(cr.Gaussian(), (cr.Dense(5, name),)) for name in UNIT_NAMES}
    for output, n_members in ((cr.Gaussian(), 2), (cr.Quantile(), 1), (cr.StudentT(), 2), (cr.Categorical(), 1)):
        calibration = Calibration(1.7, np.zeros((0,)), np.zeros(0))
        made[f"calibrated {output!r}"] = replace(model_of(output, n_members=n_members), calibration=calibration)
    factor = cr.Gaussian(fitted=(0.7,))
    made["fitted factor"] = model_of(factor, n_members=2)
    inputs = table_inputs()
    made["table"] = model_of(cr.Gaussian(), inputs=inputs)
    made["table of classes"] = model_of(cr.Categorical(), inputs=inputs, n_members=2)
    made["as wide as a block"] = model_of(
        cr.Gaussian(), (32, cr.Maxout(32)), 2, inputs=Inputs.of_matrix(WIDE, np.ones(N_ROWS)), spread=0.1
    )
    linear = Inputs.of_matrix(matrix(), np.ones(N_ROWS), scaling="standard")
    made["standard scaling"] = model_of(cr.Gaussian(), inputs=linear, spread=1e-3)
    return made


def narrow(model: Model) -> Model:
    """The model in float32, as estimators fit it by default."""
    members = [
        Member(m.theta.astype(np.float32), {k: v.astype(np.float32) for k, v in m.buffers.items()})
        for m in model.members
    ]
    return replace(model, members=tuple(members))


def float32_limit(name: str) -> float:
    """How far float32 may be off; sums of exponentials of random numbers are themselves off by 3e-5."""
    return 3e-5 if "Quantile" in name else 1e-5


CASES = cases()

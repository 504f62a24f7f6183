"""The models anybody would try first, and whether the network does better."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from chainrule.learn.optimizers import LBFGS
from chainrule.learn.rows import Rows
from chainrule.models.fit import FitOptions, finish, fit_network
from chainrule.models.inputs import Inputs
from chainrule.models.model import Model
from chainrule.models.scores import scores
from chainrule.networks import Network
from chainrule.outputs import Distribution, Gaussian
from chainrule.tables import TargetEncoder

if TYPE_CHECKING:
    import polars as pl


def scored_each(
    name: str,
    distribution: Distribution,
    target: TargetEncoder,
    y: np.ndarray,
    w: np.ndarray,
    model: Model | None = None,
) -> dict[str, dict[str, float]]:
    """Scores under a model's name; of several targets each by itself. Intervals are those that the model predicts."""
    own = distribution.interval if model is None else partial(model.interval, distribution)
    if len(target.names) == 1:
        return {name: scores(distribution, y, target.task, w, own)}

    def of_target(k: int, coverage: float) -> np.ndarray:
        return own(coverage)[:, k]

    return {
        f"{name}, {each}": scores(distribution.target(k), y[:, k : k + 1], target.task, w, partial(of_target, k))
        for k, each in enumerate(target.names)
    }


def no_better(scored: Mapping[str, Mapping[str, float]], target: TargetEncoder) -> str:
    """Say so where the network does no better than a model that ignores its inputs."""
    measure = "NLL" if target.task == "numeric" else "log-loss"
    for suffix in [""] if len(target.names) == 1 else [f", {each}" for each in target.names]:
        network, constant = scored.get(f"network{suffix}"), scored.get(f"{_constant_name(target)}{suffix}")
        if network and constant and not network[measure] < constant[measure]:
            of = f" of {suffix[2:]}" if suffix else ""
            return (
                f"by {measure} the network{of} is no better than a model that ignores its inputs; there may be nothing "
                "to learn, too few rows, or the learning rate may be too high"
            )
    return ""


def _constant_name(target: TargetEncoder) -> str:
    return "most common class" if target.task != "numeric" else "constant"


def baselines(
    network: Network,
    inputs: Inputs,
    target: TargetEncoder,
    rows: Rows,
    options: FitOptions,
    part: pl.DataFrame | np.ndarray,
) -> list[tuple[str, Distribution]]:
    """Predictions of the models anybody would try first: the target's marginal distribution, and a linear model."""
    y, w = rows.y.astype(np.float64), rows.w.astype(np.float64)
    raw = np.tile(network.output.initial_raw(y, w), (len(y), 1))
    calibrated = network.output.calibrated(raw, y, w)
    scaling = {"location": np.array(target.center), "scale": np.array(target.scale)} if calibrated.scales_target else {}
    constant = calibrated.distribution(raw[:1].repeat(len(part), axis=0), **scaling)
    # the linear model anybody would try: least squares with one variance, logistic or Poisson regression
    plain = Gaussian(variance="constant") if network.output.kind == "numeric" else network.output
    linear = Network((), plain)
    simple = FitOptions(
        layers=(),
        n_members=1,
        optimizer=LBFGS(),
        max_epochs=300,
        tol=1e-5,
        l2=1e-3,
        seed=options.seed,
        dtype="float64",
        loss=options.loss,
    )
    wide = Rows.of(rows.x, rows.y, rows.w, "float64")
    fitted = finish(linear, inputs, target, fit_network(linear, [(wide, None)], simple), {})
    return [(_constant_name(target), constant), ("linear model", fitted.predict(part))]

"""What a model predicts, as one graph: raw columns in, named parameters of the predictive distribution out.

The formulas are those of `chainrule.outputs`: its distributions are made of recorded values instead of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.graph.trace import inline, trace
from chainrule.learn.blocks import BLOCK
from chainrule.models.model import Model
from chainrule.outputs import (
    BernoulliDistribution,
    CategoricalDistribution,
    Distribution,
    Mixture,
    NormalMixture,
    PoissonDistribution,
    QuantileDistribution,
    mixture_of,
)
from chainrule.outputs.distribution import Affine
from chainrule.passes import optimize


def prediction_graph(model: Model) -> Graph:
    """The graph ``raw matrix -> {name: value}`` of a block of rows, all members and their parameters inside.

    See `parameters` for the names. Values are float64 and in the target's own units.
    """
    graph = model.graph(BLOCK)
    location, scale = np.array(model.target.center), np.array(model.target.scale)

    def predict(columns: Any) -> dict[str, Any]:
        parts = []
        for member in model.members:
            (raw,) = inline(graph, member.theta, *member.buffers.values(), columns)
            part = model.output.standard_distribution(raw.astype(np.float64))
            parts.append(part.affine(location, scale) if model.output.scales_target else part)
        mixed = mixture_of(parts)
        return parameters(mixed if model.calibration is None else model.calibration.distribution(mixed))

    return optimize(trace(predict, *model.inputs.types(BLOCK), name="predict"))


def parameters(distribution: Distribution) -> dict[str, Any]:
    """What a distribution is made of, by name. Traceable.

    Classes have ``probabilities``, their last axis the classes'. Numbers have ``mean`` and ``std`` and, besides:
    normal, Laplace and Student-t distributions ``loc``, ``scale`` (and ``df``); mixtures of normal distributions
    ``weights``, ``means`` and ``sigmas``, their last axis the components'; counts ``rate``; quantiles ``quantiles``,
    their last axis the levels', and the tails' scales ``left`` and ``right``. An ensemble without a closed form has the
    same, the axis behind the batch's being the members'. A distribution of one's own has its fields.

    Returns
    -------
    dict of arrays
        The batch's axes first.
    """
    named = _named(distribution)
    if "probabilities" in named:
        return dict(named)
    return {"mean": distribution.mean(), "std": distribution.std(), **named}


def _named(distribution: Distribution) -> Mapping[str, Any]:
    match distribution:
        case BernoulliDistribution():
            p = distribution.mean()
            q = BernoulliDistribution(-distribution.logit).mean()
            return {"probabilities": np.stack([q, p], axis=-1)}
        case CategoricalDistribution():
            return {"probabilities": distribution.probabilities}
        case NormalMixture():
            return {"weights": distribution.weights, "means": distribution.locs, "sigmas": distribution.scales}
        case PoissonDistribution():
            return {"rate": distribution.rate}
        case QuantileDistribution():
            return {"quantiles": distribution.values, "left": distribution.left, "right": distribution.right}
        case Affine():
            return {**_named(distribution.base), "location": distribution.location, "scale": distribution.scale}
        case Mixture():
            parts = [_named(m) for m in distribution.members]
            if "probabilities" in parts[0]:
                total = sum(part["probabilities"] for part in parts)
                return {"probabilities": total / len(parts)}
            axis = len(distribution.shape)
            return {name: np.stack([part[name] for part in parts], axis=axis) for name in parts[0]}
        case _:
            return distribution._arrays()

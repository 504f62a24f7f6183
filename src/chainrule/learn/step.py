"""One optimiser step as one graph: loss, gradient, penalties and update over (parameters, state, batch).

Inputs of the graph, in this order, flat: the *carry* (θ, optimiser state, running statistics, step counter), then the
*hyper-parameters* (learning rate, penalties, seed, … as scalars), then the *batch* (inputs, targets, weights). Outputs:
the new carry in the same order and types, then the sums over the batch (weighted loss, weight). Whoever runs an epoch
feeds outputs back into the carry and adds up the sums; nothing else happens between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.calculus import grad
from chainrule.errors import OptionError
from chainrule.graph.graph import Graph
from chainrule.graph.trace import label, scope, trace
from chainrule.graph.types import ArrayType
from chainrule.learn.optimizers import FirstOrder, Optimizer
from chainrule.learn.penalties import GroupL1, Penalty, ProximalPenalty, SmoothPenalty
from chainrule.learn.schedules import Schedule
from chainrule.networks import UNITS, Layout, Network, Pass, Unit
from chainrule.outputs import OUTPUTS
from chainrule.passes import optimize
from chainrule.primitives.random import step_key

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class TrainingStep:
    """The graph of one step, and what its inputs and outputs are.

    Parameters
    ----------
    graph : Graph
    carry : dict
        Types of the carry's parts by name, in order: theta, state.*, buffer.*, t.
    hyper : tuple of str
        Names of the scalar hyper-parameters, in order.
    batch_size : int
        Rows per step.
    """

    graph: Graph
    carry: dict[str, ArrayType]
    hyper: tuple[str, ...]
    batch_size: int


def training_step(
    network: Network,
    optimizer: FirstOrder,
    n_inputs: int,
    n_targets: int,
    batch_size: int,
    *,
    dtype: Any = np.float32,
    penalties: Sequence[Penalty] = (),
    groups: tuple[int, ...] | None = None,
    penalise_biases: bool = False,
    loss: Loss | None = None,
) -> TrainingStep:
    """Build the step of a network and an optimiser.

    The objective of a batch is ``Σ wᵢ nll(xᵢ, yᵢ) / #rows + (l2/2)‖W‖² + l1‖W‖₁ + group_l1 Σ_g ‖W_g‖₂``, where rows of
    weight 0 are padding and count for nothing. Smooth penalties add their gradient, L1 and group L1 are proximal steps
    after the update, in the optimiser's own metric, so that zeros are exact.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
    n_inputs, n_targets, batch_size : int
    dtype : float32 or float64
    penalties : sequence of Penalty
        Which there are; their strengths are hyper-parameters.
    groups : tuple of int, optional
        Group of each input column, for group L1 on the first layer's weights; each its own by default.
    loss : callable, optional
        ``loss(raw, y)`` per row, plain NumPy; the output's negative log-likelihood by default.
    """
    dtype = np.dtype(dtype)
    layout = network.layout(n_inputs, n_targets)
    per_row = loss or network.output.nll
    mask = np.ones(layout.size, dtype) if penalise_biases else layout.mask(dtype)
    where = {p: input_groups(layout, groups) if isinstance(p, GroupL1) else mask for p in penalties}
    carry_types = {
        k: ArrayType.of(v) for k, v in initial_carry(network, optimizer, n_inputs, np.zeros(layout.size, dtype)).items()
    }
    scalars: dict[str, ArrayType] = {f"optimizer.{k}": ArrayType((), dtype) for k in optimizer.hyper()}
    scalars |= {f"layer.{k}": ArrayType((), dtype) for k in network.hyper()}
    scalars |= {p.key: ArrayType((), dtype) for p in penalties}
    if network.hyper():
        scalars["seed"] = ArrayType((), np.dtype(np.uint64))
    batch_types = (
        ArrayType((batch_size, n_inputs), dtype),
        ArrayType((batch_size, n_targets), dtype),
        ArrayType((batch_size,), dtype),
    )

    def step(carry: tuple[Any, ...], hyper: tuple[Any, ...], batch: tuple[Any, Any, Any]) -> Any:
        parts = dict(zip(carry_types, carry, strict=True))
        h = dict(zip(scalars, hyper, strict=True))
        x, y, w = (label(v, n) for v, n in zip(batch, ("x", "y", "weights"), strict=True))
        theta, t = parts["theta"], parts["t"] + 1
        buffers = _under(parts, "buffer.")
        key = step_key(h["seed"], t) if "seed" in h else None
        state = Pass(training=True, buffers=buffers, weights=w, key=key, hyper=_under(h, "layer."))
        rows = np.maximum(np.sum((w > 0.0).astype(dtype)), 1.0)
        sums: list[Any] = []

        def mean_loss(pieces: dict[str, Any]) -> Any:
            raw = network.raw(pieces, x, state)
            with scope("cost"):
                losses = label(one_per_row(per_row(raw, y), batch_size), "loss")
                # where, not only *: padding rows may hold anything, and 0 · inf is not a number
                sums[:] = [np.sum(np.where(w > 0.0, w * losses, 0.0))]
                return label(sums[0] / rows, "objective")

        gradient = layout.flatten(grad(mean_loss)(layout.unflatten(theta)))
        with scope("penalty"):
            for p in penalties:
                if isinstance(p, SmoothPenalty):
                    gradient = gradient + p.gradient(theta, where[p], h[p.key])
        gradient = label(gradient, "gradient")
        with scope("update"):
            new, new_state, size = optimizer.update(
                gradient, theta, _under(parts, "state."), _under(h, "optimizer."), t, mask
            )
            with scope("penalty"):
                for p in penalties:
                    if isinstance(p, ProximalPenalty):
                        new = p.prox(new, size, where[p], h[p.key])
        updated = {"theta": label(new, "theta'"), "t": t}
        updated |= {f"state.{k}": v for k, v in new_state.items()}
        updated |= {f"buffer.{k}": state.updates.get(k, v) for k, v in buffers.items()}
        return tuple(updated[k] for k in carry_types), (sums[0], np.sum(w))

    graph = trace(step, tuple(carry_types.values()), tuple(scalars.values()), batch_types, name="training_step")
    return TrainingStep(optimize(graph), carry_types, tuple(scalars), batch_size)


@lru_cache(maxsize=64)
def shared_step(
    network: Network,
    optimizer: FirstOrder,
    n_inputs: int,
    n_targets: int,
    batch_size: int,
    dtype: str,
    penalties: tuple[Penalty, ...],
    groups: tuple[int, ...] | None,
    penalise_biases: bool,
    loss: Loss | None,
) -> TrainingStep:
    """`training_step`, made once for all trainings that differ in their numbers only."""
    return training_step(
        network,
        optimizer,
        n_inputs,
        n_targets,
        batch_size,
        dtype=dtype,
        penalties=penalties,
        groups=groups,
        penalise_biases=penalise_biases,
        loss=loss,
    )


def without_numbers(optimizer: FirstOrder) -> FirstOrder:
    """The optimiser with learning rate 1 where that is a number: what its graph depends on."""
    return optimizer if isinstance(optimizer.lr, Schedule) else replace(optimizer, lr=1.0)  # type: ignore[type-var]


def initial_carry(network: Network, optimizer: Optimizer, n_inputs: int, theta: np.ndarray) -> dict[str, np.ndarray]:
    """The parts of the carry before the first step, by name: θ, optimiser state, running statistics, step counter."""
    parts: dict[str, Any] = {"theta": theta}
    if isinstance(optimizer, FirstOrder):
        parts |= {f"state.{k}": v for k, v in optimizer.init(theta).items()}
    parts |= {f"buffer.{k}": v.astype(theta.dtype) for k, v in network.buffers(n_inputs).items()}
    parts["t"] = np.asarray(0, np.int64)
    return {k: np.array(v) for k, v in parts.items()}


@lru_cache(maxsize=64)
def evaluation_step(
    network: Network, n_inputs: int, n_targets: int, n_rows: int, *, dtype: Any = np.float32, loss: Loss | None = None
) -> TrainingStep:
    """A step that changes nothing and adds up the loss: carry (θ, running statistics), no hyper-parameters.

    Run over all rows like an epoch of training it gives the sums (Σ w · loss, Σ w); rows of weight 0 are padding.
    """
    dtype = np.dtype(dtype)
    layout = network.layout(n_inputs, n_targets)
    per_row = loss or network.output.nll
    carry = {"theta": ArrayType((layout.size,), dtype)}
    carry |= {f"buffer.{k}": ArrayType(v.shape, dtype) for k, v in network.buffers(n_inputs).items()}

    def evaluate(carried: tuple[Any, ...], x: Any, y: Any, w: Any) -> Any:
        parts = dict(zip(carry, carried, strict=True))
        state = Pass(training=False, buffers=_under(parts, "buffer."))
        losses = one_per_row(per_row(network.raw(layout.unflatten(parts["theta"]), x, state), y), n_rows)
        return carried, (np.sum(np.where(w > 0.0, w * losses, 0.0)), np.sum(w))

    rows = (ArrayType((n_rows, n_inputs), dtype), ArrayType((n_rows, n_targets), dtype), ArrayType((n_rows,), dtype))
    graph = trace(evaluate, tuple(carry.values()), *rows, name="evaluation")
    return TrainingStep(optimize(graph), carry, (), n_rows)


def prediction_graph(network: Network, n_inputs: int, n_targets: int, n_rows: int, *, dtype: Any = np.float32) -> Graph:
    """The graph from rows to raw outputs: ``(theta, buffers, x) -> raw``."""
    dtype = np.dtype(dtype)
    layout = network.layout(n_inputs, n_targets)

    def predict(theta: Any, buffers: Mapping[str, Any], x: Any) -> Any:
        return network.raw(layout.unflatten(theta), x, Pass(training=False, buffers=buffers))

    return optimize(
        trace(
            predict,
            ArrayType((layout.size,), dtype),
            {k: ArrayType(v.shape, dtype) for k, v in network.buffers(n_inputs).items()},
            ArrayType((n_rows, n_inputs), dtype),
        )
    )


def input_groups(layout: Layout, groups: tuple[int, ...] | None) -> np.ndarray:
    """Group of each element of θ: that of its input column for the first layer's weights, -1 elsewhere."""
    first = layout.pieces[0]
    ids = np.full(layout.size, -1, np.int64)
    ids[: first.size] = GroupL1(1.0, groups).group_ids(first.shape)
    return ids


def one_per_row(losses: Any, n_rows: int) -> Any:
    """The losses as they are.

    Raises
    ------
    OptionError
        If they are not one number per row.
    """
    shape = np.shape(losses) if losses is not None else None
    if shape != (n_rows,):
        given = "nothing" if shape is None else f"shape {shape}"
        raise OptionError(
            f"a loss must return one number per row, shape ({n_rows},), got {given}; raw has shape (n_rows, n_raw) and "
            "y (n_rows, n_targets), so write raw[:, 0] and y[:, 0], and leave the mean over rows to the training"
        )
    return losses


def _under(parts: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in parts.items() if k.startswith(prefix)}


__all__ = [
    "Loss",
    "TrainingStep",
    "evaluation_step",
    "initial_carry",
    "input_groups",
    "prediction_graph",
    "training_step",
]


def made(make: Any, network: Network, loss: Loss | None = None) -> Any:
    """A maker of programs that remembers what it made; a forgetful one where functions are the user's own."""
    own = any(
        isinstance(u := getattr(layer, "unit", None), Unit) and UNITS.get(u.name) is not u for layer in network.layers
    )
    registered = OUTPUTS.get(network.output.name) is type(network.output)
    return make.__wrapped__ if loss is not None or own or not registered else make

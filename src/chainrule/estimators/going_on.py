"""Training that goes on: warm starts and `partial_fit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from chainrule.errors import OptionError
from chainrule.learn.optimizers import Optimizer
from chainrule.learn.training import Training
from chainrule.models.fit import FitOptions, Part, resolve
from chainrule.networks import Layer, PiecewiseLinear
from chainrule.outputs import Output


def go_on(
    trainings: Sequence[Training],
    parts: Sequence[Part],
    options: FitOptions,
    watch: Callable[[Training], bool | None] | None,
) -> None:
    """Go on training from where the last fit stopped, the optimiser's state kept.

    Members that had come to their end stay as they are if others had only come to the limit of epochs.
    """
    ways = []
    for k, training in enumerate(trainings):
        rows, validation = parts[k % len(parts)]
        own = replace(resolve(options, len(rows)), seed=training.options.seed)
        ways.append((training, (rows, validation, own)))
    for training, way in [pair for pair in ways if pair[0].only_limited(*pair[1])] or ways:
        training.resume(*way)
        training.run(on_epoch=watch)


def check_same(
    setting: Callable[[str], Any],
    trainings: Sequence[Training],
    layers: Sequence[Layer],
    optimizer: Optimizer,
    output: Output,
) -> None:
    """Refuse parameters that do not fit the networks that are trained on.

    Raises
    ------
    OptionError
        Naming the first that changed.
    """
    first = trainings[0]
    began = first.options
    own = {False: "none", True: "one of your own"}
    for name, before, now in (
        (
            "network" if setting("network") is not None else "hidden_layer_sizes (with activation)",
            _without_embedding(first.network.layers),
            _without_embedding(layers),
        ),
        ("output", first.network.output, output),
        ("n_members", len(trainings), int(setting("n_members"))),
        ("dtype", began.dtype, str(setting("dtype"))),
        ("optimizer", type(began.optimizer).__name__, type(optimizer).__name__),
        ("loss", own[began.loss is not None], own[setting("loss") is not None]),
    ):
        if before != now:
            raise OptionError(
                f"training goes on from the last fit, but {name} changed from {before} to {now}; "
                f"set it back, or start anew with warm_start=False and fit"
            )


def _without_embedding(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that were asked for, without what was found to help before them."""
    return [layer for layer in layers if not isinstance(layer, PiecewiseLinear)]

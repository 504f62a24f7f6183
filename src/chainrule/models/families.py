"""The output of a numeric target chosen by validation likelihood: which family of distributions fits it best.

The first network is trained with every family, the best of the others on two more members, and it takes the place of
the normal distribution if the mean log-likelihood of the rows held out is larger by more than `WORTH`.

A density can be made as high as one likes on a value that repeats. So where values repeat, families are compared by the
probability of the cell around each value, half way to its neighbours (of whole numbers: one wide), which no spike makes
larger than 1 and which makes counts and densities comparable. A family whose density stands on repeated values of the
training rows nevertheless (`chainrule.outputs.spikes`), while the normal one's does not, is left out: its NLL would say
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
import numpy as np

from chainrule.errors import DivergenceError
from chainrule.exchange.checkpoint_keeper import CheckpointKeeper
from chainrule.learn.identity import identity
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.fit import TRIALS, WORTH, Candidate, FitOptions, Part, Trainer, raw_outputs, spike_warning
from chainrule.networks import Network
from chainrule.outputs import Distribution, Gaussian, GaussianMixture, Laplace, Output, Poisson, StudentT
from chainrule.outputs.spikes import repeats
from chainrule.tables import TargetEncoder

#: what is tried beside the normal distribution
RIVALS: tuple[Output, ...] = (GaussianMixture(3), StudentT(), Laplace())
#: counts beyond this are as good as numbers
LARGEST_COUNT = 1e4
#: a Poisson network is tried where the squared errors of the normal one are at most so many times the counts' mean
OVERDISPERSED = 5.0
#: a probability that is a difference of two larger ones is exact down to about this
_EXACT = 1e-12


@dataclass(frozen=True)
class Chosen:
    """What came out of a comparison of families.

    Parameters
    ----------
    trainings : list of Training
        One per member.
    target : TargetEncoder
        As the output takes it.
    story : str
        The comparison, in one line.
    """

    trainings: list[Training]
    target: TargetEncoder
    story: str


class _Cells(NamedTuple):
    """The sorted values of a target, in units of the standardised one, and the ends of the cells around them."""

    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


def fit_best_family(
    layers: Sequence[Any],
    parts: Sequence[Part],
    target: TargetEncoder,
    options: FitOptions,
    on_epoch: Callable[[Training], bool | None] | None = None,
    keeper: CheckpointKeeper | None = None,
) -> Chosen:
    """Train every member with the family that is likeliest on the rows held out.

    Parameters
    ----------
    layers : sequence of Layer
        Of the networks.
    parts : sequence of (Rows, Rows or None)
        As for `fit_network`, with the target standardised.
    target : TargetEncoder
        How it was standardised.
    options : FitOptions
        Their `shift` is that of standardised targets.
    """
    network = Network(tuple(layers), Gaussian())
    trainer = Trainer(options, on_epoch, keeper)
    if any(validation is None for _, validation in parts):
        with nullcontext() if keeper is None else keeper.keeping(identity(network, parts, options)):
            return Chosen(trainer.rest(*trainer.begin(network, parts)), target, "")
    rows = [parts[0][0].y, parts[0][1].y]  # type: ignore[union-attr]
    y = np.concatenate(rows).astype(np.float64) * np.array(target.scale) + np.array(target.center)
    whole = is_whole(y, parts[0][0].y.dtype, target)
    in_cells = whole or any(repeats(column) for column in y.T)
    rivals: list[Output] = [*RIVALS] if y.shape[1] == 1 or not in_cells else []  # cells are for one target
    if rivals and whole and y.min() >= -0.5 and y.max() <= LARGEST_COUNT:
        rivals.append(Poisson())
    values = np.concatenate(rows)[:, 0]
    cells = _cells(values, 1.0 / target.scale[0] if whole else None) if rivals and in_cells else None
    tried = ", ".join(each.name for each in rivals)
    who = {} if keeper is None else {**identity(network, parts, options), "outputs to try": tried}
    with nullcontext() if keeper is None else keeper.keeping(who):
        first, members = trainer.begin(network, parts)
        usual = [_likelihood(t, target, cells) for t in members[:TRIALS]]
        contracts = bool(spike_warning(first.network.output, members[:1]))  # as any family would: cells compare
        gains: dict[str, float] = {}
        out: list[str] = []
        best: tuple[float, Candidate, list[Training]] | None = None
        for output in rivals:
            if isinstance(output, Poisson) and _dispersion(members[0], target) > OVERDISPERSED:
                out.append(f"{output.name} (variance much above the mean)")
                continue
            other = Candidate(
                output.name,
                Network(first.network.layers, output),
                parts if output.scales_target else [_counted(part, target) for part in parts],
                options.shift if output.scales_target else 0.0,
            )
            try:
                (found,) = trainer.train([other], range(1))
            except DivergenceError:
                out.append(f"{output.name} (diverges)")
                continue
            if not contracts and spike_warning(output, found):
                out.append(f"{output.name} (likelihood spikes)")
                continue
            gains[output.name] = _likelihood(found[0], target, cells) - usual[0]
            if gains[output.name] > (best[0] if best else 0.0):
                best = gains[output.name], other, found
        if best is not None:
            _, other, found = best
            try:
                found = found + trainer.train([other], range(1, len(usual)))[0]
                gain = float(np.mean([_likelihood(t, target, cells) for t in found]) - np.mean(usual))
            except DivergenceError:
                gain = -np.inf
            gains[other.label] = gain
            if gain > WORTH and (contracts or not spike_warning(other.network.output, found)):
                first, members = other, found
        trainings = trainer.rest(first, members)
    output = first.network.output
    order = sorted({"gaussian": 0.0, **gains}.items(), key=lambda pair: -pair[1])
    what = "probability" if cells is not None else "likelihood"
    story = f"{output.name}, by log-{what} per validation row beside gaussian: " + ", ".join(
        f"{name} {gain:+.3f}" for name, gain in order if name != "gaussian"
    )
    story += f"; left out: {', '.join(out)}" if out else ""
    return Chosen(trainings, target if output.scales_target else unscaled(target), story if rivals else "")


def unscaled(target: TargetEncoder) -> TargetEncoder:
    """The target in its own units, for outputs that are not trained on a standardised one."""
    n = len(target.names)
    return msgspec.structs.replace(target, center=(0.0,) * n, scale=(1.0,) * n)


def is_whole(y: np.ndarray, dtype: np.dtype, target: TargetEncoder) -> bool:
    """Whether a target is whole numbers, but for the rounding of having been standardised."""
    slack = 8.0 * float(np.finfo(dtype).eps) * (np.abs(y).max(initial=0.0) + np.max(target.scale))
    return bool(slack < 0.1 and (np.abs(y - np.rint(y)) <= slack).all())


def _counted(part: Part, target: TargetEncoder) -> Part:
    """Rows with the target as counts."""

    def own(rows: Rows) -> Rows:
        y = np.rint(rows.y.astype(np.float64) * np.array(target.scale) + np.array(target.center))
        return replace(rows, y=np.ascontiguousarray(y, rows.y.dtype))

    rows, validation = part
    return own(rows), None if validation is None else own(validation)


def _cells(y: np.ndarray, width: float | None) -> _Cells:
    """Cells around the values: of a width, or to half way between neighbours, outermost ones symmetric."""
    values = np.unique(y).astype(np.float64)
    if width is not None or len(values) < 2:
        half = 0.5 * (width or 1.0)
        return _Cells(values, values - half, values + half)
    gaps = np.diff(values)
    return _Cells(values, values - 0.5 * np.append(gaps[0], gaps), values + 0.5 * np.append(gaps, gaps[-1]))


def _dispersion(training: Training, target: TargetEncoder) -> float:
    """Mean squared error of the rows held out, in units of the target's mean: 1 for Poisson counts."""
    rows = training.validation
    assert rows is not None
    predicted = training.network.output.distribution(raw_outputs(training, rows.x))
    error = float(np.average(np.square(predicted.mean() - rows.y[:, 0]), weights=rows.w))
    mean = float(np.average(rows.y[:, 0], weights=rows.w)) * target.scale[0] + target.center[0]
    return error * target.scale[0] ** 2 / max(mean, 1e-300)


def _likelihood(training: Training, target: TargetEncoder, cells: _Cells | None) -> float:
    """Mean log-likelihood of a member's validation rows, target standardised; with cells their log-probability."""
    rows, output = training.validation, training.network.output
    assert rows is not None
    predicted = output.distribution(raw_outputs(training, rows.x))
    y = rows.y.astype(np.float64)
    y = y[:, 0] if y.shape[1] == 1 else y
    with np.errstate(all="ignore"):
        logs = predicted.log_score(y)
        if cells is not None and not predicted.discrete:
            logs = _log_mass(predicted, y, logs, cells)
    return float(np.average(np.nan_to_num(logs, nan=-np.inf), weights=rows.w))


def _log_mass(predicted: Distribution, y: np.ndarray, log_density: np.ndarray, cells: _Cells) -> np.ndarray:
    """Log-probability of each row's cell; far out in a tail density times width."""
    place = np.clip(np.searchsorted(cells.values, y), 0, len(cells.values) - 1)
    low, high = cells.low[place], cells.high[place]
    mass = np.maximum(predicted.cdf(high) - predicted.cdf(low), predicted.sf(low) - predicted.sf(high))
    far = np.minimum(log_density + np.log(high - low), np.log(_EXACT))
    return np.where(mass > _EXACT, np.log(np.maximum(mass, _EXACT)), far)


__all__ = ["Chosen", "fit_best_family", "unscaled"]

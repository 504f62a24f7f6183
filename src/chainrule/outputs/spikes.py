"""Likelihood spikes: a density that has contracted onto target values which occur again and again.

The likelihood of a continuous distribution grows without bound as a component narrows down on a value that repeats,
such as a whole number, a rounded one or a default of zero (Bishop 2006, section 9.2.1, for a component on a single
row). The score then says nothing about the rest of the distribution.
"""

from __future__ import annotations

import numpy as np

from chainrule.outputs.distribution import Distribution
from chainrule.outputs.normal import LOG_ROOT_TWO_PI
from chainrule.outputs.weighted import row_weights

#: a spike is so many times as high as the peak of a normal distribution of the same standard deviation,
HEIGHT = 5.0
#: and so narrow that density times distance to the next value is this; 1.4 is a normal distribution's at rounding's own
#: standard deviation, distance / √12,
MASS = 2.0
#: or it stands on a value that occurs so many times as often as its neighbours
OFTEN = 10.0
#: rows on each side of such a value whose distributions tell how wide those around it are
AROUND = 10
#: gaps on each side of a value that tell how wide they usually are
GAPS = 5
#: share of the rows that is worth a warning
SHARE = 0.05
#: float64 values closer than this, relatively, are one
_SAME = 16.0 * float(np.finfo(np.float64).eps)


def repeats(y: np.ndarray) -> bool:
    """Whether enough rows share their target value with another row for spikes to be possible."""
    counts = np.unique(y, return_counts=True)[1]
    return len(counts) > 1 and float(np.sum(counts[counts > 1])) >= SHARE * len(y)


def spikes(distribution: Distribution, y: np.ndarray, weights: np.ndarray | None = None) -> str:
    """A warning, in one line, if much of the likelihood comes from spikes on repeated values; else nothing.

    Either a part of a distribution stands on a value, far higher than the distribution's width explains, or all of it
    has contracted: its density is higher than the distance to the next value can tell from a still higher one, or than
    that of the rows next to a value that occurs very often.

    Parameters
    ----------
    distribution : Distribution
        Of one target.
    y : array of shape (n,)
        The rows it was trained on, in the same units.
    weights : array of shape (n,), optional
    """
    if distribution.discrete or not len(y):
        return ""
    w = row_weights(len(y), weights)
    values, which, counts = _different(y)
    if len(values) < 2:
        return ""
    gaps = np.diff(values)
    gap = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))
    around = 0.5 * (np.append(counts[1:], counts[-2]) + np.append(counts[1], counts[:-1]))
    often = counts > OFTEN * around
    # rows that are there twice have gaps of any size, rounded values none below the rounding
    rounding = np.min(np.diff(values[counts > 1]), initial=np.inf)
    resolution = np.minimum(gap, np.where(counts > OFTEN, _usual(gaps), rounding))
    with np.errstate(all="ignore"):  # one's own distribution may give anything; what is no number is no spike
        log_density, std = distribution.logpdf(y), distribution.std()
        high = log_density > np.log(HEIGHT / std) - LOG_ROOT_TWO_PI
        narrow = log_density > np.log(MASS / gap[which])
        whole = log_density > np.log(MASS / resolution[which])
        nearby = _nearby(np.nan_to_num(std), y, values, often)
        higher = log_density > np.log(HEIGHT / nearby[which]) - LOG_ROOT_TWO_PI
    on = (counts[which] > 1) & (high & narrow | whole | often[which] & (high | higher))
    share = float(w @ on)
    if share < SHARE:
        return ""
    instead = ", a gaussian one" if w @ (on & high) >= SHARE else ""
    return (
        f"likelihood spikes: in {share:.0%} of the training rows the density stands on target values that repeat "
        f"({len(values)} different ones in {len(y)} rows), so that the NLL says little; choose a discrete output such "
        f"as poisson or categorical{instead}, or add noise as wide as the rounding"
    )


def _different(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different values, which of them each row has, and how many rows have each: 0.3 and 0.1 + 0.2 are one."""
    values, which, counts = np.unique(y, return_inverse=True, return_counts=True)
    new = np.append(True, np.diff(values) > _SAME * np.abs(values[1:]))
    group = np.cumsum(new) - 1
    return values[new], group[which], np.bincount(group, counts)


def _usual(gaps: np.ndarray) -> np.ndarray:
    """The median of the gaps around each value: one gap beside a value among continuous ones may be wide by chance."""
    padded = np.pad(gaps, GAPS, constant_values=np.nan)
    return np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * GAPS), axis=1)


def _nearby(std: np.ndarray, y: np.ndarray, values: np.ndarray, often: np.ndarray) -> np.ndarray:
    """The median standard deviation of the rows next to each value that occurs often, they themselves left out."""
    out = np.zeros(len(values))
    rest = ~np.isin(y, values[often])
    if often.any() and rest.any():
        order = np.argsort(y[rest], kind="stable")
        place = np.searchsorted(y[rest][order], values[often])[:, None] + np.arange(-AROUND, AROUND)
        inside = (place >= 0) & (place < len(order))
        near = np.where(inside, std[rest][order][np.clip(place, 0, len(order) - 1)], np.nan)
        out[often] = np.nanmedian(near, axis=1)
    return out

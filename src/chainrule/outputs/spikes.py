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
#: share of the rows that is worth a warning
SHARE = 0.05


def repeats(y: np.ndarray) -> bool:
    """Whether enough rows share their target value with another row for spikes to be possible."""
    counts = np.unique(y, return_counts=True)[1]
    return len(counts) > 1 and float(np.sum(counts[counts > 1])) >= SHARE * len(y)


def spikes(distribution: Distribution, y: np.ndarray, weights: np.ndarray | None = None) -> str:
    """A warning, in one line, if much of the likelihood comes from spikes on repeated values; else nothing.

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
    values, which, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return ""
    gaps = np.diff(values)
    gap = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))
    around = 0.5 * (np.append(counts[1:], counts[-2]) + np.append(counts[1], counts[:-1]))
    with np.errstate(all="ignore"):  # one's own distribution may give anything; what is no number is no spike
        log_density = distribution.logpdf(y)
        high = log_density > np.log(HEIGHT / distribution.std()) - LOG_ROOT_TWO_PI
        narrow = log_density > np.log(MASS / gap[which])
    on = high & (counts[which] > 1) & (narrow | (counts[which] > OFTEN * around[which]))
    share = float(w @ on)
    if share < SHARE:
        return ""
    return (
        f"likelihood spikes: in {share:.0%} of the training rows the density stands on target values that repeat "
        f"({len(values)} different ones in {len(y)} rows), so that the NLL says little; choose a discrete output such "
        "as poisson or categorical, a gaussian one, or add noise as wide as the rounding"
    )

"""Constants of a distribution's width, fitted to what one network or an ensemble gives."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, softmax

from chainrule.outputs.weighted import row_weights, weighted_quantile

_ITERATIONS = 1000
_TOLERANCE = 1e-9
#: central intervals whose widths are to be right
_COVERAGES = (0.8, 0.85, 0.9, 0.95)
#: rows whose scores count as much as the supposition that the widths are right already
_PRIOR_ROWS = 100.0
#: factors of standard deviations are no smaller and no larger
_LEAST, _MOST = 0.25, 4.0


def fit_width(
    losses: np.ndarray, weights: np.ndarray | None = None, *, share: float = 1.0, least: float = 1e-300
) -> np.ndarray:
    """The width v of each target at which the equal-weight mixture of the members is likeliest.

    Given member m a target has log density ``-share (loss / v + log v)`` and a constant: a normal distribution's with
    the squared error as loss, v its variance and ``share=½``; a Laplace distribution's, also an asymmetric one's, with
    the absolute or pinball loss, v its scale and ``share=1``. Of one member that is the mean loss. The residuals of an
    ensemble's mean would be too wide a width: the mixture adds the members' disagreement to it. Found by the EM
    algorithm (Dempster, Laird & Rubin 1977), from the mean loss of a member downwards.

    Parameters
    ----------
    losses : array of shape (n_members, n, n_targets)
    weights : array of shape (n,), optional
    share : float
    least : float
        Widths are at least so large.

    Returns
    -------
    array of shape (n_targets,)
    """
    w = row_weights(losses.shape[1], weights)
    width = np.maximum(np.mean(w @ losses, axis=0), least)
    for _ in range(_ITERATIONS if len(losses) > 1 else 0):
        # how probable each member is as the one a row came from
        posterior = softmax(-share * np.sum(losses / width, axis=2), axis=0)
        new = np.maximum(w @ np.sum(posterior[:, :, None] * losses, axis=0), least)
        settled = (np.abs(new - width) <= _TOLERANCE * width).all()
        width = new
        if settled:
            break
    return width


def member_spread(scores: np.ndarray, disagreement: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """What the members' standard deviations are to be multiplied by, so that their mixture is as wide as its errors.

    Alone, a member is wide enough if the scores of unseen rows have the quantiles of a normal distribution; the mean
    of the ratios at four coverages says by how much it is not. But together the members err less than each alone, and
    the mixture adds their disagreement on top. Let a member's error have the variance σ², and its part that the members
    do not share show as a variance V of their means in a row: then the error of the mean has σ² - V, while the mixture
    has s² + V. So s² = σ² - 2V, here as σ²/(1 + 2V/σ²), which is that to first order and cannot become negative.

    Parameters
    ----------
    scores : array of shape (n, n_targets)
        ``|y - mean| / std`` of a member on rows it has not learned from.
    disagreement : array of shape (n_targets,)
        V over the members' mean variance, mean over rows.
    weights : array of shape (n,), optional

    Returns
    -------
    array of shape (n_targets,)
        Between 1/4 and 4, and the nearer to 1 the fewer rows there are.
    """
    w = row_weights(len(scores), weights)
    ratio = np.mean([weighted_quantile(scores, w, c) / ndtri(0.5 + 0.5 * c) for c in _COVERAGES], axis=0)
    count = 1.0 / float(np.sum(np.square(w)))  # Kish's effective number of rows
    factor = np.square(ratio) / np.sqrt(np.square(ratio) + 2.0 * disagreement + 1e-300)
    return np.clip(factor ** (count / (count + _PRIOR_ROWS)), _LEAST, _MOST)

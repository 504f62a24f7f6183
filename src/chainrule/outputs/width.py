"""The constant width of a distribution, such as one variance, fitted to what one network or an ensemble gives."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from chainrule.outputs.weighted import row_weights

_ITERATIONS = 1000
_TOLERANCE = 1e-9


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

"""A loss of one's own must train all that the output makes of the network's numbers."""

from __future__ import annotations

import numpy as np

from chainrule.errors import OptionError
from chainrule.learn.step import Loss, one_per_row
from chainrule.outputs import Output

#: rows, and draws of raw outputs for them, on which a loss is tried
_ROWS, _DRAWS = 16, 4


def check_reads_all(loss: Loss, output: Output, y: np.ndarray) -> None:
    """Refuse a loss that leaves some of the raw outputs untrained: noise would decide what is predicted.

    The loss is tried on random numbers of the target's size, each raw output changed in turn.

    Parameters
    ----------
    loss : callable
    output : Output
    y : array of shape (n_rows, n_targets)

    Raises
    ------
    OptionError
        Naming the first raw output that the loss does not depend on; or if a row's loss depends on other rows.
    """
    y = np.asarray(y[:_ROWS], np.float64)
    rng, shape = np.random.default_rng(0), (len(y), output.n_raw(y.shape[1]))
    center, spread = y.mean(), y.std() + 1.0
    read, finite = np.zeros(shape[1], bool), False
    mixed = False
    with np.errstate(all="ignore"):
        for _ in range(_DRAWS):
            raw, other = center + spread * rng.normal(size=(2, *shape))
            before = np.array(one_per_row(loss(raw, y), len(y)))
            for k in np.flatnonzero(~read):
                changed = np.where(np.arange(shape[1]) == k, other, raw)
                read[k] = not np.array_equal(before, loss(changed, y), equal_nan=True)
            finite = finite or bool(np.isfinite(before).all())
            kept = rng.random(len(y)) < 0.5
            beside = [np.where(kept[:, None], own, others) for own, others in ((raw, other), (y, y[::-1]))]
            after = np.asarray(one_per_row(loss(*beside), len(y)))
            mixed = mixed or not np.allclose(before[kept], after[kept], equal_nan=True)
    if not finite:
        raise OptionError(
            "the loss is not finite for raw outputs of the target's size; keep its logarithms, roots and divisions "
            "away from what they cannot take"
        )
    if mixed:
        raise OptionError(
            "the loss of a row depends on the other rows' raw outputs, or on chance; it must give one number per "
            "row from that row alone: mind that raw - y[:, 0] is an array (n, n), raw[:, 0] - y[:, 0] is not"
        )
    if not read.all():
        raise OptionError(
            f"the loss does not depend on raw[:, {np.argmin(read)}], one of the {shape[1]} raw outputs of {output!r}, "
            "which would stay untrained; use them all, or an output with fewer: cr.Gaussian(variance='constant') has "
            "one per target, and takes its width from the residuals"
        )

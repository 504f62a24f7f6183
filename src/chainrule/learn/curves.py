"""Learning curves, and what they say in words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Curves:
    """Losses by epoch, per row: of the training batches as they went by, and of the validation rows.

    A training that went on with other rows may have had validation rows for a part of its epochs only; there is a
    validation loss for those alone.
    """

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)

    def last(self, n: int, validated: bool = True) -> Curves:
        """The curves of the last n epochs.

        Parameters
        ----------
        n : int
        validated : bool
            Whether those epochs had validation rows.
        """
        return Curves(
            self.training[len(self.training) - n :],
            self.validation[len(self.validation) - n :] if validated else [],
        )


def diagnose(curves: Curves, best_epoch: int, *, limited: bool = False) -> str:
    """Say plainly which of over- and underfitting the curves show.

    Compares the validation loss at the best epoch and at the end with the training loss.

    Parameters
    ----------
    curves : Curves
        Of the same epochs, both; see `Curves.last`.
    best_epoch : int
        The one that was kept, 1 for the curves' first.
    limited : bool
        Whether a limit ended the training, rather than epochs without progress.
    """
    if not curves.validation or best_epoch < 1:
        return "no validation rows, so over- and underfitting cannot be told apart"
    start = max(abs(curves.validation[0] - min(curves.validation)), 1e-12)
    best = curves.validation[best_epoch - 1]
    gap = best - curves.training[best_epoch - 1]
    rise = curves.validation[-1] - best
    n = len(curves.validation)
    falling = best_epoch == n or (limited and best_epoch > 0.8 * n and rise <= 0.25 * start)
    if falling:
        return "underfitting: the validation loss was still falling at the end; train longer or use a larger network"
    if gap > 0.5 * start or rise > 0.25 * start:
        return (
            f"overfitting: after epoch {best_epoch} the validation loss rose while the training loss went on falling; "
            "the best epoch was kept. More rows, a larger l2 or a smaller network would help"
        )
    return "neither over- nor underfitting stands out: training and validation loss flattened out together"

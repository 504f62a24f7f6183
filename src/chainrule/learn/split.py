"""An L1 term made smooth for L-BFGS-B: each penalised parameter as the difference of two that are not negative."""

from __future__ import annotations

import numpy as np


class Split:
    """θ in variables that L-BFGS-B can handle: where L1 applies, ``θ = p - n`` with ``p, n ≥ 0`` and ``|θ| = p + n``.

    The kink becomes two bounds, and a parameter whose variables are both at their bound is zero exactly (Schmidt, Fung
    & Rosales 2007, "Fast optimization methods for L1 regularization").

    Parameters
    ----------
    slope : array of shape (n,)
        Strength of the L1 term for each parameter; 0 for none.
    """

    def __init__(self, slope: np.ndarray) -> None:
        self.slope, self.size = slope, len(slope)
        self.kinked = slope > 0

    @property
    def bounds(self) -> list[tuple[float | None, None]] | None:
        """Bounds of the variables; ``None`` if there are none."""
        if not self.kinked.any():
            return None
        return [(0.0 if k else None, None) for k in self.kinked] + [(0.0, None)] * int(self.kinked.sum())

    def variables(self, theta: np.ndarray) -> np.ndarray:
        """The variables of θ."""
        first = np.where(self.kinked, np.maximum(theta, 0.0), theta)
        return np.concatenate([first, np.maximum(-theta[self.kinked], 0.0)])

    def theta(self, variables: np.ndarray) -> np.ndarray:
        """θ of the variables."""
        theta = variables[: self.size].copy()
        theta[self.kinked] -= variables[self.size :]
        return theta

    def value(self, smooth: float, variables: np.ndarray) -> float:
        """The objective with its L1 term, from the value of the rest."""
        slope = np.concatenate([self.slope, self.slope[self.kinked]])
        return smooth + float(slope[slope > 0] @ variables[slope > 0])

    def gradient(self, gradient: np.ndarray) -> np.ndarray:
        """Its gradient by the variables, from the gradient of the rest by θ."""
        return np.concatenate([gradient + self.slope, (self.slope - gradient)[self.kinked]])

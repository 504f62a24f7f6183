"""Curvature at a point: the extreme eigenvalues of the Hessian, and what they say about the point.

Only Hessian-vector products are needed. A small Hessian is built from them column by column; of a large one the two
ends of the spectrum are found by Lanczos iteration (Lanczos 1950; ARPACK by Lehoucq, Sorensen & Yang 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule.calculus.derivatives import grad, hvp
from chainrule.graph.tree import flatten

#: up to this many variables the Hessian is formed
DENSE_LIMIT = 200

#: relative accuracy asked of Lanczos iteration, and restarts it is given; clustered eigenvalues need the later ones
LANCZOS_ATTEMPTS = ((1e-7, 20), (1e-4, 40), (1e-2, 100))

Kind = Literal["minimum", "maximum", "saddle", "degenerate", "not stationary", "unknown"]


@dataclass(frozen=True)
class Curvature:
    """The extreme eigenvalues of a Hessian.

    Parameters
    ----------
    kind : str
        At a stationary point ``minimum`` (all eigenvalues positive), ``maximum`` (all negative), ``saddle`` (some of
        each) or ``degenerate`` (none of these within ``error``: the function is flat in some direction, and higher
        derivatives decide). Else ``not stationary``, or ``unknown`` where the eigenvalues were not found.
    smallest, largest : float
        Extreme eigenvalues.
    error : float
        How far from their true values they may be; anything of this size counts as zero.
    """

    kind: Kind
    smallest: float
    largest: float
    error: float

    def __str__(self) -> str:
        if self.kind == "unknown":
            return "unknown: the Hessian's eigenvalues were not found"
        if self.smallest == self.largest:
            return f"{self.kind}: second derivative {self.smallest:.4g}"
        about = "about " if self.error > 1e-3 * max(abs(self.smallest), abs(self.largest)) else ""
        return f"{self.kind}: Hessian eigenvalues from {about}{self.smallest:.4g} to {about}{self.largest:.4g}"


def curvature(f: Callable[..., Any], x: Any, tol: float = 1e-6) -> Curvature:
    """Curvature of a function at a point.

    Parameters
    ----------
    f : callable
        Of one argument, which may be nested; returns one number.
    x : array, or nested containers of arrays
    tol : float
        The point counts as stationary where no element of the gradient is larger.

    Examples
    --------
    >>> import numpy as np
    >>> print(curvature(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2)))
    saddle: Hessian eigenvalues from -2 to 2
    """
    leaves, tree = flatten(x)
    arrays = [np.asarray(leaf, np.float64) for leaf in leaves]
    ends = np.cumsum([0, *(a.size for a in arrays)])

    def nested(v: np.ndarray) -> Any:
        pieces = zip(arrays, ends[:-1], ends[1:], strict=True)
        return tree.unflatten(v[low:high].reshape(a.shape) for a, low, high in pieces)

    def flat(tree_of_arrays: Any) -> np.ndarray:
        return np.concatenate([np.ravel(leaf) for leaf in flatten(tree_of_arrays)[0]])

    point = flat(x)
    stationary = bool(np.max(np.abs(flat(grad(f)(nested(point)))), initial=0.0) <= tol)
    return curvature_of_product(lambda v: flat(hvp(f, nested(point), nested(v))), point.size, stationary)


def curvature_of_product(product: Callable[[np.ndarray], np.ndarray], size: int, stationary: bool) -> Curvature:
    """Curvature from Hessian-vector products.

    Parameters
    ----------
    product : callable
        ``v ↦ H v``, for flat float64 arrays of length ``size``.
    size : int
    stationary : bool
        Whether the gradient vanishes.
    """
    if not size:
        return Curvature("degenerate" if stationary else "not stationary", 0.0, 0.0, 0.0)
    smallest, largest, error = extreme_eigenvalues(product, size)
    if not np.isfinite(error):
        return Curvature("unknown", np.nan, np.nan, np.inf)
    kind: Kind
    if not stationary:
        kind = "not stationary"
    elif smallest > error:
        kind = "minimum"
    elif largest < -error:
        kind = "maximum"
    elif smallest < -error and largest > error:
        kind = "saddle"
    else:
        kind = "degenerate"
    return Curvature(kind, smallest, largest, error)


def extreme_eigenvalues(product: Callable[[np.ndarray], np.ndarray], size: int) -> tuple[float, float, float]:
    """Smallest and largest eigenvalue of a symmetric operator, and a bound on their error.

    Returns
    -------
    smallest, largest, error : float
        The error is infinite where the operator is not finite or Lanczos iteration does not converge.
    """
    if size <= DENSE_LIMIT:
        matrix = dense_matrix(product, size)
        if not np.isfinite(matrix).all():
            return np.nan, np.nan, np.inf
        values = np.linalg.eigvalsh(matrix)
        error = 10 * size * np.finfo(np.float64).eps * np.max(np.abs(values))
        return float(values[0]), float(values[-1]), float(error)
    return _lanczos(product, size)


def dense_matrix(product: Callable[[np.ndarray], np.ndarray], size: int) -> np.ndarray:
    """The symmetric matrix of an operator, column by column; shape (size, size)."""
    matrix = np.stack([product(unit) for unit in np.eye(size)])
    return 0.5 * (matrix + matrix.T)


def _lanczos(product: Callable[[np.ndarray], np.ndarray], size: int) -> tuple[float, float, float]:
    start = np.random.default_rng(0).standard_normal(size)
    if not np.isfinite(product(start)).all():
        return np.nan, np.nan, np.inf
    one, error = _largest_magnitude(product, start, 0.0)
    # ARPACK's accuracy is relative to the eigenvalue, so the other end, which may be near zero, is found as the
    # eigenvalue of largest magnitude of the operator shifted by the first
    shifted, other_error = _largest_magnitude(lambda v: product(v) - one * v, start, abs(one))
    other = one + shifted
    return min(one, other), max(one, other), max(error, other_error)


def _largest_magnitude(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, scale: float
) -> tuple[float, float]:
    """The eigenvalue of largest magnitude and its residual; 0 for an operator that is zero next to ``scale``."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    if np.linalg.norm(product(start)) <= 1e-10 * scale * np.linalg.norm(start):
        return 0.0, 1e-10 * scale
    operator = LinearOperator((start.size, start.size), matvec=lambda v: product(v.ravel()), dtype=start.dtype)
    for tolerance, restarts in LANCZOS_ATTEMPTS:
        try:
            _, vectors = eigsh(operator, k=1, which="LM", v0=start, tol=tolerance, maxiter=restarts)
        except ArpackNoConvergence:
            continue
        vector = vectors[:, 0]
        image = product(vector)
        value = float(vector @ image)
        residual = float(np.linalg.norm(image - value * vector))  # an eigenvalue is at most so far away
        return value, residual + 1e-10 * max(abs(value), scale)
    return np.nan, np.inf


__all__ = ["DENSE_LIMIT", "Curvature", "curvature", "curvature_of_product", "dense_matrix", "extreme_eigenvalues"]

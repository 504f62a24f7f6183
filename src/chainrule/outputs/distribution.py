"""A batch of distributions with the methods of SciPy's frozen ones, and what follows from a density and a cdf alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Any, ClassVar, Self

import numpy as np

from chainrule.errors import OptionError
from chainrule.outputs import inversion, quadrature
from chainrule.outputs.moments import square

Map = Callable[[np.ndarray], np.ndarray]


class Distribution(ABC):
    """One distribution per row, or per row and target: batch shape (n,) or (n, n_targets).

    Values, levels and the batch broadcast as in SciPy: ``pdf(y)`` with ``y`` of shape (n,) takes one value per row,
    with shape (m, 1) every value for every row. Everything is float64.

    A subclass is a frozen dataclass of arrays whose first axes are the batch's, and defines `logpdf`, `cdf`, `mean`
    and `var`. Quantiles then come from bracketed root finding, samples from quantiles, the CRPS from quadrature; a
    subclass that knows a closed form overrides those.

    Attributes
    ----------
    shared : tuple of str
        Fields that are the same for all rows.
    smooth : bool
        Whether the cdf is analytic with one peak of the density, so that the trapezoidal rule converges fast.
    """

    shared: ClassVar[tuple[str, ...]] = ()
    smooth: ClassVar[bool] = False

    # -- what a subclass defines

    @abstractmethod
    def logpdf(self, y: Any) -> np.ndarray:
        """Logarithm of the density at ``y`` (of the probability, for a discrete distribution), target by target."""

    @abstractmethod
    def cdf(self, y: Any) -> np.ndarray:
        """Probability of a value <= ``y``."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Expectation."""

    @abstractmethod
    def var(self) -> np.ndarray:
        """Variance."""

    # -- what it may say more

    @property
    def discrete(self) -> bool:
        """Whether values are whole numbers; `pdf` is then the probability of a value, also called `pmf`."""
        return False

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return (-np.inf, np.inf)

    # -- the batch

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch: (n,), or (n, n_targets) for several targets."""
        return tuple(np.shape(self._arrays()[fields(self)[0].name]))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Self:
        """The distributions of some rows: an index, a slice, an array of indices or a mask."""
        if isinstance(rows, tuple):
            raise OptionError("rows are picked by one index, slice, array or mask; for a target use target(j)")
        return self._mapped(lambda a: a[rows])

    def target(self, j: int) -> Self:
        """The marginal distribution of one target among several, of shape (n,)."""
        if len(self.shape) != 2:
            raise OptionError(f"target({j}) picks one of several targets; this distribution has shape {self.shape}")
        return self._mapped(lambda a: a[:, j])

    def ravel(self) -> Self:
        """The same distributions as one flat batch."""
        n = len(self.shape)
        return self._mapped(lambda a: np.reshape(a, (prod(a.shape[:n]), *a.shape[n:])))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._summary()}>"

    # -- probabilities

    def pdf(self, y: Any) -> np.ndarray:
        """Density at ``y``; for a discrete distribution the probability of ``y``."""
        return np.exp(self.logpdf(y))

    def logpmf(self, y: Any) -> np.ndarray:
        """Logarithm of the probability of ``y``, for discrete distributions."""
        if not self.discrete:
            raise OptionError(f"{type(self).__name__} is continuous: use logpdf")
        return self.logpdf(y)

    def pmf(self, y: Any) -> np.ndarray:
        """Probability of ``y``, for discrete distributions."""
        return np.exp(self.logpmf(y))

    def sf(self, y: Any) -> np.ndarray:
        """Probability of a value > ``y``."""
        return 1.0 - self.cdf(y)

    def pit(self, y: Any, random_state: int | np.random.Generator | None = None) -> np.ndarray:
        """Probability integral transform: uniform on [0, 1] if ``y`` was drawn from these distributions.

        Of a continuous distribution it is the cdf; of a discrete one drawn evenly between the probabilities of less
        than ``y`` and of no more (Czado, Gneiting & Held 2009), classes in the order of their codes.

        Parameters
        ----------
        y : array that broadcasts against the batch
        random_state : int or generator, optional
            For discrete distributions.
        """
        below, above = self._jump(y)
        if not self.discrete:
            return above
        return above - np.random.default_rng(random_state).random(above.shape) * (above - below)

    def log_score(self, y: Any) -> np.ndarray:
        """Logarithm of the *joint* density of all targets of a row, shape (n,); higher is better.

        Parameters
        ----------
        y : array of shape (n,) or (n, n_targets), like the batch
        """
        logs = self.logpdf(y)
        return logs if len(self.shape) < 2 else np.sum(logs, axis=-1)

    # -- quantiles

    def ppf(self, q: Any) -> np.ndarray:
        """Quantile: the value below which a share ``q`` lies; for a discrete one the smallest ``y`` with cdf >= q.

        Exact: the cdf at the result is ``q`` to 1e-12. NaN where ``q`` is outside [0, 1], the support's ends at 0 and
        1.
        """
        q = np.asarray(q, np.float64)
        inner = (q > 0.0) & (q < 1.0)
        x = self._quantile(np.where(inner, q, 0.5))
        if inner.all():
            return x
        return np.where(inner, x, np.select([q == 0.0, q == 1.0], self.support, np.nan))

    def quantiles(self, qs: Sequence[float] | np.ndarray) -> np.ndarray:
        """Several quantiles of each distribution.

        Returns
        -------
        array of shape (n, len(qs)), or (n, n_targets, len(qs))
        """
        levels = np.asarray(qs, np.float64)
        if levels.ndim != 1:
            raise OptionError(f"quantiles takes a list of levels, got shape {levels.shape}")
        return np.moveaxis(self.ppf(np.reshape(levels, (-1, *(1,) * len(self.shape)))), 0, -1)

    def median(self) -> np.ndarray:
        """The value with half the probability on either side."""
        return self.ppf(0.5)

    def interval(self, coverage: float = 0.9) -> np.ndarray:
        """Central interval: equal probability is left out on both sides.

        Returns
        -------
        array of shape (n, 2), or (n, n_targets, 2)
        """
        if not 0.0 <= coverage <= 1.0:
            raise OptionError(f"coverage must lie in [0, 1], got {coverage!r}")
        out = 0.5 * (1.0 - coverage)
        return self.quantiles([out, 1.0 - out])

    def std(self) -> np.ndarray:
        """Standard deviation."""
        return np.sqrt(self.var())

    # -- samples and scores

    def rvs(
        self,
        size: int | tuple[int, ...] | None = None,
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> np.ndarray:
        """Draw samples.

        Parameters
        ----------
        size : int or tuple of int, optional
            Number of draws of every distribution, as leading axes; one draw without an axis by default.
        random_state : int or generator, optional

        Returns
        -------
        array of shape (*size, *shape)
        """
        lead = () if size is None else (size,) if isinstance(size, (int, np.integer)) else tuple(size)
        return self._draw(np.random.default_rng(random_state), (*lead, *self.shape))

    def crps(self, y: Any) -> np.ndarray:
        """Continuous ranked probability score ∫ (F(x) - 1{x >= y})² dx, target by target; lower is better.

        Here by quadrature between quantiles, relative error about 1e-8 (Gneiting & Raftery 2007 for the score).
        """
        return quadrature.crps(self, y)

    # -- change of units

    def affine(self, location: Any, scale: Any) -> Distribution:
        """The distribution of ``location + scale * Y``.

        Parameters
        ----------
        location, scale : float or array that broadcasts against the batch
            ``scale`` is positive.
        """
        if self.discrete:
            raise OptionError(f"{type(self).__name__} is of whole numbers: it has no other location or scale")
        spread = (np.broadcast_to(np.asarray(v, np.float64), self.shape) for v in (location, scale))
        return Affine(self, *spread)

    # -- inside

    @classmethod
    def pool(cls, members: Sequence[Self]) -> Distribution | None:
        """The equal-weight mixture of members in closed form, where there is one."""
        return None

    def nodes(self) -> np.ndarray:
        """Points, ascending along the last axis, between which the cdf is smooth: where quadrature is cut."""
        return self.quantiles(quadrature.LEVELS)

    def bracket(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two values that enclose the quantile: Cantelli's inequality bounds it by mean and standard deviation."""
        mean, std = self.mean(), self.std()
        low, high = self.support
        return (
            np.maximum(mean - std * np.sqrt((1.0 - q) / q), low),
            np.minimum(mean + std * np.sqrt(q / (1.0 - q)), high),
        )

    def tail(self, x: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """sf where ``upper``, cdf elsewhere."""
        return np.where(upper, self.sf(x), self.cdf(x))

    def elements(self, shape: tuple[int, ...]) -> tuple[Self, np.ndarray]:
        """The flat batch, and for each element of an array of the given shape the place of its distribution in it."""
        places = np.arange(prod(self.shape)).reshape(self.shape)
        return self.ravel(), np.broadcast_to(places, shape).ravel()

    def _jump(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Probability of less than ``y``, and of no more."""
        above = self.cdf(y)
        return (self.cdf(np.ceil(np.asarray(y, np.float64)) - 1.0) if self.discrete else above), above

    def _quantile(self, q: np.ndarray) -> np.ndarray:
        """Quantiles at levels inside (0, 1)."""
        shape = np.broadcast_shapes(q.shape, self.shape)
        flat, places = self.elements(shape)
        return inversion.quantiles(flat, places, np.broadcast_to(q, shape).ravel()).reshape(shape)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self._quantile(np.maximum(rng.random(shape), 2.0**-54))

    def _arrays(self) -> dict[str, np.ndarray]:
        """The fields that have the batch's axes."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.shared}  # type: ignore[arg-type]

    def _mapped(self, f: Map) -> Self:
        """The same with every batch array replaced by a function of it."""
        return replace(self, **{name: f(array) for name, array in self._arrays().items()})  # type: ignore[type-var]

    def _summary(self) -> str:
        size = " x ".join(map(str, self.shape)) or "1"
        if not prod(self.shape):
            return f"{size} rows"
        spans = []
        for what, v in (("mean", self.mean()), ("std", self.std())):
            low, high = float(np.min(v)), float(np.max(v))
            spans.append(f"{what} {low:.4g}" + (f" to {high:.4g}" if low != high else ""))
        return f"{size} rows: {', '.join(spans)}"


@dataclass(frozen=True, eq=False, repr=False)
class Affine(Distribution):
    """The distribution of ``location + scale * Y``.

    Parameters
    ----------
    base : Distribution
        Of Y.
    location, scale : array of the batch's shape
    """

    base: Distribution
    location: np.ndarray
    scale: np.ndarray
    shared: ClassVar[tuple[str, ...]] = ("base",)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    def logpdf(self, y: Any) -> np.ndarray:
        return self.base.logpdf(self._standard(y)) - np.log(self.scale)

    def cdf(self, y: Any) -> np.ndarray:
        return self.base.cdf(self._standard(y))

    def sf(self, y: Any) -> np.ndarray:
        return self.base.sf(self._standard(y))

    def log_score(self, y: Any) -> np.ndarray:
        logs = np.log(self.scale)
        return self.base.log_score(self._standard(y)) - (logs if logs.ndim < 2 else np.sum(logs, axis=-1))

    def mean(self) -> np.ndarray:
        return self.location + self.scale * self.base.mean()

    def var(self) -> np.ndarray:
        return square(self.std())

    def std(self) -> np.ndarray:
        return self.scale * self.base.std()

    def ppf(self, q: Any) -> np.ndarray:
        return self.location + self.scale * self.base.ppf(q)

    def crps(self, y: Any) -> np.ndarray:
        return self.scale * self.base.crps(self._standard(y))

    def nodes(self) -> np.ndarray:
        return self.location[..., None] + self.scale[..., None] * self.base.nodes()

    def affine(self, location: Any, scale: Any) -> Distribution:
        return self.base.affine(location + scale * self.location, scale * self.scale)

    def _standard(self, y: Any) -> np.ndarray:
        return (np.asarray(y, np.float64) - self.location) / self.scale

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.location + self.scale * self.base._draw(rng, shape)

    def _mapped(self, f: Map) -> Self:
        return replace(self, base=self.base._mapped(f), location=f(self.location), scale=f(self.scale))

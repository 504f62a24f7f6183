"""Check derivatives against finite differences: of a function by every argument, and of every operation in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.calculus.continuation import REMAINDER, complex_slope
from chainrule.calculus.differences import Slopes, exact, slopes
from chainrule.calculus.operations import check_operations, switches
from chainrule.calculus.report import Comparisons, Element, GradientReport, Parameter, worst_of
from chainrule.calculus.subject import OUTSIDE, Subject
from chainrule.errors import GradientError, OptionError
from chainrule.graph.trace import function_name

#: relative tolerance where values are computed in double and in single precision
TOLERANCE = {"double": 1e-6, "single": 1e-3}


def check_gradient(
    f: Callable[..., Any],
    *args: Any,
    order: int = 1,
    strict: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    elements: int = 100,
    directions: int = 4,
    seed: int = 0,
) -> GradientReport:
    """Compare the derivatives of a function with differences of its values, and say which operation is wrong.

    Three things are checked, in double precision: the gradient, element by element; its products with random
    directions, in reverse and in forward mode; and the rules of every operation in the function's graph, on the values
    it has there. Differences are extrapolated to step 0 (`chainrule.calculus.differences`); where all operations
    continue to complex numbers, elements are compared with complex steps instead, which are exact to rounding.

    A function that returns arrays is checked by the sum of all their elements, each with a random weight. What
    ``stop_gradient`` holds is held fixed.

    Parameters
    ----------
    f : callable
        Plain NumPy code.
    *args
        Where to check; nested containers are welcome. Floating-point arguments are variables, integers and booleans
        are held fixed.
    order : {1, 2}
        2 checks Hessian-vector products in random directions as well.
    strict : bool
        Raise `GradientError` where a derivative is wrong, instead of only saying so in the report.
    rtol : float, optional
        Relative tolerance, 1e-6 by default; 1e-3 where the function computes in single precision.
    atol : float, optional
        Absolute tolerance. By default what rounding of the function's value allows: ``1e-3 rtol |f| / |x|``.
    elements : int
        So many elements are checked one by one, drawn at random if there are more. Directions reach all of them.
    directions : int
        Number of random directions.
    seed : int
        Of the random choices.

    Returns
    -------
    GradientReport
        ``.ok``, ``.worst``, ``.faults``, ``.kinks``, ``.operations``; ``print`` it to read it.

    Raises
    ------
    GradientError
        With ``strict``, where a derivative is wrong.
    DifferentiationError
        If there is nothing to differentiate.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> report = cr.check_gradient(lambda x: np.sum(np.tanh(x) ** 2), np.array([0.5, -1.0]))
    >>> report.ok, len(report.kinks)
    (True, 0)
    >>> report = cr.check_gradient(lambda x: np.sum(np.abs(x)), np.array([1.0, 0.0]))
    >>> report.ok, "x[1]" in [kink.where for kink in report.kinks]
    (True, True)
    """
    if order not in (1, 2):
        raise OptionError(f"check_gradient: order must be 1 or 2, got {order!r}")
    subject = Subject.of(f, args, seed)
    subject.refuse_outside()
    rtol = TOLERANCE["double" if subject.precision < 1e-12 else "single"] if rtol is None else rtol
    rng = np.random.default_rng(seed)
    graph = subject.graph if order == 1 else subject.product_graph(rng)
    operations = check_operations(graph, subject.leaves, rtol, rng)
    verdicts = {operation.comparison.verdict for operation in operations}
    conventional = "fault" not in verdicts and ("kink" in verdicts or switches(graph))
    checker = _Checker(subject, rtol, atol, elements, directions, conventional, rng)
    found, parameters, method = checker.first_order()
    if order == 2:
        found += checker.second_order()
    report = GradientReport(
        function_name(f),
        order,
        method,
        parameters,
        tuple(found),
        tuple(operations),
        subject.remarks(),
    )
    if strict and not report.ok:
        raise GradientError(report.summary)
    return report


Direction = list[np.ndarray]


@dataclass(frozen=True)
class _Checker:
    """Checks one function; the parameters are those of `check_gradient`, and that of `Comparisons`."""

    subject: Subject
    rtol: float
    atol: float | None
    elements: int
    directions: int
    conventional: bool
    rng: np.random.Generator

    def first_order(self) -> tuple[list[Element], tuple[Parameter, ...], str]:
        """The gradient along directions and element by element, how each leaf fared, and by what that was found."""
        subject = self.subject
        grads = subject.gradient(subject.leaves)
        found = self._along_directions(grads)
        # complex steps follow the graph; only differences tell which element is wrong where f computes something else
        by_complex_step = subject.continues and all(e.comparison.verdict == "right" for e in found)
        parameters = []
        for leaf, chosen in enumerate(self._choose()):
            own = self._by_element(leaf, chosen, grads, by_complex_step)
            parameters.append(Parameter(subject.names[leaf], subject.leaves[leaf].shape, len(own), worst_of(own)))
            found += own
        return found, tuple(parameters), "complex steps" if by_complex_step else "extrapolated differences"

    def _choose(self) -> list[list[tuple[int, ...]]]:
        """Which elements of each leaf to check one by one: all of them, or at random, each leaf having its share."""
        sizes = [x.size for x in self.subject.leaves]
        few = sum(sizes) <= self.elements
        share = self.elements if few else max(1, self.elements // sum(size > 0 for size in sizes))
        chosen = []
        for x in self.subject.leaves:
            flat = range(x.size) if x.size <= share else np.sort(self.rng.choice(x.size, share, replace=False))
            chosen.append([tuple([int(i) for i in np.unravel_index(each, x.shape)]) for each in flat])
        return chosen

    def _by_element(
        self, leaf: int, chosen: list[tuple[int, ...]], grads: list[np.ndarray], by_complex_step: bool
    ) -> list[Element]:
        subject = self.subject
        scales = _scales(subject.leaves[leaf])
        steps = np.array([scales[index] for index in chosen])
        expected = np.array([grads[leaf][index] for index in chosen]).reshape(-1, 1)
        value = abs(subject.value(subject.leaves))
        tolerance = self._tolerance(expected, value / steps.reshape(-1, 1), _largest(grads))

        def line(k: int, t: Any) -> np.ndarray:
            moved = subject.leaves[leaf].copy()
            moved[chosen[k]] += t
            return np.array([subject.value([*subject.leaves[:leaf], moved, *subject.leaves[leaf + 1 :]])])

        def complex_step(index: tuple[int, ...]) -> np.ndarray:
            direction: list[Any] = [None] * len(subject.leaves)
            direction[leaf] = np.zeros(subject.leaves[leaf].shape)
            direction[leaf][index] = 1.0
            return complex_slope(subject.graph, subject.leaves, direction)[0]

        if by_complex_step and np.isfinite(expected).all():
            found = exact(np.array([complex_step(index) for index in chosen]).reshape(-1, 1))
        else:
            found = slopes(line, steps, expected, tolerance, subject.precision)
        judged = self._compare(expected, found, tolerance)
        return [Element("gradient", subject.names[leaf], index, judged.at(k)) for k, index in enumerate(chosen)]

    def _along_directions(self, grads: list[np.ndarray]) -> list[Element]:
        subject, directions = self.subject, self._draw()
        terms = [np.concatenate([np.ravel(g * d) for g, d in zip(grads, each, strict=True)]) for each in directions]
        reverse = np.array([np.sum(each) for each in terms]).reshape(-1, 1)
        forward = np.array([subject.tangent(each) for each in directions]).reshape(-1, 1)
        spread = np.array([np.sqrt(np.sum(np.square(each))) for each in terms]).reshape(-1, 1)
        tolerance = self._tolerance(reverse, abs(subject.value(subject.leaves)), 0.0) + self.rtol * spread

        def line(k: int, t: float) -> np.ndarray:
            return np.array([subject.value(_moved(subject.leaves, directions[k], t))])

        found = slopes(line, np.ones(len(directions)), reverse, tolerance, subject.precision)
        judged = self._compare(reverse, found, tolerance), self._compare(forward, found, tolerance)
        numbers = range(len(directions))
        return [Element("reverse", f"direction {k + 1}", (), judged[0].at(k)) for k in numbers] + [
            Element("forward", f"direction {k + 1}", (), judged[1].at(k)) for k in numbers
        ]

    def second_order(self) -> list[Element]:
        """The Hessian's products with directions; of each leaf's elements the worst."""
        subject, directions = self.subject, self._draw()
        gradient = _flat(subject.gradient(subject.leaves))
        expected = np.array([_flat(subject.product(each)) for each in directions]).reshape(
            len(directions), gradient.size
        )
        tolerance = self._tolerance(expected, np.abs(gradient) + 1e-3 * _largest([gradient]), _largest([expected]))

        def line(k: int, t: float) -> np.ndarray:
            try:
                return _flat(subject.gradient(_moved(subject.leaves, directions[k], t)))
            except OUTSIDE:
                return np.full(gradient.size, np.nan)

        found = slopes(line, np.ones(len(directions)), expected, tolerance, subject.precision)
        judged = self._compare(expected, found, tolerance)
        results = []
        for k in range(len(directions)):
            start = 0
            for name, x in zip(subject.names, subject.leaves, strict=True):
                j = judged.worst(k, start, start + x.size)
                if j is not None:
                    index = tuple([int(i) for i in np.unravel_index(j - start, x.shape)])
                    results.append(Element("hessian", f"direction {k + 1}, {name}", index, judged.at(k, j)))
                start += x.size
        return results

    def _compare(self, expected: np.ndarray, found: Slopes, tolerance: np.ndarray) -> Comparisons:
        return Comparisons(expected, found, tolerance, self.conventional)

    def _draw(self) -> list[Direction]:
        """Random directions, in units of each element's own scale."""
        scales = [_scales(x) for x in self.subject.leaves]
        return [
            [s * self.rng.uniform(0.5, 1.0, s.shape) * self.rng.choice([-1.0, 1.0], s.shape) for s in scales]
            for _ in range(self.directions)
        ]

    def _tolerance(self, expected: np.ndarray, natural: Any, largest: float) -> np.ndarray:
        """Relative to the derivative, and what rounding of the values that are compared allows at least."""
        floor = 1e-3 * self.rtol * (np.nan_to_num(natural) + largest) if self.atol is None else self.atol
        return self.rtol * np.nan_to_num(np.abs(expected), posinf=0.0) + floor + REMAINDER


def _scales(x: np.ndarray) -> np.ndarray:
    """Over what distance each element may change: its own size, or that of its neighbours where it is small."""
    typical = float(np.sqrt(np.mean(np.square(x)))) if x.size else 1.0
    typical = typical if np.isfinite(typical) and typical > 0.0 else 1.0
    return np.where(np.isfinite(x), np.maximum(np.abs(x), np.where(x == 0.0, typical, 1e-3 * typical)), 1.0)


def _moved(leaves: Sequence[np.ndarray], direction: Direction, t: float) -> list[np.ndarray]:
    return [np.asarray(x + t * d) for x, d in zip(leaves, direction, strict=True)]


def _largest(arrays: Sequence[np.ndarray]) -> float:
    """The largest finite number in size."""
    return max(
        (float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))) for a in map(np.asarray, arrays)), default=0.0
    )


def _flat(arrays: Sequence[Any]) -> np.ndarray:
    return np.concatenate([np.ravel(a) for a in arrays])


__all__ = ["GradientReport", "check_gradient"]

"""What a gradient check found: verdicts by element and by operation, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np

from chainrule.calculus.differences import Slopes, sides_differ

#: ``fault``: the derivative is wrong. ``kink``: the function has none there, and what is given lies between the
#: one-sided ones, as a sub-gradient does. ``unclear``: differences cannot be computed well enough to tell.
Verdict = Literal["right", "kink", "unclear", "fault"]
_VERDICTS: tuple[Verdict, ...] = ("right", "kink", "unclear", "fault")
_RIGHT, _KINK, _UNCLEAR, _FAULT = range(4)


@dataclass(frozen=True)
class Comparison:
    """A derivative by the chain rule beside the same one by differences.

    Parameters
    ----------
    verdict : str
        ``right``, ``kink``, ``unclear`` or ``fault``.
    derivative : float
        What the chain rule says.
    numeric : float
        What differences (or a complex step) say.
    left, right : float
        One-sided derivatives.
    error : float
        Distance of the two, and...
    tolerance : float
        ... how much of it is allowed.
    """

    verdict: Verdict
    derivative: float
    numeric: float
    left: float
    right: float
    error: float
    tolerance: float

    @property
    def ratio(self) -> float:
        """The error in units of the tolerance; infinite where one of them is not a number."""
        return self.error / self.tolerance if np.isfinite(self.error) and self.tolerance > 0 else float(np.inf)

    def __str__(self) -> str:
        if self.verdict == "kink":
            return f"derivative {self.derivative:.6g} at a kink, one-sided {self.left:.6g} and {self.right:.6g}"
        relative = self.error / max(abs(self.derivative), abs(self.numeric), 1e-300)
        return f"derivative {self.derivative:.9g}, differences say {self.numeric:.9g} ({relative:.2g} relative)"


@dataclass(frozen=True)
class Comparisons:
    """Comparisons along n lines of m values each.

    Parameters
    ----------
    expected : array of shape (n, m)
        What the chain rule says.
    found : Slopes
    tolerance : array of shape (n, m)
    conventional : bool
        Several kinks may meet. The sum of sub-gradients then need not lie between the one-sided derivatives, and that
        these differ is enough.
    """

    expected: np.ndarray
    found: Slopes
    tolerance: np.ndarray
    conventional: bool = False

    @cached_property
    def error(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.abs(self.expected - self.found.central)

    @cached_property
    def verdicts(self) -> np.ndarray:
        """Positions in the list of verdicts."""
        found, expected, tolerance = self.found, self.expected, self.tolerance
        with np.errstate(all="ignore"):
            low = np.fmin(found.left - found.error_left, found.right - found.error_right) - tolerance
            high = np.fmax(found.left + found.error_left, found.right + found.error_right) + tolerance
            between = (low <= expected) & (expected <= high)
            kink = sides_differ(found, tolerance) & (between | (self.conventional & np.isfinite(expected)))
            # an infinite derivative where differences have no limit either is the edge of a domain, not a fault
            kink |= np.isinf(expected) & ~(found.error <= 1e-3 * np.abs(found.central))
            right, unclear = self.error <= tolerance, self.error <= tolerance + 10.0 * found.error
        return np.select([np.isnan(expected), kink, right, unclear], [_FAULT, _KINK, _RIGHT, _UNCLEAR], _FAULT)

    def at(self, k: int, j: int = 0) -> Comparison:
        """The comparison of one value along one line."""
        arrays = (self.expected, self.found.central, self.found.left, self.found.right, self.error, self.tolerance)
        return Comparison(_VERDICTS[self.verdicts[k, j]], *[float(array[k, j]) for array in arrays])

    def worst(self, k: int, first: int, last: int) -> int | None:
        """Which of the values from first to last (excluded) along a line is worst: kinks last, faults first."""
        if first == last:
            return None
        verdicts = self.verdicts[k, first:last]
        with np.errstate(all="ignore"):
            ratio = np.nan_to_num(self.error[k, first:last] / self.tolerance[k, first:last], nan=np.inf)
        rank = np.where(verdicts == _FAULT, 2, np.where(verdicts == _KINK, 0, 1))
        return first + int(np.lexsort((ratio, rank))[-1])


@dataclass(frozen=True)
class Element:
    """The derivative by one element of an argument, or along a direction through all of them.

    Parameters
    ----------
    kind : str
        ``gradient``; ``reverse`` or ``forward`` mode along a direction; ``hessian``, an element of its product with a
        direction.
    name : str
        Of the argument's leaf, such as ``w[0].bias``; or the number of the direction.
    index : tuple of int
        Of the element.
    comparison : Comparison
    """

    kind: Literal["gradient", "reverse", "forward", "hessian"]
    name: str
    index: tuple[int, ...]
    comparison: Comparison

    @property
    def where(self) -> str:
        """Such as ``w[2, 3]``."""
        place = self.name + (f"[{', '.join(map(str, self.index))}]" if self.index else "")
        return {"gradient": "", "hessian": "Hessian-vector product, "}.get(self.kind, f"{self.kind} mode, ") + place

    def __str__(self) -> str:
        return f"{self.where}: {self.comparison}"


@dataclass(frozen=True)
class Operation:
    """A rule of one operation of the graph, on the values it was recorded with.

    Parameters
    ----------
    primitive : str
    node : str
        Name of the node in the graph.
    position : int
        Its position.
    operand : int
        By which input, counted from 1.
    rule : str
        ``reverse`` or ``forward``.
    comparison : Comparison
    """

    primitive: str
    node: str
    position: int
    operand: int
    rule: str
    comparison: Comparison

    @property
    def where(self) -> str:
        return f"{self.rule} rule of {self.primitive} (node {self.node}) by operand {self.operand}"

    def __str__(self) -> str:
        return f"{self.where}: {self.comparison}"


@dataclass(frozen=True)
class Parameter:
    """How one leaf of the arguments fared.

    Parameters
    ----------
    name : str
    shape : tuple of int
    checked : int
        So many of its elements were checked one by one.
    worst : Element or None
        The one with the largest error for its tolerance.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    worst: Element | None


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradient` found. ``print(report)`` shows it.

    Parameters
    ----------
    name : str
        Of the function.
    order : int
    method : str
        What derivatives were compared with.
    parameters : tuple of Parameter
    elements : tuple of Element
        All comparisons of the function's own derivatives, directions included.
    operations : tuple of Operation
        All comparisons of the rules of its operations.
    remarks : tuple of str
        What else is wrong with the function.
    """

    name: str
    order: int
    method: str
    parameters: tuple[Parameter, ...]
    elements: tuple[Element, ...]
    operations: tuple[Operation, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no derivative is wrong. Kinks are not faults."""
        return not self.faults and not self.remarks

    @property
    def worst(self) -> Element | None:
        """The element with the largest error for its tolerance; kinks come last."""
        return worst_of(self.elements)

    @property
    def faults(self) -> tuple[Element | Operation, ...]:
        """Wrong derivatives, by operation first, then by element, worst first."""
        return self._of("fault")

    @property
    def kinks(self) -> tuple[Element | Operation, ...]:
        """Where the function has no derivative, but a sub-gradient."""
        return self._of("kink")

    @property
    def unclear(self) -> tuple[Element | Operation, ...]:
        """Where differences could not be computed well enough to tell."""
        return self._of("unclear")

    def _of(self, verdict: Verdict) -> tuple[Element | Operation, ...]:
        operations = [o for o in self.operations if o.comparison.verdict == verdict]
        elements = [e for e in self.elements if e.comparison.verdict == verdict]
        return tuple(sorted(operations, key=_badness) + sorted(elements, key=_badness))

    @property
    def summary(self) -> str:
        """One line."""
        what = {1: "gradient", 2: "gradient and Hessian-vector products"}[self.order]
        if self.ok:
            return f"{what} of {self.name}: right{self._counts()}"
        if self.remarks:
            return f"{what} of {self.name}: it {self.remarks[0]}"
        wrong = [f for f in self.faults if isinstance(f, Operation)][:1] + [
            f for f in self.faults if isinstance(f, Element)
        ][:1]
        outside = ""
        if not isinstance(wrong[0], Operation):
            outside = "; every operation's rule is right, so the function leaves the graph or changes between calls"
        return f"{what} of {self.name}: wrong at " + "; and at ".join(map(str, wrong)) + outside

    def _counts(self) -> str:
        counts = [
            f"{len(group)} {name}" for name, group in (("at kinks", self.kinks), ("unclear", self.unclear)) if group
        ]
        return f" ({', '.join(counts)})" if counts else ""

    def __str__(self) -> str:
        lines = [self.summary, f"  elements compared with {self.method}"]
        rows: list[tuple[str, ...]] = [
            ("parameter", "shape", "checked", "worst", "derivative", "numeric", "error / allowed")
        ]
        for p in self.parameters:
            size = int(np.prod(p.shape, dtype=int))
            rows.append((p.name, str(p.shape), f"{p.checked} of {size}", *_cells(p.worst)))
        for kind, title in _KINDS.items():
            along = [e for e in self.elements if e.kind == kind]
            if along:
                rows.append((title, "", str(len(along)), *_cells(worst_of(along))))
        lines += _table(rows)
        if self.operations:
            worst = worst_of(self.operations)
            assert worst is not None
            lines.append(f"  {len(self.operations)} rules of operations, worst: {worst}")
        for title, group in (("wrong", self.faults), ("kinks", self.kinks), ("unclear", self.unclear)):
            if group:
                lines.append(f"  {title}:")
                lines += [f"    {each}" for each in group[:8]]
                lines += [f"    and {len(group) - 8} more"] if len(group) > 8 else []
        lines += [f"  {self.name} {remark}" for remark in self.remarks]
        return "\n".join(lines)


_KINDS = {
    "reverse": "directions, reverse mode",
    "forward": "directions, forward mode",
    "hessian": "Hessian-vector products",
}
T = TypeVar("T", Element, Operation)


def worst_of(group: Sequence[T]) -> T | None:
    """The one with the largest error for its tolerance; faults come first, elements before directions, kinks last."""
    return min(group, key=_badness, default=None)


def _badness(item: Element | Operation) -> tuple[int, bool, float]:
    rank = {"fault": 0, "kink": 2}.get(item.comparison.verdict, 1)
    along_direction = isinstance(item, Element) and item.kind != "gradient"
    return rank, along_direction, -item.comparison.ratio


def _cells(element: Element | None) -> tuple[str, str, str, str]:
    if element is None:
        return "", "", "", ""
    c = element.comparison
    place = str(list(element.index)) if element.index else element.name if element.kind != "gradient" else ""
    place = f"{element.name} {place}" if element.kind == "hessian" and element.index else place
    allowed = c.verdict if c.verdict in ("kink", "unclear") else f"{c.error:.1e} / {c.tolerance:.1e}"
    return place, f"{c.derivative:.6g}", f"{c.numeric:.6g}", allowed


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]

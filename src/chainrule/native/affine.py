"""Positions as functions of loop counters: ``offset + Σ stride·counter``, and how views of an array move them.

Every loop of a nest has an *axis*, a small integer; ``extents[axis]`` is how often it runs. An array element is named
by one :class:`Affine` per dimension; reshape, transpose, slice, broadcast and flip are functions on such names, so a
view costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

Extents = Mapping[int, int]


class SplitAxis(Exception):
    """A view can be followed only if a loop is split in two: ``axis = outer·inner_extent + inner``."""

    def __init__(self, axis: int, inner: int) -> None:
        super().__init__(f"split axis {axis} by {inner}")
        self.axis, self.inner = axis, inner


class NotAffine(Exception):
    """A view cannot be followed by strides: the array must be laid out in memory first."""


@dataclass(frozen=True, slots=True)
class Affine:
    """``offset + Σ stride·counter`` with terms ``(axis, stride)`` in ascending order of axes, no stride 0."""

    offset: int = 0
    terms: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(axis: int, stride: int = 1) -> Affine:
        """A multiple of one counter."""
        return Affine(0, ((axis, stride),)) if stride else Affine()

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.offset + other, self.terms)
        if not other.terms:
            return Affine(self.offset + other.offset, self.terms)
        strides = dict(self.terms)
        for axis, stride in other.terms:
            strides[axis] = strides.get(axis, 0) + stride
        return Affine(self.offset + other.offset, tuple(sorted((a, s) for a, s in strides.items() if s)))

    def __mul__(self, factor: int) -> Affine:
        if factor == 0:
            return Affine()
        return Affine(self.offset * factor, tuple((a, s * factor) for a, s in self.terms))

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes it depends on."""
        return tuple(a for a, _ in self.terms)

    def stride(self, axis: int) -> int:
        """By how much one step of an axis moves it."""
        return next((s for a, s in self.terms if a == axis), 0)

    def without(self, axis: int) -> Affine:
        """With an axis held at 0."""
        return Affine(self.offset, tuple(t for t in self.terms if t[0] != axis))

    def substitute(self, replacements: Mapping[int, Affine]) -> Affine:
        """With some counters replaced by functions of other counters."""
        if not any(a in replacements for a, _ in self.terms):
            return self
        total = Affine(self.offset)
        for axis, stride in self.terms:
            total = total + (replacements[axis] * stride if axis in replacements else Affine.of(axis, stride))
        return total

    def bounds(self, extents: Extents) -> tuple[int, int]:
        """Smallest and largest value over all iterations (no extent is 0)."""
        low = high = self.offset
        for axis, stride in self.terms:
            reach = stride * (extents[axis] - 1)
            low, high = low + min(reach, 0), high + max(reach, 0)
        return low, high

    def __str__(self) -> str:
        parts = [f"{'' if s == 1 else f'{s}·'}i{a}" for a, s in self.terms]
        if self.offset or not parts:
            parts.insert(0, str(self.offset))
        return " + ".join(parts).replace("+ -", "- ")


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides, in elements, of an array without gaps."""
    return tuple(prod(shape[k + 1 :]) for k in range(len(shape)))


def dot(index: Sequence[Affine], strides: Sequence[int]) -> Affine:
    """Position in memory of an element."""
    total = Affine()
    for i, stride in zip(index, strides, strict=True):
        total = total + i * stride
    return total


def counters(shape: Sequence[int], first: int = 0) -> tuple[tuple[Affine, ...], dict[int, int]]:
    """One axis per dimension longer than 1, numbered from ``first``: the index of an element, and the extents."""
    index, extents = [], {}
    for k, size in enumerate(shape):
        index.append(Affine() if size == 1 else Affine.of(first + k))
        if size != 1:
            extents[first + k] = size
    return tuple(index), extents


def reshaped(
    index: Sequence[Affine], shape: Sequence[int], source: Sequence[int], extents: Extents
) -> tuple[Affine, ...]:
    """Index into an array of shape ``source`` of the element that has ``index`` after a reshape to ``shape``.

    Raises
    ------
    SplitAxis
        If it becomes affine once a loop is split.
    NotAffine
        If it is not.
    """
    result: list[Affine] = []
    k = 0
    pending, pending_sizes = Affine(), 1  # dimensions of `shape` read but not yet accounted for, as one number
    j = 0
    while j < len(source):
        sizes = [source[j]]
        j += 1
        while True:  # grow both groups until they hold the same number of elements
            total = prod(sizes)
            if pending_sizes < total:
                pending = pending * shape[k] + index[k]
                pending_sizes *= shape[k]
                k += 1
            elif pending_sizes > total:
                sizes.append(source[j])
                j += 1
            else:
                break
        result += _unravel(pending, sizes, extents)
        pending, pending_sizes = Affine(), 1
    return tuple(result)


def _unravel(position: Affine, sizes: Sequence[int], extents: Extents) -> list[Affine]:
    result: list[Affine] = []
    for size in reversed(sizes[1:]):
        position, digit = _divide(position, size, extents)
        result.append(digit)
    return [position, *reversed(result)]


def _divide(position: Affine, size: int, extents: Extents) -> tuple[Affine, Affine]:
    """Quotient and remainder by ``size``, both affine."""
    if size == 1:
        return position, Affine()
    quotient = Affine(position.offset // size, tuple((a, s // size) for a, s in position.terms if s % size == 0))
    remainder = Affine(position.offset % size, tuple((a, s) for a, s in position.terms if s % size))
    low, high = remainder.bounds(extents)
    if low >= 0 and high < size:
        return quotient, remainder
    for axis, stride in remainder.terms:
        inner = size // abs(stride)
        if size % stride == 0 and inner > 1 and extents[axis] > inner and extents[axis] % inner == 0:
            raise SplitAxis(axis, inner)
    raise NotAffine


def split(axis: int, inner: int, extents: Extents, fresh: int) -> tuple[Affine, dict[int, int]]:
    """Replace a loop by two, numbered ``fresh`` and ``fresh + 1``: the old counter in the new ones, the new extents."""
    outer = extents[axis] // inner
    changed = {a: n for a, n in extents.items() if a != axis} | {fresh: outer, fresh + 1: inner}
    return Affine.of(fresh, inner) + Affine.of(fresh + 1), changed

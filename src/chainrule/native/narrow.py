"""Matrix products that would leave most lanes empty, in other ways: with few columns, as in a network's last layer.

C of few columns, A stored transposed: the transpose of a product with few rows, copied into place.
C of very few columns, A stored row by row: every element is the sum along a row of A times a row of Bᵀ.
The transposed copy of B serves the product with Bᵀ, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chainrule.native.affine import Affine, counters, dot
from chainrule.native.nests import Instruction, Nest, Place, Result
from chainrule.native.steps import ProductStep, Step, matrix_form

_FEW, _VERY_FEW = 12, 4
_TALL, _LONG = 16, 16


class NarrowProducts:
    """Chooses the way of every product of a program.

    Parameters
    ----------
    new_buffer : callable
        ``new_buffer(dtype, size) -> number``
    """

    def __init__(self, new_buffer: Callable[[str, int], int]) -> None:
        self.new_buffer = new_buffer
        self.flipped: dict[tuple[Place, tuple[int, int]], Place] = {}

    def steps(self, step: ProductStep) -> list[Step]:
        """The steps that compute a product: itself, unless there is a better way."""
        m, n, k = step.sizes
        if step.batch or k < 2:
            return [step]
        a_transposed = _stored_transposed(step.a, (m, k))
        if n == 1:
            dots = not a_transposed and k >= _LONG and m >= _TALL and step.b.strides[0] == 1
            return [self._dots(step, replace(step.b, strides=step.b.strides[::-1]))] if dots else [step]
        b_transposed = _stored_transposed(step.b, (k, n))
        if b_transposed:
            known = self.flipped.get((replace(step.b, strides=step.b.strides[::-1]), (n, k)))
            return [step if known is None else replace(step, b=known)]
        if a_transposed and n <= _FEW and m >= _TALL:
            return self._as_transpose(step)
        if not a_transposed and n <= _VERY_FEW and k >= _LONG and m >= _TALL:
            return self._as_dots(step)
        return [step]

    def _as_transpose(self, step: ProductStep) -> list[Step]:
        m, n, k = step.sizes
        made = Place(self.new_buffer(step.dtype, m * n), 0, (m, 1))
        a, b = (replace(p, strides=p.strides[::-1]) for p in (step.b, step.a))
        return [replace(step, sizes=(n, m, k), a=a, b=b, c=made), _copied(made, step.c, (m, n), step)]

    def _as_dots(self, step: ProductStep) -> list[Step]:
        _, n, k = step.sizes
        made = Place(self.new_buffer(step.dtype, n * k), 0, (k, 1))
        self.flipped[step.b, (k, n)] = made
        return [_copied(step.b, made, (n, k), step), self._dots(step, made)]

    @staticmethod
    def _dots(step: ProductStep, columns: Place) -> Nest:
        """Sums along the rows of A times the columns of B, stored one after the other."""
        m, n, k = step.sizes
        body = (
            Instruction("load", (), step.dtype, (step.a.buffer, _place(step.a, 0, 2))),
            Instruction("load", (), step.dtype, (columns.buffer, _place(columns, 1, 2))),
            Instruction("multiply", (0, 1), step.dtype),
        )
        result = Result("fold", 2, step.c.buffer, _place(step.c, 0, 1), (0, 1, 2), "sum", 1)
        return Nest({0: m, 1: n, 2: k}, body, (result,), step.node)


def _stored_transposed(place: Place, shape: tuple[int, int]) -> bool:
    form = matrix_form(place.strides, shape)
    return form is not None and form[0]


def _place(place: Place, row: int, column: int) -> Affine:
    return Affine(place.offset) + Affine.of(row, place.strides[0]) + Affine.of(column, place.strides[1])


def _copied(source: Place, target: Place, shape: tuple[int, int], step: ProductStep) -> Nest:
    """The transpose of a matrix, copied to a matrix of the given shape."""
    index, extents = counters(shape)
    value = Instruction("load", (), step.dtype, (source.buffer, dot(index[::-1], source.strides) + source.offset))
    at = dot(index, target.strides) + target.offset
    return Nest(extents, (value,), (Result("store", 0, target.buffer, at, tuple(extents)),), step.node)

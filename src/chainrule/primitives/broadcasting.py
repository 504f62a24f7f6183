"""Broadcasting, forward and backward: the shapes of operands taken together, and cotangents summed back to a shape."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import numpy as np

from chainrule.errors import GraphError

Shape = tuple[int, ...]


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """NumPy's broadcast of shapes, with a `GraphError` that names the operation."""
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0] if shapes else ()
    result = []
    for sizes in zip_longest(*(reversed(s) for s in shapes), fillvalue=1):
        size = 1
        for s in sizes:
            if s != 1 and size not in (1, s):
                raise GraphError(f"{name}: shapes {' and '.join(map(str, shapes))} do not broadcast together")
            size = s if s != 1 else size
        result.append(size)
    return tuple(reversed(result))


def unbroadcast(g: Any, shape: Shape) -> Any:
    """Sum a cotangent over the axes along which an operand of the given shape was broadcast."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, (size, full) in enumerate(zip(shape, g.shape[extra:], strict=True)) if size != full
    )
    return np.reshape(np.sum(g, axis=axes), shape)


#: shapes of sample operands, by their number: scalars, broadcasting, size 0 and size 1
SAMPLE_SHAPES: dict[int, list[tuple[Shape, ...]]] = {
    1: [((),), ((3,),), ((2, 3),), ((0,),), ((1, 1),), ((2, 0, 3),)],
    2: [
        ((), ()),
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((2, 1), (1, 3)),
        ((), (2, 2)),
        ((0,), (1,)),
        ((4, 1, 2), (3, 1)),
        ((2, 0), (1, 1)),
    ],
    3: [((3,), (3,), (3,)), ((2, 1), (3,), ()), ((), (2, 2), (1, 2)), ((0,), (1,), ())],
}

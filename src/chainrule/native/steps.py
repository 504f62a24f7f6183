"""A program as a list of steps over buffers: what the compiler's second half works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.graph.types import ArrayType
from chainrule.native.nests import Buffer, Nest, Place


@dataclass(frozen=True)
class ProductStep:
    """C = op(A)·op(B), once or for every element of a batch.

    Parameters
    ----------
    sizes : (int, int, int)
        Rows and columns of C, and the terms of each sum.
    dtype : str
    a, b, c : Place
        Strides of the two matrix dimensions, rows first; see `matrix_form`.
    batch : tuple of (int, int, int, int)
        Per batch dimension: extent, strides of A, B and C.
    node : int
        Position in the graph.
    epilogue : Nest or None
        What happens to every element before it is stored: axes 0 and 1 are rows and columns, instruction ``product``
        is the sum. Its first result is stored to C; C itself is then only known by that name.
    """

    sizes: tuple[int, int, int]
    dtype: str
    a: Place
    b: Place
    c: Place
    batch: tuple[tuple[int, int, int, int], ...]
    node: int
    epilogue: Nest | None = None

    @property
    def reads(self) -> frozenset[int]:
        own = frozenset((self.a.buffer, self.b.buffer))
        return own if self.epilogue is None else own | self.epilogue.reads

    @property
    def writes(self) -> frozenset[int]:
        own = frozenset((self.c.buffer,))
        return own if self.epilogue is None else own | self.epilogue.writes

    def __str__(self) -> str:
        times = "".join(f"{e} × " for e, *_ in self.batch)

        def matrix(p: Place) -> str:
            return f"b{p.buffer}[{p.offset} + {p.strides[0]}·row + {p.strides[1]}·column]"

        sizes = "×".join(map(str, self.sizes))
        text = f"product {times}({sizes}) {matrix(self.c)} = {matrix(self.a)} @ {matrix(self.b)}"
        return text if self.epilogue is None else f"{text}\nepilogue {self.epilogue}"


@dataclass(frozen=True)
class LibraryStep:
    """A primitive computed by its NumPy meaning, called from native code.

    Parameters
    ----------
    args : tuple of Place
    arg_types : tuple of ArrayType
    out : Place
    out_type : ArrayType
    node : int
        Position in the graph: primitive and parameters.
    """

    args: tuple[Place, ...]
    arg_types: tuple[ArrayType, ...]
    out: Place
    out_type: ArrayType
    node: int

    @property
    def reads(self) -> frozenset[int]:
        return frozenset(a.buffer for a in self.args)

    @property
    def writes(self) -> frozenset[int]:
        return frozenset((self.out.buffer,))

    def __str__(self) -> str:
        args = ", ".join(f"b{a.buffer} {t}" for a, t in zip(self.args, self.arg_types, strict=True))
        return f"library b{self.out.buffer} {self.out_type} of ({args})"


Step = Nest | ProductStep | LibraryStep


@dataclass(frozen=True)
class Program:
    """Steps in the order in which they run, and the buffers they read and write.

    Parameters
    ----------
    buffers : tuple of Buffer
    steps : tuple of Step
    graph : Graph
    constants : tuple of arrays
        Behind the buffers of role ``constant``.
    """

    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    graph: Graph = field(repr=False)
    constants: tuple[np.ndarray, ...] = field(repr=False, default=())

    def lifetimes(self) -> dict[int, tuple[int, int]]:
        """First and last step that touches each buffer."""
        found: dict[int, tuple[int, int]] = {}
        for k, step in enumerate(self.steps):
            for b in step.reads | step.writes:
                found[b] = (found.get(b, (k, k))[0], k)
        return found

    def key(self, *more: object) -> str:
        """Text that determines the native code, for the cache of object code; ``more``: on what else it depends."""
        names = [self.graph.nodes[s.node].primitive.name for s in self.steps]
        return repr((self.buffers, self.steps, names, more))

    def __str__(self) -> str:
        names = self.graph.node_names
        lines = []
        for k, b in enumerate(self.buffers):
            which = names[self.graph.inputs[b.number]] if b.role == "input" else b.number
            lines.append(f"b{k}: {b.dtype}[{b.size}] {b.role}" + ("" if b.role == "arena" else f" {which}"))
        for k, step in enumerate(self.steps):
            node = self.graph.nodes[step.node]
            lines.append(f"# step {k}: {names[step.node]} = {node.primitive.name}")
            lines.append(str(step))
        return "\n".join(lines)


def contiguous(place: Place, shape: Sequence[int]) -> bool:
    """Whether the elements of an array follow each other without gap in row-major order."""
    expected = 1
    for size, stride in reversed(list(zip(shape, place.strides, strict=True))):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def matrix_form(strides: Sequence[int], shape: Sequence[int]) -> tuple[bool, int] | None:
    """Whether a matrix is stored transposed, and how far its stored rows are apart; None: neither way."""
    (row, column), (rows, columns) = strides, shape
    if column == 1 or columns == 1:
        apart = row if rows > 1 else columns
        if apart >= columns:
            return False, apart
    if row == 1 or rows == 1:
        apart = column if columns > 1 else rows
        if apart >= rows:
            return True, apart
    return None

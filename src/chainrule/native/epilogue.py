"""Element-wise work on the result of a matrix product is done while the result is still in registers.

Program → Program: a nest that reads every element of a product just where it is, such as bias and activation, becomes
the product's epilogue. The product's own array is written only if somebody else reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chainrule.native.affine import Affine
from chainrule.native.inplace import conflict
from chainrule.native.nests import Body, Instruction, Nest, Result
from chainrule.native.steps import ProductStep, Program, Step

ROW, COLUMN = 0, 1
"""Axes of an epilogue."""

_LONGEST = 64  # instructions
_WINDOW = 24  # steps to look ahead


def fuse_epilogues(program: Program) -> Program:
    """Give every product the element-wise nests that can be done on its result in registers."""
    steps = list(program.steps)
    k = 0
    while k < len(steps):
        merged = _with_follower(program, steps, k)
        if merged is None:
            k += 1
        else:
            steps = merged
            k = max(k - 1, 0)
    return replace(program, steps=tuple(_tidied(s, program, steps) for s in steps))


def _with_follower(program: Program, steps: Sequence[Step], p: int) -> list[Step] | None:
    """The steps with a later nest taken into the product at p; None if there is no such nest."""
    product = steps[p]
    if not isinstance(product, ProductStep) or product.batch or product.sizes[1] == 1:
        return None
    for q in range(p + 1, min(p + 1 + _WINDOW, len(steps))):
        nest = steps[q]
        if not isinstance(nest, Nest) or not product.writes & nest.reads:
            continue
        between = steps[p + 1 : q]
        up = not any(conflict(nest, s) for s in between)
        if not up and any(conflict(product, s) for s in between):
            continue
        made = absorbed(product, nest)
        if made is None:
            continue
        if up:
            return [*steps[:p], made, *between, *steps[q + 1 :]]
        return [*steps[:p], *between, made, *steps[q + 1 :]]
    return None


def absorbed(product: ProductStep, nest: Nest) -> ProductStep | None:
    """The product with a nest as (part of) its epilogue; None if the nest is of another kind."""
    simple = not nest.local and all(r.kind == "store" and r.loops == nest.results[0].loops for r in nest.results)
    if not simple or nest.writes & product.writes or any(indirect for *_, indirect in nest.loads()):
        return None
    epilogue = product.epilogue or _plain(product)
    axes = _axes(epilogue, nest)
    if axes is None or len(epilogue.body) + len(nest.body) > _LONGEST:
        return None
    counters = {a: Affine.of(b) for a, b in axes.items()}
    written = {r.buffer: r for r in epilogue.results}
    body = Body()
    for i in epilogue.body:
        body.add(i.op, i.args, i.dtype, i.data)
    number: dict[int, int] = {}
    for k, i in enumerate(nest.body):
        data = i.data
        if i.op == "load":
            place = i.data[1].substitute(counters)
            if i.data[0] in written:
                result = written[i.data[0]]
                if place != result.place:
                    return None
                number[k] = result.value
                continue
            if place.stride(COLUMN) not in (0, 1):
                return None
            data = (i.data[0], place)
        elif i.op == "position":
            data = i.data.substitute(counters)
        number[k] = body.add(i.op, tuple(number[a] for a in i.args), i.dtype, data)
    results = list(epilogue.results)
    for r in nest.results:
        place = r.place.substitute(counters)
        if place.stride(COLUMN) != 1 and COLUMN in epilogue.extents:
            return None
        results.append(replace(r.with_values(number), place=place, loops=tuple(epilogue.extents)))
    made = replace(epilogue, body=tuple(body.instructions), results=tuple(results), node=nest.node)
    return replace(product, epilogue=made)


def _plain(product: ProductStep) -> Nest:
    """The epilogue that only stores the product."""
    m, n, _ = product.sizes
    extents = {axis: size for axis, size in ((ROW, m), (COLUMN, n)) if size > 1}
    place = Affine(product.c.offset)
    for axis, stride in zip((ROW, COLUMN), product.c.strides, strict=True):
        if axis in extents:
            place = place + Affine.of(axis, stride)
    value = Instruction("product", (), product.dtype, tuple(extents))
    result = Result("store", 0, product.c.buffer, place, tuple(extents))
    return Nest(extents, (value,), (result,), product.node, vector=frozenset({COLUMN} & set(extents)))


def _axes(epilogue: Nest, nest: Nest) -> dict[int, int] | None:
    """Axes of a nest -> rows and columns, so that it reads a result of the epilogue just where that is."""
    for r in epilogue.results:
        for b, place, _ in nest.loads():
            if b != r.buffer or place.offset != r.place.offset or len(place.terms) != len(r.place.terms):
                continue
            axes = {}
            for axis, stride in place.terms:
                match = [a for a, s in r.place.terms if s == stride and epilogue.extents[a] == nest.extents[axis]]
                if len(match) == 1:
                    axes[axis] = match[0]
            if set(axes) == set(nest.extents) and set(axes.values()) == set(epilogue.extents):
                return axes
    return None


def _tidied(step: Step, program: Program, steps: Sequence[Step]) -> Step:
    """Without results that nobody reads. The first result is the one the product itself stores."""
    if not isinstance(step, ProductStep) or step.epilogue is None:
        return step
    read = {b for s in steps for b in s.reads}
    results = [r for r in step.epilogue.results if program.buffers[_of(r)].role != "arena" or r.buffer in read]
    first = next((r for r in results if _fits(r, step, program)), None)
    if first is None:  # partial sums need the product's own array
        first = step.epilogue.results[0]
    ordered = (first, *(r for r in results if r is not first))
    strides = (first.place.stride(ROW) or step.c.strides[0], 1)
    c = replace(step.c, buffer=_of(first), offset=first.place.offset, strides=strides)
    return replace(step, c=c, epilogue=replace(step.epilogue, results=ordered))


def _of(r: Result) -> int:
    assert r.buffer is not None
    return r.buffer


def _fits(r: Result, step: ProductStep, program: Program) -> bool:
    """Whether a result can take the place of the product's own array."""
    columns = step.sizes[1]
    apart = r.place.stride(ROW)
    return program.buffers[_of(r)].dtype == step.dtype and (apart >= columns or not apart)

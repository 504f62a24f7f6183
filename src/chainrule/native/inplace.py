"""Outputs computed in the memory of inputs: parameters and optimiser state are updated where they are.

An output may overwrite an input if everything else that reads the input has run before, or reads just the element it
is about to overwrite. Steps that write such an output are moved behind the input's readers where nothing forbids it.
Where no order will do, the output gets memory of its own and is copied over the input at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chainrule.native.affine import Affine
from chainrule.native.nests import Buffer, Instruction, Nest, Result
from chainrule.native.steps import ProductStep, Program, Step


def in_place(program: Program, pairs: Mapping[int, int]) -> Program:
    """Let outputs overwrite inputs.

    Parameters
    ----------
    program : Program
    pairs : mapping of int to int
        Number of an output -> number of the input, of the same type, that it replaces.

    Returns
    -------
    Program
        Without these outputs: running it changes the inputs.
    """
    for output, target in pairs.items():
        o = _find(program, "output", output)
        i = _find(program, "input", target)
        steps = _reordered(program.steps, o, i)
        buffers = list(program.buffers)
        if steps is not None:
            moved = (renumbered(s, {o: i}) for s in steps)
            buffers[o] = replace(buffers[o], role="arena", number=0, size=0)
            program = replace(program, buffers=tuple(buffers), steps=tuple(s for s in moved if not _idle(s)))
            continue
        buffers[o] = replace(buffers[o], role="arena", number=0)
        copy = copy_nest(buffers[o], o, i, program.graph.outputs[output])
        program = replace(program, buffers=tuple(buffers), steps=(*program.steps, *copy))
    return program


def renumbered(step: Any, buffers: Mapping[int, int]) -> Any:
    """A step, of whatever kind, with other buffers in the place of some."""

    def of(b: int) -> int:
        return buffers.get(b, b)

    if isinstance(step, Nest):
        return step.renumbered({b: of(b) for b in step.reads | step.writes})
    if isinstance(step, ProductStep):
        return replace(
            step,
            a=replace(step.a, buffer=of(step.a.buffer)),
            b=replace(step.b, buffer=of(step.b.buffer)),
            c=replace(step.c, buffer=of(step.c.buffer)),
            epilogue=None if step.epilogue is None else renumbered(step.epilogue, buffers),
        )
    args = tuple(replace(a, buffer=of(a.buffer)) for a in step.args)
    return replace(step, args=args, out=replace(step.out, buffer=of(step.out.buffer)))


def copy_nest(buffer: Buffer, source: int, target: int, node: int) -> tuple[Nest, ...]:
    """The step that copies a whole buffer; none if it is empty."""
    if not buffer.size:
        return ()
    extents = {0: buffer.size} if buffer.size > 1 else {}
    place = Affine.of(0) if extents else Affine()
    body = (Instruction("load", (), buffer.dtype, (source, place)),)
    return (Nest(extents, body, (Result("store", 0, target, place, tuple(extents)),), node),)


def _find(program: Program, role: str, number: int) -> int:
    return next(k for k, b in enumerate(program.buffers) if b.role == role and b.number == number)


def _reordered(steps: Sequence[Step], o: int, i: int) -> list[Step] | None:
    """The steps in an order in which those that write ``o`` may write over ``i``; None if there is none."""
    order = list(steps)
    for writer in [s for s in order if o in s.writes]:
        last = max((k for k, s in enumerate(order) if i in s.reads and o not in s.writes), default=-1)
        at = next(k for k, s in enumerate(order) if s is writer)
        if at < last:
            if any(conflict(writer, s) for s in order[at + 1 : last + 1]):
                return None
            order.insert(last, order.pop(at))
    writers = [s for s in order if o in s.writes]
    first = next((k for k, s in enumerate(order) if o in s.writes), len(order))
    late = [s for s in order[first:] if i in s.reads]
    if any(s not in writers or not _reads_what_it_writes(s, o, i) for s in late):
        return None
    return None if any(i in s.writes for s in order) else order


def conflict(first: Step, second: Step) -> bool:
    """Whether two steps cannot change places."""
    return bool(first.writes & second.reads or first.reads & second.writes or first.writes & second.writes)


def _reads_what_it_writes(step: Step, o: int, i: int) -> bool:
    """Whether every element of ``i`` is read only to compute the element of ``o`` at the same place."""
    if isinstance(step, ProductStep):
        inside = step.epilogue
        return inside is not None and i not in (step.a.buffer, step.b.buffer) and _reads_what_it_writes(inside, o, i)
    if not isinstance(step, Nest):
        return False
    writes = [r for r in step.results if r.buffer == o]
    if len(writes) != 1 or writes[0].kind != "store":
        return False
    return all(not indirect and place == writes[0].place for b, place, indirect in step.loads() if b == i)


def _idle(step: Step) -> bool:
    """Whether a step copies memory onto itself."""
    if not isinstance(step, Nest) or len(step.results) != 1 or step.results[0].kind != "store":
        return False
    result = step.results[0]
    value = step.body[result.value]
    return value.op == "load" and value.data == (result.buffer, result.place)

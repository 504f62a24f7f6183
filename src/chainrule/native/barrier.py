"""What the members of a team run: each its share of a loop, and a barrier at which they wait for each other."""

from __future__ import annotations

from llvmlite import ir

from chainrule.native import code
from chainrule.native.runtime import Unit
from chainrule.native.target import Target

_SPINS = 500  # some 20 µs; then let somebody else have the core


def share(
    builder: ir.IRBuilder, total: int, step: int, member: ir.Value, members: ir.Value
) -> tuple[ir.Value, ir.Value]:
    """Emit a member's part [low, high) of ``range(total)``: nearly equal parts, cut at multiples of ``step``.

    Parameters
    ----------
    member, members : ir.Value
        64-bit: 0 ≤ member < members.
    """
    pieces = -(-total // step)

    def cut(number: ir.Value) -> ir.Value:
        piece = builder.udiv(builder.mul(number, code.index(pieces)), members)
        return code.minimum(builder, code.multiply(builder, piece, step), total)

    return cut(member), cut(builder.add(member, code.index(1)))


def emit_barrier(builder: ir.IRBuilder, barrier: ir.Value, members: ir.Value) -> None:
    """Emit a call that returns once all members have made it. Stores before it are seen by all after it.

    The program must be linked with :func:`barrier_unit`. The last to arrive opens the next round, for which the others
    wait: busily at first, then giving up their core.

    Parameters
    ----------
    barrier : ir.Value
        Pointer to `threads.BARRIER_BYTES` bytes.
    members : ir.Value
        64-bit number of members.
    """
    code.intrinsic(builder, _BARRIER, ir.VoidType(), barrier, members)


_BARRIER = "chainrule.barrier"

_BARRIER_CODE = """
declare {yield_type} @{yield_name}()
declare void @{pause_name}({pause_type})

define void @{name}(ptr %arrived, i64 %members) {{
entry:
  %round = getelementptr i8, ptr %arrived, i64 64
  %now = load atomic i32, ptr %round acquire, align 4
  %before = atomicrmw add ptr %arrived, i32 1 acq_rel
  %count = trunc i64 %members to i32
  %mine = add i32 %before, 1
  %complete = icmp eq i32 %mine, %count
  br i1 %complete, label %last, label %wait
last:
  store atomic i32 0, ptr %arrived monotonic, align 4
  %next = add i32 %now, 1
  store atomic i32 %next, ptr %round release, align 4
  ret void
wait:
  %spins = phi i32 [ {spins}, %entry ], [ %fewer, %spin ], [ 0, %give ]
  %seen = load atomic i32, ptr %round acquire, align 4
  %open = icmp ne i32 %seen, %now
  br i1 %open, label %done, label %closed
closed:
  %patient = icmp ugt i32 %spins, 0
  br i1 %patient, label %spin, label %give
spin:
  call void @{pause_name}({pause})
  %fewer = sub i32 %spins, 1
  br label %wait
give:
  call {yield_type} @{yield_name}()
  br label %wait
done:
  ret void
}}
"""


def emit_wait_for_zero(builder: ir.IRBuilder, counter: ir.Value, patience: ir.Value, target: Target) -> None:
    """Emit busy waiting until a 64-bit counter is 0, for so many looks at most; stores before that are seen then."""
    function = builder.function
    look, closed, spin, done = (function.append_basic_block(name) for name in ("look", "closed", "spin", "done"))
    before = builder.block
    builder.branch(look)
    builder.position_at_end(look)
    left = builder.phi(code.INDEX)
    left.add_incoming(patience, before)
    seen = builder.load_atomic(counter, "acquire", 8, typ=code.INDEX)
    builder.cbranch(builder.icmp_signed("==", seen, code.index(0)), done, closed)
    builder.position_at_end(closed)
    builder.cbranch(builder.icmp_signed(">", left, code.index(0)), spin, done)
    builder.position_at_end(spin)
    name, given = _pause(target)
    code.intrinsic(builder, name, ir.VoidType(), *(ir.Constant(ir.IntType(32), k) for k in given))
    left.add_incoming(builder.sub(left, code.index(1)), spin)
    builder.branch(look)
    builder.position_at_end(done)


def _pause(target: Target) -> tuple[str, tuple[int, ...]]:
    """The intrinsic that tells a processor that it is waiting, and its arguments."""
    if target.triple.startswith(("aarch64", "arm64")):
        return "llvm.aarch64.hint", (1,)
    return "llvm.x86.sse2.pause", ()


def barrier_unit(target: Target) -> Unit:
    """The barrier's own code, to be linked with a program that uses :func:`emit_barrier`."""
    windows = "windows" in target.triple
    pause, given = _pause(target)
    text = _BARRIER_CODE.format(
        name=_BARRIER,
        spins=_SPINS,
        pause_name=pause,
        pause_type=", ".join("i32" for _ in given),
        pause=", ".join(f"i32 {k}" for k in given),
        yield_name="SwitchToThread" if windows else "sched_yield",
        yield_type="i32",
    )
    return Unit(lambda: text, level=0, name="barrier")

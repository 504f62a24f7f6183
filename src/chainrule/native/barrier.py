"""What the members of a team run: each its share of a loop, and a barrier at which they wait for each other."""

from __future__ import annotations

from llvmlite import ir

from chainrule.native import code
from chainrule.native.runtime import Unit
from chainrule.native.target import Target

# Some 200 µs: members wait for each other a few µs at a time. Who yields its core sooner gives it, on a busy machine,
# to another process for some ms; who sleeps is woken at once when its turn comes, whatever else runs.
_SPINS = 5000


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
    wait: busily at first, then asleep, where the system can wake them (Linux), or yielding their core.

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
{declarations}
declare void @{pause_name}({pause_type})

define void @{name}(ptr %arrived, i64 %members) {{
entry:
  %asleep = getelementptr i8, ptr %arrived, i64 4
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
  store atomic i32 %next, ptr %round seq_cst, align 4
  {wake}
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
  {give}
  br label %wait
done:
  ret void
}}
"""

# futex(2): sleep while the round is still this one; who opens the next round looks for sleepers after that, and who
# falls asleep says so before the system looks at the round, so that nobody sleeps on (Drepper 2011, Futexes are tricky)
_SLEEP = """%sleepers = atomicrmw add ptr %asleep, i32 1 seq_cst
  %expected = zext i32 %now to i64
  call i64 (i64, ...) @syscall(i64 {futex}, ptr %round, i64 128, i64 %expected, ptr null)
  %woken = atomicrmw sub ptr %asleep, i32 1 seq_cst"""
_WAKE = """%waiting = load atomic i32, ptr %asleep seq_cst, align 4
  %nobody = icmp eq i32 %waiting, 0
  br i1 %nobody, label %done, label %wake
wake:
  call i64 (i64, ...) @syscall(i64 {futex}, ptr %round, i64 129, i64 2147483647)
  ret void"""
_FUTEX = {"x86_64": 202, "aarch64": 98}  # its number among Linux's system calls


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
    pause, given = _pause(target)
    futex = _FUTEX.get(target.triple.partition("-")[0]) if "linux" in target.triple else None
    if futex is not None:
        declarations, give, wake = "declare i64 @syscall(i64, ...)", _SLEEP, _WAKE
    else:
        name = "SwitchToThread" if "windows" in target.triple else "sched_yield"
        declarations, give, wake = f"declare i32 @{name}()", f"call i32 @{name}()", "ret void"
    text = _BARRIER_CODE.format(
        name=_BARRIER,
        spins=_SPINS,
        pause_name=pause,
        pause_type=", ".join("i32" for _ in given),
        pause=", ".join(f"i32 {k}" for k in given),
        declarations=declarations,
        give=give.format(futex=futex),
        wake=wake.format(futex=futex),
    )
    return Unit(lambda: text, level=0, name="barrier")

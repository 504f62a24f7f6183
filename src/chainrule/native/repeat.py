"""Several epochs in one native call, so that a small network's thread need not ask for the interpreter in between."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache as memoize

from chainrule.native.cache import shared_cache
from chainrule.native.runtime import Unit, compile_units

REPEAT = "repeat"

# Calls `epoch` as a team of one, so many times. Before each call but the first, `count` addresses of the table move on:
# every three numbers of `moves` are a place in the table, the bytes by which its address moves, and how many bytes are
# copied from the old place to the new one.
_CODE = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i32 @repeat(i64 %times, ptr %epoch, ptr %table, ptr %arena, i64 %batches, ptr %barrier, i64 %count, ptr %moves) {
entry:
  br label %run
run:
  %time = phi i64 [ 0, %entry ], [ %next_time, %moved ]
  %status = call i32 %epoch(i64 0, i64 1, ptr %table, ptr %arena, i64 %batches, ptr %barrier)
  %next_time = add i64 %time, 1
  %last = icmp sge i64 %next_time, %times
  %failed = icmp ne i32 %status, 0
  %over = or i1 %last, %failed
  br i1 %over, label %end, label %move
move:
  %k = phi i64 [ 0, %run ], [ %next_k, %move ]
  %first = mul i64 %k, 3
  %place_at = getelementptr i64, ptr %moves, i64 %first
  %step_at = getelementptr i64, ptr %place_at, i64 1
  %copied_at = getelementptr i64, ptr %place_at, i64 2
  %place = load i64, ptr %place_at
  %step = load i64, ptr %step_at
  %copied = load i64, ptr %copied_at
  %slot = getelementptr ptr, ptr %table, i64 %place
  %old = load ptr, ptr %slot
  %new = getelementptr i8, ptr %old, i64 %step
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %old, i64 %copied, i1 false)
  store ptr %new, ptr %slot
  %next_k = add i64 %k, 1
  %more = icmp slt i64 %next_k, %count
  br i1 %more, label %move, label %moved
moved:
  br label %run
end:
  ret i32 %status
}
"""


@memoize
def repeater() -> Callable[..., int]:
    """``repeat(times, epoch, table, arena, batches, barrier, count, moves)``, made once per process.

    Parameters are numbers and addresses, see the comment above; ``times`` and ``count`` are at least 1.
    """
    executable = compile_units(Unit(lambda: _CODE, key=REPEAT, level=0, name=REPEAT), [REPEAT], cache=shared_cache())
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    return executable.function(
        REPEAT, ctypes.c_int32, number, pointer, pointer, pointer, number, pointer, number, pointer
    )

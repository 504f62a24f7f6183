"""Teams: the barrier keeps members in step, shares cover the work, bits do not depend on the team."""

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from llvmlite import ir

from chainrule.native import code
from chainrule.native.barrier import barrier_unit, emit_barrier, share
from chainrule.native.products import Product, emit_product, plan_product
from chainrule.native.runtime import Executable, Unit, compile_units, emit_object
from chainrule.native.target import Target
from chainrule.native.threads import (
    available_cores,
    barrier_address,
    barrier_memory,
    offer,
    run_team,
    team_size,
)

TEAMS = (1, 2, 3, 4)
POINTER, NUMBER = ctypes.c_void_p, ctypes.c_int64


def compile_function(module: ir.Module) -> Executable:
    return compile_units([Unit(lambda: module), barrier_unit(Target.host())], ["work"])


def relay() -> Executable:
    """``work(member, members, barrier, numbers, rounds)``: in each round a member writes 1 + its neighbour's number."""
    module = ir.Module("relay")
    types = [code.INDEX, code.INDEX, code.POINTER, code.POINTER, code.INDEX]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "work")
    member, members, barrier, numbers, rounds = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    with code.loop(builder, 0, rounds):
        neighbour = builder.urem(builder.add(member, code.index(1)), members)
        seen = code.load(builder, code.address(builder, numbers, neighbour, code.INDEX), code.INDEX, 8)
        emit_barrier(builder, barrier, members)
        mine = code.address(builder, numbers, member, code.INDEX)
        code.store(builder, builder.add(seen, code.index(1)), mine, 8)
        emit_barrier(builder, barrier, members)
    builder.ret_void()
    return compile_function(module)


@pytest.mark.parametrize("members", TEAMS)
def test_barrier_keeps_members_in_step(members: int) -> None:
    work = relay().function("work", None, NUMBER, NUMBER, POINTER, POINTER, NUMBER)
    memory, numbers, rounds = barrier_memory(), np.zeros(members, np.int64), 500
    run_team(work, members, (barrier_address(memory), numbers.ctypes.data, rounds))
    assert numbers.tolist() == [rounds] * members


def test_many_teams_side_by_side() -> None:
    work = relay().function("work", None, NUMBER, NUMBER, POINTER, POINTER, NUMBER)
    results = []

    def fit() -> None:
        memory, numbers = barrier_memory(), np.zeros(2, np.int64)
        run_team(work, 2, (barrier_address(memory), numbers.ctypes.data, 50))
        results.append(numbers.tolist())

    threads = [threading.Thread(target=fit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[50, 50]] * 8


@pytest.mark.parametrize(("total", "step"), [(0, 4), (1, 4), (16, 4), (17, 4), (100, 7), (3, 1)])
def test_shares_cover_the_range_without_overlap(total: int, step: int) -> None:
    module = ir.Module("share")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [code.INDEX, code.INDEX, code.POINTER]), "work")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    low, high = share(builder, total, step, function.args[0], function.args[1])
    code.store(builder, low, function.args[2], 8)
    code.store(builder, high, code.address(builder, function.args[2], 1, code.INDEX), 8)
    builder.ret_void()
    work = compile_function(module).function("work", None, NUMBER, NUMBER, POINTER)
    for members in TEAMS:
        cuts = []
        for member in range(members):
            out = np.zeros(2, np.int64)
            work(member, members, out.ctypes.data)
            cuts.append(out.tolist())
        assert cuts[0][0] == 0
        assert cuts[-1][1] == total
        assert all(before[1] == after[0] for before, after in itertools.pairwise(cuts))
        assert all(low % step == 0 for low, _ in cuts if low < total)
        assert max(high - low for low, high in cuts) <= -(-total // (members * step)) * step


def test_product_shared_by_columns_has_the_same_bits_for_any_team() -> None:
    """Two halves of the columns, each whole by one member: what a compiled step does with a large layer."""
    whole, half = Product(40, 64, 30), plan_product(Product(40, 32, 30, ldb=64, ldc=64))
    module = ir.Module("columns")
    types = [code.INDEX, code.INDEX, code.POINTER, code.POINTER, code.POINTER]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "work")
    member, members, a, b, c = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    low, high = share(builder, 2, 1, member, members)
    with code.loop(builder, low, high) as part:
        offset = code.multiply(builder, part, 32)
        element = code.element_type("float32")
        emit_product(
            builder, half, a, code.address(builder, b, offset, element), code.address(builder, c, offset, element)
        )
    builder.ret_void()
    work = compile_function(module).function("work", None, NUMBER, NUMBER, POINTER, POINTER, POINTER)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 30)).astype(np.float32), rng.normal(size=(30, 64)).astype(np.float32)
    results = []
    for members in TEAMS:
        z = np.zeros((whole.m, whole.n), np.float32)
        run_team(work, members, (x.ctypes.data, y.ctypes.data, z.ctypes.data))
        results.append(z)
    np.testing.assert_allclose(results[0], x @ y, atol=1e-4)
    assert all(np.array_equal(result, results[0]) for result in results)


@pytest.mark.parametrize("failing", [0, 2])
def test_error_of_a_member_is_raised_and_all_are_joined(failing: int) -> None:
    def work(member: int, members: int) -> None:
        if member == failing:
            raise ValueError("stop")

    before = threading.active_count()
    with pytest.raises(ValueError, match="stop"):
        run_team(work, 3, ())
    assert threading.active_count() == before


def test_nobody_starts_if_a_thread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.endswith("2"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        run_team(lambda *arguments: called.append(arguments), 3, ())
    assert called == []


INTERRUPTED = """
import os, signal, sys
import numpy as np
from test_threads import NUMBER, POINTER, barrier_address, barrier_memory, relay, run_team

work = relay().function("work", None, NUMBER, NUMBER, POINTER, POINTER, NUMBER)
cores = os.sched_getaffinity(0) if sys.platform == "linux" else None
rng, interrupts, wrong = np.random.default_rng(0), 0, []
came = False

def interrupt(*_):
    global came
    came = True
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for _ in range(300):
    came = False
    memory, numbers, rounds = barrier_memory(), np.zeros(2, np.int64), 20
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 4e-4))
        run_team(work, 2, (barrier_address(memory), numbers.ctypes.data, rounds), keep=(memory, numbers))
        while not came:
            pass
    except (KeyboardInterrupt, RuntimeError):  # the latter: within Python's own Thread.start
        interrupts += 1
    if numbers.tolist() not in ([0, 0], [rounds, rounds]):  # nobody began, or all have ended
        wrong.append(numbers.tolist())
print(interrupts > 200, wrong, cores is None or os.sched_getaffinity(0) == cores)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="interrupts come by a timer of POSIX")
def test_interrupts_keep_no_member_away() -> None:
    """Got through: an interrupt before the caller's own part left the others waiting for it in freed memory."""
    # in a process of its own: an interrupt may fall into Python's weak sets, which tell pytest of it
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout == "True [] True\n", done.stdout + done.stderr


def test_small_work_gets_one_member_and_large_work_all() -> None:
    assert team_size(1e-6) == 1
    assert team_size(1.0) == available_cores() >= 1
    assert team_size(1.0, most=3) == 3
    assert team_size(50e-6, most=8) == 2


def test_barrier_is_emitted_for_other_machines() -> None:
    for name in ("aarch64", "x86-64"):
        target = Target.restricted(name)
        assert emit_object(barrier_unit(target).build(), target)


@pytest.mark.parametrize(
    ("triple", "waits"),
    [
        ("x86_64-unknown-linux-gnu", "@syscall(i64 202, ptr %round, i64 128"),
        ("aarch64-unknown-linux-gnu", "@syscall(i64 98, ptr %round, i64 128"),
        ("arm64-apple-darwin24", "@sched_yield()"),
        ("x86_64-pc-windows-msvc", "@SwitchToThread()"),
    ],
)
def test_barrier_waits_as_the_system_can(triple: str, waits: str) -> None:
    text = str(barrier_unit(replace(Target.restricted("x86-64"), triple=triple)).build())
    assert waits in text
    assert ("i64 129, i64 2147483647" in text) == ("linux" in triple)  # whoever sleeps is woken


@pytest.mark.skipif(sys.platform != "linux", reason="cores are Linux's")
def test_members_stay_off_the_callers_core() -> None:
    before, seen = os.sched_getaffinity(0), {}
    most = len(before) + 1
    run_team(lambda member, members: seen.setdefault(member, os.sched_getaffinity(0)), most, ())
    assert os.sched_getaffinity(0) == before == seen[0]
    for member in range(1, most):
        assert seen[member] <= before
        assert len(seen[member]) == max(1, len(before) - 1)


@pytest.mark.skipif(sys.platform != "linux" or available_cores() < 2, reason="threads are moved between cores on Linux")
@pytest.mark.parametrize("fails", [False, True])
def test_the_caller_stays_where_its_team_has_all_other_cores(fails: bool) -> None:
    before = os.sched_getaffinity(0)
    seen: dict[int, set[int]] = {}

    def work(number: int, members: int) -> None:
        seen[number] = os.sched_getaffinity(0)
        if fails:
            raise ValueError("a member")

    for members in (len(before), len(before) - 1):
        if members < 2:
            continue
        with pytest.raises(ValueError, match="a member") if fails else nullcontext():
            run_team(work, members, ())
        assert (len(seen[0]) == 1) is (members == len(before))
        assert os.sched_getaffinity(0) == before
        assert all(not seen[0] & seen[number] for number in range(1, members) if len(seen[0]) == 1)


def test_barrier_with_sleepers(monkeypatch: pytest.MonkeyPatch) -> None:
    """More members than cores, and no patience: all but one sleep, and all are woken, every time."""
    monkeypatch.setattr("chainrule.native.barrier._SPINS", 1)
    work = relay().function("work", None, NUMBER, NUMBER, POINTER, POINTER, NUMBER)
    memory, numbers, rounds = barrier_memory(), np.zeros(7, np.int64), 2000
    run_team(work, 7, (barrier_address(memory), numbers.ctypes.data, rounds))
    assert numbers.tolist() == [rounds] * 7


def test_helpers_come_when_they_can_and_work_does_not_pile_up() -> None:
    started, go, seen = threading.Event(), threading.Event(), []

    def blocking(number: int) -> None:
        started.set()
        go.wait(10)

    for _ in range(available_cores() - 1 or 1):  # all helpers are busy
        started.clear()
        offer(blocking, 1)
        assert started.wait(10)
    for k in range(100):
        offer(lambda number, k=k: seen.append((k, number)), 2)
    go.set()
    last = threading.Event()
    while not last.is_set():
        offer(lambda number: last.set(), 1)
        last.wait(0.01)
    assert seen[:2] == [(0, 1), (0, 2)]
    assert len(seen) == 2

"""Compile, load, call, free: values, errors, lifetime, threads, forks, interpreter exit."""

import ctypes
import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chainrule.errors import CompileError
from chainrule.native.cache import ObjectCache
from chainrule.native.runtime import Executable, Unit, compile_units, emit_object, optimised_ir, unavailable
from chainrule.native.target import Target

DOUBLE = ctypes.c_double


def affine(slope: float, name: str = "f") -> str:
    return f"""
        define double @{name}(double %x) {{
          %y = fmul double %x, {slope}
          %z = fadd double %y, 1.0
          ret double %z
        }}"""


def load(text: str, *exports: str, **options: object) -> Executable:
    return compile_units(Unit(lambda: text), exports or ("f",), **options)  # type: ignore[arg-type]


def call(executable: Executable, x: float, name: str = "f") -> float:
    return executable.function(name, DOUBLE, DOUBLE)(x)


def test_native_code_is_available_here() -> None:
    assert unavailable() is None


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["host", "x86-64", "x86-64-v3"])
def test_value(level: int, name: str) -> None:
    target = Target.host() if name == "host" else Target.restricted(name)
    if not target.runs_here:
        pytest.skip(f"{name} cannot run here")
    executable = compile_units(Unit(lambda: affine(3.0), level=level), ["f"], target=target)
    assert call(executable, 2.0) == 7.0


@pytest.mark.parametrize("release_lock", [True, False])
def test_function_keeps_its_executable_alive(release_lock: bool) -> None:
    executable = load(affine(3.0))
    function = executable.function("f", DOUBLE, DOUBLE, release_lock=release_lock)
    alive = weakref.ref(executable)
    del executable
    gc.collect()
    assert alive() is not None
    assert function(2.0) == 7.0
    del function
    assert alive() is None


def test_units_call_each_other_and_external_symbols_and_the_c_library() -> None:
    callback = ctypes.CFUNCTYPE(DOUBLE, DOUBLE)(lambda x: x + 0.5)
    caller = """
        declare double @g(double)
        declare double @outside(double)
        declare double @cbrt(double)
        define double @f(double %x) {
          %a = call double @g(double %x)
          %b = call double @cbrt(double %a)
          %c = call double @outside(double %b)
          ret double %c
        }"""
    executable = compile_units(
        [Unit(lambda: caller), Unit(lambda: affine(7.0, "g"))],
        ["f", "g"],
        symbols={"outside": ctypes.cast(callback, ctypes.c_void_p).value or 0},
    )
    assert call(executable, 1.0) == 2.5
    assert call(executable, 1.0, "g") == 8.0


def test_constants_in_memory_are_found_in_small_code_model() -> None:
    text = """
        @table = private constant [3 x double] [double 2.0, double 3.0, double 5.0]
        define double @f(double %x) {
          %i = fptosi double %x to i64
          %p = getelementptr double, ptr @table, i64 %i
          %v = load double, ptr %p
          ret double %v
        }"""
    assert [call(load(text), x) for x in (0.0, 1.0, 2.0)] == [2.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("text", "exports", "words"),
    [
        ("define double @f(double %x) { ret float 1.0 }", ["f"], "invalid LLVM code"),
        ("define double @f(double %x) { %y = fadd double %y, %x\n ret double %y }", ["f"], "invalid LLVM code"),
        (affine(1.0), ["absent"], "absent"),
        (
            "declare void @nobody_defines_this()\ndefine void @f() { call void @nobody_defines_this()\n ret void }",
            ["f"],
            "symbol missing",
        ),
    ],
)
def test_errors_are_one_line(text: str, exports: list[str], words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CompileError, match=words) as caught:
        load(text, *exports)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_unknown_function_and_foreign_target_are_refused() -> None:
    with pytest.raises(CompileError, match="'g'"):
        load(affine(1.0)).address("g")
    foreign = "aarch64" if Target.host().triple.startswith("x86_64") else "x86-64"
    with pytest.raises(CompileError, match="cannot run"):
        load(affine(1.0), target=Target.restricted(foreign))
    assert emit_object(affine(1.0), Target.restricted(foreign)).startswith(b"\x7fELF")


def test_optimisation_folds_but_never_reassociates() -> None:
    text = "define double @f(double %x) { %a = fadd double %x, 1.0e16\n %b = fadd double %a, -1.0e16\n ret double %b }"
    assert optimised_ir(text, Target.host()).count("fadd") == 2
    assert call(load(text), 1.0) == 0.0


def test_report_names_stages_and_origin(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "cache")
    unit = Unit(lambda: affine(2.0), name="line")
    first = compile_units(unit, ["f"], cache=cache)
    second = compile_units(unit, ["f"], cache=cache)
    assert not first.reports[0].from_cache
    assert second.reports[0].from_cache
    assert "line: compiled" in str(first.reports[0])
    assert "line: from cache" in str(second.reports[0])
    assert call(first, 3.0) == call(second, 3.0) == 7.0


def test_key_spares_building(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path / "cache")
    built = []

    def build() -> str:
        built.append(1)
        return affine(2.0)

    for _ in range(3):
        assert call(compile_units(Unit(build, key="a"), ["f"], cache=cache), 3.0) == 7.0
    assert len(built) == 1
    compile_units(Unit(build, key="b"), ["f"], cache=cache)
    compile_units(Unit(build, key="a", level=1), ["f"], cache=cache)
    assert len(built) == 3
    if Target.restricted("x86-64").runs_here:
        compile_units(Unit(build, key="a"), ["f"], cache=cache, target=Target.restricted("x86-64"))
        assert len(built) == 4


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_is_given_back() -> None:
    def churn(start: int) -> None:
        for i in range(60):
            assert call(load(affine(float(start + i))), 1.0) == start + i + 1.0

    churn(0)
    before = resident_bytes()
    churn(1000)
    churn(2000)
    assert resident_bytes() - before < 4 * 2**20


def test_threads_compile_call_and_free_side_by_side() -> None:
    def work(seed: int) -> list[float]:
        values = []
        for i in range(8):
            slope = float(seed * 100 + i)
            function = load(affine(slope)).function("f", DOUBLE, DOUBLE)
            values.append(sum(function(float(x)) for x in range(50)))
        return values

    serial = [work(seed) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == serial


def test_reference_cycles_freed_by_the_collector_in_other_threads() -> None:
    class Node:
        pass

    stop = threading.Event()

    def collect() -> None:
        while not stop.is_set():
            gc.collect()
            time.sleep(0.001)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for i in range(30):
            node = Node()
            node.me, node.function = node, load(affine(float(i))).function("f", DOUBLE, DOUBLE)  # type: ignore[attr-defined]
            assert node.function(1.0) == i + 1.0  # type: ignore[attr-defined]
    finally:
        stop.set()
        collector.join()


def _child(function: object, queue: object) -> None:
    inherited = function(2.0)  # type: ignore[operator]
    fresh = call(load(affine(5.0)), 2.0)
    queue.put((inherited, fresh))  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_while_another_thread_compiles() -> None:
    context = multiprocessing.get_context("fork")
    function = load(affine(3.0)).function("f", DOUBLE, DOUBLE)
    stop = threading.Event()

    def compile_forever() -> None:
        i = 0
        while not stop.is_set():
            load(affine(float(i := i + 1)))

    compiler = threading.Thread(target=compile_forever)
    compiler.start()
    try:
        for _ in range(5):
            queue = context.SimpleQueue()
            child = context.Process(target=_child, args=(function, queue))
            child.start()
            child.join(30)
            assert child.exitcode == 0, "the child hung or crashed"
            assert queue.get() == (7.0, 11.0)
    finally:
        stop.set()
        compiler.join()
    assert function(2.0) == 7.0


@pytest.mark.parametrize("daemon_threads", [0, 4])
def test_interpreter_exit_with_live_executables(daemon_threads: int) -> None:
    program = f"""
import ctypes, threading
from chainrule.native.runtime import Unit, compile_units
text = {affine(3.0)!r}
def work():
    while True:
        compile_units(Unit(lambda: text), ["f"]).function("f", ctypes.c_double, ctypes.c_double)(1.0)
kept = compile_units(Unit(lambda: text), ["f"])
function = kept.function("f", ctypes.c_double, ctypes.c_double)
cycle = [function]; cycle.append(cycle)
for _ in range({daemon_threads}):
    threading.Thread(target=work, daemon=True).start()
print(function(2.0))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7.0\n", "")

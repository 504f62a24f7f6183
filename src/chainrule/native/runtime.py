"""From LLVM modules to functions that ctypes can call: optimise, make object code, keep it on disk, load, free.

A program is one or more :class:`Unit`. Each is optimised and turned into object code by itself and has its own entry in
the object cache, so that kernels which several programs share are compiled once. The :class:`Executable` made from them
owns an LLVM engine of its own; a function obtained from it keeps it alive, and its memory is freed when the last
reference goes. There is no other way to free it, hence no function can outlive its code.

LLVM is process-wide and its Python binding serialises calls to it with one lock. A fork while another thread holds that
lock would leave the child waiting forever; so every use of LLVM in this package holds `chainrule.native.forks.LLVM`,
and a fork waits until nobody does. Functions already loaded need no lock: they run side by side, also in children.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache as memoize
from typing import TYPE_CHECKING, Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding.newpassmanagers import NewPassManager

from chainrule.errors import CompileError
from chainrule.native.cache import ObjectCache, digest, source_digest
from chainrule.native.forks import LLVM
from chainrule.native.target import Target

if TYPE_CHECKING:
    from llvmlite import ir

_orphans: deque[tuple[Any, Any]] = deque()  # engines whose executables are gone, waiting for the lock to be free

_FORMAT = "1"  # counts changes to how object code is made here; part of every cache key
_LIBRARY = "program"


@dataclass(frozen=True)
class Unit:
    """A piece of a program, compiled and cached by itself.

    Parameters
    ----------
    build : callable
        Makes the code: a ``llvmlite.ir.Module`` or LLVM's text. Called only if the cache does not know ``key``.
    key : str, optional
        Text that determines what ``build`` makes, together with the source of ``chainrule.native`` (which is always
        part of the cache's key). Without it the code itself is the key, and must be built to be looked up.
    level : int
        0 to 3: how much LLVM's middle end works on the code. Explicitly tiled kernels gain nothing from it (0);
        element-wise loops with shared sub-expressions do (3). Vectorisers are off: vectors are explicit. Never
        fast-math, so the level changes no bit of the result.
    name : str
        Shown in reports and errors.
    """

    build: Callable[[], ir.Module | str]
    key: str | None = None
    level: int = 3
    name: str = "unit"


@dataclass
class UnitReport:
    """How a unit became object code: seconds per stage (0 where it was not needed), bytes, and whence it came."""

    name: str
    from_cache: bool = False
    key: str = field(default="", repr=False)
    object_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {1e3 * seconds:.1f} ms" for stage, seconds in self.seconds.items())
        origin = "from cache" if self.from_cache else "compiled"
        return f"{self.name}: {origin}, {self.object_bytes} bytes; {stages}"


class Executable:
    """Loaded native code. Make one with :func:`compile_units`.

    Attributes
    ----------
    reports : list of UnitReport
        What happened to each unit, and how long it took.
    load_seconds : float
        Time to link and load all units.
    """

    def __init__(self, objects: Sequence[bytes], exports: Iterable[str], symbols: Mapping[str, int]) -> None:
        self.reports: list[UnitReport] = []
        names = list(exports)
        start = time.perf_counter()
        with LLVM:
            _free_orphans()
            _initialise()
            jit, tracker = _load(objects, names, symbols)
            self._addresses = {name: int(tracker[name]) for name in names}
            weakref.finalize(self, _release, jit, tracker).atexit = False  # the process's end frees more safely
        self.load_seconds = time.perf_counter() - start

    def address(self, name: str) -> int:
        """Address of an exported function. Valid only while this executable is referenced."""
        if name not in self._addresses:
            raise CompileError(f"no exported function {name!r}: this executable has {', '.join(self._addresses)}")
        return self._addresses[name]

    def function(self, name: str, result: Any, *arguments: Any, release_lock: bool = True) -> Callable[..., Any]:
        """An exported function as a ctypes callable, which keeps this executable alive.

        Parameters
        ----------
        name : str
            One of the exports.
        result, *arguments : ctypes types
            Of the result (None: nothing) and the arguments.
        release_lock : bool
            Release the interpreter's lock during the call. Costs some 0.1 µs; what runs longer should.
        """
        prototype = (ctypes.CFUNCTYPE if release_lock else ctypes.PYFUNCTYPE)(result, *arguments)
        function = prototype(self.address(name))
        function.executable = self  # type: ignore[attr-defined]
        return function


def compile_units(
    units: Unit | Sequence[Unit],
    exports: Iterable[str],
    *,
    target: Target | None = None,
    cache: ObjectCache | None = None,
    symbols: Mapping[str, int] | None = None,
) -> Executable:
    """Compile units (or find them in the cache), link and load them.

    Parameters
    ----------
    units : Unit or sequence of Unit
        Together one program: functions of one may call those of another.
    exports : iterable of str
        Names of the functions wanted.
    target : Target, optional
        Default: the host. Must be able to run here.
    cache : ObjectCache, optional
        Where object code is kept. None: nowhere.
    symbols : mapping of str to int, optional
        Addresses of external functions by name (for instance BLAS). The C library's are found by themselves.

    Raises
    ------
    CompileError
        If the code is not valid, a symbol is missing, or the target cannot run here.
    """
    target = Target.host() if target is None else target
    if not target.runs_here:
        raise CompileError(f"code for {target.cpu} ({target.triple}) cannot run on this machine: emit_object only")
    made = [_object(unit, target, cache) for unit in ([units] if isinstance(units, Unit) else units)]
    executable = Executable([code for code, _ in made], exports, symbols or {})
    executable.reports.extend(report for _, report in made)
    return executable


def load_stored(keys: Sequence[str], exports: Iterable[str], cache: ObjectCache) -> Executable | None:
    """Load object code by its keys in the cache, or None if some of it is not there."""
    objects = [cache.get(key) for key in keys]
    found = [code for code in objects if code is not None]
    if len(found) < len(objects):
        return None
    executable = Executable(found, exports, {})
    executable.reports.extend(UnitReport("stored", True, key, len(code)) for key, code in zip(keys, found, strict=True))
    return executable


def emit_object(module: ir.Module | str, target: Target, level: int = 3) -> bytes:
    """Verified, optimised object code for a target, which need not be the host. Raises CompileError."""
    return _emit(str(module), target, level, UnitReport("module"), assembly=False)


def emit_assembly(module: ir.Module | str, target: Target, level: int = 3) -> str:
    """As :func:`emit_object`, but assembly text for the reader."""
    return _emit(str(module), target, level, UnitReport("module"), assembly=True).decode()


def optimised_ir(module: ir.Module | str, target: Target, level: int = 3) -> str:
    """The module's text after LLVM's middle end."""
    with LLVM, contextlib.ExitStack() as stack:
        machine = stack.enter_context(_machine(target))
        parsed = _optimise(stack, str(module), machine, target, level, UnitReport("module"))
        return str(parsed)


def unavailable() -> str | None:
    """Why native code cannot run in this process (say, a kernel that forbids executable memory), or None if it can."""
    try:
        with LLVM:
            _initialise()
            llvm.check_jit_execution()
    except (OSError, RuntimeError) as error:
        return str(error)
    return None


def _object(unit: Unit, target: Target, cache: ObjectCache | None) -> tuple[bytes, UnitReport]:
    report = UnitReport(unit.name)
    text = _build(unit, report) if unit.key is None else None
    key = ""
    if cache is not None:
        with _timed(report, "look up"):
            origin = ("text", text) if text is not None else ("key", str(unit.key))
            key = digest(*environment(), target.triple, target.cpu, target.features, str(unit.level), *origin)
            report.key, stored = key, cache.get(key)
        if stored is not None:
            report.from_cache, report.object_bytes = True, len(stored)
            return stored, report
    text = _build(unit, report) if text is None else text
    code = _emit(text, target, unit.level, report, assembly=False)
    report.object_bytes = len(code)
    if cache is not None:
        with _timed(report, "store"):
            cache.put(key, code)
    return code, report


@memoize
def environment() -> tuple[str, ...]:
    """On what object code depends besides what it is made from and for: LLVM, and the source that makes it."""
    version = ".".join(map(str, llvm.llvm_version_info))
    return (_FORMAT, llvmlite.__version__, version, source_digest())


def _build(unit: Unit, report: UnitReport) -> str:
    with _timed(report, "build"):
        return str(unit.build())


def _emit(text: str, target: Target, level: int, report: UnitReport, *, assembly: bool) -> bytes:
    with LLVM, contextlib.ExitStack() as stack:
        _free_orphans()
        machine = stack.enter_context(_machine(target))
        module = _optimise(stack, text, machine, target, level, report)
        with _timed(report, "emit"):
            return machine.emit_assembly(module).encode() if assembly else machine.emit_object(module)


def _optimise(
    stack: contextlib.ExitStack, text: str, machine: Any, target: Target, level: int, report: UnitReport
) -> Any:
    with _timed(report, "parse"):
        # A context of its own: LLVM's global one would keep every type and constant ever compiled.
        context = stack.enter_context(llvm.create_context())
        try:
            module = stack.enter_context(llvm.parse_assembly(text, context))
            module.verify()
        except RuntimeError as error:
            raise CompileError(f"{report.name}: invalid LLVM code: {' '.join(str(error).split())}") from None
        module.triple = target.triple
        module.data_layout = str(machine.target_data)
    if level:
        with _timed(report, "optimise"):
            options = stack.enter_context(llvm.create_pipeline_tuning_options(level))
            options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
            passes = stack.enter_context(llvm.create_pass_builder(machine, options))
            pipeline = passes.getModulePassManager()
            stack.callback(_dispose_pipeline, pipeline)
            pipeline.run(module, passes)
    return module


def _machine(target: Target) -> Any:
    _initialise() if target.triple == llvm.get_process_triple() else _initialise_all()
    # Position-independent code in the small model is the densest (constants are addressed relative to the
    # instruction). It needs code, constants and stubs within 2 GiB of each other, which JITLink's allocator, used
    # below, guarantees; LLVM's older loaders do not, and abort the process when memory happens to be laid out badly.
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="small", jit=True
    )


def _dispose_pipeline(pipeline: Any) -> None:
    # In llvmlite (0.50) close() finds the empty _dispose of another base class first and frees nothing.
    NewPassManager._dispose(pipeline)
    pipeline.detach()


@memoize
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@memoize
def _initialise_all() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def _load(objects: Sequence[bytes], exports: Sequence[str], symbols: Mapping[str, int]) -> tuple[Any, Any]:
    jit = llvm.create_lljit_compiler(use_jit_link=True, suppress_errors=True)
    library = llvm.JITLibraryBuilder().add_current_process()
    for code in objects:
        library.add_object_img(code)
    for name in exports:
        library.export_symbol(name)
    for name, address in symbols.items():
        library.import_symbol(name, address)
    try:
        return jit, library.link(jit, _LIBRARY)
    except RuntimeError as error:
        jit.close()
        reason = " ".join(str(error).split())
        raise CompileError(f"native code cannot be loaded (is an external symbol missing?): {reason}") from None


def _release(jit: Any, tracker: Any) -> None:
    """Free an engine now if nobody uses LLVM, else later: a finaliser may run anywhere and must not wait for a lock."""
    _orphans.append((jit, tracker))
    if LLVM.acquire(blocking=False):
        try:
            _free_orphans()
        finally:
            LLVM.release()


def _free_orphans() -> None:
    while _orphans:
        with contextlib.suppress(IndexError):  # a finaliser on this thread may have taken the last one
            jit, tracker = _orphans.popleft()
            tracker.close()
            jit.close()


@contextlib.contextmanager
def _timed(report: UnitReport, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        report.seconds[stage] = report.seconds.get(stage, 0.0) + time.perf_counter() - start

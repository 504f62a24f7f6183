"""Which executor runs epochs and predictions: native code where this machine can run it, NumPy everywhere else.

Both give the same numbers to rounding; each gives the same bits every time. So the choice depends on the machine
alone, never on the data or on what happens to be cached.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

from chainrule.errors import CompileError, OptionError
from chainrule.graph.graph import Graph
from chainrule.learn.loop import EpochRunner, NumpyEpoch
from chainrule.native.forks import late_imports

Executor = Literal["auto", "native", "numpy"]


@lru_cache(maxsize=64)  # by the graph itself: trainings that share a step share its code
def epoch_runner(
    graph: Graph, n_carry: int, n_hyper: int, batch_size: int, executor: Executor = "auto", threads: int | None = None
) -> EpochRunner:
    """The runner of an epoch of a step's graph.

    Parameters
    ----------
    graph : Graph
        Of one step, see `chainrule.learn.step`.
    n_carry, n_hyper, batch_size : int
    executor : {"auto", "native", "numpy"}
        ``"auto"``: native, or NumPy with one warning where native code cannot run.
    threads : int, optional
        At most so many in native code; by default as many as the work is worth. The bits are always the same.

    Raises
    ------
    CompileError
        If native code was asked for and cannot be made.
    """
    if executor not in ("auto", "native", "numpy"):
        raise OptionError(f"executor must be 'auto', 'native' or 'numpy', got {executor!r}")
    if executor == "numpy" or (executor == "auto" and not native_runs()):
        return NumpyEpoch(graph, n_carry, n_hyper, batch_size)
    with late_imports():
        from chainrule.native.cache import shared_cache
        from chainrule.native.loop import compile_loop

    try:
        return compile_loop(graph, n_carry, n_hyper, batch_size, cache=shared_cache(), threads=threads)
    except CompileError:
        if executor == "native":
            raise
        return NumpyEpoch(graph, n_carry, n_hyper, batch_size)


@cache
def native_runs() -> bool:
    """Whether native code runs here; says so once where it does not."""
    try:
        with late_imports():
            from chainrule.native.runtime import unavailable
            from chainrule.native.target import Target

        reason = unavailable() or (None if Target.host().fma else "this processor has no fused multiply-add")
    except ImportError as error:
        reason = str(error)
    if reason is not None:
        with late_imports():
            from chainrule.native.fallback import warn_fallback

        warn_fallback(reason)
    return reason is None

"""Jobs in threads that end together: when one fails, or the caller is interrupted, the others stop soon.

A thread pool of the standard library waits for every running job, however long it takes; so trainings that may run side
by side ask `go_on` now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context
from threading import Event
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_GLANCE = 0.1  # seconds
_ENDS: ContextVar[tuple[Event, ...]] = ContextVar("chainrule side by side", default=())


class _AskedToStop(BaseException):
    """The results of a job are no longer wanted; nobody but `side_by_side` sees it."""


def side_by_side(f: Callable[[T], R], jobs: Iterable[T], workers: int, name: str) -> list[R]:
    """``[f(job) for job in jobs]``, by so many threads.

    Raises
    ------
    BaseException
        What the first job raised that failed, or an interrupt such as Ctrl-C, as soon as the jobs have stopped: those
        that run stop where they next ask `go_on`, the others do not begin.
    """
    jobs = list(jobs)
    if workers <= 1 or len(jobs) <= 1:
        return [f(job) for job in jobs]
    end = Event()
    token = _ENDS.set((*_ENDS.get(), end))  # of the threads' contexts
    try:
        contexts = [copy_context() for _ in jobs]
    finally:
        _ENDS.reset(token)
    with ThreadPoolExecutor(min(workers, len(jobs)), name) as pool:
        try:
            futures = [pool.submit(context.run, f, job) for context, job in zip(contexts, jobs, strict=True)]
            results = []
            for future in futures:
                while not wait([future], _GLANCE).done:  # a wait without end would not notice Ctrl-C everywhere
                    pass
                results.append(future.result())
            return results
        except BaseException:
            end.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def go_on() -> None:
    """Return, unless this is a thread of `side_by_side` whose work is no longer wanted: then leave it."""
    if any(end.is_set() for end in _ENDS.get()):
        raise _AskedToStop


__all__ = ["go_on", "side_by_side"]

"""A team of threads inside one native call: started by Python once, kept in step by a barrier in native code.

Every member calls the same function with its own number; between barriers the members work on parts that do not
overlap. As each number is computed whole by one member, in an order that does not depend on the team, results have the
same bits for any number of members. The members live for one call (an epoch, say), so there is no pool that a fork
could break.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import cache as memoize
from queue import SimpleQueue
from typing import Any

BARRIER_BYTES = 128
"""Memory of a barrier, zeroed before use and aligned to 64 bytes: how many have arrived; a cache line on, the round."""

# Measured: a barrier takes 0.4 µs when every member has a core, tens of µs when one must be scheduled first. Work of
# this length between two barriers makes the first cost small and the second bearable.
SHORTEST_SHARE_SECONDS = 20e-6


def available_cores() -> int:
    """Cores this process may use."""
    if sys.platform == "linux":
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def team_size(seconds_between_barriers: float, most: int | None = None) -> int:
    """Members worth having for work that takes one thread so long from barrier to barrier; at least 1.

    Parameters
    ----------
    seconds_between_barriers : float
        An estimate, from the number of operations; never measured, lest the choice vary from run to run.
    most : int, optional
        Default: :func:`available_cores`.
    """
    most = available_cores() if most is None else most
    return max(1, min(most, int(seconds_between_barriers / SHORTEST_SHARE_SECONDS)))


def run_team(function: Callable[..., Any], members: int, arguments: Sequence[Any], keep: Any = None) -> None:
    """Call ``function(member, members, *arguments)`` for every member at once.

    Members wait for one another in native code, so all must come: they start only once all threads exist, and no
    signal can keep one away, as Python raises those in the main thread, which only waits. An interrupt is raised when
    all members have ended.

    Parameters
    ----------
    function : callable
    members : int
        One is called on this thread, several on threads of their own.
    arguments : sequence
    keep : optional
        What must live as long as members work: the memory that addresses among the arguments lead to.

    Raises
    ------
    RuntimeError
        If a thread cannot be started; nothing has been called then.
    BaseException
        What a member raised, or an interrupt, once all are done.
    """
    if members == 1:
        function(0, 1, *arguments)
        return
    # queues, since a signal may come at any moment: it would leave an Event's lock taken, and in `Thread.join` makes
    # Python take the thread for ended (python/cpython#90882)
    gate, wake = SimpleQueue[None](), SimpleQueue[None]()
    decision, ended, errors = dict[str, bool](), list[int](), list[BaseException]()
    core = _current_core()

    def decide(go: bool) -> None:
        decision.setdefault("go", go)  # whoever decides first
        for _ in range(members):
            gate.put(None)

    def follow(number: int, alive: Any) -> None:
        gate.get()
        if not decision["go"]:
            return
        try:
            if number:
                _leave(core)
            else:
                _stay(core, members)
            function(number, members, *arguments)
        except BaseException as error:
            errors.append(error)
        finally:
            ended.append(number)
            wake.put(None)

    def wait() -> BaseException | None:
        """Until all have ended, whatever comes between; the first thing that came."""
        came = None
        while len(ended) < members:
            try:
                wake.get()
            except BaseException as error:
                came = came or error
        return came

    threads: list[threading.Thread] = []
    try:
        for number in range(members):
            run = copy_context().run  # settings such as numpy.errstate are the caller's
            name = f"chainrule {number}"
            thread = threading.Thread(target=run, args=(follow, number, keep), name=name, daemon=True)
            thread.start()
            threads.append(thread)
        decide(True)
        interrupt = wait()
    except BaseException:  # a thread was refused, or a signal came before all were there
        decide(False)
        if decision["go"]:
            wait()
        raise
    for thread in threads:
        thread.join()
    if interrupt is not None:
        raise interrupt
    if errors:
        raise errors[0]


def _stay(core: int, members: int) -> None:
    """Keep this thread on its caller's core where its team has all the others.

    Had it moved to where a member is, both would wait for each other in turn, which looks to the system as if one core
    were enough: measured now and then after a pause, two to five times slower for a whole epoch.
    """
    if sys.platform == "linux":
        before = os.sched_getaffinity(0)
        if core in before and members == len(before):
            with suppress(OSError):
                os.sched_setaffinity(0, {core})


def _leave(core: int) -> None:
    """Keep this thread off a core, where the first member works that it will wait for.

    Where other processes have the other cores, Linux lets a thread that is woken up share its waker's, and both then
    wait for each other in turn: measured with one busy process of low priority, up to five times slower.
    """
    if sys.platform == "linux":
        others = os.sched_getaffinity(0) - {core}
        if others:
            with suppress(OSError):
                os.sched_setaffinity(0, others)


def _current_core() -> int:
    """The core this thread runs on, or -1 where the system does not tell."""
    try:
        return int(ctypes.CDLL(None).sched_getcpu()) if sys.platform == "linux" else -1
    except (OSError, AttributeError):
        return -1


def offer(work: Callable[[int], Any], helpers: int) -> None:
    """Let helping threads call ``work(1)``, ``work(2)``, … when they get to it; returns at once.

    For work that whoever is there takes piece by piece. Unlike a team's members, helpers need not come: they may find
    nothing left to do, long after. So the work itself must know when all of it is done. They wait for work between
    calls, which makes calling them a matter of microseconds.
    """
    try:
        waiting = _helpers()
    except RuntimeError:  # the interpreter is shutting down, or the system refuses another thread
        return
    for number in range(1, helpers + 1 - waiting.qsize()):  # who is late with other work need not be told of this
        waiting.put((work, number))


def _help(waiting: SimpleQueue[tuple[Callable[[int], Any], int]]) -> None:
    while True:
        work, number = waiting.get()
        work(number)
        del work  # and the arrays it knows


@memoize
def _helpers() -> SimpleQueue[tuple[Callable[[int], Any], int]]:
    waiting: SimpleQueue[tuple[Callable[[int], Any], int]] = SimpleQueue()
    for number in range(max(1, available_cores() - 1)):
        threading.Thread(target=_help, args=(waiting,), name=f"chainrule helper {number + 1}", daemon=True).start()
    return waiting


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_helpers.cache_clear)  # threads do not survive a fork


def barrier_memory() -> ctypes.Array[ctypes.c_char]:
    """Zeroed memory with room for an aligned barrier; pass :func:`barrier_address` of it and keep it alive."""
    return ctypes.create_string_buffer(BARRIER_BYTES + 64)


def barrier_address(memory: ctypes.Array[ctypes.c_char]) -> int:
    """The first address in the memory that is a multiple of 64."""
    start = ctypes.addressof(memory)
    return start + -start % 64

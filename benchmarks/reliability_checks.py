"""A check of the reliability table, and tries in a process of their own, which may crash, hang or take memory."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: a try that takes longer hangs
LIMIT = 30.0


#: how the answer of a try begins that ended in an error in one line, as documented
REFUSED = "refused: "


@dataclass
class Check:
    """One line of the table.

    Parameters
    ----------
    name : str
    count : int
        Tries.
    failures : list of str
        What was seen, a line each.
    seconds : float
    refused : dict
        How many tries ended in an error in one line that is no failure, by its kind.
    """

    name: str
    count: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)


def run_tries(name: str, tries: Sequence[Any], attempt: Callable[[Any], str], first: Sequence[Any] = ()) -> Check:
    """Make tries one by one in a child process, and another child where one dies.

    Parameters
    ----------
    attempt : callable
        Of a try, in the child: what is wrong, or nothing, or `REFUSED` and the kind of an error that is no failure.
        Whatever it raises is a failure too.
    first : sequence
        Tries that warm a child up: what is imported and compiled once is not counted.
    """
    check, start = Check(name), time.perf_counter()
    context = multiprocessing.get_context("spawn")  # a fork of threads that compute would wait for ever
    child: Any = None
    for k, each in enumerate(tries):
        if child is None:
            here, there = context.Pipe()
            child = context.Process(target=_serve, args=(there, attempt, first), daemon=True)
            child.start()
            there.close()
            here.recv()  # ready
        try:
            here.send(each)
            problem = here.recv() if here.poll(LIMIT) else f"hangs for {LIMIT:g} s"
        except (EOFError, OSError):
            child.join()
            problem = f"the process died with status {child.exitcode}"
        check.count += 1
        if problem.startswith(REFUSED):
            kind = problem.removeprefix(REFUSED)
            check.refused[kind] = check.refused.get(kind, 0) + 1
        elif problem:
            check.failures.append(f"try {k}: {problem}")
        if not child.is_alive() or problem.startswith("hangs"):
            child.kill()
            child.join()
            child = None
    if child is not None:
        here.close()
        child.join()
    check.seconds = time.perf_counter() - start
    return check


def _serve(pipe: Any, attempt: Callable[[Any], str], first: Sequence[Any]) -> None:
    for each in first:
        attempt(each)
    pipe.send("ready")
    while True:
        try:
            given = pipe.recv()
        except EOFError:
            return
        try:
            problem = attempt(given)
        except Exception as error:  # the very thing that is counted
            problem = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        pipe.send(problem)


class PeakMemory:
    """Memory that is taken inside the ``with``, at most, in bytes beyond what there was before (Linux)."""

    def __enter__(self) -> PeakMemory:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self._before = _status("VmRSS")
        self.bytes = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = _status("VmHWM") - self._before


def _status(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(what + ":"))

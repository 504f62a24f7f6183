"""Threads that compile, fit, predict and free, over and over: equal results, no crash, no hang, no growth.

    python benchmarks/stress.py [threads] [rounds] [fresh]      # by default 32 threads, 1000 rounds each, every third
                                                                # compiled anew: an hour of two cores

Every round makes a network of a size of its own, compiles its training step and its predictions (every ``fresh``-th
time without the cache on disk), trains it, predicts, compares all bits with what one thread alone got, and drops
everything. Now and then a child is forked meanwhile, which predicts and trains too, and must end well. At the end the
interpreter exits with threads still in native code.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable
from time import perf_counter

import numpy as np

from chainrule.learn.blocks import BLOCK
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.step import prediction_graph
from chainrule.learn.training import Training
from chainrule.native.cache import shared_cache
from chainrule.native.loop import compile_loop
from chainrule.native.rows import compile_rows
from chainrule.networks import Network
from chainrule.outputs import Categorical

KINDS = 12
FORK_EVERY = 200  # rounds of the first thread


def one_round(kind: int, cached: bool) -> bytes:
    """Compile, fit, predict, free; the bits of the predictions."""
    rng = np.random.default_rng(kind)
    x = rng.normal(size=(40 + kind, 3 + kind % 4)).astype(np.float32)
    network = Network([5 + kind, 4], Categorical(3))
    training = Training(network, Rows.of(x, np.arange(len(x)) % 3), Options(batch_size=8, seed=kind))
    step, cache = training.step, shared_cache() if cached else None
    training._epoch = compile_loop(step.graph, len(step.carry), len(step.hyper), 8, cache=cache)
    for _ in range(2):
        training.run_epoch()
    predict = compile_rows(prediction_graph(network, x.shape[1], 1, BLOCK), 1, cache=cache)
    return training.theta.tobytes() + predict([training.theta], [x])[0].tobytes()


def stress(
    threads: int, rounds: int, kinds: int = KINDS, say: Callable[[str], None] = print, fresh: int = 3
) -> list[str]:
    """Run; what went wrong. Every ``fresh``-th round compiles without the cache on disk."""
    expected = [one_round(kind, True) for kind in range(kinds)]
    wrong: list[str] = []
    start = perf_counter()

    def work(number: int) -> None:
        try:
            for k in range(rounds):
                kind = (number + k) % kinds
                if one_round(kind, k % fresh > 0) != expected[kind]:
                    wrong.append(f"thread {number}, round {k}: other bits")
                if number == 0 and k % FORK_EVERY == FORK_EVERY // 2:
                    wrong.extend(in_a_child(expected))
                if number == 0 and k % 100 == 99:
                    say(f"{k + 1} rounds, {perf_counter() - start:.0f} s, {resident() / 2**20:.0f} MiB")
        except BaseException as error:
            wrong.append(f"thread {number}: {error!r}")

    team = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    gc.collect()
    return wrong


def in_a_child(expected: list[bytes]) -> list[str]:
    """Fork while the others work; the child trains and predicts."""
    if sys.platform == "win32":
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about forks beside threads: they are the point
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if one_round(0, True) == expected[0] and one_round(1, False) == expected[1] else 2
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return [f"a child ended with {status}"] if status else []


def resident() -> int:
    """Bytes of memory in use, where the system says so."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def leave_threads_behind() -> None:
    """Threads that are in native code when the interpreter exits."""

    def endless() -> None:
        while True:
            one_round(0, False)

    for _ in range(4):
        threading.Thread(target=endless, daemon=True).start()


if __name__ == "__main__":
    given = [int(a) for a in sys.argv[1:]]
    n_threads, n_rounds, every = given + [32, 1000, 3][len(given) :]
    found = stress(n_threads, n_rounds, fresh=every)
    told = "; ".join(found[:5]) or "all results equal"
    print(f"{n_threads} threads, {n_rounds} rounds each, every {every}th compiled anew: {told}")
    leave_threads_behind()
    sys.exit(bool(found))

"""What a fork waits for: a forked child has only the thread that forked, and what others held stays locked in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

#: held by whoever uses LLVM, which is not made for threads
LLVM = RLock()
_IMPORTS = RLock()


@contextmanager
def late_imports() -> Iterator[None]:
    """Around imports within functions, so that nobody forks meanwhile. They must not take `LLVM`."""
    with _IMPORTS:
        yield


def _acquire() -> None:
    LLVM.acquire()
    _IMPORTS.acquire()  # in this order: modules are imported while LLVM is used, too


def _release() -> None:
    _IMPORTS.release()
    LLVM.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_acquire, after_in_parent=_release, after_in_child=_release)

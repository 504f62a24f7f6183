"""How much memory there is: what needs more is refused, before the system ends the process without a word."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import product
from pathlib import Path

from chainrule.errors import OutOfMemoryError

#: bytes that training takes for each parameter, at least: as it is drawn, and in float32 the parameter, two moments,
#: a copy of these of the best epoch, and the gradient
BYTES_PER_PARAMETER = 8 + 7 * 4
#: bytes of addresses without which polars does not start
LEAST_ADDRESSES = 1 << 32


def check_parameters(size: int) -> None:
    """Refuse a network whose training this machine has no memory for.

    Systems that promise more memory than they have end a process that uses what they promised.

    Raises
    ------
    OutOfMemoryError
    """
    available = machine_memory()
    if available is not None and size * BYTES_PER_PARAMETER > available:
        raise too_many(size)


def check_room(count: int, what: str) -> None:
    """Refuse work whose result is more float64 numbers than there is memory for, three times over.

    Raises
    ------
    OutOfMemoryError
    """
    available = machine_memory()
    if available is not None and 3 * 8 * count > available:
        raise OutOfMemoryError(
            f"{what} takes {3 * 8 * count / 2**30:,.3g} GB, more than there is memory for; use fewer rows at a time"
        )


def bound_process() -> None:
    """Let this process ask in vain for more memory than there is; Linux would grant it and end the process later.

    Programs that reserve addresses for later need some gigabytes, so that smaller machines are left alone.
    """
    available = machine_memory()
    if sys.platform != "linux" or available is None:
        return
    import resource

    wanted = max(available, LEAST_ADDRESSES)
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if soft == resource.RLIM_INFINITY or soft > wanted:
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def too_many(size: int) -> OutOfMemoryError:
    """The error for a network of too many parameters."""
    return OutOfMemoryError(
        f"there is not enough memory for the network's {size:,} parameters; use smaller hidden layers"
    )


@cache  # reading a dozen files takes half a millisecond
def machine_memory(root: str | os.PathLike[str] = "/") -> int | None:
    """Bytes of memory that this process may have: the machine's, or its container's where that is less.

    Parameters
    ----------
    root : path
        Where the folders ``proc`` and ``sys`` are, which say what a container may have (Linux).

    Returns
    -------
    int or None
        ``None`` where nothing says.
    """
    limits = list(_container_limits(Path(root)))
    with suppress(AttributeError, ValueError, OSError):  # not POSIX
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def _container_limits(root: Path) -> Iterator[int]:
    """The limits of the control groups that this process is in, of every group's parents too, see cgroups(7)."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        trees: tuple[str, ...]
        if number == "0":  # version 2: one tree, in some systems beside those of version 1
            trees, name = ("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory.max"
        elif "memory" in controllers.split(","):
            trees, name = ("sys/fs/cgroup/memory",), "memory.limit_in_bytes"
        else:
            continue
        # a path may be the host's, which the container does not see: then the tree's root is the container
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for tree, depth in product(trees, range(len(parts) + 1)):
            limit = _text(root.joinpath(tree, *parts[:depth], name)).strip()
            if limit.isdecimal() and int(limit) > 0:  # version 2 says max where there is none
                yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""

"""How much memory there is: what needs more is refused, before the system ends the process without a word."""

from __future__ import annotations

import os

from chainrule.errors import OutOfMemoryError

#: bytes that training takes for each parameter, at least: as it is drawn, and in float32 the parameter, two moments,
#: a copy of these of the best epoch, and the gradient
BYTES_PER_PARAMETER = 8 + 7 * 4


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


def too_many(size: int) -> OutOfMemoryError:
    """The error for a network of too many parameters."""
    return OutOfMemoryError(
        f"there is not enough memory for the network's {size:,} parameters; use smaller hidden layers"
    )


def machine_memory() -> int | None:
    """Bytes of memory that this machine has; None where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not POSIX
        return None

"""One warning where everything runs on NumPy."""

from functools import cache

from chainrule.errors import warn_caller


@cache
def warn_fallback(reason: str) -> None:
    """Say once, at the user's own line, why there is no native code."""
    warn_caller(f"native code cannot run here ({reason}); chainrule uses NumPy, which is slower")

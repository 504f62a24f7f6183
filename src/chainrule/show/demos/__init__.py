"""The subject matter, live: one module per demo, each with a ``TITLE`` and a function ``run(narration)``.

A demo says what it does as it does it, in the terminal, and leaves a page with the figures. To add one, add
a file here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from chainrule.errors import OptionError
from chainrule.show.demos.narration import Narration


@dataclass(frozen=True)
class Demo:
    """One demo.

    Parameters
    ----------
    name, title : str
    run : callable
        Of a `Narration`.
    """

    name: str
    title: str
    run: Callable[[Narration], None]


def demo_names() -> list[str]:
    """All there are, in alphabetical order."""
    return sorted(m.name for m in iter_modules(__path__) if m.name != "narration")


def demo_of_name(name: str) -> Demo:
    """The demo of a name.

    Raises
    ------
    OptionError
        If there is none.
    """
    if name not in demo_names():
        raise OptionError(f"there is no demo {name!r}; there are {', '.join(demo_names())}")
    module = import_module(f"{__name__}.{name}")
    return Demo(name, module.TITLE, module.run)

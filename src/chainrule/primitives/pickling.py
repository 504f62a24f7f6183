"""Primitives are pickled by name; unpickling one imports this package, which knows them all."""

from __future__ import annotations

import copyreg
from collections.abc import Callable

from chainrule.errors import GraphError
from chainrule.graph.primitive import PRIMITIVES, Primitive


def registered(name: str) -> Primitive:
    """The primitive of this name.

    Raises
    ------
    GraphError
        If this version has none.
    """
    if name not in PRIMITIVES:
        raise GraphError(f"there is no primitive {name!r}; use the chainrule version that pickled the graph")
    return PRIMITIVES[name]


def _reduce(primitive: Primitive) -> tuple[Callable[[str], Primitive], tuple[str]]:
    return registered, (primitive.name,)


copyreg.pickle(Primitive, _reduce)

"""What must be known to load and run code made before, kept on disk beside it: planning and lowering take longer.

A recipe is found by all that determines it: the graph, what else was asked for, the target, the versions of LLVM and of
this package's own source. Finding one, nothing of the compiler is even imported.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from chainrule.graph.graph import Graph
from chainrule.native.cache import ObjectCache, digest, graph_words
from chainrule.native.frame import Slots
from chainrule.native.runtime import Executable, environment, load_stored
from chainrule.native.target import Target


@dataclass(frozen=True)
class Recipe:
    """What a call of a loaded function needs.

    Parameters
    ----------
    slots : Slots
        Of the table of addresses.
    arena : int
        Bytes of memory to work in, of each thread.
    members : int
        Of the team.
    seconds : float
        About how long a run takes one thread.
    constants : tuple of arrays
    """

    slots: Slots
    arena: int
    members: int
    seconds: float
    constants: tuple[np.ndarray, ...]

    def to_bytes(self, objects: Sequence[str]) -> bytes:
        """For a file, with the keys of the object code."""
        head = {
            "slots": self.slots,
            "length": self.slots.length,
            "has_status": self.slots.has_status,
            "arena": self.arena,
            "members": self.members,
            "seconds": self.seconds,
            "constants": [[c.dtype.str, c.shape] for c in self.constants],
            "objects": list(objects),
        }
        return json.dumps(head).encode() + b"\n" + b"".join(c.tobytes() for c in self.constants)

    @staticmethod
    def from_bytes(data: bytes) -> tuple[Recipe, list[str]]:
        """The recipe, and the keys of its object code."""
        text, _, rest = data.partition(b"\n")
        head = json.loads(text)
        slots = Slots(head["slots"])
        slots.length, slots.has_status = head["length"], head["has_status"]
        constants = []
        for kind, shape in head["constants"]:
            array = np.frombuffer(rest, np.dtype(kind), int(np.prod(shape, dtype=int))).reshape(shape).copy()
            constants.append(array)
            rest = rest[array.nbytes :]
        recipe = Recipe(slots, head["arena"], head["members"], head["seconds"], tuple(constants))
        return recipe, head["objects"]


class Plan(Protocol):
    """What the compiler makes of a graph."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def alone(self) -> bool:
        """Whether the code calls nothing of Python's, so that it can be loaded without the plan."""

    def compile(self, cache: ObjectCache | None) -> Executable: ...


_PlanT = TypeVar("_PlanT", bound=Plan)


def load_or_compile(
    graph: Graph,
    asked: Sequence[object],
    exports: str,
    target: Target,
    cache: ObjectCache | None,
    make: Callable[[], _PlanT],
) -> tuple[Recipe, Executable, _PlanT | None]:
    """Recipe and code of a graph: from the cache, else by way of a plan, which is then given too.

    Parameters
    ----------
    graph : Graph
    asked : sequence
        What the plan depends on besides graph and target.
    exports : str
        The function wanted.
    target : Target
    cache : ObjectCache or None
    make : callable
        Makes the plan.
    """
    key = ""
    if cache is not None:
        key = digest("recipe", *environment(), repr(target), repr((exports, *asked)), graph_words(graph))
        stored = cache.get(key)
        if stored is not None:
            recipe, objects = Recipe.from_bytes(stored)
            executable = load_stored(objects, [exports], cache)
            if executable is not None:
                return recipe, executable, None
    plan = make()
    executable = plan.compile(cache)
    if cache is not None and plan.alone:
        cache.put(key, plan.recipe.to_bytes([report.key for report in executable.reports]))
    return plan.recipe, executable, plan

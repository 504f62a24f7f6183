"""The same training by others, each in its own customary way; `entrants` finds who is here."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, metadata
from types import ModuleType

from chainrule.bench.cases import Problem
from chainrule.bench.peers import jax, sklearn, torch
from chainrule.bench.race import Contender

#: peer -> (module to import, name of the distribution, who makes its contenders)
PEERS: dict[str, tuple[str, str, Callable[[Problem], list[Contender]]]] = {
    "JAX": ("jax", "jax", jax.contenders),
    "PyTorch": ("torch", "torch", torch.contenders),
    "scikit-learn": ("sklearn", "scikit-learn", sklearn.contenders),
}


def present(names: list[str] | None = None) -> dict[str, str]:
    """Versions of the peers that can be imported, in the table's order.

    Parameters
    ----------
    names : list of str, optional
        Look for these only.
    """
    found: dict[str, str] = {}
    for peer, (module, distribution, _) in PEERS.items():
        if (names is None or peer in names) and _importable(module) is not None:
            found[peer] = metadata.version(distribution)
    return found


def contenders(peer: str, problem: Problem) -> list[Contender]:
    """The ways in which a peer trains."""
    return PEERS[peer][2](problem)


def _importable(module: str) -> ModuleType | None:
    try:
        return import_module(module)
    except (ImportError, OSError):  # OSError: a library it needs is missing
        return None

"""Which values are laid out in memory: the policy of lowering, apart from its mechanics."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from chainrule.native.terms import Term, Terms

_CHEAP = 4  # a value this cheap is computed again for every reader
_LONGEST = 240  # instructions, about, that one element of a nest may take
_FEW_PARTS = 4  # an assembly of more parts is written part by part, not followed
_COMPUTED = ("reduce", "scan", "product", "scatter", "library")
_EXPENSIVE = {
    **dict.fromkeys(("divide", "reciprocal", "sqrt", "remainder", "floor_divide"), 4),
    **dict.fromkeys(("add", "subtract", "multiply", "negative", "where", "maximum", "minimum", "cast", "square"), 1),
    **dict.fromkeys(("absolute", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"), 1),
    **dict.fromkeys(("logical_and", "logical_or", "logical_not", "sign", "invert"), 1),
}
_OTHER_COST = 12


def _cost(term: Term) -> int:
    if term.kind == "map":
        return _EXPENSIVE.get(term.op, _OTHER_COST)
    return {"view": 0, "constant": 0, "input": 1, "assemble": 1, "gather": 3, "random": _OTHER_COST}.get(term.kind, 1)


def choose_roots(terms: Terms) -> set[int]:
    """Terms to materialise, for the reasons in the module's text."""
    readers = _readers(terms)
    roots: set[int] = set()
    costs = [0] * len(terms)
    for position, term in enumerate(terms.terms):
        costs[position] = _cost(term) + sum(1 if i in roots else costs[i] for i in dict.fromkeys(term.args))
        spread = [i for i in term.args if i not in roots and terms[i].size < term.size and costs[i] > _CHEAP]
        if term.kind == "map" or term.op == "broadcast_to":
            for i in spread:  # computed once, not for every element it is spread over
                if terms[i].kind not in ("constant", "input"):
                    roots.add(i)
        if _is_root(terms, position, readers[position], costs[position]):
            roots.add(position)
            costs[position] = 1
    roots.update(i for i in terms.outputs if terms[i].kind not in ("input", "constant"))
    return roots


def _is_root(terms: Terms, position: int, readers: int, cost: int) -> bool:
    term = terms[position]
    if term.kind in ("map", "gather", "random"):
        return (readers > 1 and cost > _CHEAP) or cost > _LONGEST
    if term.kind == "assemble":
        return readers > 1 or len(term.args) > _FEW_PARTS or _has_homes(terms, position)
    return term.kind in _COMPUTED


def _readers(terms: Terms) -> list[int]:
    """For each term how many readers it has, views counting as what reads them; outputs are read too."""
    readers = [0] * len(terms)
    for i in dict.fromkeys(terms.outputs):
        readers[i] += 1
    for position in range(len(terms) - 1, -1, -1):
        term = terms[position]
        for i in dict.fromkeys(term.args):
            readers[i] += max(readers[position], 1) if term.kind == "view" else 1
    return readers


def origin_of(terms: Terms, position: int) -> int:
    """What a part of an assembly is a reshape of."""
    while terms[position].kind == "view" and terms[position].op == "reshape":
        position = terms[position].args[0]
    return position


def _has_homes(terms: Terms, position: int) -> bool:
    return any(terms[origin_of(terms, i)].kind in _COMPUTED for i in terms[position].args)


def choose_homes(terms: Terms, roots: set[int]) -> dict[int, tuple[int, Any, bool]]:
    """Materialised terms that are parts of a materialised assembly: the assembly, the window, and whether reshaped.

    A reshaped part needs a window without gaps.
    """
    homes: dict[int, tuple[int, Any, bool]] = {}
    for position in sorted(roots):
        term = terms[position]
        if term.kind != "assemble":
            continue
        for part, window in zip(term.args, term.params["windows"], strict=True):
            origin = origin_of(terms, part)
            if origin in homes or origin not in roots or terms[origin].kind in ("input", "constant"):
                continue
            if terms[origin].kind == "product" and window and window[-1][2] != 1:
                continue
            if origin == part or _without_gaps(window, term.shape):
                homes[origin] = (position, window, origin != part)
    return homes


def _without_gaps(window: Any, shape: Sequence[int]) -> bool:
    """Whether a window's elements follow each other in memory."""
    seen_partial = False
    for (_, count, step), size in zip(window, shape, strict=True):
        if seen_partial and count != size:
            return False
        if count > 1:
            if step != 1:
                return False
            seen_partial = True
    return True


def covered(term: Term) -> bool:
    """Whether the (disjoint) windows of an assembly leave nothing of it free."""
    return sum(prod(count for _, count, _ in window) for window in term.params["windows"]) == term.size

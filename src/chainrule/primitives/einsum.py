"""Sums of products by index letters: np.einsum as transposes, sums and matrix products, pair by pair."""

from __future__ import annotations

from string import ascii_letters
from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.trace import Traced, implements


@implements(np.einsum)
def einsum(*operands: Any, optimize: Any = True) -> Any:
    """Every form of the first argument is understood, ellipsis and repeated letters included."""
    terms, out, arrays = _parse(operands)
    for group in _pairs(terms, out, arrays):
        picked = [(terms[k], arrays[k]) for k in group]
        for k in sorted(group, reverse=True):
            del terms[k], arrays[k]
        term, value = picked[0]
        for k, (other_term, other) in enumerate(picked[1:], start=2):
            later = set(out).union(*terms, *(t for t, _ in picked[k:]))
            term, value = _contract(term, value, other_term, other, later)
        terms.append(term)
        arrays.append(value)
    term, value = _sum_out(terms[0], arrays[0], set(out))
    return np.transpose(value, [term.index(letter) for letter in out])


def _pairs(terms: list[str], out: str, arrays: list[Any]) -> list[Any]:
    """The order of contraction that NumPy finds."""
    if len(arrays) < 3:
        return [tuple(range(len(arrays)))]
    stand_ins = [np.broadcast_to(0.0, x.shape) for x in arrays]
    path, _ = np.einsum_path(",".join(terms) + "->" + out, *stand_ins, optimize="greedy")
    return path[1:]


def _parse(operands: tuple[Any, ...]) -> tuple[list[str], str, list[Any]]:
    if not isinstance(operands[0], str):  # the form einsum(a, [0, 1], b, [1, 2], [0, 2])
        arrays = list(operands[: len(operands) // 2 * 2 : 2])
        lists = list(operands[1::2])
        letters = ["".join("..." if k is Ellipsis else ascii_letters[k] for k in axes) for axes in lists]
        subscripts = ",".join(letters)
        if len(operands) % 2:
            subscripts += "->" + "".join("..." if k is Ellipsis else ascii_letters[k] for k in operands[-1])
    else:
        subscripts, arrays = operands[0].replace(" ", ""), list(operands[1:])
    dtype = np.result_type(*(a.dtype if isinstance(a, Traced) else np.asarray(a).dtype for a in arrays))
    arrays = [a.astype(dtype) if isinstance(a, Traced) else np.asarray(a, dtype) for a in arrays]
    left, arrow, out = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise GraphError(f"einsum {subscripts!r} names {len(terms)} operands, got {len(arrays)}")
    free = [letter for letter in ascii_letters if letter not in subscripts]
    widest = 0
    for k, (term, a) in enumerate(zip(terms, arrays, strict=True)):
        missing = a.ndim - len(term.replace("...", ""))
        if missing < 0 or (missing > 0 and "..." not in term):
            raise GraphError(f"einsum {subscripts!r}: {term!r} does not fit an operand of shape {a.shape}")
        widest = max(widest, missing)
        terms[k] = term.replace("...", "".join(free[missing - 1 :: -1]) if missing else "")
    if arrow:
        out = out.replace("...", "".join(free[widest - 1 :: -1]) if widest else "")
    else:
        spread = "".join(free[widest - 1 :: -1]) if widest else ""
        once = sorted(x for x in set("".join(terms)) - set(spread) if "".join(terms).count(x) == 1)
        out = spread + "".join(once)
    sizes: dict[str, int] = {}
    for k, (term, a) in enumerate(zip(terms, arrays, strict=True)):
        for letter, size in zip(term, a.shape, strict=True):
            if sizes.setdefault(letter, size) != size and 1 not in (size, sizes[letter]):
                raise GraphError(f"einsum {subscripts!r}: axis {letter!r} has lengths {sizes[letter]} and {size}")
            sizes[letter] = max(sizes[letter], size) if 0 not in (size, sizes[letter]) else 0
        terms[k], arrays[k] = _diagonal(term, a)
    if not set(out) <= set("".join(terms)):
        raise GraphError(f"einsum {subscripts!r}: the output names an axis that no operand has")
    if len(set(out)) < len(out):
        raise GraphError(f"einsum {subscripts!r}: the output names an axis twice")
    arrays = [  # axes of length 1 broadcast
        np.broadcast_to(a, tuple(sizes[x] for x in term)) for term, a in zip(terms, arrays, strict=True)
    ]
    return terms, out, arrays


def _diagonal(term: str, a: Any) -> tuple[str, Any]:
    """Take the diagonal of axes with the same letter."""
    for letter in sorted(set(term)):
        while term.count(letter) > 1:
            first, second = (k for k, x in enumerate(term) if x == letter and term[:k].count(letter) < 2)
            a = np.diagonal(a, axis1=first, axis2=second)  # the diagonal becomes the last axis
            term = "".join(x for k, x in enumerate(term) if k not in (first, second)) + letter
    return term, a


def _sum_out(term: str, a: Any, keep: set[str]) -> tuple[str, Any]:
    axes = tuple(k for k, x in enumerate(term) if x not in keep)
    return "".join(x for x in term if x in keep), np.sum(a, axis=axes) if axes else a


def _contract(ta: str, a: Any, tb: str, b: Any, later: set[str]) -> tuple[str, Any]:
    """Contract two operands as one batched matrix product."""
    ta, a = _sum_out(ta, a, later | set(tb))
    tb, b = _sum_out(tb, b, later | set(ta))
    batch = [x for x in ta if x in tb and x in later]
    inner = [x for x in ta if x in tb and x not in later]
    rows = [x for x in ta if x not in tb]
    columns = [x for x in tb if x not in ta]
    size = dict(zip(ta, a.shape, strict=True)) | dict(zip(tb, b.shape, strict=True))

    def length(letters: list[str]) -> int:
        return int(np.prod([size[x] for x in letters], dtype=int))

    lead = tuple(size[x] for x in batch)
    left = np.transpose(a, [ta.index(x) for x in batch + rows + inner])
    right = np.transpose(b, [tb.index(x) for x in batch + inner + columns])
    if not inner:  # an outer product needs no sum
        left = np.reshape(left, (*lead, length(rows), 1))
        right = np.reshape(right, (*lead, 1, length(columns)))
        value = left * right
    else:
        value = np.reshape(left, (*lead, length(rows), length(inner))) @ np.reshape(
            right, (*lead, length(inner), length(columns))
        )
    joined = batch + rows + columns
    return "".join(joined), np.reshape(value, tuple(size[x] for x in joined))

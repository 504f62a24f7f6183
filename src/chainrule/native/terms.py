"""The graph in the compiler's own few kinds of operation: the first stage of compilation, Graph → Terms.

Everything that only renames or rearranges elements is a view; everything put together from parts is an assembly.
Constants are folded, equal terms shared, unneeded ones dropped, and sums of arrays that fill disjoint windows of zeros
(the gradient with respect to one flat parameter vector is one) become assemblies, which cost nothing but the writing
of their parts.

Nothing here changes a bit of the result, except that a zero may change its sign where structural zeros were added, and
that a few compositions of functions (`_COMPOSED`) have code of their own, with an error bound of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.graph.graph import Graph, Node
from chainrule.graph.types import ArrayType
from chainrule.native.scalar_ops import is_native

#: ``input`` and ``constant``; ``map``: one result per element; ``view``: other strides over the same elements;
#: ``assemble``: parts written into windows; ``random``: a function of the element's position; ``gather``; ``reduce``;
#: ``scan``; ``product``; ``scatter``; ``library``: a call of the primitive's NumPy meaning.
KINDS = ("input", "constant", "map", "view", "assemble", "random", "gather", "reduce", "scan", "product", "scatter")

Window = tuple[tuple[int, int, int], ...]
"""Start, count and step (positive) per axis."""

_FOLDED_SIZE = 4096
_NO_PARAMS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Term:
    """A value.

    Parameters
    ----------
    kind : str
        One of `KINDS`, or ``library``.
    op : str
        The primitive's name.
    args : tuple of int
        Positions of what it is computed from.
    params : mapping
        The primitive's; of an assembly its ``windows``, one per argument, and its ``fill``.
    type : ArrayType
    node : int
        Position in the graph, for messages.
    """

    kind: str
    op: str
    args: tuple[int, ...]
    params: Mapping[str, Any]
    type: ArrayType
    node: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype.name

    @property
    def size(self) -> int:
        return self.type.size

    @cached_property
    def uniform(self) -> bool | int | float | None:
        """The number that all elements of a constant are, if they are one."""
        if self.kind != "constant" or not self.size:
            return None
        flat = self.params["value"].reshape(-1)
        if flat.size > 1:
            bits = flat.view(f"u{flat.itemsize}")  # bits, so that NaN equals itself and -0 is not 0
            if not (bits == bits[0]).all():
                return None
        number: bool | int | float = flat[0].item()
        return number


@dataclass(frozen=True, eq=False)
class Terms:
    """All values of a program in an order in which they can be computed, and which of them go in and out."""

    terms: tuple[Term, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    graph: Graph = field(repr=False)

    def __getitem__(self, position: int) -> Term:
        return self.terms[position]

    def __len__(self) -> int:
        return len(self.terms)

    @cached_property
    def users(self) -> tuple[tuple[int, ...], ...]:
        """For each term the terms that read it."""
        users: list[list[int]] = [[] for _ in self.terms]
        for position, term in enumerate(self.terms):
            for i in dict.fromkeys(term.args):
                users[i].append(position)
        return tuple(tuple(u) for u in users)

    def describe(self, position: int) -> str:
        """Where a term comes from, for messages."""
        node = self[position].node
        return f"node {self.graph.node_names[node]} ({self.graph.nodes[node].primitive.name} {self[position].type})"

    def __str__(self) -> str:
        lines = []
        for position, term in enumerate(self.terms):
            args = ", ".join(f"t{i}" for i in term.args)
            value = term.params.get("value")
            shown = "" if value is None else repr(value.item()) if value.ndim == 0 else f"<{value.size} numbers>"
            lines.append(f"t{position} = {term.kind} {term.op}({args}{shown})  # {term.type}")
        lines.append("return " + ", ".join(f"t{i}" for i in self.outputs))
        return "\n".join(lines)


def to_terms(graph: Graph) -> Terms:
    """Translate the part of a graph that its outputs need."""
    return _Translation(graph).run()


class _Translation:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.terms: list[Term] = []
        self.shared: dict[Any, int] = {}
        self.of: dict[int, int] = {}  # position in the graph -> position among the terms
        self.node = 0

    def run(self) -> Terms:
        needed = self.graph.ancestors(self.graph.outputs) | set(self.graph.inputs)
        for position in sorted(needed):
            self.node = position
            self.of[position] = self.translate(self.graph.nodes[position])
        outputs = [self.of[i] for i in self.graph.outputs]
        terms, place = _gather_windows(self.terms, outputs)
        inputs = [place[self.of[i]] for i in self.graph.inputs]
        return _pruned(terms, inputs, [place[i] for i in outputs], self.graph)

    # -- making terms

    def add(
        self, kind: str, op: str, args: tuple[int, ...], params: Mapping[str, Any], type_: ArrayType, share: bool = True
    ) -> int:
        key = self.key(kind, op, args, params, type_)
        if share and key in self.shared:
            return self.shared[key]
        self.terms.append(Term(kind, op, args, params, type_, self.node))
        self.shared[key] = len(self.terms) - 1
        return len(self.terms) - 1

    def key(self, kind: str, op: str, args: tuple[int, ...], params: Mapping[str, Any], type_: ArrayType) -> Any:
        return (kind, op, args, tuple(sorted((k, _frozen(v)) for k, v in params.items())), type_)

    def constant(self, value: np.ndarray) -> int:
        return self.add("constant", "constant", (), {"value": value}, ArrayType.of(value))

    def translate(self, node: Node) -> int:
        name = node.primitive.name
        if name == "input":
            return self.add("input", "input", (), _NO_PARAMS, node.type, share=False)
        if name == "constant":
            return self.constant(np.asarray(node.params["value"]))
        args = tuple(self.of[i] for i in node.inputs)
        if name in ("identity", "stop_gradient") or (name == "cast" and node.type == self.terms[args[0]].type):
            return args[0]
        if node.primitive.family != "random" and all(self.terms[i].kind == "constant" for i in args):
            folded = self.folded(node, args)
            if folded is not None:
                return folded
        return self.simplified(node, args)

    def folded(self, node: Node, args: tuple[int, ...]) -> int | None:
        values = [self.terms[i].params["value"] for i in args]
        if node.type.size > max(_FOLDED_SIZE, *(v.size for v in values)):
            return None
        with np.errstate(all="ignore"):
            try:
                result = node.primitive.numpy(*values, **node.params)
            except (ArithmeticError, ValueError, IndexError):  # raised again when the program runs
                return None
        return self.constant(np.ascontiguousarray(result, node.dtype).reshape(node.shape))

    def simplified(self, node: Node, args: tuple[int, ...]) -> int:
        name, params, type_ = node.primitive.name, node.params, node.type
        sources = [self.terms[i] for i in args]
        if name in _NEUTRAL and sources[1].uniform == _NEUTRAL[name] and sources[0].type == type_:
            return args[0]
        if name == "multiply" and sources[0].uniform == 1 and sources[1].type == type_:
            return args[1]
        if name in _CLAMPED and sources[1].uniform is not None:
            # the result of the clamp answers the question as well, and is needed anyway
            clamp = self.shared.get(self.key("map", _CLAMPED[name], args, _NO_PARAMS, sources[0].type))
            if clamp is not None:
                args = (clamp, args[1])
        inner = sources[0] if sources else None
        if inner is not None and (name, inner.op) in _COMPOSED and inner.type == type_:
            # tanh(log1p(eᶻ)), mish's, needs one exponential function and no logarithm
            return self.add("map", _COMPOSED[name, inner.op], inner.args, _NO_PARAMS, type_)
        kind = _KIND_OF.get(node.primitive.lowering, "library")
        if kind == "view" and _changes_nothing(name, params, sources[0].type, type_):
            return args[0]
        if name == "place":
            return self.place(args, sources, params, type_)
        if name == "pad":
            window = tuple((low, size, 1) for (low, _), size in zip(params["width"], sources[0].shape, strict=True))
            return self.assembled(args, (window,), params["value"], type_)
        if name == "concatenate":
            return self.assembled(args, tuple(_stacked(sources, params["axis"])), 0, type_)
        if name == "uniform":
            kind = "random"
        if kind == "map" and not is_native(name, [s.dtype for s in sources], type_.dtype.name):
            kind = "library"
        return self.add(kind, name, args, params, type_)

    def place(self, args: tuple[int, ...], sources: list[Term], params: Mapping[str, Any], type_: ArrayType) -> int:
        """Zeros with a window: steps are made positive by flipping the part."""
        window = params["window"]
        flipped = tuple(k for k, (_, count, step) in enumerate(window) if step < 0 and count > 1)
        forward = tuple(
            (start + (count - 1) * step, count, -step) if k in flipped else (start, count, max(step, 1))
            for k, (start, count, step) in enumerate(window)
        )
        if flipped:
            args = (self.add("view", "flip", args, {"axis": flipped}, sources[0].type),)
        return self.assembled(args, (forward,), 0, type_)

    def assembled(self, args: tuple[int, ...], windows: tuple[Window, ...], fill: float, type_: ArrayType) -> int:
        if len(args) == 1 and windows[0] == _whole(type_.shape):
            return args[0]
        kept = [k for k, i in enumerate(args) if self.terms[i].size]
        parts, windows = tuple(args[k] for k in kept), tuple(windows[k] for k in kept)
        return self.add("assemble", "assemble", parts, {"windows": windows, "fill": fill}, type_)


_KIND_OF = {
    "elementwise": "map",
    "view": "view",
    "gather": "gather",
    "reduction": "reduce",
    "scan": "scan",
    "product": "product",
    "scatter": "scatter",
}
_CLAMPED = {"greater": "maximum", "less": "minimum"}
_COMPOSED = {("tanh", "log1p"): "tanh_log1p"}
_NEUTRAL = {"multiply": 1, "divide": 1, "power": 1}


def _changes_nothing(view: str, params: Mapping[str, Any], source: ArrayType, type_: ArrayType) -> bool:
    if source != type_:
        return False
    if view == "transpose":
        return tuple(params["axes"]) == tuple(range(type_.ndim))
    if view == "slice":
        return tuple(params["window"]) == _whole(type_.shape)
    return view in ("reshape", "broadcast_to")


def _whole(shape: Sequence[int]) -> Window:
    return tuple((0, s, 1) for s in shape)


def _stacked(parts: Sequence[Term], axis: int) -> list[Window]:
    """Windows of the parts of a concatenation."""
    windows, start = [], 0
    for part in parts:
        windows.append(tuple((start if k == axis else 0, s, 1) for k, s in enumerate(part.shape)))
        start += part.shape[axis]
    return windows


def _frozen(value: Any) -> Any:
    """A hashable stand-in for a parameter, equal only if it means the same to the bit."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.name, value.tobytes() if value.size <= _FOLDED_SIZE else id(value))
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(v) for v in value)
    return value


# -- sums of windows


def _gather_windows(terms: Sequence[Term], outputs: Sequence[int]) -> tuple[list[Term], list[int]]:
    """Rewrite sums of assemblies with fill 0 and disjoint windows as one assembly; also where each term went."""
    uses = [0] * len(terms)
    for i in (*(i for term in terms for i in term.args), *outputs):
        uses[i] += 1
    result: list[Term] = []
    place: list[int] = []

    def add(kind: str, op: str, args: tuple[int, ...], like: Term, params: Mapping[str, Any] = _NO_PARAMS) -> int:
        result.append(Term(kind, op, args, params, like.type, like.node))
        return len(result) - 1

    for position, term in enumerate(terms):
        leaves = _addends(terms, position, uses)
        windows = [i for i in leaves if _is_window(terms[i]) and uses[i] == 1]
        groups = _disjoint_groups(windows, terms)
        if len(groups) == len(windows):
            place.append(add(term.kind, term.op, tuple(place[i] for i in term.args), term, term.params))
            continue
        sums = [place[i] for i in leaves if i not in windows]
        for group in groups:
            parts = tuple(place[i] for g in group for i in terms[g].args)
            where = tuple(w for g in group for w in terms[g].params["windows"])
            sums.append(add("assemble", "assemble", parts, term, {"windows": where, "fill": 0}))
        total = sums[0]
        for each in sums[1:]:
            total = add("map", "add", (total, each), term)
        place.append(total)
    return result, place


def _addends(terms: Sequence[Term], position: int, uses: Sequence[int]) -> list[int]:
    """The leaves of a tree of sums of equal shapes whose inner nodes have no other reader."""

    def leaves(i: int, top: bool) -> list[int]:
        term = terms[i]
        if term.op == "add" and (top or uses[i] == 1) and all(terms[k].type == term.type for k in term.args):
            return [leaf for k in term.args for leaf in leaves(k, False)]
        return [i]

    return leaves(position, True)


def _is_window(term: Term) -> bool:
    return term.kind == "assemble" and term.params["fill"] == 0


def _disjoint_groups(positions: Sequence[int], terms: Sequence[Term]) -> list[list[int]]:
    """Greedy: each assembly joins the first group whose windows it does not meet."""
    groups: list[list[int]] = []
    for position in positions:
        mine = terms[position].params["windows"]
        for group in groups:
            if not any(_meet(v, w) for g in group for v in terms[g].params["windows"] for w in mine):
                group.append(position)
                break
        else:
            groups.append([position])
    return groups


def _meet(v: Window, w: Window) -> bool:
    """Whether two windows may share an element; steps count as 1, so the answer may err to yes."""
    return all(
        start < other + (other_count - 1) * other_step + 1 and other < start + (count - 1) * step + 1
        for (start, count, step), (other, other_count, other_step) in zip(v, w, strict=True)
    )


# -- what is needed


def _pruned(terms: Sequence[Term], inputs: Sequence[int], outputs: Sequence[int], graph: Graph) -> Terms:
    needed = set(inputs)
    stack = list(outputs)
    while stack:
        position = stack.pop()
        if position not in needed:
            needed.add(position)
            stack.extend(terms[position].args)
    place = {old: new for new, old in enumerate(sorted(needed))}
    kept = tuple(
        Term(t.kind, t.op, tuple(place[i] for i in t.args), t.params, t.type, t.node)
        for t in (terms[old] for old in place)
    )
    return Terms(kept, tuple(place[i] for i in inputs), tuple(place[i] for i in outputs), graph)

"""Nested containers of arrays: tuples, lists, named tuples and dicts, taken apart and put together again.

A *tree* is any nesting of these containers; everything else is a leaf. Dict keys keep their sorted order when they
can be sorted, so that two dicts with equal keys always flatten alike. ``None`` is an empty container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TreeShape:
    """How leaves are nested: container type (``None`` for a leaf), dict keys, children."""

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[TreeShape, ...] = ()

    @property
    def n_leaves(self) -> int:
        return 1 if self.kind is None else sum(child.n_leaves for child in self.children)

    def __str__(self) -> str:
        """Such as ``(*, {a: *, b: [*, *]})``, a star for each leaf."""
        if self.kind is None:
            return "*"
        children = [str(child) for child in self.children]
        if self.kind is dict:
            return "{" + ", ".join(f"{key}: {child}" for key, child in zip(self.keys, children, strict=True)) + "}"
        if self.kind is type(None):
            return "None"
        name = "" if self.kind in (tuple, list) else self.kind.__name__
        left, right = "[]" if issubclass(self.kind, list) else "()"
        return name + left + ", ".join(children) + ("," if self.kind is tuple and len(children) == 1 else "") + right

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """Put leaves back in their places.

        Raises
        ------
        ValueError
            If there are more or fewer leaves than places.
        """
        leaves = list(leaves)
        if len(leaves) != self.n_leaves:
            raise ValueError(f"{len(leaves)} leaves for the {self.n_leaves} places of {self}")
        return _build(self, iter(leaves))

    def paths(self, prefix: str = "") -> list[str]:
        """Readable name of each leaf, such as ``w[0].bias``."""
        if self.kind is None:
            return [prefix]
        names = []
        for key, child in zip(self.keys, self.children, strict=True):
            if self.kind is dict:
                step = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
            else:
                step = f"[{key}]"
            names += child.paths((prefix + step).removeprefix("."))
        return names


LEAF = TreeShape(None)


def flatten(tree: Any) -> tuple[list[Any], TreeShape]:
    """List the leaves of a tree and describe its nesting.

    Returns
    -------
    leaves : list
    shape : TreeShape
        ``shape.unflatten(leaves)`` gives the tree back.
    """
    kind = type(tree)
    if tree is None:
        return [], TreeShape(type(None))
    if isinstance(tree, dict):
        try:
            keys = sorted(tree)
        except TypeError:
            keys = list(tree)
        items, kind = [tree[key] for key in keys], dict
    elif isinstance(tree, (tuple, list)):
        items, keys = list(tree), list(range(len(tree)))
    else:
        return [tree], LEAF
    leaves: list[Any] = []
    children = []
    for item in items:
        below, child = flatten(item)
        leaves += below
        children.append(child)
    return leaves, TreeShape(kind, tuple(keys), tuple(children))


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply a function leaf by leaf to one tree, or to several of the same nesting."""
    leaves, shape = flatten(tree)
    columns = [leaves]
    for other in others:
        more, other_shape = flatten(other)
        if other_shape != shape:
            raise ValueError(f"the trees are nested differently: {shape} and {other_shape}")
        columns.append(more)
    return shape.unflatten(function(*row) for row in zip(*columns, strict=True))


def _build(shape: TreeShape, leaves: Iterator[Any]) -> Any:
    if shape.kind is None:
        return next(leaves)
    if shape.kind is type(None):
        return None
    items = [_build(child, leaves) for child in shape.children]
    if shape.kind is dict:
        return dict(zip(shape.keys, items, strict=True))
    if hasattr(shape.kind, "_fields"):  # a named tuple takes its fields one by one
        return shape.kind(*items)
    return shape.kind(items)

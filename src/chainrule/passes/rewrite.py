"""What all passes are made of: a graph built anew, node by node, from an old one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chainrule.graph.graph import Graph, Node


class Rewriter:
    """A new graph in the making.

    Parameters
    ----------
    old : Graph

    Attributes
    ----------
    nodes : list of Node
        The new graph's.
    row_major : list of bool
        For each of them, whether NumPy surely computes a row-major array, given row-major inputs. Sums and products
        depend in their last bits on the order of elements in memory; a rewriting that keeps all bits keeps it too.
    place : list of int
        For each old node dealt with, the position of the new node that has its value.
    """

    def __init__(self, old: Graph) -> None:
        self.old = old
        self.nodes: list[Node] = []
        self.row_major: list[bool] = []
        self.place: list[int] = []

    def moved(self, node: Node) -> Node:
        """An old node, reading the new ones."""
        inputs = tuple([self.place[i] for i in node.inputs])
        return node if inputs == node.inputs else replace(node, inputs=inputs)

    def add(self, node: Node) -> int:
        """Append a node; its position."""
        self.nodes.append(node)
        self.row_major.append(self._is_row_major(node))
        return len(self.nodes) - 1

    def hand_over(self, name: str | None, position: int) -> None:
        """Give a node that takes another one's place its name, unless it has one."""
        node = self.nodes[position]
        if name and not node.name and node.primitive.name != "constant":
            self.nodes[position] = replace(node, name=name)

    def constant(self, position: int) -> np.ndarray | None:
        """The value of a new node that is a constant."""
        node = self.nodes[position]
        return node.params["value"] if node.primitive.name == "constant" else None

    def graph(self) -> Graph:
        """The new graph, with the old one's inputs and outputs."""
        return replace(
            self.old,
            nodes=tuple(self.nodes),
            inputs=tuple([self.place[i] for i in self.old.inputs]),
            outputs=tuple([self.place[i] for i in self.old.outputs]),
        )

    def _is_row_major(self, node: Node) -> bool:
        name = node.primitive.name
        if name == "constant":
            return bool(node.params["value"].flags.c_contiguous)
        if name in _ROW_MAJOR:
            return True
        keeps = name in _KEEP_ROW_MAJOR or node.primitive.lowering in _LOWERINGS_KEEP_ROW_MAJOR
        return keeps and all(self.row_major[i] for i in node.inputs)


_ROW_MAJOR = frozenset(("input", "place", "scatter_add", "uniform"))
_KEEP_ROW_MAJOR = frozenset(("reshape", "concatenate", "pad"))
_LOWERINGS_KEEP_ROW_MAJOR = frozenset(("elementwise", "reduction", "scan", "product"))

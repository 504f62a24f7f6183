"""What is exported: the graph of one row, what the columns that go in mean, and the names of what comes out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.exchange.row_graph import RowGraph
from chainrule.tables import Boolean, Categorical, Numeric
from chainrule.tables.encode import Encoding
from chainrule.tables.schema import Label


@dataclass(frozen=True)
class Predictor:
    """A fitted model without its training: raw columns to parameters of the predictive distribution.

    Parameters
    ----------
    rows : RowGraph
        From the raw matrix, (1, n_columns) in float64, to the outputs, all float64: numbers as they are, true and
        false as 1 and 0, categories as their places from 0, those that training did not have as -1, missing as NaN.
    encodings : sequence of Numeric, Boolean or Categorical
        One per column of the raw matrix.
    named : bool
        Whether the model is of a table, whose columns have names, or of a matrix.
    outputs : tuple of str
        Names of the outputs.
    targets : tuple of str
    classes : tuple of tuples
        Of each target, in the order of the probabilities; empty for numbers.
    conformal : tuple of (float, tuple of float)
        Coverages and, for each target, the probability of the distribution's central interval that has it; empty where
        intervals are the distribution's own.
    """

    rows: RowGraph
    encodings: Sequence[Encoding]
    named: bool
    outputs: tuple[str, ...]
    targets: tuple[str, ...]
    classes: tuple[tuple[Label, ...], ...]
    conformal: tuple[tuple[float, tuple[float, ...]], ...] = ()

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shape of each output for one row, without the rows' axis."""
        graph = self.rows.graph
        return [graph.nodes[i].shape[1:] for i in graph.outputs]

    def notes(self) -> list[str]:
        """Lines that say what goes in and what comes out."""
        lines = ["Columns:"]
        lines += [f"  {k}  {one_line(e.name)}: {_meaning(e)}" for k, e in enumerate(self.encodings)]
        lines.append("Outputs, one per row:")
        for name, shape in zip(self.outputs, self.shapes, strict=True):
            lines.append(f"  {name}" + (f", shape {shape}" if shape else ""))
        lines.append(f"Target: {', '.join(one_line(t) for t in self.targets)}")
        lines += [
            f"  classes of {one_line(t)}, in the order of the probabilities: {one_line(list(c))}"
            for t, c in zip(self.targets, self.classes, strict=True)
            if c
        ]
        for coverage, nominal in self.conformal:
            each = ", ".join(
                f"{p:.6%}" + (f" for {one_line(t)}" if len(nominal) > 1 else "")
                for t, p in zip(self.targets, nominal, strict=True)
            )
            lines.append(f"Conformal: an interval that covers {coverage:.0%} is the central one of {each}")
        return lines


def one_line(value: object) -> str:
    """A name or value as ASCII text within one line, harmless in any comment."""
    text = json.dumps(value)[1:-1] if isinstance(value, str) else json.dumps(value)
    return re.sub(r"\?(?=\?)", "? ", text.replace("*/", "* /").replace("/*", "/ *"))  # ??/ is a trigraph


def _meaning(encoding: Encoding) -> str:
    match encoding:
        case Numeric():
            return "number; NaN is missing"
        case Boolean():
            return "1 is true, 0 is false; NaN is missing"
        case Categorical():
            codes = ", ".join(f"{k} = {one_line(c)}" for k, c in enumerate(encoding.categories))
            return f"category; {codes}; -1 = any other; NaN is missing"

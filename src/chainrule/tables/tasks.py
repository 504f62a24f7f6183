"""What a target is: one of two values, one of several classes, or a number; the rules, each with its reason.

* Two distinct values, of whatever type: *binary* (Bernoulli).
* Other text: *classes* (categorical).
* Whole numbers 1 … k, or 0 … k−1, all of them present, with 3 ≤ k ≤ 20 and at least five rows for each on average, are
  labels: *classes*. Except where they tail off like counts, and are numeric: from 0, where the largest is the rarest
  and comes less than a fifth as often as the commonest; from 1, where both the smallest and the largest do. So a
  quality of 3 … 8 is numeric, species 0, 1, 2 and covers 1 … 7 are classes. With several targets this rule does not
  apply.
* All other numbers: *numeric* (Gaussian), with Poisson suggested for whole numbers from 0 or 1 upwards.

An output named by the user decides instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from chainrule.errors import TableError
from chainrule.tables.cells import counted, is_whole, numbers
from chainrule.tables.kinds import as_floats, is_nested, refuse_infinite, refuse_words, simple, text_meaning
from chainrule.tables.place import Source, listed, place, shown
from chainrule.tables.schema import Column, InputKind, Label, Task

#: outputs that need a task of their own; all others predict numbers
_TASK_OF_OUTPUT: dict[str, Task] = {"bernoulli": "binary", "categorical": "classes"}
_TASK_OF_KIND: dict[InputKind, Task] = {"boolean": "binary", "categorical": "classes", "numeric": "numeric"}
#: the output that fits a task
OUTPUT_OF_TASK: dict[Task, str] = {"binary": "bernoulli", "classes": "categorical", "numeric": "gaussian"}

MOST_LABELS = 20
ROWS_PER_LABEL = 5
RARE = 0.2
MOST_CLASSES = 1000


def target_column(
    column: pl.Series,
    declared: InputKind | None = None,
    output: str | None = None,
    source: Source = None,
    several: bool = False,
) -> Column:
    """Judge a target.

    Parameters
    ----------
    column : polars.Series
    declared : {"numeric", "categorical", "boolean"}, optional
    output : str, optional
        Name of the output distribution, if the user named one.
    source : path, optional
    several : bool
        Whether there are other targets.

    Returns
    -------
    Column
        With role ``target``, the task as its kind, and the classes in the order of their codes.

    Raises
    ------
    TableError
        If the column cannot be predicted so: no or one value, dates, infinite numbers, words among numbers, too many
        classes, not two values for a Bernoulli output, not counts for a Poisson output.
    """
    where = place(source, column=column.name)
    if is_nested(column):
        raise TableError(f"{where}: target cells of type {column.dtype}; make it a column of numbers or text")
    column = simple(column)
    if column.dtype.is_temporal():
        raise TableError(f"{where}: a target of dates or times; make a number of it, such as days since a day")
    present = column.drop_nulls()
    distinct = present.n_unique()
    if distinct < 2:
        what = f"one value only, {shown(present[0])}" if distinct else "no values"
        raise TableError(f"{where}: the target has {what}; a model needs at least two different ones to learn from")
    task = _asked_task(declared, output)
    if column.dtype == pl.String and task in (None, "numeric"):
        _check_text(column, task, source)
        if task == "numeric":
            column, present = numbers(column), numbers(present)
    reason = "declared" if declared is not None else f"as the {output} output needs"
    if task is None:
        task, reason = _natural_task(present, distinct, several)
    if task == "classes" and distinct == 2 and output is None:
        task = "binary"
    facts: dict[str, Any] = {"missing": column.null_count(), "distinct": distinct}
    if task == "numeric":
        return _numbers(column, reason, output, source, facts)
    classes = class_labels(present)
    if task == "binary" and distinct != 2:
        raise TableError(
            f"{where}: the target has {distinct} different values, but a Bernoulli output needs two; "
            "use --output categorical for classes, gaussian for numbers"
        )
    if distinct > min(MOST_CLASSES, len(present) / 2) and distinct > 2:
        digits = present.dtype == pl.String and numbers(present).null_count() == 0
        remedy = (
            "if these digits, padded with zeros or of 17 places and more, are amounts, use --output gaussian"
            if digits
            else "join rare ones, or choose another target"
        )
        counts = f"{distinct} different values in {len(present)} rows"
        raise TableError(f"{where}: the target has {counts}, too many for classes; {remedy}")
    reason = f"{reason}: {listed(classes, 6)}"
    return Column(name=column.name, role="target", kind=task, reason=reason, categories=classes, **facts)


def class_labels(present: pl.Series) -> tuple[Label, ...]:
    """Distinct values in ascending order, whole numbers as integers."""
    if present.dtype.is_numeric() and is_whole(present):
        present = present.cast(pl.Int64)
    return tuple(present.unique().sort().to_list())


def _asked_task(declared: InputKind | None, output: str | None) -> Task | None:
    if output is not None:
        return _TASK_OF_OUTPUT.get(output, "numeric")
    return None if declared is None else _TASK_OF_KIND[declared]


def _check_text(column: pl.Series, task: Task | None, source: Source) -> None:
    """Text is numbers if they are asked for, else classes: refuse dates, and numbers with words among them."""
    if task == "numeric":
        refuse_words(column, source, "--output categorical")
    elif text_meaning(column, source) == "dates":
        where = place(source, column=column.name)
        raise TableError(f"{where}: a target of dates or times; make a number of it, such as days since a day")


def _natural_task(present: pl.Series, distinct: int, several: bool) -> tuple[Task, str]:
    if distinct == 2:
        return "binary", "two values"
    if present.dtype == pl.String:
        return "classes", f"{distinct} classes"
    if not several and _are_labels(present, distinct):
        return "classes", f"{distinct} whole numbers that look like labels"
    return "numeric", "numbers"


def _are_labels(present: pl.Series, distinct: int) -> bool:
    if not 3 <= distinct <= MOST_LABELS or len(present) < ROWS_PER_LABEL * distinct or not is_whole(present):
        return False
    values, times = (part.to_list() for part in counted(present.cast(pl.Int64)))
    first, rare = values[0], RARE * max(times)
    if first not in (0, 1) or values[-1] != first + distinct - 1:
        return False
    tails_off = times[-1] < rare and (times[-1] == min(times) if first == 0 else times[0] < rare)
    return not tails_off


def _numbers(column: pl.Series, reason: str, output: str | None, source: Source, facts: dict[str, Any]) -> Column:
    values = as_floats(column)
    refuse_infinite(column.name, values, source)
    if output == "poisson":
        wrong = (values < 0) | (values != np.floor(values)) & np.isfinite(values)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise TableError(
                f"{place(source, row, column.name)}: {values[row]:g} is not a count, which a Poisson output needs; "
                "use --output gaussian"
            )
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    whole = "whole numbers" if is_whole(simple(column)) else "numbers"
    reason = f"{whole} from {low:g} to {high:g}" + ("" if reason == "numbers" else f", {reason}")
    return Column(name=column.name, role="target", kind="numeric", reason=reason, low=low, high=high, **facts)


def suggestion(column: Column) -> str:
    """What else a target might be; empty if nothing comes to mind."""
    if column.kind == "numeric" and column.reason.startswith("whole") and column.low is not None:
        hints = []
        if 0 <= column.low <= 1 or (0 <= column.low < 10 and column.distinct <= MOST_LABELS):
            hints.append("counts something, --output poisson suits it better")
        if column.distinct <= MOST_LABELS:
            hints.append("holds labels, not amounts, use --output categorical")
        return f"if {shown(column.name)} {'; if it '.join(hints)}" if hints else ""
    if column.kind == "classes" and not isinstance(column.categories[0], str):
        return f"if the values of {shown(column.name)} are amounts, not labels, use --output gaussian or poisson"
    return ""

"""From a table to its schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

import polars as pl

from chainrule.errors import OptionError, TableError
from chainrule.tables.kinds import dropped, input_column
from chainrule.tables.place import Source, listed, option, shown, source_name, unknown_column
from chainrule.tables.schema import Column, InputKind, Schema, Task
from chainrule.tables.tasks import OUTPUT_OF_TASK, suggestion, target_column


def infer_schema(
    frame: pl.DataFrame,
    *,
    target: str | Sequence[str] = (),
    types: Mapping[str, InputKind] | None = None,
    drop: Sequence[str] = (),
    output: str | None = None,
    source: Source = None,
) -> Schema:
    """Find out what each column of a table is.

    Parameters
    ----------
    frame : polars.DataFrame
        The whole table.
    target : str or sequence of str
        Columns to predict.
    types : mapping of str to {"numeric", "categorical", "boolean"}, optional
        What columns are, where the user says so. For a target: numbers, classes, one of two values.
    drop : sequence of str
        Columns to leave out.
    output : str, optional
        The output distribution, where the user names one: it decides what the targets are.
    source : path, optional
        The file the table comes from, for messages.

    Returns
    -------
    Schema

    Raises
    ------
    TableError
        In one line, for names that are no columns, a table without rows or usable inputs, targets of different kinds,
        and for whatever `chainrule.tables.kinds` and `chainrule.tables.tasks` refuse.
    """
    targets = (target,) if isinstance(target, str) else tuple(target)
    types = dict(types or {})
    prefix = f"{source_name(source)}: " if source is not None else ""
    for name in (*targets, *types, *drop):
        if name not in frame.columns:
            raise unknown_column(source, name, frame.columns)
    for name, kind in types.items():
        if kind not in get_args(InputKind):
            raise OptionError(
                f"{option('--type', name, str(kind))}: there is no kind {shown(kind)}; "
                f"choose {', '.join(get_args(InputKind))}"
            )
    for name in targets:
        if name in drop:
            raise OptionError(f"{option('--drop', name)}: {shown(name)} is a target too; leave one of the two out")
        if targets.count(name) > 1:
            raise OptionError(f"the target {shown(name)} is named twice; name it once")
    if not frame.height:
        raise TableError(f"{prefix}the table has no rows; add some")
    candidates = [name for name in frame.columns if name not in targets and name not in drop]
    columns = []
    for column in frame.iter_columns():
        declared = types.get(column.name)
        if column.name in targets:
            columns.append(target_column(column, declared, output, source, len(targets) > 1))
        elif column.name in drop:
            columns.append(dropped(column.name, "unwanted", "as asked"))
        else:
            columns.append(input_column(column, declared, source, len(candidates) == 1))
    by_name = {c.name: c for c in columns}
    chosen = [by_name[name] for name in targets]
    task = _common_task(chosen, prefix)
    if not any(c.role == "input" for c in columns):
        reasons = ", ".join(f"{shown(c.name)} ({c.reason})" for c in columns if c.role == "dropped")[:200]
        keep = "keep one with --type COLUMN=numeric|categorical" if source is not None else "add others"
        why = f"; left out: {reasons}; {keep}" if reasons else "; add some"
        raise TableError(f"{prefix}no column is left to predict from{why}")
    return Schema(
        columns=tuple(columns),
        rows=frame.height,
        targets=targets,
        task=task,
        output=output or (OUTPUT_OF_TASK[task] if task else ""),
        suggestion="" if output is not None or not chosen else suggestion(chosen[0]),
    )


def _common_task(targets: Sequence[Column], prefix: str) -> Task | None:
    """The task of all targets, which must be the same."""
    if not targets:
        return None
    first = targets[0]
    for column in targets:
        if column.kind != first.kind:
            raise TableError(
                f"{prefix}targets {shown(first.name)} ({first.kind}) and {shown(column.name)} ({column.kind}) are of "
                "different kinds; fit one model for each, or make them alike with --type COLUMN=numeric|boolean"
            )
    if len(targets) > 1 and first.kind == "classes":
        raise TableError(
            f"{prefix}targets {listed(c.name for c in targets)} have several classes each; fit one model for each"
        )
    if first.kind == "binary" or first.kind == "classes" or first.kind == "numeric":
        return first.kind
    raise AssertionError(first.kind)

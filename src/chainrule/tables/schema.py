"""What the columns of a table are, as plain data: inputs, targets and what is left out, with the reason in words."""

from __future__ import annotations

from typing import Literal

import msgspec

from chainrule.tables.place import listed

#: what a column can be declared as
InputKind = Literal["numeric", "categorical", "boolean"]
#: why a column cannot be an input
DroppedKind = Literal["date", "text", "identifier", "constant", "empty", "nested", "unwanted"]
#: what is predicted: one of two values, one of several classes, a number
Task = Literal["binary", "classes", "numeric"]
Kind = InputKind | DroppedKind | Task
#: a category or class as the table has it
Label = bool | int | float | str


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One column.

    Parameters
    ----------
    name : str
    role : {"input", "target", "dropped"}
    kind : str
        An `InputKind`, a `Task` for targets, a `DroppedKind` for what is left out.
    reason : str
        Why, in words.
    missing : int
        Number of missing cells.
    distinct : int
        Number of distinct values, missing ones not counted.
    categories : tuple of labels
        Categories of a categorical input (text), classes of a target in the order of their codes.
    low, high : float, optional
        Smallest and largest number.
    """

    name: str
    role: Literal["input", "target", "dropped"]
    kind: Kind
    reason: str
    missing: int = 0
    distinct: int = 0
    categories: tuple[Label, ...] = ()
    low: float | None = None
    high: float | None = None


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was made of a table.

    Parameters
    ----------
    columns : tuple of Column
        In the table's order.
    rows : int
    targets : tuple of str
        In the order they were asked for.
    task : {"binary", "classes", "numeric"} or None
        The same for all targets; ``None`` without one.
    output : str
        The output distribution that fits the task, or the one asked for: ``bernoulli``, ``categorical``, ``gaussian``
        …; empty without a target.
    suggestion : str
        What else the target might be; may be empty.
    """

    columns: tuple[Column, ...]
    rows: int
    targets: tuple[str, ...] = ()
    task: Task | None = None
    output: str = ""
    suggestion: str = ""

    @property
    def inputs(self) -> tuple[Column, ...]:
        """Columns the model takes."""
        return tuple(c for c in self.columns if c.role == "input")

    @property
    def target_columns(self) -> tuple[Column, ...]:
        """Columns the model predicts, in the order they were asked for."""
        return tuple(self[name] for name in self.targets)

    @property
    def dropped(self) -> tuple[Column, ...]:
        """Columns left out."""
        return tuple(c for c in self.columns if c.role == "dropped")

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def lines(self) -> list[str]:
        """What was inferred, why, and how to override it, for people to read."""
        width = max((len(_plain(c.name)) for c in self.columns), default=0)
        roles = [_role(c) for c in self.columns]
        role_width = max((len(r) for r in roles), default=0)
        lines = [f"{self.rows} rows, {len(self.inputs)} input column{'s' if len(self.inputs) != 1 else ''}"]
        lines += [
            f"  {_plain(c.name):<{width}}  {role:<{role_width}}  {c.reason}{_missing(c)}"
            for c, role in zip(self.columns, roles, strict=True)
        ]
        if self.targets:
            lines.append(f"output: {self.output}, because {self._because()}")
        if self.suggestion:
            lines.append(f"suggestion: {self.suggestion}")
        output = " --output NAME," if self.targets else ""
        lines.append(f"to override:{output} --type COLUMN=numeric|categorical|boolean, --drop COLUMN")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _because(self) -> str:
        what = {"binary": "two values", "classes": "several classes", "numeric": "numbers", None: ""}[self.task]
        each = "each of " if len(self.targets) > 1 else ""
        asked = "" if self.output in ("bernoulli", "categorical", "gaussian") else "it was asked for, and "
        return f"{asked}{each}{listed(self.targets)} has {what}"


def _plain(name: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def _role(column: Column) -> str:
    if column.role == "target":
        return f"target, {column.kind}"
    return column.kind if column.role == "input" else "dropped"


def _missing(column: Column) -> str:
    return f"; {column.missing} missing" if column.missing and column.kind != "empty" else ""

"""What a report is made of: tables with a note below."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A table, its first row the heading, and a line below it.

    Parameters
    ----------
    rows : list of lists of str
        All of one length; none for a note alone.
    note : str
    """

    rows: list[list[str]]
    note: str = ""


def mark(reached: bool) -> str:
    """What stands behind a number that was to reach something."""
    return " " if reached else "!"

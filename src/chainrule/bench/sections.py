"""What a report is made of: tables with a note below."""

from __future__ import annotations

from collections.abc import Mapping
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


QUICK = "a quick run: few steps, repeated little; it shows that everything runs, not how fast, and no aim is judged"


def digits(x: float, n: int = 4) -> str:
    """A positive number with so many digits, never as a power of ten."""
    text = f"{x:.{n}g}"
    return f"{float(text):.0f}" if "e+" in text else text


def mark(reached: bool) -> str:
    """What stands behind a number that was to reach something."""
    return " " if reached else "!"


def verdict(aims: Mapping[str, bool]) -> str:
    """How many aims were reached, and which were not."""
    missed = [name for name, reached in aims.items() if not reached]
    text = f"aims held: {len(aims) - len(missed)} of {len(aims)}"
    return f"{text}; missed: {', '.join(missed)}" if missed else text

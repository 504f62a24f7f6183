"""What the commands print: aligned tables and a progress line."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from chainrule.models.model import Model


def plain(text: str) -> str:
    """Text with its control characters written out, but for ends of lines: names in files may be anybody's."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def named(name: str | Path | None) -> str:
    """A name of a file or a column on one line: those from elsewhere may hold anything."""
    return plain(str(name)).replace("\n", "\\n")


def say(*lines: object) -> None:
    """Print lines, control characters written out."""
    print(*(plain(str(line)) for line in lines), sep="\n")


def warn(text: object) -> None:
    """Print a warning, control characters written out."""
    print(f"chainrule: warning: {named(str(text))}", file=sys.stderr)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of an aligned table, the first column to the left, all others to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def score_lines(scored: Mapping[str, Mapping[str, float]], mark: bool = True) -> list[str]:
    """Scores side by side, of several models the best of each column marked with *."""
    from chainrule.models.scores import MEANINGS

    names = list(next(iter(scored.values())))

    def best(name: str, target: str) -> float | None:
        values = [s[name] for label, s in scored.items() if label.endswith(target)]
        if not mark or name not in MEANINGS or name == "cover 90%":
            return None
        return max(values) if MEANINGS[name][1] else min(values)

    rows = [["", *(f"{n} " for n in names)]]
    for model, values in scored.items():
        target = "".join(model.partition(", ")[1:])  # of several targets each has a best of its own
        rows.append([model, *(number(values[n]) + ("*" if values[n] == best(n, target) else " ") for n in names)])
    return [line.rstrip() for line in table(rows)]


def number(value: float) -> str:
    """A score with four digits that matter."""
    if value != value:  # such as R² of a single row
        return "—"
    if abs(value) < 1e-3 or abs(value) >= 1e4:
        return f"{value:.4g}"
    return f"{value:.{min(4, 6 - len(str(int(abs(value)))))}f}"


def encoded(model: Model, frame: pl.DataFrame, source: Path) -> list[np.ndarray]:
    """What the model reads of a table; categories that it does not know are told."""
    matrix = model.inputs.encoder.to_matrix(frame, source)
    for line in model.inputs.encoder.unseen(matrix, frame):
        warn(f"{source}: {line}")
    return [matrix]


class Progress:
    """A line that follows the training: rewritten in place on a terminal, printed now and then elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self.live = sys.stderr.isatty()
        self.quiet = quiet
        self._last = 0.0
        self._runs = 0
        self._epochs = 0

    def __call__(self, training: Any) -> None:
        """Note an epoch."""
        if training.epoch == 1:
            self._runs += 1
        self._epochs = training.epoch
        now = time.monotonic()
        pause = 0.1 if self.live else 2.0
        if self.quiet or now - self._last < pause:
            return
        self._last = now
        self._write(training, end="" if self.live else "\n")

    def _write(self, training: Any, end: str) -> None:
        curves = training.curves
        text = f"  epoch {training.epoch}  training loss {number(curves.training[-1])}"
        if curves.validation:
            best = f"best {number(training.best_loss)} (epoch {training.best_epoch})"
            text += f"  validation {number(curves.validation[-1])}  {best}"
        if self._runs > 1:
            text = f"  training {self._runs}{text}"
        print(("\r\x1b[2K" if self.live else "") + text, end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the line away."""
        if self.live and not self.quiet:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

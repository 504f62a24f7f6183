"""What a case of bad input is, and the judge of all of them: used by the tests and by ``benchmarks.reliability``.

A case is refused in one line that names what is wrong and what to do, leaving nothing behind; or it is a documented
success, whose numbers are finite. It never ends otherwise.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chainrule.cli import run
from chainrule.errors import ChainruleError
from chainrule.models.model import load_model

#: a file's content, or what makes the file
Content = str | bytes | Callable[[Path], Any]
#: longest message that is still read
LONGEST = 600


@dataclass(frozen=True)
class Command:
    """A command in a folder of its own.

    Parameters
    ----------
    name : str
    arguments : str
        Separated by blanks.
    says : sequence of str
        Pieces of the line on stderr, in this order; none for a success.
    files : mapping
        What is in the folder, by name.
    """

    name: str
    arguments: str
    says: Sequence[str] = ()
    files: Mapping[str, Content] = field(default_factory=dict)

    def problem(self, folder: Path) -> str:
        """Run it in an empty folder; what is wrong with the outcome, or nothing."""
        for file, content in self.files.items():
            if callable(content):
                content(folder / file)
            else:
                (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)
        before = _listing(folder)
        try:
            status, said = self._run(folder)
        except Exception as error:
            return f"ends with {type(error).__name__}: {error}"
        lines = said.strip().splitlines()
        if "Traceback" in said:
            return f"a traceback: {lines[-1]}"
        if not self.says:
            return f"status {status}: {said.strip()}" if status else _not_finite(folder)
        if status != 1:
            return f"status {status}, expected a refusal"
        refusals = [line for line in lines if line.startswith("chainrule: ")]
        if len(lines) != 1 or len(refusals) != 1:
            return f"{len(lines)} lines, expected one: {said.strip()}"
        if _listing(folder) != before:
            return f"left or changed files: {sorted(set(_listing(folder)) ^ set(before))}"
        return _misses(lines[0], self.says)

    def _run(self, folder: Path) -> tuple[int, str]:
        error, here = io.StringIO(), os.getcwd()
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(_Screen()), contextlib.redirect_stderr(error), warnings.catch_warnings():
                warnings.simplefilter("always")
                return run(self.arguments.split()), error.getvalue()
        finally:
            os.chdir(here)


@dataclass(frozen=True)
class Call:
    """A call from Python.

    Parameters
    ----------
    name : str
    act : callable
        Without arguments. Of a success it returns the numbers that must be finite.
    says : sequence of str
        Pieces of the message, in this order; none for a success.
    raises : type or tuple of types
        What scikit-learn or Python demand, where it is not one of ours; scikit-learn's own messages are longer.
    """

    name: str
    act: Callable[[], Any]
    says: Sequence[str] = ()
    raises: type[BaseException] | tuple[type[BaseException], ...] = ChainruleError

    def problem(self, folder: Path) -> str:
        """Call it; what is wrong with the outcome, or nothing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = self.act()
            except self.raises as error:
                line = str(error) if isinstance(error, ChainruleError) else " ".join(str(error).split())
                return _misses(line, self.says, 10 * LONGEST) if self.says else f"refused: {line}"
            except Exception as error:
                return f"{type(error).__name__}, expected {self.raises}: {error}"
        if self.says:
            return f"no refusal, but {found!r}"
        numbers = np.asarray(found)
        return "" if numbers.dtype.kind not in "fc" or np.isfinite(numbers).all() else f"not finite: {found!r}"


Case = Command | Call


class _Screen(io.TextIOWrapper):
    """Takes everything, as a screen does."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", errors="surrogateescape", write_through=True)


def _misses(line: str, pieces: Sequence[str], longest: int = LONGEST) -> str:
    """What a message lacks."""
    if "\n" in line:
        return f"more than one line: {line}"
    if len(line) > longest:
        return f"{len(line)} characters: {line[:200]}"
    if not line.isprintable():
        return f"control characters: {line!r}"
    at = 0
    for piece in pieces:
        found = line.find(piece, at)
        if found < 0:
            return f"lacks {piece!r}: {line}"
        at = found + len(piece)
    return ""


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Files with their sizes and times of change; what is unlinked, renamed or half-written shows."""
    return {str(p.relative_to(folder)): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())


def _not_finite(folder: Path) -> str:
    """Which model or prediction of a success holds a number that is not finite."""
    for path in _walk(folder):
        if path.suffix == ".chainrule":
            model = load_model(path)
            if not all(np.isfinite(member.theta).all() for member in model.members):
                return f"{path.name}: parameters that are not finite"
        if path.name.startswith("predictions"):
            frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
            numbers = frame.select(pl.selectors.float()).to_numpy()
            if not frame.height or not np.isfinite(numbers).all():
                return f"{path.name}: no rows, or predictions that are not finite"
    return ""

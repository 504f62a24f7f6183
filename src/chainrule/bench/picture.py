"""The comparison as a picture: one bar per contender at its best, microseconds per step on a logarithmic axis."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from chainrule.bench.training import TrainingReport
from chainrule.errors import OptionError


def draw(report: TrainingReport, place: Path) -> None:
    """Write the picture (PNG, SVG or PDF, by the file's ending).

    Raises
    ------
    OptionError
        If matplotlib is not installed.
    """
    try:
        figure_module: Any = import_module("matplotlib.figure")
    except ImportError:
        raise OptionError("a picture needs matplotlib: install chainrule[show]") from None
    peers = list(dict.fromkeys(r.peer for results in report.races.values() for r in results))
    figure = figure_module.Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(len(peers), 1)
    for k, peer in enumerate(peers):
        times = [min(r.microseconds for r in results if r.peer == peer) for results in report.races.values()]
        places = [n + (k - (len(peers) - 1) / 2) * width for n in range(len(times))]
        bars = axes.bar(places, times, width, label=peer)
        axes.bar_label(bars, [_short(t) for t in times], fontsize=7)
    axes.set_yscale("log")
    axes.set_xticks(range(len(report.races)), list(report.races))
    axes.set_ylabel("microseconds per training step")
    axes.set_title(report.machine.lines()[0], fontsize=8)
    axes.legend()
    figure.savefig(place)


def _short(microseconds: float) -> str:
    """Two or three digits, as wide as a bar."""
    if microseconds >= 1e4:
        return f"{microseconds / 1e3:.0f}k"
    return f"{microseconds:.0f}" if microseconds >= 100 else f"{microseconds:.2g}"

"""How figures look: one palette, one typography, no global state of matplotlib's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: colours of lines and points, told apart by colour-blind readers too (Okabe & Ito 2008, "Color universal design")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Inter", "Source Sans 3", "Helvetica Neue", "Arial", "DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "semibold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.dpi": 110,
    "savefig.bbox": "tight",
    "svg.fonttype": "none",
    "svg.hashsalt": "chainrule",
}


def require_matplotlib() -> None:
    """Say what to install where matplotlib is not.

    Raises
    ------
    OptionError
        If it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise OptionError('figures need matplotlib; install it with pip install "chainrule[show]"')


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside look like chainrule's; the user's own settings are left as they were.

    Raises
    ------
    OptionError
        If matplotlib is not installed.
    """
    require_matplotlib()
    import logging

    from matplotlib import rc_context

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)  # a font that is not there is no news: the list ends in one that always is
    try:
        with rc_context(_SETTINGS):
            yield
    finally:
        fonts.setLevel(level)


def panels(columns: int, rows: int = 1, width: float = 4.0, height: float = 3.4) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, each of so many inches; without pyplot, so that nothing is shown or kept."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.ravel())


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure; the kind is that of the file's ending (png, svg, pdf).

    Raises
    ------
    OptionError
        If the ending is none of these, or the file cannot be written.
    """
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "svg", "pdf"):
        raise OptionError(f"{os.fspath(path)}: a figure is written as .png, .svg or .pdf")
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]  # same figure, same bytes
    try:
        with styled():
            figure.savefig(path, format=kind, dpi=160, metadata=metadata)
    except OSError as error:
        raise OptionError(f"{os.fspath(path)}: cannot be written ({error.strerror or error})") from None

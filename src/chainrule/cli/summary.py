"""``chainrule summary``: what a model consists of, layer by layer."""

from __future__ import annotations

from pathlib import Path


def summary(model: Path) -> None:
    """Show what a model consists of: layers, units, shapes, parameters, memory, operations and measured time.

    Parameters
    ----------
    model
        Model file.
    """
    from chainrule.cli.terminal import plain
    from chainrule.models.model import load_model
    from chainrule.models.summary import summary as describe

    print(plain(f"{model}: {describe(load_model(model))}"))

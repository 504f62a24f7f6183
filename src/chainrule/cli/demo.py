"""``chainrule demo``: the subject matter, live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.errors import OptionError


def demo(
    name: str | None = None,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Page to write; NAME.html in this folder by default.")
    ] = None,
    seed: Annotated[int, Parameter(help="Of everything random.")] = 0,
) -> None:
    """Run a demo of the subject matter in the terminal, and write its page with the figures.

    Without a name: list the demos.

    Parameters
    ----------
    name
        Which one.
    """
    from chainrule.files import check_writable
    from chainrule.show.demos import demo_names, demo_of_name
    from chainrule.show.demos.narration import Narration
    from chainrule.show.document import Document
    from chainrule.show.style import require_matplotlib

    if name is None:
        names = demo_names()
        width = max(map(len, names))
        for each in names:
            print(f"  {each.ljust(width)}  {demo_of_name(each).title}")
        return
    if seed < 0:
        raise OptionError(f"--seed must be at least 0, got {seed}")
    chosen = demo_of_name(name)
    require_matplotlib()
    path = output if output is not None else Path(f"{name}.html")
    check_writable(path)
    page = Document(chosen.title, f"`chainrule demo {name} --seed {seed}`")
    print(chosen.title)
    narration = Narration(page, print, seed, path.with_name(f"{path.stem}-graph.html"))
    chosen.run(narration)
    page.write(path)
    graph = f"\ngraph:   {narration.graph_page}, to step through" if narration.graph_page else ""
    print(f"\nfigures: {path}{graph}")

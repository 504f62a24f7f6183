"""``chainrule play``: watch a network train, on made-up data or a table, in a page on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.errors import OptionError


def play(
    data: Path | None = None,
    *,
    target: Annotated[str | None, Parameter(help="Column to predict; the last one by default.")] = None,
    axes: Annotated[str | None, Parameter(help="Columns to look at, such as height,weight.")] = None,
    port: Annotated[int, Parameter(help="To listen on; a free one by default.")] = 0,
    open_browser: Annotated[bool, Parameter(name="--open", help="Open the page in the browser.")] = False,
) -> None:
    """Watch a network train: decision surface or predictive density, curves, units and weights, step by step.

    The page is served on this machine's loopback address only, until Ctrl-C.

    Parameters
    ----------
    data
        Table to learn; without, made-up sets to choose from.
    """
    import webbrowser

    from chainrule.show.play.data import of_table
    from chainrule.show.play.server import Playground, address, serve

    if not 0 <= port < 2**16:
        raise OptionError(f"--port must lie between 0 and {2**16 - 1}, got {port}")
    names = (target,) if target else ()
    looked_at = tuple(a.strip() for a in axes.split(",")) if axes else ()
    if len(set(looked_at)) < len(looked_at):
        raise OptionError(f"--axes names a column twice in {axes!r}; name two different ones, such as height,weight")
    playground = Playground(None if data is None else of_table(data, names, looked_at))
    server = serve(playground, port)
    print(f"playground: {address(server, playground)}\n(this machine only; Ctrl-C stops it)", flush=True)
    if open_browser:
        webbrowser.open(address(server, playground))
    try:
        server.serve_forever()
    finally:
        playground.close()
        server.server_close()

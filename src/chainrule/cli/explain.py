"""``chainrule explain``: how a model comes to its prediction for one row, as a page to step through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def explain(
    model: Path,
    data: Path,
    *,
    row: Annotated[int, Parameter(help="Which row of the table, counted from 1.")] = 1,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="Page to write.")] = Path("explain.html"),
    member: Annotated[
        int | None, Parameter(help="One network of an ensemble, counted from 1; all of them by default.")
    ] = None,
    missing: Annotated[list[str] | None, Parameter(help="Further spelling of a missing value.")] = None,
) -> None:
    """Explain a prediction: a page with the model's graph for one row, every value and gradient in it.

    The page is one file that needs no network. It steps forward through the values, and back through the gradients of
    the cost: the negative log-likelihood of the row where the table has the target, else the prediction. Sliders answer
    "what if" in the page. An ensemble is shown as a whole; where that is too much for a page, by the network whose
    prediction is nearest to the ensemble's.

    Parameters
    ----------
    model
        Model file.
    data
        Table with the model's columns.
    """
    from chainrule.cli.terminal import named, plain
    from chainrule.errors import OptionError
    from chainrule.files import check_writable, refuse_same_file, write_atomically
    from chainrule.models.model import load_model
    from chainrule.show.explain import explain as explain_row
    from chainrule.show.page import page
    from chainrule.tables import read_table

    check_writable(output)
    refuse_same_file(output, data, model)
    fitted = load_model(model)
    frame = read_table(data, missing=missing or ())
    if not 1 <= row <= frame.height:
        raise OptionError(f"--row must lie between 1 and {frame.height}, the rows of {data}, got {row}")
    if member is not None and not 1 <= member <= len(fitted.members):
        raise OptionError(f"--member must lie between 1 and {len(fitted.members)}, the model's networks, got {member}")
    one = frame[row - 1 : row]
    names = fitted.target.names
    observed = set(names) <= set(one.columns) and all(one[name].null_count() == 0 for name in names)
    y = fitted.target.to_array(one, data)[0] if observed else None
    cells = fitted.inputs.encoder.to_matrix(one, data)[0]
    title = f"{', '.join(names)} of {data.name}, row {row}"
    story, show = explain_row(fitted, cells, y, member=None if member is None else member - 1, title=title)
    write_atomically(output, page(story, show).encode())
    print(
        f"{named(output)}: {plain(', '.join(names))} of row {row} of {named(data)}, step by step; open it in a browser"
    )

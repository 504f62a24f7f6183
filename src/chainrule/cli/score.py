"""``chainrule score``: how good a model is on a table that has the target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.errors import TableError


def score(
    model: Path,
    data: Path,
    *,
    weight: Annotated[str | None, Parameter(help="Column of row weights.")] = None,
    missing: Annotated[list[str] | None, Parameter(help="Further spelling of a missing value.")] = None,
    drop_missing_target: Annotated[bool, Parameter(help="Leave out rows without a target.")] = False,
) -> None:
    """Score a model on a table that has the target.

    Parameters
    ----------
    model
        Model file.
    data
        Table with the model's columns and its target.
    """
    from chainrule.cli.terminal import encoded, named, say, score_lines, table
    from chainrule.models.baselines import scored_each
    from chainrule.models.model import load_model
    from chainrule.models.scores import MEANINGS
    from chainrule.models.table import row_weights
    from chainrule.tables import complete_rows, read_table
    from chainrule.tables.target import refuse_far

    fitted = load_model(model)
    frame = read_table(data, missing=missing or ())
    frame = complete_rows(frame, fitted.target.names, drop=drop_missing_target, source=data)
    y = fitted.target.to_array(frame, data)
    if fitted.target.task == "numeric":
        refuse_far(fitted.target.names, y, data)
    try:
        fitted.output.check_target(y)
    except TableError as error:
        raise TableError(f"{data}: {error}") from None
    distribution = fitted.distribution(encoded(fitted, frame, data))
    scored = scored_each("", distribution, fitted.target, y, row_weights(frame, weight, data), fitted)
    say(f"{named(model)} on {named(data)}: {frame.height} rows")
    if len(scored) > 1:  # each target by itself: they have units of their own
        each = {name.removeprefix(", "): values for name, values in scored.items()}
        say(*(f"  {line}" for line in score_lines(each, mark=False)))
        say(*(f"  {name}: {MEANINGS[name][0]}" for name in next(iter(each.values()))))
        return
    rows = [[name, f"{value:.6g}", f" {MEANINGS[name][0]}"] for name, value in scored[""].items()]
    for line, row in zip(table([r[:2] for r in rows]), rows, strict=True):
        say(f"  {line}  {row[2]}")

"""``chainrule check``: the gradient of a model on a table, compared with differences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def check(
    model: Path,
    data: Path,
    *,
    rows: Annotated[int, Parameter(help="Check on so many rows, drawn at random if there are more.")] = 32,
    seed: Annotated[int, Parameter(help="Of the random choices.")] = 0,
    missing: Annotated[list[str] | None, Parameter(help="Further spelling of a missing value.")] = None,
) -> None:
    """Check the gradient of a model on a table: every parameter, every operation, every row.

    Back-propagation's derivatives are compared with complex steps, or with differences of the loss extrapolated to step
    zero. Kinks (of ReLU, of a maximum) are told from faults. The exit status is 0 if nothing is wrong.

    Parameters
    ----------
    model
        Model file.
    data
        Table with the model's columns and its target; rows without a target are left out.
    """
    import numpy as np

    from chainrule.cli.terminal import named, say
    from chainrule.errors import GradientError, OptionError
    from chainrule.models.check import STORED, check_model
    from chainrule.models.model import load_model
    from chainrule.tables import complete_rows, read_table
    from chainrule.tables.place import place

    if rows < 1:
        raise OptionError(f"--rows must be at least 1, got {rows}")
    if seed < 0:
        raise OptionError(f"--seed must be at least 0, got {seed}")
    fitted = load_model(model)
    frame = read_table(data, missing=missing or ()).with_row_index("")
    given = frame.height
    frame = complete_rows(frame, fitted.target.names, drop=True, source=data)
    y = fitted.target.to_array(frame, data)
    x = fitted.inputs.encoder.to_matrix(frame, data)
    limit = rows if fitted.network is not None else min(rows, STORED)
    chosen = np.arange(len(y))
    if len(y) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(len(y), limit, replace=False))
    checks = check_model(fitted, [x[chosen]], y[chosen], seed=seed)
    numbers = frame[""].to_numpy()[chosen]
    n_parameters = fitted.members[0].theta.size
    left = f" ({given - len(y)} without a target left out)" if given > len(y) else ""
    say(f"{named(model)} on {named(data)}: {len(chosen)} of {len(y)} rows{left}, {n_parameters} parameters")
    for k, each in enumerate(checks, start=1):
        if len(checks) > 1:
            say(f"network {k} of {len(checks)}")
        say(each.gradient)
        worst = each.rows.worst
        found = {verdict: each.rows.at(verdict) for verdict in ("fault", "kink", "unclear")}
        notes = [f"{len(at)} {_WORDS[verdict]}" for verdict, at in found.items() if at]
        right = len(chosen) - sum(map(len, found.values()))
        say(f"  rows, along random directions: {', '.join([f'{right} right', *notes])}")
        say(f"    worst: {place(data, int(numbers[worst]))}: {each.rows.comparisons[worst]}")
        for at in found["kink"][:4]:
            say(f"    kink:  {place(data, int(numbers[at]))}: {each.rows.comparisons[at]}")
    for k, each in enumerate(checks, start=1):
        if not each.ok:
            name = f"network {k}: " if len(checks) > 1 else ""
            if not each.gradient.ok:
                raise GradientError(f"{name}{each.gradient.summary}")
            worst = each.rows.worst
            where = place(data, int(numbers[worst]))
            raise GradientError(f"{name}{where}: wrong gradient: {each.rows.comparisons[worst]}")
    whose = f"the gradients of all {len(checks)} networks are" if len(checks) > 1 else "the gradient is"
    say(f"{whose} right")


_WORDS = {"fault": "wrong", "kink": "at kinks", "unclear": "unclear"}

"""``chainrule predict``: a table of predictions from a model file and a table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.errors import OptionError, TableError

if TYPE_CHECKING:
    import polars as pl

    from chainrule.models.model import Model
    from chainrule.outputs import Distribution


def predict(
    model: Path,
    data: Path,
    *,
    output: Annotated[
        Path | None,
        Parameter(
            name=["--output", "-o"],
            allow_leading_hyphen=True,
            help="CSV or Parquet file to write; - for the screen, as by default.",
        ),
    ] = None,
    interval: Annotated[
        float | None, Parameter(help="Add the central interval of this probability, such as 0.9.")
    ] = None,
    quantiles: Annotated[str | None, Parameter(help="Add these quantiles, such as 0.1,0.5,0.9.")] = None,
    missing: Annotated[list[str] | None, Parameter(help="Further spelling of a missing value.")] = None,
) -> None:
    """Predict every row of a table: one row out per row in, in the same order.

    Columns: prediction (the mean, or the most probable class); p_<class> for classes; lower and upper with --interval;
    q0.1 … with --quantiles. Several targets have their names appended,
    in quotation marks where two columns would have the same name.

    Parameters
    ----------
    model
        Model file.
    data
        Table with the columns the model was trained on; others are ignored.
    """
    from chainrule.cli.terminal import named, plain
    from chainrule.files import refuse_same_file
    from chainrule.models.model import load_model
    from chainrule.tables import check_writable, read_table, write_table

    levels = parse_quantiles(quantiles)
    if interval is not None and not 0.0 < interval < 1.0:
        raise OptionError(f"--interval must lie between 0 and 1, such as 0.9; got {interval}")
    if output == Path("-"):
        output = None
    if output is not None:
        check_writable(output)
        refuse_same_file(output, data, model)
    fitted = load_model(model)
    frame = read_table(data, missing=missing or ())
    table = prediction_table(fitted, frame, data, interval, levels)
    if output is None:
        text = table.write_csv()
        sys.stdout.write(plain(text) if sys.stdout.isatty() else text)
    else:
        write_table(table, output)
        print(f"{named(output)}: {table.height} predictions, columns {named(', '.join(table.columns))}")


def parse_quantiles(text: str | None) -> list[float]:
    """Levels of a comma-separated list."""
    if text is None:
        return []
    try:
        levels = [float(part) for part in text.split(",")]
    except ValueError:
        raise OptionError(f"--quantiles takes numbers such as 0.1,0.5,0.9, got {text!r}") from None
    if not all(0.0 < q < 1.0 for q in levels):
        raise OptionError(f"--quantiles must lie between 0 and 1, such as 0.1,0.5,0.9; got {text}")
    names = [f"{q:g}" for q in levels]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise OptionError(f"--quantiles has {twice[0]} twice, to the six digits that name its column; leave one out")
    return levels


def prediction_table(
    model: Model, frame: pl.DataFrame, source: Any, interval: float | None = None, levels: list[float] | None = None
) -> pl.DataFrame:
    """Predictions of every row as a table."""
    import numpy as np
    import polars as pl

    from chainrule.cli.terminal import encoded
    from chainrule.memory import check_room
    from chainrule.tables.place import place

    levels = levels or []
    target = model.target
    n_numbers = frame.height * (len(target.names) * (3 + len(levels)) + sum(map(len, target.classes)))
    check_room(n_numbers, f"{source}: predicting {frame.height:,} rows")
    rows = encoded(model, frame, source)
    one = len(target.names) == 1
    columns: dict[str, Any] = {}
    if target.task != "numeric":
        if interval is not None or levels:
            what = "--interval" if interval is not None else "--quantiles"
            raise OptionError(f"{what} is for numbers; {target.names[0]!r} is a class, see its probabilities p_<class>")
        p = model.read(rows, lambda d: d.mean()).reshape(frame.height, -1)
        codes = np.argmax(p, axis=1)[:, None] if target.task == "classes" else (p > 0.5).astype(int)
        for name, labels in target.labels(codes).items():
            columns["prediction" if one else f"prediction_{name}"] = labels
        names = [f"p_{c}_{t}" for t, classes in zip(target.names, target.classes, strict=True) for c in classes]
        alike = len(set(names)) < len(names)  # class 'a_b' of 'c', and class 'a' of 'b_c'
        for k, (name, classes) in enumerate(zip(target.names, target.classes, strict=True)):
            shares = p if target.task == "classes" else np.stack([1 - p[:, k], p[:, k]], axis=1)
            for j, label in enumerate(classes):
                both = f"p_{label!r}_{name!r}" if alike else f"p_{label}_{name}"
                columns[f"p_{label}" if one else both] = shares[:, j]
        return pl.DataFrame(columns)

    def numbers(distribution: Distribution) -> np.ndarray:
        bounds = [] if interval is None else [*np.moveaxis(model.interval(distribution, interval), -1, 0)]
        return np.stack([model.middle(distribution), *bounds, *map(distribution.ppf, levels)], axis=-1)

    names = ["prediction", *([] if interval is None else ["lower", "upper"]), *(f"q{level:g}" for level in levels)]
    values = model.read(rows, numbers).reshape(frame.height, len(target.names), len(names))
    for j, name in enumerate(names):
        for k, each in enumerate(target.names):
            column = values[:, k, j]
            # an interval is infinitely wide where there were too few rows to calibrate on
            wrong = np.isnan(column) if name in ("lower", "upper") else ~np.isfinite(column)
            if wrong.any():
                at = int(np.argmax(wrong))
                raise TableError(
                    f"{place(source, at)}: {name} of {each!r} is {column[at]:g}, beyond the numbers of this machine; "
                    "leave the row out, or fit on targets in other units"
                )
            columns[name if one else f"{name}_{each}"] = column
    return pl.DataFrame(columns)

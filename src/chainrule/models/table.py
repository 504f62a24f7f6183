"""From a table to a fitted model, with what was inferred and how good it is beside simple baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from chainrule.errors import OptionError, TableError, warn_caller
from chainrule.exchange.checkpoint_keeper import CheckpointKeeper
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.models.baselines import baselines, no_better, scored_each
from chainrule.models.calibrate import calibrated
from chainrule.models.families import fit_best_family, unscaled
from chainrule.models.fit import FitOptions, Part, finish, fit_network, hold_out, split_rows
from chainrule.models.inputs import Inputs, Scaling, log_scale
from chainrule.models.model import Model
from chainrule.models.rows import Columns, columns_of, counted_rows
from chainrule.models.search import Search, search_options
from chainrule.networks import Network, hidden_layers
from chainrule.outputs import OUTPUTS, Bernoulli, Categorical, Distribution, Gaussian, Output
from chainrule.tables import (
    Schema,
    complete_rows,
    fit_encoder,
    fit_target_encoder,
    frame_from_any,
    infer_schema,
    raw_columns,
)
from chainrule.tables.place import listed, place, source_name, unknown_column
from chainrule.tables.target import refuse_far

if TYPE_CHECKING:
    import polars as pl

#: other names of outputs, as people write them
OUTPUT_NAMES = {"mixture": "gaussian_mixture", "normal": "gaussian", "softmax": "categorical", "student": "student_t"}


def is_table(X: Any) -> bool:
    """Whether X is a data frame with columns that are not all numbers."""
    if isinstance(X, (np.ndarray, list, tuple)) or (not hasattr(X, "__dataframe__") and not hasattr(X, "schema")):
        return False
    import narwhals as nw

    try:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        frame_from_any(X)  # says which
        raise
    if not isinstance(frame, nw.DataFrame):
        return False
    return any(not dtype.is_numeric() for dtype in frame.schema.values())


def with_columns(X: Any, names: Sequence[str]) -> Any:
    """A data frame of only these columns, if it is one that has them; else X as it is."""
    if isinstance(X, np.ndarray):
        return X
    import narwhals as nw

    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or not set(names) <= set(frame.columns):
        return X
    return frame.select(*names).to_native()


def table_columns(X: Any, y: np.ndarray, schema: Schema | None = None) -> Columns:
    """The columns of a data frame and its target as numbers, for `counted_rows`.

    Rows without a say must have gone before: they would have one in what categories there are.
    """
    frame = frame_from_any(X)
    what = schema or infer_schema(frame)
    return lambda: chain(raw_columns(what, frame), y.T)


def table_inputs(X: Any, weights: np.ndarray, scaling: Scaling = "robust") -> Inputs:
    """Learn the encoding of a data frame's columns from training rows; warns of columns that cannot be used."""
    frame = frame_from_any(X)
    schema = infer_schema(frame)
    gone = [f"{c.name!r} ({c.reason})" for c in schema.dropped if c.kind not in ("constant", "empty")]
    if gone:
        warn_caller(f"columns left out: {', '.join(gone)}")
    return Inputs(fit_encoder(schema, frame, weights, scaling), named=True)


def output_of_name(name: str, n_classes: int = 0) -> Output:
    """The output of a name, such as ``gaussian``, ``mixture`` or ``mixture:5`` (five components).

    Raises
    ------
    OptionError
        If there is no such output.
    """
    base, _, argument = name.partition(":")
    key = OUTPUT_NAMES.get(base, base)
    if key not in OUTPUTS:
        raise OptionError(f"there is no output {name!r}; choose one of {', '.join(sorted(OUTPUTS))}")
    make: Callable[..., Output] = OUTPUTS[key]
    try:
        if key == "quantile":
            return make([float(q) for q in argument.split(",")] if argument else [0.05, 0.25, 0.5, 0.75, 0.95])
        if argument and key == "gaussian_mixture":
            return make(int(argument))
        if argument:
            raise OptionError(f"{base} takes nothing after the colon; mixture:5 and quantile:0.1,0.5,0.9 do")
        output = make()
    except OptionError as error:
        raise OptionError(f"output {name!r}: {error}") from None
    except (TypeError, ValueError):
        raise OptionError(f"output {name!r}: {argument!r} is not what {key} takes") from None
    return output.for_target(n_classes) if key == "categorical" and n_classes else output


@dataclass(frozen=True)
class TableOptions:
    """What to make of a table, besides how to train.

    Parameters
    ----------
    targets : tuple of str
    types : mapping
        Kind of a column by name, where it is not to be inferred.
    drop : tuple of str
        Columns to leave out.
    output : str, optional
        Name of the output distribution; "auto" compares families of numbers on the validation rows.
    weight : str, optional
        Column of row weights.
    test_fraction : float
        Share of the rows kept aside to score the model with.
    validation_fraction : float
        Share of the remaining rows that decides when to stop; 0 for none.
    drop_missing_target : bool
    baselines : bool
        Whether to score a constant and a linear model too.
    search : bool
        Whether to compare settings by their validation loss first, see `chainrule.models.search`.
    calibrate : {"none", "scale", "conformal"}
        What is put right on the validation rows, see `chainrule.models.calibrate`.
    """

    targets: tuple[str, ...]
    types: Mapping[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    output: str | None = None
    weight: str | None = None
    test_fraction: float = 0.2
    validation_fraction: float = 0.15
    drop_missing_target: bool = False
    baselines: bool = True
    search: bool = False
    calibrate: str = "none"

    def __post_init__(self) -> None:
        for name in ("test_fraction", "validation_fraction"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise OptionError(f"--{name.replace('_', '-')} must lie in [0, 1), got {getattr(self, name)}")
        if self.output not in (None, "auto"):
            output_of_name(self.output, 2)  # an unknown name is refused before anything is read


@dataclass(frozen=True)
class TableFit:
    """A model fitted to a table, and what there is to say about it.

    Parameters
    ----------
    schema : Schema
    model : Model
    trainings : list of Training
    n_rows : dict
        Rows used for training, validation and test.
    scored : dict
        Scores by model name; on the test rows, or on the validation rows where there are none.
    scored_on : str
        Which rows those were.
    warning : str
        What the scores say against the network; may be empty.
    table : polars.DataFrame
        The rows that have a target.
    numbers : integer array of shape (n_rows,)
        Where they stand among the table's rows that have a target, from 0; a row of weight two is there twice.
    weights : array of shape (n_rows,)
    known, judged : integer arrays
        Rows of the frame that were learned from (those that decide when to stop among them), and that were scored.
    predicted : dict
        Distributions of the judged rows by model name.
    n_given, repeated : int
        Rows that have a target and a weight, and how many of them equal another one.
    thinned : bool
        Whether there are so many of them that each counts for several.
    search : Search, optional
        What was compared before.
    """

    schema: Schema
    model: Model
    trainings: list[Training]
    n_rows: dict[str, int]
    scored: dict[str, dict[str, float]]
    scored_on: str
    warning: str
    table: pl.DataFrame
    numbers: np.ndarray
    weights: np.ndarray
    known: np.ndarray
    judged: np.ndarray
    predicted: Mapping[str, Distribution]
    n_given: int = 0
    repeated: int = 0
    thinned: bool = False
    search: Search | None = None

    @cached_property
    def frame(self) -> pl.DataFrame:
        """The rows that have a target and a weight, as `numbers` has them."""
        return self.table[self.numbers]


def read_schema(frame: pl.DataFrame, options: TableOptions, source: Any = None) -> tuple[pl.DataFrame, Schema]:
    """Find out what the columns are; rows with a missing target are refused, or left out if that was asked for."""
    if not options.targets:
        raise OptionError(f"name the column to predict with --target; there are {listed(frame.columns)}")
    if options.weight in options.targets:
        raise OptionError(f"{options.weight!r} cannot be both the target and the weight; name another column")
    row_weights(frame, options.weight, source)
    drop = (*options.drop, options.weight) if options.weight else options.drop
    base = options.output.partition(":")[0] if options.output not in (None, "auto") else None
    schema = infer_schema(
        frame,
        target=options.targets,
        types=options.types,
        drop=drop,
        output=OUTPUT_NAMES.get(base, base) if base else None,
        source=source,
    )
    if options.output == "auto" and schema.task == "numeric":
        schema = msgspec.structs.replace(schema, output="auto")
    if options.weight:
        columns = [
            msgspec.structs.replace(c, reason="row weights") if c.name == options.weight else c for c in schema.columns
        ]
        schema = msgspec.structs.replace(schema, columns=tuple(columns))
    return complete_rows(frame, options.targets, drop=options.drop_missing_target, source=source), schema


def fit_table(
    frame: pl.DataFrame,
    schema: Schema,
    table: TableOptions,
    options: FitOptions,
    *,
    validation: pl.DataFrame | None = None,
    source: Any = None,
    validation_source: Any = None,
    facts: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Training], bool | None] | None = None,
    keeper: CheckpointKeeper | None = None,
) -> TableFit:
    """Fit a model to a table.

    Parameters
    ----------
    frame : polars.DataFrame
    schema : Schema
        Of this frame, from `read_schema`.
    table : TableOptions
    options : FitOptions
    validation : polars.DataFrame, optional
        Rows that decide when to stop, instead of a share of the table.
    source, validation_source : path, optional
        The files, for messages.
    facts : mapping, optional
        Plain data to keep in the model file.
    on_epoch : callable, optional
        Called after every epoch.
    keeper : CheckpointKeeper, optional
        Writes checkpoints, and goes on from one.

    Raises
    ------
    TableError, OptionError, DivergenceError
    """
    weights = row_weights(frame, table.weight, source)
    output = choose_output(schema, table.output)
    everything = fit_target_encoder(schema, frame, source=source).to_array(frame, source)
    refuse_far(schema.targets, everything, source)
    output.check_target(everything)
    there = np.flatnonzero(weights)
    columns = table_columns(frame[there] if len(there) < len(frame) else frame, everything[there], schema)
    counted = counted_rows(columns, weights[there])
    chosen, weights = there[counted.places], counted.weights
    everything = everything[chosen]
    present = np.arange(len(chosen))
    strata = everything[:, 0] if schema.task != "numeric" and len(schema.targets) == 1 else None
    rest, test = _part(present, table.test_fraction, options.seed, strata)
    splits = hold_out(
        len(rest),
        table.validation_fraction if validation is None else 0.0,
        options.seed + 1,
        options.n_members,
        None if strata is None else strata[rest],
    )
    train, held = splits[0]
    if len(train) < 2:
        where = f"{source_name(source)}: " if source is not None else ""
        raise TableError(
            f"{where}of {len(there)} rows with target {listed(schema.targets)} and a weight {len(train)} would be left "
            "to train on, 2 are needed; use more rows, or a smaller --test-fraction or --validation-fraction"
        )

    inputs = Inputs(fit_encoder(schema, frame, weights[rest], rows=chosen[rest]), named=True)
    target = fit_target_encoder(schema, frame.select(schema.targets)[chosen[rest]], weights[rest], source)
    if not output.scales_target:
        target = unscaled(target)

    def encoded(table: Any, rows: np.ndarray | None, y: np.ndarray, w: np.ndarray) -> Rows:
        return Rows.of(inputs.encode_rows(table, rows, options.dtype), target.standardise(y), w, options.dtype)

    known = encoded(frame, chosen[rest], everything[rest], weights[rest])
    parts: list[Part]
    if validation is not None:
        raw, y = inputs.encoder.to_matrix(validation, validation_source), target.to_array(validation, validation_source)
        said = counted_rows(columns_of(raw, y), row_weights(validation, table.weight, validation_source))
        parts = [(known, encoded(raw[said.places], None, y[said.places], said.weights))]
    elif not len(held):
        parts = [(known, None)]
    else:
        parts = [(known.take(kept), known.take(out)) for kept, out in splits]
    shift = log_scale(target) if output.scales_target and output.likelihood and options.loss is None else 0.0
    options = replace(options, groups=inputs.groups, shift=shift)
    options, found = search_options(output, parts, options) if table.search else (options, None)
    layers, facts = hidden_layers(options.layers), dict(facts or {})
    if table.output == "auto" and schema.task == "numeric" and options.loss is None:
        best = fit_best_family(layers, parts, target, options, on_epoch, keeper)
        trainings, target, facts["output_choice"] = best.trainings, best.target, best.story
    else:
        trainings = fit_network(Network(layers, output), parts, options, on_epoch, keeper)
    network = trainings[0].network
    if network.output.scales_target != output.scales_target:  # counts are what the baselines see then, too
        known = encoded(frame, chosen[rest], everything[rest], weights[rest])
    watched = parts[0][1]
    counts = {"training": len(parts[0][0]), "validation": len(watched) if watched else 0, "test": len(test)}
    model = finish(network, inputs, target, trainings, {**facts, "rows": counts})
    model = calibrated(model, trainings, table.calibrate)

    which, part = ("test", test) if len(test) else ("validation", rest[held]) if len(held) else ("training", rest)
    judged, y, w = frame[chosen[part]], everything[part], weights[part]
    predicted = {"network": model.predict(judged)}
    if table.baselines:
        predicted |= dict(baselines(network, inputs, target, known, options, judged))
    scored = {
        label: values
        for name, d in predicted.items()
        for label, values in scored_each(name, d, target, y, w, model if name == "network" else None).items()
    }
    warning = no_better(scored, target) or model.facts["spikes"]
    return TableFit(
        schema=schema,
        model=model,
        trainings=trainings,
        n_rows=counts,
        scored=scored,
        scored_on=which,
        warning=warning,
        table=frame,
        numbers=chosen,
        weights=weights,
        known=rest,
        judged=part,
        predicted=predicted,
        n_given=len(there),
        repeated=len(there) - counted.n_different,
        thinned=counted.thinned,
        search=found,
    )


def choose_output(schema: Schema, name: str | None) -> Output:
    """The output that was named, or the one that fits the task."""
    n_classes = max((len(c.categories) for c in schema.target_columns), default=0)
    if name not in (None, "auto"):
        output = output_of_name(name, n_classes)
        fits = {"binary": ("binary",), "classes": ("classes",), "numeric": ("numeric", "count")}[
            schema.task or "numeric"
        ]
        if output.kind not in fits:
            raise OptionError(f"output {name} is for a {output.kind} target, but {schema.targets[0]} is {schema.task}")
        return output
    if schema.task == "binary":
        return Bernoulli()
    if schema.task == "classes":
        if len(schema.targets) > 1:
            raise TableError("several targets of several classes each cannot be predicted at once; name one at a time")
        return Categorical(n_classes)
    return Gaussian()


def row_weights(frame: pl.DataFrame, column: str | None, source: Any) -> np.ndarray:
    """Row weights of a column; ones without."""
    if column is None:
        return np.ones(len(frame))
    where = f"{source_name(source)}: " if source is not None else ""
    if column not in frame.columns:
        raise unknown_column(source, column, frame.columns)
    if not frame[column].dtype.is_numeric():
        raise TableError(f"{where}the weight column {column!r} is not numbers; name a column of numbers >= 0")
    weights = frame[column].cast(float).fill_null(float("nan")).to_numpy()
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        wrong = weights[bad[0]]
        raise TableError(
            f"{place(source, int(bad[0]), column)}: the weight is {'missing' if np.isnan(wrong) else wrong}; weights "
            "must be numbers >= 0"
        )
    if not (weights > 0).any():
        raise TableError(f"{where}column {column!r}: every weight is zero; there is nothing to learn from")
    return weights


def _part(rows: np.ndarray, fraction: float, seed: int, strata: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    kept, held = split_rows(len(rows), fraction, seed, None if strata is None else strata[rows])
    return rows[kept], rows[held]


__all__ = [
    "TableFit",
    "TableOptions",
    "fit_table",
    "is_table",
    "output_of_name",
    "read_schema",
    "table_inputs",
    "with_columns",
]

"""``chainrule fit``: from a table to a model file."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from chainrule.cli.resume import CheckpointOptions, kept, lasting
from chainrule.errors import OptionError

if TYPE_CHECKING:
    from chainrule.models.fit import FitOptions
    from chainrule.models.table import TableFit

ColumnKind = Literal["numeric", "categorical", "boolean"]


@Parameter(name="*")
@dataclass(frozen=True)
class NetworkOptions:
    """The network and how it is trained."""

    hidden: Annotated[str, Parameter(help="Units of the hidden layers, such as 64,64; none for a linear model.")] = (
        "64,64"
    )
    activation: Annotated[str, Parameter(help="Unit of the hidden layers: silu, relu, tanh, sigmoid, gelu, …")] = "silu"
    optimizer: Annotated[
        Literal["adam", "adamw", "sgd", "rmsprop", "gd", "lbfgs"], Parameter(help="How the loss is made smaller.")
    ] = "adam"
    learning_rate: Annotated[float | None, Parameter(help="Step size; the optimizer's own by default.")] = None
    batch_size: Annotated[int | None, Parameter(help="Rows per step; from the number of rows by default.")] = None
    epochs: Annotated[int, Parameter(help="At most so many passes over the rows.")] = 600
    patience: Annotated[int, Parameter(help="Stop after so many epochs without progress.")] = 20
    l1: Annotated[float, Parameter(help="Strength of the L1 penalty.")] = 0.0
    l2: Annotated[float, Parameter(help="Strength of the L2 penalty.")] = 1e-4
    group_l1: Annotated[float, Parameter(help="Strength of the penalty that drops whole input columns.")] = 0.0
    embedding: Annotated[
        Literal["auto", "none", "piecewise"], Parameter(help="Whether numbers also enter as piecewise linear values.")
    ] = "auto"
    members: Annotated[int, Parameter(help="Networks in the ensemble.")] = 5
    starts: Annotated[int, Parameter(help="Trainings per network, from different starts; the best is kept.")] = 1
    on_divergence: Annotated[
        Literal["raise", "halve"], Parameter(help="Where numbers become infinite: end, or go back with half the step.")
    ] = "raise"
    seed: Annotated[int, Parameter(help="Decides splits, starts and order: same seed, same bits.")] = 0


def fit(
    data: Path,
    *,
    target: Annotated[list[str] | None, Parameter(help="Column to predict; repeat it for several.")] = None,
    model: Annotated[Path | None, Parameter(help="Model file to write; TARGET.chainrule by default.")] = None,
    output: Annotated[
        str | None,
        Parameter(
            help="Distribution: auto (of numbers the likeliest on validation rows), gaussian, mixture:5, laplace, "
            "student_t, poisson, quantile:0.1,0.5,0.9, …"
        ),
    ] = None,
    type: Annotated[
        list[str] | None, Parameter(help="COLUMN=numeric|categorical|boolean, where it is not to be inferred.")
    ] = None,
    drop: Annotated[list[str] | None, Parameter(help="Column to leave out.")] = None,
    missing: Annotated[list[str] | None, Parameter(help="Further spelling of a missing value.")] = None,
    weight: Annotated[str | None, Parameter(help="Column of row weights.")] = None,
    validation: Annotated[Path | None, Parameter(help="Table whose rows decide when to stop.")] = None,
    test_fraction: Annotated[float, Parameter(help="Share of the rows kept aside for the scores.")] = 0.2,
    validation_fraction: Annotated[float, Parameter(help="Share of the rest that decides when to stop.")] = 0.15,
    drop_missing_target: Annotated[bool, Parameter(help="Leave out rows without a target.")] = False,
    calibrate: Annotated[
        Literal["none", "scale", "conformal"],
        Parameter(help="Put right on the validation rows: the spread, or intervals that cover as asked."),
    ] = "none",
    search: Annotated[
        bool,
        Parameter(help="First compare learning rates, L2, layers and batch sizes around those given.", negative=""),
    ] = False,
    report: Annotated[
        Path | None, Parameter(help="Page to write: data, training, scores, calibration, what matters (.html).")
    ] = None,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], help="Print nothing but errors.")] = False,
    network: NetworkOptions | None = None,
    checkpoints: CheckpointOptions | None = None,
) -> None:
    """Fit a model to a table (CSV or Parquet), score it, and write a model file.

    Finds out what the columns are and says so. The scores are those of rows kept aside, which the model never saw.

    Parameters
    ----------
    data
        Table with a header line.
    """
    from chainrule.cli import terminal
    from chainrule.files import check_writable, refuse_same_file
    from chainrule.models.table import TableOptions, fit_table, read_schema
    from chainrule.tables import read_table
    from chainrule.tables.place import headless, listed

    network = network or NetworkOptions()
    if not target:
        columns = listed(read_table(data, missing=missing or ()).columns)
        raise OptionError(f"name the column to predict with --target; {data} has {columns}")
    place = model or _free(Path(f"{_file_name(target[0])}.chainrule"))
    options = TableOptions(
        targets=tuple(target),
        types=_types(type or []),
        drop=tuple(drop or ()),
        output=output,
        weight=weight,
        test_fraction=test_fraction,
        validation_fraction=validation_fraction,
        drop_missing_target=drop_missing_target,
        search=search,
        calibrate=calibrate,
    )
    training = fit_options(network)
    if calibrate != "none" and validation is None and not validation_fraction:
        raise OptionError(f"--calibrate {calibrate} learns from rows for validation; leave it a --validation-fraction")
    check_writable(place)
    refuse_same_file(place, data, validation)
    if report is not None:
        check_report(report, place, data, validation)  # before anything is trained
    began = time.perf_counter()
    frame, schema = read_schema(read_table(data, missing=missing or ()), options, data)
    rows = None if validation is None else read_table(validation, missing=missing or ())
    say = (lambda *lines: None) if quiet else (lambda *lines: terminal.say(*lines))
    doubt = headless(frame.columns)
    say(f"{data}: {schema.lines()[0]}", *schema.lines()[1:], *([f"note: {doubt}"] if doubt else []), "")
    progress = terminal.Progress(quiet)
    command = repeat_command(sys.argv, network.seed, place)
    facts = {"command": command, "data": str(data), "seed": network.seed}
    with kept(checkpoints, sys.argv, data, validation, place, report) as keeper, closing(progress):
        fitted = fit_table(
            frame,
            schema,
            options,
            training,
            validation=rows,
            source=data,
            validation_source=validation,
            facts=facts,
            on_epoch=progress,
            keeper=keeper,
        )
        fitted.model.save(place)
    pages = []
    if report is not None:
        from chainrule.show.report import write_report

        pages = write_report(fitted, report, data, place, time.perf_counter() - began, missing or ())
    if not quiet:
        say(*result_lines(fitted, place, data, command, pages))


def check_report(report: Path, model: Path, *inputs: Path | None) -> None:
    """Refuse a report that could not be written, or only over another file of the fit."""
    from chainrule.files import check_writable, refuse_same_file
    from chainrule.show.style import require_matplotlib

    require_matplotlib()
    check_writable(report)
    refuse_same_file(report, *inputs)
    if report.resolve() == model.resolve():
        raise OptionError(f"{report} is both the model file and the report; name another file for the report")


#: options that are numbers, and the smallest each may be
_LEAST = {
    "epochs": 1,
    "members": 1,
    "starts": 1,
    "patience": 1,
    "batch_size": 1,
    "l1": 0,
    "l2": 0,
    "group_l1": 0,
    "seed": 0,
}


def fit_options(network: NetworkOptions) -> FitOptions:
    """Training options of command-line options."""
    from chainrule.learn.optimizers import optimizer_of_name
    from chainrule.models.fit import FitOptions
    from chainrule.models.stored import MOST_MEMBERS
    from chainrule.networks import hidden_layers
    from chainrule.networks.units import UNITS

    for name, least in _LEAST.items():
        value, option = getattr(network, name), f"--{name.replace('_', '-')}"
        if value is not None and not least <= value < float("inf"):
            raise OptionError(f"{option} must be a number of at least {least}, got {value}")
        if name in ("members", "starts") and value > MOST_MEMBERS:
            raise OptionError(f"{option} must be at most {MOST_MEMBERS}, got {value}")
    if network.learning_rate is not None and not 0.0 < network.learning_rate < float("inf"):
        raise OptionError(f"--learning-rate must be a positive number, got {network.learning_rate}")
    sizes = [] if network.hidden.strip() in ("", "none", "0") else network.hidden.split(",")
    if not all(s.strip().isdecimal() and int(s) for s in sizes):
        raise OptionError(f"--hidden takes numbers of units such as 64,64, or none; got {network.hidden!r}")
    if network.activation not in UNITS:
        raise OptionError(f"--activation takes one of {', '.join(sorted(UNITS))}; got {network.activation!r}")
    if network.optimizer == "lbfgs":
        for name in ("batch_size", "learning_rate"):
            if getattr(network, name) is not None:
                raise OptionError(
                    "--optimizer lbfgs takes all rows at once and finds its own steps; leave "
                    f"--{name.replace('_', '-')} out, or choose another optimizer"
                )
    usual = network.optimizer == "adam" and network.learning_rate is None
    optimizer = None if usual else optimizer_of_name(network.optimizer, network.learning_rate)
    return FitOptions(
        layers=hidden_layers([int(s) for s in sizes], network.activation),
        optimizer=optimizer,
        batch_size=network.batch_size,
        max_epochs=network.epochs,
        patience=network.patience,
        l1=network.l1,
        l2=network.l2,
        group_l1=network.group_l1,
        embedding=network.embedding,
        n_members=network.members,
        n_starts=network.starts,
        on_divergence=network.on_divergence,
        seed=network.seed,
    )


def _free(place: Path) -> Path:
    """The file if it is not there yet: a model is not lost because nobody thought of its name."""
    if place.exists():
        raise OptionError(f"{place} exists; write --model {place} to replace it, or name another file")
    return place


def _file_name(target: str) -> str:
    """A target's name as a file's."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in target).lstrip(".") or "model"


def _types(given: list[str]) -> dict[str, Any]:
    kinds: dict[str, Any] = {}
    for entry in given:
        name, equals, kind = entry.rpartition("=")
        if not equals or kind not in ("numeric", "categorical", "boolean"):
            raise OptionError(f"--type takes COLUMN=numeric, categorical or boolean; got {entry!r}")
        kinds[name] = kind
    return kinds


def repeat_command(argv: list[str], seed: int, model: Path) -> str:
    """The command that gives the same model again, what it left to us named."""
    arguments = lasting(argv[1:])
    for name, value in (("--model", model), ("--seed", seed)):
        if not any(a == name or a.startswith(f"{name}=") for a in arguments):
            arguments = [*arguments, name, str(value)]
    return shlex.join(["chainrule", *arguments])


#: what is to be said of scores on rows that had a part in the training
_SEEN = {
    "validation": ", which decided when to stop, so these are a little too good",
    "training": ", which the models learned from, so these are too good",
}


def linear_note(fitted: TableFit) -> list[str]:
    """A word where the linear model is likelier than the network."""
    measure = "log-loss" if "log-loss" in next(iter(fitted.scored.values())) else "NLL"
    for label, values in fitted.scored.items():
        linear = fitted.scored.get(f"linear model{label.removeprefix('network')}")
        if label.startswith("network") and linear and linear[measure] < values[measure]:
            return [
                f"note: by {measure} the linear model is better, maybe by chance; --hidden none fits one, --report "
                "says how sure the difference is"
            ]
    return []


def leak_lines(fitted: TableFit) -> list[str]:
    """A warning for every column that alone predicts a target almost perfectly."""
    from chainrule.cli.terminal import plain
    from chainrule.show.leaks import leaks_of_table
    from chainrule.tables.place import option

    return [
        plain(
            f"warning: {leak.column} alone predicts {leak.target} almost perfectly; if it is known only once "
            f"{leak.target} is, leave it out: {option('--drop', leak.column)}"
        )
        for leak in leaks_of_table(fitted)
    ]


def search_lines(fitted: TableFit) -> list[str]:
    """What a search compared; nothing without one."""
    found = fitted.search
    if found is None:
        return []
    words = (
        f"search: {len(found.tried)} settings in {found.seconds:.1f} s, by validation loss; the first line was fitted"
    )
    return [words, *(f"  {line}" for line in found.lines())]


def result_lines(fitted: TableFit, place: Path, data: Path, command: str, pages: Sequence[Path] = ()) -> list[str]:
    """What there is to say after a fit."""
    from chainrule.cli.terminal import score_lines

    first = fitted.trainings[0]
    counts = ", ".join(f"{n} {what}" for what, n in fitted.n_rows.items() if n)
    many, size = len(fitted.trainings), f"{first.layout.size} parameters"
    networks = f"networks: {many} of {size} each; the first:" if many > 1 else f"network: {size},"
    kept = f", epoch {first.best_epoch} kept" if first.validation is not None else ""
    return [
        f"rows: {counts}" + ("; so many are equal that each of them counts for several" if fitted.thinned else ""),
        *search_lines(fitted),
        *([f"output: {story}"] if (story := fitted.model.facts.get("output_choice")) else []),
        f"{networks} {first.epoch} epochs{kept}; stopped because {first.reason}",
        f"diagnosis: {first.diagnosis()}",
        "",
        f"scores on the {fitted.scored_on} rows (* best){_SEEN.get(fitted.scored_on, '')}:",
        *(f"  {line}" for line in score_lines(fitted.scored)),
        *([f"warning: {fitted.warning}"] if fitted.warning else linear_note(fitted)),
        *leak_lines(fitted),
        "",
        f"model:   {place}",
        f"report:  {' and '.join(map(str, pages)) or 'none; --report page.html writes one'}",
        f"repeat:  {command}",
        f"predict: {shlex.join(['chainrule', 'predict', str(place), str(data), '-o', 'predictions.csv'])}",
    ]

"""What a training report tells of: a fitted model, the rows it learned from and the rows it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.estimators.path import PathCV
from chainrule.learn.training import Training
from chainrule.models.model import Model
from chainrule.outputs import Distribution
from chainrule.outputs.bernoulli import BernoulliDistribution
from chainrule.show.report.measures import Measure, measures
from chainrule.show.text import abridged
from chainrule.tables import Column, Schema

#: what the fitted model is called among the others
NETWORK = "network"
#: a space that no line is broken at
AIR = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Cells:
    """Rows of a table as numbers.

    Parameters
    ----------
    x : array of shape (n_rows, n_columns)
        Raw columns, as `Encoder.to_matrix` gives them.
    y : array of shape (n_rows, n_targets)
        In the targets' own units, or codes of classes.
    w : array of shape (n_rows,)
    number : integer array of shape (n_rows,)
        Number of the row in the file, from 1; of equal ones one.
    """

    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    number: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> Cells:
        """Some of the rows."""
        return Cells(self.x[rows], self.y[rows], self.w[rows], self.number[rows])

    def some(self, most: int) -> Cells:
        """The rows, or so many of them drawn at random, always the same ones."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(0).permutation(len(self))[:most]))


@dataclass(frozen=True)
class View:
    """One target: what was observed on the judged rows, and what each model says of it.

    Parameters
    ----------
    name : str
    task : {"binary", "classes", "numeric"}
    classes : tuple of str
        Empty for numbers.
    y, w : arrays of shape (n_rows,)
    predicted : dict
        Distributions of shape (n_rows,) by model name, the network's first.
    intervals : callable, optional
        From a coverage to the network's intervals, where a conformal calibration changes them.
    """

    name: str
    task: str
    classes: tuple[str, ...]
    y: np.ndarray
    w: np.ndarray
    predicted: Mapping[str, Distribution]
    intervals: Callable[[float], np.ndarray] | None = None

    @property
    def network(self) -> Distribution:
        """What the fitted model says."""
        return self.predicted[NETWORK]

    @cached_property
    def measures(self) -> dict[str, dict[str, Measure]]:
        """Scores by model and name."""
        return {
            name: measures(d, self.y, self.task, self.w, self.intervals if name == NETWORK else None)
            for name, d in self.predicted.items()
        }

    @property
    def loss(self) -> str:
        """Name of the score by which distributions are compared."""
        return "NLL" if self.task == "numeric" else "log-loss"


@dataclass(frozen=True)
class ReportData:
    """Everything a report tells of.

    Parameters
    ----------
    model : Model
    trainings : tuple of Training
        Empty where a model file is all there is.
    known : Cells
        Rows that were learned from, those that decide when to stop among them.
    judged : Cells
        Rows that the scores are of.
    judged_on : str
        Which rows these are: "test", "validation", "training".
    predicted : dict
        Distributions of the judged rows by model name, the network's first.
    columns : tuple of Column
        Of the whole table.
    schema : Schema, optional
        What was inferred from a table; there is none for a matrix of numbers.
    n_rows : dict
        Numbers of rows used for training, validation and test.
    repeated, n_given : int
        Rows that equal another one, target included, of so many.
    warning : str
        What the fit said against the network.
    source : str
        Name of the data's file.
    facts : dict
        Further names and values for the section about the environment.
    row_page : str
        Name of a page beside the report that steps through one row; empty if there is none.
    row_number : int
        Which row that is.
    chosen : PathCV, optional
        What chose the penalty's strength.
    """

    model: Model
    trainings: tuple[Training, ...]
    known: Cells
    judged: Cells
    judged_on: str
    predicted: Mapping[str, Distribution]
    columns: tuple[Column, ...]
    schema: Schema | None = None
    n_rows: Mapping[str, int] = field(default_factory=dict)
    repeated: int = 0
    n_given: int = 0
    warning: str = ""
    source: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    row_page: str = ""
    row_number: int = 0
    chosen: PathCV | None = None

    @property
    def task(self) -> str:
        """What the targets are."""
        return self.model.target.task

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns."""
        return self.model.inputs.columns

    @cached_property
    def views(self) -> list[View]:
        """The targets one by one."""
        target, judged = self.model.target, self.judged
        made = []
        for k, name in enumerate(target.names):
            classes = tuple(str(c) for c in target.classes[k])
            predicted = {model: _one(d, k, self.task) for model, d in self.predicted.items()}
            made.append(View(name, self.task, classes, judged.y[:, k], judged.w, predicted, self._intervals(k)))
        return made

    def _intervals(self, k: int) -> Callable[[float], np.ndarray] | None:
        """What the model's intervals of a target are, where they are not those of its distribution."""
        if self.task != "numeric" or self.model.calibration is None:
            return None
        predicted = self.predicted[NETWORK]

        def intervals(coverage: float) -> np.ndarray:
            found = self.model.interval(predicted, coverage)
            return found if found.ndim == 2 else found[:, k]

        return intervals

    @cached_property
    def row_losses(self) -> np.ndarray:
        """The loss of each judged row under the model, all targets together, see `losses`."""
        return self.losses(self.predicted[NETWORK], self.judged.y)

    def losses(self, distribution: Distribution, y: np.ndarray) -> np.ndarray:
        """The model's own score of rows, (n_rows,): negative log-likelihood; CRPS where its loss is no likelihood."""
        target = y[:, 0] if len(distribution.shape) == 1 else y
        if self.model.output.likelihood:
            return -np.asarray(distribution.log_score(target))
        return np.reshape(distribution.crps(target), (len(y), -1)).sum(axis=1)

    @property
    def loss_name(self) -> str:
        """What `losses` are."""
        return "negative log-likelihood" if self.model.output.likelihood else "CRPS"

    def predict(self, x: np.ndarray) -> Distribution:
        """The model's distributions of raw rows."""
        return self.model.distribution([np.ascontiguousarray(x, np.float64)])

    @cached_property
    def typical(self) -> np.ndarray:
        """A typical row, (n_columns,): the median of numbers, the commonest category, of the rows learned from."""
        kinds = self.kinds
        return np.array([_typical(column, kind) for column, kind in zip(self.known.x.T, kinds, strict=True)])

    @property
    def kinds(self) -> list[str]:
        """Kind of each input column: numeric, boolean or categorical."""
        return [type(e).__name__.lower() for e in self.model.inputs.encoder.encodings]

    def cell(self, column: int, value: float) -> str:
        """A raw cell as people write it."""
        if np.isnan(value):
            return "missing"
        encoding: Any = self.model.inputs.encoder.encodings[column]
        match self.kinds[column]:
            case "categorical":
                return str(encoding.categories[int(value)]) if value >= 0 else "unseen"
            case "boolean":
                return {1.0: "true", 0.0: "false"}.get(float(value), "neither")
        return number(value)


def number(value: float, digits: int = 4) -> str:
    """A number as people write it: whole ones whole, others with so many digits."""
    if not np.isfinite(value):
        return "—" if np.isnan(value) else f"{value}"
    if value == round(value) and abs(value) < 1e7:
        return f"{value:.0f}"
    return f"{value:.{digits}g}" if abs(value) < 1e4 or abs(value) >= 1e7 else f"{value:.0f}"


def label(text: str, most: int, among: Sequence[str] = ()) -> str:
    """Text for a figure: of so many characters, dollar signs as they are instead of as formulas."""
    return abridged(text, most, among).replace("$", r"\$")


def plus_minus(value: float, error: float) -> str:
    """A number with its standard error, both with the decimals that two digits of the error need."""
    if not np.isfinite(value) or not np.isfinite(error):
        return number(value)
    if error <= 1e-12 * max(abs(value), 1e-300):
        return f"{number(value)}{AIR}±{AIR}0"
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    if decimals > 6 or abs(value) >= 1e7:
        return f"{value:.3e}{AIR}±{AIR}{error:.1e}"
    value = round(value, decimals) + 0.0  # no negative zero
    return f"{value:.{decimals}f}{AIR}±{AIR}{error:.{decimals}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share in per cent; what is not quite all or nothing is not rounded to it."""
    if np.isnan(share):
        return "—"
    least = 10.0**-digits
    if 0.0 < share < 1.0 and not 0.5 * least <= 100.0 * share < 100.0 - 0.5 * least:
        sign, bound = (">", 100.0 - least) if share > 0.5 else ("<", least)
        return f"{sign}{AIR}{bound:.{digits}f}{AIR}%"
    return f"{100.0 * share:.{digits}f}{AIR}%"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Such as "3 rows" and "1 row"."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def _one(distribution: Distribution, k: int, task: str) -> Distribution:
    """The marginal distribution of one target."""
    one = distribution if len(distribution.shape) == 1 else distribution.target(k)
    if task != "binary" or isinstance(one, BernoulliDistribution):
        return one
    p = np.clip(one.mean(), 1e-300, 1.0 - 1e-16)  # members of an ensemble share their rows' probabilities only
    return BernoulliDistribution(np.log(p) - np.log1p(-p))


def _typical(column: np.ndarray, kind: str) -> float:
    present = column[~np.isnan(column)]
    if not len(present):
        return float("nan")
    if kind == "numeric":
        return float(np.median(present))
    values, counts = np.unique(present, return_counts=True)
    return float(values[np.argmax(counts)])

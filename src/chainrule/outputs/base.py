"""What an output is: the raw numbers of a network's last layer read as a distribution of the target.

An output says how many raw numbers it needs, their negative log-likelihood (plain NumPy, so that it can be recorded and
differentiated), where to start them, and which distribution they stand for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from chainrule.errors import OptionError, TableError
from chainrule.outputs.distribution import Distribution


class Output(ABC):
    """The raw outputs of a network read as a distribution of its target.

    "Raw" are the numbers of the last layer, shape (n, n_raw): logits, means, pre-softplus precisions. The target ``y``
    has shape (n, n_targets) and the raw outputs' dtype; class codes are whole numbers 0, 1, … in that dtype. Several
    target columns are independent given the inputs unless a class says otherwise, and their raw numbers lie in blocks:
    the first parameter of every target, then the second of every target, and so on.

    Attributes
    ----------
    name : str
        Such as ``"gaussian"``; the class's own name in lower case if not given.
    kind : str
        What target it takes: ``"numeric"``, ``"binary"`` (0 and 1), ``"classes"`` (codes) or ``"count"``.
    scales_target : bool
        Whether the network is trained on the standardised target ``(y - location) / scale``. Then raw outputs, `nll`
        and `initial_raw` are in standardised units, where the target has mean 0 and standard deviation 1.
    likelihood : bool
        Whether `nll` is minus the logarithm of the distribution's density, not just another loss. Then it is ``log
        scale`` larger per target in the target's own units; a loss that is none is ``scale`` times as large.

    Examples
    --------
    An output of one's own needs `n_raw`, `nll` and `standard_distribution`. An exponential distribution of waiting
    times, with the logarithm of the rate as raw output, reusing a distribution that is there (a Student-t, Laplace,
    ... or any subclass of `Distribution`, which needs no more than ``logpdf``, ``cdf``, ``mean`` and ``var``):

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from chainrule.outputs import Distribution, Output
    >>> @dataclass(frozen=True)
    ... class Waiting(Distribution):
    ...     rate: np.ndarray
    ...     def logpdf(self, y):
    ...         return np.where(np.asarray(y) >= 0, np.log(self.rate) - self.rate * y, -np.inf)
    ...     def cdf(self, y):
    ...         return -np.expm1(-self.rate * np.maximum(y, 0.0))
    ...     def mean(self):
    ...         return 1 / self.rate
    ...     def var(self):
    ...         return 1 / self.rate**2
    >>> class Exponential(Output):
    ...     def n_raw(self, n_targets):
    ...         return n_targets
    ...     def nll(self, raw, y):
    ...         return np.sum(np.exp(raw) * y - raw, axis=1)
    ...     def standard_distribution(self, raw):
    ...         return Waiting(np.exp(raw[:, 0]))
    >>> waiting = Exponential().distribution(np.log([[0.5], [2.0]]))
    >>> waiting.median().round(3)
    array([1.386, 0.347])

    It is given to a network as an object, ``cr.Network([64], output=Exponential())``. To be found again by name in a
    model file its class is decorated with `register`.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "numeric"
    scales_target: ClassVar[bool] = False
    likelihood: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()
        if cls.kind not in KINDS:
            raise OptionError(f"output {cls.__name__}: kind must be one of {', '.join(KINDS)}, got {cls.kind!r}")

    @property
    def constants(self) -> tuple[float, ...]:
        """What `calibrated` or `for_ensemble` fitted beside the network; empty where nothing was."""
        return ()

    @abstractmethod
    def n_raw(self, n_targets: int) -> int:
        """Number of raw outputs for so many target columns."""

    @abstractmethod
    def nll(self, raw: Any, y: Any) -> Any:
        """Negative log-likelihood of each row, all constants included. Traceable.

        Parameters
        ----------
        raw : array of shape (n, n_raw)
        y : array of shape (n, n_targets)
            Same dtype as ``raw``.

        Returns
        -------
        array of shape (n,)
            Same dtype, in nats.
        """

    @abstractmethod
    def standard_distribution(self, raw: np.ndarray) -> Distribution:
        """The distribution of the target as the network sees it (standardised, if `scales_target`).

        Parameters
        ----------
        raw : float64 array of shape (n, n_raw)

        Returns
        -------
        Distribution
            Of shape (n,) for one target column, (n, n_targets) for several.
        """

    def distribution(self, raw: Any, *, location: Any = 0.0, scale: Any = 1.0) -> Distribution:
        """The distribution of the target in its own units, ``location + scale * standardised``. Computed in float64.

        Parameters
        ----------
        raw : array of shape (n, n_raw)
        location, scale : float or array of shape (n_targets,)
            As the target was standardised; only for outputs with `scales_target`.

        Raises
        ------
        OptionError
            If a location or scale is given to an output that is not trained on a standardised target, or if ``raw``
            is not a matrix.
        """
        raw = np.asarray(raw, np.float64)
        if raw.ndim != 2:
            raise OptionError(f"output {self.name}: raw must have shape (n_rows, n_raw), got {raw.shape}")
        standard = self.standard_distribution(raw)
        location, scale = np.asarray(location, np.float64), np.asarray(scale, np.float64)
        if not location.any() and (scale == 1.0).all():
            return standard
        if not self.scales_target:
            raise OptionError(f"output {self.name} is not trained on a standardised target; give no location or scale")
        return standard.affine(location, scale)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Raw outputs of the target's marginal distribution, where training starts. Zeros unless a class says more.

        Parameters
        ----------
        y : array of shape (n, n_targets)
        weights : array of shape (n,), optional
            Sample weights; a row of weight zero counts as absent.

        Returns
        -------
        array of shape (n_raw,)
        """
        return np.zeros(self.n_raw(np.shape(y)[1]))

    def calibrated(self, raw: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> Output:
        """The output with its constants fitted to what a trained network gives; itself where there are none.

        Parameters
        ----------
        raw : array of shape (n, n_raw) or (n_members, n, n_raw)
            Of one network, or of each member of an ensemble, whose mixture is then to fit.
        y : array of shape (n, n_targets)
            In the units the network was trained in.
        weights : array of shape (n,), optional
        """
        return self

    def for_ensemble(self, raw: np.ndarray, y: np.ndarray, weights: np.ndarray | None, together: np.ndarray) -> Output:
        """The output whose mixture over the members of an ensemble fits best; itself where nothing is to be fitted.

        Parameters
        ----------
        raw : array of shape (n, n_raw)
            Of each row from a member that has not learned from it.
        y : array of shape (n, n_targets)
            In the units the network was trained in.
        weights : array of shape (n,), optional
        together : array of shape (n_members, n_rows, n_raw)
            Of every member for the same rows.
        """
        return self

    def for_target(self, n_classes: int) -> Output:
        """The output for a target of so many classes.

        Raises
        ------
        OptionError
            If it does not take a target of so many classes, or of classes at all.
        """
        raise OptionError(f"output {self.name} is not for classes; use Bernoulli() or Categorical()")

    def check_target(self, y: Any) -> None:
        """Check that every value of the target can occur under this output.

        Parameters
        ----------
        y : array of shape (n,) or (n, n_targets)
            In the target's own units.

        Raises
        ------
        TableError
            Naming the first row (counted from 0) with a value that cannot, and the value.
        """
        y = np.asarray(y, np.float64)
        refuse(self, "finite numbers", y, ~np.isfinite(y))

    def to_json(self) -> dict[str, Any]:
        """As plain data: its name and its fields.

        Raises
        ------
        OptionError
            If the class is not registered, so that nobody could read it back.
        """
        if OUTPUTS.get(self.name) is not type(self):
            raise OptionError(
                f"output {type(self).__name__} is a class of your own; decorate it with chainrule.outputs.register "
                "to store it by name"
            )
        record: dict[str, Any] = {"name": self.name}
        for field in field_names(type(self)):
            value = getattr(self, field)
            record[field] = list(value) if isinstance(value, tuple) else value
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Output:
        """The output of `to_json`'s record; see `output_from_json`."""
        output = output_from_json(record)
        if not isinstance(output, cls):
            raise OptionError(f"an output {cls.__name__} was expected, the record is of {type(output).__name__}")
        return output


#: kinds of target
KINDS = ("numeric", "binary", "classes", "count")
#: the outputs that can be called by name
OUTPUTS: dict[str, type[Output]] = {}

AnyOutput = TypeVar("AnyOutput", bound=type[Output])


def register(output: AnyOutput) -> AnyOutput:
    """Class decorator: enter an output into the registry under its name.

    Raises
    ------
    OptionError
        If another class has the name.
    """
    known = OUTPUTS.setdefault(output.name, output)
    if (known.__module__, known.__qualname__) != (output.__module__, output.__qualname__):
        raise OptionError(f"there is an output {output.name!r} already, {known.__qualname__}; choose another name")
    OUTPUTS[output.name] = output  # a class defined again, as in a notebook, replaces its former self
    return output


def output_from_json(record: Mapping[str, Any]) -> Output:
    """The output of a record made by `Output.to_json`.

    Raises
    ------
    OptionError
        If the name is not registered, a field is missing or unknown, or a value is not allowed.
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("name"), str):
        raise OptionError("the record of an output must be an object with a name")
    name = record["name"]
    if name not in OUTPUTS:
        raise OptionError(f"there is no output {name!r}; there are {', '.join(sorted(OUTPUTS))}")
    known, given = {*field_names(OUTPUTS[name])}, {*record} - {"name"}
    if known != given:
        raise OptionError(f"output {name} has fields {sorted(known)}, the record has {sorted(map(str, given))}")
    make: Callable[..., Output] = OUTPUTS[name]
    return make(**{k: tuple(v) if isinstance(v, list) else v for k, v in record.items() if k != "name"})


def field_names(output: type[Output]) -> tuple[str, ...]:
    """Names of an output's own parameters."""
    return tuple(f.name for f in fields(output)) if is_dataclass(output) else ()


def refuse(output: Output, wanted: str, y: np.ndarray, bad: np.ndarray) -> None:
    """Raise an error that names the first bad row, if there is one."""
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    if rows.size:
        first = int(rows[0])
        value = np.ravel(y[first])[np.ravel(bad[first])][0]
        raise TableError(f"output {output.name} takes {wanted}; the target has {value:g} in row {first} (from 0)")


def check_option(condition: bool, what: str, given: Any) -> None:
    """Raise an `OptionError` unless the condition holds."""
    if not condition:
        raise OptionError(f"{what}, got {given!r}")


def is_real(value: Any) -> bool:
    """Whether a parameter is a plain finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))

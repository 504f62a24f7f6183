"""Layers: each says which parameters it has, how wide its result is, and what it computes, in plain NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from math import sqrt
from typing import Any, ClassVar

import numpy as np

from chainrule.errors import OptionError
from chainrule.networks.parameters import Piece
from chainrule.networks.units import UNITS, Unit, as_unit, check_unit
from chainrule.primitives.random import uniform


@dataclass
class Pass:
    """One forward pass: what layers need to know besides their input, and where they leave what they learned.

    Parameters
    ----------
    training : bool
        Dropout draws and batch normalisation uses the batch's own statistics only while training.
    weights : array of shape (n_rows,), optional
        Row weights of the batch; rows of weight zero count as absent.
    key : uint64 scalar, optional
        Source of this step's random numbers.
    buffers : dict
        Running statistics by name; layers put updated ones into `updates`.
    hyper : dict
        Values of layers' hyper-parameters (such as dropout rates) that override the layers' own.
    """

    training: bool
    buffers: Mapping[str, Any]
    weights: Any = None
    key: Any = None
    hyper: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.updates: dict[str, Any] = {}


class Layer(ABC):
    """A layer of a network: a function of the previous layer's values, with parameters.

    Subclasses are frozen dataclasses; their fields are what a model file stores.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        LAYERS[cls.kind] = cls

    def width(self, n_inputs: int) -> int:
        """Number of values per row that come out."""
        return n_inputs

    def pieces(self, n_inputs: int) -> tuple[Piece, ...]:
        """Its parameters, for so many inputs."""
        return ()

    def buffers(self, n_inputs: int) -> dict[str, np.ndarray]:
        """Its running statistics (not trained by gradients), with their initial values."""
        return {}

    def hyper(self) -> dict[str, float]:
        """Its hyper-parameters: numbers that may change without a new graph."""
        return {}

    @abstractmethod
    def apply(self, parameters: Mapping[str, Any], x: Any, state: Pass, prefix: str) -> Any:
        """Compute the layer: ``x`` of shape (n_rows, n_inputs) to (n_rows, width). Traceable.

        Parameters and buffers are found under the names of `pieces` and `buffers`, ``prefix`` before state's keys.
        """

    def to_json(self) -> dict[str, Any]:
        """Its kind and fields, for a model file."""
        record: dict[str, Any] = {"kind": self.kind}
        for field in fields(self):  # type: ignore[arg-type]  # every layer is a dataclass
            value = getattr(self, field.name)
            if isinstance(value, Unit):
                if UNITS.get(value.name) is not value:
                    raise OptionError(f"unit {value.name} is a function of your own, which has no name to be stored by")
                value = value.name
            record[field.name] = value
        return record


#: layer classes by kind
LAYERS: dict[str, type[Layer]] = {}


def layer_from_json(record: Mapping[str, Any]) -> Layer:
    """The layer of `Layer.to_json`'s record.

    Raises
    ------
    OptionError
        If the kind or a field is unknown or out of range.
    """
    kind = record.get("kind")
    if kind not in LAYERS:
        raise OptionError(f"there is no layer kind {kind!r}; known are {', '.join(sorted(LAYERS))}")
    made = LAYERS[kind]
    options = {key: value for key, value in record.items() if key != "kind"}
    known = {field.name for field in fields(made)}  # type: ignore[arg-type]
    if set(options) - known:
        raise OptionError(f"layer {kind} has no field {sorted(set(options) - known)[0]!r}")
    return made(**options)


def _check_width(width: Any, what: str) -> int:
    if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 1:
        raise OptionError(f"{what} must be a whole number >= 1, got {width!r}")
    return int(width)


def _check_rate(rate: Any, what: str) -> float:
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0.0 <= rate < 1.0:
        raise OptionError(f"{what} must be a number in [0, 1), got {rate!r}")
    return float(rate)


@dataclass(frozen=True)
class Dense(Layer):
    """Affine transformation and unit: ``h = unit(x W + b)``.

    Parameters
    ----------
    n_units : int
        Number of units.
    unit : str, Unit or callable
        A name of `UNITS`, or a plain NumPy function of one's own. ``"linear"`` makes a low-rank factor.
    """

    kind: ClassVar[str] = "dense"
    n_units: int
    unit: str | Unit | Callable[[Any], Any] = "relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_units", _check_width(self.n_units, "Dense(n_units)"))
        own = as_unit(self.unit)
        check_unit(own, self.n_units)
        object.__setattr__(self, "unit", own)

    def __repr__(self) -> str:
        return f"Dense({self.n_units}, {self.unit.name!r})"  # type: ignore[union-attr]

    def width(self, n_inputs: int) -> int:
        return self.n_units

    def pieces(self, n_inputs: int) -> tuple[Piece, ...]:
        gain = self.unit.gain  # type: ignore[union-attr]
        scale = sqrt(gain / max(n_inputs, 1))
        return Piece("weight", (n_inputs, self.n_units), True, scale), Piece("bias", (self.n_units,))

    def apply(self, parameters: Mapping[str, Any], x: Any, state: Pass, prefix: str) -> Any:
        return self.unit.function(x @ parameters["weight"] + parameters["bias"])  # type: ignore[union-attr]


@dataclass(frozen=True)
class Maxout(Layer):
    """The largest of k affine pieces per unit (Goodfellow et al. 2013): ``h_j = max_i (x W_i + b_i)_j``.

    Parameters
    ----------
    n_units : int
    pieces_per_unit : int
        k, at least 2; `pieces` in the constructor.
    """

    kind: ClassVar[str] = "maxout"
    n_units: int
    n_pieces: int = 2

    def __init__(self, n_units: int, pieces: int = 2, *, n_pieces: int | None = None) -> None:
        object.__setattr__(self, "n_units", _check_width(n_units, "Maxout(n_units)"))
        pieces = _check_width(pieces if n_pieces is None else n_pieces, "Maxout(pieces)")
        if pieces < 2:
            raise OptionError(f"Maxout(pieces) must be at least 2, got {pieces}; Dense(n, 'linear') is one piece")
        object.__setattr__(self, "n_pieces", pieces)

    def __repr__(self) -> str:
        return f"Maxout({self.n_units}, pieces={self.n_pieces})"

    def width(self, n_inputs: int) -> int:
        return self.n_units

    def pieces(self, n_inputs: int) -> tuple[Piece, ...]:
        scale = sqrt(1.0 / max(n_inputs, 1))
        wide = self.n_pieces * self.n_units
        return Piece("weight", (n_inputs, wide), True, scale), Piece("bias", (wide,))

    def apply(self, parameters: Mapping[str, Any], x: Any, state: Pass, prefix: str) -> Any:
        z = x @ parameters["weight"] + parameters["bias"]
        h = z[:, : self.n_units]
        for k in range(1, self.n_pieces):
            h = np.maximum(h, z[:, k * self.n_units : (k + 1) * self.n_units])
        return h


@dataclass(frozen=True)
class Dropout(Layer):
    """Zero each value with probability ``rate`` while training, and scale the rest (Srivastava et al. 2014).

    Parameters
    ----------
    rate : float
        In [0, 1).
    """

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", _check_rate(self.rate, "Dropout(rate)"))

    def hyper(self) -> dict[str, float]:
        return {"rate": self.rate}

    def apply(self, parameters: Mapping[str, Any], x: Any, state: Pass, prefix: str) -> Any:
        if not state.training or state.key is None:
            return x
        rate = (state.hyper or {}).get(prefix + "rate", self.rate)
        keep = uniform(state.key, x.shape, x.dtype) >= rate
        return np.where(keep, x / (1.0 - rate), 0.0)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Standardise each value over the batch, then scale and shift it (Ioffe & Szegedy 2015).

    Outside training the running mean and variance of the training batches are used. Rows of weight zero count as
    absent.

    Parameters
    ----------
    momentum : float
        How much of the running statistics each batch replaces.
    epsilon : float
        Added to the variance.
    """

    kind: ClassVar[str] = "batch_norm"
    momentum: float = 0.1
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        object.__setattr__(self, "momentum", _check_rate(self.momentum, "BatchNorm(momentum)"))
        if not self.epsilon > 0:
            raise OptionError(f"BatchNorm(epsilon) must be positive, got {self.epsilon!r}")

    def pieces(self, n_inputs: int) -> tuple[Piece, ...]:
        return Piece("scale", (n_inputs,), constant=1.0), Piece("shift", (n_inputs,))

    def buffers(self, n_inputs: int) -> dict[str, np.ndarray]:
        return {"mean": np.zeros(n_inputs), "variance": np.ones(n_inputs)}

    def apply(self, parameters: Mapping[str, Any], x: Any, state: Pass, prefix: str) -> Any:
        if state.training:
            present = (
                np.ones((x.shape[0],), x.dtype) if state.weights is None else (state.weights > 0.0).astype(x.dtype)
            )
            count = np.maximum(np.sum(present), 1.0)
            mean = present @ x / count
            variance = present @ np.square(x - mean) / count
            for name, value in (("mean", mean), ("variance", variance)):
                old = state.buffers[prefix + name]
                state.updates[prefix + name] = (1.0 - self.momentum) * old + self.momentum * value
        else:
            mean, variance = state.buffers[prefix + "mean"], state.buffers[prefix + "variance"]
        standard = (x - mean) / np.sqrt(variance + self.epsilon)
        return standard * parameters["scale"] + parameters["shift"]

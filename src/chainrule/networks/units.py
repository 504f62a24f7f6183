"""Hidden units: element-wise functions of an affine transformation, written in plain NumPy.

A new unit is one `unit` call. ``gain`` is the factor that keeps the variance of a layer's output at that of its input
when weights are drawn with variance ``gain / n_inputs``: 2 for ReLU (He, Zhang, Ren & Sun 2015), 1 for units that are
the identity near zero (LeCun et al. 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import OptionError
from chainrule.primitives.elementwise import sigmoid


@dataclass(frozen=True)
class Unit:
    """A hidden unit.

    Parameters
    ----------
    name : str
    function : callable
        Plain NumPy, element by element.
    gain : float
        Variance of the weights times the number of inputs, at initialisation.
    formula : str
        How a person writes it, with ``z`` for the argument.
    """

    name: str
    function: Callable[[Any], Any]
    gain: float
    formula: str

    def __reduce__(self) -> Any:  # units of the registry travel by name, so that models can be pickled
        if UNITS.get(self.name) is self:
            return as_unit, (self.name,)
        return Unit, (self.name, self.function, self.gain, self.formula)


_WIDEST_TRIED = 1 << 16

#: the units that can be called by name
UNITS: dict[str, Unit] = {}


def unit(name: str, function: Callable[[Any], Any], gain: float, formula: str, *aliases: str) -> Unit:
    """Register a unit under its name and aliases."""
    made = Unit(name, function, gain, formula)
    for key in (name, *aliases):
        UNITS[key] = made
    return made


RELU = unit("relu", lambda z: np.maximum(z, 0.0), 2.0, "max(0, z)")
SIGMOID = unit("sigmoid", sigmoid, 1.0, "1 / (1 + exp(-z))", "logistic")
TANH = unit("tanh", np.tanh, 1.0, "tanh z")
LINEAR = unit("linear", lambda z: z, 1.0, "z", "identity")
SOFTPLUS = unit("softplus", lambda z: np.logaddexp(z, 0.0), 1.0, "log(1 + exp z)")
LEAKY_RELU = unit("leaky_relu", lambda z: np.where(z > 0.0, z, 0.01 * z), 2.0, "max(z, 0.01 z)")
# exp of the positive part would overflow where it is not used, and 0 · inf is not a number
ELU = unit("elu", lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))), 1.5, "z if z > 0 else exp z - 1")
SILU = unit("silu", lambda z: z * sigmoid(z), 2.0, "z σ(z)", "swish")


def _gelu(z: Any) -> Any:
    from scipy.special import erf

    return 0.5 * z * (1.0 + erf(z * 0.7071067811865476))


GELU = unit("gelu", _gelu, 2.0, "z Φ(z)")


def as_unit(given: str | Unit | Callable[[Any], Any]) -> Unit:
    """The unit of a name, a `Unit`, or a function of one's own (which gets gain 1).

    Raises
    ------
    OptionError
        If there is no unit of that name.
    """
    if isinstance(given, Unit):
        return given
    if isinstance(given, str):
        if given not in UNITS:
            raise OptionError(
                f"there is no unit {given!r}; choose one of {', '.join(sorted(UNITS))}, or give a function"
            )
        return UNITS[given]
    if callable(given):
        name = getattr(given, "__name__", "unit")
        return Unit(name if name.isidentifier() else "unit", given, 1.0, f"{name}(z)")
    raise OptionError(f"a unit must be a name or a function, got {given!r}")


def check_unit(own: Unit, width: int) -> None:
    """Try a unit of one's own on a few rows.

    Raises
    ------
    OptionError
        If it fails, gives another shape, or if a row's result depends on the other rows or on chance: networks are
        trained on batches and predict rows in any company.
    """
    if UNITS.get(own.name) is own or width > _WIDEST_TRIED:
        return
    z = np.random.default_rng(0).normal(size=(4, width))
    with np.errstate(all="ignore"):
        try:
            whole, alone = own.function(z.copy()), own.function(z[1:2].copy())
        except Exception as error:
            raise OptionError(f"the unit {own.name} fails on an array of shape {z.shape}: {error}") from error
    for given, found in ((z, whole), (z[1:2], alone)):
        if np.shape(found) != given.shape or np.asarray(found).dtype.kind not in "fiub":
            what = f"shape {np.shape(found)}" if isinstance(found, np.ndarray) else type(found).__name__
            raise OptionError(f"the unit {own.name} must give one number for each of an array {z.shape}; got {what}")
    if not np.allclose(whole[1:2], alone, rtol=1e-7, atol=1e-7, equal_nan=True):
        raise OptionError(
            f"the unit {own.name} gives a row of its argument other numbers when other rows are beside it, or at every "
            "call; it must depend on that row alone (BatchNorm and Dropout are layers)"
        )

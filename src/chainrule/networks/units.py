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

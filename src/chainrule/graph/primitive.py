"""A primitive: one operation of the graph, with all its rules side by side, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from math import inf
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from chainrule.errors import ChainruleError, GraphError
from chainrule.graph.types import ArrayType


@dataclass(frozen=True)
class NoDerivative:
    """Stands in place of a derivative rule where mathematics (or chainrule) has none.

    Parameters
    ----------
    reason : str
        Completes the sentence "``name`` has no derivative: ...".
    """

    reason: str


@dataclass(frozen=True)
class Sample:
    """Sample inputs of a primitive: what the registry-driven tests feed it.

    Parameters
    ----------
    inputs : tuple of numpy.ndarray
    params : dict
    smooth : bool
        Whether the primitive is differentiable at these inputs, to be checked against complex-step or finite
        differences.
    """

    inputs: tuple[np.ndarray, ...]
    params: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True


@dataclass(frozen=True)
class Primitive:
    """One operation of the graph. All rules are required, so that an omission fails at import.

    Parameters
    ----------
    name : str
        Unique; what graphs print and model files hold.
    family : str
        The file it lives in: elementwise, reduction, product, shape, indexing, linalg, special, random, source.
    formula : str
        How a person writes it: a format string over the inputs, such as ``"{0} + {1}"``.
    infer : callable
        Shape rule: ``infer(*input_types, **params) -> ArrayType``; raises `GraphError` for inputs that do not fit.
        The type hints of its parameters say what params there are: bool, int, float, str and tuples of them.
    numpy : callable
        Meaning: ``numpy(*arrays, **params) -> array``.
    reverse : callable or NoDerivative
        Vector-Jacobian product in traced operations: ``reverse(i, g, out, *inputs, **params)`` is the cotangent of
        input ``i`` for the cotangent ``g`` of the output, or ``None`` where it is zero.
    forward : callable or NoDerivative
        Jacobian-vector product in traced operations: ``forward(tangents, out, *inputs, **params)`` is the tangent of
        the output, or ``None`` where it is zero; a tangent is ``None`` where it is zero.
    lowering : str
        How native code is made of it: one of `LOWERINGS`.
    samples : callable
        ``samples(rng)`` yields `Sample` objects for the registry-driven tests.
    """

    name: str
    family: str
    formula: str
    infer: Callable[..., ArrayType]
    numpy: Callable[..., Any]
    reverse: Callable[..., Any] | NoDerivative
    forward: Callable[..., Any] | NoDerivative
    lowering: str
    samples: Callable[[np.random.Generator], Iterator[Sample]]

    def __post_init__(self) -> None:
        if self.lowering not in LOWERINGS:
            raise GraphError(f"primitive {self.name}: unknown lowering {self.lowering!r}; one of {sorted(LOWERINGS)}")

    @cached_property
    def params(self) -> Mapping[str, Any]:
        """Type of each parameter by name, as the shape rule's hints say; inputs are the ones that are `ArrayType`."""
        hints = get_type_hints(self.infer)
        return {name: hint for name, hint in hints.items() if name != "return" and hint is not ArrayType}

    @cached_property
    def arity(self) -> tuple[int, float]:
        """Least and greatest number of inputs, as the shape rule's signature says."""
        own = [p for p in signature(self.infer).parameters.values() if p.name not in self.params]
        named = [p for p in own if p.kind is not p.VAR_POSITIONAL]
        return len(named), len(named) if len(named) == len(own) else inf

    def infer_type(self, inputs: Sequence[ArrayType], params: Mapping[str, Any]) -> ArrayType:
        """Type of the output, after checking that number of inputs, names and types of params are right.

        Raises
        ------
        GraphError
            Saying what does not fit; the shape rule itself may trust its arguments.
        """
        if params.keys() != self.params.keys():
            raise GraphError(f"takes params {sorted(self.params)}, got {sorted(params)}")
        for name, hint in self.params.items():
            if not is_param(params[name], hint):
                raise GraphError(f"{name} must be {hint_name(hint)}, got {params[name]!r}")
        least, most = self.arity
        if not least <= len(inputs) <= most:
            raise GraphError(f"takes {least} inputs, got {len(inputs)}")
        try:
            return self.infer(*inputs, **params)
        except GraphError:
            raise
        except ChainruleError as error:
            raise GraphError(str(error)) from None

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> Any:  # primitives travel by name
        return PRIMITIVES.__getitem__, (self.name,)

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return self is other


def is_param(value: Any, hint: Any) -> bool:
    """Whether a value is of a param's type: exactly bool, int, float or str, or a tuple of such."""
    if get_origin(hint) is not tuple:
        return type(value) is hint
    if type(value) is not tuple:
        return False
    kinds = get_args(hint)
    if kinds[-1] is Ellipsis:
        return all(is_param(item, kinds[0]) for item in value)
    return len(value) == len(kinds) and all(map(is_param, value, kinds))


def hint_name(hint: Any) -> str:
    """How a param's type is written."""
    return str(hint) if get_origin(hint) else hint.__name__


#: Kinds of native code. ``elementwise``: one result per element. ``reduction``: axes disappear. ``scan``: running
#: result along an axis. ``product``: matrix product. ``view``: other strides over the same data where possible.
#: ``layout``: data moved without arithmetic. ``gather`` / ``scatter``: moved by index. ``library``: a call of the
#: NumPy meaning. ``source``: no inputs.
LOWERINGS = frozenset(
    ("elementwise", "reduction", "scan", "product", "view", "layout", "gather", "scatter", "library", "source")
)

#: every primitive by name, filled while ``chainrule.primitives`` is imported
PRIMITIVES: dict[str, Primitive] = {}


def register(primitive: Primitive) -> Primitive:
    """Add a primitive to the registry and return it.

    Raises
    ------
    GraphError
        If the name is taken.
    """
    if primitive.name in PRIMITIVES:
        raise GraphError(f"there is a primitive {primitive.name!r} already; choose another name")
    PRIMITIVES[primitive.name] = primitive
    return primitive


def per_argument(*rules: Callable[..., Any] | None) -> Callable[..., Any]:
    """Make a reverse rule of one rule per input, each ``rule(g, out, *inputs, **params)``; ``None`` is zero."""

    def reverse(i: int, g: Any, out: Any, *inputs: Any, **params: Any) -> Any:
        rule = rules[i]
        return None if rule is None else rule(g, out, *inputs, **params)

    return reverse


def linear_forward(apply: Callable[..., Any]) -> Callable[..., Any]:
    """Make the forward rule of a primitive that is linear in its first input: apply it to the tangent."""

    def forward(tangents: Any, out: Any, *inputs: Any, **params: Any) -> Any:
        return None if tangents[0] is None else apply(tangents[0], *inputs[1:], **params)

    return forward


def zero_reverse(i: int, g: Any, out: Any, *inputs: Any, **params: Any) -> None:
    """Reverse rule of a piecewise constant function."""


def zero_forward(tangents: Any, out: Any, *inputs: Any, **params: Any) -> None:
    """Forward rule of a piecewise constant function."""

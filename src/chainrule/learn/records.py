"""Optimisers, schedules and penalties as data: frozen dataclasses of numbers, written to JSON and read back.

The list of classes that can be read back is closed, and every number is checked on the way in, so that a model file or
a command line can name an optimiser without being able to run code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from math import isfinite
from typing import Any, ClassVar, Self

from chainrule.errors import OptionError


class Record:
    """Base of the small frozen dataclasses of this floor; every subclass that is given a ``registry`` enters it."""

    registry: ClassVar[dict[str, type[Record]]]
    kind: ClassVar[str]

    def __init_subclass__(cls, kind: str | None = None, abstract: bool = False) -> None:
        super().__init_subclass__()
        if kind is not None:  # the root of a family
            cls.kind, cls.registry = kind, {}
        elif not abstract:
            cls.registry[cls.__name__] = cls

    def to_json(self) -> dict[str, Any]:
        """The record as numbers and text: ``{"name": "Adam", "lr": 0.001, …}``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        plain = {k: v.to_json() if isinstance(v, Record) else v for k, v in values.items()}
        return {"name": type(self).__name__, **plain}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that `to_json` wrote.

        Raises
        ------
        OptionError
            If the name is not one of the closed list, a field is unknown, or a value makes no sense.
        """
        known = cls.registry
        name = data.get("name") if isinstance(data, Mapping) else None
        if not isinstance(name, str) or name not in known or not issubclass(known[name], cls):
            raise OptionError(f"{cls.kind} {name!r} is not known; choose one of {', '.join(sorted(known))}")
        target = known[name]
        accepted: dict[str, Field[Any]] = {f.name: f for f in fields(target)}  # type: ignore[arg-type]
        values = {key: value for key, value in data.items() if key != "name"}
        unknown = sorted(set(values) - set(accepted))
        if unknown:
            raise OptionError(f"{cls.kind} {name} has no {unknown[0]!r}; it has {', '.join(accepted) or 'no options'}")
        missing = [key for key, f in accepted.items() if f.default is MISSING and key not in values]
        if missing:
            raise OptionError(f"{cls.kind} {name} needs {missing[0]!r}")
        return target(**target.read_fields(values))  # type: ignore[return-value]

    @classmethod
    def read_fields(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Turn JSON values into the constructor's; families with nested records say how."""
        return values


def number(
    owner: object, name: str, low: float, high: float = float("inf"), *, open_low: bool = False, open_high: bool = True
) -> None:
    """Check that a field is a finite number in an interval, and store it as a Python float.

    Raises
    ------
    OptionError
    """
    value = getattr(owner, name)
    what = f"{type(owner).__name__}: {name}"
    left, right = "(" if open_low else "[", ")" if open_high else "]"
    if isinstance(value, (str, bytes, bool)) or not _is_number(value):
        raise OptionError(f"{what} must be a number in {left}{low:g}, {high:g}{right}, got {value!r}")
    value = float(value)
    inside = (value > low if open_low else value >= low) and (value < high if open_high else value <= high)
    if not isfinite(value) or not inside:
        raise OptionError(f"{what} must be in {left}{low:g}, {high:g}{right}, got {value:g}")
    object.__setattr__(owner, name, value)  # the dataclass is frozen for everybody else


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True

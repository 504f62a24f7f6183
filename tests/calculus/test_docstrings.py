"""The examples in the docstrings of calculus and graph are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import chainrule.calculus
import chainrule.graph


@pytest.mark.parametrize(
    "name",
    [
        f"{package.__name__}.{module.name}"
        for package in (chainrule.calculus, chainrule.graph)
        for module in pkgutil.iter_modules(package.__path__)
    ],
)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0

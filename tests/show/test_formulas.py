"""Formulas in MathML: well formed for every primitive, with a slot for every input they name."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule.primitives  # noqa: F401  fills the registry
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.trace import apply
from chainrule.primitives import trace
from chainrule.show.formulas import FORMULAS, PULLBACKS, formula, pullback

EVERY = [p for p in PRIMITIVES.values() if p.family != "source"]


@pytest.mark.parametrize("primitive", EVERY, ids=lambda p: p.name)
def test_well_formed(primitive):
    sample = next(iter(primitive.samples(np.random.default_rng(0))))
    graph = trace(lambda *xs: apply(primitive, *xs, **sample.params), *sample.inputs)
    position = graph.outputs[0]
    texts = [formula(graph, position), *(pullback(graph, position, k) for k in range(len(sample.inputs)))]
    for text in texts:
        slots = re.findall(r"\{(\w+)\}", text)
        assert all(s == "g" or int(s) < len(sample.inputs) for s in slots)
        filled = re.sub(r"\{\w+\}", "<mi>x</mi>", text).replace("&#160;", " ")
        ElementTree.fromstring(f"<math>{filled}</math>")
    assert "{0}" in texts[0]


def test_tables_name_primitives_only():
    assert {*FORMULAS, *PULLBACKS} <= PRIMITIVES.keys()


def test_reductions_say_over_which_axes():
    graph = trace(lambda x: (np.sum(x), np.sum(x, axis=1)), np.zeros((2, 3)))
    whole, rows = (formula(graph, i) for i in graph.outputs)
    assert "axis" not in whole
    assert "<mn>1</mn>" in rows

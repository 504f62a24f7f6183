"""Random programs on both executors. ``CHAINRULE_EXAMPLES=10000 pytest tests/native/test_agreement.py`` runs many."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import build, compare

from chainrule.errors import ChainruleError
from chainrule.graph.trace import trace
from chainrule.native.target import Target

EXAMPLES = int(os.environ.get("CHAINRULE_EXAMPLES", "60"))


def integers(data):
    """Hypothesis draws, and shrinks, the choices of which programs are made."""
    return lambda low, high: data.draw(st.integers(low, high))


SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="CHAINRULE_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("with_gradient", [False, True])
def test_random_programs(dtype, with_gradient):
    @SETTINGS
    @given(st.data())
    def run(data):
        with np.errstate(all="ignore"):
            try:
                graph, inputs = build(integers(data), dtype, with_gradient)
            except ChainruleError:
                return  # refused while recording: nothing to compare
            compare(graph, inputs)

    run()


def test_the_comparison_notices_a_fault(monkeypatch):
    from chainrule.native import scalar_ops

    monkeypatch.setitem(scalar_ops._FLOAT, "add", lambda x, y: x + y * 1.001)
    x = np.random.default_rng(0).normal(size=7)
    with pytest.raises(AssertionError):
        compare(trace(lambda x: x + 1.0, x), [x])


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3"])
def test_random_programs_on_narrower_targets(level):
    target = Target.restricted(level)
    if not target.runs_here:
        pytest.skip(f"this machine has no {level}")

    @settings(SETTINGS, max_examples=max(EXAMPLES // 8, 10))
    @given(st.data())
    def run(data):
        with np.errstate(all="ignore"):
            try:
                graph, inputs = build(integers(data), "float32", True)
            except ChainruleError:
                return
            compare(graph, inputs, target)

    run()

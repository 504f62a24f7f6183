"""Reports of compiled programs."""

import numpy as np

import chainrule as cr
from chainrule.graph.trace import trace
from chainrule.native.compile import compile_graph
from chainrule.native.loop import compile_loop


def f(x, w):
    return np.sum(np.tanh(x @ w), axis=1)


def test_of_a_program():
    x, w = np.ones((64, 32), np.float32), np.ones((32, 48), np.float32)
    program = compile_graph(trace(f, x, w), measured=True)
    assert all(np.isnan(s.seconds) for s in program.report().steps)
    for _ in range(5):
        program.run(x, w)
    report = program.report()
    assert [s.kind for s in report.steps] == ["product", "nest"]
    assert report.steps[0].operations == 2 * 64 * 32 * 48
    assert report.steps[1].operations == 2 * 64 * 48
    assert report.steps[0].bytes == 4 * (64 * 32 + 32 * 48 + 64 * 48)
    assert all(0 < s.seconds < 1 for s in report.steps)
    text = str(report)
    assert "µs per run" in text
    assert "product" in text.splitlines()[1]


def test_of_an_epoch():
    x, w = np.ones((8, 4), np.float32), np.ones((4, 4), np.float32)
    graph = trace(lambda w, x: (w + x.T @ x @ w * 0.01, np.sum(x)), w, x)
    loop = compile_loop(graph, 1, 0, 8, measured=True)
    loop([w], [], [np.ones((80, 4), np.float32)], np.arange(80))
    report = loop.report()
    assert len(report.steps) == len(loop.program.steps)
    assert 0 < report.seconds < 0.1
    assert np.isnan(compile_loop(graph, 1, 0, 8).report().seconds)


def test_of_a_function_beside_the_peak():
    compiled = cr.compile(f)
    x, w = np.ones((64, 128), np.float32), np.ones((128, 128), np.float32)
    report = compiled.report(x, w)
    assert 0 < report.seconds < 0.1
    assert 1e8 < report.peak < 1e12
    assert report.steps[0].operations / report.steps[0].seconds < 3 * report.peak
    assert "products of matrices reach" in str(report)
    assert "products of matrices" not in str(compiled.program(x, w).report())

"""One row of a block: followed through every shape, and refused where rows meet."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from exported_models import CASES, difference, expected, rows_of
from exported_programs import BY_ROWS, N, X

import chainrule as cr
from chainrule.errors import GraphError
from chainrule.exchange.row_graph import row_graph
from chainrule.graph.graph import Node
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.tree import flatten

ACROSS = {
    "mean over rows": lambda x: x - np.mean(x, axis=0),
    "rows turned round": lambda x: x[::-1],
    "some rows": lambda x: np.concatenate([x[:16], x[:16]]),
    "rows by number": lambda x: x[np.arange(N)[::-1]],
    "running over rows": lambda x: np.cumsum(x, axis=0),
    "a constant per row": lambda x: x + np.arange(float(N))[:, None],
    "a table of rows": lambda x: x @ x.T,
    "rows folded": lambda x: np.reshape(x, (N // 2, 12)),
}


@pytest.mark.parametrize("f", BY_ROWS.values(), ids=BY_ROWS)
def test_one_row_gives_what_it_gives_among_others(f):
    graph = cr.trace(f, X)
    rows = row_graph(graph)
    together = graph.run(X)
    for k in (0, 7, N - 1):
        for value, whole in zip(rows.graph.run(X[k : k + 1]), together, strict=True):
            assert value.shape == (1, *whole.shape[1:])
            np.testing.assert_allclose(value[0], whole[k], rtol=1e-14)


def test_what_all_rows_share_is_kept_only_while_somebody_reads_it():
    """Got through: `export` of a small file took memory for every step of a long chain at the same time."""
    steps, numbers = 60, 100_000

    def chain(theta, x):
        for _ in range(steps):
            theta = theta * 0.5
        return x + np.sum(theta)

    theta = np.ones(numbers)
    graph = cr.trace(chain, theta, X)
    first, rows = graph.inputs
    nodes = list(graph.nodes)
    nodes[first] = Node(PRIMITIVES["constant"], (), {"value": theta}, nodes[first].type)
    graph = replace(graph, nodes=tuple(nodes), inputs=(rows,), input_tree=flatten(0)[1])
    tracemalloc.start()
    try:
        row_graph(graph)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * 8 * numbers


@pytest.mark.parametrize("f", ACROSS.values(), ids=ACROSS)
def test_what_mixes_rows_is_refused_by_name(f):
    with pytest.raises(GraphError, match=r"^(node \d+ \(\w+.*\)|output 0): "):
        row_graph(cr.trace(f, X))


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_model_by_single_rows(name):
    from chainrule.models.export import predictor_of

    model = CASES[name]
    rows = rows_of(model)
    predictor = predictor_of(model)
    single = [predictor.rows.graph.run(row[None]) for row in model.inputs.arrays(rows)[0]]
    given = {
        key: np.concatenate(values) for key, values in zip(predictor.outputs, zip(*single, strict=True), strict=True)
    }
    assert difference(given, expected(model, rows)) < 1e-12

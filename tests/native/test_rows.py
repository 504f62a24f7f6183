"""A graph over whole tables."""

import threading

import numpy as np
import pytest

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.errors import GraphError
from chainrule.graph.trace import trace
from chainrule.graph.types import ArrayType
from chainrule.native.rows import compile_rows


def predict(w, b, x, offset):
    h = np.tanh(x @ w + b)
    return h / np.sum(np.abs(h), axis=1, keepdims=True) + offset[:, None], np.argmax(h, axis=1), x[:, 0] > 0


def graph_of(block, function=predict):
    kinds = [((7, 5), "f4"), ((5,), "f4"), ((block, 7), "f4"), ((block,), "f4")]
    return trace(function, *(ArrayType(s, np.dtype(d)) for s, d in kinds))


def table(n):
    rng = np.random.default_rng(n)
    shapes = ((7, 5), (5,), (n, 7), (n,))
    w, b, x, offset = (rng.normal(size=s).astype(np.float32) for s in shapes)
    return [w, b], [x, offset]


@pytest.mark.parametrize(
    ("block", "n"), [(1, 1), (1, 9), (4, 4), (4, 1), (4, 0), (4, 5), (16, 100), (16, 31), (8, 8000)]
)
@pytest.mark.parametrize("threads", [1, 3])
def test_agrees_with_numpy_for_any_number_of_rows(block, n, threads):
    fixed, rows = table(n)
    got = compile_rows(graph_of(block), 2, threads=threads)(fixed, rows)
    want = graph_of(n).run(*fixed, *rows)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_helpers_take_their_part_and_the_bits_stay_the_same(monkeypatch):
    from chainrule.native import rows as module

    asked = []
    offer = module.offer
    monkeypatch.setattr(module, "offer", lambda work, helpers: (asked.append(helpers), offer(work, helpers)))
    fixed, rows = table(100_000)
    one = compile_rows(graph_of(32), 2, threads=1)(fixed, rows)
    assert not asked
    four = compile_rows(graph_of(32), 2, threads=4)(fixed, rows)
    assert asked == [3]
    for a, b in zip(one, four, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("block", [1, 7, 32])
def test_a_row_does_not_depend_on_the_others(block):
    fixed, rows = table(100)
    run = compile_rows(graph_of(block), 2)
    whole = run(fixed, rows)
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 31, 32, 33, 64, 100):
        chosen = rng.integers(0, 100, size)
        part = run(fixed, [r[chosen] for r in rows])
        for a, b in zip(part, whole, strict=True):
            assert a.tobytes() == b[chosen].tobytes()


def test_library_calls_find_their_block():
    def sorted_rows(w, b, x, offset):
        return (np.sort(x, axis=1) @ w + b + offset[:, None],)

    fixed, rows = table(37)
    (got,) = compile_rows(graph_of(8, sorted_rows), 2)(fixed, rows)
    np.testing.assert_allclose(got, np.sort(rows[0], 1) @ fixed[0] + fixed[1] + rows[1][:, None], rtol=1e-5, atol=1e-5)

    def only_sorted(w, b, x, offset):
        return (np.sort(x, axis=1),)

    (got,) = compile_rows(graph_of(8, only_sorted), 2)(fixed, rows)
    np.testing.assert_array_equal(got, np.sort(rows[0], 1))


def test_errors():
    run = compile_rows(graph_of(8), 2)
    fixed, rows = table(20)
    with pytest.raises(GraphError, match=r"x must have shape \(20, 7\), got \(20, 6\)"):
        run(fixed, [rows[0][:, :6], rows[1]])
    with pytest.raises(GraphError, match="takes 4 inputs, got 3"):
        run(fixed, rows[:1])
    with pytest.raises(GraphError, match="one number of rows"):
        compile_rows(graph_of(8, lambda w, b, x, offset: (x.sum(),)), 2)
    picking = compile_rows(graph_of(8, lambda w, b, x, o: (w[o.astype(np.int64)],)), 2)
    with pytest.raises(GraphError, match="out of bounds"):
        picking(fixed, [rows[0], np.full(20, 9, np.float32)])
    picking(fixed, [rows[0], np.zeros(20, np.float32)])  # the failure is not remembered


def test_several_threads_share_it():
    run = compile_rows(graph_of(8), 2)
    tables = [table(50 + k) for k in range(6)]
    expected = [run(*t)[0].tobytes() for t in tables]
    wrong = []

    def work(k):
        for _ in range(100):
            if run(*tables[k])[0].tobytes() != expected[k]:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong

"""The stages before emission: terms, materialisation, schedule, memory."""

import random

import numpy as np
import pytest
from random_programs import build

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.errors import ChainruleError
from chainrule.graph.trace import trace
from chainrule.native.affine import Affine
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.fuse import fuse
from chainrule.native.lower import lower
from chainrule.native.nests import Nest
from chainrule.native.plan import ALIGNMENT, plan_memory
from chainrule.native.schedule import lanes_of, schedule
from chainrule.native.target import Target
from chainrule.native.terms import to_terms

X = np.random.default_rng(0).normal(size=(6, 5))


def terms_of(function, *args):
    return to_terms(trace(function, *args))


# -- terms


def test_constants_are_folded_and_equal_terms_shared():
    terms = terms_of(lambda x: (np.exp(x) + np.exp(x) * 1.0, x * (np.ones(5) * 3.0)), X)
    assert [t.op for t in terms.terms if t.kind == "map"] == ["exp", "add", "multiply"]
    (constant,) = [t for t in terms.terms if t.kind == "constant"]
    assert constant.uniform == 3.0


def test_the_tanh_of_a_logarithm_needs_neither():
    terms = terms_of(lambda z: z * np.tanh(np.log1p(np.exp(z))), X)
    assert [t.op for t in terms.terms if t.kind == "map"] == ["exp", "tanh_log1p", "multiply"]
    both = terms_of(lambda z: (np.log1p(z), np.tanh(np.log1p(z))), np.abs(X))
    assert [t.op for t in both.terms if t.kind == "map"] == ["log1p", "tanh_log1p"]


def test_sums_of_disjoint_windows_are_one_assembly():
    def f(x):
        a, b, c = np.pad(x[:2], ((0, 4), (0, 0))), np.pad(x[2:5], ((2, 1), (0, 0))), np.pad(x[1:3], ((1, 3), (0, 0)))
        return (a + np.tanh(x)) + b + c

    kinds = [t for t in terms_of(f, X).terms if t.kind == "assemble"]
    assert sorted(len(t.args) for t in kinds) == [1, 2]  # the third meets the others


def test_text_of_the_stages():
    terms = terms_of(lambda x: np.sum(np.exp(x), 1), X)
    assert "reduce sum(t1)  # float64[6]" in str(terms)
    text = str(lower(terms))
    assert "for i0 < 6, i1 < 5:" in text
    assert "fold sum b1[i0] = r1   (i0 | i1)" in text


# -- what is materialised


def test_cheap_values_are_computed_again_and_dear_ones_kept():
    def f(x):
        cheap, dear = x + 1.0, np.exp(np.sin(x))
        return cheap @ cheap.T, cheap.sum(), dear.sum(0), dear.sum(1)

    program = lower(terms_of(f, X))
    stored = [r for s in program.steps if isinstance(s, Nest) for r in s.results if r.kind == "store"]
    assert len(stored) == 2  # the operand of the product, and exp(sin(x))


def test_views_are_not_copied():
    program = lower(terms_of(lambda x: np.exp(x.T[::-1].reshape(5, 2, 3)[:, 1]), X))
    (nest,) = program.steps
    assert len(nest.loads()) == 1


# -- schedule


def nest_of(function, *args):
    (nest,) = lower(terms_of(function, *args)).steps
    return nest


def test_contiguous_loops_become_one():
    nest = schedule(nest_of(lambda x: x * 2.0 + 1.0, np.zeros((4, 6, 8))), Target.host())
    assert list(nest.extents.values()) == [192]
    nest = schedule(nest_of(lambda x: x + x[:, :1], np.zeros((4, 6))), Target.host())
    assert sorted(nest.extents.values()) == [4, 6]


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v3", "x86-64-v4"])
def test_lanes_run_along_memory(level):
    target = Target.restricted(level)
    transposed = schedule(nest_of(lambda x: x.T + 1.0, np.zeros((64, 48), np.float32)), target)
    (axis,) = transposed.vector
    assert transposed.results[0].place.stride(axis) == 1 or transposed.loads()[0][1].stride(axis) == 1
    columns = schedule(nest_of(lambda x: x.sum(0), np.zeros((64, 48), np.float32)), target)
    assert columns.vector.issubset(columns.results[0].kept)
    assert lanes_of(columns, target) == min(target.vector_bytes // 4, 64)


def test_order_of_additions_is_kept():
    nest = lower(terms_of(lambda x, i: x[i].sum(0), X, np.array([1, 1, 2]))).steps
    assert all(isinstance(s, Nest) for s in nest)
    scatter = trace(lambda x: np.diag(x) + 0.0, np.ones(4))
    adds = [r for s in lower(to_terms(scatter)).steps for r in s.results if r.kind == "add"]
    assert all(r.loops for r in adds)


# -- memory


def test_values_that_live_at_once_do_not_share_memory():
    for seed in range(60):
        generator = random.Random(seed)
        try:
            with np.errstate(all="ignore"):
                graph, _ = build(generator.randint, "float64", with_gradient=seed % 2 == 0)
        except ChainruleError:
            continue
        program = fuse(fuse_epilogues(lower(to_terms(graph))))
        memory = plan_memory(program, 100, 2)
        lives = program.lifetimes()
        spans = {b: (at, at + program.buffers[b].bytes) for b, at in memory.offsets.items()}
        for a, (low, high) in spans.items():
            assert low % ALIGNMENT == 0
            assert high <= memory.scratch
            for b, (start, stop) in spans.items():
                if a < b and lives[a][0] <= lives[b][1] and lives[b][0] <= lives[a][1]:
                    assert high <= start or stop <= low
        assert memory.bytes >= memory.scratch + 2 * 100


def test_memory_is_used_again():
    def f(x):
        for _ in range(12):
            x = (x @ x) * 0.1
        return x

    program = lower(terms_of(f, np.eye(16)))
    assert plan_memory(program).bytes <= 4 * 16 * 16 * 8


def test_every_place_is_inside_its_buffer():
    for seed in range(60):
        generator = random.Random(1000 + seed)
        try:
            with np.errstate(all="ignore"):
                graph, _ = build(generator.randint, "float32", with_gradient=True)
        except ChainruleError:
            continue
        program = fuse(fuse_epilogues(lower(to_terms(graph))))
        for step in program.steps:
            nest = step if isinstance(step, Nest) else getattr(step, "epilogue", None)
            if nest is None:
                continue
            places = [(b, p, list(i.data[2:])) for i in nest.body if i.op == "load" for b, p in [i.data[:2]]]
            places += [(r.buffer, r.place, list(r.indirect)) for r in nest.results if r.buffer is not None]
            for b, place, parts in places:
                reach = sum(abs(part.stride) * (part.size - 1) for part in parts)
                low, high = place.bounds(nest.extents)
                assert low >= 0
                assert high + reach < program.buffers[b].size
    assert Affine().bounds({}) == (0, 0)

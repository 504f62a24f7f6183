"""Epochs run by a team of threads: the same bits for any number, and errors that let nobody wait forever."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest

import chainrule.primitives  # noqa: F401  fills the dispatch tables
from chainrule.calculus import value_and_grad
from chainrule.errors import GraphError
from chainrule.graph.trace import inline, trace
from chainrule.learn.loop import NumpyEpoch
from chainrule.learn.optimizers import Adam
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.native import team as team_module
from chainrule.native.epoch_plan import plan_epoch
from chainrule.native.loop import compile_loop
from chainrule.native.target import Target
from chainrule.native.team import Share, plan_team
from chainrule.networks import Network
from chainrule.outputs import Categorical

BATCH, WIDTHS = 192, (40, 200, 170, 3)


def wide_step(dtype="float32"):
    """A step large enough to be shared: (graph, carry, data)."""
    shapes = [s for a, b in pairwise(WIDTHS) for s in ((a, b), (b,))]
    cuts = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])

    def step(theta, m, x, y):
        def loss(theta):
            pieces = [theta[a:b].reshape(s) for a, b, s in zip(cuts[:-1], cuts[1:], shapes, strict=True)]
            h = x
            for w, b in zip(pieces[:-2:2], pieces[1:-2:2], strict=True):
                h = np.maximum(h @ w + b, 0.0)
            z = h @ pieces[-2] + pieces[-1]
            z = z - np.max(z, axis=1, keepdims=True)
            return -np.mean(z[:, 0] * y - np.log(np.sum(np.exp(z), axis=1)))

        value, g = value_and_grad(loss)(theta)
        m = 0.9 * m + g
        return theta - 0.01 * m / (np.sqrt(np.square(m)) + 1.0), m, value

    rng = np.random.default_rng(0)
    theta = (rng.normal(size=int(cuts[-1])) * 0.1).astype(dtype)
    x, y = rng.normal(size=(500, WIDTHS[0])).astype(dtype), rng.normal(size=500).astype(dtype)
    graph = trace(step, theta, theta, x[:BATCH], y[:BATCH])
    return graph, [theta, np.zeros_like(theta)], [x, y]


def test_bits_do_not_depend_on_the_number_of_threads():
    graph, carry, data = wide_step()
    order = np.random.default_rng(1).permutation(500)
    results = {}
    for threads in (1, 2, 3, 4):
        loop = compile_loop(graph, 2, 0, BATCH, threads=threads)
        assert loop.team.members == threads
        for _ in range(3):
            new, sums = loop(carry, [], data, order)
            results.setdefault(threads, set()).add((new[0].tobytes(), new[1].tobytes(), sums.tobytes()))
    assert len(results[1]) == 1
    assert all(found == results[1] for found in results.values())
    want, expected = NumpyEpoch(graph, 2, 0, BATCH)(carry, [], data, order)
    np.testing.assert_allclose(new[0], want[0], atol=2e-4)
    np.testing.assert_allclose(sums, expected, rtol=1e-4)


@pytest.mark.parametrize(("shape", "dtype"), [((1500, 530, 2), "float32"), ((152, 53, 2), "float32")])
def test_a_team_adds_up_in_the_order_of_one_thread(shape, dtype, monkeypatch):
    """Rows kept apart from columns made lanes along the sum the cheapest; one thread had them along rows · columns."""
    if shape[0] < 1000:
        monkeypatch.setattr(team_module, "_SHORTEST_STRETCH", 0)
    rng = np.random.default_rng(0)
    carry = [rng.normal(size=shape).astype(dtype), np.zeros(shape[1:], dtype)]
    ones = np.ones((16, 1), dtype)
    graph = trace(lambda a, s, x: (a, np.square(np.square(a)).sum(axis=0), x[0].sum()), *carry, ones)
    loops = {threads: compile_loop(graph, 2, 0, 16, threads=threads) for threads in (1, 2, 4)}
    assert loops[2].team.members == 2
    assert len({loop(carry, [], [ones], np.arange(16))[0][1].tobytes() for loop in loops.values()}) == 1


def test_members_seldom_wait():
    graph, _, _ = wide_step()
    loop = compile_loop(graph, 2, 0, BATCH, threads=2)
    team = loop.team
    assert len(team.shares) > len(team.waits)
    assert team.waits == plan_team(loop.program, None, loop.plan.products, Target.host(), 2).waits  # not for memory
    # the last product and its sums, the loss, what goes back from it, twice; layers; the update; not between gradients
    assert len(team.waits) <= 7
    assert str(team).startswith("2 threads share steps")


def test_members_wait_for_what_a_library_computes():
    graph, carry, data = wide_step()

    def step(theta, m, a, x, y):
        new, m, value = inline(graph, theta, m, x, y)
        inverse = np.linalg.inv(a)  # by one member; all of them need it
        return new + np.tile((x @ inverse).sum(axis=0), len(theta))[: len(theta)], m, a, value

    a = np.eye(WIDTHS[0], dtype=np.float32) * 1e3
    given = [*carry, a]
    wide = trace(step, *given, *(d[:BATCH] for d in data))
    bits = set()
    for threads in (1, 2, 4):
        loop = compile_loop(wide, 3, 0, BATCH, threads=threads)
        for _ in range(5):
            new, _ = loop(given, [], data, np.arange(384))
            bits.add(new[0].tobytes())
    assert len(bits) == 1


def test_small_steps_are_not_shared():
    graph = trace(lambda a, x: (a + x.sum(), x.sum()), np.zeros(()), np.zeros((4, 2)))
    loop = compile_loop(graph, 1, 0, 4, threads=4)
    assert str(loop.team) == "one thread"


def test_errors_end_the_epoch_for_all_members():
    graph, carry, data = wide_step()

    def failing(a, theta, m, x, y):
        return np.linalg.inv(a), *inline(graph, theta, m, x, y)

    whole = trace(failing, np.eye(2), *carry, data[0][:BATCH], data[1][:BATCH])
    loop = compile_loop(whole, 3, 0, BATCH, threads=3)
    assert loop.team.members == 3
    loop([np.eye(2), *carry], [], data, np.arange(500))
    for _ in range(5):
        with pytest.raises(np.linalg.LinAlgError):
            loop([np.zeros((2, 2)), *carry], [], data, np.arange(500))


def test_an_index_out_of_bounds_in_a_team():
    graph, carry, data = wide_step()

    def picking(at, theta, m, x, y):
        new, state, value = inline(graph, theta, m, x, y)
        return at, new, state, value + np.sum(x[at])

    whole = trace(picking, np.array([0, 5]), *carry, data[0][:BATCH], data[1][:BATCH])
    loop = compile_loop(whole, 3, 0, BATCH, threads=2)
    assert loop.team.members == 2
    loop([np.array([0, 5]), *carry], [], data, np.arange(500))
    with pytest.raises(GraphError, match="out of bounds"):
        loop([np.array([0, BATCH]), *carry], [], data, np.arange(500))


@pytest.mark.parametrize(("extent", "unit"), [(100, 1), (100, 16), (7, 16), (1, 1), (64, 32)])
@pytest.mark.parametrize("members", [1, 2, 3, 8])
def test_cuts_cover_everything_at_multiples_of_the_unit(extent, unit, members):
    cuts = Share(extent, unit).cuts(members)
    assert cuts[0] == 0
    assert cuts[-1] == extent
    assert sorted(cuts) == cuts
    assert all(c % unit == 0 or c == extent for c in cuts)


def touched(step, share, members, member):
    """Every number a member touches in a step, one by one: {(buffer, place)} read and written."""
    cut = share is not None and not share.merged  # of loops made one it may be anywhere
    cuts = share.cuts(members) if cut else []
    found = {True: set(), False: set()}
    if share is None and member:
        return found
    for buffer, walks in team_module._walks(step, share).items():
        for walk in walks:
            assert not walk.anywhere
            ranges = [
                range(cuts[member], cuts[member + 1]) if axis == team_module._CUT and cut else range(n)
                for axis, n in walk.extents.items()
            ]
            for counters in product(*ranges):
                at = dict(zip(walk.extents, counters, strict=True))
                place = walk.place.offset + sum(stride * at[axis] for axis, stride in walk.place.terms)
                found[buffer in step.writes].add((buffer, place))
    return found


@pytest.mark.parametrize("widths", [(3, 5, 4, 2), (2, 8, 8, 1), (5, 3, 7)])
@pytest.mark.parametrize("members", [2, 3])
def test_between_waits_no_member_touches_what_another_writes(widths, members, monkeypatch):
    for name, value in (("_SHORTEST_STEP", 0), ("_SHORTEST_STRETCH", 0), ("_FEWEST_ROWS", 1)):
        monkeypatch.setattr(team_module, name, value)
    rng = np.random.default_rng(0)
    rows = Rows.of(rng.normal(size=(20, widths[0])), rng.integers(0, widths[-1] + 1, 20))
    training = Training(
        Network(widths[1:-1], Categorical(widths[-1] + 1)), rows, Options(optimizer=Adam(0.1), batch_size=10)
    )
    step = training.step
    plan = plan_epoch(step.graph, len(step.carry), len(step.hyper), 10, Target.host(), members, False)
    team, steps = plan.team, plan.program.steps
    assert len(team.shares) >= 4
    gathering = {b for s in steps for b in s.reads if plan.program.buffers[b].role in ("data", "order")}
    compared = 0
    for k in range(len(steps)):
        for p in range(k - 1, -1, -1):
            if any(w in team.waits for w in range(p + 1, k + 1)):
                break
            if (steps[p].reads | steps[k].reads) & gathering:
                continue  # rows of the table are only read
            for one, other in permutations(range(members), 2):
                first = touched(steps[p], team.shares.get(p), members, one)
                second = touched(steps[k], team.shares.get(k), members, other)
                writes, others = first[True], second[True] | second[False]
                assert not writes & others, (p, k)
                assert not first[False] & second[True], (p, k)
                compared += 1
    assert compared > 10

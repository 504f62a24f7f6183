"""Check the rules of a primitive against NumPy and against its continuation to complex numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from analytic import push
from random_cases import Case

from chainrule.calculus.sweeps import backward, forward
from chainrule.graph.graph import Graph, check
from chainrule.graph.primitive import Primitive
from chainrule.graph.trace import Recorder, Traced, apply
from chainrule.graph.trace import recording as new_recording
from chainrule.graph.tree import flatten
from chainrule.graph.types import ArrayType

TOLERANCE = 1e-10
#: operands by which there is no derivative
WITHOUT_DERIVATIVE = {"gammainc": (0,), "gammaincc": (0,), "stdtr": (0,)}


class Recording:
    """An application of a primitive with its derivatives of first and second order, in one graph.

    ``grads``: reverse. ``tangent``: forward. ``grads_of_grads``, ``tangents_of_grads``, ``grads_of_tangent``: one over
    the other, each weighted by a random (co)tangent.
    """

    def __init__(self, primitive: Primitive, case: Case, seed: int = 0, known: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.inputs, self.seed = case.inputs, seed
        with new_recording() as recorder:
            self.recorder = recorder
            traced = [recorder.input(ArrayType.of(x), x if known else None) for x in case.inputs]
            self.out = apply(primitive, *traced, **case.params)
            skip = WITHOUT_DERIVATIVE.get(primitive.name, ())
            self.wrt = [x for k, x in enumerate(traced) if x.type.is_float and k not in skip]
            self.weights: list[Any] = []
            smooth = self.out.type.is_float and bool(self.wrt)
            self.directions = [random_like(rng, x) for x in self.wrt]
            self.u = random_like(rng, self.out)
            self.grads = self.reverse([self.out], [self.u]) if smooth else []
            self.tangent = self.push([self.out])[0] if smooth else None
            self.w = [random_like(rng, g) for g in self.grads]
            self.v = random_like(rng, self.out)
            self.grads_of_grads = self.reverse(self.grads, self.w) if smooth else []
            self.tangents_of_grads = self.push(self.grads) if smooth else []
            self.grads_of_tangent = self.reverse([self.tangent], [self.v]) if smooth else []
            first = [self.out, *self.grads, *([self.tangent] if smooth else [])]
            self.results = [*first, *self.grads_of_grads, *self.tangents_of_grads, *self.grads_of_tangent]
            self.first = graph_of(recorder, traced, first)
            self.graph = graph_of(recorder, traced, self.results)
            self.positions = [k for k, x in enumerate(traced) if any(x is y for y in self.wrt)]

    def reverse(self, outputs: list[Traced], seeds: list[np.ndarray]) -> list[Traced]:
        found = backward(self.recorder, outputs, [self.recorder.constant(s) for s in seeds], self.wrt)
        return [self.or_zero(g, x) for g, x in zip(found, self.wrt, strict=True)]

    def push(self, outputs: list[Traced]) -> list[Traced]:
        seeds = [self.recorder.constant(d) for d in self.directions]
        found = forward(self.recorder, self.wrt, seeds, outputs)
        return [self.or_zero(t, y) for t, y in zip(found, outputs, strict=True)]

    def or_zero(self, found: Any, like: Traced) -> Traced:
        assert found is None or found.shape == like.shape, "a derivative has the shape of what it belongs to"
        return self.recorder.constant(np.zeros(like.shape, like.dtype)) if found is None else found

    def step(self, directions: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
        """Directional derivatives of value, gradients and tangent, by a complex step."""
        tangents: list[Any] = [None] * len(self.inputs)
        for k, d in zip(self.positions, directions, strict=True):
            tangents[k] = d
        value, *grads, tangent = push(self.first, self.inputs, tangents)
        return value, grads, tangent


def random_like(rng: np.random.Generator, x: Any) -> np.ndarray:
    return np.asarray(rng.normal(size=x.shape)).astype(x.dtype if x.type.is_float else np.float64)


def graph_of(recorder: Recorder, inputs: list[Traced], outputs: list[Traced]) -> Graph:
    _, ins = flatten(tuple(inputs))
    _, outs = flatten(tuple(outputs))
    return recorder.graph(inputs, outputs, ins, outs)


def check_shapes(primitive: Primitive, case: Case, eager: Recording | None = None) -> None:
    """The shape rule says what NumPy does, and tracing from shapes alone records what eager tracing records."""
    eager = eager or Recording(primitive, case)
    expected = np.asarray(primitive.numpy(*case.inputs, **case.params))
    inferred = primitive.infer(*(ArrayType.of(x) for x in case.inputs), **case.params)
    assert (inferred.shape, inferred.dtype) == (expected.shape, expected.dtype)
    blind = Recording(primitive, case, eager.seed, known=False)
    assert str(blind.graph) == str(eager.graph)
    check(eager.graph)
    for traced, result in zip(eager.results, eager.graph.run(*case.inputs), strict=True):
        np.testing.assert_array_equal(traced.value, result)


def check_derivatives(primitive: Primitive, case: Case, seed: int = 0, recording: Recording | None = None) -> None:
    """First and second order, forward and reverse, against complex steps."""
    r = recording or Recording(primitive, case, seed)
    if r.tangent is None:
        return
    value, grads, _ = r.step(r.directions)
    close(r.tangent.value, value, "forward rule")
    for pushed, expected in zip(r.tangents_of_grads, grads, strict=True):
        close(pushed.value, expected, "forward over reverse")
    for directions in probes(r.wrt, np.random.default_rng(seed + 1)):
        value, grads, tangent = r.step(directions)
        equal(pairs(r.grads, directions), [(r.u, value)], "reverse rule")
        equal(pairs(r.grads_of_grads, directions), list(zip(r.w, grads, strict=True)), "reverse over reverse")
        equal(pairs(r.grads_of_tangent, directions), [(r.v, tangent)], "reverse over forward")


def check_inner_products(primitive: Primitive, case: Case, seed: int = 0) -> None:
    """Forward against reverse: ``⟨u, J t⟩ = ⟨Jᵀ u, t⟩`` in random directions, with no oracle."""
    r = Recording(primitive, case, seed)
    if r.tangent is not None:
        equal(pairs(r.grads, r.directions), [(r.u, r.tangent.value)], "forward against reverse")


def probes(wrt: list[Traced], rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Every coordinate where they are few, else random directions."""
    if sum(x.size for x in wrt) > 6:
        return [[rng.normal(size=x.shape) for x in wrt] for _ in range(3)]
    found = []
    for k, x in enumerate(wrt):
        for unit in np.eye(x.size).reshape(x.size, *x.shape):
            found.append([unit if j == k else np.zeros(y.shape) for j, y in enumerate(wrt)])
    return found


def pairs(traced: list[Traced], directions: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x.value, d) for x, d in zip(traced, directions, strict=True)]


def equal(left: Any, right: Any, what: str) -> None:
    """Two inner products agree, relative to the size of their terms."""
    a, b = (sum(float(np.sum(x * y)) for x, y in each) for each in (left, right))
    size = sum(float(np.sum(np.abs(x * y))) for each in (left, right) for x, y in each)
    assert abs(a - b) <= TOLERANCE * size + 1e-290, f"{what}: {a} against {b}"


def close(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    assert found.shape == expected.shape, f"{what}: shape {found.shape} against {expected.shape}"
    size = float(np.max(np.abs(expected), initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=1e-2 * TOLERANCE * size, err_msg=what)

"""Random inputs of every primitive: shapes with broadcasting, axes of length 0 and 1, parameters to match."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chainrule.graph.primitive import Primitive

Shape = tuple[int, ...]
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """Inputs and parameters of one application of a primitive."""

    inputs: tuple[np.ndarray, ...]
    params: dict[str, Any]


def any_shape(rng: Rng, most: int = 3, least: int = 0, empty: bool = True) -> Shape:
    sizes = [1, 2, 3] + ([0] if empty and rng.random() < 0.25 else [])
    return tuple(int(s) for s in rng.choice(sizes, size=rng.integers(least, most + 1)))


def narrower(rng: Rng, shape: Shape) -> Shape:
    """A shape that broadcasts to another one."""
    start = int(rng.integers(0, len(shape) + 1)) if rng.random() < 0.4 else 0
    return tuple(1 if rng.random() < 0.25 else s for s in shape[start:])


def some_axes(rng: Rng, ndim: int) -> tuple[int, ...]:
    return tuple(k for k in range(ndim) if rng.random() < 0.5)


def values_like(rng: Rng, examples: list[np.ndarray], shape: Shape) -> np.ndarray:
    """Numbers from the range of a primitive's registered samples, of their dtype."""
    pool = np.concatenate([np.ravel(x) for x in examples])
    if pool.dtype == np.bool_:
        return np.asarray(rng.random(shape) < 0.5)
    if pool.dtype.kind in "iu":
        return rng.integers(pool.min(), pool.max() + 1, size=shape, dtype=pool.dtype)
    return rng.uniform(pool.min(), pool.max(), size=shape)


def elementwise(rng: Rng, primitive: Primitive) -> Case:
    samples = list(primitive.samples(rng))
    shape = any_shape(rng)
    arity = len(samples[0].inputs)
    shapes = [shape if arity == 1 else narrower(rng, shape) for _ in range(arity)]
    inputs = [values_like(rng, [s.inputs[k] for s in samples], shapes[k]) for k in range(arity)]
    return Case(tuple(inputs), dict(samples[rng.integers(len(samples))].params))


def reduction(rng: Rng, primitive: Primitive) -> Case:
    sample = next(iter(primitive.samples(rng)))
    empty = primitive.name not in ("max", "min", "argmax", "argmin")
    one = "keepdims" not in sample.params
    shape = any_shape(rng, least=int(one), empty=empty)
    x = values_like(rng, [sample.inputs[0]], shape)
    if x.dtype.kind == "f":
        x = rng.normal(size=shape)
    if one:
        return Case((x,), {"axis": int(rng.integers(len(shape)))})
    return Case((x,), {"axis": some_axes(rng, len(shape)), "keepdims": bool(rng.random() < 0.5)})


def reshape(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng)
    target = list(rng.permutation([s for s in shape if s != 1]))
    if rng.random() < 0.3:
        target = [prod(shape)]
    for _ in range(rng.integers(0, 3)):
        target.insert(int(rng.integers(len(target) + 1)), 1)
    return Case((rng.normal(size=shape),), {"shape": tuple(int(s) for s in target)})


def transpose(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng, most=4)
    return Case((rng.normal(size=shape),), {"axes": tuple(int(k) for k in rng.permutation(len(shape)))})


def broadcast_to(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng)
    return Case((rng.normal(size=narrower(rng, shape)),), {"shape": shape})


def flip(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng)
    return Case((rng.normal(size=shape),), {"axis": some_axes(rng, len(shape))})


def concatenate(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng, least=1)
    axis = int(rng.integers(len(shape)))
    parts = [
        rng.normal(size=(*shape[:axis], int(rng.integers(0, 4)), *shape[axis + 1 :])) for _ in range(rng.integers(1, 4))
    ]
    return Case(tuple(parts), {"axis": axis})


def pad(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng)
    width = tuple((int(rng.integers(0, 3)), int(rng.integers(0, 3))) for _ in shape)
    return Case((rng.normal(size=shape),), {"width": width, "value": float(rng.choice([0.0, 1.5]))})


def window_of(rng: Rng, shape: Shape) -> tuple[tuple[int, int, int], ...]:
    window = []
    for size in shape:
        count = int(rng.integers(0, size + 1))
        if count <= 1:
            step = int(rng.choice([-2, -1, 1, 3]))
            start = int(rng.integers(0, size)) if count else 0
        else:
            step = int(rng.integers(1, (size - 1) // (count - 1) + 1))
            start = int(rng.integers(0, size - (count - 1) * step))
            if rng.random() < 0.4:
                start, step = start + (count - 1) * step, -step
        window.append((start, count, step))
    return tuple(window)


def slice_(rng: Rng, primitive: Primitive) -> Case:
    shape = tuple(int(s) for s in rng.integers(0, 6, size=rng.integers(0, 4)))
    return Case((rng.normal(size=shape),), {"window": window_of(rng, shape)})


def place(rng: Rng, primitive: Primitive) -> Case:
    shape = tuple(int(s) for s in rng.integers(0, 6, size=rng.integers(0, 4)))
    window = window_of(rng, shape)
    return Case((rng.normal(size=tuple(count for _, count, _ in window)),), {"window": window, "shape": shape})


def gather(rng: Rng, primitive: Primitive) -> Case:
    shape = any_shape(rng, least=1, empty=False)
    axes = some_axes(rng, len(shape)) or (0,)
    lead = any_shape(rng, most=2)
    indices = [rng.integers(-shape[k], shape[k], size=narrower(rng, lead)) for k in axes]
    return Case((rng.normal(size=shape), *indices), {"axes": axes})


def scatter_add(rng: Rng, primitive: Primitive) -> Case:
    case = gather(rng, primitive)
    x, *indices = case.inputs
    axes = case.params["axes"]
    lead = np.broadcast_shapes(*(k.shape for k in indices))
    shape = lead + tuple(s for k, s in enumerate(x.shape) if k not in axes)
    return Case((rng.normal(size=shape), *indices), {"axes": axes, "shape": x.shape})


def matmul(rng: Rng, primitive: Primitive) -> Case:
    batch = any_shape(rng, most=2)
    m, k, n = (int(s) for s in rng.choice([0, 1, 2, 3], p=[0.1, 0.3, 0.3, 0.3], size=3))
    left = (k,) if rng.random() < 0.2 else (*narrower(rng, batch), m, k)
    right = (k,) if rng.random() < 0.2 else (*narrower(rng, batch), k, n)
    return Case((rng.normal(size=left), rng.normal(size=right)), {})


def well_conditioned(rng: Rng, shape: Shape, positive: bool = False) -> np.ndarray:
    n = shape[-1]
    a = rng.normal(size=shape)
    return a @ np.swapaxes(a, -1, -2) + np.eye(n) if positive else a + 3.0 * np.sqrt(max(n, 1)) * np.eye(n)


def matrix(rng: Rng, primitive: Primitive) -> Case:
    n = int(rng.choice([0, 1, 2, 3, 4]))
    shape = (*any_shape(rng, most=2), n, n)
    if primitive.name == "det" and rng.random() < 0.5:  # any matrix will do, singular ones too
        a = rng.normal(size=shape)
        if n:
            a[..., -1, :] = a[..., 0, :]
        return Case((a,), {})
    return Case((well_conditioned(rng, shape, primitive.name == "cholesky"),), {})


def solve(rng: Rng, primitive: Primitive) -> Case:
    n, columns = int(rng.choice([0, 1, 2, 3])), int(rng.choice([0, 1, 2]))
    batch = any_shape(rng, most=2)
    a = well_conditioned(rng, (*narrower(rng, batch), n, n))
    return Case((a, rng.normal(size=(*narrower(rng, batch), n, columns))), {})


def random(rng: Rng, primitive: Primitive) -> Case:
    sample = next(iter(primitive.samples(rng)))
    params = dict(sample.params)
    if "shape" in params:
        params = {"shape": any_shape(rng), "dtype": str(rng.choice(["float32", "float64"]))}
    return Case(sample.inputs, params)


FAMILIES: dict[str, Callable[[Rng, Primitive], Case]] = {
    "elementwise": elementwise,
    "special": elementwise,
    "reduction": reduction,
    "linalg": matrix,
    "product": matmul,
    "random": random,
}
BY_NAME: dict[str, Callable[[Rng, Primitive], Case]] = {
    "reshape": reshape,
    "transpose": transpose,
    "broadcast_to": broadcast_to,
    "flip": flip,
    "concatenate": concatenate,
    "pad": pad,
    "slice": slice_,
    "place": place,
    "gather": gather,
    "scatter_add": scatter_add,
    "solve": solve,
}


def cases(primitive: Primitive, number: int, seed: int = 0) -> Iterator[Case]:
    """The registered samples, then random cases, ``number`` in all at least."""
    rng = np.random.default_rng([seed, *primitive.name.encode()])
    samples = [Case(s.inputs, dict(s.params)) for s in primitive.samples(rng)]
    yield from samples
    make = BY_NAME.get(primitive.name) or FAMILIES[primitive.family]
    for _ in range(number - len(samples)):
        yield make(rng, primitive)

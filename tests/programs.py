"""Random programs in plain NumPy, for hypothesis: they run on arrays and on traced values alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

Shape = tuple[int, ...]

SMOOTH: dict[str, Callable[[Any], Any]] = {
    "tanh": np.tanh,
    "sine": np.sin,
    "bell": lambda x: np.exp(-np.square(x)),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "root": lambda x: np.sqrt(1.0 + np.square(x)),
    "ratio": lambda x: x / (1.0 + x * x),
    "cube": lambda x: np.tanh(x) ** 3,
    "scale": lambda x: 1.5 * x - 0.25,
    "twice negative": lambda x: -(-x * 1.0),
    "half": lambda x: (x - 0.0) / 2.0,
    "single and double": lambda x: np.sin(x).astype(np.float64),
}
KINKED: dict[str, Callable[[Any], Any]] = {
    "absolute": lambda x: np.abs(-x),
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky": lambda x: np.where(x > 0.0, x, 0.2 * x),
    "clip": lambda x: np.clip(x, -0.5, 0.5),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add,
    "subtract": lambda x, y: x + (-y),
    "multiply": np.multiply,
    "both negative": lambda x, y: (-x) * (-y),
    "divide": lambda x, y: x / (2.0 + y * y),
    "angle": lambda x, y: np.arctan2(x, 2.0 + y * y),
    "logaddexp": np.logaddexp,
}
LIMIT = 200


@dataclass(frozen=True)
class Program:
    """Steps over a growing list of values; the last few values are the result.

    Parameters
    ----------
    shapes : tuple of shapes
        Of the inputs.
    steps : tuple of (text, function)
        Each function takes the list of values so far to the next one.
    """

    shapes: tuple[Shape, ...]
    steps: tuple[tuple[str, Callable[[list[Any]], Any]], ...]

    def __call__(self, *inputs: Any) -> Any:
        values = list(inputs)
        for _, step in self.steps:
            values.append(step(values))
        return tuple(values[-2:])

    def __repr__(self) -> str:
        return f"Program({self.shapes}: {'; '.join(text for text, _ in self.steps)})"

    def inputs(self, seed: int = 0, dtype: Any = np.float64) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in self.shapes]


@st.composite
def programs(draw: Any, smooth: bool = True, most: int = 8) -> Program:
    """Programs of up to so many steps; with ``smooth`` without kinks."""
    sizes = st.sampled_from([2, 3, 1, 4, 0])
    shapes = draw(st.lists(st.lists(sizes, max_size=3).map(tuple), min_size=1, max_size=3))
    known: list[Shape] = list(shapes)
    steps = []
    for _ in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(("unary", "binary", "reduce", "shape", "shape", "product", "index", "join")))
        text, step = _STEPS[kind](draw, known, smooth)
        with np.errstate(all="ignore"):
            shape = np.shape(step([np.zeros(s) for s in known]))
        if prod(shape) <= LIMIT and len(shape) <= 4:
            steps.append((text, step))
            known.append(shape)
    return Program(tuple(shapes), tuple(steps))


def _pick(draw: Any, known: list[Shape], least: int = 0) -> int | None:
    fitting = [k for k, shape in enumerate(known) if len(shape) >= least]
    return draw(st.sampled_from(fitting)) if fitting else None


def _unary(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = draw(st.integers(0, len(known) - 1))
    table = SMOOTH if smooth else SMOOTH | KINKED
    name = draw(st.sampled_from(sorted(table)))
    return f"{name} {k}", lambda values: table[name](values[k])


def _binary(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = draw(st.integers(0, len(known) - 1))
    fitting = [j for j, shape in enumerate(known) if _broadcast(shape, known[k])]
    j = draw(st.sampled_from(fitting))
    name = draw(st.sampled_from(sorted(BINARY)))
    return f"{name} {k} {j}", lambda values: BINARY[name](values[k], values[j])


def _broadcast(a: Shape, b: Shape) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def _axes(draw: Any, shape: Shape) -> Shape:
    return tuple(k for k in range(len(shape)) if draw(st.booleans()))


def _reduce(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = draw(st.integers(0, len(known) - 1))
    axes, keep = _axes(draw, known[k]), draw(st.booleans())
    names = ["sum", "cumsum"]
    if 0 not in known[k]:
        names += ["mean", "var"] + ([] if smooth else ["max"])
    name = draw(st.sampled_from(names))
    if name == "cumsum":
        return f"cumsum {k}", lambda values: np.cumsum(values[k], axis=None if len(known[k]) != 1 else 0) * 0.5
    function: Any = getattr(np, name)
    return f"{name} {k} {axes} {keep}", lambda values: function(values[k], axis=axes, keepdims=keep)


def _shape(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = draw(st.integers(0, len(known) - 1))
    shape = known[k]
    name = draw(st.sampled_from(("transpose", "reshape", "broadcast", "flip", "expand", "twice")))
    if name == "transpose":
        axes = draw(st.permutations(range(len(shape))))
        return f"transpose {k} {axes}", lambda values: np.transpose(values[k], axes)
    if name == "reshape":
        sizes = draw(st.permutations(shape))
        return f"reshape {k} {sizes}", lambda values: np.reshape(values[k], tuple(sizes))
    if name == "broadcast":
        target = (draw(st.sampled_from((1, 2, 3))), *shape)
        return f"broadcast {k} {target}", lambda values: np.broadcast_to(values[k], target)
    if name == "flip":
        axes = _axes(draw, shape)
        return f"flip {k} {axes}", lambda values: np.flip(values[k], axes)
    if name == "expand":
        axis = draw(st.integers(0, len(shape)))
        return f"expand {k} {axis}", lambda values: np.expand_dims(values[k], axis)
    return f"ravel {k}", lambda values: np.reshape(np.reshape(values[k], -1)[::-1].T, shape)


def _product(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = _pick(draw, known, 1)
    if k is None:
        return _unary(draw, known, smooth)
    fitting = [j for j, shape in enumerate(known) if len(shape) == 2 and known[k][-1] == shape[0]]
    if not fitting or draw(st.booleans()):
        if len(known[k]) == 1:
            return f"dot {k}", lambda values: values[k] @ np.tanh(values[k])
        return f"gram {k}", lambda values: values[k] @ np.swapaxes(values[k], -1, -2)
    j = draw(st.sampled_from(fitting))
    return f"matmul {k} {j}", lambda values: values[k] @ values[j]


def _index(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = _pick(draw, known, 1)
    if k is None:
        return _unary(draw, known, smooth)
    n = known[k][0]
    if n and draw(st.booleans()):
        rows = np.array(draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=4)))
        return f"gather {k} {rows}", lambda values: values[k][rows]
    start, step = draw(st.integers(0, max(n - 1, 0))), draw(st.sampled_from((1, 2, -1)))
    return f"slice {k} {start} {step}", lambda values: values[k][start::step]


def _join(draw: Any, known: list[Shape], smooth: bool) -> Any:
    k = draw(st.integers(0, len(known) - 1))
    fitting = [j for j, shape in enumerate(known) if shape == known[k]]
    j = draw(st.sampled_from(fitting))
    if known[k] and draw(st.booleans()):
        return f"concatenate {k} {j}", lambda values: np.concatenate([values[k], values[j]], axis=-1)
    if known[k] and draw(st.booleans()):
        return f"pad {k}", lambda values: np.pad(values[k], 1, constant_values=0.5)
    return f"stack {k} {j}", lambda values: np.stack([values[j], values[k]])


_STEPS: dict[str, Callable[..., Any]] = {
    "unary": _unary,
    "binary": _binary,
    "reduce": _reduce,
    "shape": _shape,
    "product": _product,
    "index": _index,
    "join": _join,
}

"""Random programs, to compare the executors. ``python tests/native/random_programs.py 10000`` compares that many."""

import random
import sys
import traceback

import numpy as np
from scipy import special

from chainrule.calculus import grad
from chainrule.errors import ChainruleError
from chainrule.graph.trace import Traced, trace
from chainrule.native.compile import compile_graph

SIZES = (1, 2, 3, 5, 17, 0, 4, 7, 16, 33)
UNARY = {
    "tanh": np.tanh,
    "exp": lambda x: np.exp(-np.abs(x)),
    "sin": np.sin,
    "negative": np.negative,
    "abs": np.abs,
    "square": np.square,
    "sqrt": lambda x: np.sqrt(np.abs(x) + 0.5),
    "log": lambda x: np.log(np.square(x) + 0.25),
    "expit": special.expit,
    "relu": lambda x: np.maximum(x, 0.0),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "erf": special.erf,
    "floor": lambda x: np.floor(x * 3.0) / 3.0,
    "sign": np.sign,
    "power": lambda x: np.power(np.abs(x) + 0.5, 1.5),
    "gammaln": lambda x: special.gammaln(np.abs(x) + 0.5),
    "heaviside": lambda x: np.where(x > 0.25, x, -x),
    "bool": lambda x: (x > 0.0).astype(x.dtype) + (np.isnan(x) | (x < -1.0)).astype(x.dtype),
    "softmax": lambda x: special.softmax(x, axis=-1) if x.ndim and x.size else x,
    "scale": lambda x: x * 0.5 + 1.0,
}
BINARY = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": lambda x, y: x / (np.square(y) + 1.0),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "where": lambda x, y: np.where(x < y, x * y, y),
    "hypot": lambda x, y: np.hypot(x, y + 2.0),
    "arctan2": lambda x, y: np.arctan2(x, np.abs(y) + 0.5),
    "logaddexp": np.logaddexp,
    "remainder": lambda x, y: np.remainder(x, np.abs(y) + 0.7),
}


class Maker:
    """Makes one operation after the other, each choice an integer drawn by ``integer(low, high)``, both included."""

    def __init__(self, integer):
        self.integer = integer

    def pick(self, options):
        return options[self.integer(0, len(options) - 1)]

    def axes(self, x):
        return tuple(k for k in range(x.ndim) if self.integer(0, 1))

    # -- operations: each takes the pool of values and returns a new one

    def unary(self, pool):
        return UNARY[self.pick(sorted(UNARY))](self.pick(pool))

    def binary(self, pool):
        x, y = self.pick(pool), self.pick(pool)
        try:
            np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            y = np.sum(y) * 0.1
        return BINARY[self.pick(sorted(BINARY))](x, y)

    def reduce(self, pool):
        x = self.pick(pool)
        name = self.pick(["sum", "mean", "max", "min", "logsumexp", "var"])
        axes = self.axes(x)
        if name != "sum" and any(x.shape[k] == 0 for k in axes):
            name = "sum"
        function = {
            "sum": np.sum,
            "mean": np.mean,
            "max": np.max,
            "min": np.min,
            "var": np.var,
            "logsumexp": special.logsumexp,
        }
        if name in ("var", "mean", "logsumexp") and (not axes or x.size == 0):
            name = "sum"
        return function[name](x, axis=axes, keepdims=bool(self.integer(0, 1)))

    def transpose(self, pool):
        x = self.pick(pool)
        return np.transpose(x, sorted(range(x.ndim), key=lambda k: (self.integer(0, 3), k)))

    def reshape(self, pool):
        x = self.pick(pool)
        kind = self.integer(0, 3)
        if kind == 0 or not x.size:
            return np.reshape(x, (x.size,))
        if kind == 1:
            return np.expand_dims(x, self.integer(0, x.ndim)) if x.ndim < 4 else np.reshape(x, -1)
        divisors = [d for d in range(1, x.size + 1) if x.size % d == 0]
        d = self.pick(divisors)
        return np.reshape(x, (d, x.size // d))

    def slice(self, pool):
        x = self.pick(pool)
        keys = []
        for size in x.shape:
            kind = self.integer(0, 3)
            if kind == 0 or size == 0:
                keys.append(slice(None))
            elif kind == 1:
                keys.append(slice(self.integer(0, size - 1), None, self.pick([1, 2, 3])))
            elif kind == 2:
                keys.append(slice(None, None, -self.pick([1, 2])))
            else:
                keys.append(self.integer(-size, size - 1))
        return x[tuple(keys)]

    def broadcast(self, pool):
        x = self.pick(pool)
        return np.broadcast_to(x, (self.pick([1, 2, 3, 17]), *x.shape)) if x.ndim < 3 and x.size < 300 else x

    def concatenate(self, pool):
        x = self.pick(pool)
        if not x.ndim:
            return np.stack([x, self.pick([v for v in pool if not v.ndim])])
        axis = self.integer(0, x.ndim - 1)
        fitting = [v for v in pool if v.ndim == x.ndim and _without(v.shape, axis) == _without(x.shape, axis)]
        return np.concatenate([x, *(self.pick(fitting) for _ in range(self.integer(1, 3)))], axis=axis)

    def pad(self, pool):
        x = self.pick(pool)
        if not x.ndim:
            return x
        return np.pad(x, [(self.integer(0, 2), self.integer(0, 2)) for _ in x.shape], constant_values=0.5)

    def matmul(self, pool):
        x = self.pick(pool)
        if x.ndim == 0:
            return x * 2.0
        if x.ndim == 1:
            return x @ x if self.integer(0, 1) else np.outer(x, x)[:3] @ x
        return self.pick(
            [lambda: x @ np.swapaxes(x, -1, -2), lambda: np.swapaxes(x, -1, -2) @ x, lambda: x @ np.tanh(x[..., 0, :])]
            if x.shape[-2]
            else [lambda: x @ np.swapaxes(x, -1, -2)]
        )()

    def gather(self, pool):
        x = self.pick(pool)
        if not x.ndim or not x.shape[0]:
            return x
        n = x.shape[0]
        kind = self.integer(0, 2)
        if kind == 0:
            return x[np.array([self.integer(-n, n - 1) for _ in range(self.integer(1, 5))])]
        if kind == 1 and x.size:
            return np.take_along_axis(x, np.expand_dims(np.argmax(x, axis=-1), -1), axis=-1)
        return x[np.array([[0, n - 1], [n // 2, 0]]), ...]

    def scan(self, pool):
        x = self.pick(pool)
        return np.cumsum(x, axis=self.integer(0, x.ndim - 1)) * 0.2 if x.ndim else x

    def sort(self, pool):
        x = self.pick(pool)
        return np.sort(x, axis=self.integer(0, x.ndim - 1)) if x.ndim else x

    def grow(self, pool):
        names = ["unary", "binary", "reduce", "transpose", "reshape", "slice", "broadcast", "concatenate"]
        names += ["pad", "matmul", "gather", "scan", "sort", "binary", "unary", "binary", "reduce"]
        made = getattr(self, self.pick(names))(pool)
        if not isinstance(made, Traced) or made.size > 5000:
            return
        if made.size and not np.max(np.abs(made.value)) < 50.0:
            made = np.tanh(made)
        pool.append(made)


def _without(shape, axis):
    return shape[:axis] + shape[axis + 1 :]


def build(integer, dtype, with_gradient):
    """A random program as (graph, inputs)."""
    maker = Maker(integer)
    rng = np.random.default_rng(maker.integer(0, 5))
    shapes = [tuple(maker.pick(SIZES) for _ in range(maker.integer(0, 3))) for _ in range(maker.integer(1, 3))]
    shapes = [s if np.prod(s) < 2000 else s[:1] for s in shapes]
    inputs = [rng.normal(size=s).astype(dtype) for s in shapes]
    length = maker.integer(1, 12)

    def program(*xs):
        pool = list(xs)
        for _ in range(length):
            maker.grow(pool)
        return tuple(pool[-3:])

    if not with_gradient:
        return trace(program, *inputs), inputs

    def loss(*xs):
        return sum(np.sum(np.sin(v) * 0.5) for v in program(*xs))

    return trace(lambda *xs: grad(loss, tuple(range(len(xs))))(*xs), *inputs), inputs


def compare(graph, inputs, target=None):
    with np.errstate(all="ignore"):
        expected = [np.asarray(v) for v in graph.run(*inputs)]
    program = compile_graph(graph, target)
    got = program.run(*inputs)
    assert [a.tobytes() for a in program.run(*inputs)] == [a.tobytes() for a in got]
    tolerance = {"float32": 2e-3, "float64": 1e-8}
    for want, have in zip(expected, got, strict=True):
        assert (have.shape, have.dtype) == (want.shape, want.dtype)
        if want.size:
            scale = max(1.0, float(np.max(np.abs(want), initial=0.0, where=np.isfinite(want))))
            bound = tolerance.get(want.dtype.name, 0.0) * scale
            np.testing.assert_allclose(have, want, rtol=0, atol=bound, err_msg=f"{graph}\n{program}")


def campaign(one, count, start=0):
    """Call ``one(seed)`` for so many seeds, tell what failed, return how many; False: it was refused."""
    wrong = refused = 0
    for seed in range(start, start + count):
        try:
            with np.errstate(all="ignore"):
                refused += one(seed) is False
        except Exception as error:
            wrong += 1
            print(f"seed {seed}:", *str(error).splitlines()[-60:], sep="\n  ")
            if not isinstance(error, AssertionError):
                traceback.print_exc()
    print(f"{count} seeds, {refused} refused while recording, {wrong} failed")
    return wrong


def agrees(seed):
    """Compare the executors on one random program; False if it was refused while recording."""
    dtype, with_gradient = ("float64", "float32")[seed % 2], bool(seed // 2 % 2)
    try:
        graph, inputs = build(random.Random(seed).randint, dtype, with_gradient)
    except ChainruleError:
        return False
    compare(graph, inputs)
    return True


if __name__ == "__main__":
    sys.exit(campaign(agrees, *map(int, sys.argv[1:])) > 0)

"""Random numbers inside a graph: a counter-based generator, so that the same key gives the same bits everywhere.

The k-th number of a stream is SplitMix64's finaliser of ``key + (k + 1) · golden`` (Steele, Lea & Flood 2014, "Fast
splittable pseudorandom number generators"): no state, any order, any number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.errors import GraphError
from chainrule.graph.primitive import Primitive, Sample, register, zero_forward, zero_reverse
from chainrule.graph.trace import apply
from chainrule.graph.types import ArrayType

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def splitmix64(z: Any) -> Any:
    """SplitMix64's finaliser, element-wise on uint64."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * _MIX_1
        z = (z ^ (z >> np.uint64(27))) * _MIX_2
        return z ^ (z >> np.uint64(31))


def _uniform_infer(key: ArrayType, shape: tuple[int, ...], dtype: str) -> ArrayType:
    if key.shape != () or key.dtype != np.uint64:
        raise GraphError(f"uniform: the key must be a uint64 scalar, got {key}")
    if dtype not in ("float32", "float64") or any(s < 0 for s in shape):
        raise GraphError(f"uniform: draws float32 or float64 of some shape, got {dtype} of shape {shape}")
    return ArrayType(tuple(shape), np.dtype(dtype))


def _uniform_run(key: Any, shape: tuple[int, ...], dtype: str) -> Any:
    count = int(np.prod(shape, dtype=int))
    with np.errstate(over="ignore"):
        bits = splitmix64(np.uint64(key) + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)
    if dtype == "float32":
        u = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    else:
        u = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return u.reshape(shape)


#: numbers in [0, 1), 24 bits (float32) or 53 bits (float64) each
UNIFORM = register(
    Primitive(
        name="uniform",
        family="random",
        formula="uniform({0})",
        infer=_uniform_infer,
        numpy=_uniform_run,
        reverse=zero_reverse,
        forward=zero_forward,
        lowering="elementwise",
        samples=lambda rng: iter(
            [Sample((np.asarray(7, np.uint64),), {"shape": (2, 3), "dtype": "float64"}, smooth=False)]
        ),
    )
)


def uniform(key: Any, shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
    """Uniform random numbers in [0, 1) from a uint64 key, the same bits for the same key.

    Parameters
    ----------
    key : uint64 scalar
        Plain or traced.
    shape : tuple of int
    dtype : float32 or float64
    """
    return apply(UNIFORM, key, shape=tuple(shape), dtype=np.dtype(dtype).name)


def step_key(seed: Any, t: Any) -> Any:
    """A key for step ``t`` of a stream: the seed and the step counter, mixed. Traceable.

    Parameters
    ----------
    seed : uint64 scalar
    t : int64 scalar
    """
    return apply(STEP_KEY, seed, t)


def _step_key_run(seed: Any, t: Any) -> Any:
    with np.errstate(over="ignore"):
        return np.asarray(splitmix64(np.uint64(seed) ^ (np.asarray(t).astype(np.uint64) * _MIX_1)))


def _step_key_infer(seed: ArrayType, t: ArrayType) -> ArrayType:
    if seed.shape != () or seed.dtype != np.uint64 or t.shape != () or t.dtype != np.int64:
        raise GraphError(f"step_key: needs a uint64 seed and an int64 counter, got {seed} and {t}")
    return seed


STEP_KEY: Primitive = register(
    Primitive(
        name="step_key",
        family="random",
        formula="key({0}, {1})",
        infer=_step_key_infer,
        numpy=_step_key_run,
        reverse=zero_reverse,
        forward=zero_forward,
        lowering="elementwise",
        samples=lambda rng: iter([Sample((np.asarray(7, np.uint64), np.asarray(3, np.int64)), smooth=False)]),
    )
)

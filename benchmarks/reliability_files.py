"""Damaged and hostile model files: each is refused in one line that names it, or predicts finite numbers.

Whatever happens, it happens in seconds and in little memory. Damage is of bytes; hostile files have the right checksum,
so that what lies deeper is reached: the description, what is nested in it, the tensors, and graphs of all primitives.
"""

from __future__ import annotations

import hashlib
import json
import random
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.reliability_checks import Check, PeakMemory, run_tries
from safetensors.numpy import load, save

import chainrule as cr
from chainrule.estimators.files import estimator_of
from chainrule.graph.graph import Graph
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.serial import graph_to_dict
from chainrule.graph.trace import apply
from chainrule.graph.types import ArrayType
from chainrule.learn.blocks import BLOCK
from chainrule.models.model import load_model

#: memory beyond the file's own size
ALLOWED = 64 * 2**20
#: rows that are predicted
ROWS = 40

Parts = tuple[dict[str, Any], dict[str, np.ndarray]]


def model_files(count: int, seed: int) -> Iterator[Check]:
    """The section: `count` mutations, of each kind its share."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        originals = [each.read_bytes() for each in _models(Path(folder))]
        attempt = partial(_attempt, Path(folder) / "tried.chainrule")
        whole = [_Try(_unchanged, original, "the original") for original in originals]
        yield run_tries("as written", whole, attempt, whole)
        for name, mutate in MUTATIONS.items():
            tries = [
                _Try(mutate, originals[k % len(originals)], f"{seed}/{name}/{k}")
                for k in range(round(count * SHARES[name]))
            ]
            yield run_tries(name, tries, attempt, whole)


class _Try:
    """A mutation of a file, made where it is tried."""

    def __init__(self, mutate: Callable[[bytes, random.Random], bytes], original: bytes, seed: str) -> None:
        self.mutate, self.original, self.seed = mutate, original, seed

    def content(self) -> bytes:
        return self.mutate(self.original, random.Random(self.seed))


def _attempt(path: Path, given: _Try) -> str:
    """Load and predict; what is wrong, or nothing."""
    content = given.content()
    path.write_bytes(content)
    matrix = np.random.default_rng(0).normal(size=(ROWS, 64))
    matrix[::7] = np.nan
    with PeakMemory() as peak:
        try:
            model = load_model(path)
            estimator_of(model)
            names = model.inputs.columns
            found = model.distribution([np.ascontiguousarray(np.resize(matrix, (ROWS, len(names))))]).mean()
        except cr.ModelFileError as error:
            line = str(error)
            problem = (
                "" if line.startswith(str(path)) and "\n" not in line else f"not a line with the name: {line[:200]}"
            )
        else:
            problem = "" if np.isfinite(found).all() and len(found) == ROWS else "predicts what is not finite"
    if peak.bytes > len(content) + ALLOWED:
        problem += f" takes {peak.bytes / 2**20:.0f} MB for a file of {len(content) / 2**20:.1f} MB"
    return problem and f"{problem} ({given.seed})"


def _unchanged(content: bytes, rng: random.Random) -> bytes:
    return content


def _models(folder: Path) -> Iterator[Path]:
    """Small fitted models of several kinds."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    x[5, 1] = np.nan
    y = np.nan_to_num(x).sum(axis=1)
    layers = [cr.Dense(4, "gelu"), cr.BatchNorm(), cr.Maxout(3, 2), cr.Dropout(0.1)]
    options: dict[str, Any] = {"max_iter": 3, "random_state": 0, "early_stopping": False}
    mixture = cr.Network(layers, output=cr.GaussianMixture(2))
    for name, estimator, target in (
        ("plain", cr.FeedForwardRegressor((4,), **options), y),
        ("mixture", cr.FeedForwardRegressor(network=mixture, n_members=2, **options), y),
        ("classes", cr.FeedForwardClassifier((4,), activation="tanh", **options), np.digitize(y, [-1.0, 1.0])),
        ("own", cr.FeedForwardRegressor((4,), activation=_bump, **options), y),
    ):
        estimator.fit(x, target).save(folder / f"{name}.chainrule")
        yield folder / f"{name}.chainrule"


def _bump(z: Any) -> Any:
    return np.exp(-np.square(z))


# -- damage


def flip(content: bytes, rng: random.Random) -> bytes:
    """Change one byte, or some."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= rng.randint(1, 255)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    """Cut off, cut out, double or blank a part."""
    start, stop = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    part = content[start:stop]
    return rng.choice(
        (
            content[:start],
            content[:start] + content[stop:],
            content[:stop] + part + content[stop:],
            content[:start] + bytes(len(part)) + content[stop:],
        )
    )


# -- hostile files, with the right checksum


def parts_of(content: bytes) -> Parts:
    """Description and tensors of a file."""
    (length,) = struct.unpack("<Q", content[:8])
    envelope = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["chainrule"])
    return json.loads(envelope["model"]), load(content)


def put_together(description: Any, tensors: dict[str, np.ndarray]) -> bytes:
    """A file with the right checksum, whatever it says."""
    text = json.dumps(description)
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    envelope = {"format": "chainrule model", "version": 1, "sha256": digest.hexdigest(), "model": text}
    return save(tensors, {"chainrule": json.dumps(envelope)})


_VALUES = [
    *(None, True, False, 0, 1, -1, 2, 3, 31, 33, 10**6, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e-320, 1e308),
    *("", "x", "*", "nan", "inf", "-inf", "float32", "float64", "int64", "bool", "relu", "gaussian", "quantile"),
    *("\u0000", "ü\n", "9" * 5000, [], {}, [0], [[]], [1, 2, 3], [[0, 1, 1]], [[0, 2**27]], {"tuple": ["*"]}),
    [1e9] * 50,
]


def edit_description(content: bytes, rng: random.Random) -> bytes:
    """Replace, delete, double or exchange one to three values, those of JSON inside texts included."""
    description, tensors = parts_of(content)
    opened = {**description, "target": json.loads(description["target"])}
    opened["inputs"] = {**description["inputs"], "encoder": json.loads(description["inputs"]["encoder"])}
    for _ in range(rng.randint(1, 3)):
        places = list(_places(opened, rng.choice((None, "graphs", "target", "inputs", "network", "output"))))
        if not places:
            continue
        container, key = rng.choice(places)
        match rng.choice(("replace", "replace", "replace", "delete", "double", "exchange")):
            case "replace":
                container[key] = _copy(rng.choice(_VALUES))  # else the next edit would change the list of values
            case "delete":
                del container[key]
            case "double" if isinstance(container, list):
                container.insert(key, container[key])
            case _:
                other, place = rng.choice(places)
                container[key], other[place] = _copy(other[place]), _copy(container[key])
    try:
        opened["target"] = json.dumps(opened["target"])
        opened["inputs"]["encoder"] = json.dumps(opened["inputs"]["encoder"])
    except (KeyError, TypeError):
        pass
    return put_together(opened, tensors)


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(data: Any, inside: str | None) -> Iterator[tuple[Any, Any]]:
    stack = [data if inside is None else data.get(inside)]
    while stack:
        item = stack.pop()
        for key in list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ():
            yield item, key
            stack.append(item[key])


def edit_tensors(content: bytes, rng: random.Random) -> bytes:
    """Change numbers, shapes, types and names of tensors."""
    description, tensors = parts_of(content)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(sorted(tensors))
        array = tensors[name].copy()
        match rng.choice(("number", "number", "all", "retype", "reshape", "grow", "drop", "rename", "exchange")):
            case "number" if array.size:
                with np.errstate(all="ignore"):
                    value = rng.choice([np.nan, np.inf, -np.inf, 1e30, -3e38, 1e308, 1e-45, 0.0, -1.0])
                    array.reshape(-1)[rng.randrange(array.size)] = np.array(value).astype(array.dtype)
            case "all":
                with np.errstate(all="ignore"):
                    array = np.full_like(
                        array, np.array(rng.choice([0.0, -1.0, 1e6, 1e20, 1e38, -3e38])).astype(array.dtype)
                    )
            case "retype":
                with np.errstate(all="ignore"):
                    array = array.astype(rng.choice(["f2", "f4", "f8", "i1", "i8", "u8", "?"]))
            case "reshape":
                array = array.reshape(rng.choice([(-1,), (1, -1), (-1, 1)]))
            case "grow":
                array = np.resize(array, rng.choice([(0,), (1,), (7,), (100_000,), (3, 5)]))
            case "drop":
                del tensors[name]
                if not tensors:
                    break
                continue
            case "rename":
                tensors[rng.choice(["x", "member9.theta", "graph32.99", "graph1.0", "member0.buffer.x"])] = array
            case _:
                other = rng.choice(sorted(tensors))
                array, tensors[other] = tensors[other], array
        tensors[name] = array
    return put_together(description, tensors)


def craft_graph(content: bytes, rng: random.Random) -> bytes:
    """Another graph: some dozens of random operations, or one that is made to take memory or time."""
    description, tensors = parts_of(content)
    theta = tensors["member0.theta"]
    buffers = {k: ArrayType.of(tensors[f"member0.buffer.{k}"]) for k in description["buffers"]}
    n_columns = len(json.loads(description["inputs"]["encoder"])["encodings"])
    stored = description["graphs"][str(BLOCK)]
    n_raw = stored["nodes"][stored["outputs"][0]]["shape"][1]
    kind = rng.choice(("random", "random", "random", "bomb"))

    def predict(theta: Any, buffers: Any, x: Any) -> Any:
        x = np.where(np.isnan(x), 0.0, x) if rng.random() < 0.9 else x
        pool = [theta, x, *buffers.values()]
        if kind == "bomb":
            return _bomb(pool, rng, n_raw)
        for _ in range(rng.randint(1, 40)):
            pool.append(_random_operation(pool, rng))
        total = sum(np.sum(v.astype(np.float64)) for v in pool[-4:])
        usable = np.where(np.abs(total) < 1e300, total, 0.0)
        return np.broadcast_to(np.tanh(usable), (BLOCK, n_raw)) + x[:, :1]

    with np.errstate(all="ignore"):
        graph: Graph = cr.trace(
            predict, ArrayType.of(theta), buffers, ArrayType((BLOCK, n_columns), np.dtype(np.float64))
        )
    record, constants = graph_to_dict(graph)
    description["graphs"] = {str(BLOCK): record}
    if rng.random() < 0.5:
        description["network"] = None
    tensors = {k: v for k, v in tensors.items() if not k.startswith("graph")}
    return put_together(description, tensors | {f"graph{BLOCK}.{k}": v for k, v in enumerate(constants)})


def _random_operation(pool: list[Any], rng: random.Random) -> Any:
    """A random primitive on values that it takes, with the params of one of its samples; or a value made smaller."""
    usable = [p for p in PRIMITIVES.values() if p.family != "source"]
    for _ in range(30):
        primitive = rng.choice(usable)
        least, most = primitive.arity
        sample = rng.choice(list(primitive.samples(np.random.default_rng(0))))
        params = dict(sample.params)
        inputs = [rng.choice(pool) for _ in range(min(int(min(most, 4)), max(least, len(sample.inputs))))]
        try:
            primitive.infer_type([ArrayType(v.shape, v.dtype) for v in inputs], params)
            return apply(primitive, *inputs, **params)
        except (cr.GraphError, ValueError, IndexError, TypeError):
            continue
    value = rng.choice(pool)
    return rng.choice(
        (lambda: value.reshape(-1)[:5], lambda: value.astype(np.int64), lambda: value * 2, lambda: value.reshape(-1))
    )()


def _bomb(pool: list[Any], rng: random.Random, n_raw: int) -> Any:
    """Something small that asks for much."""
    theta, x = pool[:2]
    size = 2 ** rng.randint(8, 27)
    wide = np.broadcast_to(x[0, 0], (size,))
    result: Any
    match rng.randrange(6):
        case 0:
            result = np.sum(np.exp(wide))
        case 1:
            result = np.sum(np.cumsum(wide * 2.0))
        case 2:
            side = 2 ** rng.randint(4, 13)
            square = np.broadcast_to(x[0, 0], (side, side))
            result = np.sum(square @ square)
        case 3:
            side = 2 ** rng.randint(2, 12)
            result = np.sum(np.linalg.inv(np.broadcast_to(x[0, 0], (side, side)) * 1.0))
        case 4:
            result = x[0, 0]
            for _ in range(2 ** rng.randint(4, 11)):
                result = np.sin(result) + theta[0]
        case _:
            places = np.broadcast_to(
                np.where(np.isnan(x[0, 0]), 0.0, x[0, 0] * size).astype(np.int64), (rng.choice((2, size)),)
            )
            result = np.sum(theta[places])
    return np.broadcast_to(result * 0.0, (BLOCK, n_raw)) + 1.0


MUTATIONS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes flipped": flip,
    "truncated, cut, doubled, blanked": cut,
    "description edited, checksum right": edit_description,
    "tensors edited, checksum right": edit_tensors,
    "graphs crafted, checksum right": craft_graph,
}

#: of the tries; crafted graphs are compiled, each of them for as long as thirty others take
SHARES = dict(zip(MUTATIONS, (0.25, 0.25, 0.25, 0.2, 0.05), strict=True))

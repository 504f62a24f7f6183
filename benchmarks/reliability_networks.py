"""Random networks, trained for a few steps by NumPy, natively on one and two threads, and by JAX where it is installed.

Each architecture is tried with several draws of parameters, rows, rate and penalty, since JAX takes long to compile it.
JAX's network, likelihoods and penalty are written here anew, from the formulas, and it differentiates them itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from benchmarks.reliability_checks import Check

from chainrule.learn.loop import NumpyEpoch
from chainrule.learn.optimizers import GD
from chainrule.learn.penalties import L2
from chainrule.learn.step import TrainingStep, initial_carry, training_step
from chainrule.native.cache import shared_cache
from chainrule.native.loop import compile_loop
from chainrule.networks import BatchNorm, Dense, Layer, Maxout, Network
from chainrule.outputs import (
    Bernoulli,
    Categorical,
    Gaussian,
    GaussianMixture,
    Laplace,
    Output,
    Poisson,
    StudentT,
)

WIDTHS, INPUTS, BATCHES = (1, 2, 3, 5, 8, 16, 17, 33), (1, 2, 4, 7, 20), (1, 4, 16, 31)
UNITS = ("relu", "sigmoid", "tanh", "linear", "softplus", "leaky_relu", "elu", "silu", "gelu")
#: relative to the largest number of an array: float64 is what the derivation is judged by
TOLERANCE = {"float64": 1e-9, "float32": 2e-3}
#: so many times what the last digits of the parameters make of the result may be lost too: where a training runs away,
#: or a batch of two rows is standardised
MARGIN = 1000.0
#: with a tolerance beyond this a try proves nothing; they are counted apart
VAGUE = 0.01
#: draws of numbers per architecture
DRAWS = 4
#: tries after which JAX is told to forget what it has compiled
FORGET = 400


@dataclass
class Try:
    """A network, its first parameters, a table, and how it is trained.

    Parameters
    ----------
    layers, output
        Of the network.
    x, y : array
        The table; its last mini-batch is often not whole.
    batch_size : int
    theta : array
        All parameters, biases too, drawn at random.
    lr, l2 : float
    dtype : str
    """

    layers: list[Layer]
    output: Output
    x: np.ndarray
    y: np.ndarray
    batch_size: int
    theta: np.ndarray
    lr: float
    l2: float
    dtype: str

    def __str__(self) -> str:
        sizes = f"{self.x.shape[0]} x {self.x.shape[1]} in batches of {self.batch_size}"
        return f"{self.layers} under {self.output}, {sizes}, {self.dtype}"


def networks(count: int, seed: int) -> Iterator[Check]:
    """``count`` random networks."""
    jax = _Jax() if find_spec("jax") is not None else None
    beside = f", JAX {jax.version}" if jax else "; there is no JAX"
    check, start = Check(f"networks by NumPy, natively{beside}"), time.perf_counter()
    vague = Check(" more, too ill-conditioned to compare")
    k = -1
    while check.count < count:
        k += 1
        each = draw(np.random.default_rng([seed, k // DRAWS]), np.random.default_rng([seed, k, 1]))
        problem = compare(each, jax)
        if problem is None:
            vague.count += 1
            continue
        check.count += 1
        if problem:
            check.failures.append(f"number {k} of seed {seed}: {problem} ({each})")
        if jax and k % FORGET == FORGET - 1:
            jax.forget()
    check.seconds = time.perf_counter() - start
    yield check
    yield vague


def draw(rng: np.random.Generator, numbers: np.random.Generator) -> Try:
    """A random network and table: the first generator decides their shapes, the second the numbers in them."""
    layers: list[Layer] = []
    for _ in range(rng.integers(0, 4)):
        width = int(rng.choice(WIDTHS))
        if rng.random() < 0.2:
            layers.append(Maxout(width, int(rng.integers(2, 4))))
        else:
            layers.append(Dense(width, str(rng.choice(UNITS))))
        if rng.random() < 0.2:
            layers.append(BatchNorm())
    n_inputs, batch = int(rng.choice(INPUTS)), int(rng.choice(BATCHES))
    rows = (int(rng.integers(1, batch + 1)), 2 * batch, int(rng.integers(1, 3 * batch + 1)))[int(rng.integers(3))]
    output, y = _target(rng, numbers, rows)
    dtype = str(rng.choice(["float64", "float64", "float32"]))
    size = Network(layers, output).layout(n_inputs, y.shape[1]).size
    theta = float(numbers.choice([0.1, 0.4, 1.0])) * numbers.standard_normal(size)
    x = numbers.standard_normal((rows, n_inputs))
    lr, l2 = float(numbers.choice([0.01, 0.1])), float(numbers.choice([0.01, 0.3])) * bool(rng.random() < 0.5)
    return Try(layers, output, x.astype(dtype), y.astype(dtype), batch, theta.astype(dtype), lr, l2, dtype)


def _target(rng: np.random.Generator, numbers: np.random.Generator, rows: int) -> tuple[Output, np.ndarray]:
    targets, classes, components = (int(rng.integers(low, high)) for low, high in ((1, 4), (2, 6), (1, 5)))
    number = numbers.standard_normal((rows, targets))
    choices: list[tuple[Output, np.ndarray]] = [
        (Bernoulli(), (number > 0.0) * 1.0),
        (Categorical(classes), numbers.integers(0, classes, (rows, 1)) * 1.0),
        (Gaussian(), number),
        (Laplace(), number),
        (StudentT(), number),
        (Poisson(), numbers.poisson(2.0, (rows, targets)) * 1.0),
        (GaussianMixture(components), number),
    ]
    return choices[int(rng.integers(len(choices)))]


def compare(each: Try, jax: _Jax | None) -> str | None:
    """Train it everywhere; what differs, or nothing. None: it is too ill-conditioned to tell."""
    network = Network(each.layers, each.output)
    n_inputs, n_targets = each.x.shape[1], each.y.shape[1]
    penalties = (L2(each.l2),) if each.l2 else ()
    optimizer = GD(each.lr)
    step = training_step(
        network, optimizer, n_inputs, n_targets, each.batch_size, dtype=each.dtype, penalties=penalties
    )
    carry = list(initial_carry(network, optimizer, n_inputs, each.theta).values())
    numbers = {f"optimizer.{name}": value for name, value in optimizer.hyper().items()} | {L2.key: each.l2}
    hyper = [numbers[name] for name in step.hyper]
    data = (each.x, each.y, np.ones(len(each.x), each.dtype))
    order = np.arange(len(each.x))[::-1].copy()
    shape = (step.graph, len(carry), len(hyper), each.batch_size)
    given = (carry, hyper, data, order)
    with np.errstate(all="ignore"):
        wanted = _outcome(step, NumpyEpoch(*shape), *given)
        signs = np.where(np.arange(each.theta.size) % 2, 1.0, -1.0)
        nearby = (each.theta * (1.0 + np.finfo(each.dtype).eps * signs)).astype(each.dtype)
        moved = list(initial_carry(network, optimizer, n_inputs, nearby).values())
        spread = _distance(wanted, _outcome(step, NumpyEpoch(*shape), moved, *given[1:]))
        tolerance = max(TOLERANCE[each.dtype], MARGIN * spread)
    alone, team = (
        _outcome(step, compile_loop(*shape, cache=shared_cache(), threads=threads), *given) for threads in (1, 2)
    )
    if any(a.tobytes() != b.tobytes() for a, b in zip(alone, team, strict=True)):
        return "one and two threads differ"
    if tolerance > VAGUE:
        return None
    if (distance := _distance(wanted, alone)) > tolerance:
        return f"NumPy and native code differ by {distance:.1e}, {tolerance:.1e} allowed"
    if jax is not None and (distance := _distance(wanted, jax.train(each, network, order))) > tolerance:
        return f"NumPy and JAX differ by {distance:.1e}, {tolerance:.1e} allowed"
    return ""


def _outcome(step: TrainingStep, run: Any, *given: Any) -> tuple[np.ndarray, np.ndarray]:
    carry, sums = run(*given)
    return np.asarray(dict(zip(step.carry, carry, strict=True))["theta"]), np.asarray(sums)[:1]


def _distance(wanted: tuple[np.ndarray, ...], found: tuple[np.ndarray, ...]) -> float:
    """Largest difference of parameters and loss, relative to the largest number; infinite if one is not finite."""
    worst = 0.0
    for a, b in zip(wanted, found, strict=True):
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            return np.inf
        size = max(1.0, float(np.max(np.abs(a), initial=0.0)))
        worst = max(worst, float(np.max(np.abs(a - b), initial=0.0)) / size)
    return worst


class _Jax:
    """The same training in JAX."""

    def __init__(self) -> None:
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # compiles faster
        self.descents: dict[str, Any] = {}
        self.jax: Any = import_module("jax")
        self.jax.config.update("jax_enable_x64", True)
        self.np: Any = import_module("jax.numpy")
        self.stats: Any = import_module("jax.scipy.stats")
        self.version = self.jax.__version__
        nn = self.jax.nn
        self.units = {
            "relu": nn.relu,
            "sigmoid": nn.sigmoid,
            "tanh": self.np.tanh,
            "linear": lambda z: z,
            "softplus": nn.softplus,
            "leaky_relu": nn.leaky_relu,
            "elu": nn.elu,
            "silu": nn.silu,
            "gelu": lambda z: nn.gelu(z, approximate=False),
        }

    def forget(self) -> None:
        self.descents.clear()
        self.jax.clear_caches()

    def train(self, each: Try, network: Network, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        layout = network.layout(each.x.shape[1], each.y.shape[1])
        pieces = [(p.name, p.shape, p.penalised) for p in layout.pieces]
        cuts = np.cumsum([0, *(int(np.prod(shape)) for _, shape, _ in pieces)])
        parameters = {
            name: self.np.asarray(each.theta[a:b].reshape(shape))
            for (name, shape, _), a, b in zip(pieces, cuts, cuts[1:], strict=False)
        }
        penalised = {name for name, _, weight in pieces if weight}
        descend = self.descent(each.layers, each.output, penalised)
        total = 0.0
        for start in range(0, len(order), each.batch_size):
            rows = order[start : start + each.batch_size]
            slope, loss = descend(parameters, each.x[rows], each.y[rows], each.l2)
            parameters = {name: value - each.lr * slope[name] for name, value in parameters.items()}
            total += float(loss)
        theta = np.concatenate([np.asarray(parameters[name]).ravel() for name, _, _ in pieces])
        return theta, np.array([total])

    def descent(self, layers: list[Layer], output: Output, penalised: set[str]) -> Any:
        """Gradient and loss of a batch; what has been compiled for an architecture is kept."""

        def objective(values: dict[str, Any], x: Any, y: Any, l2: float) -> Any:
            loss = self.np.sum(self.nll(output, self.raw(layers, values, x), y))
            penalty = 0.5 * l2 * sum(self.np.sum(values[name] ** 2) for name in penalised)
            return loss / len(x) + penalty, loss

        key = f"{layers} {output}"
        return self.descents.setdefault(key, self.jax.jit(self.jax.grad(objective, has_aux=True)))

    def raw(self, layers: list[Layer], values: dict[str, Any], x: Any) -> Any:
        """The affine layers in the order of their names."""
        weights = iter([values[name] for name in values if name.endswith("weight")])
        biases = iter([values[name] for name in values if name.endswith("bias")])
        scales = iter([values[name] for name in values if name.endswith("scale")])
        shifts = iter([values[name] for name in values if name.endswith("shift")])
        h = x
        for layer in layers:
            if isinstance(layer, BatchNorm):
                mean, variance = self.np.mean(h, axis=0), self.np.var(h, axis=0)
                h = (h - mean) / self.np.sqrt(variance + layer.epsilon) * next(scales) + next(shifts)
                continue
            z = self.np.dot(h, next(weights)) + next(biases)
            if isinstance(layer, Maxout):
                h = self.np.max(self.np.stack(self.np.split(z, layer.n_pieces, axis=1)), axis=0)
            else:
                h = self.units[layer.unit.name](z)
        return self.np.dot(h, next(weights)) + next(biases)

    def nll(self, output: Output, raw: Any, y: Any) -> Any:
        """Of each row, by the densities of `jax.scipy.stats`."""
        np_, stats, nn = self.np, self.stats, self.jax.nn
        t = y.shape[1]

        def scale(s: Any) -> Any:
            return 1.0 / np_.sqrt(nn.softplus(s) + 1e-6)

        match output:
            case Bernoulli():
                return -np_.sum(y * nn.log_sigmoid(raw) + (1.0 - y) * nn.log_sigmoid(-raw), axis=1)
            case Categorical():
                return -np_.take_along_axis(nn.log_softmax(raw, axis=1), y.astype(int), axis=1)[:, 0]
            case Gaussian():
                return -np_.sum(stats.norm.logpdf(y, raw[:, :t], scale(raw[:, t:])), axis=1)
            case Laplace():
                return -np_.sum(stats.laplace.logpdf(y, raw[:, :t], scale(raw[:, t:])), axis=1)
            case StudentT():
                df = 2.1 + nn.softplus(raw[:, 2 * t :])
                return -np_.sum(stats.t.logpdf(y, df, raw[:, :t], scale(raw[:, t : 2 * t])), axis=1)
            case Poisson():
                # not by the rate: its logarithm is finite where it is not
                logs = np_.where(raw < 30.0, raw, 30.0 + np_.log1p(np_.maximum(raw, 30.0) - 30.0))
                return np_.sum(np_.exp(logs) - y * logs + self.jax.lax.lgamma(y + 1.0), axis=1)
            case GaussianMixture():
                k = output.k
                means = raw[:, k : k + k * t].reshape(-1, k, t)
                widths = scale(raw[:, k + k * t :].reshape(-1, k, t))
                logs = np_.sum(stats.norm.logpdf(y[:, None, :], means, widths), axis=2)
                return -self.jax.scipy.special.logsumexp(nn.log_softmax(raw[:, :k], axis=1) + logs, axis=1)
        raise TypeError(output)

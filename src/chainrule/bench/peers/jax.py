"""JAX on the CPU: a jitted step called from Python, and the whole epoch as one jitted `lax.scan`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from chainrule.bench.cases import LEARNING_RATE, Problem, Weights
from chainrule.bench.race import Contender, SoftmaxContender


class Jax(SoftmaxContender):
    peer = "JAX"

    def __init__(self, problem: Problem, scan: bool) -> None:
        self.name = f"JAX {'scan over the epoch' if scan else 'jitted step'}"
        jax, jnp = import_module("jax"), import_module("jax.numpy")
        self._jax, self._jnp, self._scan = jax, jnp, scan
        self._shape = (problem.case.n_steps, problem.case.batch_size)
        self._rng = np.random.default_rng(0)
        self._x, self._y = jnp.asarray(problem.x), jnp.asarray(problem.y, jnp.int32)
        theta = [(jnp.asarray(w), jnp.asarray(b)) for w, b in problem.weights()]
        zeros = jax.tree.map(jnp.zeros_like, theta)
        self._state: Any = (theta, zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros((), jnp.float32))
        step = _adam_step(jax, jnp)

        def epoch(state: Any, x: Any, y: Any, order: Any) -> Any:
            return jax.lax.scan(lambda s, rows: (step(s, x, y, rows), None), state, order)[0]

        self._run = jax.jit(epoch if scan else step, donate_argnums=0)

    def epoch(self) -> None:
        order = self._rng.permutation(len(self._x)).astype(np.int32).reshape(self._shape)
        if self._scan:
            self._state = self._run(self._state, self._x, self._y, order)
        else:
            for rows in order:
                self._state = self._run(self._state, self._x, self._y, rows)
        self._jax.block_until_ready(self._state)

    def weights(self) -> Weights:
        return [(np.asarray(w), np.asarray(b)) for w, b in self._state[0]]


def _adam_step(jax: Any, jnp: Any) -> Any:
    def loss(theta: Any, x: Any, y: Any) -> Any:
        h = x
        for w, b in theta[:-1]:
            h = jax.nn.relu(h @ w + b)
        logits = jax.nn.log_softmax(h @ theta[-1][0] + theta[-1][1])
        return -jnp.mean(jnp.take_along_axis(logits, y[:, None], axis=1))

    def step(state: Any, x: Any, y: Any, rows: Any) -> Any:
        theta, m, v, t = state
        gradient = jax.grad(loss)(theta, x[rows], y[rows])
        t = t + 1
        m = jax.tree.map(lambda a, g: 0.9 * a + 0.1 * g, m, gradient)
        v = jax.tree.map(lambda a, g: 0.999 * a + 0.001 * g * g, v, gradient)
        size = LEARNING_RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        theta = jax.tree.map(lambda p, a, b: p - size * a / (jnp.sqrt(b) + 1e-8), theta, m, v)
        return theta, m, v, t

    return step


def contenders(problem: Problem) -> list[Contender]:
    return [Jax(problem, scan) for scan in (False, True)]

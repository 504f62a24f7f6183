"""Functions and arguments of which there is no derivative, no graph or no minimum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import chainrule as cr
from trust.bad_case import Call

X = np.arange(1.0, 5.0)


def total(x: Any) -> Any:
    return np.sum(x * x)


def branches(x: Any) -> Any:
    return x if x > 0 else -x


def changes(x: Any) -> Any:
    x[0] = 3.0
    return np.sum(x)


def through_math(x: Any) -> Any:
    return math.sin(x)


def calls(name: str, act: Any, *says: str) -> Call:
    return Call(name, act, says)


CALCULUS = [
    calls("grad of a vector", lambda: cr.grad(np.sin)(X), "one number", "(4,)"),
    calls("grad of nothing", lambda: cr.grad(lambda x: None)(1.0), "one number", "returns nothing"),
    calls("grad of a text", lambda: cr.grad(lambda x: "a")(1.0), "<U", "use one of"),
    calls("grad of a constant", lambda: cr.grad(lambda x: 3.0)(1.0)),
    calls("grad by a text", lambda: cr.grad(total)("abc"), "<U", "use one of"),
    Call("grad by None", lambda: cr.grad(total)(None), ["NoneType"], TypeError),
    calls("grad by an object array", lambda: cr.grad(total)(np.array([{}, {}])), "object"),
    calls("grad by a complex number", lambda: cr.grad(total)(1j), "complex"),
    calls("grad by a truth", lambda: cr.grad(total)(True)),
    calls("grad by a whole number", lambda: cr.grad(total)(3)),
    calls("grad by an empty array", lambda: cr.grad(total)(np.zeros(0))),
    calls("grad by an argument that is not there", lambda: cr.grad(total, argnums=1)(X), "argument"),
    calls("grad by argument 'x'", lambda: cr.grad(total, argnums="x")(X), "argnums"),
    calls("grad by no argument", lambda: cr.grad(total)(), "argument"),
    Call("grad of a function that is none", lambda: cr.grad(3)(X), ["not callable"], TypeError),
    calls("grad through an if", lambda: cr.grad(branches)(1.0)),
    calls("grad through float()", lambda: cr.grad(lambda x: float(x) ** 2)(1.0), "float"),
    calls("grad through math", lambda: cr.grad(through_math)(1.0), "np."),
    calls("grad through assignment", lambda: cr.grad(changes)(X), "in place", "use np.where"),
    calls("grad through text", lambda: cr.grad(lambda x: np.sum(x + "a"))(X), "<U1", "astype"),
    calls("grad through an operation without", lambda: cr.grad(lambda x: np.sum(np.fft.fft(x)))(X), "fft"),
    calls("grad through shapes that differ", lambda: cr.grad(lambda x: np.sum(x @ np.ones(3)))(X), "(4", "(3"),
    calls("grad through an index too far", lambda: cr.grad(lambda x: x[9])(X), "9"),
    calls("grad through reshape", lambda: cr.grad(lambda x: np.sum(np.reshape(x, (3, 3))))(X), "(3, 3)"),
    calls("grad through an axis too many", lambda: cr.grad(lambda x: np.sum(np.sum(x, axis=2)))(X), "axis 2"),
    calls("grad at a kink", lambda: cr.grad(lambda x: np.abs(x))(0.0)),
    calls("hessian of a vector", lambda: cr.hessian(np.sin)(X), "one number"),
    calls("jacobian of a text", lambda: cr.jacobian(lambda x: "a")(X), "<U", "use one of"),
    calls("jvp without tuples", lambda: cr.jvp(total, X, X), "tuple"),
    calls("jvp, a tangent of another shape", lambda: cr.jvp(total, (X,), (X[:2],)), "tangent", "(2,)"),
    calls("jvp, a tangent too many", lambda: cr.jvp(total, (X,), (X, X)), "tangents"),
    calls("vjp, a cotangent of another shape", lambda: cr.vjp(np.sin, X)[1](X[:2]), "cotangent", "(2,)"),
    calls("vjp, a cotangent nested otherwise", lambda: cr.vjp(np.sin, X)[1]((X, X)), "cotangent"),
    calls("hvp, a vector of another shape", lambda: cr.hvp(total, X, X[:2]), "(2,)"),
    calls("trace of a text", lambda: cr.trace(total, "abc"), "<U", "use one of"),
    Call("compile, called with a text", lambda: cr.compile(total)("abc"), ["'str'"], TypeError),
    calls("check_gradient of a text", lambda: cr.check_gradient(np.sin, "abc"), "<U"),
    calls("minimize of a vector", lambda: cr.minimize(np.sin, X), "one number"),
    calls("minimize from NaN", lambda: cr.minimize(total, X * np.nan), "x0 holds infinite or missing numbers"),
    calls("minimize from infinity", lambda: cr.minimize(total, X * np.inf), ""),
    calls("minimize from a text", lambda: cr.minimize(total, "abc"), "str"),
    calls("minimize without bound", lambda: cr.minimize(lambda x: np.sum(x), X, "gd", max_iter=50).x),
    calls("minimize what is NaN nearby", lambda: cr.minimize(lambda x: np.sum(np.log(x)), X, max_iter=50).x),
    calls("minimize by another method", lambda: cr.minimize(total, X, "adan"), "'adan'", "adam"),
    calls("minimize, max_iter -1", lambda: cr.minimize(total, X, max_iter=-1), "max_iter", "-1"),
    calls("minimize, tol -1", lambda: cr.minimize(total, X, tol=-1.0), "tol", "-1"),
    calls("minimize, lr -1", lambda: cr.minimize(total, X, "gd", lr=-1.0), "-1"),
    calls("minimize, lr nan", lambda: cr.minimize(total, X, "gd", lr=float("nan")), "nan"),
    calls("minimize, batches of no data", lambda: cr.minimize(total, X, batch_size=2), "batch_size needs data"),
    calls(
        "minimize, batches of none", lambda: cr.minimize(lambda x, d: total(x), X, data=X, batch_size=0), "batch_size"
    ),
    calls("minimize, starts 0", lambda: cr.minimize(total, X, starts=0), "starts must be at least 1"),
    calls("minimize, spread nan", lambda: cr.minimize(total, X, starts=2, spread=float("nan")), "spread"),
    calls("minimize, a penalty of words", lambda: cr.minimize(total, X, penalty="x"), "'x'"),
]

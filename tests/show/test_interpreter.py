"""The page's own interpreter agrees with NumPy on every primitive, and on whole programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from browser import Tab, chromium
from scipy import special

import chainrule.primitives  # noqa: F401  fills the registry
from chainrule.graph.primitive import PRIMITIVES
from chainrule.graph.types import ArrayType
from chainrule.primitives import trace
from chainrule.show.page import _program, bundle, encode
from chainrule.show.story import tell

EVERY = [p for p in PRIMITIVES.values() if p.family != "source"]
SCRIPT = """
(cases) => cases.map(({ program, inputs }) => {
  const { decode, run } = window.interpreter;
  for (const node of program.nodes) if (node[0] === "constant") node[4] = decode(node[4], node[2]);
  const given = inputs.map((text, k) => decode(text, program.nodes[program.inputs[k]][2]));
  return run(program, given).map((x) => [x.shape, Array.from(x.data, String)]);
})
"""


@pytest.fixture(scope="module")
def interpreter() -> Iterator[Any]:
    """Runs programs in the browser: [(program, inputs)] to lists of arrays."""
    script = bundle(("arrays", "special", "primitives", "program")) + "window.interpreter = module_program;"
    with chromium() as browser:
        tab = Tab(browser, f"<!doctype html><script type=module>{script}</script>")

        def run(cases: list[tuple[dict[str, Any], list[Any]]]) -> list[list[np.ndarray]]:
            data = [{"program": json.loads(json.dumps(p)), "inputs": [encode(x) for x in xs]} for p, xs in cases]
            found = tab.page.evaluate(SCRIPT, data)
            return [
                [np.array([float(_python(v)) for v in values]).reshape(shape) for shape, values in each]
                for each in found
            ]

        yield run
        tab.close()


def _python(text: str) -> str:
    return {"Infinity": "inf", "-Infinity": "-inf", "NaN": "nan"}.get(text, text)


def one_node(name: str, inputs: list[np.ndarray], params: dict[str, Any]) -> dict[str, Any]:
    """The program of one application."""
    sources = [["input", [], list(x.shape), x.dtype.name] for x in inputs]
    out = PRIMITIVES[name].infer(*map(ArrayType.of, inputs), **params)
    node = [name, list(range(len(inputs))), list(out.shape), out.dtype.name, params]
    return {"nodes": [*sources, node], "inputs": list(range(len(inputs))), "outputs": [len(inputs)]}


def test_every_primitive(interpreter: Any) -> None:
    rng = np.random.default_rng(5)
    cases, expected = [], []
    for primitive in EVERY:
        for sample in primitive.samples(rng):
            inputs = [np.asarray(x) for x in sample.inputs]
            cases.append((one_node(primitive.name, inputs, dict(sample.params)), inputs))
            expected.append((primitive.name, np.asarray(primitive.numpy(*inputs, **sample.params))))
    assert {name for name, _ in expected} == {p.name for p in EVERY}
    for (name, value), (found,) in zip(expected, interpreter(cases), strict=True):
        assert found.shape == value.shape, name
        np.testing.assert_allclose(found, value.astype(np.float64), rtol=1e-9, atol=1e-11, err_msg=name)


FAR = np.array([-50.0, -8.0, -3.0, -2.5, -1.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 2.0, 3.5, 8.0, 40.0, 700.0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_edges_and_tails(interpreter: Any, sign: float) -> None:
    """Far out, at zero, at kinks and half-way between whole numbers; where NumPy is finite so is the page."""
    names = [
        "exp",
        "expm1",
        "tanh",
        "expit",
        "log_expit",
        "erf",
        "erfc",
        "erfcx",
        "ndtr",
        "log_ndtr",
        "i0e",
        "i1e",
        "rint",
        "sign",
        "floor",
        "arcsinh",
    ]
    names += [
        "gammaln",
        "psi",
        "gamma",
        "sqrt",
        "log",
        "log1p",
        "square",
        "reciprocal",
        "entr",
        "absolute",
        "signbit",
        "isfinite",
    ]
    cases = [(one_node(name, [sign * FAR], {}), [sign * FAR]) for name in names]
    with np.errstate(all="ignore"):
        for name, (found,) in zip(names, interpreter(cases), strict=True):
            value = PRIMITIVES[name].numpy(sign * FAR).astype(float)
            ok = np.abs(value) < 1e300
            np.testing.assert_allclose(found[ok], value[ok], rtol=1e-8, atol=1e-290, err_msg=name)


def test_random_keys_are_exact(interpreter: Any) -> None:
    key = np.asarray(2**63 + 12345, np.uint64)
    made = one_node("uniform", [key], {"shape": (50,), "dtype": "float64"})
    step = one_node("step_key", [key, np.asarray(7)], {})
    (found,), _ = interpreter([(made, [key]), (step, [key, np.asarray(7)])])
    np.testing.assert_array_equal(found, PRIMITIVES["uniform"].numpy(key, shape=(50,), dtype="float64"))


def program_with_everything(w: Any, x: Any) -> Any:
    h = np.maximum(x @ w["a"], 0.0) + special.logsumexp(x, axis=1, keepdims=True)
    s = np.linalg.solve(w["s"], w["s"].T @ h[:3])
    return (
        np.mean(np.sort(s, axis=0)[::-1] * np.cumsum(h[:3], axis=1)) + np.var(h[:, 0]) - special.gammaln(3.0 + h[0, 0])
    )


def test_whole_programs_with_their_gradients(interpreter: Any) -> None:
    rng = np.random.default_rng(2)
    w = {"a": rng.normal(size=(4, 2)), "s": rng.normal(size=(3, 3)) + 3 * np.eye(3)}
    graph = trace(program_with_everything, w, rng.normal(size=(5, 4)))
    arguments = [w["a"], w["s"], rng.normal(size=(5, 4))]
    story = tell(graph, arguments)
    (found,) = interpreter([(_program(story.program), arguments)])
    for mine, theirs in zip(found, story.numbers, strict=True):
        np.testing.assert_allclose(mine, theirs.astype(float), rtol=1e-10, atol=1e-12)

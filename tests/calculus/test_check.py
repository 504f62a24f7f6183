"""The gradient checker: it accepts what is right, rejects what is 0.05 % wrong, and tells kinks from faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.calculus.report import Element, Operation
from chainrule.errors import DifferentiationError, GradientError, OptionError
from chainrule.graph.primitive import PRIMITIVES, Primitive
from chainrule.graph.trace import apply
from chainrule.primitives import stop_gradient


def spoilt(name: str, **rules: float) -> Primitive:
    """A primitive of another name, not in the registry, whose rules are wrong by a factor."""
    right = PRIMITIVES[name]

    def wrong(rule: Any, factor: float) -> Any:
        def rule_times_factor(*args: Any, **params: Any) -> Any:
            result = rule(*args, **params)
            return None if result is None else result * factor

        return rule_times_factor

    changed = {field: wrong(getattr(right, field), factor) for field, factor in rules.items()}
    return replace(right, name=f"spoilt_{name}", **changed)


cr.grad(np.sin)(0.0)  # loads the primitives
RNG = np.random.default_rng(0)
X = RNG.uniform(0.3, 0.9, size=(3, 4))
NET = [
    {"weight": RNG.normal(size=(4, 5)), "bias": RNG.normal(size=5)},
    {"weight": RNG.normal(size=(5, 2)), "bias": RNG.normal(size=2)},
]
LABELS = np.array([0, 1, 1])


def network(params: Any, x: Any, labels: Any, act: Any = np.tanh) -> Any:
    h = act(x @ params[0]["weight"] + params[0]["bias"])
    z = h @ params[1]["weight"] + params[1]["bias"]
    z = z - np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z), axis=1)) - z[np.arange(len(labels)), labels])


# -- what is right is accepted


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("act", [np.tanh, lambda z: np.maximum(z, 0), lambda z: np.logaddexp(z, 0)])
def test_network(act: Any, order: int) -> None:
    report = cr.check_gradient(lambda p, x: network(p, x, LABELS, act), NET, X, order=order, strict=True)
    assert report.ok
    assert not report.faults
    assert not report.unclear
    names = ["[0].bias", "[0].weight", "[1].bias", "[1].weight"]
    assert [p.name for p in report.parameters] == [*(f"p{n}" for n in names), "x"]
    assert [p.checked for p in report.parameters] == [5, 20, 2, 10, 12]
    assert {e.kind for e in report.elements} == {"gradient", "reverse", "forward"} | (
        {"hessian"} if order == 2 else set()
    )
    assert report.worst is not None
    assert report.worst.comparison.ratio < 0.1


@pytest.mark.parametrize(
    "name", ["exp", "log", "power", "logaddexp", "expit", "gammaln", "log_ndtr", "arctan2", "erfc"]
)
def test_primitive_of_each_sort(name: str) -> None:
    primitive = PRIMITIVES[name]
    inputs = [RNG.uniform(0.3, 0.9, size=3) for _ in primitive.arity and next(primitive.samples(RNG)).inputs]
    assert cr.check_gradient(lambda *xs: apply(primitive, *xs), *inputs, order=2, strict=True).ok


def test_complex_steps_where_the_graph_allows() -> None:
    assert cr.check_gradient(lambda x: np.sum(np.exp(x)), X).method == "complex steps"
    assert cr.check_gradient(lambda x: np.sum(np.exp(np.abs(x))), X).method == "extrapolated differences"
    assert cr.check_gradient(lambda x: np.sum(np.exp(x) ** 3 / x), X, rtol=1e-12).ok


def floating(primitive: Primitive, sample: Any) -> tuple[Any, list[np.ndarray]]:
    """A sample as a function of its floating-point inputs by which there is a derivative."""
    operands = [k for k, x in enumerate(sample.inputs) if x.dtype.kind == "f" and x.size]
    if primitive.name.removeprefix("spoilt_") in ("gammainc", "gammaincc", "stdtr"):
        operands = operands[1:]

    def f(*variables: Any) -> Any:
        inputs = list(sample.inputs)
        for k, x in zip(operands, variables, strict=True):
            inputs[k] = x
        return apply(primitive, *inputs, **sample.params)

    return f, [sample.inputs[k] for k in operands]


def with_derivative(primitive: Primitive) -> Any:
    """The first sample whose derivative is not zero, if there is one."""
    for sample in primitive.samples(np.random.default_rng(0)):
        f, args = floating(primitive, sample)
        if args:
            value, pullback = cr.vjp(f, *args)
            if np.result_type(value).kind == "f" and any(np.any(g) for g in pullback(np.ones(np.shape(value)))):
                return sample
    return None


SAMPLES = {p.name: with_derivative(p) for p in PRIMITIVES.values() if p.family != "source"}


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample is not None])
def test_every_primitive_right_and_spoilt(name: str) -> None:
    """What the registry holds is accepted; half a permille off, in either rule, is rejected."""
    sample = SAMPLES[name]
    f, args = floating(PRIMITIVES[name], sample)
    report = cr.check_gradient(f, *args, strict=True, directions=2)
    assert not report.unclear
    for rule in ("reverse", "forward"):
        wrong, args = floating(spoilt(name, **{rule: 1.0005}), sample)
        report = cr.check_gradient(wrong, *args, directions=2)
        assert {(f.primitive, f.rule) for f in report.faults if isinstance(f, Operation)} == {(f"spoilt_{name}", rule)}
        assert any(isinstance(f, Element) for f in report.faults)


# -- what is wrong is rejected, by name


@pytest.mark.parametrize("rule", ["reverse", "forward"])
@pytest.mark.parametrize("name", ["exp", "tanh", "maximum", "multiply", "matmul", "sum"])
def test_rule_half_a_permille_wrong_is_found(name: str, rule: str) -> None:
    wrong = spoilt(name, **{rule: 1.0005})

    def f(x: Any) -> Any:
        if name == "sum":
            return np.sum(np.exp(apply(wrong, np.sin(x), axis=(1,), keepdims=False)))
        y = np.sin(x)
        inputs = {"maximum": (y, 0.5), "multiply": (y, np.cos(x)), "matmul": (y, np.ones((4, 2)))}.get(name, (y,))
        return np.sum(np.square(apply(wrong, *inputs)))

    report = cr.check_gradient(f, X)
    assert not report.ok
    operations = [fault for fault in report.faults if isinstance(fault, Operation)]
    assert {(o.primitive, o.rule) for o in operations} == {(f"spoilt_{name}", rule)}
    elements = [fault for fault in report.faults if isinstance(fault, Element)]
    assert {e.kind for e in elements} == ({"gradient", "reverse"} if rule == "reverse" else {"forward"})
    assert f"spoilt_{name}" in report.summary
    assert f"spoilt_{name}" in str(report)
    with pytest.raises(GradientError, match=f"{rule} rule of spoilt_{name}"):
        cr.check_gradient(f, X, strict=True)


def test_every_wrong_element_is_named() -> None:
    exp = PRIMITIVES["exp"]

    def reverse(i: int, g: Any, out: Any, x: Any) -> Any:
        return g * out * np.where(np.arange(x.size) == 2, 1.0005, 1.0)

    wrong = replace(exp, name="one_wrong", reverse=reverse)
    report = cr.check_gradient(lambda v: np.sum(apply(wrong, v)), X[0])
    gradient = [f for f in report.faults if isinstance(f, Element) and f.kind == "gradient"]
    assert [f.where for f in gradient] == ["v[2]"]
    assert report.worst is gradient[0]
    assert gradient[0].comparison.error == pytest.approx(0.0005 * np.exp(X[0, 2]), rel=1e-4)
    assert report.parameters[0].worst is gradient[0]


def test_wrong_second_derivative_is_found_by_order_2_only() -> None:
    """The gradient is right at the point, but not as a function of the point."""
    cube = replace(
        PRIMITIVES["exp"],
        name="cube",
        numpy=lambda x: x**3,
        reverse=lambda i, g, out, x: g * 3.0 * stop_gradient(x) * x,
        forward=lambda t, out, x: t[0] * 3.0 * stop_gradient(x) * x,
    )
    f = lambda x: np.sum(apply(cube, x))  # noqa: E731
    assert cr.check_gradient(f, X).ok
    report = cr.check_gradient(f, X, order=2)
    assert not report.ok
    assert {fault.kind for fault in report.faults if isinstance(fault, Element)} == {"hessian"}


def test_function_that_leaves_the_graph() -> None:
    report = cr.check_gradient(lambda x: x**2 * getattr(x, "value", x), 2.0)
    assert not report.ok
    assert all(isinstance(fault, Element) for fault in report.faults)
    assert "leaves the graph" in report.summary


def test_function_that_changes_between_calls() -> None:
    rng = np.random.default_rng(0)
    report = cr.check_gradient(lambda x: np.sum(x) * rng.normal(), X)
    assert not report.ok
    assert "no random numbers" in report.summary


def test_nan_is_a_fault() -> None:
    with np.errstate(all="ignore"):
        report = cr.check_gradient(lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, -1.0)), 0.0), -1.0)
        assert not report.ok


# -- kinks


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.maximum(x, 0.0), 0.0),
        (lambda x: np.sum(np.maximum(x, 0.0)), np.array([1e-13, 1.0])),
        (lambda x: np.sum(np.maximum(x, 0.0)), np.array([-1e-13, 1.0])),
        (lambda x: np.abs(x - 1.0), 1.0),
        (lambda x: np.max(np.stack([x, x**2])), 1.0),
        (lambda x: np.clip(x, -1.0, 1.0), 1.0),
        (lambda x: np.linalg.norm(x), np.zeros(3)),
        (lambda x: np.minimum(x[0], x[1]), np.ones(2)),
    ],
)
def test_kinks_are_no_faults(f: Any, x: Any) -> None:
    with np.errstate(all="ignore"):
        report = cr.check_gradient(f, x)
    assert report.ok, report
    assert report.kinks, report
    assert "kink" in str(report)


def test_kink_lies_between_the_sides() -> None:
    (kink,) = [k for k in cr.check_gradient(np.abs, 0.0).kinks if isinstance(k, Element) and k.kind == "gradient"]
    assert kink.comparison.left == pytest.approx(-1.0)
    assert kink.comparison.right == pytest.approx(1.0)
    assert kink.comparison.derivative == 0.0


def test_many_kinks_meet() -> None:
    """At zero weights every unit is at its kink in every row; their sub-gradients' sum need not lie between."""
    x, y = RNG.normal(size=(6, 3)), RNG.normal(size=6)
    f = lambda w, v: np.sum((np.maximum(x @ w, 0.0) @ v - y) ** 2)  # noqa: E731
    report = cr.check_gradient(f, np.zeros((3, 4)), RNG.normal(size=4))
    assert report.ok, report
    assert report.kinks
    wrong = spoilt("maximum", reverse=1.0005)
    f = lambda w, v: np.sum((apply(wrong, x @ w, 0.0) @ v - y) ** 2)  # noqa: E731
    w = np.array([[0.0] * 4, [0.0] * 4, [1.0] * 4])
    assert not cr.check_gradient(f, w, RNG.normal(size=4)).ok
    x = X[0, :3]
    assert cr.check_gradient(lambda v: np.sort(np.concatenate([v, v])) @ np.arange(6.0) ** 2, x).ok
    assert cr.check_gradient(lambda v: np.sum(np.where(v > x, v, 3.0 * v - 2.0 * x)), x).ok


def test_wrong_derivative_at_a_kink_is_a_fault() -> None:
    relu = replace(PRIMITIVES["absolute"], name="relu", numpy=lambda x: np.maximum(x, 0.0),
                   reverse=lambda i, g, out, x: g * -0.1, forward=lambda t, out, x: t[0] * -0.1)  # fmt: skip
    assert not cr.check_gradient(lambda x: apply(relu, x), 0.0).ok


def test_near_kink_is_not_mistaken() -> None:
    """The kink lies within the first step, but further away than the last one."""
    report = cr.check_gradient(lambda x: np.maximum(x - 1.0, 0.0) * 3.0, 1.0 + 1e-5)
    assert report.ok
    assert not report.kinks


# -- arguments and results of every kind


def test_integer_arguments_are_held_fixed() -> None:
    report = cr.check_gradient(network, NET, X, LABELS, strict=True)
    assert "labels" not in {p.name for p in report.parameters}
    report = cr.check_gradient(lambda x, n: np.sum(x[:n] ** 2), X, 2, strict=True)
    assert [p.name for p in report.parameters] == ["x"]


def test_nothing_to_differentiate() -> None:
    with pytest.raises(DifferentiationError, match="floating-point argument, got int64"):
        cr.check_gradient(lambda n: n * 1.0, 3)
    with pytest.raises(DifferentiationError, match="returns floating-point"):
        cr.check_gradient(lambda x: x > 0, 3.0)
    with pytest.raises(OptionError, match="order must be 1 or 2"):
        cr.check_gradient(np.sin, 1.0, order=3)


def test_size_0_and_no_dependence() -> None:
    report = cr.check_gradient(lambda x, y: np.sum(x) + 3.0, np.zeros((0, 2)), 1.0, strict=True, order=2)
    assert report.parameters[0].worst is None
    assert report.parameters[0].checked == 0
    assert report.ok


def test_several_outputs_in_containers() -> None:
    def f(x: Any) -> Any:
        return {"a": np.outer(x, x), "b": [np.sum(x), x > 0.5], "c": None}

    assert cr.check_gradient(f, X[0], order=2, strict=True).ok


def test_single_precision_arguments_are_checked_in_double() -> None:
    report = cr.check_gradient(lambda p, x: network(p, x, LABELS), NET, X.astype(np.float32), strict=True)
    assert report.ok
    wrong = spoilt("tanh", reverse=1.0005)
    assert not cr.check_gradient(lambda x: np.sum(apply(wrong, x)), X.astype(np.float32)).ok


def test_single_precision_inside() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.tanh(x.astype(np.float32) * np.float32(1.7)) ** 2)

    assert cr.check_gradient(f, X, strict=True).ok
    wrong = spoilt("tanh", reverse=1.01)
    report = cr.check_gradient(lambda x: np.sum(apply(wrong, x.astype(np.float32))), X)
    assert {f.primitive for f in report.faults if isinstance(f, Operation)} == {"spoilt_tanh"}


def test_stop_gradient_holds_its_value() -> None:
    assert cr.check_gradient(lambda x: np.sum(x * stop_gradient(np.exp(x))), X, order=2, strict=True).ok


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 1e5, 1e12])
def test_elements_of_every_size(scale: float) -> None:
    assert cr.check_gradient(
        lambda x: np.sum(np.log(x) * np.sqrt(x)), scale * np.array([0.5, 1.0, 2.0]), strict=True
    ).ok
    assert cr.check_gradient(lambda x: np.sum(np.abs(x) ** 3), scale * np.array([0.5, -1.0, 2.0]), strict=True).ok


def test_mixed_sizes() -> None:
    x = np.array([1e-6, 1.0, 1e4])
    assert cr.check_gradient(lambda x: np.sum(np.log(x) + np.abs(x)), x, strict=True).ok


def test_large_arguments_are_checked_at_random() -> None:
    x = np.random.default_rng(1).normal(size=(100, 30))
    report = cr.check_gradient(lambda x, b: np.sum(np.abs(x + b) ** 1.5), x, np.ones(30), elements=50)
    assert report.ok
    assert [p.checked for p in report.parameters] == [25, 25]
    assert "25 of 3000" in str(report)


def test_large_arguments_with_a_fault_in_one_element() -> None:
    """Directions see elements that were not drawn."""
    x = np.random.default_rng(1).normal(size=300)

    def reverse(i: int, g: Any, out: Any, x: Any) -> Any:
        return g * out * np.where(np.arange(x.size) == 17, 1.05, 1.0)

    wrong = replace(PRIMITIVES["exp"], name="one_wrong", reverse=reverse)
    report = cr.check_gradient(lambda v: np.sum(apply(wrong, v)), x, elements=5)
    assert {f.kind for f in report.faults if isinstance(f, Element)} == {"reverse"}
    assert any(isinstance(f, Operation) for f in report.faults)


def test_edge_of_a_domain() -> None:
    """Differences leave the domain: the function raises there, or is not a number."""

    def f(x: Any) -> Any:
        if (x.value if hasattr(x, "value") else x) <= 0.0:
            raise ValueError("x must be positive")
        return np.log(x)

    assert cr.check_gradient(f, 1e-3, order=2, strict=True).ok
    assert cr.check_gradient(lambda a: np.sum(np.linalg.cholesky(a + a.T)), np.eye(2) * 1e-3, order=2, strict=True).ok
    assert cr.check_gradient(lambda x: np.arcsin(x), 1.0 - 1e-4, order=2, strict=True).ok


def test_reports_repeat() -> None:
    f = lambda x: np.sum(np.abs(np.sin(x)))  # noqa: E731
    assert str(cr.check_gradient(f, X)) == str(cr.check_gradient(f, X))


def test_readable_report() -> None:
    text = str(cr.check_gradient(lambda w: np.sum(np.tanh(w["a"]) * w["b"]), {"a": X[0], "b": 0.5}))
    lines = text.splitlines()
    assert lines[0] == "gradient of f: right"
    assert lines[2].split() == [
        "parameter",
        "shape",
        "checked",
        "worst",
        "derivative",
        "numeric",
        "error",
        "/",
        "allowed",
    ]
    assert lines[3].startswith("  w.a ")
    assert "4 of 4" in lines[3]
    assert "rules of operations" in lines[-1]


def test_points_outside_the_domain_are_refused() -> None:
    with pytest.raises(cr.OptionError, match="the function is not a number at this point; the first is log"):
        cr.check_gradient(lambda x: np.sum(np.log(x)), np.array([-1.0, 2.0]))

"""cr.compile."""

import copy
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest

import chainrule as cr
from chainrule.calculus import grad
from chainrule.errors import OptionError, TraceError
from chainrule.native.cache import shared_cache
from chainrule.native.compile import Library, NativeProgram
from chainrule.native.function import compile


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    shared_cache.cache_clear()
    yield
    shared_cache.cache_clear()


def test_same_meaning_with_nested_arguments():
    def f(p, x, scale=2.0):
        return {"y": np.tanh(x @ p["w"] + p["b"]) * scale, "n": (x.sum(), [x[0]])}

    p = {"w": np.arange(6.0).reshape(3, 2) / 7, "b": np.ones(2)}
    x = np.cos(np.arange(12.0)).reshape(4, 3)
    compiled = compile(f)
    for arguments, options in (((p, x), {}), ((p, x, 3.0), {}), ((p, x), {"scale": 0.5})):
        got, want = compiled(*arguments, **options), f(*arguments, **options)
        np.testing.assert_allclose(got["y"], want["y"], rtol=1e-13)
        np.testing.assert_allclose(got["n"][0], want["n"][0], rtol=1e-13)
        np.testing.assert_array_equal(got["n"][1][0], x[0])
    assert isinstance(got["n"][0], np.float64)
    assert compiled.__name__ == "f"


def test_gradients():
    def loss(x):
        return np.sum(np.sin(x) * x**3)

    x = np.linspace(-1, 1, 11)
    value, gradient = compile(cr.value_and_grad(loss))(x)
    np.testing.assert_allclose(value, loss(x), rtol=1e-13)
    np.testing.assert_allclose(gradient, np.cos(x) * x**3 + 3 * np.sin(x) * x**2, rtol=1e-12)
    np.testing.assert_allclose(compile(cr.hessian(loss))(x), cr.hessian(loss)(x), rtol=1e-11)


def test_compiles_once_per_type():
    traced = []

    def f(x, n, rate):
        traced.append(x.shape)
        for _ in range(n):
            x = x * rate
        return x

    compiled = compile(f)
    for rate in (0.5, 2.0, 3.0):
        np.testing.assert_allclose(compiled(np.ones(3), 2, rate), np.full(3, rate**2))
    assert len(traced) == 1
    compiled(np.ones(3), 3, 1.0)  # an integer belongs to the program
    compiled(np.ones(4), 2, 1.0)
    compiled(np.ones(3, np.float32), 2, 1.0)
    assert len(traced) == 4
    assert compiled(np.ones(3, np.float32), 2, 0.1).dtype == np.float32  # Python floats are weak, as in NumPy
    assert isinstance(compiled.program(np.ones(3), 2, 1.0), NativeProgram)


def test_control_flow_on_values_is_refused():
    with pytest.raises(TraceError, match=r"np\.where"):
        compile(lambda x: x if x.sum() > 0 else -x)(np.ones(3))
    with pytest.raises(TraceError, match="neither an array nor hashable"):
        compile(lambda x, s: x)(np.ones(3), {1, 2})


def test_falls_back_to_numpy_with_a_warning(monkeypatch):
    monkeypatch.setattr("chainrule.native.runtime.unavailable", lambda: "no executable memory")
    compiled = compile(lambda x: x + 1.0)
    with pytest.warns(UserWarning, match=r"cannot run here \(no executable memory\); chainrule uses NumPy") as told:
        assert compiled(np.ones(2)).tolist() == [2, 2]
    assert told[0].filename == __file__


def test_without_llvm_functions_run_on_numpy_with_one_warning():
    code = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "import numpy as np, chainrule as cr\n"
        "f, g = cr.compile(lambda x: np.tanh(x)), cr.compile(lambda x: (x + 1.0, x))\n"
        "print(f(np.zeros(2)), f(np.zeros(3)), g(np.ones(1)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[0. 0.] [0. 0. 0.] (array([2.]), array([1.]))\n", done.stderr
    assert done.stderr.count("native code cannot run here") == 1


def test_inside_of_what_is_recorded_it_is_the_function_itself():
    f = compile(lambda x, n=2: np.sum(np.sin(x) ** n))
    x = np.array([0.3, -1.2])
    wanted = np.sin(2 * x)
    np.testing.assert_allclose(grad(f)(x), wanted, rtol=1e-12)
    np.testing.assert_allclose(compile(grad(f))(x), wanted, rtol=1e-12)
    np.testing.assert_allclose(compile(lambda x: f(x) + 1.0)(x), f(x) + 1.0, rtol=1e-12)
    assert not hasattr(f(x), "recorder")


def test_masked_arrays_are_refused():
    masked = np.ma.masked_invalid([1.0, np.nan])
    for refuse in (compile(np.sum), grad(np.sum)):
        with pytest.raises(TraceError, match=r"is a masked array, whose mask would be ignored; use \.filled"):
            refuse(masked)


def test_names_of_arguments():
    def f(x, pair, *, scale, n=2):
        return x * pair[0] + pair[1]["b"] * scale * n

    given = (np.ones(3), (np.ones(3), {"b": np.ones(3)}))
    assert compile(f).program(*given, scale=2.0).graph.node_names[:4] == ("x", "pair[0]", "pair[1].b", "scale")
    assert "f(x: float64[3], pair[0]: float64[3]" in compile(f).stages(*given, scale=2.0)["graph"]


def test_threads_share_one_program():
    traced = []

    def f(x):
        traced.append(1)
        return np.exp(x) - 1.0

    compiled, wrong = compile(f), []

    def work():
        for _ in range(50):
            if not np.allclose(compiled(np.zeros(9)), 0.0):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert len(traced) == 1


def test_nested_arrays_are_told_apart():
    f = cr.compile(lambda tree, x: sum(np.sum(v) * (k + 1) for k, v in enumerate(_leaves(tree))) + x)
    x = np.array([1.0, 2.0])
    one, two = np.full(2, 3.0), np.full(2, 5.0)
    cases = [{"a": one, "b": two}, {"b": one, "a": two}, [one, two], (one, two), {"a": [one], "b": two}, [one, [two]]]
    for _ in range(2):  # recorded, then remembered
        for tree in cases:
            want = sum(v.sum() * (k + 1) for k, v in enumerate(_leaves(tree))) + x
            np.testing.assert_allclose(f(tree, x), want)
    np.testing.assert_allclose(f([one.astype(np.float32), two], x), 6 + 20 + x)
    np.testing.assert_allclose(f([one, two, 1.0], x), 6 + 20 + 3 + x)


def _leaves(tree):
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in _leaves(part)]
    return [tree]


def test_every_stage_of_the_compiler_can_be_seen():
    @compile
    def cost(w, x):
        return np.maximum(x @ w, 0.0)

    w, x = np.ones((5, 3)), np.ones((7, 5))
    seen = cost.stages(w, x)
    assert list(seen) == ["graph", "terms", "loops", "epilogues", "fused", "products", "memory", "llvm"]
    assert "matmul(x, w)" in seen["graph"]
    assert "product matmul" in seen["terms"]
    assert "epilogue" not in seen["loops"]
    assert "epilogue" in seen["epilogues"]
    assert "NN 7×3×5 float64" in seen["products"]
    assert "arena of" in seen["memory"]
    assert "define" in seen["llvm"]
    assert seen["fused"] == str(cost.program(w, x).program)


@compile
def decorated(x):
    return 3.0 * x


class Scaler:
    def __init__(self, factor):
        self.factor = factor

    @compile
    def scaled(self, x, shift=0.0):
        return self.factor * x + shift


def test_methods():
    x = np.arange(3.0)
    two, five = Scaler(2.0), Scaler(5.0)
    np.testing.assert_array_equal(two.scaled(x), 2 * x)
    np.testing.assert_array_equal(five.scaled(x, shift=1.0), 5 * x + 1)
    np.testing.assert_array_equal(Scaler.scaled(two, x), 2 * x)
    assert Scaler.scaled.stages(two, x)["graph"].startswith("scaled(")


def test_compiled_functions_travel_to_other_processes():
    x = np.arange(3.0)
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    for fast in (compile(np.sin), compile(_plain)):
        for other in (pickle.loads(pickle.dumps(fast)), copy.deepcopy(fast)):
            assert other is not fast
            np.testing.assert_array_equal(other(x), fast(x))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(compile(lambda x: x))


def _plain(x):
    return x + 1.0


@pytest.mark.parametrize(
    ("f", "args", "said"),
    [
        (lambda frame: frame, (pd.DataFrame({"a": [1.0]}),), "to_numpy"),
        (lambda x: x * x, (np.eye(2).view(np.matrix),), "np.matrix"),
        (lambda x, rng: x + rng.normal(), (np.ones(2), np.random.default_rng(0)), "rng is a random generator"),
        (lambda x: x * x.value, (np.ones(2),), "only shapes are known"),
    ],
)
def test_what_cannot_be_an_argument(f, args, said):
    with pytest.raises(TraceError, match=said):
        compile(f)(*args)


def test_writing_into_an_array_is_refused_in_our_words():
    def f(x):
        z = np.zeros(3)
        z[0] = x[0]
        return z

    for g in (compile(f), grad(lambda x: f(x).sum()), lambda x: cr.trace(f, x)):
        with pytest.raises(TraceError, match="writing into an array"):
            g(np.ones(3))


def test_only_functions_are_compiled():
    with pytest.raises(OptionError, match=r"takes a function, got 3"):
        compile(3)


def test_an_index_out_of_bounds_is_an_index_error():
    with pytest.raises(IndexError, match="out of bounds"):
        compile(lambda x, i: x[i])(np.ones(3), np.array([0, 7]))


def test_a_hessian_beyond_memory():
    with pytest.raises(cr.OutOfMemoryError, match="3000000 × 3000000 numbers"):
        cr.hessian(lambda x: np.sum(x * x))(np.ones(3_000_000))


def test_an_interrupt_before_a_callback_could_catch_it(monkeypatch):
    """What a signal handler raises on the way into a callback is lost to it; the caller hears of it still."""

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr(Library, "_call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compile(lambda x: np.sort(x) * 2.0)(np.ones(3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_while_another_thread_compiles():
    """The child hung: the lock stayed taken by a thread that it does not have."""
    code = """
import os, threading, time, numpy as np
from chainrule.native import function
f = function.compile(lambda x: np.tanh(x) + 1.0)
f(np.ones(1))
whole, begun = f._compile, threading.Event()
def slow(*args):
    begun.set()
    time.sleep(1.0)
    return whole(*args)
f._compile = slow
threading.Thread(target=f, args=(np.ones(2),), daemon=True).start()
begun.wait()
child = os.fork()
if not child:
    f._compile = whole
    os._exit(int(f(np.ones(3)).sum() < 5))
for _ in range(100):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
print(status if done else "hung")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_while_another_thread_imports_the_compiler():
    """The child hung: the module stayed locked by a thread that it does not have."""
    code = """
import os, threading, time, numpy as np, chainrule as cr
f = cr.compile(lambda x: np.tanh(x) + 1.0)
threading.Thread(target=f, args=(np.ones(2),), daemon=True).start()
time.sleep(DELAY)
child = os.fork()
if not child:
    os._exit(int(f(np.ones(3)).sum() < 5))
for _ in range(200):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
print(status if done else "hung")
"""
    for delay in (0.0, 0.01, 0.03, 0.06):
        text = code.replace("DELAY", str(delay))
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout == "0\n", delay

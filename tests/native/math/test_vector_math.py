"""Every function of the registry: errors within its promise, special values, equal bits for every width and target."""

import re

import numpy as np
import pytest
from accuracy import arguments64, error_of, exact32, exact64, measure_error, padded, pairs64, patterns32, specials, ulps
from llvmlite import ir

from chainrule.errors import CompileError, OptionError
from chainrule.native.math import VECTOR_MATH, emit
from chainrule.native.math.loop import VectorLoops, loop_module
from chainrule.native.runtime import emit_assembly, emit_object
from chainrule.native.target import Target

DTYPES = ["float32", "float64"]
NAMES = list(VECTOR_MATH)
FEW = ["exp", "log1p", "tanh", "sin", "erf", "gammaln", "power"]


def arguments(name: str, dtype: str) -> list[np.ndarray]:
    """Some thousands of arguments, a multiple of 96 of them."""
    if VECTOR_MATH[name].arity == 2:
        arrays = list(pairs64(60))
    elif dtype == "float32":
        arrays = [np.concatenate([specials(dtype), *patterns32(1 << 20)])]
    else:
        arrays = [arguments64(300)]
    with np.errstate(over="ignore", under="ignore"):
        return [padded(a, 96).astype(dtype) for a in arrays]


@pytest.fixture(scope="module")
def host() -> dict[str, VectorLoops]:
    """All functions, compiled for this machine at a common width."""
    return {dtype: VectorLoops(NAMES, dtype, 8) for dtype in DTYPES}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_error_is_within_the_stated_bound(name, dtype, host):
    error, at = measure_error(host[dtype], name, stride=40009, count=40)
    assert error <= VECTOR_MATH[name].ulp(dtype), f"{name}{at}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values_are_those_of_numpy(name, dtype, host):
    """Same NaNs, infinities and zeros, with the same sign. (The error test has the ends of the ranges.)"""
    x = np.array([0, 0.5, 1, 1.5, 2, 3, np.inf], dtype)
    if name not in {"i0", "i1", "betaln"}:  # SciPy has NaN at infinity for these, and numbers at some poles of betaln
        x = np.concatenate([x, -x, [np.nan]]).astype(dtype)
    else:
        x = np.append(x[:-1], np.nan).astype(dtype)
    arrays = [v.ravel() for v in np.meshgrid(*[x] * VECTOR_MATH[name].arity)]
    arrays = [padded(a, 8) for a in arrays]
    with np.errstate(all="ignore"):
        want = VECTOR_MATH[name].meaning(*[a.astype(np.float64) for a in arrays]).astype(dtype)
    got = host[dtype](name, *arrays)
    special = ~np.isfinite(want) | ((want == 0) & (got != 0) & (name not in {"logaddexp2"}))
    np.testing.assert_array_equal(got[special], want[special])
    zero = (want == 0) & (got == 0)
    if name not in {"log_ndtr", "logaddexp", "kl_div", "erfinv", "erfcinv", "i1e"}:  # SciPy's signs are arbitrary
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize(("width", "names"), [(1, NAMES), (3, FEW), (4, FEW), (16, FEW), (32, FEW)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_the_width(dtype, width, names, host):
    loops = VectorLoops(names, dtype, width)
    for name in names:
        arrays = arguments(name, dtype)
        np.testing.assert_array_equal(loops(name, *arrays), host[dtype](name, *arrays), err_msg=name)


@pytest.mark.parametrize(("level", "names"), [("x86-64", FEW), ("x86-64-v3", NAMES)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_the_target(dtype, level, names, host):
    target = Target.restricted(level)
    if not target.runs_here:
        pytest.skip(f"{level} does not run here")
    loops = VectorLoops(names, dtype, target.lanes(dtype), target)
    for name in names:
        arrays = [a[:1024] for a in arguments(name, dtype)]
        np.testing.assert_array_equal(loops(name, *arrays), host[dtype](name, *arrays), err_msg=name)


@pytest.mark.parametrize(("level", "call"), [("x86-64-v3", r"\tcallq?\t(\S+)"), ("aarch64", r"\tblr?\t(\S+)")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_function_is_called_where_fma_is_an_instruction(dtype, level, call):
    """But for the module's own one, which reduces large angles."""
    target = Target.restricted(level)
    text = emit_assembly(loop_module(FEW, dtype, target.lanes(dtype)), target)
    called = set(re.findall(call, text))
    assert called <= {"chainrule.reduce_large_angle"}


@pytest.mark.parametrize("dtype", DTYPES)
def test_object_code_for_aarch64(dtype):
    target = Target.restricted("aarch64")
    code = emit_object(loop_module(FEW, dtype, target.lanes(dtype)), target)
    assert code[:4] in (b"\x7fELF", b"\xcf\xfa\xed\xfe")


def test_no_fast_math_and_no_foreign_function():
    text = str(loop_module(NAMES, "float32", 8)) + str(loop_module(NAMES, "float64", 8))
    declared = re.findall(r'^declare .*@"?([\w.]+)', text, re.MULTILINE)
    assert {name.split(".")[1] for name in declared} <= {"fma", "fabs", "copysign", "sqrt", "fshl", "ctlz"}
    assert not any(
        f" {flag} " in text for flag in ("fast", "reassoc", "contract", "afn", "arcp", "nnan", "ninf", "nsz")
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_measure_sees_a_wrong_bit(dtype):
    """The checker itself: results one and three spacings off are reported as such."""
    x = np.linspace(0.5, 3, 64).astype(dtype)
    exact = exact32 if dtype == "float32" else exact64
    rounded, rest = exact("exp", x)
    assert ulps(rounded.astype(dtype), rounded, rest).max() <= 0.5
    off = rounded.astype(dtype) + 3 * np.spacing(rounded.astype(dtype))
    assert 2.5 <= error_of("exp", off, x, exact=exact).min() <= 3.5
    assert ulps(np.full(64, np.nan, dtype), rounded, rest).min() == np.inf


def test_unknown_functions_and_wrong_operands_are_refused():
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.DoubleType()]), "f")
    builder = ir.IRBuilder(function.append_basic_block())
    with pytest.raises(CompileError, match="unknown vector function 'exq'"):
        emit(builder, "exq", function.args[0])
    with pytest.raises(CompileError, match="exp takes 1 operand, got 2"):
        emit(builder, "exp", function.args[0], function.args[0])
    with pytest.raises(OptionError, match="multiple of 8"):
        VectorLoops(["exp"], "float64", 8)("exp", np.zeros(7))


def test_the_angle_nearest_to_a_multiple_of_a_right_angle(host):
    """6381956970095103·2^797 is 4.7e-19 from an odd multiple of π/2: no float64 is nearer (Muller et al. §10.2)."""
    x = np.full(8, np.ldexp(6381956970095103.0, 797))
    rounded, rest = exact64("cos", x)
    assert abs(rounded[0]) == pytest.approx(4.687e-19, rel=1e-3)
    assert ulps(host["float64"]("cos", x), rounded, rest).max() <= 1
    assert ulps(host["float64"]("tan", x), *exact64("tan", x)).max() <= 3

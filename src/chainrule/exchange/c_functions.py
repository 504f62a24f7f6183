"""Element-wise primitives as C99 expressions, and the functions that math.h lacks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expression:
    """An expression over the operands.

    Parameters
    ----------
    text : str
        Format string.
    kinds : str
        NumPy's kinds of dtype it holds for; all if empty.
    """

    text: str
    kinds: str = ""


def _calls(*names: str) -> dict[str, Expression]:
    """Functions of math.h that have the primitive's name."""
    return {name: Expression(f"{name}({{0}})", "f") for name in names}


def _operators(kinds: str, **operators: str) -> dict[str, Expression]:
    return {name: Expression(f"{{0}} {operator} {{1}}", kinds) for name, operator in operators.items()}


#: primitive -> C
EXPRESSIONS: dict[str, Expression] = {
    **_operators("fi", add="+", subtract="-", multiply="*"),
    **_operators("f", divide="/"),
    **_operators("", equal="==", not_equal="!=", less="<", less_equal="<=", greater=">", greater_equal=">="),
    **_operators("b", logical_and="&&", logical_or="||", logical_xor="!="),
    **_operators("b", bitwise_and="&&", bitwise_or="||", bitwise_xor="!="),
    **_calls("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "erf", "erfc"),
    **_calls("sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "rint", "trunc"),
    **_calls("isnan", "isinf", "isfinite", "signbit"),
    **{name: Expression(f"{name}({{0}}, {{1}})", "f") for name in ("fmax", "fmin", "fmod", "hypot", "copysign")},
    **{f"arc{name}": Expression(f"a{name}({{0}})", "f") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "arctan2": Expression("atan2({0}, {1})", "f"),
    "power": Expression("pow({0}, {1})", "f"),
    "negative": Expression("-{0}", "fi"),
    "square": Expression("{0} * {0}", "fi"),
    "reciprocal": Expression("1 / {0}", "f"),
    "absolute": Expression("fabs({0})", "f"),
    "sign": Expression("{0} != {0} ? {0} : ({0} > 0) - ({0} < 0)", "fi"),
    "logical_not": Expression("!{0}", "b"),
    "invert": Expression("!{0}", "b"),
    "maximum": Expression("{0} != {0} || {0} > {1} ? {0} : {1}", "fi"),
    "minimum": Expression("{0} != {0} || {0} < {1} ? {0} : {1}", "fi"),
    "where": Expression("{0} ? {1} : {2}"),
    "floor_divide": Expression("floor({0} / {1})", "f"),
    "gammaln": Expression("lgamma({0})", "f"),
    "gamma": Expression("tgamma({0})", "f"),
    "expit": Expression("expit({0})", "f"),
    "logit": Expression("log({0}) - log1p(-({0}))", "f"),
    "log_expit": Expression("log_expit({0})", "f"),
    "logaddexp": Expression("logaddexp({0}, {1})", "f"),
    "ndtr": Expression("0.5 * erfc({0} * -0.7071067811865476)", "f"),
    "xlogy": Expression("xlogy({0}, {1})", "f"),
    "entr": Expression("-xlogy({0}, {0})", "f"),
}

#: functions that a file defines if it uses them, without overflow
HELPERS = {
    "place": """/* a place among so many, counted from the end if negative, and never outside */
static int64_t place(int64_t k, int64_t size)
{
    k = k < 0 ? k + size : k;
    return k < 0 ? 0 : k < size ? k : size - 1;
}
""",
    "expit": """static double expit(double x)
{
    double small = exp(-fabs(x));
    return (x < 0 ? small : 1) / (1 + small);
}
""",
    "log_expit": """static double log_expit(double x)
{
    return (x < 0 ? x : 0) - log1p(exp(-fabs(x)));
}
""",
    "logaddexp": """static double logaddexp(double x, double y)
{
    if (x == y)
        return x + log(2.0);
    return (x > y ? x : y) + log1p(exp(-fabs(x - y)));
}
""",
    "xlogy": """static double xlogy(double x, double y)
{
    return x == 0 && y == y ? 0 : x * log(y);
}
""",
}

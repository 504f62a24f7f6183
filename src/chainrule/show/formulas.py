"""How a person writes each primitive: MathML with a slot for every input.

A slot is ``{0}``, ``{1}``, …: the page puts names there, or the numbers of a step. One table for all of them; what it
lacks is written ``name(…)``.
"""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.graph.graph import Graph


def _call(name: str, *slots: str) -> str:
    inside = "<mo>,</mo>".join(slots or ("{0}",))
    return f'<mi>{name}</mi><mo stretchy="false">(</mo>{inside}<mo stretchy="false">)</mo>'


def _infix(sign: str) -> str:
    return f"{{0}}<mo>{sign}</mo>{{1}}"


def _truth(sign: str) -> str:
    """Iverson's bracket: 1 where it holds, 0 where not."""
    return f'<mo stretchy="false">[</mo>{_infix(sign)}<mo stretchy="false">]</mo>'


def _power(base: str, exponent: str) -> str:
    return f"<msup>{base}{exponent}</msup>"


_E = "<mi>e</mi>"
_MINUS_ONE = "<mrow><mo>−</mo><mn>1</mn></mrow>"

#: primitive -> MathML of its result
FORMULAS: dict[str, str] = {
    "identity": "{0}",
    "stop_gradient": _call("fixed"),
    "add": _infix("+"),
    "subtract": _infix("−"),
    "multiply": _infix("·"),
    "divide": "<mfrac>{0}{1}</mfrac>",
    "negative": "<mo>−</mo>{0}",
    "square": _power("{0}", "<mn>2</mn>"),
    "reciprocal": "<mfrac><mn>1</mn>{0}</mfrac>",
    "sqrt": "<msqrt>{0}</msqrt>",
    "cbrt": "<mroot>{0}<mn>3</mn></mroot>",
    "power": _power("{0}", "{1}"),
    "absolute": '<mo stretchy="false">|</mo>{0}<mo stretchy="false">|</mo>',
    "remainder": _infix("mod"),
    "floor_divide": '<mo stretchy="false">⌊</mo>{0}<mo>/</mo>{1}<mo stretchy="false">⌋</mo>',
    "exp": _power(_E, "{0}"),
    "exp2": _power("<mn>2</mn>", "{0}"),
    "expm1": _power(_E, "{0}") + "<mo>−</mo><mn>1</mn>",
    "log2": "<msub><mi>log</mi><mn>2</mn></msub>" + '<mo stretchy="false">(</mo>{0}<mo stretchy="false">)</mo>',
    "log10": "<msub><mi>log</mi><mn>10</mn></msub>" + '<mo stretchy="false">(</mo>{0}<mo stretchy="false">)</mo>',
    "log1p": _call("log", "<mn>1</mn><mo>+</mo>{0}"),
    "logaddexp": _call("log", _power(_E, "{0}") + "<mo>+</mo>" + _power(_E, "{1}")),
    "rint": _call("round"),
    "equal": _truth("="),
    "not_equal": _truth("≠"),
    "less": _truth("&lt;"),
    "less_equal": _truth("≤"),
    "greater": _truth("&gt;"),
    "greater_equal": _truth("≥"),
    "logical_and": _infix("and"),
    "logical_or": _infix("or"),
    "logical_xor": _infix("xor"),
    "logical_not": "<mo>not</mo>{0}",
    "maximum": _call("max", "{0}", "{1}"),
    "minimum": _call("min", "{0}", "{1}"),
    "where": "{1}<mtext>&#160;if&#160;</mtext>{0}<mtext>&#160;else&#160;</mtext>{2}",
    "expit": _call("σ"),
    "log_expit": "<mi>log</mi>" + _call("σ"),
    "ndtr": _call("Φ"),
    "ndtri": _call(_power("<mi>Φ</mi>", _MINUS_ONE)),
    "log_ndtr": "<mi>log</mi>" + _call("Φ"),
    "gamma": _call("Γ"),
    "gammaln": "<mi>log</mi>" + _call("Γ"),
    "psi": _call("ψ"),
    "beta": _call("B", "{0}", "{1}"),
    "betaln": "<mi>log</mi>" + _call("B", "{0}", "{1}"),
    "gammainc": _call("P", "{0}", "{1}"),
    "gammaincc": _call("Q", "{0}", "{1}"),
    "stdtr": _call("T", "{0}", "{1}"),
    "xlogy": "{0}<mi>log</mi>{1}",
    "xlog1py": "{0}" + _call("log", "<mn>1</mn><mo>+</mo>{1}"),
    "entr": "<mo>−</mo>{0}<mi>log</mi>{0}",
    "sum": "<mo>∑</mo>{0}",
    "max": _call("max"),
    "min": _call("min"),
    "matmul": "{0}<mspace width='0.25em'/>{1}",
    "solve": _power("{0}", _MINUS_ONE) + "<mspace width='0.15em'/>{1}",
    "inv": _power("{0}", _MINUS_ONE),
    "transpose": _power("{0}", "<mi>T</mi>"),
    "logabsdet": _call("log", '<mo stretchy="false">|</mo><mi>det</mi>{0}<mo stretchy="false">|</mo>'),
    "cholesky": _call("chol"),
    "slice": '{0}<mo stretchy="false">[</mo><mo>…</mo><mo stretchy="false">]</mo>',
    "gather": '{0}<mo stretchy="false">[</mo>{1}<mo stretchy="false">]</mo>',
}

#: reductions, whose axes are written below them where they leave some out
_REDUCTIONS = {"sum": "<mo>∑</mo>", "max": "<mi>max</mi>", "min": "<mi>min</mi>"}

#: primitive -> for each input (the last one for all that follow) the cotangent that back-propagation gives it, ``{g}``
#: being the output's
PULLBACKS: dict[str, tuple[str, ...]] = {
    "matmul": (
        "{g}<mspace width='0.25em'/>" + _power("{1}", "<mi>T</mi>"),
        _power("{0}", "<mi>T</mi>") + "<mspace width='0.25em'/>{g}",
    ),
    "sum": ("{g}<mtext>&#160;for every element summed</mtext>",),
    "broadcast_to": ("<mo>∑</mo>{g}<mtext>&#160;over the repeats</mtext>",),
    "reshape": ("{g}<mtext>&#160;in the old shape</mtext>",),
    "transpose": (_power("{g}", "<mi>T</mi>"),),
    "slice": ("{g}<mtext>&#160;in its place, zero elsewhere</mtext>",),
    "gather": ("{g}<mtext>&#160;added up where it was taken from</mtext>",),
    "concatenate": ("{g}<mtext>&#160;in its own part</mtext>",),
    "flip": ("{g}<mtext>&#160;in the old order</mtext>",),
    "pad": ("{g}<mtext>&#160;without the padding</mtext>",),
    "place": ("{g}<mtext>&#160;where it was placed</mtext>",),
    "scatter_add": ("{g}<mtext>&#160;where it was added</mtext>",),
    "cumsum": ("{g}<mtext>&#160;summed from the end</mtext>",),
    "max": ("{g}<mtext>&#160;where the maximum is, zero elsewhere</mtext>",),
    "min": ("{g}<mtext>&#160;where the minimum is, zero elsewhere</mtext>",),
}

#: the same in a word or two beside an arrow, as plain text
ON_ARROWS: dict[str, tuple[str, ...]] = {
    "matmul": ("· {1}ᵀ", "{0}ᵀ ·"),
    "sum": ("to each",),
    "broadcast_to": ("∑ repeats",),
    "reshape": ("reshaped",),
    "transpose": ("transposed",),
    "slice": ("in its place",),
    "gather": ("in its place",),
    "concatenate": ("its part",),
    "flip": ("turned back",),
    "pad": ("its part",),
    "place": ("its part",),
    "scatter_add": ("its part",),
    "cumsum": ("∑ from the end",),
    "max": ("where it is the max",),
    "min": ("where it is the min",),
}


def formula(graph: Graph, position: int) -> str:
    """MathML of what a node computes, a slot ``{k}`` in place of its k-th input; empty for inputs and constants.

    Examples
    --------
    >>> import chainrule as cr
    >>> formula(cr.trace(lambda w, x: w * x, 2.0, 3.0), 2)
    '{0}<mo>·</mo>{1}'
    """
    node = graph.nodes[position]
    name = node.primitive.name
    if node.primitive.family == "source":
        return ""
    if name in _REDUCTIONS and len(node.params["axis"]) < graph.nodes[node.inputs[0]].type.ndim:
        axes = "<mo>,</mo>".join(f"<mn>{k}</mn>" for k in node.params["axis"])
        return f"<munder>{_REDUCTIONS[name]}<mrow><mtext>axis&#160;</mtext>{axes}</mrow></munder>{{0}}"
    slots = [f"{{{k}}}" for k in range(len(node.inputs))]
    return FORMULAS.get(name) or _call(f"{name}", *slots)


def pullback(graph: Graph, position: int, k: int) -> str:
    """MathML of what back-propagation gives a node's k-th input, ``{g}`` being the node's gradient; empty if unnamed.

    A product of stacks of matrices has none.
    """
    return _rule(PULLBACKS, graph, position, k)


def on_arrow(graph: Graph, position: int, k: int) -> str:
    """`pullback` in a word or two, with slots ``{k}`` for the inputs' names; empty where there is none."""
    return _rule(ON_ARROWS, graph, position, k)


def _rule(table: Mapping[str, tuple[str, ...]], graph: Graph, position: int, k: int) -> str:
    node = graph.nodes[position]
    name = node.primitive.name
    if name == "matmul" and max(graph.nodes[i].type.ndim for i in node.inputs) > 2:
        return ""
    rules = table.get(name, ("",))
    return rules[min(k, len(rules) - 1)]

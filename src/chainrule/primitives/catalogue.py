"""The list of supported functions in docs/numpy.md, written from the dispatch tables.

``python -m chainrule.primitives.catalogue docs/numpy.md`` writes it anew between its two marks; a test compares.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.graph.primitive import PRIMITIVES, Primitive, zero_reverse
from chainrule.graph.traced import FUNCTIONS, REFUSED, UFUNC_METHODS, UFUNCS, full_name
from chainrule.primitives.doors import PYTHON_FUNCTIONS

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def catalogue() -> str:
    """Markdown tables of everything the dispatch tables hold."""
    return "\n".join(line for section in (_ufuncs(), _ufunc_methods(), _functions(), _refused()) for line in section)


def _ufuncs() -> Iterator[str]:
    yield from ("### Element-wise functions", "")
    rows = sorted((u for u in UFUNCS if u.signature is None), key=lambda ufunc: full_name(ufunc).lower())
    own = {ufunc: primitive for ufunc in rows if (primitive := _primitive_of(ufunc))}
    yield from ("| function | reads | derivative |", "|---|---|---|")
    for ufunc, primitive in own.items():
        constant = primitive.reverse is zero_reverse
        formula = primitive.formula.format("x", "y").replace("|", "\\|")
        yield f"| `{full_name(ufunc)}` | {formula} | {'zero: piecewise constant' if constant else 'yes'} |"
    yield from ("", "Written with others: " + _names(ufunc for ufunc in rows if ufunc not in own) + ".", "")


def _primitive_of(ufunc: np.ufunc) -> Primitive | None:
    primitive = PRIMITIVES.get(ufunc.__name__)
    return primitive if primitive is not None and primitive.numpy is ufunc else None


def _ufunc_methods() -> Iterator[str]:
    products = _names(ufunc for ufunc in UFUNCS if ufunc.signature is not None)
    yield from ("### Products and methods of element-wise functions", "", f"- {products}")
    for method in ("reduce", "accumulate", "outer"):
        yield f"- `.{method}` of {_names(ufunc for ufunc, name in UFUNC_METHODS if name == method)}"
    yield ""


def _functions() -> Iterator[str]:
    families: dict[str, list[tuple[str, str]]] = {}
    for function, rule in [*FUNCTIONS.items(), *PYTHON_FUNCTIONS.items()]:
        name = "x[key]" if function is operator.getitem else full_name(function)
        families.setdefault(rule.__module__, []).append((name, _first_line(rule)))
    for module, rows in sorted(families.items()):
        yield from (f"### {_first_line(sys.modules[module]).split(':')[0].rstrip('.')}", "")
        yield from ("| function | what is recorded |", "|---|---|")
        yield from (f"| `{name}` | {meaning} |" for name, meaning in sorted(rows, key=lambda row: row[0].lower()))
        yield ""


def _refused() -> Iterator[str]:
    yield from ("### Refused, with advice", "", "| function | instead |", "|---|---|")
    yield from (f"| `{full_name(function)}` | {advice} |" for function, advice in REFUSED.items())


def _first_line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


def _names(functions: Iterator[Callable[..., Any]]) -> str:
    return ", ".join(sorted({f"`{full_name(function)}`" for function in functions}, key=str.lower))


def generated_part(page: str) -> str:
    """What stands between the two marks of a page."""
    return page.split(BEGIN + "\n")[1].split("\n" + END)[0]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    text = f"{BEGIN}\n{catalogue()}\n{END}"
    path.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: text, path.read_text("utf-8"), flags=re.DOTALL), "utf-8")

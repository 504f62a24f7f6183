"""What each stage of the compiler made of a program, as text."""

from __future__ import annotations

from chainrule.native.compile import NativeProgram
from chainrule.native.emit import emit_run
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.lower import lower
from chainrule.native.terms import to_terms


def stages(program: NativeProgram) -> dict[str, str]:
    """The stages of `chainrule.native.compile.compile_graph`, in order.

    Returns
    -------
    dict of str to str
        ``graph``: as recorded. ``terms``: simplified, each value a map, reduction, product, view, …. ``loops``: a nest
        of loops, a product or a library call per value that is stored. ``epilogues``: element-wise work behind a
        product done while its tiles are in registers. ``fused``: loops that walk alike made one. ``products``: how each
        product is computed. ``memory``: where values live. ``llvm``: the code that LLVM gets.
    """
    terms = to_terms(program.graph)
    loops = lower(terms)
    return {
        "graph": str(program.graph),
        "terms": str(terms),
        "loops": str(loops),
        "epilogues": str(fuse_epilogues(loops)),
        "fused": str(program.program),
        "products": "\n".join(f"step {k}: {plan}" for k, plan in program.plans.items()),
        "memory": str(program.memory),
        "llvm": str(emit_run(program.program, program.memory, program.plans, program.target)),
    }

"""What each stage of the compiler makes of a graph, as text."""

from __future__ import annotations

from chainrule.graph.graph import Graph
from chainrule.native.emit import emit_run, product_plans, scratch_bytes
from chainrule.native.epilogue import fuse_epilogues
from chainrule.native.fuse import fuse
from chainrule.native.lower import lower
from chainrule.native.plan import plan_memory
from chainrule.native.target import Target
from chainrule.native.terms import to_terms


def stages(graph: Graph, target: Target | None = None) -> dict[str, str]:
    """The stages of `chainrule.native.compile.compile_graph`, in order.

    Returns
    -------
    dict of str to str
        ``graph``: as recorded. ``terms``: simplified, each value a map, reduction, product, view, …. ``loops``: a nest
        of loops, a product or a library call per value that is stored. ``epilogues``: element-wise work behind a
        product done while its tiles are in registers. ``fused``: loops that walk alike made one. ``products``: how each
        product is computed. ``memory``: where values live. ``llvm``: the code that LLVM gets.
    """
    target = Target.host() if target is None else target
    terms = to_terms(graph)
    loops = lower(terms)
    with_epilogues = fuse_epilogues(loops)
    fused = fuse(with_epilogues)
    plans = product_plans(fused, target)
    memory = plan_memory(fused, scratch_bytes(fused, plans, target))
    return {
        "graph": str(graph),
        "terms": str(terms),
        "loops": str(loops),
        "epilogues": str(with_epilogues),
        "fused": str(fused),
        "products": "\n".join(f"step {k}: {plan}" for k, plan in plans.items()),
        "memory": str(memory),
        "llvm": str(emit_run(fused, memory, plans, target)),
    }

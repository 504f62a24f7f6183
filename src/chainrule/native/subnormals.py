"""Training without subnormal numbers: below the smallest normal one (1e-38 in single precision) is zero.

A momentum decays towards such numbers wherever a gradient stays zero (an input that is always zero, a unit that never
answers) and would stay there, because rounding stops the decay. Processors take some hundred cycles for an operation
with one of them, so that a training that has gone well would become several times slower. The mode is a thread's own;
it is put back before anything else runs on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from chainrule.native import code
from chainrule.native.target import Target

_I32 = ir.IntType(32)
_FLUSH = 0x8040  # of x86's MXCSR: results (FTZ) and operands (DAZ)


@dataclass(frozen=True)
class Rounding:
    """The modes of floating-point arithmetic before and within, if there is a difference.

    Parameters
    ----------
    before, within : ir.Value, optional
        Pointers to what the processor's register held, and to what it is set to.
    """

    before: ir.Value | None = None
    within: ir.Value | None = None

    def set(self, builder: ir.IRBuilder) -> None:
        """Emit the switch to the mode within."""
        self._put(builder, self.within)

    def restore(self, builder: ir.IRBuilder) -> None:
        """Emit the switch back."""
        self._put(builder, self.before)

    @staticmethod
    def _put(builder: ir.IRBuilder, mode: ir.Value | None) -> None:
        if mode is not None:
            code.intrinsic(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), mode)


def flush_subnormals(builder: ir.IRBuilder, target: Target) -> Rounding:
    """Emit the switch to arithmetic in which subnormal numbers are zero; on processors but x86 there is none."""
    if not target.triple.startswith(("x86_64", "i686")):
        return Rounding()
    before, within = code.stack(builder, _I32, 1, 4), code.stack(builder, _I32, 1, 4)
    code.intrinsic(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), before)
    builder.store(builder.or_(builder.load(before, typ=_I32), _I32(_FLUSH)), within)
    modes = Rounding(before, within)
    modes.set(builder)
    return modes

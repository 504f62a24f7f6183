"""Graphs compiled to machine code through LLVM: target, runtime, mathematics, matrix products, emission."""

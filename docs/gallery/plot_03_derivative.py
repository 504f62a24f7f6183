"""
3 · Derivative
==============

f(x + ε) ≈ f(x) + ε f′(x): the derivative says what a small step does. So a derivative can be checked with small
steps, and ``cr.check_gradient`` does that for every argument, every operation, in both modes, and tells kinks from
errors.
"""

import numpy as np

import chainrule as cr


def f(x):
    return np.sum(np.tanh(x) * x**2)


x, slope = np.array([0.5, -1.0, 2.0]), cr.grad(f)(np.array([0.5, -1.0, 2.0]))
for epsilon in (1e-1, 1e-2, 1e-3, 1e-4):
    step = epsilon * np.array([1.0, 1.0, -1.0])
    print(f"ε = {epsilon:g}: f(x + ε) − f(x) − ε f′ = {f(x + step) - f(x) - slope @ step: .2e}")

# %%
# A step against the sign of the derivative goes down:

print(f(x), "→", f(x - 1e-3 * np.sign(slope)))

# %%
# The checker compares every element with extrapolated differences or complex steps:

print(cr.check_gradient(f, x))

# %%
# At a kink there is no derivative, and that is no error:

print(cr.check_gradient(lambda x: np.sum(np.maximum(x, 0.0)), np.array([1.0, 0.0])))

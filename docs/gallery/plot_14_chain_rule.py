"""
14 · The chain rule
===================

∇ₓz = (∂y/∂x)ᵀ ∇ᵧz. Reverse mode multiplies Jacobians from the left, forward mode from the right; neither forms them.
"""

import numpy as np

import chainrule as cr


def y_of_x(x):
    return np.stack([x[0] * x[1], np.sin(x[0]), x[1] ** 2])


def z_of_y(y):
    return y[0] * y[1] + y[2]


x = np.array([1.0, 2.0])
J = cr.jacobian(y_of_x)(x)
gradient_y = cr.grad(z_of_y)(y_of_x(x))
print("∂y/∂x =\n", J)
print("(∂y/∂x)ᵀ ∇ᵧz =", J.T @ gradient_y)
print("∇ₓz          =", cr.grad(lambda x: z_of_y(y_of_x(x)))(x))

# %%
# Vector-Jacobian and Jacobian-vector products, without the Jacobian:

value, pullback = cr.vjp(y_of_x, x)
print("reverse:", np.ravel(pullback(gradient_y)))
print("forward:", cr.jvp(y_of_x, (x,), (np.array([1.0, 0.0]),))[1], "= first column of the Jacobian")

# %%
# And again, and again: the derivative's graph can be differentiated like any other.

print("Hessian:\n", cr.hessian(lambda x: z_of_y(y_of_x(x)))(x))
print("Hessian times (1, −1):", cr.hvp(lambda x: z_of_y(y_of_x(x)), x, np.array([1.0, -1.0])))
f = np.sin
for order in range(5):
    print(f"order {order}: {float(f(0.3)): .6f}")
    f = cr.grad(f)

"""Derivatives of plain NumPy functions, by recording them as graphs and applying the chain rule to the graphs."""

from chainrule.calculus.backprop import Propagation, backpropagate
from chainrule.calculus.derivatives import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = [
    "Propagation",
    "backpropagate",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
]

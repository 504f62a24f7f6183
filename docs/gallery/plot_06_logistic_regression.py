"""
6 · Logistic regression by gradient descent
===========================================

The gradient of the negative log-likelihood is ∇J(θ) = −Σ (y − σ(θᵀx)) x. It need not be derived by hand: it comes out
of the graph. Here is the derivation, from the graph, factor by factor.
"""

import numpy as np

import chainrule as cr
from chainrule.show.paths import descend
from chainrule.show.surfaces import surface

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 2))
y = (rng.random(120) < 1.0 / (1.0 + np.exp(-X @ [2.0, -1.0]))).astype(float)

# %%
# **The sum.** J is a sum over rows, so its derivative is the sum of theirs. One row with target 1 is a chain of dot
# product, sigmoid and logarithm: z = θᵀx, p = σ(z), J = −log p.

x, theta = np.array([1.0, 2.0]), np.array([0.5, -0.5])


def one_row(theta):
    z = np.sum(theta * x)
    p = 1.0 / (1.0 + np.exp(-z))
    return -np.log(p)


cr.draw(one_row, theta, title="one row of class 1")

# %%
# **The chain rule.** What a node's change does to J is, summed over the nodes that read it, what the reader's change
# does, times the local derivative on the arrow. From J back to θ:

story = cr.draw(one_row, theta).story
names = story.graph.node_names
print("reader -> node     ∂J/∂reader  ×  local derivative  =  ∂J/∂node")
for arrow in story.arrows:
    if arrow.kind == "number":
        outer, local = story.gradient(arrow.target), story.numbers[arrow.local]
        ends = f"{names[arrow.target]} -> {names[arrow.source]}"
        print(f"{ends:<16} {outer:12.6f}  ×  {local:16.6f}  =  {story.numbers[arrow.share]:8.6f}")

# %%
# **The logarithm** gives ∂J/∂p = −1/p. **The sigmoid**, which the graph takes apart into negation, exponential, sum and
# quotient, gives ∂p/∂z = p (1 − p). **The dot product** gives ∂z/∂θ = x. Multiplied:
#
# ∂J/∂θ = −1/p · p (1 − p) · x = −(1 − p) x = −(y − σ(θᵀx)) x, with y = 1.

p = 1.0 / (1.0 + np.exp(-theta @ x))
print("-1/p · p(1-p) · x:", -1.0 / p * p * (1.0 - p) * x)
print("from the graph:   ", cr.grad(one_row)(theta))

# %%
# **All rows,** both classes, as one function (here the mean instead of the sum):


def nll(theta, X, y):
    p = 1.0 / (1.0 + np.exp(-(X @ theta)))
    return -np.mean(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))


print("by the formula:", -(y - 1.0 / (1.0 + np.exp(-X @ theta))) @ X / len(y))
print("from the graph:", cr.grad(nll)(theta, X, y))

# %%
# And downhill:

path = descend(nll, np.zeros(2), cr.GD(1.0), steps=40, data=(X, y), name="gradient descent, η = 1")
figure = surface(nll, paths=[path], data=(X, y))

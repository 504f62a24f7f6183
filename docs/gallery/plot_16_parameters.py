"""
16 · Parameter vectors and matrices
===================================

Optimisers see one flat vector θ; people see named arrays. The two are views of the same numbers.
"""

import numpy as np

import chainrule as cr

net = cr.Network([cr.Dense(4, "relu"), cr.Maxout(3, pieces=2)], output=cr.Gaussian())
layout = net.layout(n_inputs=2)
for piece, offset in zip(layout.pieces, layout.offsets, strict=True):
    print(f"{piece.name:<15} {piece.shape!s:<9} θ[{offset}:{offset + piece.size}]")

# %%
theta = net.initial(2, np.random.default_rng(0))
pieces = layout.unflatten(theta)
print(pieces["layer1.weight"])
assert (layout.flatten(pieces) == theta).all()

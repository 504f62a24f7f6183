"""
8 · Deep feed-forward network
=============================

A composition f⁽³⁾ ∘ f⁽²⁾ ∘ f⁽¹⁾ of layers. Any depth, any mix of units; the values of hidden layers can be read as
learned features φ(x).
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
X = rng.normal(size=(400, 2))
y = (np.hypot(*X.T) < 1.1).astype(int)

net = cr.FeedForwardClassifier((16, cr.Maxout(8, pieces=2), 2), activation=["tanh", "linear"], random_state=0)
net.fit(X, y)
print(f"accuracy {net.score(X, y):.3f}")
print(cr.summary(net.model_))

# %%
# The last hidden layer has two units: what the network has made of the plane. There the two classes can be parted by
# a line.

from chainrule.show.style import COLOURS, panels, styled  # noqa: E402

model = net.model_
network, member = model.network, model.members[0]
pieces = network.layout(model.inputs.n_features).unflatten(member.theta)
features = network.hidden(pieces, model.inputs.encode(model.inputs.arrays(X)))[-1]
with styled():
    figure, axes = panels(2, width=4.0, height=3.6)
    for ax, points, title in zip(axes, (X, features), ("inputs x", "learned features φ(x)"), strict=True):
        for k in (0, 1):
            ax.plot(
                *np.asarray(points)[y == k].T, "o", ms=4, color=COLOURS[k], mec="white", mew=0.4, label=f"class {k}"
            )
        ax.set_title(title)
    axes[1].legend()

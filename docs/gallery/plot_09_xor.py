"""
9 · XOR
=======

No linear model fits it. The network of the book does, exactly; and a small network learns it.
"""

import numpy as np

import chainrule as cr
from chainrule.show.predictions import draw_decision
from chainrule.show.style import panels, styled

corners, labels = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
W, c, w = np.array([[1.0, 1], [1, 1]]), np.array([0.0, -1]), np.array([1.0, -2])


def by_hand(x):
    return np.maximum(0.0, x @ W + c) @ w


linear = cr.LogisticRegression(l2=0.0).fit(corners, labels)
options = {"activation": "tanh", "learning_rate_init": 0.1, "max_iter": 300, "early_stopping": False, "random_state": 0}
learned = cr.FeedForwardClassifier((8,), **options).fit(corners, labels)
print("linear: ", linear.predict_proba(corners)[:, 1].round(3))
print("by hand:", by_hand(corners))
print("learned:", learned.predict_proba(corners)[:, 1].round(3))

with styled():
    figure, axes = panels(3, width=3.4, height=3.3)
    draw_decision(axes[0], lambda x: linear.predict_proba(x)[:, 1], corners, labels)
    draw_decision(axes[1], lambda x: np.clip(by_hand(x), 0.0, 1.0), corners, labels)
    draw_decision(axes[2], lambda x: learned.predict_proba(x)[:, 1], corners, labels)
    for ax, title in zip(axes, ("linear", "set by hand", "learned"), strict=True):
        ax.set_title(title)

# %%
# The network set by hand, step by step, with weights a little off so that there is something to learn:

cr.draw(
    lambda W, c, w: np.mean((np.maximum(0.0, corners @ W + c) @ w - labels) ** 2),
    W,
    c - 0.1,
    w,
    title="XOR, squared error",
)

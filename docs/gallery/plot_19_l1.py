"""
19 · L1 regularisation (lasso)
==============================

J + λ‖θ‖₁ has its minimum where some parameters are exactly zero. A path over λ, each fit started from the last,
shows them enter one by one.
"""

import numpy as np

import chainrule as cr
from chainrule.show.style import COLOURS, panels, styled

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 8))
truth = np.array([3.0, -2.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0])
y = X @ truth + rng.normal(size=150)


def squared_error(w, X, y):
    return 0.5 * np.mean((X @ w - y) ** 2)


strengths = np.geomspace(4.0, 0.01, 40)
point, path = np.zeros(8), []
for strength in strengths:
    point = cr.minimize(squared_error, point, data=(X, y), penalty=cr.L1(strength)).x
    path.append(point)
path = np.array(path)
print("not zero at λ = 0.3:", np.flatnonzero(path[np.argmin(np.abs(strengths - 0.3))]))

with styled():
    figure, (ax,) = panels(1, width=6.0, height=3.8)
    for k in range(8):
        label = f"w{k + 1}" if truth[k] else None
        ax.semilogx(strengths, path[:, k], color=COLOURS[k % 4] if truth[k] else "#c3ccd6", label=label)
    ax.invert_xaxis()
    ax.set_xlabel("λ, from strong to weak")
    ax.set_title("coefficients")
    ax.legend()

# %%
# The group form drops input columns of a network as a whole:

net = cr.FeedForwardRegressor((16,), group_l1=0.05, max_iter=200, random_state=0).fit(X, y)
print("norm of each column's weights:", np.linalg.norm(net.coefs_[0], axis=1).round(3))

"""
1 · Objective
=============

Learning is finding parameters θ that make an objective J(θ) small: minus a log density, minus a log conditional
density, or a squared error. ``cr.minimize`` takes any function that you can write in NumPy; maximising f is
minimising −f.
"""

import numpy as np

import chainrule as cr

rng = np.random.default_rng(0)
heights = 170.0 + 8.0 * rng.normal(size=500)

# %%
# The mean negative log density of a normal distribution, −log p(X; θ), as a function of its mean and the logarithm
# of its standard deviation:


def negative_log_density(theta, x):
    z = (x - theta["mean"]) / np.exp(theta["log_std"])
    return np.mean(0.5 * z**2 + theta["log_std"] + 0.5 * np.log(2.0 * np.pi))


result = cr.minimize(negative_log_density, {"mean": 150.0, "log_std": 1.0}, data=(heights,))
print(result)

# %%
# The minimum is where it should be: at the sample's mean and standard deviation.

print(f"{float(result.x['mean']):.6f} {np.exp(float(result.x['log_std'])):.6f}")
print(f"{heights.mean():.6f} {heights.std():.6f}")

# %%
# And to find a maximum, turn it upside down:

highest = cr.minimize(lambda t: -t * np.exp(-t), 0.2)
print(f"t exp(−t) is highest at t = {float(highest.x):.6f}, where it is {-highest.value:.6f}")

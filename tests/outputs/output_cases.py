"""Outputs to test, taken from the registry, with raw numbers and targets for each."""

import numpy as np
import pytest

from chainrule.outputs import OUTPUTS, Bernoulli, Categorical, Gaussian, GaussianMixture, Output, Quantile


def ready(output: Output) -> Output:
    """The output, told about the classes of its target where it needs that."""
    return output.for_target(4) if output.kind == "classes" else output


REGISTERED = [ready(cls()) for cls in OUTPUTS.values()]
VARIANTS = [
    Gaussian(variance="constant"),
    GaussianMixture(1),
    GaussianMixture(6),
    Quantile([0.3]),
    Quantile([0.1, 0.9]),
    Quantile([0.7, 0.8, 0.99]),
    Categorical(2),
]
SMOOTHED = [Bernoulli(label_smoothing=0.1), Categorical(3, label_smoothing=0.2)]


def cases(outputs: list[Output]) -> list:
    """Each output with one target, and with three where it takes several."""
    found = []
    for output in outputs:
        for t in (1,) if output.kind == "classes" else (1, 3):
            found.append(pytest.param(output, t, id=f"{output!r}-{t}"))
    return found


ALL = cases(REGISTERED + VARIANTS)
LIKELIHOODS = cases([o for o in REGISTERED + VARIANTS if o.likelihood])
ORDERED = cases([o for o in REGISTERED + VARIANTS if o.kind != "classes"])
SCALED = cases([o for o in REGISTERED + VARIANTS if o.scales_target])


def raw_of(output: Output, n: int, t: int, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    """Raw outputs at random."""
    return np.random.default_rng(seed).normal(scale=spread, size=(n, output.n_raw(t)))


def target_of(output: Output, n: int, t: int, seed: int = 1) -> np.ndarray:
    """A target of the kind the output takes, shape (n, t)."""
    rng = np.random.default_rng(seed)
    if output.kind == "binary":
        return rng.integers(2, size=(n, t)).astype(float)
    if output.kind == "classes":
        return rng.integers(output.n_raw(1), size=(n, t)).astype(float)
    if output.kind == "count":
        return rng.poisson(2.5, size=(n, t)).astype(float)
    return rng.normal(size=(n, t)) * [0.5, 1.0, 2.0][:t]


def like_batch(y: np.ndarray) -> np.ndarray:
    """Target columns in the batch's shape: (n,) for one, (n, t) for several."""
    return y[:, 0] if y.shape[1] == 1 else y

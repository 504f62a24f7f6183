"""Breiman's twonorm and ringnorm: test error of the default classifier, with standard error, beside the least possible.

    python -m benchmarks.norms [--protocol breiman|large] [--repeats 10]

Twenty inputs, two classes. Twonorm: normal of unit covariance about ±(a, …, a). Ringnorm: normal of covariance 4 about
0, and of unit covariance about (a, …, a). a = 2/√20, as the Delve collection describes both; the least possible errors
are then 2.28 % and 1.24 % (other descriptions of ringnorm have a = 1/√20, and 1.49 %). ``breiman`` (Breiman 1996,
"Bias, variance, and arcing classifiers"): 300 rows to train on, 3 000 to test. ``large``: 7 400 rows, the size of the
sets of these names in the Delve and KEEL collections, in ten folds; a repeat is a fold.
"""

from __future__ import annotations

import argparse

import numpy as np

import chainrule as cr

N_INPUTS = 20
MEAN = 2.0 / np.sqrt(N_INPUTS)
Data = tuple[np.ndarray, np.ndarray]


def twonorm(n: int, rng: np.random.Generator) -> Data:
    """Rows and classes."""
    y = rng.integers(2, size=n)
    return rng.standard_normal((n, N_INPUTS)) + np.where(y == 1, MEAN, -MEAN)[:, None], y


def ringnorm(n: int, rng: np.random.Generator) -> Data:
    """Rows and classes."""
    y = rng.integers(2, size=n)
    z = rng.standard_normal((n, N_INPUTS))
    return np.where(y[:, None] == 1, z + MEAN, 2.0 * z), y


def bayes(name: str, x: np.ndarray) -> np.ndarray:
    """The most probable class."""
    if name == "twonorm":
        return (x.sum(axis=1) > 0).astype(int)
    near = np.square(x - MEAN).sum(axis=1)
    return (near < np.square(x).sum(axis=1) / 4 + N_INPUTS * np.log(4.0)).astype(int)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=("breiman", "large"), default="breiman")
    parser.add_argument("--repeats", type=int, default=10)
    given = parser.parse_args()
    for name, make in (("twonorm", twonorm), ("ringnorm", ringnorm)):
        x, y = make(7400, np.random.default_rng(1996))
        errors, best = [], []
        for seed in range(given.repeats):
            if given.protocol == "breiman":
                rng = np.random.default_rng(seed)
                train, test = make(300, rng), make(3000, rng)
            else:
                held = np.arange(len(y)) % 10 == seed % 10
                train, test = (x[~held], y[~held]), (x[held], y[held])
            model = cr.FeedForwardClassifier(random_state=seed).fit(*train)
            errors.append(np.mean(model.predict(test[0]) != test[1]))
            best.append(np.mean(bayes(name, test[0]) != test[1]))
        spread = np.std(errors, ddof=min(1, len(errors) - 1)) / np.sqrt(len(errors))
        print(
            f"{name:9} {given.protocol:8} error {np.mean(errors):.2%} ± {spread:.2%}; "
            f"the most probable class on the same rows {np.mean(best):.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()

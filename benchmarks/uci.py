"""The published regression table: one default configuration on all sets, beside the published figures.

    python -m benchmarks.uci FOLDER [--sets concrete energy] [--splits 5] [--output gaussian] [--members 5]

FOLDER holds a folder per set: ``data.csv`` (header ``x0, …, y``) and ``test_rows.csv`` (line i: zero-based test rows
of split i, all others train). Hernández-Lobato & Adams (2015) made these splits; the data do not come along.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import chainrule as cr

#: mean test log-likelihood and RMSE as published, in the order of METHODS
PUBLISHED = {
    "concrete": ((-3.16, 5.67), (-3.04, 5.23), (-3.06, 6.03), (-3.04, 5.06)),
    "energy": ((-2.04, 1.80), (-1.99, 1.66), (-1.38, 2.09), (-0.60, 0.46)),
    "kin8nm": ((0.90, 0.10), (0.95, 0.10), (1.20, 0.09), (0.49, 0.16)),
    "power-plant": ((-2.84, 4.12), (-2.80, 4.02), (-2.79, 4.11), (-2.79, 3.79)),
    "wine-quality-red": ((-0.97, 0.64), (-0.93, 0.62), (-0.94, 0.64), (-0.91, 0.63)),
}
METHODS = "PBP", "MC dropout", "Deep Ensembles", "NGBoost"


def splits(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of each split, features and then the target."""
    table = np.loadtxt(folder / "data.csv", delimiter=",", skiprows=1, ndmin=2)
    for line in (folder / "test_rows.csv").read_text().splitlines():
        test = np.array(line.replace(",", " ").split(), int)
        yield np.delete(table, test, axis=0), table[test]


def score(train: np.ndarray, test: np.ndarray, seed: int, **options: object) -> tuple[float, float, float, float]:
    """Test log-likelihood, RMSE and coverage of the 90 % interval; CPU seconds of the fit."""
    start = time.process_time()
    model = cr.FeedForwardRegressor(random_state=seed, **options).fit(train[:, :-1], train[:, -1])
    seconds = time.process_time() - start
    y = test[:, -1]
    predicted = model.predict_dist(test[:, :-1])
    low, high = predicted.interval(0.9).T
    rmse = np.sqrt(np.mean(np.square(predicted.mean() - y)))
    return float(predicted.logpdf(y).mean()), float(rmse), float(np.mean((low <= y) & (y <= high))), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", help="folders to use; all by default")
    parser.add_argument("--splits", type=int, help="only the first so many splits")
    parser.add_argument("--output", help="output of FeedForwardRegressor; its default if not given")
    parser.add_argument("--members", type=int, help="n_members of FeedForwardRegressor; its default if not given")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")
    names = given.sets or sorted(p.name for p in given.folder.iterdir() if (p / "test_rows.csv").is_file())
    options = {"output": given.output, "n_members": given.members}
    options = {key: value for key, value in options.items() if value is not None}
    print(f"FeedForwardRegressor({', '.join(f'{k}={v!r}' for k, v in options.items())}), mean ± standard error")
    print(f"{'set':18}{'splits':>7}{'log-likelihood':>18}{'RMSE':>18}{'90 % covers':>13}{'CPU s/fit':>11}   published")
    for name in names:
        scores = []
        for seed, (train, test) in enumerate(splits(given.folder / name)):
            if given.splits is not None and seed >= given.splits:
                break
            scores.append(score(train, test, seed, **options))
        mean = np.mean(scores, axis=0)
        error = np.std(scores, axis=0, ddof=min(1, len(scores) - 1)) / np.sqrt(len(scores))
        published = zip(METHODS, PUBLISHED.get(name, ()), strict=False)
        known = ", ".join(f"{who} {ll:.2f} / {r:.2f}" for who, (ll, r) in published)
        print(
            f"{name:18}{len(scores):7}{mean[0]:10.3f} ± {error[0]:.3f}{mean[1]:10.4f} ± {error[1]:.4f}"
            f"{mean[2]:12.1%}{mean[3]:11.1f}   {known}",
            flush=True,
        )


if __name__ == "__main__":
    main()

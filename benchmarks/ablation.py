"""What each default earns: the regressor with one of them changed, beside all of them as they are.

    python -m benchmarks.ablation [FOLDER] [--sets diabetes wine-quality-red] [--folds 2] [--rows 1500] [--only "gelu"]
    python -m benchmarks.ablation [FOLDER] --twins

Training rows only: tables inside packages (`benchmarks.table_sets`) and, of each set in FOLDER (laid out as for
`benchmarks.uci`), the training rows of the first split; of those some fifths are held out, the same for all.
Differences to the defaults are means over the sets, ± their standard error. ``--twins`` tells rows that have one with
the same inputs among those trained on from those that have none, and how well trees that remember do on both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.table_sets import load
from benchmarks.uci import splits
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import KFold

import chainrule as cr

#: of those inside packages, the ones on whose rows defaults were chosen
SETS = ("diabetes", "boston", "auto", "hitters", "college", "wage", "bike")
VARIANTS: dict[str, dict[str, Any]] = {
    "one layer of 64": {"hidden_layer_sizes": (64,)},
    "three layers of 64": {"hidden_layer_sizes": (64, 64, 64)},
    "two layers of 128": {"hidden_layer_sizes": (128, 128)},
    "relu": {"activation": "relu"},
    "gelu": {"activation": "gelu"},
    "tanh": {"activation": "tanh"},
    "dropout 0.1": {"hidden_layer_sizes": (64, cr.Dropout(0.1), 64, cr.Dropout(0.1))},
    "no embedding": {"embedding": "none"},
    "always the embedding": {"embedding": "piecewise"},
    "Adam 0.0015": {"learning_rate_init": 1.5e-3},
    "Adam 0.006": {"learning_rate_init": 6e-3},
    "batches of 32": {"batch_size": 32},
    "10 epochs of patience": {"n_iter_no_change": 10},
    "40 epochs of patience": {"n_iter_no_change": 40},
    "a fifth held out": {"validation_fraction": 0.2},
    "no l2": {"l2": 0.0},
    "l2 = 0.001": {"l2": 1e-3},
    "1 member": {"n_members": 1},
    "10 members": {"n_members": 10},
    "one variance for all rows": {"output": cr.Gaussian(variance="constant")},
    "mixture of 3 normals": {"output": "mixture"},
    "Student-t": {"output": "student_t"},
    'output="auto"': {"output": "auto"},
}
MEASURES = "log-likelihood", "RMSE", "CRPS", "90 % covers", "CPU s"
Fold = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def tables(folder: Path | None, names: list[str] | None) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, inputs and target of each set."""
    held = [] if folder is None else sorted(p.name for p in folder.iterdir() if (p / "test_rows.csv").is_file())
    for name in names or (*SETS, *held):
        if folder is not None and name in held:
            train, _ = next(splits(folder / name))
            yield name, train[:, :-1], train[:, -1]
        else:
            yield name, *load(name)


def folds(x: np.ndarray, y: np.ndarray, count: int, most: int) -> list[Fold]:
    """Inputs and targets to train on, then those held out: the first so many fifths of at most so many rows."""
    rows = np.random.default_rng(0).permutation(len(y))[:most]
    parts = KFold(5, shuffle=True, random_state=0).split(rows)
    return [(x[rows[a]], y[rows[a]], x[rows[b]], y[rows[b]]) for a, b in parts][:count]


def scores(fold: Fold, seed: int, options: Mapping[str, Any]) -> np.ndarray:
    """`MEASURES` of one fit; RMSE and CRPS in units of the held-out targets' standard deviation."""
    x, y, x_test, y_test = fold
    start = time.process_time()
    model = cr.FeedForwardRegressor(random_state=seed, **options).fit(x, y)
    seconds = time.process_time() - start
    predicted = model.predict_dist(x_test)
    low, high = predicted.interval(0.9).T
    rmse = np.sqrt(np.mean(np.square(predicted.mean() - y_test)))
    return np.array(
        [
            np.mean(predicted.logpdf(y_test)),
            rmse / y_test.std(),
            np.mean(predicted.crps(y_test)) / y_test.std(),
            np.mean((low <= y_test) & (y_test <= high)),
            seconds,
        ]
    )


def difference(found: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Of two arrays sets × measures: likelihoods and coverages by subtraction, errors and times as shares."""
    return np.where([True, False, False, True, False], found - base, found / base - 1.0)


def line(name: str, rows: np.ndarray) -> str:
    """A variant's differences, one row per set: mean ± standard error; of the time the mean factor."""
    mean, *shares, seconds = rows.mean(axis=0)
    words = [f"{mean:+.3f}", *(f"{100 * share:+.1f}" for share in shares)]
    if len(rows) > 1:
        error = rows.std(axis=0, ddof=1) / np.sqrt(len(rows)) * (1, 100, 100, 100, 1)
        digits = (3, 1, 1, 1)
        words = [f"{word} ± {e:.{d}f}" for word, e, d in zip(words, error, digits, strict=False)]
    words[1:] = [f"{word} %" for word in words[1:]]
    return f"{name:28}" + "".join(f"{word:>18}" for word in words) + f"{f'× {1 + seconds:.2f}':>9}"


def twins(x: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Which rows held out have inputs that a row trained on has, too."""
    known = {row.tobytes() for row in np.ascontiguousarray(x, float)}
    return np.array([row.tobytes() in known for row in np.ascontiguousarray(x_test, float)])


def print_twins(folder: Path | None, names: list[str] | None, count: int, most: int) -> None:
    print(f"{'RMSE in units of σ':18}{'rows with a twin':>18}{'':16}{'all':>8}{'without':>9}{'with':>8}")
    for name, x, y in tables(folder, names):
        parts = folds(x, y, count, most)
        again = np.concatenate([twins(a, c) for a, _, c, _ in parts])
        for who, model in (
            ("ExtraTrees", ExtraTreesRegressor(200, random_state=0)),
            ("defaults", cr.FeedForwardRegressor(random_state=0)),
        ):
            apart = np.concatenate([(model.fit(a, b).predict(c) - d) / d.std() for a, b, c, d in parts])
            groups = (apart, apart[~again], apart[again])
            words = [f"{np.sqrt(np.mean(np.square(g))):.3f}" if len(g) else "–" for g in groups]
            share = f"{again.mean():.1%}" if who == "ExtraTrees" else ""
            title = name if who == "ExtraTrees" else ""
            print(f"{title:18}{share:>18}  {who:14}{words[0]:>8}{words[1]:>9}{words[2]:>8}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="the published table's sets; left out if not given")
    parser.add_argument("--sets", nargs="+", help="sets to use; by default those that defaults were chosen on")
    parser.add_argument("--folds", type=int, default=2, help="fifths to hold out in turn, at most 5")
    parser.add_argument("--rows", type=int, default=1500, help="use at most so many rows of each set")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), metavar="NAME", help="variants to try")
    parser.add_argument("--each", action="store_true", help="print every set's scores, not only the means")
    parser.add_argument("--twins", action="store_true", help="rows that are there twice, instead of variants")
    given = parser.parse_args()
    if given.folder is not None and not given.folder.is_dir():
        parser.error(f"{given.folder} is not a folder")
    if given.twins:
        print_twins(given.folder, given.sets, given.folds, given.rows)
        return
    held = [(name, folds(x, y, given.folds, given.rows)) for name, x, y in tables(given.folder, given.sets)]

    def measured(options: Mapping[str, Any]) -> np.ndarray:
        for _, parts in held:  # what is compiled for the first time counts for nobody
            cr.FeedForwardRegressor(random_state=0, **options, max_iter=1).fit(*parts[0][:2])
        return np.array([np.mean([scores(f, k, options) for k, f in enumerate(parts)], axis=0) for _, parts in held])

    base = measured({})
    print(f"FeedForwardRegressor(), {given.folds} fifths of {len(held)} sets")
    print(f"{'set':20}" + "".join(f"{m:>16}" for m in MEASURES))
    for (name, _), row in zip(held, base, strict=True):
        print(f"{name:20}" + "".join(f"{v:16.3f}" for v in row))
    print(
        f"\n{'instead of the default':28}{MEASURES[0]:>18}" + "".join(f"{m:>18}" for m in MEASURES[1:4]) + f"{'CPU':>9}"
    )
    for name in given.only or VARIANTS:
        found = measured(VARIANTS[name])
        print(line(name, difference(found, base)), flush=True)
        for (which, _), row in zip(held if given.each else (), difference(found, base), strict=False):
            print(line(f"  {which}", row[None, :]))


if __name__ == "__main__":
    main()

"""Tables that come inside packages: the defaults beside trees, scikit-learn's network and a linear model.

    python -m benchmarks.tables classification [--sets iris magic] [--rows 4000] [--folds 3] [--picture FILE.png]
    python -m benchmarks.tables regression     [--sets diabetes auto] …

Everybody gets the same numbers (words as columns of 0 and 1, see `benchmarks.table_sets`) and the same folds, with
default settings; scikit-learn's network and the linear models on standardised columns, and the networks' regression
target standardised too. Means over folds of accuracy and log-loss, or of RMSE and CRPS in units of the target's
standard deviation; CPU seconds of a fit; then average ranks. A peer that predicts a number is given a normal
distribution whose width is that of its residuals in five-fold cross-validation of the training rows (the time for
that is not counted).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.table_sets import CLASSIFICATION, REGRESSION, load
from scipy.stats import rankdata
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.outputs.normal import Normal

Scores = tuple[float, float, float]
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "chainrule": lambda: cr.FeedForwardClassifier(random_state=0),
    "trees": lambda: HistGradientBoostingClassifier(random_state=0),
    "sklearn MLP": lambda: make_pipeline(StandardScaler(), MLPClassifier(random_state=0)),
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "chainrule": lambda: cr.FeedForwardRegressor(random_state=0),
    "trees": lambda: HistGradientBoostingRegressor(random_state=0),
    "sklearn MLP": lambda: TransformedTargetRegressor(
        make_pipeline(StandardScaler(), MLPRegressor(random_state=0)), transformer=StandardScaler()
    ),
    "linear": lambda: make_pipeline(StandardScaler(), LinearRegression()),
}


def timed(model: Any, X: np.ndarray, y: np.ndarray) -> tuple[Any, float]:
    """The fitted model, and the CPU seconds that took (of all threads)."""
    start = time.process_time()
    return model.fit(X, y), time.process_time() - start


def score_classifier(make: Callable[[], Any], X: np.ndarray, y: np.ndarray, X_test: Any, y_test: Any) -> Scores:
    """Error rate, log-loss and CPU seconds."""
    model, seconds = timed(make(), X, y)
    p = np.clip(model.predict_proba(X_test), 1e-15, None)
    p /= p.sum(axis=1, keepdims=True)
    error = np.mean(model.classes_[p.argmax(axis=1)] != y_test)
    return float(error), float(log_loss(y_test, p, labels=model.classes_)), seconds


def score_regressor(make: Callable[[], Any], X: np.ndarray, y: np.ndarray, X_test: Any, y_test: Any) -> Scores:
    """RMSE and CRPS in units of the target's standard deviation, and CPU seconds."""
    model, seconds = timed(make(), X, y)
    if isinstance(model, cr.FeedForwardRegressor):
        predicted = model.predict_dist(X_test)
    else:
        apart = y - cross_val_predict(make(), X, y, cv=KFold(5, shuffle=True, random_state=0))
        mean = model.predict(X_test)
        predicted = Normal(mean, np.full(len(mean), np.sqrt(np.mean(np.square(apart)))))
    rmse = np.sqrt(np.mean(np.square(predicted.mean() - y_test)))
    return float(rmse / y.std()), float(predicted.crps(y_test).mean() / y.std()), seconds


def draw(path: Path, names: list[str], models: list[str], table: np.ndarray, measures: tuple[str, str, str]) -> None:
    """One row per set, one panel per measure: less is better in all of them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    figure, panels = plt.subplots(1, 3, figsize=(11, 0.32 * len(names) + 1.4), sharey=True, layout="constrained")
    places = np.arange(len(names))[::-1]
    for k, (panel, measure) in enumerate(zip(panels, measures, strict=True)):
        for j, (model, marker) in enumerate(zip(models, "oDs^", strict=True)):
            values = np.maximum(table[:, j, k], 1e-3)
            panel.plot(values, places, marker, label=model, ms=7 if j == 0 else 5, alpha=0.9, zorder=3 - 0.1 * j)
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if k < 2 else (1.0,)))
        panel.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(measure, fontsize=10)
        panel.grid(alpha=0.3)
        panel.set_yticks(places, names)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models), frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("classification", "regression"))
    parser.add_argument("--sets", nargs="+", help="all of the task's by default")
    parser.add_argument("--rows", type=int, default=4000, help="use so many rows at most, drawn at random")
    parser.add_argument("--folds", type=int, default=3, help="evaluate so many of five folds")
    parser.add_argument("--picture", type=Path, help="draw the table into this file")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    classify = given.task == "classification"
    models, score, Folds = (
        (CLASSIFIERS, score_classifier, StratifiedKFold) if classify else (REGRESSORS, score_regressor, KFold)
    )
    names = given.sets or list(CLASSIFICATION if classify else REGRESSION)
    measures = ("error rate", "log-loss", "CPU seconds") if classify else ("RMSE / σ", "CRPS / σ", "CPU seconds")
    table = []
    print(f"{'set':14}{'rows':>6}" + "".join(f"{name:>26}" for name in models))
    for name in names:
        X, y = load(name)
        some = np.random.default_rng(0).permutation(len(y))[: given.rows]
        X, y = X[some], y[some]
        folds = list(Folds(5, shuffle=True, random_state=0).split(X, y))[: given.folds]
        table.append(
            [
                np.mean([score(make, X[train], y[train], X[test], y[test]) for train, test in folds], axis=0)
                for make in models.values()
            ]
        )
        cells = (f"{1 - a if classify else a:.4f} / {b:.4f} / {s:.1f} s" for a, b, s in table[-1])
        print(f"{name:14}{len(y):6}" + "".join(f"{cell:>26}" for cell in cells), flush=True)
    ranks = np.mean([rankdata(np.array(row), axis=0) for row in table], axis=0)
    cells = (f"{a:.2f} / {b:.2f} / {c:.2f}" for a, b, c in ranks)
    print(f"{'average rank':20}" + "".join(f"{cell:>26}" for cell in cells))
    print(f"({'accuracy' if classify else measures[0]} / {measures[1]} / CPU seconds of a fit)")
    if given.picture is not None:
        draw(given.picture, names, list(models), np.array(table), measures)


if __name__ == "__main__":
    main()

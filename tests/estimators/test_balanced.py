"""Balanced classes count weights, not rows."""

import numpy as np

import chainrule as cr


def test_balanced_weights_are_those_of_repeated_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    y = (x[:, 0] + rng.normal(size=120) > 0.5).astype(int)
    w = np.where(y == 1, 4, rng.integers(0, 2, 120))
    weighted = cr.LogisticRegression(class_weight="balanced").fit(x, y, sample_weight=w)
    rows = np.repeat(np.arange(120), w)
    repeated = cr.LogisticRegression(class_weight="balanced").fit(x[rows], y[rows])
    np.testing.assert_allclose(weighted.predict_proba(x), repeated.predict_proba(x), atol=1e-8)

"""A plain matrix of numbers is taken as it is when predicting; all else goes through scikit-learn's checks."""

import numpy as np
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

import chainrule as cr
from chainrule.estimators import base

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def fitted():
    return cr.FeedForwardClassifier((4,), max_iter=2, random_state=0).fit(X, Y)


@pytest.fixture
def checked(monkeypatch):
    calls = []
    check = base.validate_data
    monkeypatch.setattr(base, "validate_data", lambda *a, **k: (calls.append(1), check(*a, **k))[1])
    return calls


def test_plain_matrices_are_taken_as_they_are(fitted, checked):
    expected = fitted.predict_proba(X.tolist())
    assert checked
    checked.clear()
    assert fitted.predict_proba(X).tobytes() == expected.tobytes()
    narrow = X.astype(np.float32)
    np.testing.assert_allclose(fitted.predict_proba(narrow), expected, atol=1e-6)
    assert not checked


@pytest.mark.parametrize("other", [X.copy("F"), np.round(X).astype(int), np.vstack([X, X])[::2]])
def test_all_else_is_checked(fitted, checked, other):
    rows = np.array(other, np.float64, order="C")
    assert fitted.predict_proba(other).tobytes() == fitted.predict_proba(rows).tobytes()
    assert len(checked) == 1


def test_what_is_refused_stays_refused(fitted):
    gap = X.copy()
    gap[3, 1] = np.nan
    assert np.isfinite(fitted.predict_proba(gap)).all()
    gap[3, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        fitted.predict_proba(gap)
    with pytest.raises(ValueError, match="2 features"):
        fitted.predict_proba(X[:, :2].copy())
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        fitted.predict_proba(X[:0])
    with pytest.raises(NotFittedError):
        cr.FeedForwardClassifier().predict(X)
    huge = np.full((2, 3), 1e200)  # finite, though its square is not
    assert np.isfinite(fitted.predict_proba(huge)).all()


def test_names_are_asked_for_where_there_are_some():
    named = cr.FeedForwardClassifier((4,), max_iter=2).fit(pl.DataFrame(X, schema=["a", "b", "c"]), Y)
    with pytest.warns(UserWarning, match="feature names"):
        named.predict(X)


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array, sparse.lil_matrix])
def test_sparse_matrices_are_made_dense(fitted, kind):
    few = X * (X > 0.5)
    dense = cr.FeedForwardClassifier((4,), max_iter=2, random_state=0).fit(few, Y)
    other = cr.FeedForwardClassifier((4,), max_iter=2, random_state=0).fit(kind(few), Y)
    np.testing.assert_array_equal(other.predict_proba(kind(few)), dense.predict_proba(few))
    search = cr.SearchCV(cr.LogisticRegression(), {"l1": [1e-3, 1e-2]}, cv=3)
    assert search.fit(kind(few), Y).best_score_ == search.fit(few, Y).best_score_
    with pytest.raises(ValueError, match="2 features"):
        fitted.predict_proba(kind(few[:, :2]))


def test_sparse_matrices_larger_than_memory_are_refused():
    with pytest.raises(cr.errors.OutOfMemoryError, match=r"X, made dense, of shape \(60, 1000000000000\) takes"):
        cr.LogisticRegression().fit(sparse.csr_matrix((60, 10**12)), Y)

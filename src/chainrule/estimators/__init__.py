"""scikit-learn estimators; the only place that imports scikit-learn."""

from chainrule.estimators.classifier import FeedForwardClassifier
from chainrule.estimators.files import load
from chainrule.estimators.linear import LinearRegression, LogisticRegression
from chainrule.estimators.regressor import FeedForwardRegressor

__all__ = ["FeedForwardClassifier", "FeedForwardRegressor", "LinearRegression", "LogisticRegression", "load"]

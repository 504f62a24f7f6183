"""From a model file to a fitted estimator."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from chainrule.errors import ModelFileError
from chainrule.estimators.base import FeedForwardEstimator
from chainrule.estimators.classifier import FeedForwardClassifier
from chainrule.estimators.linear import LinearRegression, LogisticRegression
from chainrule.estimators.regressor import FeedForwardRegressor
from chainrule.models.model import Model, load_model

_KINDS: dict[str, type[FeedForwardEstimator]] = {
    kind.__name__: kind for kind in (FeedForwardClassifier, FeedForwardRegressor, LinearRegression, LogisticRegression)
}


def load(path: str | os.PathLike[str]) -> Any:
    """Load a model file, written by ``estimator.save`` or by ``chainrule fit``, as a fitted estimator.

    No code of the file is run; it holds data only.

    Parameters
    ----------
    path : path

    Returns
    -------
    FeedForwardClassifier, FeedForwardRegressor, LinearRegression or LogisticRegression
        Ready to predict.

    Raises
    ------
    ModelFileError
        In one line: what is wrong with which file.
    """
    return estimator_of(load_model(path))


def estimator_of(model: Model) -> FeedForwardEstimator:
    """A fitted estimator around a model."""
    default = "FeedForwardRegressor" if model.target.task == "numeric" else "FeedForwardClassifier"
    kind = _KINDS.get(str(model.facts.get("estimator")), _KINDS[default])
    estimator = kind()
    if "network" in kind._get_param_names():
        dtype = model.members[0].theta.dtype.name
        estimator.set_params(network=model.network, n_members=len(model.members), dtype=dtype)
    estimator.model_ = model
    seen = model.facts.get("columns") or model.inputs.columns  # also those that could not be used
    if not set(model.inputs.columns) <= set(seen):
        raise ModelFileError(f"{model.source}: the columns that were seen lack one that is used")
    estimator.n_features_in_ = len(seen)
    if model.inputs.named:
        estimator.feature_names_in_ = np.asarray(seen, dtype=object)
        estimator._ignores_others = "estimator" not in model.facts
    if model.target.task != "numeric":
        several = len(model.target.names) > 1
        estimator._multilabel = several
        estimator.classes_ = np.arange(len(model.target.names)) if several else np.asarray(model.target.classes[0])
    else:
        estimator._one_dimensional = len(model.target.names) == 1
    estimator._show()
    return estimator

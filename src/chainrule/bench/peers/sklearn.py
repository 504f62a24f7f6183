"""scikit-learn: `MLPClassifier.partial_fit`, which runs one epoch."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from chainrule.bench.cases import LEARNING_RATE, Problem, Weights
from chainrule.bench.race import Contender, SoftmaxContender


class SklearnMLP(SoftmaxContender):
    peer = "scikit-learn"
    name = "scikit-learn MLPClassifier"

    def __init__(self, problem: Problem) -> None:
        case = problem.case
        self._x, self._y = problem.x, problem.y
        self._classes = np.arange(case.layers[-1])
        make: Any = import_module("sklearn.neural_network").MLPClassifier
        self._model = make(
            case.layers[1:-1],
            alpha=0.0,
            batch_size=case.batch_size,
            learning_rate_init=LEARNING_RATE,
            random_state=0,
        )
        # weights can only be given to a model that has some: one step, then the common start in their place
        one = slice(0, case.batch_size)
        self._model.partial_fit(self._x[one], self._y[one], classes=self._classes)
        if case.layers[-1] > 2:  # two classes: one logistic output, which has other weights than a softmax
            for mine, given in zip(self._parameters(), problem.weights(), strict=True):
                for array, value in zip(mine, given, strict=True):
                    array[...] = value

    def _parameters(self) -> Weights:
        return list(zip(self._model.coefs_, self._model.intercepts_, strict=True))

    def epoch(self) -> None:
        self._model.partial_fit(self._x, self._y)

    def weights(self) -> Weights:
        *hidden, (w, b) = self._parameters()
        if w.shape[1] == 1:  # a logistic output is a softmax whose first logit is zero
            w, b = np.hstack([np.zeros_like(w), w]), np.concatenate([np.zeros_like(b), b])
        return [*hidden, (w, b)]


def contenders(problem: Problem) -> list[Contender]:
    return [SklearnMLP(problem)]

"""chainrule's own contender: the training loop that every estimator uses."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.bench.cases import LEARNING_RATE, Case, Problem, Weights
from chainrule.bench.race import Contender, SoftmaxContender
from chainrule.learn.optimizers import Adam
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.networks import Network
from chainrule.outputs import Categorical


class Ours(SoftmaxContender):
    """`chainrule.learn.training.Training` on a problem."""

    peer = "chainrule"
    name = "chainrule"

    def __init__(self, problem: Problem) -> None:
        case = problem.case
        theta = np.concatenate([part.ravel() for pair in problem.weights() for part in pair])
        self.training = Training(softmax_network(case), Rows.of(problem.x, problem.y), options(case), theta=theta)

    def epoch(self) -> None:
        self.training.run_epoch()

    def weights(self) -> Weights:
        pieces = list(self.training.layout.unflatten(self.training.theta).values())
        return list(zip(pieces[::2], pieces[1::2], strict=True))


class Variant(Contender):
    """Any network, loss and target, from its own first weights; there is no peer to compare its loss with."""

    peer = "chainrule"

    def __init__(self, name: str, network: Network, rows: Rows, case: Case, loss: Any = None) -> None:
        self.name = name
        self.training = Training(network, rows, options(case, loss))

    def epoch(self) -> None:
        self.training.run_epoch()

    def loss(self, problem: Problem) -> float:
        return self.training.curves.training[-1]


def softmax_network(case: Case) -> Network:
    """Dense ReLU layers under a softmax."""
    return Network(case.layers[1:-1], Categorical(case.layers[-1]))


def options(case: Case, loss: Any = None) -> Options:
    """Adam on shuffled mini-batches, float32, whatever runs fastest here."""
    return Options(optimizer=Adam(LEARNING_RATE), batch_size=case.batch_size, loss=loss)

"""PyTorch on the CPU: the eager loop of its tutorials, with Adam as it comes and fused, on one and two threads."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chainrule.bench.cases import LEARNING_RATE, Problem, Weights
from chainrule.bench.race import Contender, SoftmaxContender


class TorchEager(SoftmaxContender):
    peer = "PyTorch"

    def __init__(self, problem: Problem, fused: bool, threads: int) -> None:
        self.name = f"PyTorch {'fused Adam' if fused else 'eager'}, {threads} thread{'s' * (threads > 1)}"
        torch = self._torch = self._lib()
        self._threads, self._batch = threads, problem.case.batch_size
        self._x, self._y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        layers: list[Any] = []
        for w, b in problem.weights():
            linear = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T.copy()))
                linear.bias.copy_(torch.from_numpy(b))
            layers += [linear, torch.nn.ReLU()]
        self._model = torch.nn.Sequential(*layers[:-1])
        self._adam = torch.optim.Adam(self._model.parameters(), lr=LEARNING_RATE, fused=fused or None)
        self._loss = torch.nn.CrossEntropyLoss()

    @staticmethod
    def _lib() -> Any:
        return import_module("torch")

    def epoch(self) -> None:
        torch = self._torch
        torch.set_num_threads(self._threads)
        order = torch.randperm(len(self._x))
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            self._adam.zero_grad()
            self._loss(self._model(self._x[rows]), self._y[rows]).backward()
            self._adam.step()

    def weights(self) -> Weights:
        return [
            (m.weight.detach().numpy().T, m.bias.detach().numpy())
            for m in self._model
            if isinstance(m, self._torch.nn.Linear)
        ]


def contenders(problem: Problem) -> list[Contender]:
    return [TorchEager(problem, fused, threads) for fused in (False, True) for threads in (1, 2)]

"""scikit-learn's callbacks (1.9 and later), where it has them: a fit as a tree of tasks, fit → training → epoch."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from chainrule.learn.training import Training

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9: nobody can set any

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """No callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """The method as it is."""
        return method


class FitTasks:
    """Tells an estimator's callbacks of its trainings and their epochs.

    A callback that returns true at the end of an epoch ends that training, whose best epoch is kept.

    Parameters
    ----------
    estimator : estimator
        Inside a method decorated with `with_callbacks`.
    data : dict
        ``X``, ``y`` and ``metadata`` as callbacks get them.
    attributes : callable
        From a training to the attributes that make a copy of the estimator predict as if it had ended there.
    """

    def __init__(self, estimator: Any, data: dict[str, Any], attributes: Callable[[Training], dict[str, Any]]) -> None:
        self._about = {"estimator": estimator, **data}
        self._attributes = attributes
        self._fit = estimator._init_callback_context(max_subtasks=None)
        self._fit.call_on_fit_task_begin(**self._about)
        self._open: dict[int, tuple[Training, Any]] = {}
        self._lock = Lock()  # trainings may run side by side

    def epoch(self, training: Training) -> bool:
        """An epoch has ended; whether the training is to end with it."""
        with self._lock:
            if id(training) not in self._open:
                task = self._fit.subcontext(task_name="training", max_subtasks=training.options.max_epochs)
                task.call_on_fit_task_begin(**self._about)
                self._open[id(training)] = training, task
            epoch = self._open[id(training)][1].subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(**self._about)
            return bool(epoch.call_on_fit_task_end(**self._about, reconstruction_attributes=self._lazy(training)))

    def end(self) -> None:
        """The fit has ended."""
        for training, task in self._open.values():
            task.call_on_fit_task_end(**self._about, reconstruction_attributes=self._lazy(training))
        self._fit.call_on_fit_task_end(**self._about, reconstruction_attributes={})

    def _lazy(self, training: Training) -> Callable[[], dict[str, Any]]:
        return lambda: self._attributes(training)


__all__ = ["CallbackSupportMixin", "FitTasks", "with_callbacks"]

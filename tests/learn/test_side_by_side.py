import signal
import threading
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DivergenceError
from chainrule.learn.side_by_side import go_on, side_by_side


def _forever(started: list[threading.Event], k: int) -> None:
    started[k].set()
    while True:
        time.sleep(0.001)
        go_on()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_are_in_order_and_jobs_see_the_callers_settings(workers):
    with np.errstate(divide="raise"):
        found = side_by_side(lambda k: (k * k, np.geterr()["divide"]), range(20), workers, "test")
    assert found == [(k * k, "raise") for k in range(20)]


def test_one_failure_ends_the_other_jobs_and_those_that_wait_do_not_begin():
    started = [threading.Event() for _ in range(9)]

    def job(k: int) -> None:
        if k:
            _forever(started, k)
        started[1].wait()
        raise DivergenceError("the first")

    with pytest.raises(DivergenceError, match="the first"):
        side_by_side(job, range(9), 2, "test")
    assert sum(each.is_set() for each in started) <= 2


def test_jobs_inside_jobs_end_with_the_outer_ones():
    started = [threading.Event() for _ in range(3)]

    def outer(k: int) -> list[None]:
        if k == 0:
            for each in started[:2]:
                each.wait()
            raise DivergenceError("outer")
        return side_by_side(lambda j: _forever(started, j), range(2), 2, "inner")

    with pytest.raises(DivergenceError, match="outer"):
        side_by_side(outer, range(2), 2, "test")
    go_on()  # nobody asked this thread


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals to threads")
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_ctrl_c_is_heeded_while_members_train_side_by_side(optimizer):
    X = np.random.default_rng(0).normal(size=(4000, 8))
    model = cr.FeedForwardRegressor(
        (64, 64), n_members=3, n_jobs=2, max_iter=10**6, n_iter_no_change=10**6, early_stopping=False,
        random_state=0, optimizer=optimizer, tol=0.0,
    )  # fmt: skip
    before = threading.active_count()
    main = threading.main_thread().ident

    def interrupt() -> None:
        while threading.active_count() < before + 3:  # this thread, and two that train
            time.sleep(0.01)
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)

    watch = threading.Thread(target=interrupt, daemon=True)
    watch.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, X[:, 0] * X[:, 1])
    watch.join()
    assert threading.active_count() == before

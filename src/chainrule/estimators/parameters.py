"""Parameters of the estimators, checked by name before anything is done with them."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from chainrule.errors import OptionError
from chainrule.learn.optimizers import Optimizer
from chainrule.models.calibrate import METHODS
from chainrule.networks import Network

#: name, least value, whether it must be whole
_NUMBERS = (
    ("max_iter", 1, True),
    ("n_iter_no_change", 1, True),
    ("tol", 0, False),
    ("l1", 0, False),
    ("l2", 0, False),
    ("group_l1", 0, False),
    ("n_members", 1, True),
    ("n_starts", 1, True),
)


def check_parameters(setting: Callable[[str], Any]) -> None:
    """Refuse what makes no sense whatever the data.

    Parameters
    ----------
    setting : callable
        The value of a parameter by its name.

    Raises
    ------
    OptionError
        Naming the parameter.
    """
    for name, low, whole in _NUMBERS:
        check_number(name, setting(name), low, whole)
    if setting("batch_size") != "auto":
        check_number("batch_size", setting("batch_size"), 1, True)
    if not isinstance(setting("optimizer"), Optimizer):
        rate = setting("learning_rate_init")
        check_number("learning_rate_init", rate, 0, False)
        if not rate > 0:
            raise OptionError("learning_rate_init must be larger than 0, got 0")
    share = setting("validation_fraction")
    if isinstance(share, bool) or not isinstance(share, Real) or not 0 <= float(share) < 1:
        raise OptionError(f"validation_fraction must lie in [0, 1), got {share!r}")
    if not _is_bool(setting("early_stopping")) and setting("early_stopping") != "auto":
        raise OptionError(f"early_stopping must be True, False or 'auto', got {setting('early_stopping')!r}")
    for name in ("shuffle", "warm_start"):
        if not _is_bool(setting(name)):
            raise OptionError(f"{name} must be True or False, got {setting(name)!r}")
    if not isinstance(setting("verbose"), (bool, np.bool_, Integral)):
        raise OptionError(f"verbose must be True or False, got {setting('verbose')!r}")
    if setting("network") is not None and not isinstance(setting("network"), Network):
        raise OptionError(f"network must be a cr.Network or None, got {setting('network')!r}")
    if setting("loss") is not None and not callable(setting("loss")):
        raise OptionError(f"loss must be a function loss(raw, y) in plain NumPy, got {setting('loss')!r}")
    if str(setting("dtype")) not in ("float32", "float64"):
        raise OptionError(f"dtype must be 'float32' or 'float64', got {setting('dtype')!r}")
    if setting("calibrate") not in METHODS:
        raise OptionError(f"calibrate must be one of {', '.join(METHODS)}, got {setting('calibrate')!r}")
    threads_of(setting("n_jobs"))


def check_number(name: str, value: Any, low: float, whole: bool) -> None:
    """Refuse a parameter that is not a number in range."""
    kind = Integral if whole else Real
    if (
        isinstance(value, bool)
        or not isinstance(value, kind)
        or not float(value) >= low
        or not np.isfinite(float(value))
    ):
        raise OptionError(f"{name} must be a {'whole ' if whole else ''}number >= {low}, got {value!r}")


def seed_of_state(random_state: Any) -> int:
    """A seed from what scikit-learn calls ``random_state``; a NumPy generator will do too."""
    if isinstance(random_state, Integral) and not isinstance(random_state, bool) and int(random_state) >= 0:
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    if random_state is None or isinstance(random_state, np.random.RandomState) or random_state is np.random:
        return int(check_random_state(random_state).randint(2**31 - 1))
    raise OptionError(
        f"random_state must be None, a whole number >= 0, or a generator of numpy.random, got {random_state!r}"
    )


def threads_of(n_jobs: Any) -> int | None:
    """How many threads at most; ``None``: as the work is worth. -1 is all cores, -2 all but one, as joblib counts."""
    if n_jobs is None:
        return None
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral) or n_jobs == 0:
        raise OptionError(f"n_jobs must be None, a number of threads >= 1, or -1 for all cores, got {n_jobs!r}")
    if int(n_jobs) > 0:
        return int(n_jobs)
    from joblib import cpu_count  # type: ignore[import-untyped]

    return max(1, int(cpu_count()) + 1 + int(n_jobs))


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))

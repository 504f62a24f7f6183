"""All cases of bad input, by the surface they meet: the one place where they are listed and counted."""

from __future__ import annotations

from collections.abc import Sequence

from trust.bad_calculus import CALCULUS
from trust.bad_case import Case
from trust.bad_estimators import ESTIMATORS
from trust.bad_files import FILES
from trust.bad_options import OPTIONS
from trust.bad_predictions import PREDICTIONS
from trust.bad_values import VALUES

CASES: dict[str, Sequence[Case]] = {
    "files": FILES,
    "values": VALUES,
    "options": OPTIONS,
    "predictions": PREDICTIONS,
    "estimators": ESTIMATORS,
    "calculus": CALCULUS,
}

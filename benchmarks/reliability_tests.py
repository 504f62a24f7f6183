"""Bars that the tests themselves measure: run by pytest in a process of their own, and counted."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.reliability_checks import Check

ROOT = Path(__file__).parents[1]


def run_tests(name: str, *selected: str, **environment: str) -> Check:
    """Run tests; every one that fails is a failure, and so is a run without any."""
    check, start = Check(name), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            f"--junitxml={report}",
            *selected,
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []
    check.count = sum(case.find("skipped") is None for case in cases)
    check.failures = [str(c.get("name")) for c in cases if c.find("failure") is not None or c.find("error") is not None]
    if not check.count or (done.returncode and not check.failures):
        check.failures.append(f"pytest ended with {done.returncode}: {done.stdout.strip()[-300:]}")
    check.seconds = time.perf_counter() - start
    return check


def scikit_learn(count: int, seed: int) -> Iterator[Check]:
    """scikit-learn's checks of every estimator, float32 and float64."""
    yield run_tests("check_estimator", "tests/estimators/test_scikit_learn.py")


def derivatives(count: int, seed: int) -> Iterator[Check]:
    """Every primitive at 100 random shapes, first and second order; that planted faults are found, too."""
    yield run_tests("tests of primitives, 100 shapes each", "tests/primitives/test_registry.py")


def programs(count: int, seed: int) -> Iterator[Check]:
    """Random programs by NumPy and natively: ``count`` in all, with and without gradient, in both precisions."""
    each = max(1, count // 4)
    check = run_tests(
        "random programs", "tests/native/test_agreement.py::test_random_programs", CHAINRULE_EXAMPLES=str(each)
    )
    yield Check(check.name, each * check.count, check.failures, check.seconds)


def ranges(count: int, seed: int) -> Iterator[Check]:
    """Likelihoods and what they are made of at raw numbers of ±1e4, precisions of nothing and 1e10, in float32."""
    yield run_tests("outputs and pieces at the ends", "tests/outputs/test_numerical_range.py")


def resumption(count: int, seed: int) -> Iterator[Check]:
    """Trainings cut after every step, stopped and resumed, by the library and by the command line."""
    files = ("tests/learn/test_checkpoint_state.py", "tests/exchange/test_checkpoint.py", "tests/cli/test_resume.py")
    yield run_tests("tests of resumption", *files)

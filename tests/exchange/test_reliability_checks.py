"""The reliability table sees what it is there to see: errors, deaths, hangs and memory."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import reliability_checks
from benchmarks.reliability_checks import PeakMemory, run_tries


def attempt(what):
    match what:
        case "raises":
            raise KeyError("such")
        case "dies":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hangs":
            time.sleep(60)
    return "" if what == "good" else what


def test_every_kind_of_failure_is_counted(monkeypatch):
    monkeypatch.setattr(reliability_checks, "LIMIT", 1.0)
    check = run_tries("name", ["good", "raises", "dies", "good", "hangs", "good", "wrong"], attempt)
    assert check.count == 7
    assert [line.split(": ", 1)[0] for line in check.failures] == ["try 1", "try 2", "try 4", "try 6"]
    for line, what in zip(check.failures, ("KeyError: 'such'", "status -11", "hangs for 1 s", "wrong"), strict=True):
        assert what in line


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux")
def test_peak_memory_is_seen_after_it_is_gone():
    with PeakMemory() as peak:
        np.ones(10_000_000).sum()
    assert 70e6 < peak.bytes < 200e6

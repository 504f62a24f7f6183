"""`benchmarks/stress.py`, in short."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "stress.py"


@pytest.mark.skipif(not PROGRAM.exists(), reason="benchmarks are not installed")
def test_threads_compile_fit_predict_and_free(tmp_path):
    surroundings = {**os.environ, "CHAINRULE_CACHE_DIR": str(tmp_path)}
    code = (
        f"import sys; sys.path.insert(0, {str(PROGRAM.parent)!r}); import stress; stress.FORK_EVERY = 2\n"
        "wrong = stress.stress(6, 4, kinds=2)\n"
        "print(wrong or 'all equal')\n"
        "stress.leave_threads_behind()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all equal"
    assert not done.stderr

"""Programs that are measured in a process of their own: start-up, compilation from nothing, memory.

Each is source text, run by a fresh interpreter; the last line it prints is a number. The interpreters share a folder of
bytecode, as those of an installed package do, wherever and however this one was started.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from time import perf_counter

import chainrule

#: the first training step of a network with three affine layers, all that has to be built and compiled included
FIRST_STEP = """
from time import perf_counter
import numpy as np
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.networks import Network
from chainrule.outputs import Categorical
rng = np.random.default_rng(0)
x, y = rng.standard_normal((32, 20)), rng.integers(0, 2, 32)
start = perf_counter()
Training(Network([64, 64], Categorical(2)), Rows.of(x, y), Options(batch_size=32)).run_epoch()
print(perf_counter() - start)
"""

#: bytes beyond the data, and beyond four times the parameters, at the highest; what was imported does not count. With
#: "code" as second argument: bytes of programs and libraries that were mapped from their files meanwhile
MEMORY = """
import sys
import numpy as np
from chainrule.learn.options import Options
from chainrule.learn.rows import Rows
from chainrule.learn.training import Training
from chainrule.networks import Network
from chainrule.outputs import Categorical
def memory(what):
    for line in open("/proc/self/status"):
        if line.startswith(what):
            return 1024 * int(line.split()[1])
before, code = memory("VmRSS:"), memory("RssFile:")
rng = np.random.default_rng(0)
x = rng.standard_normal((int(sys.argv[1]), 54), np.float32)
y = (x[:, :1] > 0).astype(np.float32)
rows = Rows(x, y, np.ones(len(x), np.float32))
training = Training(Network([256, 256], Categorical(2)), rows, Options(batch_size=256))
for _ in range(2):
    training.run_epoch()
data = x.nbytes + y.nbytes + rows.w.nbytes
if sys.argv[2:] == ["code"]:
    print(memory("RssFile:") - code)
else:
    print(memory("VmHWM:") - before - data - 4 * training.theta.nbytes)
"""


def run_child(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> float:
    """Run a program in a fresh interpreter; the number it printed last."""
    done = _run(["-c", code, *arguments], environment)
    return float(done.split()[-1])


def seconds_of(arguments: list[str], environment: Mapping[str, str] | None = None) -> float:
    """Seconds from the start of a fresh interpreter to its end."""
    start = perf_counter()
    _run(arguments, environment)
    return perf_counter() - start


def _run(arguments: list[str], environment: Mapping[str, str] | None) -> str:
    path = os.pathsep.join(filter(None, [str(Path(chainrule.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    bytecode = {"PYTHONPYCACHEPREFIX": _bytecode().name, "PYTHONDONTWRITEBYTECODE": ""}
    surroundings = {**os.environ, "PYTHONPATH": path, **bytecode, **(environment or {})}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=surroundings, check=True)
    return done.stdout


@cache
def _bytecode() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="chainrule-bench-")

"""How much memory there is, in containers too."""

import os
import subprocess
import sys

import pytest

from chainrule.errors import OutOfMemoryError
from chainrule.memory import check_parameters, machine_memory

PHYSICAL = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
GIB = 2**30


def system(root, groups, limits):
    """A fake of what the kernel says: the process's groups, and files of limits."""
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{k}": v for k, v in limits.items()}}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/", {"memory.max": str(GIB)}, GIB),
        ("0::/a/b", {"memory.max": "max", "a/memory.max": "max", "a/b/memory.max": str(GIB)}, GIB),
        ("0::/a/b", {"a/memory.max": str(GIB // 2), "a/b/memory.max": str(GIB)}, GIB // 2),
        ("0::/a/b", {"a/b/c/memory.max": "4096", "x/memory.max": "4096"}, PHYSICAL),  # not the process's own
        ("0::/../../a", {"a/memory.max": str(GIB)}, GIB),
        ("0::/a", {"a/memory.max": "max"}, PHYSICAL),
        ("0::/a", {"a/memory.max": str(2 * PHYSICAL)}, PHYSICAL),
        ("5:cpu,memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": str(GIB)}, GIB),
        ("5:memory:/docker/77", {"memory/memory.limit_in_bytes": str(GIB)}, GIB),  # the host's path
        ("5:memory:/a/b", {"memory/a/memory.limit_in_bytes": str(GIB)}, GIB),
        ("5:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, PHYSICAL),  # no limit
        ("5:cpu:/a", {"memory/a/memory.limit_in_bytes": str(GIB)}, PHYSICAL),
        ("5:cpu:/a\n0::/a", {"unified/a/memory.max": str(GIB)}, GIB),
        ("nonsense\n::\n0:", {"memory.max": "much"}, PHYSICAL),
    ],
)
def test_what_a_container_may_have(tmp_path, groups, limits, expected):
    assert machine_memory(system(tmp_path, groups, limits)) == expected


def test_a_system_that_says_nothing(tmp_path, monkeypatch):
    assert machine_memory(tmp_path) == PHYSICAL

    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    machine_memory.cache_clear()
    assert machine_memory(tmp_path) is None
    machine_memory.cache_clear()
    assert machine_memory(system(tmp_path, "0::/", {"memory.max": "5"})) == 5


def test_networks_that_a_container_has_no_memory_for(tmp_path, monkeypatch):
    small = system(tmp_path, "0::/", {"memory.max": str(GIB)})
    monkeypatch.setattr("chainrule.memory.machine_memory", lambda: machine_memory(small))
    check_parameters(10**7)
    with pytest.raises(OutOfMemoryError, match="100,000,000 parameters"):
        check_parameters(10**8)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere systems refuse by themselves, or never")
def test_a_process_asks_in_vain_for_more_than_there_is():
    code = """
import numpy as np
from chainrule import memory
memory.machine_memory = lambda: 5 << 30
memory.bound_process()
kept = np.ones(1 << 27)
try:
    np.ones(1 << 30)
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"

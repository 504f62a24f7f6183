"""Faults of the machine while commands run; those of checkpoints are in ``tests/exchange/test_checkpoint.py``.

Full disks, writes that end in the middle and memory that cannot be had: one line, nothing half-written, and what was
there before is still there. There are no worker processes that could be lost: members are trained on threads.
"""

import os
import resource
import shutil
import subprocess
import sys

import pytest

from chainrule.cli import run
from chainrule.models.model import load_model
from trust.bad_options import QUICK, TABLE, model

FIT = f"fit t.csv --target y --model m.chainrule {QUICK}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "m.chainrule").write_bytes(model())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(capsys, command):
    assert run(command.split()) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("chainrule: ")
    return lines[0]


COMMANDS = [
    (f"{FIT} --seed 1", "m.chainrule"),
    ("predict m.chainrule t.csv -o p.csv", "p.csv"),
    ("predict m.chainrule t.csv -o p.parquet", "p.parquet"),
    ("export m.chainrule --c m.c", "m.c"),
    ("explain m.chainrule t.csv -o e.html", "e.html"),  # was written in place
]


@pytest.mark.parametrize(("command", "written"), COMMANDS)
def test_a_write_that_ends_in_the_middle(folder, capsys, command, written):
    (folder / written).touch()
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # the system writes so much of a file and no more
    try:
        line = refusal(capsys, command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written in line
    assert "File too large" in line
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(("command", "written"), COMMANDS)
def test_a_disk_that_is_full(folder, capsys, command, written):
    disk = folder / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        (disk / "filler").write_bytes(bytes(12_000))
        assert (
            run(
                command.replace(f"-o {written}", f"-o disk/{written}")
                .replace("--c m.c", "--c disk/m.c")
                .replace("--model m.chainrule", "--model disk/m.chainrule")
                .split()
            )
            == 1
            or (disk / written).exists()
        )
        said = capsys.readouterr().err.strip()
        if said:  # what was too large for the room that was left
            assert "No space left on device" in said
            assert sorted(p.name for p in disk.iterdir()) == ["filler"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_memory_that_cannot_be_had(folder):
    """A process that gets no more memory says so. (Polars, where it reads a table, ends the process by itself.)"""
    code = (
        "import resource, numpy as np, chainrule as cr, chainrule.native.compile\n"
        "x = np.random.default_rng(0).normal(size=(60, 3))\n"
        "cr.FeedForwardRegressor((4,), max_iter=1, n_members=1, embedding='none').fit(x, x[:, 0])\n"
        "pages = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages + 100 * 2**20,) * 2)\n"
        "try: cr.FeedForwardRegressor((4000, 4000), max_iter=1, n_members=1, embedding='none').fit(x, x[:, 0])\n"
        "except MemoryError as error: print(type(error).__name__, error)"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CHAINRULE_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "OutOfMemoryError there is not enough memory for the network's 16,0" in done.stdout


def test_fits_side_by_side_on_one_cache_that_others_empty(folder):
    environment = os.environ | {"CHAINRULE_CACHE_DIR": str(folder / "cache")}
    fits = [
        subprocess.Popen(
            [sys.executable, "-m", "chainrule", *FIT.replace("m.chainrule", f"{k}.chainrule").split()],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(3)
    ]
    while any(fit.poll() is None for fit in fits):
        for path in (folder / "cache").rglob("*.object"):
            path.unlink(missing_ok=True)
    assert [fit.communicate()[1] for fit in fits] == ["", "", ""]
    thetas = {load_model(folder / f"{k}.chainrule").members[0].theta.tobytes() for k in range(3)}
    assert len(thetas) == 1

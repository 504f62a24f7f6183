"""``chainrule fit --checkpoint`` and ``--resume``: interrupted fits give the same model file, byte by byte."""

import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from chainrule.cli import run
from chainrule.cli.resume import lasting

FITS = {
    "ensemble, early stopping": ["--members", "2", "--hidden", "16", "--epochs", "60"],
    "starts and reductions": [
        "--members",
        "1",
        "--starts",
        "3",
        "--hidden",
        "8",
        "--learning-rate",
        "0.1",
        "--embedding",
        "none",
    ],
    "L-BFGS": ["--members", "2", "--hidden", "6", "--optimizer", "lbfgs", "--epochs", "120"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    y = x[:, 0] + np.sin(3.0 * x[:, 1]) + 0.1 * rng.normal(size=600)
    np.savetxt(tmp_path / "data.csv", np.c_[x, y], delimiter=",", header="a,b,y", comments="")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "chainrule", "fit", "data.csv", "--target", "y", "--model", "m", "-q", *more]


def written() -> int:
    """When the checkpoint was written."""
    return os.stat("c").st_mtime_ns if os.path.exists("c") else 0


def ended(arguments: list[str], moment: float, how: signal.Signals) -> tuple[int, str]:
    """Run the command to its end, or to a signal so long after its first checkpoint; status and what was said."""
    before = written()
    child = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    while written() == before and child.poll() is None:
        time.sleep(0.002)
    try:
        child.wait(moment)
    except subprocess.TimeoutExpired:
        child.send_signal(how)
    said = child.communicate()[1]
    return child.returncode, said


@pytest.mark.parametrize("kind", FITS)
def test_the_same_model_file_however_often_it_was_interrupted(folder, kind):
    subprocess.run(command(*FITS[kind]), check=True)
    wanted = (folder / "m").read_bytes()
    (folder / "m").unlink()
    rng = random.Random(kind)
    given, statuses = ["--checkpoint", "c"], []
    while not statuses or statuses[-1] != 0:
        how = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        moment = rng.uniform(0.0, 0.4) if len(statuses) < 4 else 60.0
        status, said = ended(command(*FITS[kind], *given, "--checkpoint-every", "0.02"), moment, how)
        statuses.append(status)
        assert status in (0, -how, 128 + how), said  # by the signal itself where the model is already written
        if status == 130 and said == "chainrule: stopped\n":
            assert (folder / "m").exists()  # when all was done but to say so
        elif status in (130, 143):
            assert said.startswith(f"chainrule: stopped by {how.name}, ")
            assert said.count("\n") == 1
            assert said.rstrip().endswith(f"{' '.join(FITS[kind])} --resume c")
        given = ["--resume", "c"]
    assert (folder / "m").read_bytes() == wanted
    assert len(statuses) > 1


def test_refusals(folder, capsys):
    base = ["fit", "data.csv", "--target", "y", "--model", "m", "--epochs", "2", "--hidden", "8", "--members", "1"]
    assert run([*base, "--checkpoint", "c", "-q"]) == 0
    for more, words in (
        (["--resume", "missing"], "missing: there is no such file"),
        (["--resume", "data.csv"], "data.csv"),
        (["--checkpoint", "data.csv"], "data.csv would be written over the input data.csv"),
        (["--checkpoint", "m"], "would be written over"),
        (["--checkpoint", "nowhere/c"], "there is no folder nowhere"),
        (["--checkpoint", "d", "--checkpoint-every", "-1"], "must be a number >= 0, got -1"),
        (["--resume", "c", "--patience", "3"], "c: the interrupted training began with other patience (20, now 3)"),
        (["--resume", "c", "--test-fraction", "0.3"], "c: the interrupted training was of other training rows"),
    ):
        assert run([*base, *more]) == 1
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    (folder / "c").write_bytes(b"torn")
    assert run([*base, "--resume", "c"]) in (0, 1)


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_used(folder, capsys):
    base = [
        "fit",
        "data.csv",
        "--target",
        "y",
        "--model",
        "m",
        "--epochs",
        "2",
        "--hidden",
        "8",
        "--members",
        "2",
        "-q",
    ]
    assert run([*base, "--checkpoint", "c", "--checkpoint-every", "0"]) == 0
    wanted = (folder / "m").read_bytes()
    (folder / "c").write_bytes((folder / "c").read_bytes()[:-5])
    assert run([*base, "--resume", "c"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("chainrule: warning: c: ")
    assert "going on from the one before it, c.previous" in said
    assert (folder / "m").read_bytes() == wanted


def test_diverging_fits_end_or_go_back(folder, capsys):
    base = ["fit", "data.csv", "--target", "y", "--model", "m", "--epochs", "20", "--hidden", "8", "--members", "1"]
    base += ["--optimizer", "sgd", "--learning-rate", "1e6", "--embedding", "none", "-q"]
    assert run(base) == 1
    assert "in batch" in capsys.readouterr().err
    assert run([*base, "--on-divergence", "halve"]) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert re.match(
        r"chainrule: warning: training diverged .* \(step \d+\), first at .*; going on from epoch 0 with", first
    )
    assert (folder / "m").exists()


def test_the_lasting_part_of_a_command():
    given = ["fit", "d", "--checkpoint", "c", "--seed", "3", "--checkpoint-every=2", "--resume", "r", "-q"]
    assert lasting(given) == ["fit", "d", "--seed", "3", "-q"]


def test_ctrl_c_is_told(folder, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("chainrule.models.table.fit_table", interrupted)
    assert run(["fit", "data.csv", "--target", "y", "-q"]) == 130
    assert capsys.readouterr().err == "chainrule: stopped\n"


def test_a_signal_that_comes_out_as_another_error_is_still_told(folder, capsys, monkeypatch):
    def initialised(*arguments, **options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1.0)
        except Exception:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr("chainrule.models.table.fit_table", initialised)
    assert run(["fit", "data.csv", "--target", "y", "-q", "--checkpoint", "c"]) == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "chainrule: stopped by SIGTERM, at once; nothing was saved yet\n"
